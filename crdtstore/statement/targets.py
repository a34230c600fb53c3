"""Targets are the documents that an UPDATE or DELETE is about, taken before the first of them changes.

Rules: as `command/select.py`: documents that the transaction touched are asked as they are in the draft, all others are
found as a reader finds them, in what the transactions before it left. They come in the order of their ids. What is
looked at is spent from the budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import LimitExceeded
from crdtstore.limits import STATEMENT_CHANGED_MAX
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.order import BY_ID
from crdtstore.query.search import read_row
from crdtstore.statement.declared import is_declared, show_declared
from crdtstore.statement.rows import ask, find_stored, plan_source
from crdtstore.statement.view import view_of
from crdtstore.storage.documents import Row as StoredRow
from crdtstore.storage.documents import id_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Context, Evaluator
    from crdtstore.query.dql.expression import Expression
    from crdtstore.query.dql.statement import Source
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Names, Row
    from crdtstore.storage.draft import Draft, DraftDocument


def find_targets(
    draft: Draft, source: Source, where: Expression | None, context: Context, budget: Budget
) -> list[DraftDocument]:
    """The documents that a condition matches, taken into the draft.

    Raises:
        LimitExceeded: They are more than STATEMENT_CHANGED_MAX.
    """
    rows = []
    for row in match_rows(draft, source, where, context, budget):
        rows.append(row)
        check_changed(len(rows))
    rows.sort(key=lambda row: id_key(row.id))
    return take(draft, source, rows)


def take(draft: Draft, source: Source, rows: list[StoredRow]) -> list[DraftDocument]:
    """Take documents into the draft."""
    if not rows:
        return []
    # The catalog saves the counts and digests of collections that a transaction has asked it for.
    collection = draft.catalog.intern(source.name)
    known = {document.id: document for document in draft.touched(collection)}
    return [known.get(row.id) or draft.document(collection, *row) for row in rows]


def check_changed(count: int) -> None:
    """Refuse to change one more document."""
    if count > STATEMENT_CHANGED_MAX:
        message = f"One statement changes at most {STATEMENT_CHANGED_MAX} documents; a narrower condition divides it."
        raise LimitExceeded(message, limit="STATEMENT_CHANGED_MAX", value=count, maximum=STATEMENT_CHANGED_MAX)


def match_rows(
    draft: Draft, source: Source, where: Expression | None, context: Context, budget: Budget
) -> Iterator[StoredRow]:
    """The documents that a condition matches, as the draft has them, in no order; what is wrong is told at once."""
    asked = ask(source, where, (), context)
    collection = draft.catalog.by_name.get(source.name)
    if collection is None:
        return iter(())
    view, read = view_of(draft), row_reader(draft, source, context, asked.names)
    node = context.rules.written(source.name, asked.node)
    plan = plan_source(view, collection, source, node, BY_ID, None)
    stored = find_stored(view, collection, plan, node, budget)
    return (row for row in stored if not asked.tests or passes(read(row), asked.tests))


def passes(row: Row, tests: Sequence[Evaluator]) -> bool:
    """Whether a row passes the tests that the tree cannot say."""
    return all(test(row) is True for test in tests)


# --- rows of documents in a draft ---


def row_reader(
    draft: Draft, source: Source, context: Context, names: Names = None
) -> Callable[[StoredRow | DraftDocument], Row]:
    """What makes rows of documents, as the declarations of a source show them; a document's as it is then."""
    catalog, profile = draft.catalog, context.profile
    declared = is_declared(source, profile)

    def read(document: StoredRow | DraftDocument) -> Row:
        collection = catalog.by_name[source.name]
        row = document if isinstance(document, StoredRow) else StoredRow(document.id, document.living())
        if not row.document:
            return {ID_FIELD: decode_id(row.id)}
        if declared:
            return show_declared(catalog, collection, row, source, profile)
        return read_row(catalog, collection, row, names)

    return read


def ids_of(documents: list[DraftDocument]) -> tuple[Value, ...]:
    """The ids of documents."""
    return tuple(decode_id(document.id) for document in documents)
