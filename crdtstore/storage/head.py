"""The head is where the log stands: the store's version vector, each origin's author vector, the newest txn.

Rules: it is a function of the log's prefix and is saved in the same commit as what moved it. One writer changes
it. Per origin, `coverage` is its author vector as timestamps by origin number: the form that merging reads.

Two more facts decide what can be given to another store. An origin's *floor* is a position: every later one that the
vector claims stands in the log (trimming raises it, and so does a join, whose records never were in the log). An
origin is *partial* where not all of its records came whole, in a store that holds only some collections.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgpack
import msgspec

from crdtstore.crdt.scope import Scope
from crdtstore.crdt.vector import NOWHERE, Reached
from crdtstore.limits import ACTOR_BYTES
from crdtstore.storage.identity import read_origin, read_scope
from crdtstore.storage.log import last_txn
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crdtstore.crdt.names import Names
    from crdtstore.storage.interface import Batch, Snapshot


Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Name: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=ACTOR_BYTES, max_length=ACTOR_BYTES)]
"""An origin, or a chain digest."""


class OriginRow(msgspec.Struct, array_like=True, frozen=True):
    """What the table keeps of an origin; the last two are left out where they say nothing."""

    position: Natural
    timestamp: Natural
    digest: Name
    author: tuple[tuple[Name, Natural, Natural, Name], ...]
    floor: Natural = 0
    partial: bool = False


ROWS = msgspec.msgpack.Decoder(OriginRow)


class Head:
    """The version vector, the author vectors and the newest txn id of a store."""

    __slots__ = (
        "authors",
        "changed",
        "coverages",
        "floors",
        "greatest",
        "origin",
        "origins",
        "partials",
        "scope",
        "txn",
        "vector",
    )

    def __init__(self, origin: bytes, origins: Names, scope: Scope = None) -> None:
        self.origin = origin
        self.origins = origins
        self.scope = scope
        self.floors: dict[bytes, int] = {}
        self.partials: set[bytes] = set()
        self.vector: dict[bytes, Reached] = {}
        self.authors: dict[bytes, dict[bytes, Reached]] = {}
        self.coverages: dict[bytes, array[int]] = {}
        self.greatest = 0
        self.txn = 0
        self.changed: set[bytes] = set()

    @classmethod
    def load(cls, snapshot: Snapshot, origins: Names) -> Head:
        """Read the head of a store that has an origin."""
        head = cls(read_origin(snapshot), origins, read_scope(snapshot))
        for key, row in snapshot.scan(Table.ORIGINS):
            known = decode_row(ROWS, Table.ORIGINS, key, row)
            head.vector[key] = Reached(known.position, known.timestamp, known.digest)
            head.authors[key] = {seen[0]: Reached(seen[1], seen[2], seen[3]) for seen in known.author}
            if known.floor:
                head.floors[key] = known.floor
            if known.partial:
                head.partials.add(key)
        head.greatest = max((reached.timestamp for reached in head.vector.values()), default=0)
        head.txn = last_txn(snapshot)
        return head

    def reached(self, origin: bytes) -> Reached:
        """How far an origin's log was applied here."""
        return self.vector.get(origin, NOWHERE)

    def observed_since(self) -> dict[bytes, Reached]:
        """What this store's next record must carry: the vector's difference from its previous record's."""
        before = self.authors.get(self.origin, {})
        return {
            origin: reached
            for origin, reached in self.vector.items()
            if origin != self.origin and before.get(origin) != reached
        }

    def coverage(self, origin: bytes, observed: Mapping[bytes, Reached]) -> array[int]:
        """By origin number, the timestamps that the author vector of this origin's next record covers."""
        covered = self.coverages.get(origin)
        if covered is None:
            covered = self.coverages[origin] = array("Q")
            self.cover(covered, self.authors.get(origin, {}))
        if observed:
            self.cover(covered, observed)
        own = self.vector.get(origin)
        if own is not None and own.position:
            self.enter(covered, origin, own.timestamp)
        return covered

    def cover(self, covered: array[int], vector: Mapping[bytes, Reached]) -> None:
        """Enter a vector's timestamps."""
        for origin, reached in vector.items():
            self.enter(covered, origin, reached.timestamp)

    def enter(self, covered: array[int], origin: bytes, timestamp: int) -> None:
        """Enter the timestamp of one origin."""
        number = self.origins.intern(origin)
        if number >= len(covered):
            covered.extend([0] * (number + 1 - len(covered)))
        covered[number] = timestamp

    def advance(self, origin: bytes, reached: Reached, observed: Mapping[bytes, Reached]) -> None:
        """Enter a transaction that was appended to the log."""
        self.vector[origin] = reached
        self.authors.setdefault(origin, {}).update(observed)
        self.greatest = max(self.greatest, reached.timestamp)
        self.txn += 1
        self.changed.add(origin)

    def join(self, origin: bytes, reached: Reached, author: Mapping[bytes, Reached]) -> None:
        """Enter what a joined snapshot claims of an origin, beyond what was applied here."""
        self.vector[origin] = reached
        self.authors[origin] = dict(author)
        self.coverages.pop(origin, None)
        self.greatest = max(self.greatest, reached.timestamp)
        self.raise_floor(origin, reached.position)

    def raise_floor(self, origin: bytes, position: int) -> None:
        """Enter that records of an origin up to a position are not in the log."""
        self.floors[origin] = max(position, self.floors.get(origin, 0))
        self.changed.add(origin)

    def save(self, batch: Batch) -> None:
        """Write the rows of the origins that advanced."""
        for origin in self.changed:
            author: list[list[Any]] = [[other, *reached] for other, reached in sorted(self.authors[origin].items())]
            floor, partial = self.floors.get(origin, 0), origin in self.partials
            rest = [floor, partial] if floor or partial else []
            batch.put(Table.ORIGINS, origin, msgpack.packb([*self.vector[origin], author, *rest]))
        self.changed.clear()
