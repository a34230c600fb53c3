"""Joining a peer's snapshot: find the ranges of keys that differ, fetch their documents, join them in one commit.

Rules: the sums of both sides are compared, first of whole collections, then of the parts of those that differ, until
a part is small; so equal parts are not sent, and the search takes O(differences * log documents) sums. Blocks of
documents wait in a file if they are many. This store may go on writing meanwhile: `version/join.py` says why.

Not here: how sums are kept (`storage/ranges.py`), what joining means (`crdt/join.py`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from crdtstore.crdt.entry import KeyRange
from crdtstore.crdt.scope import Scope
from crdtstore.errors import MalformedMessage, Overloaded
from crdtstore.limits import (
    DIGESTS_MAX,
    JOIN_ATTEMPTS_MAX,
    RANGE_DOCUMENTS_MIN,
    RANGE_PARTS,
    RANGES_MAX,
    SPOOL_BYTES_MAX,
)
from crdtstore.replication.compare import rows_of
from crdtstore.replication.message import (
    SHORT,
    Chain,
    Close,
    Digests,
    Documents,
    Fetch,
    Open,
    Opened,
    Parts,
    Request,
    Sums,
)
from crdtstore.replication.missing import head_of
from crdtstore.replication.snapshot import SnapshotDocument, SnapshotHead, decode_documents, decode_head
from crdtstore.storage.documents import id_key
from crdtstore.storage.range_table import Sum
from crdtstore.storage.ranges import Ranges, refresh_job
from crdtstore.version.join import Arrived, Arriving, ChainPart, in_range, join_snapshot

if TYPE_CHECKING:
    from crdtstore.storage.head import Head
    from crdtstore.store import Store

Asking: TypeAlias = tuple[int, Scope, bytes]
NOTHING = Sum(0, 0)
LENGTH_BYTES = 4


def join_peer(store: Store, asking: Asking) -> Generator[Request, Any, int]:
    """Join a snapshot of the other store; returns how many documents changed here.

    Raises:
        Overloaded: Others gave this store records that the snapshot covers, again and again.
    """
    while store.run(refresh_job):
        pass
    with store.storage.snapshot() as snapshot:
        rows = rows_of(head_of(snapshot))
    opened = yield Open(*asking, rows)
    check(opened, Opened)
    for _ in range(JOIN_ATTEMPTS_MAX):
        joined = yield from attempt(store, asking, opened)
        if joined is not None:
            yield Close(*asking, opened.token)
            return joined
    message = f"{JOIN_ATTEMPTS_MAX} times other stores gave this one records while it was joining a snapshot."
    raise Overloaded(message, limit="JOIN_ATTEMPTS_MAX", maximum=JOIN_ATTEMPTS_MAX)


def attempt(store: Store, asking: Asking, opened: Opened) -> Generator[Request, Any, int | None]:
    """Find what differs, fetch and join it; None where that must be done again."""
    there = decode_head(opened.head)
    with closing(store.storage.snapshot()) as snapshot:
        head = head_of(snapshot)
        found = yield from search(asking, opened, Ranges(snapshot, store.sequencer.catalog), store.scope)
    digests = yield from chains(asking, opened.token, head, there)
    with Spool() as spool:
        yield from fetch(asking, opened.token, found, spool)
        arriving = Arriving(
            head.vector,
            there.vector,
            there.authors,
            digests,
            found,
            spool.documents(),
            spool.replicas,
            spool.collections,
        )
        return store.run(lambda batch, catalog, head: join_snapshot(batch, catalog, head, arriving, store.clock()))


def check(answer: object, kind: type) -> None:
    """Refuse an answer of another kind than was asked for."""
    if not isinstance(answer, kind):
        raise MalformedMessage(f"The other store answered with {type(answer).__name__}, which was not asked for.")


def search(asking: Asking, opened: Opened, ours: Ranges, scope: Scope) -> Generator[Request, Any, tuple[KeyRange, ...]]:
    """The ranges that differ, disjoint and in order."""
    theirs = {name: Sum(documents, int.from_bytes(digest, "little")) for name, documents, digest in opened.sums}
    known = {part.collection: total for part, total in ours.sums(scope)}
    names = sorted(known.keys() | theirs.keys())
    found: list[KeyRange] = []
    todo: list[KeyRange] = []
    for name in names:
        sort_out(KeyRange(name), known.get(name, NOTHING), theirs.get(name, NOTHING), found, todo)
    while todo:
        asked, todo = todo[:RANGES_MAX], todo[RANGES_MAX:]
        answer = yield Sums(*asking, opened.token, tuple(asked))
        check(answer, Parts)
        if len(answer.parts) != len(asked):
            raise MalformedMessage(f"{len(asked)} ranges were to be divided, and {len(answer.parts)} came back.")
        for whole, parts in zip(asked, answer.parts, strict=True):
            for part, total in parts_of(whole, parts):
                sort_out(part, shortened(ours.sum(part)), total, found, todo, divided=len(parts) > 1)
    return tuple(merged(sorted(found, key=lambda part: (part.collection, part.start))))


def sort_out(
    part: KeyRange, ours: Sum, theirs: Sum, found: list[KeyRange], todo: list[KeyRange], *, divided: bool = True
) -> None:
    """Drop a range that is equal, take one that is small or has nothing on one side, divide the others further."""
    if ours == theirs:
        return
    fewer, more = sorted((ours.documents, theirs.documents))
    final = not divided or fewer == 0 or more <= RANGE_DOCUMENTS_MIN
    (found if final else todo).append(part)


def shortened(total: Sum) -> Sum:
    """A sum as the parts of a range are told."""
    return Sum(total.documents, total.digest % SHORT)


def parts_of(whole: KeyRange, parts: Sequence[tuple[bytes, int, int]]) -> Iterator[tuple[KeyRange, Sum]]:
    """The parts of a range as they were told: consecutive, and together the whole.

    Raises:
        MalformedMessage: They are not.
    """
    starts = [start for start, _, _ in parts]
    ordered = all(left < right for left, right in pairwise(starts))
    inside = bool(starts) and starts[0] == whole.start and (whole.end is None or starts[-1] < whole.end)
    if not ordered or not inside or len(parts) > 2 * RANGE_PARTS:
        raise MalformedMessage(f"The parts of a range of collection {whole.collection!r} do not make it up.")
    for (start, documents, digest), end in zip(parts, [*starts[1:], whole.end], strict=True):
        yield KeyRange(whole.collection, start, end), Sum(documents, digest)


def merged(parts: Iterable[KeyRange]) -> Iterator[KeyRange]:
    """Ranges in order, neighbours made one."""
    before: KeyRange | None = None
    for part in parts:
        if before and before.collection == part.collection and before.end == part.start:
            before = before._replace(end=part.end)
            continue
        if before:
            yield before
        before = part
    if before:
        yield before


def chains(
    asking: Asking, token: int, head: Head, there: SnapshotHead
) -> Generator[Request, Any, dict[bytes, ChainPart]]:
    """The chain digests of what is new there, from where this store stands."""
    arrived: dict[bytes, ChainPart] = {}
    for origin, reached in sorted(there.vector.items()):
        known = head.reached(origin).position
        if reached.position <= known:
            continue
        first = at = max(1, known)
        digests = b""
        while at <= reached.position:
            last = min(reached.position, at + DIGESTS_MAX - 1)
            answer = yield Chain(*asking, token, origin, at, last)
            check(answer, Digests)
            digests += answer.digests
            at = last + 1
        arrived[origin] = ChainPart(first, digests)
    return arrived


def fetch(asking: Asking, token: int, ranges: Sequence[KeyRange], spool: Spool) -> Generator[Request, Any, None]:
    """Fetch the documents of ranges into a spool."""
    left = list(ranges)
    while left:
        answer = yield Fetch(*asking, token, tuple(left[:RANGES_MAX]))
        check(answer, Documents)
        documents = decode_documents(answer.block) if answer.block else []
        left = behind(documents, left, asked=min(len(left), RANGES_MAX), more=answer.more)
        spool.add(answer.block, documents)


def behind(documents: Sequence[SnapshotDocument], ranges: list[KeyRange], *, asked: int, more: bool) -> list[KeyRange]:
    """What is left of the ranges behind some documents, which stand in their order.

    Raises:
        MalformedMessage: They do not, or there are none although more follow.
    """
    at, start = 0, ranges[0].start
    for document in documents:
        key = id_key(document.id)
        while at < asked and not (document.collection == ranges[at].collection and in_range(ranges[at], key)):
            at += 1
            start = ranges[at].start if at < asked else b""
        if at == asked or key < start:
            raise MalformedMessage("The documents of a snapshot do not come in the order of their ranges.")
        start = key + b"\0"
    if not more:
        return ranges[asked:]
    if not documents:
        raise MalformedMessage("The other store gave no documents, and says that more follow.")
    return [ranges[at]._replace(start=start), *ranges[at + 1 :]]


class Spool:
    """Blocks of documents that wait to be joined, in memory or, if they are many, in a file; and their names."""

    def __init__(self) -> None:
        self.file = SpooledTemporaryFile(max_size=SPOOL_BYTES_MAX)  # noqa: SIM115  closed by __exit__
        self.replicas: set[bytes] = set()
        self.collections: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, block: bytes, documents: Sequence[SnapshotDocument]) -> None:
        """Keep a block, of which the documents are given too."""
        self.file.write(len(block).to_bytes(LENGTH_BYTES, "big") + block)
        for document in documents:
            self.collections.add(document.collection)
            for cell in document.cells:
                self.replicas.add(cell.stamp.replica)
                self.replicas.update(total.stamp.replica for total in cell.totals)

    def documents(self) -> Iterator[Arrived]:
        """All documents, as they came."""
        self.file.seek(0)
        while size := self.file.read(LENGTH_BYTES):
            block = self.file.read(int.from_bytes(size, "big"))
            yield from (Arrived(*document) for document in decode_documents(block)) if block else ()
