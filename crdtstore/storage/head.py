"""The head is where the log stands: the store's version vector, each origin's author vector, the newest txn.

Rules: it is a function of the log's prefix and is saved in the same commit as what moved it. One writer changes
it. Per origin, `coverage` is its author vector as timestamps by origin number: the form that merging reads.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import msgpack

from crdtstore.crdt.vector import NOWHERE, Reached
from crdtstore.storage.log import last_txn
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crdtstore.crdt.names import Names
    from crdtstore.storage.interface import Batch, Snapshot

ORIGIN_KEY = b"origin"


class Head:
    """The version vector, the author vectors and the newest txn id of a store."""

    __slots__ = ("authors", "changed", "coverages", "greatest", "origin", "origins", "txn", "vector")

    def __init__(self, origin: bytes, origins: Names) -> None:
        self.origin = origin
        self.origins = origins
        self.vector: dict[bytes, Reached] = {}
        self.authors: dict[bytes, dict[bytes, Reached]] = {}
        self.coverages: dict[bytes, array[int]] = {}
        self.greatest = 0
        self.txn = 0
        self.changed: set[bytes] = set()

    @classmethod
    def load(cls, snapshot: Snapshot, origins: Names) -> Head:
        """Read the head of a store that has an origin."""
        origin = snapshot.get(Table.META, ORIGIN_KEY)
        head = cls(origin or b"", origins)
        for key, row in snapshot.scan(Table.ORIGINS):
            position, timestamp, digest, author = msgpack.unpackb(row)
            head.vector[key] = Reached(position, timestamp, digest)
            head.authors[key] = {origin: Reached(*reached) for origin, *reached in author}
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
        self.cover(covered, observed)
        own = self.reached(origin)
        if own.position:
            self.cover(covered, {origin: own})
        return covered

    def cover(self, covered: array[int], vector: Mapping[bytes, Reached]) -> None:
        """Enter a vector's timestamps."""
        for origin, reached in vector.items():
            number = self.origins.intern(origin)
            if number >= len(covered):
                covered.extend([0] * (number + 1 - len(covered)))
            covered[number] = reached.timestamp

    def advance(self, origin: bytes, reached: Reached, observed: Mapping[bytes, Reached]) -> None:
        """Enter a transaction that was appended to the log."""
        self.vector[origin] = reached
        self.authors.setdefault(origin, {}).update(observed)
        self.greatest = max(self.greatest, reached.timestamp)
        self.txn += 1
        self.changed.add(origin)

    def save(self, batch: Batch) -> None:
        """Write the rows of the origins that advanced."""
        for origin in self.changed:
            author: list[list[Any]] = [[other, *reached] for other, reached in sorted(self.authors[origin].items())]
            batch.put(Table.ORIGINS, origin, msgpack.packb([*self.vector[origin], author]))
        self.changed.clear()
