"""Faults: what is done to servers and links while sessions call.

Rules:

- A fault does harm and returns what undoes it. `afflict` does one after the other, each still there when the next
  begins. Two kills do not follow each other: somebody must be there, so that the workload goes on.
- When a fault comes is counted in events, not in seconds.

Not here: how a fault is done (`cluster`, `proxy`).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import TypeAlias

from tests.histories.cluster import Cluster
from tests.histories.namespaces import Cable
from tests.histories.proxy import Link
from tests.histories.workload import Workload

Undo: TypeAlias = Callable[[], None]
Fault: TypeAlias = Callable[[Cluster, Random], Undo]

LOSS = 0.3
"""Of connections to a server; clients keep theirs, so most of their calls get through."""

DELAY_SECONDS = 0.01


def heal(links: Iterable[Link | Cable]) -> None:
    """Let links carry everything."""
    for link in links:
        link.heal()


def kill(cluster: Cluster, random: Random) -> Undo:
    """Kill a server in the middle of whatever it does; it is started again on the same directory."""
    server = random.randrange(len(cluster.servers))
    cluster.kill(server)
    return partial(cluster.start, server)


def restart(cluster: Cluster, random: Random) -> Undo:
    """Kill a server and start it at once."""
    kill(cluster, random)()
    return partial(heal, ())


def blackout(cluster: Cluster, random: Random) -> Undo:
    """Kill all servers, then start them."""
    for server, each in enumerate(cluster.servers):
        if each.running:
            cluster.kill(server)
    for server in range(len(cluster.servers)):
        cluster.start(server)
    return partial(heal, ())


def freeze(cluster: Cluster, random: Random) -> Undo:
    """Stop a process without ending it: its connections stay open, and nobody answers."""
    server = random.choice([server for server in cluster.servers if server.running])
    server.send(signal.SIGSTOP)
    return partial(server.send, signal.SIGCONT)


def cut(cluster: Cluster, random: Random) -> Undo:
    """Cut two servers off from each other."""
    pair = set(random.sample(range(len(cluster.servers)), 2))
    links = [link for ends, link in cluster.links.items() if set(ends) == pair]
    for link in links:
        link.cut()
    return partial(heal, links)


def cut_one_way(cluster: Cluster, random: Random) -> Undo:
    """Let arrive what one server sends to another one, but nothing that is sent back."""
    pair = tuple(random.sample(range(len(cluster.servers)), 2))
    links = {ends: link for ends, link in cluster.links.items() if set(ends) == set(pair)}
    for ends, link in links.items():
        link.cut(forward=ends != pair, backward=ends == pair)
    return partial(heal, links.values())


def isolate(cluster: Cluster, random: Random) -> Undo:
    """Cut one server off from all others; clients still reach it."""
    server = random.randrange(len(cluster.servers))
    links = [link for ends, link in cluster.links.items() if server in ends]
    for link in links:
        link.cut()
    return partial(heal, links)


def reset(cluster: Cluster, random: Random) -> Undo:
    """Break all connections that there are, those of clients too."""
    for link in cluster.proxied:
        link.reset()
    return partial(heal, ())


def lose(cluster: Cluster, random: Random) -> Undo:
    """Break some connections on their way, after those that there are."""
    for link in cluster.proxied:
        link.lose(LOSS)
        link.reset()
    return partial(heal, cluster.proxied)


def slow(cluster: Cluster, random: Random) -> Undo:
    """Let everything arrive late."""
    for link in cluster.proxied:
        link.delay(DELAY_SECONDS)
    return partial(heal, cluster.proxied)


FAULTS: tuple[Fault, ...] = (
    *(kill, cut, kill, cut_one_way, kill, freeze, kill, reset),
    *(blackout, isolate, kill, lose, kill, slow),
)


def afflict(workload: Workload, random: Random, faults: Iterable[Fault] = FAULTS) -> None:
    """Do all faults while the workload runs, evenly spread over its events; in the end all are undone.

    The workload goes on while a fault is done, but not beyond the next one's place.
    """
    planned = [*faults]
    share = workload.events // (len(planned) + 2)
    undo: list[Undo] = []
    try:
        for at, fault in enumerate(planned, 1):
            workload.allow(share * (at + 1))
            workload.await_done(share * at)
            undo.append(fault(workload.cluster, random))
            if len(undo) > 1:
                undo.pop(0)()
        workload.await_done(share * (len(planned) + 1))
    finally:
        workload.allow(workload.events)
        for each in undo:
            each()
