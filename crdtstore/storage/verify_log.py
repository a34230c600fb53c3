"""Verifying the log: no gap in it, each entry follows from the ones before, and the vector is what it amounts to.

Rules: the log is walked once in the order of txn ids, and once along each origin's positions, where the chain of
digests is computed anew from record to record. What is not in the log as its origin made it (trimmed, cut, advanced
over, joined) keeps the digest that was told, and the chain goes on from there. A join gives the whole vector; from
there on the entries do. What was trimmed cannot be recomputed: of an origin of which nothing is left in the log, the
position and digest in the vector are compared with the table of positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgpack

from crdtstore import core
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.entry import Advance, decode_advance, decode_join, is_advance, is_join, is_record, place_of
from crdtstore.crdt.timestamp import format_timestamp
from crdtstore.crdt.vector import NOWHERE, Reached
from crdtstore.limits import ACTOR_BYTES
from crdtstore.storage.log import NO_CHAIN, NOT_WHOLE, txn_key
from crdtstore.storage.tables import Table
from crdtstore.storage.verify_rows import DAMAGE, check_key_bytes, walk

if TYPE_CHECKING:
    from crdtstore.crdt.record import RecordHead
    from crdtstore.storage.verify_finding import View


@dataclass(slots=True)
class LogState:
    """What the log amounts to, as far as it reaches back."""

    first: int = 0
    newest: int = 0
    whole: bool = True
    """Whether it reaches back to the beginning without a join and without damage: then it says everything."""
    vector: dict[bytes, Reached] = field(default_factory=dict)
    authors: dict[bytes, dict[bytes, Reached]] = field(default_factory=dict)


# --- in the order of txn ids ---


def check_log(view: View) -> None:
    """Every entry: its txn id, its form, its time, its position; collects what the log amounts to."""
    state = view.log = LogState()
    for key, value in walk(view, Table.LOG):
        if not check_key_bytes(view, Table.LOG, key, 8):
            continue
        txn = int.from_bytes(key, "big")
        if state.newest and txn != state.newest + 1:
            state.whole = False
            view.report("log-gap", "log", key, f"After transaction {state.newest:,} comes {txn:,} in the log.")
        state.whole = state.whole and (bool(state.newest) or txn == 1)
        state.first, state.newest = state.first or txn, txn
        try:
            wrong = take_entry(view, state, txn, value[:CHAIN_DIGEST_BYTES], value[CHAIN_DIGEST_BYTES:])
        except DAMAGE as error:
            state.whole = False
            wrong = f"The entry cannot be read: {error}."
        if wrong:
            view.report("log", "log", key, wrong)


def take_entry(view: View, state: LogState, txn: int, digest: bytes, data: bytes) -> str | None:
    """Go on by one entry; returns what is wrong with it."""
    if is_join(data):
        state.vector, state.whole = decode_join(data)[0], False
        state.authors.clear()
        return None if digest == NO_CHAIN else "The entry of a join has no chain digest, and this has one."
    if is_advance(data):
        advance = decode_advance(data)
        check_places(view, txn, advance.origin, advance.first, advance.digests)
        wrong = "An advance's digest is not its last one." if digest != advance.digest else None
        return follow(state, advance, digest) or wrong
    record: RecordHead = core.read_head(data)
    check_places(view, txn, record.origin, record.position, digest)
    return follow(state, record, digest)


def follow(state: LogState, entry: RecordHead | Advance, digest: bytes) -> str | None:
    """Enter an entry into the vector; returns what does not follow from the ones before."""
    before = state.vector.get(entry.origin)
    state.vector[entry.origin] = Reached(entry.position, entry.timestamp, digest)
    state.authors.setdefault(entry.origin, {}).update(entry.observed)
    first = entry.first if isinstance(entry, Advance) else entry.position
    if before is None:
        return f"It is the first entry of its origin, and at position {first:,}." if state.whole and first > 1 else None
    if not first <= before.position + 1 <= entry.position:
        return f"Position {entry.position:,} follows {before.position:,} of the same origin."
    if entry.timestamp <= before.timestamp:
        return f"It is stamped {format_timestamp(entry.timestamp)}, not later than the one before of its origin."
    return None


def check_places(view: View, txn: int, origin: bytes, first: int, digests: bytes) -> None:
    """Whether each position of an entry is found in the table of positions, under this or a later entry."""
    for at in range(0, len(digests), CHAIN_DIGEST_BYTES):
        position = first + at // CHAIN_DIGEST_BYTES
        key = origin + position.to_bytes(8, "big")
        try:
            row = view.get(Table.POSITIONS, key)
        except DAMAGE:
            continue  # reported where positions are walked
        if row is None or int.from_bytes(row[:8], "big") < txn or row[8:24] != digests[at : at + CHAIN_DIGEST_BYTES]:
            what = "is missing" if row is None else "says something else"
            message = f"Transaction {txn:,} is position {position:,} of origin {origin.hex()}, whose row {what}."
            view.report("positions", "positions", key, message)


# --- along the positions of each origin ---


@dataclass(slots=True)
class Chain:
    """Where the walk along one origin stands."""

    origin: bytes = b""
    position: int = 0
    digest: bytes = NOWHERE.digest
    floor: int = 0


def check_positions(view: View) -> None:
    """Every position: dense, in the log or below the floor, and its digest what the chain says."""
    chain = Chain()
    floors = read_floors(view)
    for key, value in walk(view, Table.POSITIONS):
        if not check_key_bytes(view, Table.POSITIONS, key, ACTOR_BYTES + 8):
            continue
        origin, position = key[:ACTOR_BYTES], int.from_bytes(key[ACTOR_BYTES:], "big")
        if origin != chain.origin:
            chain = Chain(origin, floor=floors.get(origin, 0))
        if position != chain.position + 1:
            message = f"After position {chain.position:,} of origin {origin.hex()} comes {position:,}."
            view.report("positions", "positions", key, message)
            chain.digest = b""
        if len(value) != 24 and value[24:] != NOT_WHOLE:
            view.report("value", "positions", key, "The row is not a txn id and a digest.")
        else:
            check_place(view, chain, key, position, value)
        chain.position, chain.digest = position, value[8:24]
        view.last[origin] = position, chain.digest


def read_floors(view: View) -> dict[bytes, int]:
    """The floor of each origin; damaged rows are reported where they are walked."""
    floors = {}
    try:
        for origin, row in view.snapshot.scan(Table.ORIGINS):
            floors[origin] = (*msgpack.unpackb(row)[4:], 0)[0]
    except DAMAGE:
        view.revive()
    return floors


def check_place(view: View, chain: Chain, key: bytes, position: int, value: bytes) -> None:
    """One position: where its record is, and its digest."""
    txn, digest = int.from_bytes(value[:8], "big"), value[8:24]
    first = view.log.first if view.log else 0
    if not txn or txn < first:
        if position > chain.floor:
            message = f"Position {position:,} of origin {chain.origin.hex()} is not in the log, and not below its floor"
            view.report("positions", "positions", key, f"{message}, {chain.floor:,}.")
        return
    try:
        entry = view.get(Table.LOG, txn_key(txn))
    except DAMAGE:
        return  # reported where the log is walked
    if entry is None or not holds_place(entry[CHAIN_DIGEST_BYTES:], chain.origin, position):
        message = (
            f"Position {position:,} of origin {chain.origin.hex()} should be transaction {txn:,}; it is not there."
        )
        view.report("positions", "positions", key, message)
    elif len(value) == 24 and chain.digest and core.chain_digest(chain.digest, entry[CHAIN_DIGEST_BYTES:]) != digest:
        message = f"The chain of origin {chain.origin.hex()} gives another digest at position {position:,}."
        view.report("chain", "positions", key, message)


def holds_place(data: bytes, origin: bytes, position: int) -> bool:
    """Whether an entry of the log holds a position."""
    try:
        if is_advance(data):
            advance = decode_advance(data)
            return advance.origin == origin and advance.first <= position <= advance.position
        return is_record(data) and place_of(data) == (origin, position)
    except DAMAGE:
        return False


# --- the head ---


def check_head(view: View) -> None:
    """The version vector and the author vectors, against what the log and the positions amount to."""
    state: LogState = view.log or LogState(whole=False)
    seen = set()
    for origin, row in walk(view, Table.ORIGINS):
        if not check_key_bytes(view, Table.ORIGINS, origin, ACTOR_BYTES):
            continue
        seen.add(origin)
        try:
            wrong = check_origin(view, state, origin, msgpack.unpackb(row))
        except DAMAGE as error:
            wrong = f"the row cannot be read: {error}"
        if wrong:
            view.report("head", "origins", origin, f"Origin {origin.hex()}: {wrong}.")
    for origin in sorted((state.vector.keys() | view.last.keys()) - seen):
        view.report("head", "origins", origin, f"Origin {origin.hex()} is in the log and not in the version vector.")


def check_origin(view: View, state: LogState, origin: bytes, row: Any) -> str | None:
    """One row of the vector; returns what is wrong."""
    position, timestamp, digest, author, *_ = row
    computed = state.vector.get(origin)
    if computed is not None and computed != (position, timestamp, digest):
        return f"the vector has position {position:,}, and the log amounts to {computed.position:,} or another history"
    if computed is None and state.whole:
        return "the log reaches back to the beginning and has nothing of it"
    if view.last.get(origin, (0, b"")) != (position, digest):
        return f"the vector has position {position:,}, and the table of positions another one or another digest"
    kept = {other: Reached(*reached) for other, *reached in author}
    told = state.authors.get(origin, {})
    if any(kept.get(other) != reached for other, reached in told.items()) or (state.whole and kept != told):
        return "its author vector is not what its records say"
    return None
