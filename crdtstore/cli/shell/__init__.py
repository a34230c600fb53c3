"""The shell for statements: how its input is read, run and shown.

Rules: only `prompt` needs a terminal and `prompt_toolkit`; everything else is the same without either.
"""
