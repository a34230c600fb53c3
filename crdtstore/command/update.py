"""Update: run field commands on every document that a query matches.

Rules: on each document all field commands hold or none: one that fails (adding to a string, a value at a path
whose parent was just written) leaves that document as it was and is counted as `error`; the others go on. A bound
that is passed refuses the whole transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from crdtstore.command.command import Increment, ReplaceWithCounter, Set, SetAttachment
from crdtstore.command.result import Updated
from crdtstore.command.select import select
from crdtstore.command.upsert import field_path
from crdtstore.crdt import counter
from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import type_at
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.flatten import flatten_value
from crdtstore.crdt.operation import Attach, Restart
from crdtstore.crdt.path import decode_path, format_path
from crdtstore.crdt.value import check_number
from crdtstore.errors import InvalidDocument, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.command.command import FieldCommand, Update
    from crdtstore.crdt.cell import Cell
    from crdtstore.crdt.value import Number
    from crdtstore.storage.draft import Draft, DraftDocument


def update(command: Update, draft: Draft) -> Updated:
    """Run an update on a draft."""
    steps = [(field_path(step.path), step) for step in command.commands]
    documents, denied = select(draft, draft.catalog.intern(command.collection), command.query, command.args)
    updated = sum(change_document(document, steps) for document in documents)
    return Updated(updated, len(documents) - updated, denied)


def change_document(document: DraftDocument, steps: Sequence[tuple[bytes, FieldCommand]]) -> bool:
    """Run all steps on one document, or none of them; whether they held."""
    kept = document.keep_fold()
    try:
        for path, step in steps:
            change_field(document, path, step)
            document.changed()
        document.document()
    except InvalidDocument:
        document.restore_fold(kept)
        return False
    return True


def change_field(document: DraftDocument, path: bytes, step: FieldCommand) -> None:
    """Run one step."""
    match step:
        case Set():
            for operation in flatten_value(step.value, path, {}, len(decode_path(path))):
                document.fold.write(operation)
        case SetAttachment():
            document.fold.write(Attach(path, encode_token(step.value)))
        case ReplaceWithCounter():
            document.fold.write(Restart(path, check_number(0 if step.value is None else step.value)))
        case Increment():
            increment(document, path, step)
        case _:
            assert_never(step)


def increment(document: DraftDocument, path: bytes, step: Increment) -> None:
    """Add to the counter that is visible at a path; where nothing is, one is created.

    Raises:
        InvalidValue: Something else than a counter is visible there, or the amount is no number.
    """
    delta = check_number(step.value)
    cells = unpack_document(document.document(), document.collection.paths, document.draft.catalog.replicas)
    kind = type_at(cells, path)
    if kind not in (None, CellType.COUNTER):
        raise InvalidValue(f"Path {format_path(path)} holds a {kind.name.lower()}; only a counter can be incremented.")
    add_to_counter(document, cells, path, delta)


def add_to_counter(document: DraftDocument, cells: Sequence[Cell], path: bytes, delta: Number) -> None:
    """Add to the counter that lives at a path of a document of these cells, whatever else does; else create one."""
    instances = [cell for cell in cells if cell.path == path and cell.type == CellType.COUNTER]
    instance = counter.choose(instances)
    own = document.draft.stamp
    if instance and instance != own:
        chosen = next(cell for cell in instances if cell.stamp == instance)
        before = next((total.amount for total in chosen.totals if total.stamp.replica == own.replica), 0)
        counter.check_sum(before + delta)
    document.fold.increment(path, None if instance == own else instance, delta)
