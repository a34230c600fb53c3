"""The end of a world: every fault is over but for the weather, and all stores must come to hold the same.

Rules: machines start again, clocks agree, links are mended; loss, duplication and reordering go on. Stores stand in a
line and exchange with their neighbours, forth and back, until a whole round moves nothing. Between two rounds passes
the time after which snapshots that nobody asks for are let go. Not getting any further before all are equal is a broken
promise. (Stores of some collections take many rounds: their records depend on each other's, one exchange at a time.)

Where histories may be forked, nothing has to come together: stores that say that they are equal must be.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from crdtstore.crdt.timestamp import to_milliseconds
from crdtstore.limits import PIN_SECONDS_MAX
from crdtstore.replication.exchange import Report
from crdtstore.sim.checkers import all_cells, canonical, check_end, check_stores
from crdtstore.sim.clock import START_MILLISECONDS
from crdtstore.sim.talks import start_exchange

if TYPE_CHECKING:
    from crdtstore.sim.node import Node
    from crdtstore.sim.world import World

IDLE_ROUNDS_MAX: Final = 6
"""Rounds in which nobody learns anything, until all stores must have been equal: the weather may cost some."""

REPEATS: Final = 40
"""How often a request is sent again: with the worst weather one in 10^10 is given up."""


def settle(world: World) -> None:
    """Bring all stores together, and check what must hold then."""
    nodes = recover(world)
    asked = pairs(nodes)
    equal: list[tuple[Node, Node]] = []
    idle = rounds = 0
    while idle < IDLE_ROUNDS_MAX and (not rounds or len(equal) < len(asked)):
        before = known(nodes)
        world.time.now += int(1_000 * PIN_SECONDS_MAX)
        world.note("round", rounds)
        equal = [pair for pair in asked if converse(world, *pair)]
        check_stores(world)
        rounds += 1
        idle = idle + 1 if known(nodes) == before else 0
    if world.parameters.is_forked:
        check_equal(world, equal)
    elif len(equal) < len(asked):
        world.complain("stores that meet become equal", f"not within {rounds} rounds")
    else:
        check_end(world, nodes)


def known(nodes: list[Node]) -> int:
    """How many transactions all stores know, added up."""
    return sum(sum(node.history.seen.values()) for node in nodes)


def recover(world: World) -> list[Node]:
    """End all faults but the weather, and start every machine again; returns the stores that are left."""
    world.network.heal()
    newest = max((node.history.newest for node in world.nodes), default=0)
    world.time.now = max(world.time.now, to_milliseconds(newest) - START_MILLISECONDS)
    nodes = [node for node in world.nodes if node.is_founded and not node.is_gone]
    for node in nodes:
        node.wall.skew = 0
        node.disk.planned.clear()
        if node.is_up:
            world.at(node, node.commit)
            node.disk.sync()
            world.take_outcomes(node)
            node.stop()
        world.start(node)
    return nodes


def pairs(nodes: list[Node]) -> list[tuple[Node, Node]]:
    """Who asks whom: along the line and back. Stores of some collections stand at its beginning, beside the first."""
    whole = [node for node in nodes if node.scope is None]
    links = [(whole[0], node) for node in nodes if node.scope is not None] + list(pairwise(whole))
    forth = [pair for left, right in links for pair in ((left, right), (right, left))]
    return forth + forth[::-1]


def converse(world: World, node: Node, peer: Node) -> bool:
    """Have one store exchange with another; says whether both were equal from the start."""
    number = world.next_number()
    conversation = start_exchange(world, number, node.number, peer.number, (True, True, 0.0), REPEATS)
    assert conversation is not None
    world.run()
    return isinstance(conversation.outcome, Report) and conversation.outcome.equal


def check_equal(world: World, equal: list[tuple[Node, Node]]) -> None:
    """Whether stores that said at the end that they are equal are."""
    forms = {node.number: canonical(dict(all_cells(node.running))) for pair in equal for node in pair}
    for node, peer in equal:
        if node.scope == peer.scope and forms[node.number] != forms[peer.number]:
            what = f"stores {node.number} and {peer.number} say that they are equal"
            world.complain("no divergence is silent", what)
