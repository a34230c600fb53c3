"""Exchanges in the world: requests and answers as messages on the network, sent again, given up, late and twice.

Rules: a store starts TALKS_MAX exchanges at a time, more than one with the same store too. An answer counts only for
the request that is open, told by its number. An answering store that has nothing new holds its answer, until it has or
until the time is over. Which errors an exchange may end with is said here, once: any other one breaks a promise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final
from zlib import crc32

from crdtstore.errors import (
    CrdtStoreError,
    Divergence,
    NotCausal,
    Overloaded,
    PositionGap,
    Quarantined,
    RecordAhead,
    ScopeMismatch,
    StoreError,
)
from crdtstore.replication.answer import Later, answer
from crdtstore.replication.exchange import Options, Report, exchange
from crdtstore.sim.conversation import Conversation
from crdtstore.sim.randomness import generator

if TYPE_CHECKING:
    from crdtstore.sim.node import Node
    from crdtstore.sim.world import World

TALKS_MAX: Final = 3
"""Exchanges that one store starts at the same time."""

PATIENCE_FACTOR: Final = 6
"""A request is sent again after so many times the network's latency."""

WEATHER: Final = (RecordAhead, Overloaded, StoreError)
"""What an exchange may end with in any world: clocks differ, bounds are met, disks fail."""

FORKED: Final = (Divergence, Quarantined)
"""What it may end with where backups were restored and nobody was told."""

GIVEN_UP: Final = ("no longer holds", "is pinned")
"""What is said where a push must become a join of the other side's, or a pinned snapshot was let go."""

SCOPED: Final = (ScopeMismatch, NotCausal)
"""What it may end with between stores of different scopes: one cannot give what the other needs, or not yet."""

RESTARTED: Final = (PositionGap, NotCausal)
"""What it may end with when the other store lost something meanwhile."""


def start_exchange(
    world: World, number: int, starter: int, peer: int, options: tuple[bool, bool, float], repeats: int
) -> Conversation | None:
    """Start an exchange, if the store is up and has not too many."""
    node = world.running(starter)
    if node is None or starter == peer or len(node.conversations) >= TALKS_MAX:
        return None
    talk = exchange(node.running, Options(*options))
    patience = PATIENCE_FACTOR * world.parameters.latency + int(1_000 * options[2])
    random = generator(f"exchange {number}", world.seed)
    losses = world.nodes[peer].losses
    conversation = Conversation(number, starter, peer, talk, random, repeats, patience, losses, world.events)
    conversation.states = states(world, node, conversation)
    node.conversations[number] = conversation
    world.note("exchange", number, starter, peer, *options)
    go_on(world, node, conversation, conversation.begin)
    return conversation


def go_on(world: World, node: Node, conversation: Conversation, step: Callable[[], bytes]) -> None:
    """Take the next step of a conversation, on the side that started it."""

    def take() -> None:
        in_quarantine = is_quarantined(world, node, conversation)
        try:
            step()
        except StopIteration as end:
            finish(world, node, conversation, end.value)
            if in_quarantine:
                complain_of_contact(world, conversation)
        except CrdtStoreError as error:
            fail(world, node, conversation, error)
            if in_quarantine and isinstance(error, Divergence):
                complain_of_contact(world, conversation)
        else:
            send(world, conversation)

    world.at(node, take)


def finish(world: World, node: Node, conversation: Conversation, report: Report) -> None:
    """An exchange has come to its end."""
    del node.conversations[conversation.number]
    conversation.outcome = report
    world.counts["snapshots joined"] += bool(report.joined)
    world.counts["records pulled"] += report.pulled
    world.counts["records pushed"] += report.pushed
    world.counts["documents joined"] += report.joined
    world.note("done", conversation.number, report.equal, report.pulled, report.pushed, report.joined)


def is_quarantined(world: World, node: Node, conversation: Conversation) -> bool:
    """Whether a divergence between two stores was found before a conversation of theirs began."""
    known, event = world.diverged.get((node.number, conversation.peer), (None, 0))
    return conversation.begun > event and known == states(world, node, conversation)


def complain_of_contact(world: World, conversation: Conversation) -> None:
    """Two stores went beyond a greeting although one has the other in quarantine."""
    what = f"store {conversation.starter} went on to exchange with store {conversation.peer}"
    world.complain("what diverged stays in quarantine", what)


def states(world: World, node: Node, conversation: Conversation) -> tuple[object, ...]:
    """What must be the same for a quarantine to hold: who both are, and that none has lost what it knew."""
    peer = world.nodes[conversation.peer]
    return node.running.origin, peer.running.origin if peer.is_up else None, node.losses, peer.losses


def fail(world: World, node: Node, conversation: Conversation, error: CrdtStoreError) -> None:
    """An exchange has ended with an error."""
    del node.conversations[conversation.number]
    conversation.outcome = error
    if isinstance(error, Divergence) and conversation.states == states(world, node, conversation):
        world.diverged[node.number, conversation.peer] = (conversation.states, world.events)
    world.note("refusal", conversation.number, error.code)
    if not may_fail(world, conversation, error):
        world.surprise(error, f"exchange {conversation.number} of store {node.number} with {conversation.peer}")


def may_fail(world: World, conversation: Conversation, error: CrdtStoreError) -> bool:
    """Whether something that happened explains an error."""
    peer = world.nodes[conversation.peer]
    if isinstance(error, WEATHER) or any(words in error.message for words in GIVEN_UP):
        return True
    if isinstance(error, FORKED):
        return world.parameters.is_forked
    if isinstance(error, SCOPED) and world.nodes[conversation.starter].scope != peer.scope:
        return True
    lost = peer.losses != conversation.peer_losses
    return isinstance(error, RESTARTED) and (lost or world.parameters.is_forked)


# --- messages ---


def send(world: World, conversation: Conversation) -> None:
    """Send the open request, and look again when its time is over."""
    conversation.sent += 1
    request = conversation.request
    world.note("request", conversation.number, conversation.asked, len(request), crc32(request))
    arrive = partial(deliver_request, world, conversation, conversation.asked, request)
    transmit(world, conversation, conversation.starter, conversation.peer, arrive)
    world.later(conversation.patience, look_again, world, conversation, conversation.asked, conversation.sent)


def transmit(world: World, conversation: Conversation, sender: int, receiver: int, arrive: Callable[[], None]) -> None:
    """Put a message on the network."""
    delays = world.network.delays(conversation.random)
    world.faults["lost"] += not delays
    world.faults["duplicated"] += len(delays) > 1
    for delay in delays:
        world.faults["held up"] += delay > world.parameters.latency
        if world.network.is_cut(sender, receiver):
            world.faults["cut off"] += 1
        else:
            world.later(delay, deliver, world, sender, receiver, arrive)


def deliver(world: World, sender: int, receiver: int, arrive: Callable[[], None]) -> None:
    """A message arrives, unless its link was cut meanwhile or nobody is there."""
    if world.network.is_cut(sender, receiver):
        world.faults["cut off"] += 1
        world.note("cut off", sender, receiver)
    elif world.nodes[receiver].is_up:
        arrive()
    else:
        world.note("nobody there", receiver)


def deliver_request(world: World, conversation: Conversation, asked: int, request: bytes) -> None:
    """A request arrives; its answer is sent back."""
    node = world.nodes[conversation.peer]
    world.at(node, partial(respond, world, node, conversation, asked, request, waited=False))


def respond(world: World, node: Node, conversation: Conversation, asked: int, request: bytes, *, waited: bool) -> None:
    """Answer a request, or hold the answer until there is something new."""
    assert node.pins is not None
    given = answer(node.running, request, node.pins, waited=waited)
    if isinstance(given, Later):
        hold(world, node, conversation, asked, request, given)
        return
    world.note("answer", conversation.number, asked, len(given), crc32(given))
    arrive = partial(deliver_answer, world, conversation, asked, given)
    transmit(world, conversation, conversation.peer, conversation.starter, arrive)


def hold(world: World, node: Node, conversation: Conversation, asked: int, request: bytes, until: Later) -> None:
    """Hold an answer: whichever comes first, something new or the end of the time, lets it go."""
    starts = node.starts
    is_held = True

    def let_go() -> None:
        nonlocal is_held
        if is_held and node.is_up and node.starts == starts:
            is_held = False
            cancel()
            world.at(node, partial(respond, world, node, conversation, asked, request, waited=True))

    cancel = node.running.notify(until.txn, lambda: world.later(0, let_go))
    world.note("hold", conversation.number, until.txn)
    world.later(int(1_000 * until.seconds), let_go)


def deliver_answer(world: World, conversation: Conversation, asked: int, given: bytes) -> None:
    """An answer arrives: the conversation goes on, if it is still open and this is what it waits for."""
    node = world.nodes[conversation.starter]
    is_open = node.conversations.get(conversation.number) is conversation
    if not is_open or not conversation.waits_for(asked):
        world.note("late answer", conversation.number, asked)
        return
    go_on(world, node, conversation, partial(conversation.go_on, given))


def look_again(world: World, conversation: Conversation, asked: int, sent: int) -> None:
    """A request's time is over: send it again, or give up."""
    node = world.nodes[conversation.starter]
    is_open = node.conversations.get(conversation.number) is conversation
    if not is_open or (conversation.asked, conversation.sent) != (asked, sent):
        return
    if sent <= conversation.repeats:
        world.counts["sent again"] += 1
        send(world, conversation)
        return
    world.note("given up", conversation.number, asked)
    conversation.give_up()
    del node.conversations[conversation.number]
