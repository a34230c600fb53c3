"""What must hold of a store that was opened again after any fault, judged from its records.

Rules: nothing the store says of itself is believed. Transaction ids, chain digests and positions are recounted from the
log; documents are rebuilt by applying the records to a twin in memory; counts and digests are added up from the
documents. An answer is a list of sentences; empty means that all holds. What the twin has, it is not given twice, so
that checking after each of many faults costs what is new.
"""

from __future__ import annotations

from crdtstore import Store, core, make_actor
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.errors import ReplicationError
from crdtstore.storage.catalog import Counts, read_counts
from crdtstore.storage.documents import scan_documents
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.log import place_at, read_entries
from crdtstore.storage.tables import Table


def make_twin() -> Store:
    """A store that will hold what the records say."""
    return Store.in_memory(origin=make_actor(2**40, 1))


def inconsistencies(store: Store, twin: Store) -> list[str]:
    """Everything that is wrong in a store of which only its own origin wrote; the twin is brought up to date."""
    before = twin.applied
    with store.storage.snapshot() as snapshot:
        entries = list(read_entries(snapshot, before))
        found = wrong_order([entry.txn for entry in entries], before, store.applied)
        found += wrong_chain(snapshot, store.origin, before, [entry.record for entry in entries])
    try:
        twin.apply(entry.record for entry in entries)
    except ReplicationError as error:
        found.append(f"the records do not follow each other: {error}")
    return found + wrong_documents(store, twin)


def wrong_order(ids: list[int], before: int, applied: int) -> list[str]:
    """Transaction ids that are not dense, or do not end where the store says."""
    expected = list(range(before + 1, applied + 1))
    return [] if ids == expected else [f"transaction ids {ids[:3]}..{ids[-3:]}, of {before + 1}..{applied}"]


def wrong_chain(snapshot: Snapshot, origin: bytes, before: int, records: list[bytes]) -> list[str]:
    """Chain digests of log and positions that the records do not give."""
    place = place_at(snapshot, origin, before) if before else None
    digest = place.digest if place else bytes(CHAIN_DIGEST_BYTES)
    found = []
    for txn, record in enumerate(records, before + 1):
        digest = core.chain_digest(digest, record)
        stored = snapshot.get(Table.LOG, txn.to_bytes(8, "big")) or b""
        place = place_at(snapshot, origin, txn)
        if stored[:CHAIN_DIGEST_BYTES] != digest or place is None or (place.txn, place.digest) != (txn, digest):
            found.append(f"the chain digest of transaction {txn} is another one")
    return found


def wrong_documents(store: Store, twin: Store) -> list[str]:
    """Counts and digests that the documents do not give, and documents that the records do not."""
    with store.view() as (snapshot, _), twin.storage.snapshot() as expected:
        counts, rebuilt = read_counts(snapshot), read_counts(expected)
    found = []
    for row in counts:
        recount = recounted(store, row.name)
        if row != recount:
            found.append(f"the counts say {row}, and there is {recount}")
    # A collection without documents may have a name here and none there.
    ours, theirs = ([row for row in sorted(rows) if row.documents] for rows in (counts, rebuilt))
    return found if ours == theirs else [*found, f"the records give {theirs}, the store has {ours}"]


def recounted(store: Store, name: str) -> Counts:
    """The count and the digest of a collection, added up from its documents."""
    documents = total = buried = 0
    with store.view() as (snapshot, catalog):
        known = catalog.by_name[name]
        for row in scan_documents(snapshot, known):
            key = core.digest_key(name, row.id)
            digest = core.document_digest(row.document, known.paths, catalog.replicas, key)
            documents, total = documents + 1, total + int.from_bytes(digest, "little")
            buried += is_grave(row.document)
    return Counts(name, documents, total % 2**128, buried)
