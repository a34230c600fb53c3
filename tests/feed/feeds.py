"""What the tests of the feed share: a pump that goes by hand, and what readers are to be told, found out naively.

Rules: the naive way applies the log one transaction at a time to another store and asks it before and after; it knows
nothing of images, rings or filters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from crdtstore.crdt.entry import is_record
from crdtstore.crdt.identifier import decode_id
from crdtstore.crdt.record import decode_record
from crdtstore.feed.event import Event
from crdtstore.feed.feed import Feed
from crdtstore.feed.pump import Listener, Place, Round
from crdtstore.feed.reader import Reader
from crdtstore.storage.log import last_txn
from crdtstore.store import Store
from tests.replication.worlds import make


class HandPump:
    """A pump whose rounds are asked for."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.listeners: list[Listener] = []
        self.place = self.now()

    def now(self) -> Place:
        snapshot = self.store.storage.snapshot()
        return Place(snapshot, self.store.sequencer.catalog, last_txn(snapshot))

    def attach(self, listener: Listener) -> None:
        if not self.listeners:
            self.place.snapshot.close()
            self.place = self.now()
        self.listeners.append(listener)
        listener.begin(self.place)

    def detach(self, listener: Listener) -> None:
        self.listeners.remove(listener)
        listener.end(None)

    def go(self) -> None:
        """One round with all that was committed."""
        after = self.now()
        before, self.place = self.place, after
        if after.txn > before.txn:
            for listener in self.listeners:
                listener.take(Round(before.snapshot, after.snapshot, before.txn, after.txn, after.catalog))
        before.snapshot.close()


def feed_of(store: Store) -> tuple[Feed, HandPump]:
    """A feed that goes by hand."""
    pump = HandPump(store)
    return Feed(store, pump), pump  # type: ignore[arg-type]  # all of a pump that a feed uses


class Told(NamedTuple):
    """An event as it is compared; `old` and `new` are the fields, None without a document."""

    txn: int
    collection: str
    id: Any
    method: str
    old: Any
    new: Any


def told(event: Event) -> Told:
    """An event with images, for comparing."""
    fields = [None if image is None else json.loads(image.json) for image in (event.old, event.new)]
    return Told(event.txn, event.collection, event.id, str(event.method), *fields)


def naive(store: Store, query: str = "true", collections: tuple[str, ...] | None = None) -> Iterator[Told]:
    """What is to be told of a store's whole log."""
    mirror = make(7)
    for entry in store.changes():
        names = decode_record(entry.record).changes if is_record(entry.record) else ()
        named = [(each.collection, decode_id(each.id)) for each in names]
        before = [(seen(mirror, query, *name), mirror.document_digest(*name)) for name in named]
        mirror.apply([entry.record])
        for name, (old, digest) in zip(named, before, strict=True):
            new = seen(mirror, query, *name)
            if (collections and name[0] not in collections) or digest == mirror.document_digest(*name):
                continue
            if old is not None or new is not None:
                method = "remove" if new is None else "upsert" if old is None else "update"
                yield Told(entry.txn, *name, method, old, new)
    mirror.close()


def seen(store: Store, query: str, collection: str, id_: Any) -> Any:
    """A document's fields, if it is there and matches."""
    found = store.find(collection, f"_id == $args.id && ({query})", args={"id": id_}).documents
    return json.loads(found[0].json) if found else None


def drain(reader: Reader, most: int | None = None) -> list[Event]:
    """What there is to read now, or about so many events of it."""
    found: list[Event] = []
    while most is None or len(found) < most:
        chunk = reader.take()
        if chunk is None:
            break
        found += chunk.events
    return found
