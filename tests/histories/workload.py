"""Sessions that call servers, each on a thread of its own, and write down what they were told.

Rules:

- A session is one author. Some keep to one server, some call any of them under the same client ID, and carry a
  transaction to the server only that gave it.
- A write whose answer was lost is recorded as unknown; a read whose answer was lost is not recorded. What the network
  or a stopping server does to a call is foreseen; any other error ends the test.
- Who finds a server gone waits until it is there again, so that no time is spent on calls to nobody.
- The number of recorded events is what ends a workload.

Not here: what is written and read (`menu`), what happens to the servers meanwhile (`faults`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from random import Random
from typing import Any, Literal, Self, TypeAlias

from crdtstore import make_actor
from crdtstore.client.blocking import STORE, Client, FindByIdBody, document_of
from crdtstore.command.result import Updated
from crdtstore.errors import RetryLater, StoreClosed, VersionNotAvailable
from tests.histories.cluster import SECONDS_MAX, Cluster
from tests.histories.history import BASE, Effect, Read, Seen, Write
from tests.histories.menu import Menu

SESSIONS = 12
COLLECTION = "history"
WRITE_SHARE = 0.5
EXACT_SHARE = 0.6
"""Of reads: those that see one version."""

TOKEN_SHARE = 0.7
"""Of calls: those that name a transaction."""

AHEAD_SHARE = 0.02
"""Of those: the ones that name a transaction which may not be there yet."""

LOST = (OSError, RetryLater, StoreClosed)
"""What a call to a server that is killed, cut off or stopped may end in."""

Outcome: TypeAlias = Literal["ok", "refused", "unknown"]


class Workload:
    """All sessions together."""

    def __init__(self, cluster: Cluster, seed: int, events: int) -> None:
        self.cluster = cluster
        self.servers = len(cluster.servers)
        self.seed = seed
        self.events = events
        self.menu = Menu(Random(seed))
        self.tick = count(1)
        self.writes: list[Write] = []
        self.reads: list[Read] = []
        self.progress = threading.Condition()
        self.allowed = events
        self.failed = False

    @property
    def done(self) -> int:
        """How many events were recorded."""
        return len(self.writes) + len(self.reads)

    @property
    def ended(self) -> bool:
        """Whether all events were recorded."""
        return self.done >= self.events

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, with the lock held; only that nothing happens at all is a hang."""
        while not (self.failed or condition()):
            assert self.progress.wait(SECONDS_MAX), f"Nothing happens any more after {self.done} events."

    def await_done(self, events: int) -> None:
        """Wait until so many events were recorded."""
        with self.progress:
            self.wait(lambda: self.done >= events)

    def allow(self, events: int) -> None:
        """Let the sessions go on until so many events were recorded."""
        with self.progress:
            self.allowed = events
            self.progress.notify_all()

    def goes_on(self) -> bool:
        """Whether a session is to make another call; waits where no more are allowed yet."""
        with self.progress:
            self.wait(lambda: self.ended or self.done < self.allowed)
            return not self.failed and not self.ended

    def record(self, event: Write | Read | None) -> None:
        """Write an event down."""
        with self.progress:
            if isinstance(event, Write):
                self.writes.append(event)
            elif event is not None:
                self.reads.append(event)
            self.progress.notify_all()

    @contextmanager
    def going(self) -> Iterator[None]:
        """Run the sessions beside the block until all events are recorded; what one of them raised is raised."""
        with ThreadPoolExecutor(SESSIONS) as threads:
            running = [threads.submit(self.run, number) for number in range(SESSIONS)]
            try:
                yield
            except BaseException:
                self.give_up()
                raise
            finally:
                for session in running:
                    session.result()

    def run(self, number: int) -> None:
        """Be a session until all events are recorded."""
        try:
            with Session(self, number) as session:
                while self.goes_on():
                    session.step()
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Let everybody end."""
        self.cluster.give_up()
        with self.progress:
            self.failed = True
            self.progress.notify_all()


class Session:
    """One author that calls servers."""

    def __init__(self, workload: Workload, number: int) -> None:
        self.workload = workload
        self.number = number
        self.random = Random(f"{workload.seed} {number}")
        self.actor = make_actor(number + 1, 0)
        self.clients = [workload.cluster.client(server, self.actor) for server in range(workload.servers)]
        self.tokens: dict[int, int] = {}
        """Server -> the newest transaction that it has named."""
        self.names = (f"{number}.{at}" for at in count())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()

    def step(self) -> None:
        """Make one call; every third session calls any server."""
        servers = self.workload.servers
        server = self.random.randrange(servers) if self.number % 3 == 0 else self.number % servers
        after = self.tokens.get(server) if self.random.random() < TOKEN_SHARE else None
        if after and self.random.random() < AHEAD_SHARE:
            after += self.random.randint(1, 3)
        event = self.write(server, after) if self.random.random() < WRITE_SHARE else self.read(server, after)
        self.workload.record(event)
        if event is None or event.outcome == "unknown":
            self.workload.cluster.await_start(server)
        elif event.outcome == "ok":
            self.tokens[server] = max(self.tokens.get(server, 0), event.txn)

    def write(self, server: int, after: int | None) -> Write:
        """Write; what became of it may stay unknown."""
        name, effects = next(self.names), self.workload.menu.effects()
        invoked = next(self.workload.tick)
        outcome, txn = self.call_write(server, [command_of(name, effect) for effect in effects], after)
        returned = next(self.workload.tick)
        return Write(name, self.number, server, invoked, returned, after, outcome, txn, effects)

    def call_write(self, server: int, commands: list[dict[str, Any]], after: int | None) -> tuple[Outcome, int]:
        """Call for a write; returns what became of it, and its transaction."""
        try:
            written = self.clients[server].write(commands, after=after)
        except VersionNotAvailable:
            return "refused", 0
        except LOST:
            return "unknown", 0
        updates = [result for result in written.results if isinstance(result, Updated)]
        assert all(update == Updated(1, 0) for update in updates), written
        return "ok", written.txn

    def read(self, server: int, after: int | None) -> Read | None:
        """Read, some documents at one version or one at least as new; None if the answer was lost."""
        documents, exact = self.workload.menu.documents(), self.random.random() < EXACT_SHARE
        documents = documents if exact else documents[:1]
        invoked = next(self.workload.tick)
        call = find if exact else get
        try:
            txn, seen = call(self.clients[server], documents, after)
        except VersionNotAvailable:
            returned = next(self.workload.tick)
            return Read(self.number, server, invoked, returned, after, "refused", 0, exact, {})
        except LOST:
            return None
        return Read(self.number, server, invoked, next(self.workload.tick), after, "ok", txn, exact, seen)


def command_of(name: str, effect: Effect) -> dict[str, Any]:
    """The command that has an effect."""
    document, _, field = effect.place.partition("/")
    match effect.kind:
        case "put":
            return {"method": "upsert", "collection": COLLECTION, "id": document, "value": {field or "v": name}}
        case "add":
            return {"method": "upsert", "collection": COLLECTION, "id": document, "value": {f"w{effect.slot}": name}}
    selected = {"collection": COLLECTION, "query": "_id == $args.id", "args": {"id": document}}
    if effect.kind == "remove":
        return {"method": "remove", **selected}
    increment = {"method": "increment", "path": field, "value": BASE**effect.slot}
    return {"method": "update", **selected, "commands": [increment]}


def find(client: Client, documents: list[str], after: int | None = None) -> tuple[int, dict[str, Seen]]:
    """Read documents at one version; returns the transaction and what was seen."""
    found = client.find(
        COLLECTION, "contains($args.ids, _id)", args={"ids": documents}, limit=len(documents), after=after
    )
    fields = {document.id: document.fields for document in found.documents}
    return found.txn, {place: seen for each in documents for place, seen in seen_in(each, fields.get(each, {})).items()}


def get(client: Client, documents: list[str], after: int | None = None) -> tuple[int, dict[str, Seen]]:
    """Read one document; returns a transaction that it reflects at least, and what was seen."""
    (document,) = documents
    asked = {"collection": COLLECTION, "id": document}
    body = client.call(STORE + "findbyid", asked, FindByIdBody, after, again=True)
    fields = document_of(body.document).fields if body.document is not None else {}
    return body.txn_id, seen_in(document, fields)


def seen_in(document: str, fields: dict[str, Any]) -> dict[str, Seen]:
    """What the places of a document show; a document that is not there has no fields."""
    if document[0] == "c":
        return {f"{document}/by": fields.get("by"), f"{document}/n": fields.get("n", 0)}
    return {document: frozenset(fields.values()) if document[0] == "s" else fields.get("v")}
