"""Targets of document bytes: read, printed, digested and merged by both cores.

Rules: bytes that `pack_document` could have written are read by both cores alike. Of all others only this is asked:
that they are refused as `Corrupted`, or read in some way that harms nothing. Each case runs twice, without and with
what the compiled core remembers of the dictionary's documents.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import product
from typing import Any

from crdtstore import _core
from crdtstore.crdt import document, document_bytes, field, json_output
from crdtstore.crdt.cell import ALL_TYPES, CellType
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.operation import Increment, Mark, Operation, Remove, Restart, Write
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.record import encode_operations
from crdtstore.crdt.siphash import siphash128
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import check_number, check_value, decode_value, encode_value
from crdtstore.errors import Corrupted, CrdtStoreError
from tests.core.merging import ACTORS, KEY, ORIGINS
from tests.core.strategies import KEYS, documents
from tests.fuzz.engine import Target
from tests.fuzz.seeds import collect, different
from tests.fuzz.twins import Answer, answer_of

FEW = ("a", "\x01", "b")
KNOWN = [encode_path(path) for path in [(), *((key,) for key in KEYS), *product(FEW, FEW)]]
PATHS = Names(KNOWN, len(KNOWN) + 1)
"""Some paths, so that others stand in the documents themselves."""

REPLICAS = Replicas([actor + origin for actor in ACTORS for origin in ORIGINS])
COVERAGE = array("Q", [5, 2, 90_000])
FIELDS: tuple[tuple[str | int, ...], ...] = (
    (),
    ("a",),
    ("a", "b"),
    ("b", 0, "a"),
    ("ab", 1),
    ("\xe9", "a", ""),
    ("c",),
)
STAMP = Stamp(2**63, ACTORS[1], ORIGINS[1])
OPERATIONS: list[list[Operation]] = [
    [Write(KNOWN[1], encode_value("text of more than a slot"))],
    [Write(KNOWN[2], encode_value(7))],
    [Increment(KNOWN[1], Stamp(2, ACTORS[0], ORIGINS[0]), 3)],
    [Remove(KNOWN[1], ALL_TYPES), Write(KNOWN[2], encode_value([1, {"k": None}]))],
    [Remove(b"", ALL_TYPES)],
    [Mark(KNOWN[1]), Restart(KNOWN[2], 5), Increment(KNOWN[1], Stamp(1, ACTORS[0], ORIGINS[0]), 2)],
    [
        Write(encode_path(("new", "path")), encode_value(b"x")),
        Increment(KNOWN[2], Stamp(2, ACTORS[1], ORIGINS[2]), 0.5),
    ],
]


@cache
def seeds() -> list[bytes]:
    """Documents under one dictionary."""
    packed = []
    full = Names(KNOWN, len(KNOWN))
    for stored in collect(documents, 250):
        cells = document_bytes.unpack_document(stored.data, stored.paths, stored.replicas)
        packed.append(document_bytes.pack_document(cells, full, REPLICAS))
    return different(packed)


def forget() -> None:
    """Take back what a case added to the dictionaries."""
    PATHS.truncate(len(KNOWN))
    PATHS.shapes = None
    REPLICAS.truncate(len(ACTORS) * len(ORIGINS))


def is_packed(data: bytes) -> bool:
    """Whether these are bytes that `pack_document` could have written."""
    try:
        cells = document_bytes.unpack_document(data, PATHS, REPLICAS)
        for cell in cells:
            if cell.type == CellType.COUNTER:
                for number in (decode_value(cell.value), *(total.amount for total in cell.totals)):
                    check_number(number)
            elif cell.value:
                check_value(decode_value(cell.value))
        return document_bytes.pack_document(cells, PATHS, REPLICAS) == data
    except (CrdtStoreError, ValueError, LookupError, TypeError):
        return False
    finally:
        forget()


def twice(read: Callable[[bytes], Any]) -> Callable[[bytes], Answer]:
    """Read without and with what is remembered of the first time: the answer must be the same."""

    def take(data: bytes) -> Answer:
        forget()
        first, second = answer_of(read, data), answer_of(read, data)
        same = first.alike(second)
        assert same, f"first: {first!r:.300}; then: {second!r:.300}"
        if first.error is not None:
            assert not is_packed(data), f"refused: {first.error!r:.300}"
            raise first.error
        return first

    return take


remembered_hash = lru_cache(maxsize=65_536)(siphash128)
"""The plain hash of cells is slow, and altered documents have most cells of their seeds."""


def answer_of_plain(read: Callable[[bytes], Any], data: bytes) -> Answer:
    """What the plain core gives or raises."""
    hashing = vars(document)
    keep, hashing["siphash128"] = hashing["siphash128"], remembered_hash
    try:
        return answer_of(read, data)
    finally:
        hashing["siphash128"] = keep


def as_plain(read: Callable[[bytes], Any]) -> Callable[[bytes, Answer], None]:
    """A check that the plain core answers alike, for bytes that a store could hold."""

    def check(data: bytes, taken: Answer) -> None:
        if is_packed(data):
            plain = answer_of_plain(read, data)
            same = taken.alike(plain)
            assert same, f"compiled: {taken!r:.300}; plain: {plain!r:.300}"
        elif len(data) % 16 == 0:
            answer = answer_of(read, data)
            assert answer.error is None or isinstance(answer.error, Corrupted), repr(answer.error)

    return check


def fields(module: Any) -> Callable[[bytes], Any]:
    """Read the whole document and several of its fields."""

    def read(data: bytes) -> Any:
        return (
            module.visible_document(data, PATHS, REPLICAS),
            [module.read_field(data, path, PATHS, REPLICAS) for path in FIELDS],
        )

    return read


def merged(module: Any) -> Callable[[bytes], Any]:
    """Merge operations, chosen by the bytes, into the document: its new bytes and the change of its digest."""

    def read(data: bytes) -> Any:
        chosen = encode_operations(OPERATIONS[sum(data[-8:]) % len(OPERATIONS)])
        digest = bytearray(16)
        replica = REPLICAS.numbers[STAMP.replica]
        try:
            after = module.merge_document(
                data, chosen, STAMP.timestamp, replica, COVERAGE, PATHS, REPLICAS, KEY, digest
            )
            return after, bytes(digest), list(PATHS.texts)
        finally:
            PATHS.truncate(len(KNOWN))

    return read


def target(name: str, compiled: Callable[[bytes], Any], plain: Callable[[bytes], Any]) -> Target:
    """A target of document bytes."""
    return Target(name, twice(compiled), (Corrupted,), seeds, as_plain(plain), fragments=KNOWN[1:])


TARGETS = [
    target("document-fields", fields(_core), fields(field)),
    target(
        "document-json",
        lambda data: _core.document_json(data, PATHS, REPLICAS),
        lambda data: json_output.document_json(data, PATHS, REPLICAS),
    ),
    target(
        "document-digest",
        lambda data: _core.document_digest(data, PATHS, REPLICAS, KEY),
        lambda data: document_bytes.document_digest(data, PATHS, REPLICAS, KEY),
    ),
    target("document-merge", merged(_core), merged(document_bytes)),
]
