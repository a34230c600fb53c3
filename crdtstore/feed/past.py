"""The past of the feed: events of transactions that are in the log, and that no ring holds.

Rules: where a version is retained that is no newer than where the reader stands, they are merged again from there, and
have images. Else they have the images that were kept with the transaction, and else the operations. A reader who needs
images, because a condition is judged on them or because the form has no operations, is told to read the documents anew
where there are none. Each call reads one piece, of one snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from crdtstore.crdt.entry import is_join, is_record
from crdtstore.crdt.record import decode_operations, split_record
from crdtstore.errors import VersionNotAvailable, VersionNotRetained
from crdtstore.feed.event import DocumentChange, requery, told_by_new, told_by_operations
from crdtstore.feed.images import Joined, Replay, Touched
from crdtstore.feed.ring import Chunk
from crdtstore.limits import CHANGES_ENTRIES_MAX, FEED_REPLAY_BYTES_MAX, LINES_PIECE_BYTES
from crdtstore.storage.images import read_images
from crdtstore.storage.log import check_reach, read_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crdtstore.feed.event import Event
    from crdtstore.feed.filter import Filter
    from crdtstore.reading import Reading
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.images import Image
    from crdtstore.storage.interface import Snapshot
    from crdtstore.storage.log import LogEntry

    Images = Mapping[tuple[int, bytes], Image]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader wants: a filter, and whether events without images are of no use to it."""

    filter: Filter
    images: bool


def read_past(store: Reading, asked: Asked, since: int, until: int) -> Chunk:
    """The next events behind a transaction, as far as one piece goes; there may be none.

    Args:
        store: The store.
        asked: What the reader wants.
        since: Where it stands.
        until: Where the ring begins.

    Raises:
        LogTrimmed: What followed `since` is not in the log any more.
    """
    return replay_past(store, asked, since, until) or read_log(store, asked, since, until)


def read_log(store: Reading, asked: Asked, since: int, until: int) -> Chunk:
    """The same from the log, with the images that were kept."""
    with store.storage.snapshot() as snapshot:
        check_reach(snapshot, since)
        catalog = store.names(snapshot)
        events: list[Event] = []
        size, txn = 0, since
        for entry in islice(read_entries(snapshot, since, until - since), CHANGES_ENTRIES_MAX):
            told = list(tell(asked, entry, read_images(snapshot, entry.txn), catalog))
            if None in told:
                return Chunk([*events, requery(until)], until)
            events += [event for event in told if event is not None]
            size += sum(len(event.json) for event in events[-len(told) :])
            txn = entry.txn
            if size >= LINES_PIECE_BYTES:
                break
        return Chunk(events, txn)


def tell(asked: Asked, entry: LogEntry, images: Images, catalog: Catalog) -> Iterator[Event | None]:
    """What is told of an entry; None where it cannot be told to this reader."""
    if is_join(entry.record):
        yield None if asked.images else requery(entry.txn)
    elif is_record(entry.record):
        for name, id_, operations in split_record(entry.record).changes:
            if asked.filter.covers(name):
                image = images.get((catalog.by_name[name].number, id_))
                if image is not None:
                    yield from tell_image(asked, entry.txn, catalog, image)
                elif asked.images:
                    yield None
                else:
                    yield told_by_operations(entry.txn, name, id_, decode_operations(operations))


def tell_image(asked: Asked, txn: int, catalog: Catalog, image: Image) -> Iterator[Event | None]:
    """What is told of a document whose image was kept."""
    if image.after is None:
        return
    touched = Touched(catalog.collections[image.collection], image.id, image.before or b"", image.after)
    if image.before is not None:
        event = asked.filter.judge(DocumentChange(txn, catalog, touched))
        if event is not None:
            yield event
    else:
        yield None if asked.images else told_by_new(txn, catalog, touched)


# --- from a retained version ---


def replay_past(store: Reading, asked: Asked, since: int, until: int) -> Chunk | None:
    """The same with images; None where no retained version allows it."""
    base = max((txn for txn in store.retained.txns if txn <= since), default=None)
    if base is None:
        return None
    try:
        with store.retained.reading(base) as before, store.storage.snapshot() as after:
            check_reach(after, base)
            return replayed(before, after, store.names(after), asked.filter, base, since, until)
    except (VersionNotRetained, VersionNotAvailable, Joined):
        return None


def replayed(
    before: Snapshot, after: Snapshot, catalog: Catalog, filter_: Filter, base: int, since: int, until: int
) -> Chunk | None:
    """Merge again what comes behind `base`, and tell what comes behind `since`; None where that is too far."""
    replay = Replay(before, catalog)
    events: list[Event] = []
    size, txn = 0, since
    for entry in read_entries(after, base, until - base):
        if size >= LINES_PIECE_BYTES:
            break
        for touched in replay.apply(entry.record):
            event = filter_.judge(DocumentChange(entry.txn, catalog, touched)) if entry.txn > since else None
            if event is not None:
                events.append(event)
                size += len(event.json)
        if replay.bytes > FEED_REPLAY_BYTES_MAX:
            return None
        txn = max(txn, entry.txn)
    return Chunk(events, txn)
