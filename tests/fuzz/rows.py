"""Targets of rows that are read from the disk: their seal was right, and yet their bytes may be any.

Rules: a row is given to its reader by a storage in memory, which keeps no seals. What cannot be read is `Corrupted`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgpack

from crdtstore.auth import api_key
from crdtstore.auth.permission import Permission
from crdtstore.crdt.names import Names
from crdtstore.errors import Corrupted, FormatTooNew
from crdtstore.replication import peers
from crdtstore.storage import catalog, documents, environment, head, identity, log, range_stale, range_table
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.tables import Table
from tests.core.merging import ORIGINS
from tests.fuzz.engine import Target

COLLECTION = catalog.Collection(0, "cities")
LONG_ID = b"\x20" + b"x" * 700
DIGEST = bytes(range(16))


def read_row(table: Table, key: bytes, read: Callable[[Snapshot], Any]) -> Callable[[bytes], Any]:
    """A reader of one row that has these bytes."""

    def take(data: bytes) -> Any:
        storage = MemoryStorage()
        with storage.batch() as batch:
            batch.put(table, key, data)
            batch.commit()
        with storage.snapshot() as snapshot:
            return read(snapshot)

    return take


def load_head(snapshot: Snapshot) -> Any:
    loaded = head.Head.load(snapshot, Names([], 10))
    return loaded.vector, loaded.authors, loaded.floors, loaded.greatest, list(loaded.coverage(ORIGINS[0], {}))


def packed(*rows: Any) -> Callable[[], list[bytes]]:
    """Seeds that are msgpack."""
    return cache(lambda: [msgpack.packb(row) for row in rows])


def key_seeds() -> list[bytes]:
    permissions = [Permission.full(), Permission.from_row({"verbs": ["read"], "collections": ["a", "b"]})]
    return [api_key.encode(api_key.StoredKey(DIGEST, 2**15, 8, 1, DIGEST * 2, one, 1_700_000, "name")) for one in permissions]


def check_key(data: bytes, taken: api_key.StoredKey) -> None:
    again = api_key.decode(api_key.encode(taken))
    assert again == taken


AUTHOR = [[ORIGINS[1], 3, 900, DIGEST], [ORIGINS[2], 2**40, 2**63, DIGEST]]


def row_target(name: str, table: Table, key: bytes, read: Callable[[Snapshot], Any], seeds: Any, **more: Any) -> Target:
    """A target of one row."""
    return Target(f"row-{name}", read_row(table, key, read), (Corrupted, FormatTooNew), seeds, packed=True, **more)


COUNT = 20_000
TARGETS = [
    row_target(
        "format",
        Table.META,
        environment.FORMAT_KEY,
        lambda snapshot: environment.check_format(Held(snapshot), Path("store")),
        packed({"format": environment.FORMAT}, {"format": environment.FORMAT, "made": "x"}),
        count=COUNT,
    ),
    row_target("scope", Table.META, identity.SCOPE_KEY, identity.read_scope, packed(["a"], ["a", "b" * 40]), count=COUNT),
    row_target(
        "stale",
        Table.META,
        range_stale.STATE_KEY,
        lambda snapshot: range_stale.unpack_state(snapshot.get(Table.META, range_stale.STATE_KEY)),
        packed([1, 7, []], [1, 2**40, [["a", b"", b"\xff"], ["b", b"\x20a", b"\x20b"]]]),
        count=COUNT,
    ),
    row_target(
        "collection",
        Table.COLLECTIONS,
        bytes(4),
        lambda snapshot: catalog.sum_digests(catalog.read_counts(snapshot)),
        packed(["cities", 7, DIGEST], ["a" * 40, 2**40, bytes(16)]),
        count=COUNT,
    ),
    row_target(
        "origin",
        Table.ORIGINS,
        ORIGINS[0],
        load_head,
        packed([5, 1_000, DIGEST, AUTHOR], [5, 2**63, DIGEST, AUTHOR[:1], 3, True], [1, 0, DIGEST, []]),
        count=COUNT,
    ),
    row_target(
        "peer",
        Table.PEERS,
        ORIGINS[0],
        lambda snapshot: [one.as_dict() for one in peers.read_peers(snapshot)],
        packed([1_700_000_000_000, 7, ""], [0, 2**40, "diverged at 7"]),
        count=COUNT,
    ),
    row_target(
        "position",
        Table.POSITIONS,
        log.position_key(ORIGINS[0], 7),
        lambda snapshot: log.place_at(snapshot, ORIGINS[0], 7),
        lambda: [bytes(7) + b"\x09" + DIGEST, bytes(8) + DIGEST + b"\1"],
        count=COUNT,
    ),
    row_target(
        "range",
        Table.RANGES,
        range_table.row_key(1, COLLECTION, b"\x20m"),
        lambda snapshot: list(range_table.read_sums(snapshot, 1, COLLECTION, b"")),
        lambda: [range_table.VALUE.pack(7, DIGEST) + b"\x20a", range_table.VALUE.pack(1, DIGEST)],
        count=COUNT,
    ),
    row_target(
        "long-id",
        Table.DOCUMENTS,
        documents.document_key(COLLECTION, LONG_ID),
        lambda snapshot: documents.get_document(snapshot, COLLECTION, LONG_ID),
        lambda: [len(LONG_ID).to_bytes(2, "little") + LONG_ID + b"document"],
        count=COUNT,
    ),
    Target("row-api-key", lambda data: api_key.decode(data), (Corrupted,), key_seeds, check_key, packed=True),
]


class Held:
    """A storage that is asked for a snapshot and gives the one that is there."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.held = snapshot

    def snapshot(self) -> Snapshot:
        return self.held
