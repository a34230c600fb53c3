"""Images are a document before and after a transaction; they are made by merging the transaction again.

Rules: what is merged is read from a snapshot, and from what earlier transactions of the same run made of it, so that
each transaction is seen by itself although all were committed in one group. The merge is the one that every store
makes, so an image is what the store held. Names are only looked up: the writer is the one who adds them. After a
joined snapshot, whose documents are not in the log, a run cannot go on: it begins again at a later snapshot.

Planted bugs in `tests/feed`: images that forget the transaction before, or what an author had seen.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.crdt.entry import decode_advance, is_advance, is_join
from crdtstore.crdt.names import Names
from crdtstore.crdt.record import split_record
from crdtstore.crdt.vector import Reached
from crdtstore.limits import REPLICAS_MAX
from crdtstore.storage.documents import get_document
from crdtstore.storage.head import Head

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from crdtstore.crdt.entry import Advance
    from crdtstore.crdt.record import SplitRecord
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot


class Touched(NamedTuple):
    """A document that a transaction changed: its bytes before and after, empty where there was none."""

    collection: Collection
    id: bytes
    before: bytes
    after: bytes


class Joined(Exception):
    """The transaction joined a snapshot of another store: which documents it changed is not in the log."""


class Coverage:
    """What each origin's next record covers: as `Head.coverage` says it, without adding to the writer's names."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.head = Head.load(snapshot, Names((), REPLICAS_MAX))
        self.arrays: dict[bytes, array[int]] = {}

    def of(self, origin: bytes, observed: Mapping[bytes, Reached], numbers: Mapping[bytes, int]) -> array[int]:
        """By origin number, the timestamps that are covered."""
        covered = self.arrays.get(origin)
        complete = True
        if covered is None:
            covered = array("Q")
            complete = cover(covered, self.head.authors.get(origin, {}), numbers)
        complete &= cover(covered, observed, numbers)
        own = self.head.reached(origin)
        if own.position:
            complete &= cover(covered, {origin: own}, numbers)
        # Of an origin without a number no cell is stored yet; once it has one, it is to be entered.
        if complete:
            self.arrays[origin] = covered
        else:
            self.arrays.pop(origin, None)
        return covered

    def enter_record(self, record: SplitRecord) -> None:
        """Go on behind a record."""
        reached = Reached(record.position, record.timestamp, b"")
        self.head.advance(record.origin, reached, record.observed)

    def enter_advance(self, advance: Advance, numbers: Mapping[bytes, int]) -> None:
        """Go on behind an advance."""
        self.of(advance.origin, advance.observed, numbers)
        reached = Reached(advance.position, advance.timestamp, b"")
        self.head.advance(advance.origin, reached, advance.observed)


def cover(covered: array[int], vector: Mapping[bytes, Reached], numbers: Mapping[bytes, int]) -> bool:
    """Enter a vector's timestamps; whether every origin of it has a number."""
    complete = True
    for origin, reached in vector.items():
        number = numbers.get(origin)
        if number is None:
            complete = False
            continue
        if number >= len(covered):
            covered.extend([0] * (number + 1 - len(covered)))
        covered[number] = reached.timestamp
    return complete


class Replay:
    """A run of transactions, merged again."""

    def __init__(self, snapshot: Snapshot, catalog: Catalog) -> None:
        """Begin behind the last transaction of a snapshot."""
        self.coverage = Coverage(snapshot)
        self.catalog = catalog
        self.begin(snapshot, catalog)

    def begin(self, snapshot: Snapshot, catalog: Catalog) -> None:
        """Read what is not known from another snapshot: the one where the run stands."""
        if catalog is not self.catalog:
            # A catalog that was read back may number origins anew.
            self.coverage.arrays.clear()
        self.snapshot = snapshot
        self.catalog = catalog
        self.known: dict[tuple[int, bytes], bytes] = {}
        self.bytes = 0

    def apply(
        self, entry: bytes, collections: Container[str] | None = None, *, unchanged: bool = False
    ) -> list[Touched]:
        """The documents that an entry of the log changes, as a record lists them.

        Args:
            entry: The next one.
            collections: Whose documents are merged; None for all.
            unchanged: Whether documents are told that it names and does not change.

        Raises:
            Joined: It cannot be said.
        """
        if is_join(entry):
            raise Joined
        if is_advance(entry):
            self.coverage.enter_advance(decode_advance(entry), self.catalog.replicas.origins.numbers)
            return []
        record = split_record(entry)
        replicas = self.catalog.replicas
        covered = self.coverage.of(record.origin, record.observed, replicas.origins.numbers)
        replica = replicas.numbers[record.actor + record.origin]
        touched = [
            self.merge(self.catalog.by_name[name], id_, operations, record.timestamp, replica, covered)
            for name, id_, operations in record.changes
            if collections is None or name in collections
        ]
        self.coverage.enter_record(record)
        return [each for each in touched if unchanged or each.before != each.after]

    def merge(
        self, collection: Collection, id_: bytes, operations: bytes, timestamp: int, replica: int, covered: array[int]
    ) -> Touched:
        """One document before and after."""
        before = self.document(collection, id_)
        after = core.merge_document(
            before,
            operations,
            timestamp,
            replica,
            covered,
            collection.paths,
            self.catalog.replicas,
            core.digest_key(collection.name, id_),
            bytearray(16),
        )
        self.known[collection.number, id_] = after
        self.bytes += len(after) + len(id_)
        return Touched(collection, id_, before, after)

    def document(self, collection: Collection, id_: bytes) -> bytes:
        """A document as the run has it so far."""
        known = self.known.get((collection.number, id_))
        return get_document(self.snapshot, collection, id_) if known is None else known
