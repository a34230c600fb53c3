"""The shell for statements: how its input is read, run and shown.

Rules: only `prompt` and `history` need `prompt_toolkit`, and only `prompt` a terminal; everything else is the same
without either.
"""
