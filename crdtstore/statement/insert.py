"""INSERT: documents are written, each as the policy for ids that exist says.

Rules: all are written or none. Two documents of one id are refused. No policy removes a field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.command.command import Upsert
from crdtstore.command.upsert import upsert
from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import IdConflict, InvalidDocument
from crdtstore.query.dql import messages
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.lookup import ID_FIELD
from crdtstore.statement.mutated import Mutated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.statement import Insert
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Row
    from crdtstore.storage.draft import Draft


def insert(statement: Insert, draft: Draft, context: Context, budget: Budget) -> Mutated:
    """Run an INSERT on a draft."""
    written = []
    for document in documents_of(statement, context):
        budget.spend(1)
        id_ = document.get(ID_FIELD)
        if id_ is not None and statement.policy in ("fail", "nothing"):
            known = draft.document(draft.catalog.intern(statement.source.name), encode_id(id_))
            if known.living() and statement.policy == "nothing":
                continue
            if known.living() and not statement.initial:
                message = messages.id_conflict(str(id_))
                raise IdConflict(f"{message}.", description=message)
        command = Upsert(statement.source.name, document, initial=statement.initial)
        written.append(upsert(command, draft).id)
    return Mutated(tuple(written))


def documents_of(statement: Insert, context: Context) -> Iterator[Row]:
    """What is to be written."""
    for expression in statement.documents:
        value = compile_expression(expression, context)({})
        for document in value if isinstance(value, list) else [value]:
            if not isinstance(document, dict):
                raise InvalidDocument(f"A document is an object; {document!r:.60} is not.")
            yield document
