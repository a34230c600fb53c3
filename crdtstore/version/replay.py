"""Replaying applies a store's whole log to an empty store in memory, and compares what comes out.

Rules: a document is what its transactions made of it, so the same log gives the same digests, or something is wrong
that no seal and no sum can find. It needs the log from its beginning, without a join, and memory for the whole store.
Nothing is written to the store itself. Its own transactions are applied as those of any other origin.

Not here: everything that can be checked without it (`storage/verify.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from crdtstore.crdt.entry import Entry, is_advance, is_join, place_of
from crdtstore.crdt.names import Names
from crdtstore.crdt.timestamp import to_milliseconds
from crdtstore.errors import CrdtStoreError
from crdtstore.limits import CHANGES_ENTRIES_MAX, REPLICAS_MAX
from crdtstore.storage.catalog import number_key, read_counts
from crdtstore.storage.head import Head
from crdtstore.storage.identity import give_identity, new_origin, read_scope
from crdtstore.storage.log import LogEntry, first_txn, place_at, read_entries, txn_key
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.verify import no_progress
from crdtstore.storage.verify_finding import Finding, Progress
from crdtstore.version.delivery import deliver_entries
from crdtstore.version.sequencer import Sequencer
from crdtstore.version.writer import Inline

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.interface import Batch, Snapshot


def why_not(snapshot: Snapshot) -> str | None:
    """Why a log cannot be replayed; None where it can."""
    first = first_txn(snapshot)
    if first > 1:
        return f"the log begins at transaction {first:,}; what came before was trimmed"
    joined = next((entry.txn for entry in read_entries(snapshot, 0) if is_join(entry.record)), None)
    if joined is not None:
        return f"transaction {joined:,} joined a snapshot, whose documents are not in the log"
    return None


def replay(snapshot: Snapshot, progress: Progress = no_progress) -> Iterator[Finding]:
    """Apply the whole log anew, and compare documents and vector; as `verify`.

    Args:
        snapshot: Of a store for which `why_not` says nothing.
        progress: Told how far it is.
    """
    head = Head.load(snapshot, Names((), REPLICAS_MAX))
    storage = MemoryStorage()
    give_identity(storage, new_origin(secrets.token_bytes), read_scope(snapshot))
    sequencer = Sequencer(storage)
    clock_milliseconds = to_milliseconds(head.greatest)
    entries = read_entries(snapshot, 0)
    while some := list(islice(entries, CHANGES_ENTRIES_MAX)):
        job = partial(apply, entries=[entry_of(snapshot, entry) for entry in some], clock=clock_milliseconds)
        try:
            Inline(sequencer).submit(job).result()
        except CrdtStoreError as error:
            message = f"The transactions from {some[0].txn:,} on cannot be applied anew: {error.message}"
            yield Finding("replay", "log", txn_key(sequencer.head.txn + 1), message)
            return
        progress("replay", len(some), sum(len(entry.record) for entry in some))
    yield from compare(snapshot, head, sequencer)


def apply(batch: Batch, catalog: Catalog, head: Head, *, entries: list[Entry], clock: int) -> None:
    """Apply entries in one commit."""
    for _ in deliver_entries(batch, catalog, head, entries, clock):
        pass


def entry_of(snapshot: Snapshot, entry: LogEntry) -> Entry:
    """An entry as it arrived: a cut record with its digest."""
    if is_advance(entry.record):
        return Entry(entry.record)
    place = place_at(snapshot, *place_of(entry.record))
    return Entry(entry.record, None if place is None or place.whole else place.digest)


def compare(snapshot: Snapshot, head: Head, sequencer: Sequencer) -> Iterator[Finding]:
    """What came out against what is stored."""
    with sequencer.storage.snapshot() as made:
        again = {counts.name: counts for counts in read_counts(made)}
    for number, stored in enumerate(read_counts(snapshot)):
        other = again.get(stored.name)
        if (other[1:] if other else (0, 0, 0)) != stored[1:]:
            told = f"{stored.documents:,} documents are stored, {other.documents if other else 0:,} come of the log"
            message = f"Collection {stored.name!r} is not what its transactions make: {told}, or other ones."
            yield Finding("replay", "collections", number_key(number), message)
    if sequencer.head.vector != head.vector:
        yield Finding("replay", "origins", b"", "The version vector is not what the transactions make.")
