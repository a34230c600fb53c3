"""Targets of what stores send each other: records, entries, frames, snapshots, messages."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgpack

from crdtstore import _core, core
from crdtstore.crdt import entry, record
from crdtstore.crdt.entry import Advance, KeyRange
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.operation import Write
from crdtstore.crdt.record import encode_operations, encode_record
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.vector import Reached
from crdtstore.errors import CrdtStoreError, MalformedMessage, MalformedRecord, ReplicationError, RetryLater
from crdtstore.replication import columns, frame, message, snapshot
from crdtstore.replication.answer import answer
from crdtstore.replication.pins import Pins
from crdtstore.store import Store
from tests.core import test_record
from tests.core.merging import ACTORS, ORIGINS
from tests.fuzz.engine import Target
from tests.fuzz.seeds import collect, different
from tests.fuzz.twins import both
from tests.replication import frames, test_snapshot_fuzz
from tests.replication.snapshots import deflated, inflated
from tests.replication.worlds import make, put, rows

# --- records and entries ---


@cache
def record_seeds() -> list[bytes]:
    return different(collect(test_record.records(), 120))


def encode_again(data: bytes) -> bytes:
    """A record, decoded and encoded."""
    decoded = record.decode_record(data)
    changes = [(change.collection, change.id, encode_operations(change.operations)) for change in decoded.changes]
    return encode_record(decoded.stamp, decoded.position, decoded.observed, changes)


def check_record(data: bytes, _taken: Any) -> None:
    same = encode_again(data) == data
    assert same


@cache
def next_records() -> list[bytes]:
    """Records that an empty store takes: the first of their origin, of a clock that it can believe."""
    firsts = []
    for data in record_seeds():
        decoded = record.decode_record(data)
        changes = [(change.collection, change.id, encode_operations(change.operations)) for change in decoded.changes]
        stamp = decoded.stamp._replace(timestamp=(decoded.timestamp % 1_600_000_000_000 << 16) + 100)
        firsts.append(encode_record(stamp, 1, {}, changes))
    return different(firsts)


UNTOUCHED: list[Store] = []
"""An empty store of this process that refused all that it was given so far: the next case is given to it."""


@cache
def empty_tables() -> object:
    """What the tables of an empty store hold."""
    return make(9).storage.tables  # type: ignore[attr-defined]


def apply(data: bytes) -> Store:
    """Apply a record to an empty store, on which a refusal must leave no trace.

    Most cases have no head of a record: they are refused alike, before the store is looked at, and one in eight of them
    is given to it.
    """
    if sum(data) % 8:
        core.read_head(data)
    store = UNTOUCHED.pop() if UNTOUCHED else make(9)
    try:
        store.apply([data])
    except CrdtStoreError:
        traces = store.applied or store.collections() or store.digest().strip(b"\0")
        assert not traces, traces
        same = store.storage.tables == empty_tables()  # type: ignore[attr-defined]
        assert same, "rows are left"
        UNTOUCHED.append(store)
        raise
    return store


def check_applied(data: bytes, store: Store) -> None:
    """The log holds the record as it came, and every document can be read."""
    with store:
        same = [line.record for line in store.changes()] == [data]
        assert same
        for collection in store.collections():
            for document in store.scan(collection):
                assert store.get_json(collection, document.id) is not None


def advance_seeds() -> list[bytes]:
    seen = {ORIGINS[1]: Reached(3, 900, bytes(16)), ORIGINS[2]: Reached(2**40, 2**63, b"d" * 16)}
    made = [Advance(ORIGINS[0], at, at << 16, seen if at % 2 else {}, bytes(16 * at)) for at in (1, 2, 7, 40)]
    return [entry.encode_advance(advance) for advance in made]


def check_advance(data: bytes, taken: Advance) -> None:
    same = entry.encode_advance(taken) == data
    assert same
    assert taken.first >= 1
    assert 0 <= taken.timestamp < 2**64
    assert len(taken.digests) % 16 == 0


def join_seeds() -> list[bytes]:
    seen = {ORIGINS[1]: Reached(3, 900, bytes(16)), ORIGINS[2]: Reached(2**40, 2**63, b"d" * 16)}
    ranges = [KeyRange("a"), KeyRange("cities", b"\x20a", b"\x20b"), KeyRange("", b"\x10", None)]
    return [entry.encode_join(seen, ranges), entry.encode_join({}, []), entry.encode_join(seen, ranges[:1])]


# --- frames ---


@cache
def frame_seeds() -> list[bytes]:
    kinds = [frames.updates(kind, 4) for kind in frames.UPDATES.values()]
    made = [*collect(frames.frames(), 40), *kinds, frames.conversation(6, seen=True), frames.wide(6)]
    return different([frame.encode_frame(one) for one in made], 4_096)


@cache
def body_seeds() -> list[bytes]:
    return different([frame.inflate(data) for data in frame_seeds()], 4_096)


def undeflated(data: bytes) -> bytes:
    """A frame of columns that are not deflated."""
    return bytes([frame.FRAME_FORMAT, 0]) + data


def check_frame(_data: bytes, taken: frame.Frame) -> None:
    same = frame.decode_frame(frame.encode_frame(taken)) == taken
    assert same


@cache
def first_bodies() -> list[bytes]:
    """Frames that an empty store takes: two origins from their first positions on, one having seen the other."""
    made = []
    for count, write in ((1, b"\x07"), (3, b"\xa3abc"), (7, b"\x91\xc0")):
        builder = frames.Builder({origin: (0, bytes(16)) for origin in ORIGINS[:2]})
        for at in range(count):
            change = ("people", encode_id(at % 2), encode_operations([Write(b"age\0", write)]))
            seen = dict(builder.known[-1:]) if at % 3 else {}
            origin = ORIGINS[at % 2]
            builder.record(
                Stamp(at + 100 << 16, ACTORS[at % 3], origin), {**seen} if origin not in seen else {}, [change]
            )
        made.append(frame.inflate(frame.encode_frame(builder.frame())))
    return made


def deliver(data: bytes) -> None:
    """Deliver a frame's entries to an empty store."""
    taken = frame.decode_frame(undeflated(data))
    store = UNTOUCHED.pop() if UNTOUCHED else make(9)
    try:
        store.deliver(taken.entries, taken.chains)
    finally:
        if store.storage.tables == empty_tables():  # type: ignore[attr-defined]
            UNTOUCHED.append(store)
        else:
            store.close()


ROWS = 5


def column_seeds() -> list[bytes]:
    some = [[1, 2, 3, 4, 5], [7] * 5, [0] * 5, [2**64 - 1, 0, 2**32, 255, 256]]
    return [columns.write_columns([one, other]) for one in some for other in some]


def read_columns(data: bytes) -> list[list[int]]:
    reader = columns.Reader(data)
    reader.begin_columns()
    taken = [reader.column(ROWS, 2**64 - 1), reader.column(ROWS, 2**64 - 1)]
    reader.close()
    return taken


def check_columns(_data: bytes, taken: list[list[int]]) -> None:
    same = read_columns(columns.write_columns(taken)) == taken
    assert same


# --- snapshots ---


def snapshot_target(name: str) -> Target:
    kind = test_snapshot_fuzz.KINDS[name]

    def check(data: bytes, taken: Any) -> None:
        kind.check(taken)
        same = inflated(kind.encode(taken)) == data
        assert same

    decode = f"decode_{name.removesuffix('s') if name == 'heads' else name}"
    return Target(
        f"snapshot-{name}",
        lambda data: getattr(snapshot, decode)(deflated(data)),
        (MalformedMessage,),
        cache(lambda: kind.samples()),
        check,
    )


# --- messages ---


@cache
def request_seeds() -> list[bytes]:
    key, digest = b"\x20a", b"d" * 16
    rows_ = ((ORIGINS[1], 3, digest, True), (ORIGINS[2], 2**40, digest, False))
    ranges = (("a", key, key + b"z"), ("b", b"", None))
    whole = (message.EXCHANGE_FORMAT, None, ORIGINS[0])
    ask: list[message.Request] = [
        message.Hello(message.EXCHANGE_FORMAT, ("a", "b"), ORIGINS[0], ORIGINS[1], digest, 2.5),
        message.Hello(*whole, ORIGINS[1], digest),
        message.Pull(*whole, rows_, 1_000, 0.5),
        message.Pull(*whole, (), 1_000),
        message.Push(*whole, min(frame_seeds(), key=len)),
        message.Open(message.EXCHANGE_FORMAT, ("a",), ORIGINS[0], rows_),
        message.Open(*whole, ()),
        message.Sums(*whole, 0, ranges),
        message.Fetch(*whole, 0, ranges[:1]),
        message.Chain(*whole, 0, ORIGINS[1], 1, 5),
        message.Close(*whole, 1),
    ]
    return [message.encode(one) for one in ask]


def check_message(decode: Callable[[bytes], Any]) -> Callable[[bytes, Any], None]:
    def check(_data: bytes, taken: Any) -> None:
        same = decode(message.encode(taken)) == taken
        assert same

    return check


ANSWERING: list[Any] = []
"""A store with a document, and what it was like; made once in each process, since answering changes nothing."""


def answered(data: bytes) -> None:
    """Let a store answer, which changes nothing but by entries that it takes."""
    if not ANSWERING:
        store = make(1)
        put(store, 1, x=1)
        ANSWERING.extend([store, Pins(), rows(store)])
    store, pins, before = ANSWERING
    given = answer(store, data, pins)
    if isinstance(given, bytes) and given[1:2] == b"\x00":
        message.decode_answer(given)
    if rows(store) != before:
        ANSWERING.clear()


UNREADABLE = (MalformedMessage, ValueError, TypeError, LookupError, OverflowError, msgpack.UnpackException)
"""What `decode_frame` makes MalformedMessage of."""

REFUSED = (ReplicationError, RetryLater)
TARGETS = [
    Target(
        "record-head",
        both(lambda data: _core.read_head(data), lambda data: record.read_head(data)),
        (MalformedRecord,),
        record_seeds,
        check_record,
        form="msgpack",
    ),
    Target("record-apply", apply, (CrdtStoreError,), next_records, check_applied, form="msgpack"),
    Target(
        "entry-advance",
        lambda data: entry.decode_advance(data),
        (MalformedRecord,),
        advance_seeds,
        check_advance,
        form="msgpack",
    ),
    Target("entry-join", lambda data: entry.decode_join(data), (MalformedRecord,), join_seeds, form="msgpack"),
    Target("frame", lambda data: frame.decode_frame(data), (MalformedMessage,), frame_seeds, check_frame),
    Target(
        "frame-body",
        lambda data: frame.decode_frame(undeflated(data)),
        (MalformedMessage,),
        body_seeds,
        check_frame,
        form="msgpack",
    ),
    Target("frame-deliver", deliver, (CrdtStoreError,), first_bodies, form="msgpack"),
    Target("frame-columns", read_columns, UNREADABLE, column_seeds, check_columns, form="msgpack"),
    snapshot_target("documents"),
    snapshot_target("heads"),
    Target(
        "message-request",
        lambda data: message.decode_request(data),
        (MalformedMessage,),
        request_seeds,
        check_message(message.decode_request),
        form="msgpack",
    ),
    Target("message-answered", answered, REFUSED, request_seeds, form="msgpack"),
]
