"""Randomness: every generator of the world, made from the seed and the name of what draws from it.

Rules: who draws has a generator of its own, so that one drawing more or less changes nothing for the others.
"""

from __future__ import annotations

from random import Random


def generator(name: str, seed: int) -> Random:
    """The generator of one drawer; the same for the same name and seed, on every machine and Python."""
    return Random(f"{name} of {seed}")  # noqa: S311  it must be predictable
