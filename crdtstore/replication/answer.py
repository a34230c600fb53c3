"""The side that answers: one request in, one answer out, nothing kept between but pinned snapshots.

Rules: a peer in quarantine gets nothing. What goes out is read from one snapshot, so it is durable and of one
version. Histories are compared before records or documents are given. What arrives is applied by the same delivery
as always, and must lie within the scope that the other claims, which is what its caller was allowed. A store that
hears that somebody knows more of its current origin takes a new epoch at once. An error is answered as a message; what
is no request at all is raised, and so is what the machine or its operator must mend, which is not the other's to read.

Not here: who may ask (`demands` says what must be allowed), in which order is asked (`exchange`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from crdtstore.crdt.document import DIGEST_BYTES
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.entry import Entry, KeyRange, is_record
from crdtstore.crdt.record import decode_record
from crdtstore.crdt.scope import Scope, format_scope, holds, includes
from crdtstore.crdt.vector import vector_digest
from crdtstore.errors import CrdtStoreError, Divergence, MalformedMessage, ScopeMismatch, StoreError
from crdtstore.limits import DIGESTS_MAX, FRAME_BYTES_TARGET, RANGE_PARTS
from crdtstore.replication.compare import (
    Rows,
    compare,
    documents_digest,
    knows_more,
    rows_of,
    unequal_documents,
)
from crdtstore.replication.frame import Frame, decode_frame, encode_frame
from crdtstore.replication.message import (
    SHORT,
    Answer,
    Chain,
    Close,
    Closed,
    Digests,
    Documents,
    Equal,
    Fetch,
    Hello,
    Open,
    Opened,
    Parts,
    Pull,
    Push,
    Records,
    Request,
    Reseed,
    Sums,
    Taken,
    Unequal,
    decode_request,
    encode,
    fault_of,
)
from crdtstore.replication.missing import below_floor, first_missing, head_of, missing
from crdtstore.replication.peers import check_peer, note_peer, quarantine
from crdtstore.replication.snapshot import SnapshotDocument, SnapshotHead, encode_documents, encode_head
from crdtstore.storage.log import chain_at
from crdtstore.storage.ranges import Ranges, refresh_job

if TYPE_CHECKING:
    from crdtstore.replication.pins import Pin, Pins
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Snapshot
    from crdtstore.storage.range_table import Sum
    from crdtstore.store import Store


class Later(NamedTuple):
    """Nothing is new: ask again when transaction `txn` is applied, or after so many seconds."""

    txn: int
    seconds: float


def demands(request: bytes) -> tuple[Literal["read", "write"], Scope]:
    """What a caller must be allowed to do, and with which collections.

    Raises:
        MalformedMessage: These bytes are no request.
    """
    asked = decode_request(request)
    return ("write" if isinstance(asked, Push) else "read"), asked.scope


def answer(store: Store, request: bytes, pins: Pins, *, waited: bool = False) -> bytes | Later:
    """Answer a request.

    Args:
        store: The store that is asked.
        request: A message.
        pins: The store's pinned snapshots.
        waited: Whether the caller has waited as it was told before.

    Raises:
        MalformedMessage: These bytes are no request.
        StoreError: This store failed.
    """
    asked, applied = decode_request(request), store.applied
    try:
        with store.storage.snapshot() as snapshot:
            check_peer(snapshot, asked.origin)
        given = HANDLERS[type(asked)](store, asked, pins)
    except Divergence as error:
        quarantine(store, asked.origin, error)
        given = fault_of(error)
    except StoreError:
        raise
    except CrdtStoreError as error:
        given = fault_of(error)
    if isinstance(asked, Hello | Pull) and asked.wait_seconds and not waited and is_nothing_new(given):
        return Later(applied + 1, asked.wait_seconds)
    return encode(given)


def is_nothing_new(given: Answer) -> bool:
    """Whether an answer has nothing for who asked, so that it may wait."""
    return isinstance(given, Equal) or (isinstance(given, Records) and not given.frame)


def hello(store: Store, asked: Hello, _pins: Pins) -> Answer:
    """Say whether both are equal."""
    with store.storage.snapshot() as snapshot:
        head = head_of(snapshot)
        if vector_digest(head.vector) != asked.vector:
            return Unequal(head.origin)
        if includes(head.scope, asked.scope):
            ours = documents_digest(snapshot, asked.scope)
            if ours != asked.documents:
                raise unequal_documents(ours, asked.documents)
        note_peer(store, snapshot, asked.origin, head.txn)
        return Equal(head.origin)


def pull(store: Store, asked: Pull, _pins: Pins) -> Answer:
    """Give what the other lacks, after both histories were compared."""
    with store.storage.snapshot() as snapshot:
        head = compared(store, snapshot, asked.rows)
        positions = {origin: position for origin, position, _, _ in asked.rows}
        mine = (head.origin, head.scope, rows_of(head))
        if below_floor(head, asked.scope, positions):
            if not includes(head.scope, asked.scope):
                raise ScopeMismatch("The log no longer reaches back, and a snapshot of this scope would not do.")
            return Reseed(*mine)
        note_peer(store, snapshot, asked.origin, first_missing(snapshot, head, asked.scope, positions) - 1)
        if not asked.bytes_max:
            return Records(*mine, b"", more=False)
        size = min(asked.bytes_max, FRAME_BYTES_TARGET)
        entries, chains, more = missing(snapshot, head, asked.scope, positions, size)
    return Records(*mine, encode_frame(Frame(entries, chains)) if entries else b"", more)


def compared(store: Store, snapshot: Snapshot, rows: Rows) -> Head:
    """This store's head, after its history was compared with the other's."""
    head = head_of(snapshot)
    compare(snapshot, head, rows)
    if knows_more(head, rows) and not store.storage.read_only:
        head.origin = store.renew_epoch()
    return head


def push(store: Store, asked: Push, _pins: Pins) -> Answer:
    """Take what this store lacks."""
    frame = decode_frame(asked.frame)
    check_within(frame.entries, asked.scope)
    applied = store.deliver(frame.entries, frame.chains)
    return Taken(applied.applied, applied.skipped)


def check_within(entries: Sequence[Entry], scope: Scope) -> None:
    """Refuse what lies outside of the scope that the other store claims: that is what its caller was allowed.

    Raises:
        ScopeMismatch: A record has a change outside; nothing was applied.
    """
    if scope is None:
        return
    for entry in entries:
        for change in decode_record(entry.data).changes if is_record(entry.data) else ():
            if not holds(scope, change.collection):
                message = f"A record has a change in collection {change.collection!r}; told was {format_scope(scope)}."
                raise ScopeMismatch(message)


def open_(store: Store, asked: Open, pins: Pins) -> Answer:
    """Pin a snapshot, after both histories were compared."""
    while not store.storage.read_only and store.run(refresh_job):
        pass
    snapshot = store.storage.snapshot()
    try:
        return pinned(store, asked, pins, snapshot)
    except BaseException:
        snapshot.close()
        raise


def pinned(store: Store, asked: Open, pins: Pins, snapshot: Snapshot) -> Answer:
    """Keep a snapshot for a join."""
    head = compared(store, snapshot, asked.rows)
    if not includes(head.scope, asked.scope):
        raise ScopeMismatch("A snapshot is given to a store of the same or a narrower scope.")
    ranges = Ranges(snapshot, store.sequencer.catalog)
    totals = tuple((part.collection, total.documents, spelled(total)) for part, total in ranges.sums(asked.scope))
    told = encode_head(SnapshotHead(head.vector, head.authors))
    return Opened(pins.add((asked.origin, asked.scope), snapshot, head, ranges), told, totals)


def spelled(total: Sum) -> bytes:
    """A sum's digest as bytes."""
    return total.digest.to_bytes(DIGEST_BYTES, "little")


def sums(_store: Store, asked: Sums, pins: Pins) -> Answer:
    """Divide ranges of a pinned snapshot."""
    with pins.reading(asked.token, (asked.origin, asked.scope)) as pin:
        return Parts(tuple(tuple(divide(pin, part)) for part in ranges_of(asked)))


def ranges_of(asked: Sums | Fetch) -> Iterator[KeyRange]:
    """The ranges of a request; only those of its scope, which is what its caller was allowed.

    Raises:
        MalformedMessage: One lies outside.
    """
    for collection, start, end in asked.ranges:
        if not holds(asked.scope, collection) or (end is not None and end <= start):
            raise MalformedMessage(f"A range of collection {collection!r} is empty or outside of the scope.")
        yield KeyRange(collection, start, end)


def divide(pin: Pin, part: KeyRange) -> Iterator[tuple[bytes, int, int]]:
    """The parts of a range: where each begins, its documents, the lower half of their digest."""
    for inner, total in pin.ranges.split(part, RANGE_PARTS):
        yield inner.start, total.documents, total.digest % SHORT


def fetch(store: Store, asked: Fetch, pins: Pins) -> Answer:
    """Give the documents of ranges of a pinned snapshot, as many as one block takes."""
    with pins.reading(asked.token, (asked.origin, asked.scope)) as pin:
        found = documents_of(store, pin, asked)
        documents: list[SnapshotDocument] = []
        size = 0
        for document, length in found:
            documents.append(document)
            size += length
            if size >= FRAME_BYTES_TARGET:
                break
        return Documents(encode_documents(documents) if documents else b"", next(found, None) is not None)


def documents_of(store: Store, pin: Pin, asked: Fetch) -> Iterator[tuple[SnapshotDocument, int]]:
    """The documents of ranges, each with its stored size."""
    catalog = store.sequencer.catalog
    for part in ranges_of(asked):
        known = catalog.by_name.get(part.collection)
        if known is None:
            continue
        for row in pin.ranges.rows(part):
            cells = unpack_document(row.document, known.paths, catalog.replicas)
            yield SnapshotDocument(part.collection, row.id, tuple(cells)), len(row.document)


def chain(_store: Store, asked: Chain, pins: Pins) -> Answer:
    """Give chain digests of one origin."""
    if not 0 <= asked.last - asked.first < DIGESTS_MAX:
        raise MalformedMessage(f"At most {DIGESTS_MAX} chain digests are given at once.")
    with pins.reading(asked.token, (asked.origin, asked.scope)) as pin:
        known = [chain_at(pin.snapshot, asked.of, at) for at in range(asked.first, asked.last + 1)]
    if None in known:
        raise MalformedMessage(f"Not all of these positions of origin {asked.of.hex()} were reached here.")
    return Digests(b"".join(digest for digest in known if digest))


def close(_store: Store, asked: Close, pins: Pins) -> Answer:
    """Let go of a pinned snapshot."""
    pins.remove(asked.token, (asked.origin, asked.scope))
    return Closed()


HANDLERS: dict[type[Request], Callable[[Store, Any, Pins], Answer]] = {
    Hello: hello,
    Pull: pull,
    Push: push,
    Open: open_,
    Sums: sums,
    Fetch: fetch,
    Chain: chain,
    Close: close,
}
