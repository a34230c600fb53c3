"""Looking at what is stored, spelled out: the cells of a document, an entry of the log, actors and origins.

Rules: everything is a value that JSON has. Actors and origins are in Base64, digests in hex, timestamps as number and
as time. What is damaged is shown as far as it can be read, under `wrong` stands why not further. Nothing is written.

Not here: rows as bytes (`inspect_rows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgpack

from crdtstore import core
from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.counter import highest_explicit
from crdtstore.crdt.document import Node, tree, visible_type
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.entry import decode_advance, decode_join, is_advance, is_join
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.crdt.path import format_path
from crdtstore.crdt.record import decode_record
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.timestamp import format_timestamp
from crdtstore.crdt.value import Value, decode_value
from crdtstore.crdt.vector import Reached
from crdtstore.errors import NotFound
from crdtstore.limits import ACTOR_BYTES
from crdtstore.storage.documents import document_key, split_row
from crdtstore.storage.identity import read_origin
from crdtstore.storage.inspect_rows import Directory, RowSeen, read_row, viewing
from crdtstore.storage.log import first_txn, last_txn, txn_key
from crdtstore.storage.tables import Table
from crdtstore.storage.verify_rows import DAMAGE, walk

if TYPE_CHECKING:
    from crdtstore.crdt.operation import Operation
    from crdtstore.storage.verify_finding import View

Spelled: TypeAlias = dict[str, Any]


def spell_time(timestamp: int) -> Spelled:
    """A timestamp, as number and as time."""
    try:
        return {"timestamp": timestamp, "time": format_timestamp(timestamp)}
    except (ValueError, OverflowError, OSError):
        return {"timestamp": timestamp, "time": "beyond any calendar"}


def spell_stamp(stamp: Stamp) -> Spelled:
    """Who wrote when, and where it was ordered."""
    return {**spell_time(stamp.timestamp), "actor": format_actor(stamp.actor), "origin": format_actor(stamp.origin)}


def spell_reached(origin: bytes, reached: Reached) -> Spelled:
    """One row of a vector."""
    where = {"origin": format_actor(origin), "position": reached.position}
    return {**where, **spell_time(reached.timestamp), "digest": reached.digest.hex()}


# --- documents ---


def inspect_document(directory: Directory, collection: str, id_: Value) -> Spelled:
    """All cells of a document, losers too, with the marks of what a reader sees.

    Raises:
        NotFound: There is no such document.
        InvalidId: What no id may be.
    """
    encoded_id = encode_id(id_)
    with viewing(directory) as view:
        known, replicas = view.catalog.by_name.get(collection), view.catalog.replicas
    row = read_row(directory, Table.DOCUMENTS, document_key(known, encoded_id)) if known else None
    if known is None or row is None:
        raise NotFound(f"The collection {collection} has no document {id_!r}.", collection=collection, id=id_)
    head = {"collection": collection, "id": id_, "key": row.key.hex(), "bytes": row.bytes, "wrong": row.wrong}
    try:
        stored = split_row(known, row.key, row.value)
        cells = unpack_document(stored.document, known.paths, replicas)
        key = core.digest_key(collection, encoded_id)
        digest = core.document_digest(stored.document, known.paths, replicas, key).hex()
    except DAMAGE as error:
        return damaged(head, row, error)
    return {**head, "digest": digest, "cells": spell_cells(cells)}


def damaged(head: Spelled, row: RowSeen, error: Exception) -> Spelled:
    """What is left to show of a row that cannot be read."""
    wrong = " ".join(filter(None, (row.wrong, f"It cannot be read: {error}.")))
    return {**head, "wrong": wrong, "value": row.value.hex()}


def spell_cells(cells: Sequence[Cell]) -> list[Spelled]:
    """Cells by path, type and stamp."""
    seen = set(visible_cells(tree(cells), ()))
    ordered = sorted(cells, key=lambda cell: (cell.path, cell.type, cell.stamp))
    return [spell_cell(cell, visible=cell in seen) for cell in ordered]


def spell_cell(cell: Cell, *, visible: bool) -> Spelled:
    """One cell; a counter's with its totals."""
    spelled = {
        "path": format_path(cell.path),
        "type": cell.type.name.lower(),
        "visible": visible,
        "initial": cell.initial,
        "value": decode_value(cell.value) if cell.value else None,
        **spell_stamp(cell.stamp),
    }
    if cell.type == CellType.COUNTER:
        spelled["explicit"] = cell.explicit
        spelled["totals"] = [{"amount": total.amount, **spell_stamp(total.stamp)} for total in cell.totals]
    return spelled


def visible_cells(node: Node, path: tuple[str, ...]) -> Iterator[Cell]:
    """The cells that a reader sees or that count in what is seen; below a map only."""
    shown = visible_type(node)
    cells = node.cells.get(shown, []) if shown else []
    if shown == CellType.MAP or not path:
        yield from node.cells.get(CellType.MAP, [])
        for key, child in node.children.items():
            yield from visible_cells(child, (*path, key))
    elif shown == CellType.COUNTER:
        highest = highest_explicit(cells)
        yield from (cell for cell in cells if not cell.explicit or cell is highest)
    elif cells:
        yield max(cells, key=lambda cell: cell.recency)


# --- the log ---


def inspect_operation(directory: Directory, txn: int) -> Spelled:
    """One entry of the log.

    Raises:
        NotFound: It was trimmed, or is not there yet.
    """
    row = read_row(directory, Table.LOG, txn_key(txn))
    if row is None:
        with viewing(directory) as view:
            first, last = first_txn(view.snapshot), last_txn(view.snapshot)
        raise NotFound(f"The log has no transaction {txn}: it reaches from {first} to {last}.", txn=txn)
    digest, data = row.value[:CHAIN_DIGEST_BYTES], row.value[CHAIN_DIGEST_BYTES:]
    head = {"txn": txn, "bytes": row.bytes, "chain_digest": digest.hex(), "wrong": row.wrong}
    try:
        return {**head, **spell_entry(data)}
    except DAMAGE as error:
        return damaged(head, row, error)


def spell_entry(data: bytes) -> Spelled:
    """What an entry says."""
    if is_join(data):
        vector, ranges = decode_join(data)
        spelled = [
            {
                "collection": part.collection,
                "start": part.start.hex(),
                "end": None if part.end is None else part.end.hex(),
            }
            for part in ranges
        ]
        return {"kind": "join", "vector": spell_vector(vector), "ranges": spelled}
    if is_advance(data):
        advance = decode_advance(data)
        where = {"origin": format_actor(advance.origin), "first": advance.first, "position": advance.position}
        return {"kind": "advance", **where, **spell_time(advance.timestamp), "observed": spell_vector(advance.observed)}
    record = decode_record(data)
    changes = [
        {"collection": collection, "id": decode_id(id_), "operations": [spell_operation(each) for each in made]}
        for collection, id_, made in record.changes
    ]
    where = {"kind": "record", "position": record.position, **spell_stamp(record.stamp)}
    return {**where, "observed": spell_vector(record.observed), "changes": changes}


def spell_vector(vector: Mapping[bytes, Reached]) -> list[Spelled]:
    """A vector, by origin."""
    return [spell_reached(origin, reached) for origin, reached in sorted(vector.items())]


def spell_operation(operation: Operation) -> Spelled:
    """One operation, its fields by name."""
    spelled: Spelled = {"operation": type(operation).__name__.lower()}
    for name, field in zip(operation._fields, operation, strict=True):
        spelled[name] = FIELDS.get(name, lambda same: same)(field)
    return spelled


FIELDS: Mapping[str, Any] = {
    "path": format_path,
    "value": decode_value,
    "instance": lambda stamp: spell_stamp(Stamp(*stamp)),
    "types": lambda mask: [kind.name.lower() for kind in CellType if mask >> kind & 1],
}
"""How fields of operations are spelled out, where they are not values already."""


# --- actors ---


def inspect_actors(directory: Directory, wanted: bytes | None = None) -> Spelled:
    """The origins and replicas that a store knows; of one actor or origin only, if it is named.

    Raises:
        NotFound: The store does not know it.
    """
    with viewing(directory) as view:
        own = own_origin(view)
        rows = [(key, row) for key, row in walk(view, Table.ORIGINS) if wanted in {None, key}]
        origins = [spell_origin(key, row, own=key == own) for key, row in rows]
        replicas = list(spell_replicas(view, wanted))
        wrong = [finding.message for finding in view.drain()]
    if wanted is not None and not origins and not replicas:
        raise NotFound(f"This store does not know the actor or origin {format_actor(wanted)}.")
    return {"origins": origins, "replicas": replicas, "wrong": wrong}


def own_origin(view: View) -> bytes:
    """The store's own origin; empty where its row is damaged."""
    try:
        return read_origin(view.snapshot)
    except DAMAGE as error:
        view.report("value", "meta", b"", f"The store's own origin cannot be read: {error}.")
        view.revive()
        return b""


def spell_origin(origin: bytes, row: bytes, *, own: bool) -> Spelled:
    """One origin: how far it is known, and what of it is no longer in the log."""
    try:
        position, timestamp, digest, author, *rest = msgpack.unpackb(row)
        spelled = spell_reached(origin, Reached(position, timestamp, digest))
        vector = spell_vector({other: Reached(*reached) for other, *reached in author})
        floor, partial = rest or (0, False)
    except DAMAGE as error:
        return {"origin": format_actor(origin), "own": own, "wrong": f"It cannot be read: {error}."}
    return {**spelled, "own": own, "floor": floor, "partial": partial, "author_vector": vector}


def spell_replicas(view: View, wanted: bytes | None) -> Iterator[Spelled]:
    """The replicas in which an actor or origin occurs, by number."""
    for number, text in enumerate(view.catalog.replicas.texts):
        actor, origin = text[:ACTOR_BYTES], text[ACTOR_BYTES:]
        if wanted in (None, actor, origin):
            yield {"replica": number, "actor": format_actor(actor), "origin": format_actor(origin)}
