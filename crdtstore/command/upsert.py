"""Upsert: write the given fields of one document.

Rules: an object becomes a map, whose keys merge one by one; an empty object becomes a map's marker; everything
else, arrays too, is one register. `value_types` says otherwise for a path: `counter` starts a counter there,
`register` keeps an object whole, `attachment` takes a token. Fields that are not given stay as they are.
An initial upsert writes only where no document of this id exists, and is never an error; any other one is refused
where the document was buried, since nothing that it wrote would ever be seen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from crdtstore import core
from crdtstore.command.result import Upserted
from crdtstore.crdt.flatten import ATTACHMENT, COUNTER, REGISTER, flatten_map
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.operation import Initial
from crdtstore.crdt.path import ROOT, encode_path
from crdtstore.errors import DocumentBuried, InvalidDocument, InvalidId, LimitExceeded
from crdtstore.limits import DOCUMENT_KEYS_MAX, FIELD_PATHS_KEPT_MAX
from crdtstore.query.legacy import parse_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crdtstore.command.command import Upsert
    from crdtstore.crdt.fold import Fold
    from crdtstore.crdt.value import Value
    from crdtstore.storage.draft import Draft, DraftDocument

ID_FIELD = "_id"


def upsert(command: Upsert, draft: Draft) -> Upserted:
    """Run an upsert on a draft."""
    check_object(command.value)
    id_ = choose_id(command)
    document = draft.document(draft.catalog.intern(command.collection), encode_id(id_))
    fields = {key: value for key, value in command.value.items() if key != ID_FIELD}
    declared = declared_types(command.value_types)
    if command.initial:
        return initialize(document, fields, declared, id_)
    check_not_buried(document, id_)
    write_fields(document.fold, fields, declared)
    return finish(document, id_)


def check_object(value: object) -> None:
    """Refuse a document that is none."""
    if not isinstance(value, dict):
        raise InvalidDocument(f"A document is an object; {value!r:.60} is not.")


def check_not_buried(document: DraftDocument, id_: Value) -> None:
    """Refuse to write what would never be seen."""
    if document.is_buried:
        name = document.collection.name
        message = f"The document {id_!r:.60} of collection {name} was deleted permanently: its id is used up."
        raise DocumentBuried(message, collection=name)


def initialize(
    document: DraftDocument, fields: dict[str, Value], declared: Mapping[bytes, str], id_: Value
) -> Upserted:
    """Write a document that is not there as INITIAL writes; one that is there, or was buried, stays as it is."""
    if document.is_buried or document.document():
        return Upserted(id_)
    document.fold.write_all([Initial(write) for write in flatten_map(fields, ROOT, declared)])
    return finish(document, id_)


def finish(document: DraftDocument, id_: Value) -> Upserted:
    """Note that a document was written."""
    check_written(document)
    return Upserted(id_)


def check_written(document: DraftDocument) -> None:
    """Check how much was written into a document, and note that it was."""
    if len(document.fold.written) > DOCUMENT_KEYS_MAX:
        count = len(document.fold.written)
        message = f"One transaction writes {count} fields of one document; at most {DOCUMENT_KEYS_MAX} are allowed."
        raise LimitExceeded(message, limit="DOCUMENT_KEYS_MAX", value=count, maximum=DOCUMENT_KEYS_MAX)
    document.changed()


def write_fields(fold: Fold, fields: dict[str, Value], declared: Mapping[bytes, str]) -> None:
    """Write an object's fields."""
    fold.write_all(tuple(flatten_map(fields, ROOT, declared)) if declared else core.flatten(fields, ROOT))


def choose_id(command: Upsert) -> Value:
    """The id given beside the value or in it; else a new one.

    Raises:
        InvalidId: Two different ids were given.
    """
    inside = command.value.get(ID_FIELD, msgspec.UNSET)
    if command.id is msgspec.UNSET:
        return new_id() if inside is msgspec.UNSET else inside
    if inside is not msgspec.UNSET and encode_id(inside) != encode_id(command.id):
        raise InvalidId("The id beside the value and the _id in it are two different ids.")
    return command.id


def new_id() -> str:
    """An id for a document that was given none."""
    return uuid4().hex


def declared_types(value_types: Mapping[str, str]) -> dict[bytes, str]:
    """The declared types by encoded path."""
    return {field_path(path): check_type(path, kind) for path, kind in value_types.items()}


def check_type(path: str, kind: str) -> str:
    """Refuse a type that a field cannot be declared as."""
    if kind not in (ATTACHMENT, COUNTER, REGISTER):
        known = f"{ATTACHMENT}, {COUNTER} or {REGISTER}"
        raise InvalidDocument(f"The type of {path} is declared as {kind!r}; it may be {known}.")
    return kind


@lru_cache(maxsize=FIELD_PATHS_KEPT_MAX)
def field_path(text: str) -> bytes:
    """A path in the query language's notation, as encoded path.

    Raises:
        InvalidDocument: The id, the whole document or an array's item.
    """
    keys = parse_path(text)
    if not keys or keys[0] == ID_FIELD:
        raise InvalidDocument(f"Path {text!r} cannot be written: an _id never changes.")
    names = tuple(key for key in keys if isinstance(key, str))
    if len(names) != len(keys):
        raise InvalidDocument(f"Path {text!r} cannot be written: the items of an array are one value.")
    return encode_path(names)
