"""What a plan's actions do to the world.

Rules: an action that makes no sense when its time comes does nothing and is noted as `void`. A fault counts when it
did something.

Not here: exchanges (`talks`), what a store does (the engine).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from crdtstore.errors import VersionNotAvailable
from crdtstore.replication.retention import Policy, trim_until
from crdtstore.sim.checkers import check_document, check_own_write, check_stores
from crdtstore.sim.disk import Fault, disk_of
from crdtstore.sim.node import Backup, Node
from crdtstore.sim.plan import Action
from crdtstore.sim.talks import start_exchange
from crdtstore.sim.world import World, actor_of
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.peers import read_peers

COMMIT_MILLISECONDS: Final = 40
"""How long a slow disk lets writes wait: long enough to be hit by crashes."""


def void(world: World, action: Action) -> None:
    """Note that an action made no sense."""
    world.note("void", action.number, action.kind)


def write(world: World, action: Action) -> None:
    """A client writes."""
    node = world.running(action.store)
    if node is None:
        void(world, action)
        return
    client, steps, look = action.data
    world.note("write", node.number, action.number, client)
    acknowledged = world.counts["acknowledged"]
    is_up = world.at(node, partial(node.write, client, actor_of(client), steps))
    if is_up and node.is_slow and len(node.asked) == 1:
        world.later(COMMIT_MILLISECONDS, commit, world, node, node.starts)
    elif is_up and not look and world.counts["acknowledged"] > acknowledged:
        check_own_write(world, node, steps)


def commit(world: World, node: Node, starts: int) -> None:
    """A slow disk commits what waits."""
    if node.is_up and node.starts == starts:
        world.note("commit", node.number, len(node.asked))
        world.at(node, node.commit)


def read(world: World, action: Action) -> None:
    """A client reads, at least at the version of its last write here."""
    node = world.running(action.store)
    if node is None:
        void(world, action)
        return
    client, collection, id_, is_checked = action.data
    token = node.tokens.get(client, 0)
    try:
        applied = node.running.wait(token, 0)
    except VersionNotAvailable:
        world.complain("a client reads its own writes", f"store {node.number} does not know its own txn {token}")
    document = node.running.get(collection, id_)
    world.note("read", node.number, client, applied, b"" if document is None else document.json)
    if is_checked and not world.parameters.is_forked:
        check_document(world, node, collection, id_)


def exchange(world: World, action: Action) -> None:
    """A store starts an exchange with another one."""
    peer, pull, push, wait_seconds, repeats = action.data
    if start_exchange(world, action.number, action.store, peer, (pull, push, wait_seconds), repeats) is None:
        void(world, action)


def inspect(world: World, action: Action) -> None:
    """Somebody compares what stores claim and hold."""
    world.note("inspect", action.number)
    check_stores(world)


def partition(world: World, action: Action) -> None:
    """Links between two groups of stores are cut, in both directions."""
    far, milliseconds = action.data
    near = tuple(number for number in range(len(world.nodes)) if number not in far)
    ways = [(a, b) for a in near for b in far]
    cut(world, action, tuple(ways + [(b, a) for a, b in ways]), milliseconds)


def one_way(world: World, action: Action) -> None:
    """Links are cut in one direction: requests arrive, answers do not."""
    far, milliseconds = action.data
    near = tuple(number for number in range(len(world.nodes)) if number not in far)
    cut(world, action, tuple((a, b) for a in near for b in far), milliseconds)


def cut(world: World, action: Action, links: tuple[tuple[int, int], ...], milliseconds: int) -> None:
    """Cut links for a while."""
    if not links:
        void(world, action)
        return
    world.network.cut(links)
    world.faults[action.kind] += 1
    world.note(action.kind, action.number, links)
    world.later(milliseconds, mend, world, links)


def mend(world: World, links: tuple[tuple[int, int], ...]) -> None:
    """Take a cut back."""
    world.network.mend(links)
    world.note("mend", len(links))


def jump(world: World, action: Action) -> None:
    """A machine's clock is set."""
    (milliseconds,) = action.data
    world.nodes[action.store].wall.skew += milliseconds
    world.faults["clock"] += 1
    world.note("clock", action.store, milliseconds)


def crash(world: World, action: Action) -> None:
    """A machine loses its power."""
    node = world.running(action.store)
    if node is None:
        void(world, action)
        return
    world.crash(node, action.data[0], "crash")


def plan_fault(world: World, action: Action) -> None:
    """One of the next commits will go wrong."""
    node = world.running(action.store)
    if node is None:
        void(world, action)
        return
    commits, fault, milliseconds = action.data
    node.down_for = milliseconds
    node.disk.plan_fault(commits, Fault(fault))
    world.note("disk", node.number, commits, fault.value)


def trim(world: World, action: Action) -> None:
    """A store forgets the oldest part of its log."""
    node = world.running(action.store)
    if node is None or not node.running.applied:
        void(world, action)
        return
    share, is_careful = action.data
    until = int(node.running.applied * share)
    if is_careful or node.scope is not None:
        until = trim_until_acknowledged(node, until)
    world.at(node, lambda: count_trimmed(world, node, node.running.trim(until)))


def trim_until_acknowledged(node: Node, until: int) -> int:
    """How far a server would trim: not beyond what peers acknowledged, and not before there are any.

    A store of some collections always does so, since one of all could not get its records from a snapshot.
    """
    store = node.running
    with store.storage.snapshot() as snapshot:
        policy = Policy(keep_transactions=max(1, store.applied - until))
        return trim_until(snapshot, policy, store.clock()) if has_peers(snapshot) else 0


def has_peers(snapshot: Snapshot) -> bool:
    """Whether any other store has asked so far."""
    return next(read_peers(snapshot), None) is not None


def count_trimmed(world: World, node: Node, entries: int) -> None:
    """Note how much of a log was forgotten."""
    world.faults["trim"] += bool(entries)
    world.counts["log entries forgotten"] += entries
    world.note("trim", node.number, entries)


def backup(world: World, action: Action) -> None:
    """A store's disk is copied, as it is."""
    node = world.running(action.store)
    if node is None:
        void(world, action)
        return
    node.backup = Backup(node.disk.image(), node.history.copy())
    world.faults["backup"] += 1
    world.note("backup", node.number, node.disk.entries)


def restore(world: World, action: Action, *, renew: bool = True) -> None:
    """A store's machine is gone; another one starts from the backup, with a new epoch as it should."""
    node = world.running(action.store)
    if node is None or node.backup is None:
        void(world, action)
        return
    world.take_outcomes(node, is_crash=True)
    node.stop()
    lost = node.put_in(node.backup)
    world.faults[action.kind] += 1
    world.counts["transactions rolled back"] += lost
    world.note(action.kind, node.number, lost)
    world.start(node, renew=renew)


def found(world: World, action: Action) -> None:
    """A store joins: a new one, or a clone of another, which takes a new epoch."""
    (source,) = action.data
    node = world.nodes[action.store]
    origin = None if source is None else world.running(source)
    if node.is_founded or (source is not None and origin is None):
        void(world, action)
        return
    if origin is not None:
        node.scope = origin.scope
        node.disk = disk_of(origin.disk.image(), keeps=node.keeps)
        node.history = origin.history.copy()
    world.faults["clone" if origin else "found"] += 1
    world.start(node, renew=origin is not None)


def leave(world: World, action: Action) -> None:
    """A store leaves for good, and takes with it what it told nobody."""
    node = world.running(action.store)
    if node is None or node.number == 0:
        void(world, action)
        return
    world.take_outcomes(node, is_crash=True)
    node.stop()
    node.is_gone = True
    lost = world.ledger.roll_back(node.history, 0, node.own)
    world.faults["leave"] += 1
    world.note("leave", node.number, lost)


ACTS: Final[Mapping[str, Callable[[World, Action], None]]] = {
    "write": write,
    "read": read,
    "exchange": exchange,
    "inspect": inspect,
    "partition": partition,
    "one-way": one_way,
    "clock": jump,
    "crash": crash,
    "disk": plan_fault,
    "trim": trim,
    "backup": backup,
    "restore": restore,
    "silent-restore": partial(restore, renew=False),
    "found": found,
    "leave": leave,
}
"""What each kind of action does."""
