"""A round: servers are started, called and harmed; then they meet, and the history of all that is put together.

Rules: the servers still run when their logs are read, beside them. A history in which something was found is kept
as `history.json` in the round's folder, so that it can be judged again.

Not here: what may be found in it (`checker`, `witness`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from crdtstore import Store
from crdtstore.crdt.operation import Write
from crdtstore.crdt.record import Change, decode_record
from crdtstore.crdt.value import decode_value
from tests.histories.checker import check
from tests.histories.cluster import Cluster, running
from tests.histories.faults import FAULTS, Fault, afflict
from tests.histories.history import History, Logged, Read, save
from tests.histories.namespaces import Namespaces
from tests.histories.proxy import proxying
from tests.histories.witness import hear
from tests.histories.workload import SESSIONS, Workload, find

PAGE = 500
"""Documents of one read in the end."""


@dataclass(slots=True)
class Count:
    """What was done; a harness that silently tests nothing must be red."""

    events: int = 0
    unknown: int = 0
    refused: int = 0
    transactions: int = 0
    rivals: int = 0
    kills: int = 0
    held: int = 0
    broken: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def __str__(self) -> str:
        return (
            f"{self.events:,} events, {self.transactions:,} transactions in logs, {self.rivals:,} concurrent puts, "
            f"{self.unknown:,} writes of unknown outcome, {self.refused:,} calls refused; {self.kills:,} kills, "
            f"held by cuts {self.held:,} times, {self.broken:,} connections broken"
        )


class Round(NamedTuple):
    """What a round gave."""

    history: History
    done: Count


def run_round(
    folder: Path,
    seed: int,
    servers: int,
    events: int,
    faults: Iterable[Fault] = FAULTS,
    network: Namespaces | None = None,
) -> Round:
    """Run servers and sessions, do them harm, and hold what was seen against the promises.

    Raises:
        AssertionError: A promise was broken; says which, and where the history is kept.
    """
    with proxying(seed) as proxy, running(folder, proxy, servers, network) as cluster:
        workload = Workload(cluster, seed, events)
        with workload.going():
            afflict(workload, Random(seed), faults)
        cluster.heal()
        history = collect(workload)
        check_replay(cluster, history.digests[0])
        cluster.stop()
        assert_no_traceback(cluster)
    assert_kept(history, folder)
    return Round(history, count(history, cluster))


def collect(workload: Workload) -> History:
    """Wait until the servers have met, and put together what was seen."""
    cluster = workload.cluster
    while True:
        stats = cluster.await_quiet()
        final = [read for server in range(workload.servers) for read in read_all(workload, server)]
        origins = {bytes.fromhex(each.origin): server for server, each in enumerate(stats)}
        logs = read_logs(cluster, origins)
        # A write whose answer was lost may have happened in between.
        more = [len(log) - each.applied for log, each in zip(logs, stats, strict=True)]
        assert min(more) >= 0, "A log does not reach back to the beginning."
        if not any(more):
            return History(workload.writes, workload.reads, logs, final, [each.digest for each in stats])


def read_all(workload: Workload, server: int) -> Iterator[Read]:
    """Read everything that a server shows."""
    documents = workload.menu.all()
    with workload.cluster.client(server) as client:
        for at in range(0, len(documents), PAGE):
            invoked = next(workload.tick)
            txn, seen = find(client, documents[at : at + PAGE])
            yield Read(SESSIONS, server, invoked, next(workload.tick), None, "ok", txn, True, seen)


def read_logs(cluster: Cluster, origins: dict[bytes, int]) -> list[list[Logged]]:
    """Read the logs of all servers; what is the same on several of them is decoded once."""
    known: dict[bytes, Logged] = {}
    logs: list[list[Logged]] = []
    for server in range(len(cluster.servers)):
        logs.append([])
        with cluster.open_store(server) as store:
            for txn, data in store.changes():
                if data not in known:
                    known[data] = logged(data, origins)
                logs[-1].append(known[data]._replace(txn=txn))
    return logs


def logged(data: bytes, origins: dict[bytes, int]) -> Logged:
    """Read a record."""
    record = decode_record(data)
    observed = {origins[origin]: reached.position for origin, reached in record.observed.items()}
    return Logged(0, origins[record.origin], record.position, record.stamp, name_in(record.changes), observed)


def name_in(changes: Iterable[Change]) -> str:
    """The name of a write, which is the value of everything that it puts and adds."""
    names = {
        decode_value(operation.value)
        for change in changes
        for operation in change.operations
        if isinstance(operation, Write)
    }
    assert len(names) == 1, names
    return str(names.pop())


def check_replay(cluster: Cluster, digest: str) -> None:
    """Every log, run again in a new store, gives the same state; delivered twice, it changes nothing (P8)."""
    for server in range(len(cluster.servers)):
        with cluster.open_store(server) as served, Store.in_memory() as store:
            records = [entry.record for entry in served.changes()]
            assert store.apply(records)[:2] == (len(records), 0)
            assert store.apply(records)[:2] == (0, len(records))
            assert store.digest().hex() == digest


def assert_no_traceback(cluster: Cluster) -> None:
    """Nothing happened in a server that nobody had foreseen."""
    for server in range(len(cluster.servers)):
        assert "Traceback" not in cluster.output(server), cluster.output(server)


def assert_kept(history: History, folder: Path) -> None:
    """Every promise was kept."""
    found = [*check(history), *hear(history)]
    if found:
        save(history, folder / "history.json")
    lines = "\n".join(f"{promise}: {detail}" for promise, detail in found[:20])
    assert not found, f"{len(found)} violations in {folder / 'history.json'}:\n{lines}"


def count(history: History, cluster: Cluster) -> Count:
    """Count what was done."""
    events = history.events()
    return Count(
        events=history.size,
        unknown=sum(event.outcome == "unknown" for event in events),
        refused=sum(event.outcome == "refused" for event in events),
        transactions=sum(map(len, history.logs)),
        rivals=count_rivals(history),
        kills=cluster.kills,
        held=sum(link.forward.held + link.backward.held for link in cluster.proxied),
        broken=sum(link.broken for link in cluster.proxied),
    )


def count_rivals(history: History) -> int:
    """Count the puts that did not observe the last put of another server to that register."""
    writes = {write.name: write for write in history.writes}
    vectors: dict[int, dict[int, int]] = {}
    last: dict[str, dict[int, int]] = {}
    """Register -> server -> the position of its last put there."""
    rivals = 0
    for entry in history.logs[0]:
        observed = vectors.setdefault(entry.origin, {})
        observed.update(entry.observed)
        for effect in writes[entry.name].effects:
            if effect.kind == "put":
                puts = last.setdefault(effect.place, {})
                others = (at > observed.get(server, 0) for server, at in puts.items() if server != entry.origin)
                rivals += any(others)
                puts[entry.origin] = entry.position
    return rivals
