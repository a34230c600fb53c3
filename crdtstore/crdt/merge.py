"""Merging applies the operations of one transaction to the cells of one document.

Law: the state is a pure function of the set of transactions applied; every causal delivery order of the same
set gives the same cells (`tests/laws/test_small_histories.py`, exhaustive over small scope). It rests on three things:
a cell's life depends on observed removal only, never on a comparison; operations of one transaction commute
with every operation that is concurrent to it; and delivery is causal, which `version` checks before it calls.

Within a transaction removals come first, then at most one cell for each path and type, then increments: see
`fold`. A transaction never observes its own stamp, because its author vector is older than it.

Compiled twin: `ext/merge.pxi`, on document bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crdtstore.crdt import counter, grave, map, register
from crdtstore.crdt.cell import Cell
from crdtstore.crdt.operation import (
    Attach,
    Bury,
    Increment,
    Initial,
    Mark,
    Operation,
    Remove,
    Restart,
    Start,
    Write,
)
from crdtstore.crdt.stamp import Stamp


def merge(
    cells: Iterable[Cell], operations: Iterable[Operation], stamp: Stamp, is_observed: Callable[[Stamp], bool]
) -> list[Cell]:
    """Apply one transaction's operations on one document.

    Args:
        cells: The document's live cells.
        operations: In the record's order.
        stamp: Of the transaction.
        is_observed: Whether the author vector covers a stamp.
    """
    merged = list(cells)
    for operation in operations:
        merged = apply(merged, operation, stamp, is_observed)
    return merged


def apply(cells: list[Cell], operation: Operation, stamp: Stamp, is_observed: Callable[[Stamp], bool]) -> list[Cell]:
    """Apply one operation: one row for each kind; a grave lets only another one through."""
    match operation:
        case Bury():
            return grave.bury(cells, stamp)
        case _ if grave.is_buried(cells):
            return cells
        case Initial(write):
            *others, written = apply(cells, write, stamp, is_observed)
            return [*others, written._replace(initial=True)]
        case Remove():
            return map.remove(cells, operation, is_observed)
        case Write() | Attach():
            return register.write(cells, operation, stamp, is_observed)
        case Mark():
            return map.mark(cells, operation, stamp, is_observed)
        case Start():
            return counter.start(cells, operation, stamp)
        case Restart():
            return counter.restart(cells, operation, stamp, is_observed)
        case Increment():
            return counter.increment(cells, operation, stamp)
