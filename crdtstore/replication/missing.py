"""What another store lacks: entries of this log in their order, cut to the other's scope.

Rules: entries go out in the order of this store's log across all origins, which is causal. They come from a snapshot,
so only what is durable leaves a store. The other is fed from the log only if every record that it lacks is there:
if it reaches every origin's floor. To a narrower scope records are cut and advances stand for those that have nothing
in it; an advance waits for the next record, so that one stands for many. To a scope that is not within this store's,
only origins are given whose records came whole.

Not here: bytes on the wire; see `frame`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import msgpack

from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.entry import (
    Advance,
    Entry,
    decode_advance,
    encode_advance,
    is_advance,
    is_join,
    place_of,
    unpack_rows,
)
from crdtstore.crdt.names import Names
from crdtstore.crdt.scope import Scope, holds, includes
from crdtstore.crdt.value import pack
from crdtstore.limits import FRAME_BYTES_TARGET, FRAME_ENTRIES_MAX, REPLICAS_MAX
from crdtstore.storage.head import Head
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.log import last_txn, place_at, txn_key
from crdtstore.storage.tables import Table

Positions = Mapping[bytes, int]
"""How far another store is: origin -> position."""


class Missing(NamedTuple):
    """Entries that another store lacks, the chain digest behind the last of each origin, and whether more follow."""

    entries: tuple[Entry, ...]
    chains: Mapping[bytes, bytes]
    more: bool


def head_of(snapshot: Snapshot) -> Head:
    """The head as it was committed: the writer's own may be ahead of the disk."""
    return Head.load(snapshot, Names((), REPLICAS_MAX))


def excluded(head: Head, scope: Scope) -> frozenset[bytes]:
    """Origins that cannot be given to a store of another scope."""
    return frozenset() if includes(head.scope, scope) else frozenset(head.partials)


def below_floor(head: Head, scope: Scope, positions: Positions) -> bool:
    """Whether a store lacks records that are not in this log any more."""
    left_out = excluded(head, scope)
    return any(positions.get(origin, 0) < floor for origin, floor in head.floors.items() if origin not in left_out)


def first_missing(snapshot: Snapshot, head: Head, scope: Scope, positions: Positions) -> int:
    """The txn id of the first entry that a store lacks; one beyond the log if it lacks none."""
    left_out = excluded(head, scope)
    first = last_txn(snapshot) + 1
    for origin, reached in head.vector.items():
        position = positions.get(origin, 0)
        if origin not in left_out and reached.position > position:
            place = place_at(snapshot, origin, position + 1)
            first = min(first, place.txn if place else first)
    return first


def missing(
    snapshot: Snapshot, head: Head, scope: Scope, positions: Positions, bytes_max: int = FRAME_BYTES_TARGET
) -> Missing:
    """Collect what a store lacks.

    Args:
        snapshot: Of this store.
        head: As the snapshot has it.
        scope: What the other store holds.
        positions: How far it is; at or above every floor.
        bytes_max: Stop behind so many bytes of records.
    """
    left_out = excluded(head, scope)
    given = Giving(scope if not includes(scope, head.scope) else head.scope)
    size = 0
    entries: list[Entry] = []
    lines = lacking(snapshot, first_missing(snapshot, head, scope, positions), positions, left_out)
    for line in islice(lines, FRAME_ENTRIES_MAX // 2):
        whole = head.scope is None or is_whole(snapshot, line)
        added = given.add(line, whole=whole)
        entries += added
        size += sum(len(entry.data) for entry in added)
        if size >= bytes_max:
            break
    entries += given.flush()
    return Missing(tuple(entries), given.chains, next(lines, None) is not None)


class Line(NamedTuple):
    """An entry of the log with what stands beside it, and how far the other store is in its origin."""

    origin: bytes
    position: int
    known: int
    digest: bytes
    data: bytes


def lacking(snapshot: Snapshot, first: int, positions: Positions, left_out: frozenset[bytes]) -> Iterator[Line]:
    """The log from a txn id on, without what the other store has or cannot be given."""
    for _, value in snapshot.scan(Table.LOG, txn_key(first)):
        data = value[CHAIN_DIGEST_BYTES:]
        if is_join(data):
            continue
        origin, position = place_of(data)
        known = positions.get(origin, 0)
        if position > known and origin not in left_out:
            yield Line(origin, position, known, value[:CHAIN_DIGEST_BYTES], data)


def is_whole(snapshot: Snapshot, line: Line) -> bool:
    """Whether a record came whole to this store."""
    place = place_at(snapshot, line.origin, line.position)
    return place is not None and place.whole


@dataclass(slots=True)
class Giving:
    """What is being put together for a scope."""

    scope: Scope
    chains: dict[bytes, bytes] = field(default_factory=dict)
    pending: dict[bytes, Advance] = field(default_factory=dict)

    def add(self, line: Line, *, whole: bool) -> list[Entry]:
        """Take one line; returns what goes out now, advances that had to come before it included."""
        self.chains[line.origin] = line.digest
        if is_advance(line.data):
            self.advance(line, decode_advance(line.data))
            return []
        if self.scope is None:
            return [Entry(line.data)]
        fields = msgpack.unpackb(line.data)
        kept = [change for change in fields[6] if holds(self.scope, change[0])]
        if not kept:
            _, origin, position, _, timestamp, observed, _ = fields
            self.advance(line, Advance(origin, position, timestamp, unpack_rows(observed), line.digest))
            return []
        if whole and len(kept) == len(fields[6]):
            return [*self.flush(), Entry(line.data)]
        return [*self.flush(), Entry(pack([*fields[:6], kept]), line.digest)]

    def advance(self, line: Line, advance: Advance) -> None:
        """Take an advance, behind what waits of the same origin."""
        before = self.pending.get(line.origin)
        known = before.position if before else line.known
        digests = advance.digests[max(0, known + 1 - advance.first) * CHAIN_DIGEST_BYTES :]
        if before:
            observed = {**before.observed, **advance.observed}
            advance = advance._replace(observed=observed, digests=before.digests + digests)
        else:
            advance = advance._replace(digests=digests)
        self.pending[line.origin] = advance

    def flush(self) -> list[Entry]:
        """The advances that waited."""
        entries = [Entry(encode_advance(advance)) for advance in self.pending.values()]
        self.pending.clear()
        return entries
