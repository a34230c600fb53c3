"""A session, as far as it is about time series: a series is read and written as a collection of its id is.

Rules: as `session`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager

import msgspec

from crdtstore.auth.permission import Permission
from crdtstore.command.result import Written
from crdtstore.crdt.value import Value
from crdtstore.errors import Forbidden
from crdtstore.once import Once
from crdtstore.store import Store
from crdtstore.timeseries.append import submit_events
from crdtstore.timeseries.read import Reading, ask, reading
from crdtstore.timeseries.remove import submit_removal
from crdtstore.timeseries.series import Span


class SeriesSession(msgspec.Struct, frozen=True, eq=False):
    """One store and one permission."""

    store: Store
    permission: Permission
    once: Once | None = None
    """The request, if it is to be done once."""

    def is_for(self, permission: Permission) -> bool:
        """Whether this is what a permission sees."""
        return permission == self.permission

    def check_author(self, actor: bytes | None) -> None:
        """Refuse an author who would pass for the store.

        Raises:
            Forbidden: It is the store's own origin.
        """
        if actor == self.store.origin:
            raise Forbidden("This client ID belongs to the store itself; choose another one.")

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
        self.permission.check("write", series)
        self.check_author(actor)
        return submit_events(self.store, series, events, ttl_seconds, actor=actor, after=after, once=self.once)

    def remove_events(
        self, series: str, start: str | None, end: str | None, *, actor: bytes | None, after: int | None
    ) -> Future[Written]:
        """Remove the events of a span in one transaction, as `submit_removal`.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.permission.check("write", series)
        self.check_author(actor)
        return submit_removal(self.store, series, start, end, actor=actor, after=after, once=self.once)

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
        self.permission.check("read", series)
        return reading(self.store, ask(self.store, series, start, end, query, order, limit, seconds))

    def span_of_events(
        self, series: str, start: str | None, end: str | None, *, query: str, order: Sequence[str]
    ) -> Span:
        """The span that a read would read.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.permission.check("read", series)
        return ask(self.store, series, start, end, query, order).span
