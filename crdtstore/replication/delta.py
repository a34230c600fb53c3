"""A delta is a file with what another store lacks: two stores that never meet become equal by carrying files.

    ask = write_ask(right)                       what the right store knows
    write_delta(left, read_ask(ask)) -> pieces   what it lacks of the left one
    read_delta(right, file)                      applied there

Rules: an ask holds a store's vector with its chain digests, a delta holds that of the store that wrote it, and frames
in the order of its log. So histories are compared before anything is written or applied, as in an exchange, and a
divergence quarantines the other store here. A delta is read once, frame by frame, and each is applied as if it came in
an exchange: what is known is skipped, what came before a damage or a refusal stays, and the same delta can be read
again. Files may come in any order, twice, or never; one that fits nothing that is here is refused before it is begun.

Without an ask a delta holds everything that the log does. What is in no log any more is in a backup, or in a snapshot
that two stores exchange. The log is not kept for stores that are reached by files only.

Not here: blocks (`storage/blocks.py`), frames (`frame`), what is missing (`missing`). The format's document is
`docs/delta.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from crdtstore.crdt.entry import place_of
from crdtstore.crdt.scope import Scope, format_scope, make_scope
from crdtstore.errors import (
    DamagedFile,
    Divergence,
    LogTrimmed,
    MalformedMessage,
    PositionGap,
    ScopeMismatch,
)
from crdtstore.limits import ORIGINS_MAX
from crdtstore.replication.compare import compare, knows_more, rows_of
from crdtstore.replication.frame import Frame, decode_frame, encode_frame
from crdtstore.replication.message import Collections, Name, Natural, Position, Rows
from crdtstore.replication.missing import below_floor, excluded, head_of, missing
from crdtstore.replication.peers import check_peer, quarantine
from crdtstore.storage.blocks import BlockReader, Source, write_blocks
from crdtstore.storage.log import first_txn

if TYPE_CHECKING:
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Snapshot
    from crdtstore.store import Store

ASK_MAGIC: Final = b"CRDT-ASK"
DELTA_MAGIC: Final = b"CRDTDELT"
DELTA_FORMAT: Final = 1

After: TypeAlias = Annotated[tuple[tuple[Name, Position], ...], Meta(max_length=ORIGINS_MAX)]
"""Behind which position of an origin a delta begins."""


class Ask(Struct, array_like=True, frozen=True):
    """What a store knows: its origin, the collections that it holds (None for all), and its vector."""

    format: Natural
    origin: Name
    collections: Collections | None
    rows: Rows

    @property
    def scope(self) -> Scope:
        """The scope of the store that asks."""
        return make_scope(self.collections)


class DeltaHead(Struct, array_like=True, frozen=True):
    """Who wrote a delta, for stores of which collections, from where, and the writer's vector: how far it leads."""

    format: Natural
    origin: Name
    collections: Collections | None
    after: After
    rows: Rows

    @property
    def scope(self) -> Scope:
        """The scope of the stores that it is for."""
        return make_scope(self.collections)


class Imported(NamedTuple):
    """Who wrote a delta, how many of its entries were applied, and how many were known."""

    origin: bytes
    applied: int
    skipped: int


Message = TypeVar("Message", Ask, DeltaHead)

# --- writing ---


def write_ask(store: Store) -> Iterator[bytes]:
    """Write what a store knows, for another one to write a delta for it."""
    with store.storage.snapshot() as snapshot:
        head = head_of(snapshot)
    ask = Ask(DELTA_FORMAT, head.origin, head.scope, rows_of(head))
    return write_blocks(ASK_MAGIC, [msgspec.msgpack.encode(ask)])


def write_delta(store: Store, ask: Ask | None = None) -> Iterator[bytes]:
    """Write what another store lacks, or everything that the log holds.

    The histories are compared before the first piece is given. A snapshot is held until the last one was.

    Args:
        store: Whose log.
        ask: What the other store knows; without it the delta is for every store of the same collections.

    Yields:
        The file, piece by piece.

    Raises:
        Divergence: The two have different histories; the other is quarantined here.
        Quarantined: The other diverged before.
        LogTrimmed: It lacks what the log no longer holds.
    """
    with store.storage.snapshot() as snapshot:
        head = head_of(snapshot)
        if ask is not None:
            check_ask(store, snapshot, head, ask)
        scope = head.scope if ask is None else ask.scope
        known = dict(head.floors) if ask is None else {origin: position for origin, position, _, _ in ask.rows}
        yield from write_blocks(DELTA_MAGIC, payloads(snapshot, head, scope, known))


def check_ask(store: Store, snapshot: Snapshot, head: Head, ask: Ask) -> None:
    """Compare histories with the store that asks, and see whether the log reaches back to it."""
    check_peer(snapshot, ask.origin)
    try:
        compare(snapshot, head, ask.rows)
    except Divergence as error:
        quarantine(store, ask.origin, error)
        raise
    if below_floor(head, ask.scope, {origin: position for origin, position, _, _ in ask.rows}):
        first = first_txn(snapshot)
        message = (
            f"The store that asks lacks what this log no longer holds: it begins at transaction {first}. Restore a "
            "backup of this store there, or let the two exchange once."
        )
        raise LogTrimmed(message, asked=0, first=first)
    if knows_more(head, ask.rows) and not store.storage.read_only:
        head.origin = store.renew_epoch()


def payloads(snapshot: Snapshot, head: Head, scope: Scope, known: dict[bytes, int]) -> Iterator[bytes]:
    """The head of a delta and its frames."""
    left_out = excluded(head, scope)
    after = tuple(
        (origin, min(position, head.reached(origin).position))
        for origin, position in sorted(known.items())
        if position and origin in head.vector and origin not in left_out
    )
    yield msgspec.msgpack.encode(DeltaHead(DELTA_FORMAT, head.origin, scope, after, rows_of(head)))
    more = True
    while more:
        entries, chains, more = missing(snapshot, head, scope, known)
        if entries:
            yield encode_frame(Frame(entries, chains))
        known |= dict(place_of(entry.data) for entry in entries)


# --- reading ---


def read_ask(file: Source) -> Ask:
    """Read what another store knows.

    Raises:
        DamagedFile: The file is cut short or altered.
        MalformedMessage: It is no ask, or one of another format.
    """
    return decode(b"".join(BlockReader(file).payloads(ASK_MAGIC)), Ask)


def read_delta(store: Store, file: Source) -> Imported:
    """Apply a delta.

    Raises:
        DamagedFile: The file is cut short or altered. What came before that stays; `data` has `applied`.
        Divergence: The two stores have different histories; the other is quarantined here.
        Quarantined: The other diverged before.
        PositionGap: This store lacks what comes before the delta.
        ScopeMismatch: The delta is for stores of other collections.
        ReplicationError: An entry does not fit; what came before it stays.
    """
    frames = BlockReader(file).payloads(DELTA_MAGIC)
    head = decode(next(frames, b""), DeltaHead)
    counts = [0, 0]
    try:
        begin(store, head)
        for data in frames:
            frame = decode_frame(data)
            done = store.deliver(frame.entries, frame.chains)
            counts = [counts[0] + done.applied, counts[1] + done.skipped]
        check_arrived(store, head)
    except Divergence as error:
        quarantine(store, head.origin, error)
        raise
    except DamagedFile as error:
        error.data["applied"] = counts[0]
        error.message += f" {counts[0]} entries before that are applied."
        raise
    return Imported(head.origin, *counts)


def decode(payload: bytes, kind: type[Message]) -> Message:
    """Read the head of a file."""
    try:
        found = msgspec.msgpack.decode(payload, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedMessage(f"The file begins with no {kind.__name__}: {error}.") from None
    if found.format != DELTA_FORMAT:
        message = f"The file has format {found.format} of deltas; this version reads format {DELTA_FORMAT}."
        raise MalformedMessage(message)
    return found


def begin(store: Store, head: DeltaHead) -> None:
    """See whether a delta fits what is here, before anything of it is applied."""
    if head.scope != store.scope:
        message = (
            f"The delta is for stores of {format_scope(head.scope)}; this one holds {format_scope(store.scope)}: "
            "export one for what it asks."
        )
        raise ScopeMismatch(message)
    with store.storage.snapshot() as snapshot:
        check_peer(snapshot, head.origin)
        ours = head_of(snapshot)
        compare(snapshot, ours, head.rows)
    if knows_more(ours, head.rows):
        store.renew_epoch()
    for origin, position in head.after:
        reached = ours.reached(origin).position
        if reached < position:
            message = (
                f"The delta begins behind position {position} of origin {origin.hex()}, and this store has {reached}: "
                "export one for what this store asks, or start from a backup."
            )
            raise PositionGap(message, origin=origin.hex(), expected=reached + 1, got=position + 1)


def check_arrived(store: Store, head: DeltaHead) -> None:
    """Compare histories once more, where the delta has led."""
    with store.storage.snapshot() as snapshot:
        compare(snapshot, head_of(snapshot), head.rows)
