"""A difference leads from the rows that were shown to those that are shown now, by their places.

Rules: `apply(old, difference(old, new)) == new`. Deletions and the places that moves begin at are of the old rows;
insertions, updates and the places that moves end at are of the new ones. A row of a document that was there before and
is there still is never deleted and inserted: it moves, and only where that cannot be helped, so that moves are as few
as can be. A row whose document is shown otherwise now is updated, whether it moved or not.

Not here: where rows come from (`window`).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.live.window import Kept
    from crdtstore.query.find import Document


class Placed(NamedTuple):
    """A document and its place among the new rows."""

    place: int
    document: Document


class Move(NamedTuple):
    """A row's place among the old rows, and among the new ones."""

    source: int
    target: int


class Difference(NamedTuple):
    """What became of the rows. Each list is in the order of places; moves in that of their new ones."""

    deletions: tuple[int, ...] = ()
    insertions: tuple[Placed, ...] = ()
    updates: tuple[Placed, ...] = ()
    moves: tuple[Move, ...] = ()


NONE = Difference()
"""Nothing that is shown became another."""


def difference(old: Sequence[Kept], new: Sequence[Kept]) -> Difference:
    """What leads from some rows to others; in neither does a document stand twice."""
    start = common_start(old, new)
    end = common_end(old, new, start)
    # Rows at both ends stay where they are, so only what is between them is looked at closely.
    places = {row.id: place for place, row in enumerate(old[start : len(old) - end], start)}
    insertions: list[Placed] = []
    stayed: list[Move] = []
    for place, row in enumerate(new[start : len(new) - end], start):
        source = places.pop(row.id, None)
        if source is None:
            insertions.append(Placed(place, row.document))
        else:
            stayed.append(Move(source, place))
    return Difference(
        tuple(places.values()),
        tuple(insertions),
        tuple(updated(old, new, start, end, stayed)),
        tuple(fewest_moves(stayed)),
    )


def common_start(old: Sequence[Kept], new: Sequence[Kept]) -> int:
    """How many rows from the first on are of the same documents."""
    count = 0
    for left, right in zip(old, new, strict=False):
        if left is not right and left.id != right.id:
            break
        count += 1
    return count


def common_end(old: Sequence[Kept], new: Sequence[Kept], start: int) -> int:
    """How many rows from the last on are, but for those at the start."""
    most = min(len(old), len(new)) - start
    count = 0
    while count < most and old[-1 - count].id == new[-1 - count].id:
        count += 1
    return count


def updated(old: Sequence[Kept], new: Sequence[Kept], start: int, end: int, stayed: Sequence[Move]) -> list[Placed]:
    """The rows that are in both and shown otherwise now."""
    shift = len(new) - len(old)
    pairs = [(place, place) for place in range(start)]
    pairs += stayed
    pairs += [(place - shift, place) for place in range(len(new) - end, len(new))]
    return [
        Placed(target, new[target].document)
        for source, target in pairs
        if old[source] is not new[target] and old[source].document.json != new[target].document.json
    ]


def fewest_moves(stayed: Sequence[Move]) -> list[Move]:
    """The rows that must move: all but a longest run of those whose old places rise with their new ones."""
    ends: list[int] = []
    """The lowest old place that a run of each length can end at."""
    last: list[int] = []
    """Which row that is."""
    before: list[int] = []
    """Of each row, the one that stands before it in its longest run."""
    for number, move in enumerate(stayed):
        length = bisect_left(ends, move.source)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [move.source]
        last[length : length + 1] = [number]
    run: set[int] = set()
    number = last[-1] if last else -1
    while number >= 0:
        run.add(number)
        number = before[number]
    return [move for number, move in enumerate(stayed) if number not in run]


def apply(rows: Sequence[Document], change: Difference) -> list[Document]:
    """The new rows, made of the old ones as a client would make them."""
    gone = {*change.deletions, *(move.source for move in change.moves)}
    left = [row for place, row in enumerate(rows) if place not in gone]
    come = [*change.insertions, *(Placed(move.target, rows[move.source]) for move in change.moves)]
    for placed in sorted(come, key=lambda each: each.place):
        left.insert(placed.place, placed.document)
    for placed in change.updates:
        left[placed.place] = placed.document
    return left
