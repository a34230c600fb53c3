"""What of an object differs from what is in a document: all that UPDATE_LOCAL_DIFF writes.

Rules: a field is there if a reader sees an equal value of the same type of number. One that is declared has to be of
its declared type, too; so has every field in a strict profile. Nothing differs, nothing is written.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from crdtstore import core
from crdtstore.command.upsert import check_written
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import type_at
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.field import step_into
from crdtstore.crdt.flatten import flatten_map
from crdtstore.crdt.operation import Attach, Mark, Restart, Write
from crdtstore.crdt.path import ROOT, decode_path
from crdtstore.crdt.value import encode_value
from crdtstore.query.tree import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crdtstore.crdt.cell import Cell
    from crdtstore.crdt.value import Value
    from crdtstore.statement.rows import Row
    from crdtstore.storage.draft import DraftDocument

FieldWrite: TypeAlias = Write | Mark | Restart | Attach

TYPES = {Write: CellType.REGISTER, Mark: CellType.MAP, Restart: CellType.COUNTER, Attach: CellType.ATTACHMENT}


def write_difference(document: DraftDocument, fields: Row, kinds: Mapping[bytes, str], *, strict: bool) -> bool:
    """Write the fields that differ from what is there; whether there are any."""
    data, paths, replicas = document.living(), document.collection.paths, document.draft.catalog.replicas
    visible = core.read_field(data, (), paths, replicas)
    typed = strict or bool(kinds)
    cells = unpack_document(data, paths, replicas) if typed else []

    def differs(write: FieldWrite) -> bool:
        value: Value = reduce(step_into, decode_path(write.path), visible)
        return not equals(write, value) or (typed and (strict or write.path in kinds) and not has_type(write, cells))

    writes = flatten_map(fields, ROOT, kinds) if kinds else core.flatten(fields, ROOT)
    different = [write for write in writes if differs(write)]
    if different:
        document.fold.write_all(different)
        check_written(document)
        document.document()
    return bool(different)


def equals(write: FieldWrite, visible: Value) -> bool:
    """Whether a reader sees what is to be written."""
    if visible is MISSING:
        return False
    match write:
        case Mark():
            return isinstance(visible, dict)
        case Restart(_, start):
            return encode_value(visible) == encode_value(start)
    return encode_value(visible) == write.value


def has_type(write: FieldWrite, cells: list[Cell]) -> bool:
    """Whether what a reader sees is of the type that would be written."""
    return type_at(cells, write.path) == TYPES[type(write)]
