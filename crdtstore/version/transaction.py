"""A transaction is made here: from a draft to a record in the log, with its timestamp, position and txn id.

Rules: the origin fixes the timestamp once, as max(clock, T + 1); it refuses to write when that would be
CLOCK_AHEAD_SECONDS_MAX ahead of its own clock. A refused transaction leaves nothing behind: names are taken
back, nothing was put. A transaction that changes nothing gets no record: it answers with the newest txn id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from crdtstore.crdt.record import join_record
from crdtstore.crdt.scope import format_scope, holds
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.timestamp import next_timestamp, to_milliseconds
from crdtstore.crdt.vector import Reached
from crdtstore.errors import ClockBehind, LimitExceeded, OutsideScope, VersionNotAvailable
from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX, DOCUMENT_BYTES_WARN, RECORD_BYTES_MAX
from crdtstore.storage import log
from crdtstore.storage.draft import Draft

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch

Result = TypeVar("Result")


class RefusedTransaction(Exception):
    """A transaction failed before it wrote anything; `error` is its own, and no other's."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Sequenced(NamedTuple):
    """What sequencing gave: the txn id, what the commands answered, what the caller should be told."""

    txn: int
    answer: object
    warnings: tuple[str, ...]


def sequence(
    batch: Batch,
    catalog: Catalog,
    head: Head,
    actor: bytes,
    evaluate: Callable[[Draft], object],
    *,
    clock_milliseconds: int,
    after: int | None,
    dry: bool = False,
) -> Sequenced:
    """Run one transaction and append it to the log.

    Args:
        batch: The group's.
        catalog: The store's names.
        head: Where the log stands; advanced by an accepted transaction.
        actor: The author.
        evaluate: Runs the commands on a draft.
        clock_milliseconds: The clock's reading.
        after: A txn id that must be applied already.
        dry: Drop the draft once it is known to be acceptable.

    Raises:
        VersionNotAvailable: `after` is not applied.
        ClockBehind: The next timestamp would be too far ahead of the clock.
        RefusedTransaction: The commands failed; nothing was written. Carries their error, typed or not.
    """
    if after is not None and after > head.txn:
        raise VersionNotAvailable(after, head.txn)
    stamp = Stamp(check_timestamp(clock_milliseconds, head.greatest), actor, head.origin)
    observed = head.observed_since()
    position = head.reached(head.origin).position + 1
    catalog.begin()
    try:
        draft = Draft(batch, catalog, stamp, head.coverage(head.origin, observed))
        answer = evaluate(draft)
        changes = draft.changes()
        check_collections(head, changes.collections)
        record = check_size(join_record(stamp, position, observed, changes.encoded))
    except Exception as error:
        catalog.rollback()
        raise RefusedTransaction(error) from error
    if dry or not changes.collections:
        warnings = large_documents(draft)
        catalog.rollback()
        return Sequenced(head.txn, answer, warnings)
    draft.put()
    previous = head.reached(head.origin).digest
    digest = log.append(batch, head.txn + 1, head.origin, position, previous, record)
    head.advance(head.origin, Reached(position, stamp.timestamp, digest), observed)
    return Sequenced(head.txn, answer, large_documents(draft))


def check_timestamp(clock_milliseconds: int, greatest: int) -> int:
    """The next timestamp, unless it would be too far ahead of the clock."""
    timestamp = next_timestamp(clock_milliseconds, greatest)
    ahead = to_milliseconds(timestamp) - clock_milliseconds
    if ahead > CLOCK_AHEAD_SECONDS_MAX * 1_000:
        message = (
            f"This machine's clock is {ahead // 1_000} s behind what the store has seen; it refuses writes beyond "
            f"{CLOCK_AHEAD_SECONDS_MAX} s. Set the clock."
        )
        raise ClockBehind(message, seconds=ahead // 1_000)
    return timestamp


def check_collections(head: Head, collections: Sequence[str]) -> None:
    """Refuse to write what is outside of the store's scope: its vector would not claim it."""
    if head.scope is None:
        return
    outside = next((name for name in collections if not holds(head.scope, name)), None)
    if outside is not None:
        message = f"Collection {outside!r} is not in this store, which was made for {format_scope(head.scope)}."
        raise OutsideScope(message, collection=outside, scope=list(head.scope or ()))


def check_size(record: bytes) -> bytes:
    """Refuse a record that no frame could carry to another store."""
    if len(record) > RECORD_BYTES_MAX:
        message = f"This transaction takes {len(record)} bytes; at most {RECORD_BYTES_MAX} are allowed. Divide it."
        raise LimitExceeded(message, limit="RECORD_BYTES_MAX", value=len(record), maximum=RECORD_BYTES_MAX)
    return record


def large_documents(draft: Draft) -> tuple[str, ...]:
    """A warning for each document beyond DOCUMENT_BYTES_WARN."""
    if not draft.documents:
        return ()
    return tuple(
        f"A document of collection {collection} takes {size} bytes; beyond {DOCUMENT_BYTES_WARN} each change is slow."
        for collection, size in draft.sizes()
        if size > DOCUMENT_BYTES_WARN
    )
