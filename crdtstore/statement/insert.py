"""INSERT: documents are written, each as the policy for ids that exist says.

Rules: all are written or none. All is known before the first is written: two documents of one id are refused. No policy
removes a field. FAIL refuses an id that is there, NOTHING passes over it; UPDATE merges the fields into what is there,
UPDATE_LOCAL_DIFF only those that differ from it. INITIAL passes over what is there, and what was buried; all others are
refused on the id of a buried document. A value is written as its field's type.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore import core
from crdtstore.command.command import Upsert
from crdtstore.command.staging import stage
from crdtstore.command.upsert import check_not_buried, check_written, initialize, new_id, upsert, write_fields
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.json_output import write_json
from crdtstore.crdt.path import ROOT
from crdtstore.errors import CallerError, Forbidden, IdConflict, InvalidDocument, InvalidId
from crdtstore.query.dql import messages
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.dql.profile import is_strict
from crdtstore.query.lookup import ID_FIELD
from crdtstore.statement.difference import write_difference
from crdtstore.statement.faults import name_place
from crdtstore.statement.field_types import kinds_in, types_of
from crdtstore.statement.mutated import Returning
from crdtstore.statement.rows import CHUNK_ROWS
from crdtstore.statement.select import select_rows
from crdtstore.statement.targets import check_changed, row_reader
from crdtstore.statement.view import view_of
from crdtstore.storage.documents import DOCUMENTS, document_key, living_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.statement import Insert, Keys
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.host import Host
    from crdtstore.statement.mutated import Mutated
    from crdtstore.statement.rows import Row
    from crdtstore.statement.view import View
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.draft import Draft, DraftDocument


class Given(NamedTuple):
    """A document that is to be written."""

    id: Value
    encoded_id: bytes
    document: Row
    """With its `_id`, unless that was made."""

    kinds: dict[bytes, str]
    """How its fields are flattened where their values do not say it."""


KINDS_OF: Final = attrgetter("kinds")


def insert(statement: Insert, draft: Draft, context: Context, budget: Budget, host: Host | None = None) -> Mutated:
    """Run an INSERT on a draft; the host is for what a SELECT in it asks of the store itself."""
    source, returning = statement.source, Returning(statement, context, budget)
    given = check_unique(list(give(statement, view_of(draft, host), context, budget)))
    collection = draft.catalog.intern(source.name)
    guarded = statement.initial or statement.policy in ("fail", "nothing")
    wanted = list(choose(statement, draft, collection, given)) if guarded else given
    if statement.policy == "update_local_diff":
        check_seen(draft, collection, wanted, context)
    if statement.initial or statement.policy == "update_local_diff" or any(map(KINDS_OF, wanted)):
        strict = is_strict(context.profile)
        wanted = [each for each in wanted if write(statement, draft, collection, each, budget, strict=strict)]
    else:
        write_plainly(draft, collection, wanted, budget)
    read = row_reader(draft, source, context)
    rows = (read(document) for document in seen_of(draft, collection, wanted, context))
    return returning.answer(tuple(each.id for each in wanted), rows)


# --- what is to be written ---


def give(statement: Insert, view: View, context: Context, budget: Budget) -> Iterator[Given]:
    """The documents, with their ids."""
    types, name = types_of(statement.source, context.profile), statement.source.name
    inferred = not types.declared and not types.strict
    for number, document in enumerate(documents_of(statement, view, context, budget)):
        check_changed(number + 1)
        if number % CHUNK_ROWS == 0:
            budget.spend(0)
        id_ = document[ID_FIELD] if ID_FIELD in document else new_id()
        try:
            yield Given(id_, encode_id(id_), document, {} if inferred else kinds_in(types, document))
        except CallerError as error:
            raise name_place(error, name, id_)  # noqa: B904  the same error


def documents_of(statement: Insert, view: View, context: Context, budget: Budget) -> Iterator[Row]:
    """What stands behind DOCUMENTS, arrays taken apart, or the rows of a SELECT."""
    if statement.select is not None:
        yield from select_rows(view, statement.select, context, budget)
    for value in [compile_expression(expression, context)({}) for expression in statement.documents]:
        for document in value if isinstance(value, list) else [value]:
            if not isinstance(document, dict):
                raise InvalidDocument(f"A document is an object; {document!r:.60} is not.")
            yield document


def check_unique(given: list[Given]) -> list[Given]:
    """Refuse two documents of one id.

    Raises:
        InvalidId: There are two.
    """
    if len({each.encoded_id for each in given}) == len(given):
        return given
    known: set[bytes] = set()
    for each in given:
        if each.encoded_id in known:
            message = messages.EXPECTED_UNIQUE_IDS
            raise InvalidId(f"{message}: {each.id!r:.60} is given twice.", description=message, document=each.id)
        known.add(each.encoded_id)
    return given


def choose(statement: Insert, draft: Draft, collection: Collection, given: list[Given]) -> Iterator[Given]:
    """Those that are written, by what is there before the first of them is.

    Raises:
        IdConflict: One is there, and the policy is FAIL.
    """
    touched = {document.id: document for document in draft.touched(collection)}
    for each in given:
        taken = touched.get(each.encoded_id)
        if taken is None:
            # Most are new, and of these nothing is read.
            known = draft.batch.get(DOCUMENTS, document_key(collection, each.encoded_id)) is not None
            living = known and living_document(draft.batch, collection, each.encoded_id)
        else:
            living = taken.living()
        if not living:
            yield each
        elif not statement.initial and statement.policy == "fail":
            message = messages.id_conflict(name_of(each.id))
            raise IdConflict(f"{message}.", description=message, collection=collection.name, document=each.id)


def name_of(id_: Value) -> str:
    """An id as the public sentence shows it: a string as it is, everything else as JSON."""
    return id_ if isinstance(id_, str) else write_json(id_).decode()


# --- what is seen of it ---


def seen_of(draft: Draft, collection: Collection, given: list[Given], context: Context) -> Iterator[DraftDocument]:
    """The documents as they are in the draft, but for those that rules do not show: what is there stays untold."""
    for each in given:
        document = draft.document(collection, each.encoded_id)
        if context.rules.shows(draft.catalog, collection, document.id, document.living()):
            yield document


def check_seen(draft: Draft, collection: Collection, given: list[Given], context: Context) -> None:
    """Refuse to tell whether documents differ from some that are there and not seen.

    Raises:
        Forbidden: One is.
    """
    if context.rules.to_read(collection.name) is None:
        return
    for each in given:
        document = draft.document(collection, each.encoded_id)
        if document.living() and not context.rules.shows(draft.catalog, collection, document.id, document.living()):
            message = (
                f"Document {each.id!r:.60} of collection {collection.name!r} is not seen: a rule does not show it."
            )
            raise Forbidden(message, verb="read", collection=collection.name)


# --- writing ---


def write_plainly(draft: Draft, collection: Collection, given: list[Given], budget: Budget) -> None:
    """Write documents as commands would: all in one pass of the compiled core if it can, else one by one."""
    commands = tuple(command_of(collection.name, each) for each in given)
    if stage(commands, draft) is not None:
        return
    for number, (command, each) in enumerate(zip(commands, given, strict=True)):
        if number % CHUNK_ROWS == 0:
            budget.spend(0)
        try:
            upsert(command, draft)
        except CallerError as error:
            raise name_place(error, collection.name, each.id, path_of_fault(each.document))  # noqa: B904


def command_of(collection: str, given: Given) -> Upsert:
    """The command that writes a document."""
    if ID_FIELD in given.document:
        return Upsert(collection, given.document)
    return Upsert(collection, given.document, id=given.id)


def path_of_fault(document: Row) -> Keys | None:
    """The field of a document that cannot be written; None where it is none of them."""
    for key, value in document.items():
        try:
            if key != ID_FIELD:
                core.flatten({key: value}, ROOT)
        except CallerError:
            return (str(key),)
    return None


def write(
    statement: Insert, draft: Draft, collection: Collection, given: Given, budget: Budget, *, strict: bool
) -> bool:
    """Write a document with declared types, as INITIAL writes or as far as it differs; whether anything was written."""
    budget.spend(0)
    document = draft.document(collection, given.encoded_id)
    fields = {key: value for key, value in given.document.items() if key != ID_FIELD}
    try:
        if statement.initial:
            if document.is_buried:
                return False
            initialize(document, fields, given.kinds, given.id)
            return True
        check_not_buried(document, given.id)
        if statement.policy == "update_local_diff" and document.living():
            return write_difference(document, fields, given.kinds, strict=strict)
        write_fields(document.fold, fields, given.kinds)
        check_written(document)
        document.document()
    except CallerError as error:
        raise name_place(error, collection.name, given.id)  # noqa: B904  the same error
    return True
