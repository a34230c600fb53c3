"""Which peers are there: the bench runs without any of them, and says what it left out."""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec


def installed(*names: str) -> list[str]:
    """The peers among some that are installed; says which are not."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        print(f"Not installed, so left out: {', '.join(missing)}.", file=sys.stderr)
    return [name for name in names if name not in missing]


def titled(name: str) -> str:
    """A peer with its version."""
    return f"{name} {version(name)}"
