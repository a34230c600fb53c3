"""Targets of rows that are read from the disk: their seal was right, and yet their bytes may be any.

Rules: a row is given to its reader by a view that has no other row, and checks no seals. What cannot be read is
`Corrupted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import msgpack

from crdtstore.auth import stored_key
from crdtstore.auth.permission import Permission
from crdtstore.crdt.names import Names
from crdtstore.errors import Corrupted, FormatTooNew
from crdtstore.storage import (
    attachments,
    catalog,
    documents,
    head,
    identity,
    images,
    index,
    log,
    peers,
    range_stale,
    range_table,
    stored_format,
)
from crdtstore.storage.tables import Table
from tests.core.merging import ORIGINS
from tests.fuzz.engine import Target

COLLECTION = catalog.Collection(0, "cities")
LONG_ID = b"\x20" + b"x" * 700
DIGEST = bytes(range(16))
ATTACHMENT = attachments.make_id(DIGEST * 2)


class OneRow:
    """A view of a store that has one row, and the storage that it is a view of."""

    def __init__(self, table: Table, key: bytes, value: bytes) -> None:
        self.table = table
        self.row = (key, value)

    def snapshot(self) -> OneRow:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        pass

    def get(self, table: int, key: bytes) -> bytes | None:
        return self.row[1] if (table, key) == (self.table, self.row[0]) else None

    def scan(self, table: int, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        if table == self.table and start <= self.row[0] and (end is None or self.row[0] < end):
            yield self.row

    def last_key(self, _table: int) -> None:
        return None

    def last(self, _table: int) -> None:
        return None


def read_row(table: Table, key: bytes, read: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """A reader of one row that has these bytes."""

    def take(data: bytes) -> Any:
        return read(OneRow(table, key, data))

    return take


def load_head(snapshot: Any) -> Any:
    loaded = head.Head.load(snapshot, Names([], 10))
    return loaded.vector, loaded.authors, loaded.floors, loaded.greatest, list(loaded.coverage(ORIGINS[0], {}))


def packed(*rows: Any) -> Callable[[], list[bytes]]:
    """Seeds that are msgpack."""
    return cache(lambda: [msgpack.packb(row) for row in rows])


def key_seeds() -> list[bytes]:
    permissions = [Permission.full(), Permission.from_row({"verbs": ["read"], "collections": ["a", "b"]})]
    return [
        stored_key.encode(stored_key.StoredKey(DIGEST, 2**15, 8, 1, DIGEST * 2, one, 1_700_000, "name", *more))
        for one in permissions
        for more in ((), ("for a test", 1_800_000, DIGEST, 1_900_000))
    ]


def check_key(data: bytes, taken: stored_key.StoredKey) -> None:
    again = stored_key.decode(stored_key.encode(taken))
    assert again == taken


AUTHOR = [[ORIGINS[1], 3, 900, DIGEST], [ORIGINS[2], 2**40, 2**63, DIGEST]]


def row_target(name: str, table: Table, key: bytes, read: Callable[[Any], Any], seeds: Any) -> Target:
    """A target of one row."""
    return Target(f"row-{name}", read_row(table, key, read), (Corrupted, FormatTooNew), seeds, form="msgpack")


TARGETS = [
    row_target(
        "format",
        Table.META,
        stored_format.FORMAT_KEY,
        lambda snapshot: stored_format.check_format(snapshot, Path("store")),
        packed({"format": stored_format.FORMAT}, {"format": stored_format.FORMAT, "made": "x"}),
    ),
    row_target(
        "attachment",
        Table.ATTACHMENTS,
        ATTACHMENT,
        lambda snapshot: attachments.read_attachment(snapshot, ATTACHMENT),
        packed([5, DIGEST[:8], 1_700_000_000_000, 0], [2**40, DIGEST[:8], 0, 1]),
    ),
    row_target(
        "image",
        Table.IMAGES,
        images.image_key(7, 0),
        lambda snapshot: images.read_images(snapshot, 7),
        packed([0, b"\x20a", b"", b"\1"], [2**40, b"\x20a", None, None]),
    ),
    row_target(
        "image-setting", Table.META, images.IMAGES_KEY, images.read_settings, packed({"a": "both", "b" * 40: "new"})
    ),
    row_target("scope", Table.META, identity.SCOPE_KEY, identity.read_scope, packed(["a"], ["a", "b" * 40])),
    row_target(
        "stale",
        Table.META,
        range_stale.STATE_KEY,
        lambda snapshot: range_stale.unpack_state(snapshot.get(Table.META, range_stale.STATE_KEY)),
        packed([1, 7, []], [1, 2**40, [["a", b"", b"\xff"], ["b", b"\x20a", b"\x20b"]]]),
    ),
    row_target(
        "collection",
        Table.COLLECTIONS,
        bytes(4),
        lambda snapshot: catalog.sum_digests(catalog.read_counts(snapshot)),
        packed(["cities", 7, DIGEST, 0], ["a" * 40, 2**40, bytes(16), 2**33]),
    ),
    row_target(
        "origin",
        Table.ORIGINS,
        ORIGINS[0],
        load_head,
        packed([5, 1_000, DIGEST, AUTHOR], [5, 2**63, DIGEST, AUTHOR[:1], 3, True], [1, 0, DIGEST, []]),
    ),
    row_target(
        "peer",
        Table.PEERS,
        ORIGINS[0],
        lambda snapshot: [one.as_dict() for one in peers.read_peers(snapshot)],
        packed([1_700_000_000_000, 7, ""], [0, 2**40, "diverged at 7"]),
    ),
    row_target(
        "position",
        Table.POSITIONS,
        log.position_key(ORIGINS[0], 7),
        lambda snapshot: log.place_at(snapshot, ORIGINS[0], 7),
        lambda: [bytes(7) + b"\x09" + DIGEST, bytes(8) + DIGEST + b"\1"],
    ),
    row_target(
        "range",
        Table.RANGES,
        range_table.row_key(1, COLLECTION, b"\x20m"),
        lambda snapshot: list(range_table.read_sums(snapshot, 1, COLLECTION, b"")),
        lambda: [range_table.VALUE.pack(7, DIGEST) + b"\x20a", range_table.VALUE.pack(1, DIGEST)],
    ),
    row_target(
        "index",
        Table.INDEXES,
        bytes(4),
        lambda snapshot: [each.row() for each in index.read_indexes(snapshot)],
        packed(
            [1, 0, "name", "fields", [["name"], ["a", 0]], None, False, 7, [7, 0, 0, 0], 1, b"statistics"],
            [1, 2**20, "a", "conflicts", [], b"\x20basel", True, 2**40, [0, 0, 0, 2**33], 0, b""],
        ),
    ),
    row_target(
        "long-id",
        Table.DOCUMENTS,
        documents.document_key(COLLECTION, LONG_ID),
        lambda snapshot: documents.get_document(snapshot, COLLECTION, LONG_ID),
        lambda: [len(LONG_ID).to_bytes(2, "little") + LONG_ID + b"document"],
    ),
    Target("row-api-key", lambda data: stored_key.decode(data), (Corrupted,), key_seeds, check_key, form="msgpack"),
]
