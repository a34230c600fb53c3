"""A record is one transaction as bytes: what the log keeps, what stores send each other, what the chain hashes.

    [1, origin, position, actor, timestamp, [[origin, position, timestamp, digest], ...],
     [[collection, id, [operation, ...]], ...]]

Rules:
  - msgpack in its shortest form, and only what `encode_record` would write: a record has one spelling, because
    its bytes are hashed. `decode_record` refuses every other one.
  - Independent of any store: paths, ids and actors are spelled out.
  - The vector in it is the difference of the author vector from that of the same origin's previous record, and
    leaves out the origin itself (its previous record is observed by definition). Usually it is empty.
  - Documents are sorted by (collection, id), operations as `fold` orders them.

The format's document is `docs/record.md`. Compiled twin of the walk over operations: `ext/record.pxi`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import msgpack

from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.cell import ALL_TYPES
from crdtstore.crdt.identifier import decode_id
from crdtstore.crdt.operation import (
    ATTACH,
    BURY,
    CODES,
    INCREMENT,
    INITIAL,
    INITIAL_CODES,
    MARK,
    REMOVE,
    RESTART,
    START,
    WRITE,
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
from crdtstore.crdt.path import ROOT, is_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Value, check_number, check_value, decode_value, encode_value, pack
from crdtstore.crdt.vector import Reached
from crdtstore.errors import CrdtStoreError, MalformedRecord
from crdtstore.limits import ACTOR_BYTES, COLLECTION_BYTES_MAX

RECORD_VERSION = 1
U64_MAX = 2**64 - 1


class Change(NamedTuple):
    """The operations of one transaction on one document; `id` is encoded."""

    collection: str
    id: bytes
    operations: tuple[Operation, ...]


class Record(NamedTuple):
    """One transaction, decoded. `observed` is the author vector's difference."""

    origin: bytes
    position: int
    actor: bytes
    timestamp: int
    observed: Mapping[bytes, Reached]
    changes: tuple[Change, ...]

    @property
    def stamp(self) -> Stamp:
        """The stamp of everything that the transaction wrote."""
        return Stamp(self.timestamp, self.actor, self.origin)


class RecordHead(NamedTuple):
    """A record without its changes: what decides whether it may be applied."""

    origin: bytes
    position: int
    actor: bytes
    timestamp: int
    observed: Mapping[bytes, Reached]


class SplitRecord(NamedTuple):
    """A record whose operations stay encoded: (collection, encoded id, encoded operations) of each document."""

    origin: bytes
    position: int
    actor: bytes
    timestamp: int
    observed: Mapping[bytes, Reached]
    changes: list[tuple[str, bytes, bytes]]


def encode_operation(operation: Operation, flag: int = 0) -> bytes:
    """One operation as msgpack; `flag` is added to its code."""
    if isinstance(operation, Initial):
        return encode_operation(operation.write, INITIAL)
    code = CODES[type(operation)] | flag
    match operation:
        case Write(path, value) | Attach(path, value):
            return b"\x93" + pack(code) + pack(path) + value
        case Increment(path, (timestamp, actor, origin), delta):
            return pack([code, path, timestamp, actor, origin, delta])
    return pack([code, *operation])


def array_head(length: int) -> bytes:
    """The msgpack head of an array whose items follow."""
    head: bytes = msgpack.Packer().pack_array_header(length)
    return head


def encode_operations(operations: Iterable[Operation]) -> bytes:
    """The operations of one document."""
    encoded = [encode_operation(operation) for operation in operations]
    return array_head(len(encoded)) + b"".join(encoded)


def encode_record(
    stamp: Stamp,
    position: int,
    observed: Mapping[bytes, Reached],
    changes: Iterable[tuple[str, bytes, bytes]],
) -> bytes:
    """Encode a transaction.

    Args:
        stamp: Its timestamp, actor and origin.
        position: Its number among those of its origin, from 1.
        observed: The author vector's difference.
        changes: (collection, encoded id, encoded operations) of each document.
    """
    return join_record(stamp, position, observed, encode_changes(changes))


def encode_changes(changes: Iterable[tuple[str, bytes, bytes]]) -> bytes:
    """The documents of a transaction as a record lists them."""
    ordered = sorted(changes)
    documents = [b"\x93" + pack(collection) + pack(id_) + operations for collection, id_, operations in ordered]
    return array_head(len(documents)) + b"".join(documents)


def join_record(stamp: Stamp, position: int, observed: Mapping[bytes, Reached], documents: bytes) -> bytes:
    """A transaction whose documents are encoded: as `encode_record`."""
    head = pack([RECORD_VERSION, stamp.origin, position, stamp.actor, stamp.timestamp, observed_rows(observed)])
    return b"\x97" + head[1:] + documents


def observed_rows(observed: Mapping[bytes, Reached]) -> list[list[Any]]:
    """A vector's difference as a record lists it, by origin."""
    return [[origin, *reached] for origin, reached in sorted(observed.items())]


def decode_record(data: bytes) -> Record:
    """Read a record.

    Raises:
        MalformedRecord: Bytes that `encode_record` would not have written.
    """
    try:
        fields = msgpack.unpackb(data, raw=False, strict_map_key=False)
        record = check_record(fields)
    except MalformedRecord:
        raise
    except (CrdtStoreError, ValueError, TypeError, IndexError, KeyError, msgpack.UnpackException) as error:
        raise MalformedRecord(f"Bytes {data[:16].hex()} are not a record: {error}.") from None
    changes = [(change.collection, change.id, encode_operations(change.operations)) for change in record.changes]
    if encode_record(record.stamp, record.position, record.observed, changes) != data:
        raise MalformedRecord(f"The record at position {record.position} is not in canonical form.")
    return record


def split_record(data: bytes) -> SplitRecord:
    """Take a record of this store's own log apart; it was checked when it came, and is not checked again."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data)
    unpacker.read_array_header()
    _, origin, position, actor, timestamp, rows = (unpacker.unpack() for _ in range(6))
    changes = [split_change(unpacker, data) for _ in range(unpacker.read_array_header())]
    observed = {row[0]: Reached(*row[1:]) for row in rows}
    return SplitRecord(origin, position, actor, timestamp, observed, changes)


def split_change(unpacker: Any, data: bytes) -> tuple[str, bytes, bytes]:
    """The next document: collection, id, and its operations as they are encoded."""
    unpacker.read_array_header()
    collection, id_ = unpacker.unpack(), unpacker.unpack()
    start = unpacker.tell()
    unpacker.skip()
    return collection, id_, data[start : unpacker.tell()]


def read_head(data: bytes) -> RecordHead:
    """Check a record whole and read its head.

    Raises:
        MalformedRecord: Bytes that `encode_record` would not have written.
    """
    return RecordHead(*decode_record(data)[:5])


def check_record(fields: Any) -> Record:
    """Check the parts of a decoded record."""
    if not isinstance(fields, list) or len(fields) != 7 or fields[0] != RECORD_VERSION:
        raise MalformedRecord(f"A record is an array of 7 that begins with format {RECORD_VERSION}.")
    _, origin, position, actor, timestamp, observed, changes = fields
    vector = {check_origin(row[0]): check_reached(row[1:]) for row in observed}
    decoded = tuple(check_change(change) for change in changes)
    names = [change[:2] for change in decoded]
    if not decoded or len(set(names)) != len(names):
        raise MalformedRecord("A record names each document once, and at least one.")
    return Record(
        check_origin(origin),
        check_count(position),
        check_origin(actor),
        check_u64(timestamp),
        vector,
        decoded,
    )


def check_origin(value: Any) -> bytes:
    """16 bytes of an actor or origin."""
    if not isinstance(value, bytes) or len(value) != ACTOR_BYTES:
        raise MalformedRecord(f"An actor or origin has {ACTOR_BYTES} bytes.")
    return value


def check_u64(value: Any) -> int:
    """An unsigned 64-bit integer."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= U64_MAX:
        raise MalformedRecord("A timestamp or position is an unsigned 64-bit integer.")
    return value


def check_count(value: Any) -> int:
    """A position, from 1."""
    if check_u64(value) == 0:
        raise MalformedRecord("Positions count from 1.")
    return int(value)


def check_reached(row: list[Any]) -> Reached:
    """One entry of an author vector."""
    position, timestamp, digest = row
    return Reached(check_count(position), check_u64(timestamp), check_origin(digest))


def check_change(fields: Any) -> Change:
    """The operations on one document."""
    collection, encoded_id, operations = fields
    size = len(collection.encode()) if isinstance(collection, str) else 0
    if not 0 < size <= COLLECTION_BYTES_MAX or "\0" in collection:
        raise MalformedRecord(f"A collection's name has 1 to {COLLECTION_BYTES_MAX} bytes, none of them 0.")
    if not isinstance(encoded_id, bytes):
        raise MalformedRecord("A document's id is binary.")
    decode_id(encoded_id)
    decoded = tuple(check_operation(operation) for operation in operations)
    ranks = [rank(operation) for operation in decoded]
    if not ranks or any(left >= right for left, right in pairwise(ranks)):
        raise MalformedRecord("A record's operations on a document are in order, each place once, and at least one.")
    if len(decoded) > 1 and any(isinstance(operation, Bury) for operation in decoded):
        raise MalformedRecord("A grave is the only operation on its document.")
    return Change(collection, encoded_id, decoded)


def rank(operation: Operation) -> tuple[int, bytes, Stamp | None]:
    """The order of operations: removals, then at most one cell a path, then one increment an instance."""
    match operation:
        case Remove(path):
            return 0, path, None
        case Increment(path, instance):
            return 2, path, instance
    return 1, operation.path, None


def check_operation(fields: Any) -> Operation:
    """One operation; its path and value are within the value model and the limits."""
    code, path, *rest = fields
    if not isinstance(path, bytes) or not is_path(path):
        raise MalformedRecord("An operation's path is not in its canonical encoding.")
    return build_operation(code, path, rest)


def build_operation(code: int, path: bytes, rest: list[Value]) -> Operation:
    """Make an operation of its decoded fields."""
    if code in INITIAL_CODES:
        write = build_operation(code ^ INITIAL, path, rest)
        assert isinstance(write, Write | Mark | Restart | Attach)
        return Initial(write)
    match code, rest:
        case (0, [int() as types]) if code == REMOVE and 0 < types <= ALL_TYPES and types & ~ALL_TYPES == 0:
            return Remove(path, types)
        case (1, [value]) if code == WRITE:
            check_value(value)
            return Write(path, encode_value(value))
        case (2, []) if code == MARK:
            return Mark(path)
        case (3, [amount]) if code == START:
            return Start(path, check_number(amount))
        case (4, [start]) if code == RESTART:
            return Restart(path, check_number(start))
        case (5, [timestamp, actor, origin, delta]) if code == INCREMENT:
            stamp = Stamp(check_u64(timestamp), check_origin(actor), check_origin(origin))
            return Increment(path, stamp, check_number(delta))
        case (6, [value]) if code == ATTACH:
            return Attach(path, encode_token(value))
        case (7, []) if code == BURY and path == ROOT:
            return Bury(path)
    raise MalformedRecord(f"Operation {code} with {len(rest)} fields is unknown.")


def decode_operations(data: bytes) -> tuple[Operation, ...]:
    """Read the operations of one document that this process encoded."""
    return tuple(build_operation(fields[0], fields[1], fields[2:]) for fields in decode_value(data))
