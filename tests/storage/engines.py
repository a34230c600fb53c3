"""The three storages that the tests of this folder are held to, opened by name.

Rules: both engines on disk are tested whichever of them `CRDTSTORE_CORE` chose for everything else.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from crdtstore import _core, core
from crdtstore.storage.environment import open_storage
from crdtstore.storage.interface import Storage
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.tables import Table

DISK = ("compiled", "adapter")
ENGINES = (*DISK, "memory")

LOADED = _core.load_liblmdb(str(import_module("lmdb.cpython").__file__))
"""Whether the compiled engine found LMDB's functions; the tests of it say so if not."""


def open_engine(engine: str, path: Path, **options: Any) -> Storage:
    """Open a storage; what is not given is for writing, created, and not brought to disk at each commit."""
    if engine == "memory":
        return MemoryStorage()
    chosen = core.lmdb_environment
    core.lmdb_environment = _core.Environment if engine == "compiled" else None
    try:
        return open_storage(path, **{"create": True, "read_only": False, "durable": False, **options})
    finally:
        core.lmdb_environment = chosen


def fill(storage: Storage, rows: dict[bytes, bytes], table: Table = Table.LOG) -> None:
    """Store rows in one batch."""
    with storage.batch() as batch:
        for key, value in rows.items():
            batch.put(table, key, value)
        batch.commit()


def content(storage: Storage, table: Table = Table.LOG) -> dict[bytes, bytes]:
    """Read all rows of a table."""
    with storage.snapshot() as snapshot:
        return dict(snapshot.scan(table))
