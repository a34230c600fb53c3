"""The vocabulary of the laws: what one transaction may ask for, without any notion of how it is merged.

Rules: a path's first key names the document, so that ("d",) is the whole document d and one vocabulary
serves transactions over several documents. Restart stands for `restart`, `replaceWithCounter` and a typed
upsert, which do the same to the state. Everything is a frozen tuple: a history can be printed, pasted and
run again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str, ...]
Number: TypeAlias = int | float
Value: TypeAlias = Any

REGISTER = "register"
MAP = "map"
COUNTER = "counter"
ATTACHMENT = "attachment"
GRAVE = "grave"
ALL_TYPES = frozenset((REGISTER, MAP, COUNTER, ATTACHMENT))
"""The types that a removal may speak of; a grave is never removed."""


class Put(NamedTuple):
    """Write a register."""

    path: Path
    value: Value


class Mark(NamedTuple):
    """Write a map's marker: the map exists even without children."""

    path: Path


class Attach(NamedTuple):
    """Write an attachment; the value is its token's id."""

    path: Path
    value: str


class Increment(NamedTuple):
    """Add to a counter; creates an implicit instance where there is none."""

    path: Path
    amount: Number


class Restart(NamedTuple):
    """Create an explicit counter instance."""

    path: Path
    start: Number


class Remove(NamedTuple):
    """Remove every cell of some types at a path and below."""

    path: Path
    types: frozenset[str] = ALL_TYPES


class Initial(NamedTuple):
    """Write as `write` does, but so that every other write wins."""

    write: Put | Mark | Restart | Attach

    @property
    def path(self) -> Path:
        """Where it writes."""
        return self.write.path


class Bury(NamedTuple):
    """Remove a document for ever; its path is the document's."""

    path: Path


class Flagged(NamedTuple):
    """What an initial register, attachment or marker holds."""

    content: Value


Operation: TypeAlias = Put | Mark | Attach | Increment | Restart | Remove | Initial | Bury


class Stamp(NamedTuple):
    """(timestamp, actor, origin); tuple order is the order."""

    timestamp: int
    actor: bytes
    origin: bytes


def is_below(path: Path, prefix: Path) -> bool:
    """Whether a path is at a prefix or below it, key by key."""
    return path[: len(prefix)] == prefix


def spell(cells: Iterable[tuple[Path, str, Stamp, Value]]) -> bytes:
    """The notation in which states are compared: cells by path, type and stamp, everything spelled out.

    A register's content is its value, an attachment's its token's id, a marker's and a grave's None, a counter's
    (kind, start, totals by (actor, origin)); an initial cell's is flagged.
    """
    return repr(
        [
            (path, kind, *stamp, content)
            if kind != COUNTER
            else (
                path,
                kind,
                *stamp,
                *content[:2],
                [(*who, *at, total) for who, (at, total) in sorted(content[2].items())],
            )
            for path, kind, stamp, content in sorted(cells, key=lambda cell: cell[:3])
        ]
    ).encode()
