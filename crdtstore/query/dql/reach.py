"""Reach: the collections that a statement reads and writes, as far as its text says; what a permission is asked for.

Rules: a statement that returns rows of what it writes, or chooses by a condition what it writes, reads it too. Whatever
concerns the store as a whole, such as system collections, indexes and settings, needs more than collections.
"""

from __future__ import annotations

from typing import NamedTuple

from crdtstore.query.dql.statement import (
    CreateIndex,
    DropIndex,
    Explain,
    Insert,
    Remove,
    Select,
    Source,
    Statement,
    Update,
)


class Reach(NamedTuple):
    """What a statement touches."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    whole: bool = False
    """Whether it concerns the store as a whole."""

    def join(self, other: Reach) -> Reach:
        """What either touches."""
        return Reach(self.reads | other.reads, self.writes | other.writes, self.whole or other.whole)


def reach_of(statement: Statement) -> Reach:
    """What a statement touches."""
    match statement:
        case Select():
            return read_sources(statement.source, *(join.source for join in statement.joins))
        case Insert():
            # Whether an id is taken is told, so it is read too.
            written = Reach(frozenset({statement.source.name}), frozenset({statement.source.name}))
            return written if statement.select is None else written.join(reach_of(statement.select))
        case Update() | Remove():
            return Reach(frozenset({statement.source.name}), frozenset({statement.source.name}))
        case CreateIndex(_, collection) | DropIndex(_, collection):
            return Reach(frozenset({collection}), frozenset(), whole=True)
        case Explain():
            return reach_of(statement.of)
        case _:
            return Reach(whole=True)


def read_sources(*sources: Source) -> Reach:
    """What is read of some sources."""
    names = frozenset(source.name for source in sources if not source.system)
    return Reach(names, whole=any(source.system and source.name != "dual" for source in sources))
