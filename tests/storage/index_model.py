"""What the entries of an index must be, written from the rules and from what a reader sees, not from the code.

Rules: nothing here uses the code that makes entries, spreads paths or makes value keys. It reads documents and cells
through the store.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import visible
from crdtstore.crdt.identifier import decode_id
from crdtstore.storage.documents import id_key, scan_living
from crdtstore.storage.index import Index, read_indexes
from crdtstore.storage.tables import Table
from crdtstore.store import Store

ABSENT = object()
COLUMN, ID, ITEMS = 100, 64, 1_000


def key_of(value: Any) -> bytes:
    """A value's key, from the table in `docs/data-file.md`."""
    if value is ABSENT or value is None:
        return b"\0" if value is ABSENT else b"\1"
    if isinstance(value, bool):
        return b"\3" if value else b"\2"
    if isinstance(value, int | float):
        return b"\x10" + number(value)
    if isinstance(value, str | bytes):
        raw = value.encode() if isinstance(value, str) else value
        escaped = b"".join({0: b"\1\1", 1: b"\1\2"}.get(byte, bytes([byte])) for byte in raw)
        return (b"\x20" if isinstance(value, str) else b"\x28") + escaped + b"\0"
    return b"\x30" + b"".join(map(key_of, value)) + b"\0" if isinstance(value, list) else b"\x38"


def number(value: float) -> bytes:
    """The nearest double so that it sorts, and what is missing to the value."""
    nearest = float(value) or 0.0
    (bits,) = struct.unpack(">q", struct.pack(">d", nearest))
    sortable = bits + 2**63 if math.copysign(1, nearest) > 0 else -1 - bits
    rest = value - int(nearest) if isinstance(value, int) else 0
    return struct.pack(">QH", sortable, rest + 2**15)


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    """The one value at a path."""
    for step in path:
        try:
            right = isinstance(value, dict if isinstance(step, str) else list)
            value = value[step] if right else ABSENT
        except (LookupError, TypeError):
            return ABSENT
    return value


def all_at(value: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    """Every value that a path finds when it is spread."""
    if not path:
        yield value
        yield from value if isinstance(value, list) else ()
    elif isinstance(value, dict):
        if path[0] in value:
            yield from all_at(value[path[0]], path[1:])
    elif isinstance(value, list):
        step = path[0]
        if isinstance(step, str):
            for item in value:
                if isinstance(item, dict):
                    yield from all_at(item, path)
            if not (step.isascii() and step.isdigit() and str(int(step)) == step):
                return
        if int(step) < len(value):
            yield from all_at(value[int(step)], path[1:])


def rivals(store: Store, collection: str, id_: Any) -> set[bytes]:
    """The encoded paths at which more than one value lives."""
    counted: dict[tuple[bytes, ...], set[object]] = {}
    for cell in store.cells(collection, id_):
        keys = tuple(key + b"\0" for key in cell.path.split(b"\0")[:-1])
        one = cell.type if cell.type in (CellType.COUNTER, CellType.MAP) else (cell.type, cell.stamp)
        counted.setdefault(keys, set()).add(one)
        for depth in range(len(keys)):
            counted.setdefault(keys[:depth], set()).add(CellType.MAP)
    return {b"".join(keys) for keys, found in counted.items() if len(found) > 1}


def entries_of(store: Store, index: Index, collection: str, id_: Any, key: bytes) -> tuple[dict[bytes, bytes], bool]:
    """The entries of one living document, and whether the first is inexact."""
    end = key if len(key) <= ID else blake2b(key, digest_size=16).digest()
    value = bytes([len(key)]) if len(key) <= ID else b"\0" + key
    head = struct.pack(">I", index.number)
    if index.kind == "conflicts":
        return {head + b"\3" + path[:COLUMN] + end: value for path in rivals(store, collection, id_)}, False
    fields = {**(visible(store.cells(collection, id_)) or {}), "_id": id_}
    keys = [key_of(at(fields, path)) for path in index.paths]
    further = [
        {key_of(one)[:COLUMN] for one in all_at(fields, path)} - {own[:COLUMN]}
        for path, own in zip(index.paths, keys, strict=True)
    ]
    made = {head + b"\0" + b"".join(own[:COLUMN] for own in keys) + end: value}
    if len(index.paths) == 1 and len(further[0]) <= ITEMS:
        made |= {head + b"\1" + column + end: value for column in further[0]}
    elif any(further):
        made[head + b"\2" + end] = value
    return made, len(key) > ID or any(len(own) > COLUMN for own in keys)


def expected(store: Store, index: Index) -> tuple[dict[bytes, bytes], int]:
    """All entries of an index, of the documents that it covers, and how many are inexact."""
    with store.view() as (snapshot, catalog):
        collection = catalog.collections[index.collection]
        ids = [row.id for row in scan_living(snapshot, collection)]
    covered = [id_ for id_ in ids if index.built is None or id_key(id_) <= index.built]
    made = [entries_of(store, index, collection.name, decode_id(id_), id_key(id_)) for id_ in covered]
    return {key: value for rows, _ in made for key, value in rows.items()}, sum(inexact for _, inexact in made)


def faults(store: Store) -> list[str]:
    """What is wrong with the indexes of a store; counts too."""
    with store.storage.snapshot() as snapshot:
        indexes, stored = read_indexes(snapshot), dict(snapshot.scan(Table.ENTRIES))
    found = []
    for index in indexes:
        own = {key: stored.pop(key) for key in list(stored) if key.startswith(index.prefix)}
        counts = [sum(key[4] == part for key in own) for part in range(4)]
        if counts != index.counts:
            found.append(f"index {index.name} counts {index.counts} and has {counts}")
        if index.dropping:
            continue
        rows, inexact = expected(store, index)
        found += [f"index {index.name} lacks {key.hex()}" for key in sorted(rows.keys() - own.keys())]
        found += [f"index {index.name} has too much {key.hex()}" for key in sorted(own.keys() - rows.keys())]
        found += [f"index {index.name} differs at {key.hex()}" for key in sorted(rows) if own.get(key) != rows[key]]
        if inexact != index.inexact:
            found.append(f"index {index.name} counts {index.inexact} inexact entries and has {inexact}")
    return found + [f"no index has {key.hex()}" for key in sorted(stored)]
