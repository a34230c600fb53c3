"""Delivery decides whether a record from elsewhere may be applied, and applies it.

Rules, in this order:
  - a record that was applied already is skipped, after its chain digest was compared: another history under
    the same origin and position is `Divergence`, never a merge;
  - positions of an origin come without gaps (`PositionGap`), timestamps strictly increase;
  - delivery is causal: the receiver's vector covers the author vector (`NotCausal`), and agrees with it on the
    digests of what both hold (`Divergence`);
  - a record stamped CLOCK_AHEAD_SECONDS_MAX ahead of this clock stops the delivery before it (`RecordAhead`);
  - a record is applied whole. A local limit never skips one: it stops the delivery;
  - only a store that holds a list of collections takes cut records and advances (`crdt/entry.py`). What advances
    told of author vectors was not checked when they came, so there every record is held to its whole author vector.

Planted bug in `tests/laws`: `NoCausalityCheck`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore import core
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.entry import Advance, Entry, decode_advance, is_advance
from crdtstore.crdt.record import RecordHead, decode_record, encode_operations
from crdtstore.crdt.scope import format_scope, holds
from crdtstore.crdt.timestamp import from_milliseconds, to_milliseconds
from crdtstore.crdt.vector import NOWHERE, Reached
from crdtstore.errors import CrdtStoreError, Divergence, MalformedRecord, NotCausal, PositionGap, RecordAhead
from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX
from crdtstore.storage import log
from crdtstore.storage.documents import get_document, put_document
from crdtstore.storage.index_entries import change_entries
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Sequence

    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch


def deliver_entries(
    batch: Batch, catalog: Catalog, head: Head, entries: Sequence[Entry], clock_milliseconds: int
) -> Iterator[bool]:
    """Apply entries of another store's log in order; for each, whether it was applied now.

    Raises:
        ReplicationError: As `deliver`; the entries before it were applied.
    """
    whole = [entry.data for entry in entries if entry.digest is None]
    if head.scope is None and len(whole) == len(entries):
        yield from deliver_all(batch, catalog, head, whole, clock_milliseconds)
        return
    for entry in entries:
        if is_advance(entry.data):
            yield deliver_advance(batch, head, entry.data, clock_milliseconds)
        else:
            yield deliver(batch, catalog, head, entry.data, clock_milliseconds, entry.digest)


def deliver_all(
    batch: Batch, catalog: Catalog, head: Head, records: Sequence[bytes], clock_milliseconds: int
) -> Iterator[bool]:
    """Apply records in order; for each, whether it was applied now.

    Raises:
        ReplicationError: As `deliver`; the records before it were applied.
    """
    index = 0
    while index < len(records):
        for _ in range(run := deliver_run(batch, catalog, head, records, index, clock_milliseconds)):
            yield True
        index += run
        if index < len(records):
            yield deliver(batch, catalog, head, records[index], clock_milliseconds)
            index += 1


def deliver_run(
    batch: Batch, catalog: Catalog, head: Head, records: Sequence[bytes], start: int, clock_milliseconds: int
) -> int:
    """Apply the records from `start` on that are simply next, in the compiled core; how many those were."""
    if core.Batch is None or not isinstance(batch, core.Batch):
        return 0
    latest = from_milliseconds(clock_milliseconds + CLOCK_AHEAD_SECONDS_MAX * 1_000)
    applied: int = core.deliver_run(
        batch, catalog, head, records, start, latest, Table.DOCUMENTS, Table.LOG, Table.POSITIONS
    )
    return applied


def deliver(
    batch: Batch,
    catalog: Catalog,
    head: Head,
    data: bytes,
    clock_milliseconds: int,
    cut_digest: bytes | None = None,
) -> bool:
    """Apply a record, or skip it because it was applied already.

    Args:
        batch: The group's.
        catalog: The store's names.
        head: Where the log stands; advanced by an applied record.
        data: The record.
        clock_milliseconds: The clock's reading.
        cut_digest: The chain digest of a cut record, as it was told; None for a whole one.

    Returns:
        Whether it was applied now.

    Raises:
        MalformedRecord: Not a canonical record.
        PositionGap: Records before it are missing.
        NotCausal: It depends on a transaction that was not applied here.
        Divergence: Another history exists under an origin of it.
        RecordAhead: It is stamped too far ahead of this clock.
    """
    record: RecordHead = core.read_head(data)
    reached = head.reached(record.origin)
    if record.position <= reached.position:
        check_same(batch, record, data, cut_digest)
        return False
    check_scope(head, data, cut_digest)
    check_next(head, record.origin, record.position)
    check_time(head, record)
    check_causal(batch, head, record)
    check_clock(record, clock_milliseconds)
    catalog.begin()
    try:
        apply_record(batch, catalog, head, record, data)
    except CrdtStoreError:
        catalog.rollback()
        raise
    if cut_digest is None:
        digest = log.append(batch, head.txn + 1, record.origin, record.position, reached.digest, data)
    else:
        digest = cut_digest
        log.append_cut(batch, head.txn + 1, record.origin, record.position, digest, data)
        head.partials.add(record.origin)
    head.advance(record.origin, Reached(record.position, record.timestamp, digest), record.observed)
    return True


def deliver_advance(batch: Batch, head: Head, data: bytes, clock_milliseconds: int) -> bool:
    """Take an origin forward over records that have nothing in this store's scope, unless it is there already.

    Raises:
        ReplicationError: As `deliver`, but for NotCausal: an advance changes no document.
    """
    advance = decode_advance(data)
    if head.scope is None:
        raise MalformedRecord("A store of everything takes every record whole; an advance was given.")
    check_digests(batch, head, advance)
    reached = head.reached(advance.origin)
    if advance.position <= reached.position:
        return False
    check_next(head, advance.origin, max(advance.first, reached.position + 1))
    check_time(head, advance)
    check_clock(advance, clock_milliseconds)
    log.append_advance(batch, head.txn + 1, advance, data)
    head.partials.add(advance.origin)
    head.coverage(advance.origin, advance.observed)
    head.advance(advance.origin, Reached(advance.position, advance.timestamp, advance.digest), advance.observed)
    return True


def check_digests(batch: Batch, head: Head, advance: Advance) -> None:
    """Compare the digests of an advance with those of the positions that were reached here before."""
    last = min(advance.position, head.reached(advance.origin).position)
    for position in range(advance.first, last + 1):
        at = (position - advance.first) * CHAIN_DIGEST_BYTES
        ours, theirs = log.chain_at(batch, advance.origin, position), advance.digests[at : at + CHAIN_DIGEST_BYTES]
        if ours is not None and ours != theirs:
            raise divergence(advance.origin, position, ours, theirs)


def check_same(batch: Batch, record: RecordHead, data: bytes, cut_digest: bytes | None) -> None:
    """Compare a record with the one that was applied at its position."""
    ours = log.chain_at(batch, record.origin, record.position)
    before = log.chain_at(batch, record.origin, record.position - 1) if record.position > 1 else NOWHERE.digest
    if before is None or ours is None:
        return
    theirs = cut_digest or core.chain_digest(before, data)
    if theirs != ours:
        raise divergence(record.origin, record.position, ours, theirs)


def check_scope(head: Head, data: bytes, cut_digest: bytes | None) -> None:
    """Whether a record may stand in this store's log: whole, or cut to what the store holds."""
    if head.scope is None:
        if cut_digest is not None:
            raise MalformedRecord("A store of everything takes every record whole; a cut one was given.")
        return
    for change in decode_record(data).changes:
        if not holds(head.scope, change.collection):
            message = f"The record changes collection {change.collection!r}; this store holds"
            raise MalformedRecord(f"{message} {format_scope(head.scope)}.")


def divergence(origin: bytes, position: int, ours: bytes, theirs: bytes) -> Divergence:
    """The error for two histories under one origin."""
    return Divergence(
        f"Origin {origin.hex()} has two histories at position {position}: {ours.hex()} here, {theirs.hex()} there.",
        origin=origin.hex(),
        position=position,
        ours=ours.hex(),
        theirs=theirs.hex(),
    )


def check_next(head: Head, origin: bytes, position: int) -> None:
    """Whether a position is the next of its origin."""
    expected = head.reached(origin).position + 1
    if origin == head.origin:
        message = "A record of this store's own origin is unknown here: the store was restored and needs a new epoch."
        raise Divergence(message, origin=origin.hex(), position=position, ours="", theirs="")
    if position != expected:
        message = f"Origin {origin.hex()}: position {expected} comes next, {position} was given."
        raise PositionGap(message, origin=origin.hex(), expected=expected, got=position)


def check_time(head: Head, record: RecordHead | Advance) -> None:
    """Whether a record is stamped later than what it follows and what it observed."""
    reached = head.reached(record.origin)
    observed = max((other.timestamp for other in record.observed.values()), default=0)
    if record.timestamp <= max(reached.timestamp, observed) or record.origin in record.observed:
        raise MalformedRecord(f"The record at position {record.position} is not stamped later than what it observed.")


def check_causal(batch: Batch, head: Head, record: RecordHead) -> None:
    """Whether all that a record observed was applied here, with the same history."""
    needed = record.observed if head.scope is None else {**head.authors.get(record.origin, {}), **record.observed}
    for origin, needs in needed.items():
        has = head.reached(origin)
        if needs.position > has.position:
            message = (
                f"The record needs position {needs.position} of origin {origin.hex()}; this store has {has.position}."
            )
            raise NotCausal(message, origin=origin.hex(), needs=needs.position, has=has.position)
        ours = has.digest if needs.position == has.position else log.chain_at(batch, origin, needs.position)
        if ours is not None and ours != needs.digest:
            raise divergence(origin, needs.position, ours, needs.digest)


def check_clock(record: RecordHead | Advance, clock_milliseconds: int) -> None:
    """Whether a record is stamped within reach of this machine's clock."""
    ahead = to_milliseconds(record.timestamp) - clock_milliseconds
    if ahead > CLOCK_AHEAD_SECONDS_MAX * 1_000:
        message = (
            f"The record at position {record.position} is stamped {ahead // 1_000} s ahead of this clock; at most "
            f"{CLOCK_AHEAD_SECONDS_MAX} s are accepted."
        )
        raise RecordAhead(message, origin=record.origin.hex(), position=record.position, seconds=ahead // 1_000)


def apply_record(batch: Batch, catalog: Catalog, head: Head, record: RecordHead, data: bytes) -> None:
    """Merge a record's operations into its documents, all or none."""
    replica = catalog.replicas.intern(record.actor + record.origin)
    coverage = head.coverage(record.origin, record.observed)
    if core.apply_changes is None or not core.apply_changes(batch, catalog, data, replica, coverage, Table.DOCUMENTS):
        apply_changes(batch, catalog, data, replica, coverage)


def apply_changes(batch: Batch, catalog: Catalog, data: bytes, replica: int, coverage: array[int]) -> None:
    """The same, one document after the other; every collection is made known before anything is written."""
    record = decode_record(data)
    collections = [catalog.intern(change.collection) for change in record.changes]
    for collection, change in zip(collections, record.changes, strict=True):
        before = get_document(batch, collection, change.id)
        digest = bytearray(16)
        after = core.merge_document(
            before,
            encode_operations(change.operations),
            record.timestamp,
            replica,
            coverage,
            collection.paths,
            catalog.replicas,
            core.digest_key(change.collection, change.id),
            digest,
        )
        if after != before:
            put_document(batch, collection, change.id, after)
            if collection.indexes:
                change_entries(batch, collection, catalog, change.id, before, after)
        collection.count(bool(after) - bool(before), bytes(digest), is_grave(after) - is_grave(before))
