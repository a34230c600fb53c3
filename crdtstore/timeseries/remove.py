"""Removing the events of a span, as one transaction.

Rules: what goes is what the transaction observes; events that another store appended and that arrive later stay. An
expired event that is still there goes too. As of a statement, at most STATEMENT_CHANGED_MAX go at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.command.result import Removed, Written
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.path import ROOT
from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.limits import STATEMENT_CHANGED_MAX
from crdtstore.storage.documents import DOCUMENTS, split_row
from crdtstore.timeseries.moment import moment_at
from crdtstore.timeseries.series import Span, collection_of, read_span

if TYPE_CHECKING:
    from concurrent.futures import Future

    from crdtstore.once import Once
    from crdtstore.storage.draft import Draft
    from crdtstore.timeseries.host import Host
    from crdtstore.version.transaction import Sequenced


def remove_events(
    store: Host,
    series: str,
    start: str | None = None,
    end: str | None = None,
    *,
    actor: bytes | None = None,
    after: int | None = None,
) -> Written:
    """Remove the events of a series from `start`, by default 1970, to before `end`, by default now.

    Raises:
        InvalidValue: A time is none, or the start is not earlier than the end; nothing was removed.
        LimitExceeded: There are too many; nothing was removed.
    """
    return submit_removal(store, series, start, end, actor=actor, after=after).result()


def submit_removal(
    store: Host,
    series: str,
    start: str | None = None,
    end: str | None = None,
    *,
    actor: bytes | None = None,
    after: int | None = None,
    once: Once | None = None,
) -> Future[Written]:
    """As `remove_events`, without waiting: the future is done once the transaction is on disk."""
    span = read_span(start, end, moment_at(store.clock()))
    collection = collection_of(series)
    if span.start >= span.end:
        raise InvalidValue(f"start, {span.start}, is not earlier than end, {span.end}.", path="start")
    done: Future[Written] = store.sequence(
        lambda draft: remove_span(draft, collection, span), gone, actor=actor, after=after, once=once
    )
    return done


def remove_span(draft: Draft, collection: str, span: Span) -> int:
    """Remove what lies in a span; returns how many events."""
    known = draft.catalog.intern(collection)
    rows = (split_row(known, *row) for row in draft.batch.scan(DOCUMENTS, *span.keys(known)))
    found = []
    for row in rows:
        if not is_grave(row.document):
            found.append(row)
        if len(found) > STATEMENT_CHANGED_MAX:
            message = (
                f"More than {STATEMENT_CHANGED_MAX} events lie between {span.start} and {span.end}; divide the span."
            )
            raise LimitExceeded(message, limit="STATEMENT_CHANGED_MAX", value=len(found), maximum=STATEMENT_CHANGED_MAX)
    for row in found:
        document = draft.document(known, row.id, row.document)
        document.fold.remove(ROOT)
        document.changed()
    return len(found)


def gone(done: Sequenced) -> Written:
    """What a removal answers: how many events went."""
    assert isinstance(done.answer, int)
    return Written(done.txn, (Removed(done.answer),))
