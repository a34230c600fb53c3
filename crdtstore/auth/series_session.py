"""A session, as far as it is about time series: a series is read and written as a collection of its id is.

Rules: as `session`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager

from crdtstore.auth.held_store import HeldStore
from crdtstore.auth.permission import Verb
from crdtstore.command.result import Written
from crdtstore.crdt.value import Value
from crdtstore.timeseries.append import submit_events
from crdtstore.timeseries.read import Reading, ask, reading
from crdtstore.timeseries.remove import submit_removal
from crdtstore.timeseries.series import Span


class SeriesSession(HeldStore, frozen=True, eq=False):
    """One store and one permission."""

    def check_series(self, verb: Verb, series: str) -> None:
        """Refuse `verb` on a series, of which no rule of documents says anything.

        Raises:
            Forbidden: The permission does not cover it, or some documents of the collection of its name only.
        """
        self.permission.check_no_series(verb, series)
        self.permission.check_whole(verb, series)

    def append_events(
        self,
        series: str,
        events: Sequence[Mapping[str, Value]],
        ttl_seconds: int | None,
        *,
        actor: bytes | None,
        after: int | None,
    ) -> Future[Written]:
        """Append events in one transaction, as `submit_events`.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.check_series("write", series)
        self.check_author(actor)
        return submit_events(self.whole, series, events, ttl_seconds, actor=actor, after=after, once=self.once)

    def remove_events(
        self, series: str, start: str | None, end: str | None, *, actor: bytes | None, after: int | None
    ) -> Future[Written]:
        """Remove the events of a span in one transaction, as `submit_removal`.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.check_series("write", series)
        self.check_author(actor)
        return submit_removal(self.whole, series, start, end, actor=actor, after=after, once=self.once)

    def events(
        self,
        series: str,
        start: str | None,
        end: str | None,
        *,
        query: str = "",
        order: Sequence[str] = (),
        limit: int,
        seconds: float,
    ) -> AbstractContextManager[Reading]:
        """Read the events of a span, as `read_events`, while a block runs.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.check_series("read", series)
        return reading(self.whole, ask(self.whole, series, start, end, query, order, limit, seconds))

    def span_of_events(
        self, series: str, start: str | None, end: str | None, *, query: str, order: Sequence[str]
    ) -> Span:
        """The span that a read would read.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.check_series("read", series)
        return ask(self.whole, series, start, end, query, order).span
