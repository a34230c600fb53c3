"""Appending: many events of one series as one transaction.

Rules: an event expires at what it says in `_expiration`; else so long after it arrived as the caller says; else as long
after it as the series' document in `__timeseries` says in `default_ttl_seconds`; else never. In the second and third
case `_expiration` is added to what is stored. What it says is read in the transaction itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from crdtstore import core
from crdtstore.command.command import Upsert
from crdtstore.command.execute import execute
from crdtstore.command.result import Written
from crdtstore.crdt.identifier import encode_id
from crdtstore.limits import EVENT_TTL_SECONDS_MAX
from crdtstore.storage.documents import living_document
from crdtstore.timeseries.event import EXPIRATION, Given, check_events, check_ttl
from crdtstore.timeseries.expiry import Ending, note_endings
from crdtstore.timeseries.moment import moment_at
from crdtstore.timeseries.series import SETTINGS, collection_of, event_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from crdtstore.crdt.value import Value
    from crdtstore.once import Once
    from crdtstore.storage.draft import Draft
    from crdtstore.timeseries.host import Host
    from crdtstore.version.transaction import Sequenced

DEFAULT_TTL: Final = "default_ttl_seconds"


def append_events(
    store: Host,
    series: str,
    events: Sequence[Mapping[str, Value]],
    ttl_seconds: int | None = None,
    *,
    actor: bytes | None = None,
    after: int | None = None,
) -> Written:
    """Append events to a series, as one transaction; returns when it is on disk.

    Args:
        store: Where to.
        series: Its id; a series begins with its first event.
        events: Each with its `_time`, an RFC 3339 date-time.
        ttl_seconds: How long those live that do not say so.
        actor: The author, 16 bytes; the store itself by default.
        after: A txn id that must be applied already.

    Raises:
        InvalidValue: A time is missing or none, or another value cannot be stored; nothing was written.
        LimitExceeded: Too many events, or too large ones; nothing was written.
    """
    return submit_events(store, series, events, ttl_seconds, actor=actor, after=after).result()


def submit_events(
    store: Host,
    series: str,
    events: Sequence[Mapping[str, Value]],
    ttl_seconds: int | None = None,
    *,
    actor: bytes | None = None,
    after: int | None = None,
    once: Once | None = None,
) -> Future[Written]:
    """As `append_events`, without waiting: the future is done once the transaction is on disk."""
    appending = Appending(store, series, check_events(events), ttl_seconds)
    done: Future[Written] = store.sequence(appending.evaluate, appending.finish, actor=actor, after=after, once=once)
    done.add_done_callback(appending.tell)
    return done


class Appending:
    """Events on their way into a series."""

    def __init__(self, store: Host, series: str, given: list[Given], ttl_seconds: int | None) -> None:
        self.store = store
        self.series = series
        self.collection = collection_of(series)
        self.given = given
        self.ttl = None if ttl_seconds is None else check_ttl(ttl_seconds, "ttl_seconds")
        self.endings: list[Ending] = []
        self.draft: Draft | None = None

    def evaluate(self, draft: Draft) -> object:
        """Write the events."""
        self.draft = draft
        ttl = self.ttl if self.ttl is not None else default_ttl(draft, self.series)
        expiration = None if ttl is None else moment_at(self.store.clock() + ttl * 1_000)
        ids = event_ids(draft, [event.moment for event in self.given])
        pairs = [(id_, expiring(event, expiration)) for id_, event in zip(ids, self.given, strict=True)]
        self.endings = [Ending(event.expiration, id_, self.series) for id_, event in pairs if event.expiration]
        return execute([Upsert(self.collection, dict(event.fields), id=id_) for id_, event in pairs], draft)

    def finish(self, done: Sequenced) -> Written:
        """Note what is to expire, now that the transaction is accepted."""
        assert self.draft is not None
        note_endings(self.draft.batch, self.endings)
        results: Any = done.answer
        return Written(done.txn, results, done.warnings)

    def tell(self, done: Future[Written]) -> None:
        """Say when the first of them expires, now that they are on disk."""
        if self.endings and done.exception() is None:
            self.store.expiry.tell(min(ending.moment for ending in self.endings))


def expiring(event: Given, expiration: str | None) -> Given:
    """An event with its end, if it did not say it itself."""
    if event.expiration is not None or expiration is None:
        return event
    return Given(event.moment, expiration, {**event.fields, EXPIRATION: expiration})


def default_ttl(draft: Draft, series: str) -> int | None:
    """How long the events of a series live by its document, in whole seconds; None where it says nothing of use."""
    known = draft.catalog.by_name.get(SETTINGS)
    document = living_document(draft.batch, known, encode_id(series)) if known is not None else b""
    if known is None or not document:
        return None
    fields = msgspec.json.decode(core.document_json(document, known.paths, draft.catalog.replicas))
    said = fields.get(DEFAULT_TTL)
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said) or said < 0:
        return None
    return min(int(said), EVENT_TTL_SECONDS_MAX)
