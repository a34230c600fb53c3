"""Joining a snapshot of another store, when logs no longer reach back; it is joined, never adopted.

Rules: documents of the ranges that differ are joined cell by cell (`crdt/join.py`), all others are known to be equal;
vectors join pointwise, with the author vectors and chain digests of what is new; floors rise where the vector did,
since what came as state is not in the log. All in one commit, which is one entry of the log. Everything that can be
refused is refused before the first write. Documents that were equal when they were compared are left out although
this store goes on writing; but if it was given a record meanwhile that the snapshot covers, they must be compared
again (`crdt.join.may_leave_out`).

Not here: which ranges differ, and how documents travel; see `replication/`.
"""

from __future__ import annotations

from collections.abc import Collection as Sized
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore import core
from crdtstore.crdt.cell import Cell
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.document import DIGEST_BYTES, MODULUS
from crdtstore.crdt.document_bytes import pack_document, unpack_document
from crdtstore.crdt.entry import KeyRange, encode_join
from crdtstore.crdt.grave import is_buried
from crdtstore.crdt.join import join, may_leave_out
from crdtstore.crdt.scope import format_scope, holds
from crdtstore.crdt.timestamp import to_milliseconds
from crdtstore.crdt.vector import Reached, VersionVector, greatest_timestamp
from crdtstore.errors import Divergence, MalformedMessage, RecordAhead
from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX
from crdtstore.storage import log
from crdtstore.storage.documents import COLLECTION_NUMBER_BYTES, Row, id_key, put_document, split_row
from crdtstore.storage.index_entries import change_entries
from crdtstore.storage.tables import Table
from crdtstore.version.delivery import divergence

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch

ROWS: Final = 256
"""Documents read at a time: what is scanned must not be written to meanwhile."""


class ChainPart(NamedTuple):
    """Chain digests of one origin's consecutive positions, 16 bytes each."""

    first: int
    digests: bytes

    def at(self, position: int) -> bytes | None:
        """The digest at a position; None outside."""
        start = (position - self.first) * CHAIN_DIGEST_BYTES
        found = self.digests[start : start + CHAIN_DIGEST_BYTES] if start >= 0 else b""
        return found or None


class Arrived(NamedTuple):
    """A document of the snapshot; its id is encoded."""

    collection: str
    id: bytes
    cells: Sequence[Cell]


class Arriving(NamedTuple):
    """A snapshot of another store, as far as it is to be joined.

    `compared` is this store's vector when documents were compared. `digests` go, for each origin that is new or longer
    there, from this store's position (1 where it has none) to the snapshot's. `ranges` are disjoint; `documents` stand
    in their order, within each by key; `replicas` and `collections` are all that occur in them.
    """

    compared: VersionVector
    vector: VersionVector
    authors: Mapping[bytes, VersionVector]
    digests: Mapping[bytes, ChainPart]
    ranges: Sequence[KeyRange]
    documents: Iterable[Arrived]
    replicas: Sized[bytes]
    collections: Sized[str]


def join_snapshot(
    batch: Batch, catalog: Catalog, head: Head, arriving: Arriving, clock_milliseconds: int
) -> int | None:
    """Join a snapshot; returns how many documents changed, or None where they must be compared again.

    Raises:
        Divergence: Another history exists under a common origin, or it cannot be proved that none does.
        MalformedMessage: The snapshot is not within this store's scope, or not complete.
        RecordAhead: It is stamped too far ahead of this clock.
    """
    longer = {name: there for name, there in arriving.vector.items() if there.position > head.reached(name).position}
    check_history(batch, head, arriving, longer)
    check_clock(arriving.vector, clock_milliseconds)
    if not longer:
        return 0
    if not may_leave_out(arriving.compared, head.vector, arriving.vector):
        return None
    intern_names(catalog, head, arriving)
    changed = join_ranges(batch, catalog, head, arriving)
    for origin, there in longer.items():
        first, digests = arriving.digests[origin]
        log.put_digests(batch, 0, origin, head.reached(origin).position + 1, digests[skip(head, origin, first) :])
        head.join(origin, there, arriving.authors.get(origin, {}))
        if head.scope is not None:
            head.partials.add(origin)
    head.txn += 1
    log.append_join(batch, head.txn, encode_join(head.vector, arriving.ranges))
    return changed


def skip(head: Head, origin: bytes, first: int) -> int:
    """How many bytes of digests are known here already."""
    return (head.reached(origin).position + 1 - first) * CHAIN_DIGEST_BYTES


def check_history(batch: Batch, head: Head, arriving: Arriving, longer: Mapping[bytes, Reached]) -> None:
    """Compare digests at the lower position of every common origin."""
    for origin, there in arriving.vector.items():
        here = head.reached(origin)
        if origin in longer:
            check_longer(head, origin, there, arriving.digests.get(origin))
        elif here.position and there.position:
            ours = log.chain_at(batch, origin, there.position)
            if ours != there.digest:
                raise divergence(origin, there.position, ours or b"", there.digest)


def check_longer(head: Head, origin: bytes, there: Reached, digests: ChainPart | None) -> None:
    """Compare at this store's position, where the snapshot knows more of an origin."""
    here = head.reached(origin)
    if origin == head.origin:
        message = "A peer knows more of this store's own origin: the store was restored and needs a new epoch."
        raise Divergence(message, origin=origin.hex(), position=there.position, ours="", theirs="")
    if digests is None or digests.first > max(1, here.position) or digests.at(there.position) != there.digest:
        raise MalformedMessage(f"The snapshot lacks chain digests of origin {origin.hex()}.")
    if here.position and digests.at(here.position) != here.digest:
        raise divergence(origin, here.position, here.digest, digests.at(here.position) or b"")


def check_clock(vector: VersionVector, clock_milliseconds: int) -> None:
    """Whether a snapshot is stamped within reach of this machine's clock."""
    ahead = to_milliseconds(greatest_timestamp(vector)) - clock_milliseconds
    if ahead > CLOCK_AHEAD_SECONDS_MAX * 1_000:
        message = f"The snapshot is stamped {ahead // 1_000} s ahead of this clock; at most"
        raise RecordAhead(f"{message} {CLOCK_AHEAD_SECONDS_MAX} s are accepted.", seconds=ahead // 1_000)


def intern_names(catalog: Catalog, head: Head, arriving: Arriving) -> None:
    """Make collections and replicas known before anything is written: both are bounded."""
    outside = next((name for name in arriving.collections if not holds(head.scope, name)), None)
    if outside is not None:
        message = f"The snapshot has collection {outside!r}; this store holds {format_scope(head.scope)}."
        raise MalformedMessage(message)
    catalog.begin()
    try:
        for name in sorted(arriving.collections):
            catalog.intern(name)
        for replica in sorted(arriving.replicas):
            catalog.replicas.intern(replica)
    except Exception:
        catalog.rollback()
        raise


def join_ranges(batch: Batch, catalog: Catalog, head: Head, arriving: Arriving) -> int:
    """Join the documents of every range; how many changed."""
    changed = 0
    waiting = Waiting(arriving.documents)
    for part in arriving.ranges:
        collection = catalog.by_name.get(part.collection)
        ours = local_rows(batch, collection, part) if collection else iter(())
        for row, arrived in pair_by_key(ours, waiting.documents_of(part)):
            changed += join_document(batch, catalog, head, part.collection, row, arrived, arriving.vector)
    if waiting.next is not None:
        raise AssertionError("The documents of a snapshot were not in the order of its ranges.")
    return changed


class Waiting:
    """Documents in the order of their ranges, and the one that comes next."""

    def __init__(self, documents: Iterable[Arrived]) -> None:
        self.documents = iter(documents)
        self.next = next(self.documents, None)

    def documents_of(self, part: KeyRange) -> Iterator[tuple[bytes, Arrived]]:
        """The documents of the next range, each behind its key."""
        while self.next is not None and self.next.collection == part.collection:
            key = id_key(self.next.id)
            if not in_range(part, key):
                return
            yield key, self.next
            self.next = next(self.documents, None)


def in_range(part: KeyRange, key: bytes) -> bool:
    """Whether a key lies in a range."""
    return part.start <= key and (part.end is None or key < part.end)


def pair_by_key(
    ours: Iterator[tuple[bytes, Row]], theirs: Iterator[tuple[bytes, Arrived]]
) -> Iterator[tuple[Row | None, Arrived | None]]:
    """Go through both in the order of their keys; what only one has stands alone."""
    mine, other = next(ours, None), next(theirs, None)
    while mine is not None or other is not None:
        first = min(side[0] for side in (mine, other) if side is not None)
        row = mine[1] if mine is not None and mine[0] == first else None
        arrived = other[1] if other is not None and other[0] == first else None
        yield row, arrived
        mine = next(ours, None) if row else mine
        other = next(theirs, None) if arrived else other


def local_rows(batch: Batch, collection: Collection, part: KeyRange) -> Iterator[tuple[bytes, Row]]:
    """This store's documents of a range behind their keys, some at a time: the batch is written to meanwhile."""
    start = collection.prefix + part.start
    end = (collection.number + 1).to_bytes(4, "big") if part.end is None else collection.prefix + part.end
    while True:
        rows = list(islice(batch.scan(Table.DOCUMENTS, start, end), ROWS))
        for key, value in rows:
            yield key[COLLECTION_NUMBER_BYTES:], split_row(collection, key, value)
        if len(rows) < ROWS:
            return
        start = rows[-1][0] + b"\0"


def join_document(
    batch: Batch,
    catalog: Catalog,
    head: Head,
    name: str,
    row: Row | None,
    arrived: Arrived | None,
    vector: VersionVector,
) -> bool:
    """Join one document, of which each side may have nothing; whether it changed."""
    collection = catalog.intern(name)
    id_ = row.id if row else arrived.id if arrived else b""
    before = unpack_document(row.document, collection.paths, catalog.replicas) if row else []
    after = join(before, arrived.cells if arrived else (), head.vector, vector)
    document = pack_document(after, collection.paths, catalog.replicas)
    stored = row.document if row else b""
    if document == stored:
        return False
    key = core.digest_key(name, id_)
    digests = [core.document_digest(data, collection.paths, catalog.replicas, key) for data in (document, stored)]
    plus, minus = (int.from_bytes(digest, "little") for digest in digests)
    put_document(batch, collection, id_, document)
    if collection.indexes:
        change_entries(batch, collection, catalog, id_, stored, document)
    change = ((plus - minus) % MODULUS).to_bytes(DIGEST_BYTES, "little")
    collection.count(bool(after) - bool(before), change, is_buried(after) - is_buried(before))
    return True
