"""The side that starts: a conversation as a generator that yields requests and is sent the answers.

Rules, in this order: ask whether both are equal, which ends most conversations; pull, after histories were compared,
until nothing is missing here; where the other's log no longer reaches back, join a snapshot instead and go on; then
push what the other lacks. Nothing is remembered between conversations, and one may end anywhere: what was applied
stays, and the next goes on from there. A divergence puts the peer into quarantine here, as it does there.

Not here: how bytes get to the other store (`local`, `client/`); the search for ranges that differ (`joining`).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.entry import place_of
from crdtstore.crdt.scope import Scope, format_scope
from crdtstore.crdt.vector import vector_digest
from crdtstore.errors import Divergence, MalformedMessage, ReplicationError
from crdtstore.limits import FRAME_BYTES_TARGET
from crdtstore.replication.compare import compare, documents_digest, knows_more, rows_of
from crdtstore.replication.frame import Frame, decode_frame, encode_frame
from crdtstore.replication.joining import join_peer
from crdtstore.replication.message import (
    EXCHANGE_FORMAT,
    Answer,
    Equal,
    Hello,
    Pull,
    Push,
    Records,
    Request,
    Reseed,
    Taken,
    Unequal,
    decode_answer,
    encode,
)
from crdtstore.replication.missing import below_floor, first_missing, head_of, missing
from crdtstore.replication.peers import check_peer, note_peer, quarantine

if TYPE_CHECKING:
    from crdtstore.store import Store

Talk: TypeAlias = Generator[Request, Any, Any]
"""Yields requests, is sent answers."""


class Options(NamedTuple):
    """What to do: pull, push, and how long the other side may hold its answer while both are equal.

    `patient` lets it hold its answer while it lacks something of this store but has nothing for it, and only then: an
    exchange is held at one place, so that who comes out of it has looked at what is there now.
    """

    pull: bool = True
    push: bool = True
    wait_seconds: float = 0.0
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversation did: entries moved, documents joined, body bytes and requests it took."""

    peer: bytes
    equal: bool
    pulled: int
    pushed: int
    joined: int
    sent: int
    received: int
    requests: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "peer": format_actor(self.peer)}


@dataclass(slots=True)
class Tally:
    """What was done so far; `rows` is the other's vector when it was last told, `scope` its scope."""

    peer: bytes = b""
    scope: Scope = None
    rows: dict[bytes, int] = field(default_factory=dict)
    pulled: int = 0
    pushed: int = 0
    joined: int = 0
    sent: int = 0
    received: int = 0
    requests: int = 0


def exchange(store: Store, options: Options = Options()) -> Generator[bytes, bytes, Report]:  # noqa: B008  frozen
    """Make two stores know what either knows.

    Args:
        store: The store that starts.
        options: What to do.

    Yields:
        The bytes of a request, to be sent the bytes of its answer.

    Raises:
        Divergence: The two have different histories; the other is quarantined here.
        ReplicationError: Something else does not fit; what was applied before stays.
    """
    tally = Tally()
    talk = converse(store, options, tally)
    try:
        equal = yield from spoken(talk, tally)
    except Divergence as error:
        if tally.peer:
            quarantine(store, tally.peer, error)
        raise
    return Report(
        tally.peer, equal, tally.pulled, tally.pushed, tally.joined, tally.sent, tally.received, tally.requests
    )


def spoken(talk: Talk, tally: Tally) -> Generator[bytes, bytes, bool]:
    """The conversation as bytes, counted."""
    answer: Answer | None = None
    while True:
        try:
            request = talk.send(answer)
        except StopIteration as end:
            return bool(end.value)
        data = encode(request)
        got = yield data
        tally.sent += len(data)
        tally.received += len(got)
        tally.requests += 1
        answer = decode_answer(got)


def converse(store: Store, options: Options, tally: Tally) -> Talk:
    """The conversation; returns whether both were equal from the start."""
    with store.storage.snapshot() as snapshot:
        head = head_of(snapshot)
        documents = documents_digest(snapshot, head.scope)
    wait, late = (0.0, options.wait_seconds) if options.patient else (options.wait_seconds, 0.0)
    hello = Hello(*asking(store), vector_digest(head.vector), documents, wait)
    answer = yield hello
    if not isinstance(answer, Equal | Unequal):
        raise unexpected(answer)
    meet(store, tally, answer.origin)
    if isinstance(answer, Equal):
        return True
    yield from pull(store, tally, FRAME_BYTES_TARGET if options.pull else 0, late)
    if options.push:
        yield from push(store, tally)
    return False


def asking(store: Store) -> tuple[int, Scope, bytes]:
    """What every request of a store begins with."""
    return EXCHANGE_FORMAT, store.scope, store.origin


def meet(store: Store, tally: Tally, origin: bytes) -> None:
    """Learn who the other is.

    Raises:
        Quarantined: It diverged before.
        ReplicationError: It is this store itself, or a copy of it that took no new epoch.
    """
    tally.peer = origin
    with store.storage.snapshot() as snapshot:
        check_peer(snapshot, origin)
    if origin == store.origin:
        message = "The other store has this store's own origin: it is this store, or a copy that needs a new epoch."
        raise ReplicationError(message)


def unexpected(answer: Any) -> MalformedMessage:
    """The error for an answer that does not belong to the request."""
    return MalformedMessage(f"The other store answered with {type(answer).__name__}, which was not asked for.")


def pull(store: Store, tally: Tally, bytes_max: int, wait_seconds: float) -> Talk:
    """Take what this store lacks, until there is nothing; with 0 bytes only compare."""
    while True:
        with store.storage.snapshot() as snapshot:
            rows = rows_of(head_of(snapshot))
        answer = yield Pull(*asking(store), rows, bytes_max, wait_seconds)
        wait_seconds = 0.0  # what came meanwhile may be all that there is
        if not isinstance(answer, Records | Reseed):
            raise unexpected(answer)
        learn(store, tally, answer)
        if isinstance(answer, Reseed):
            if not bytes_max:
                return
            tally.joined += yield from join_peer(store, asking(store))
        elif answer.frame:
            frame = decode_frame(answer.frame)
            tally.pulled += store.deliver(frame.entries, frame.chains).applied
        if isinstance(answer, Records) and not (answer.more and bytes_max):
            return


def learn(store: Store, tally: Tally, answer: Records | Reseed) -> None:
    """Compare histories with what the other told, and note how far it is."""
    with store.storage.snapshot() as snapshot:
        head = head_of(snapshot)
        compare(snapshot, head, answer.rows)
        tally.scope = answer.scope
        tally.rows = {origin: position for origin, position, _, _ in answer.rows}
        if not below_floor(head, tally.scope, tally.rows):
            note_peer(store, snapshot, tally.peer, first_missing(snapshot, head, tally.scope, tally.rows) - 1)
    if knows_more(head, answer.rows):
        store.renew_epoch()


def push(store: Store, tally: Tally) -> Talk:
    """Give the other what it lacks."""
    while True:
        with store.storage.snapshot() as snapshot:
            head = head_of(snapshot)
            if below_floor(head, tally.scope, tally.rows):
                message = "The other store lacks what this log no longer holds: let it start the exchange, and join."
                raise ReplicationError(f"{message} It holds {format_scope(tally.scope)}.")
            entries, chains, more = missing(snapshot, head, tally.scope, tally.rows)
        if not entries:
            return
        answer = yield Push(*asking(store), encode_frame(Frame(entries, chains)))
        if not isinstance(answer, Taken):
            raise unexpected(answer)
        tally.pushed += answer.applied
        tally.rows |= dict(place_of(entry.data) for entry in entries)
        if not more:
            return
