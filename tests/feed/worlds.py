"""Random histories for the tests of the feed: two stores that write to the same few documents, and exchange.

Rules: the first store is the one whose feed is read. It commits in groups of any size. A history is made of a seed, and
the same for the same seed.
"""

from __future__ import annotations

from concurrent.futures import Future
from random import Random
from typing import Any

from crdtstore.command.command import (
    Command,
    Increment,
    Remove,
    ReplaceWithCounter,
    Set,
    SetAttachment,
    Update,
    Upsert,
)
from crdtstore.crdt.actor import make_actor
from crdtstore.store import Store
from crdtstore.version.sequencer import Job
from tests.replication.worlds import Ticking, origin_of
from tests.version.stores import job_of

IDS = ("a", "b", 3)
COLLECTIONS = ("c", "d")
TOKEN = {"_id": "ab" * 32, "_len": 3, "_meta": {}}
LONG = "x" * 700
"""An id that no key holds whole."""


class World:
    """Two stores, and what happens to them."""

    def __init__(self, seed: int, **settings: Any) -> None:
        self.random = Random(seed)
        self.a = Store.in_memory(clock=Ticking(), origin=origin_of(1), **settings)
        self.b = Store.in_memory(clock=Ticking(), origin=origin_of(2))

    def close(self) -> None:
        self.a.close()
        self.b.close()

    def step(self) -> None:
        """Do something at random; the first store moves on, or not."""
        act = self.random.choice((self.write_group, self.write_group, self.write_there, self.send, self.receive))
        act()

    def write_group(self) -> None:
        """Commit up to six transactions of the first store at once."""
        jobs = []
        for _ in range(self.random.randint(1, 6)):
            actor = self.random.choice((None, make_actor(9, 1)))
            jobs.append(Job(job_of(self.commands(), actor), Future(), 0))
        self.a.sequencer.commit_group(jobs)

    def write_there(self) -> None:
        """Write to the other store."""
        for _ in range(self.random.randint(1, 3)):
            self.b.submit(self.commands()).exception()

    def send(self) -> None:
        """Give the other store what it lacks."""
        self.b.apply([entry.record for entry in self.a.changes()])

    def receive(self) -> None:
        """Give the first store what it lacks, in one group."""
        self.a.apply([entry.record for entry in self.b.changes()])

    def commands(self) -> list[Command]:
        """One transaction."""
        return [self.command() for _ in range(self.random.randint(1, 3))]

    def command(self) -> Command:
        """Anything that can be done to a document."""
        random = self.random
        collection, id_ = random.choice(COLLECTIONS), random.choice((*IDS, LONG))
        query, args = "_id == $args.id", {"id": id_}
        value = {random.choice("xyz"): random.randint(0, 3), "o": {random.choice("pq"): random.randint(0, 3)}}
        removal = Remove(collection, query, args)
        choices: tuple[Command, ...] = (
            Upsert(collection, value, id=id_),
            Upsert(collection, value, id=id_),
            Upsert(collection, {"x": 1, "y": 2}, id=id_, initial=True),
            Upsert(collection, {"t": TOKEN}, id=id_, value_types={"t": "attachment"}),
            Upsert(collection, {"n": 1}, id=id_, value_types={"n": "counter"}),
            Update(collection, query, [Increment("n", random.randint(-2, 2))], args),
            Update(collection, query, [ReplaceWithCounter("n", 5), Set("x", None)], args),
            Update(collection, query, [SetAttachment("t", TOKEN)], args),
            removal,
            removal,
            Remove(collection, query, args, "permanent") if random.random() < 0.1 else removal,
        )
        return random.choice(choices)
