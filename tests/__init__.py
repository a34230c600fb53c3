"""The tests.

This file makes `tests` a package of its own, so that no installed one of that name is found instead.
"""
