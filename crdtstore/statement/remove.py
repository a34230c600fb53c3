"""DELETE and TOMBSTONE: documents that a condition matches go; TOMBSTONE buries them.

Rules: which go is known before the first does. They go in the order of their ids, or in that of ORDER BY; OFFSET and
LIMIT choose among them in that order. RETURNING shows them as they were before. EVICT is refused: the version vector of
this store would go on to claim what it forgot, so that nobody would ever send it again.
"""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING

from crdtstore.crdt.path import ROOT
from crdtstore.errors import InvalidQuery
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.order import DQL_ORDER, key_part
from crdtstore.statement.mutated import Returning
from crdtstore.statement.scope import resolve, scope_of_source
from crdtstore.statement.select import amount
from crdtstore.statement.targets import check_changed, find_targets, ids_of, match_rows, row_reader, take
from crdtstore.storage.documents import id_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.statement import Remove
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.mutated import Mutated
    from crdtstore.storage.documents import Row as StoredRow
    from crdtstore.storage.draft import Draft, DraftDocument


def remove(statement: Remove, draft: Draft, context: Context, budget: Budget) -> Mutated:
    """Run a DELETE or TOMBSTONE on a draft.

    Raises:
        InvalidQuery: EVICT, or a system collection.
    """
    if statement.verb == "evict":
        message = (
            "EVICT is not available: this store would go on to tell its peers that it has what it forgot, and get it "
            "from none of them again. DELETE removes documents everywhere."
        )
        raise InvalidQuery(message, reason="evict")
    returning = Returning(statement, context, budget)
    documents = choose(statement, draft, context, budget)
    rows = list(map(row_reader(draft, statement.source, context), documents)) if statement.returning else []
    for document in documents:
        budget.spend(0)
        if statement.verb == "tombstone":
            document.fold.bury()
        else:
            document.fold.remove(ROOT)
        document.changed()
    return returning.answer(ids_of(documents), rows)


def choose(statement: Remove, draft: Draft, context: Context, budget: Budget) -> list[DraftDocument]:
    """The documents that go."""
    matching = match_rows(draft, statement.source, statement.where, context, budget)
    key = make_key(statement, draft, context)
    offset, limit = amount(statement.offset, context) or 0, amount(statement.limit, context)
    if not statement.order and not offset and limit is None:
        return find_targets(draft, statement.source, statement.where, context, budget)
    if limit is not None:
        check_changed(offset + limit)
        rows = nsmallest(offset + limit, matching, key)
    else:
        rows = []
        for row in matching:
            rows.append(row)
            check_changed(len(rows))
        rows.sort(key=key)
    return take(draft, statement.source, rows[offset:])


def make_key(statement: Remove, draft: Draft, context: Context) -> Callable[[StoredRow], bytes]:
    """What documents are sorted by: the keys of ORDER BY, then their ids."""
    scope = scope_of_source(statement.source)
    keys = [(compile_expression(resolve(key.value, scope), context), key.descending) for key in statement.order]
    read = row_reader(draft, statement.source, context)

    def sort_key(row: StoredRow) -> bytes:
        if not keys:
            return id_key(row.id)
        shown = read(row)
        parts = [key_part(DQL_ORDER, get(shown), descending) for get, descending in keys]
        return b"".join(parts) + id_key(row.id)

    return sort_key
