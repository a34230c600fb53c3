"""Joining two states of one document, each held by a store that says with its version vector what it has seen.

Law: the join of the states that two sets of transactions give is the state that their union gives. So it is
    idempotent, commutative and associative, it may stand anywhere between deliveries, and a snapshot with the
    records behind it is worth the whole log (`tests/laws/joins.py`, exhaustive over small scope).
Rules:
  - A cell on both sides stays. Of a counter the totals are joined, per replica the one with the later stamp: a
    replica's total moves with its origin's log, so the later one holds what the earlier one held (planted bugs
    `TotalsAreAdded`, `GreatestTotalIsTaken`).
  - A cell on one side stays exactly when the vector of the *other* side does not cover its stamp: what a store has
    seen and does not hold was removed (planted bugs `Adopts`, `KeepsItsOwn`, `KeepsAll`, `CoveredByTheGreatest`).
    Totals do not count here, they keep nothing alive (`TotalKeepsAliveInJoins`).
  - A grave stays, whichever side has it: of two the greater stamp, and no other cell (`GraveIsDropped`).
  - A document that was equal on both sides when they were compared may be left out of the join, although this side
    went on meanwhile, unless it has since taken some of what the other side had seen (`may_leave_out`).
  - Vectors are joined pointwise, and each origin's author vector is that of the side which knows more of the
    origin: else the next records are judged by less than they observed (`VectorForgets`, `authors_forgotten`).

Not here: comparing digests, which comes before any join (`Divergence`); choosing what is joined; storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crdtstore.crdt.cell import Cell, Total
from crdtstore.crdt.grave import join_graves
from crdtstore.crdt.vector import NOWHERE, Reached, VersionVector, is_covered


def join(
    ours: Sequence[Cell], theirs: Sequence[Cell], our_vector: VersionVector, their_vector: VersionVector
) -> list[Cell]:
    """Join the cells of one document.

    Args:
        ours: Its live cells here.
        theirs: Its live cells there.
        our_vector: What this side has seen.
        their_vector: What the other side has seen.

    Returns:
        The live cells by path, type and stamp.
    """
    graves = join_graves(ours, theirs)
    if graves is not None:
        return graves
    here = {cell[:3]: cell for cell in ours}
    there = {cell[:3]: cell for cell in theirs}
    both = [join_cell(cell, there[name]) for name, cell in here.items() if name in there]
    only_here = [cell for name, cell in here.items() if name not in there and survives(cell, their_vector)]
    only_there = [cell for name, cell in there.items() if name not in here and survives(cell, our_vector)]
    return sorted([*both, *only_here, *only_there])


def survives(cell: Cell, vector: VersionVector) -> bool:
    """Whether a cell outlives a side that does not hold it: that side, with this vector, has not seen it."""
    return not is_covered(vector, cell.stamp)


def join_cell(ours: Cell, theirs: Cell) -> Cell:
    """Join a cell that both sides hold: only a counter's totals can differ."""
    return ours if ours == theirs else ours._replace(totals=join_totals(ours.totals, theirs.totals))


def join_totals(ours: Iterable[Total], theirs: Iterable[Total]) -> tuple[Total, ...]:
    """Take, for each replica, the total with the later stamp; sorted by stamp."""
    latest: dict[bytes, Total] = {}
    for total in (*ours, *theirs):
        known = latest.get(total.stamp.replica)
        if known is None or total.stamp > known.stamp:
            latest[total.stamp.replica] = total
    return tuple(sorted(latest.values()))


def join_vectors(ours: VersionVector, theirs: VersionVector) -> dict[bytes, Reached]:
    """Take, for each origin, the greater position. Digests were compared before: equal positions are equal."""
    joined = dict(ours)
    for origin, reached in theirs.items():
        known = joined.get(origin, NOWHERE)
        assert known == reached or known.position != reached.position, "A diverged origin was to be joined."
        joined[origin] = max(known, reached)
    return joined


def join_authors(
    ours: Mapping[bytes, VersionVector],
    theirs: Mapping[bytes, VersionVector],
    our_vector: VersionVector,
    their_vector: VersionVector,
) -> dict[bytes, VersionVector]:
    """Take, for each origin, the author vector of the side that knows more of it.

    Args:
        ours: The author vector of each origin's last record here.
        theirs: The same there.
        our_vector: What this side has seen.
        their_vector: What the other side has seen.
    """
    newer = [origin for origin, reached in their_vector.items() if reached > our_vector.get(origin, NOWHERE)]
    return {**ours, **{origin: theirs.get(origin, {}) for origin in newer}}


def may_leave_out(compared: VersionVector, ours: VersionVector, theirs: VersionVector) -> bool:
    """Whether documents that were found equal stay as they are in a join that comes later.

    What this side wrote since is not covered there, and what it removed is covered here. But a write that both sides
    have now, and that was not here when documents were compared, may have been removed there (planted bug
    `left_out_unasked`).

    Args:
        compared: What this side had seen when documents were compared.
        ours: What it has seen now.
        theirs: What the other side has seen.
    """
    return all(
        min(reached.position, ours.get(origin, NOWHERE).position) <= compared.get(origin, NOWHERE).position
        for origin, reached in theirs.items()
    )
