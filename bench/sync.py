"""S13: two stores that diverged sync over what a wire would carry, beside libraries that keep the same documents.

Rules: both sides have the same documents, then each changes one field in some of them, none twice; nobody remembers
anything. Counted is what goes both ways, bodies only. Every round begins anew and counts the same bytes, to the byte;
afterwards both sides are checked to have all changes. Ours are stores on disk: through the log, through a join of a
snapshot where the log was trimmed, and again when they are equal. Theirs are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import msgspec

from bench.measure import Row, Side, Times, counted, cpu_microseconds, race, versus
from bench.pairs import LIBRARIES, Layout, Library, Moved, Pair, layouts
from bench.peers import installed, titled
from bench.workloads import COLLECTION, NOW, FieldUpdate, person
from crdtstore import Store, Upsert
from crdtstore.replication.local import sync
from crdtstore.storage.environment import open_storage
from crdtstore.storage.identity import give_identity, new_origin
from crdtstore.version.clock import Clock
from crdtstore.version.writer import Writer

DOCUMENTS = 10_000
CHANGES = 50
"""How many documents each side changes."""

SEED = 13
STEP_MILLISECONDS_MAX = 10_000
"""The longest time between two changes, whichever side made them."""

BATCH = 1_000
BYTES = "bytes"
MILLISECONDS = "CPU ms/sync"


class Meeting(Protocol):
    """Two replicas that diverged."""

    def sync(self) -> Moved:
        """Bring both to the same state."""

    def read(self, number: int) -> list[dict[str, Any]]:
        """A document, as each replica has it."""


Begin = Callable[[], AbstractContextManager[Meeting]]
"""Makes a meeting anew."""

Updates = Sequence[FieldUpdate]


class Took(NamedTuple):
    """What one side took: to sync, and to find out that there is nothing to sync."""

    diverged: Moved
    equal: Moved


def rows(rounds: int, documents: int = DOCUMENTS, changes: int = CHANGES) -> list[Row]:
    """Measure ours and the peers, round by round."""
    stored = [person(number) for number in range(documents)]
    sides = updates(documents, changes)
    meetings: dict[str, Begin] = {
        "log": lambda: our_meeting(stored, sides, trimmed=False),
        "join": lambda: our_meeting(stored, sides, trimmed=True),
    }
    peers: dict[str, str] = {}
    for name in installed(*LIBRARIES):
        library = LIBRARIES[name]()
        for key, layout in layouts(library, stored).items():
            peers[f"{name}.{key}"] = f"{titled(name)}, {layout.name}"
            meetings[f"{name}.{key}"] = their_meeting(library, layout, sides)
    took: dict[str, Took] = {}
    expected = {number: changed(number, path[0], value) for side in sides for number, path, value in side}
    times = race({name: side(name, begin, expected, took) for name, begin in meetings.items()}, rounds)
    sizes = {"documents": documents, "changes": changes}
    ours = our_rows(took, times, sizes)
    return ours + [row for peer, named in peers.items() for row in their_rows(peer, named, took, times, sizes)]


def updates(documents: int, changes: int) -> tuple[Updates, Updates]:
    """What each side changes: a small integer in one field, in documents that the other does not change."""
    draw = Random(SEED)
    made = [
        FieldUpdate(number, ("count",), documents + draw.randrange(documents))
        for number in draw.sample(range(documents), 2 * changes)
    ]
    return made[:changes], made[changes:]


def changed(number: int, field: str, value: Any) -> dict[str, Any]:
    """A document after its update."""
    return {**person(number), field: value}


def side(name: str, begin: Begin, expected: Mapping[int, dict[str, Any]], took: dict[str, Took]) -> Side:
    """Sync a meeting that begins anew, and once more; note the bytes, which are the same in every round."""

    def run(_: int) -> float:
        with begin() as meeting:
            moved: list[Moved] = []
            spent = cpu_microseconds(lambda: moved.append(meeting.sync()), 1_000)
            check(meeting, expected)
            moved.append(meeting.sync())
            check(meeting, expected)
        assert took.setdefault(name, Took(*moved)) == Took(*moved)
        return spent

    return run


def check(meeting: Meeting, expected: Mapping[int, dict[str, Any]]) -> None:
    """Make sure that both replicas have all changes."""
    for number, fields in expected.items():
        assert meeting.read(number) == [fields, fields], f"Document {number} differs."


# --- rows ---


def our_rows(took: Mapping[str, Took], times: Times, sizes: Mapping[str, Any]) -> list[Row]:
    """What ours is judged by, and what a join takes."""
    runs = len(times["log"])
    moved = {"log": took["log"].diverged, "equal": took["log"].equal, "join": took["join"].diverged}
    counts = [
        counted(f"S13.{name}", size, BYTES, runs, requests=requests, **sizes)
        for name, (size, requests) in moved.items()
    ]
    spent = {f"S13.{name}.cpu": median(times[name]) for name in ("log", "join")}
    return counts + [counted(row_id, value, MILLISECONDS, runs, **sizes) for row_id, value in spent.items()]


def their_rows(peer: str, named: str, took: Mapping[str, Took], times: Times, sizes: Mapping[str, Any]) -> list[Row]:
    """Ours through the log beside a peer: bytes if they diverged, bytes if they are equal, CPU time."""
    runs = len(times[peer])
    diverged = {name: [took[name].diverged.size] * runs for name in ("log", peer)}
    equal = {name: [took[name].equal.size] * runs for name in ("log", peer)}
    return [
        versus(f"S13.log.{peer}", named, diverged, "log", peer, **sizes)._replace(unit=BYTES),
        versus(f"S13.equal.{peer}", named, equal, "log", peer, **sizes)._replace(unit=BYTES),
        versus(f"S13.cpu.{peer}", named, times, "log", peer, **sizes)._replace(unit=MILLISECONDS),
    ]


# --- theirs ---


def their_meeting(library: Library, layout: Layout, sides: Sequence[Updates]) -> Begin:
    """Two replicas of a library."""
    return lambda: nullcontext(Pair(library, layout, sides))


# --- ours ---


class Stores:
    """Two stores."""

    def __init__(self, left: Store, right: Store) -> None:
        self.stores = left, right

    def sync(self) -> Moved:
        """Sync as over a wire, without one."""
        report = sync(*self.stores)
        return Moved(report.sent + report.received, report.requests)

    def read(self, number: int) -> list[dict[str, Any]]:
        """A document, as each store has it."""
        return [msgspec.json.decode(store.get_json(COLLECTION, number) or b"{}") for store in self.stores]


@contextmanager
def our_meeting(stored: Sequence[Mapping[str, Any]], sides: Sequence[Updates], *, trimmed: bool) -> Iterator[Stores]:
    """Two stores on disk, one of which made all documents; a change is a transaction, and the sides take turns."""
    now = ticking()
    with (
        TemporaryDirectory(prefix="crdtstore-bench-") as folder,
        opened(Path(folder, "left"), now) as left,
        opened(Path(folder, "right"), now) as right,
    ):
        for start in range(0, len(stored), BATCH):
            some = enumerate(stored[start : start + BATCH], start)
            left.write([Upsert(COLLECTION, dict(fields), id=number) for number, fields in some])
        right.apply(entry.record for entry in left.changes())
        for pair in zip(*sides, strict=True):
            for store, (number, [field], value) in zip((left, right), pair, strict=True):
                store.write([Upsert(COLLECTION, {field: value}, id=number)])
        if trimmed:
            right.trim(right.applied)
        yield Stores(left, right)
        assert left.digest() == right.digest()


def opened(folder: Path, now: Clock) -> Store:
    """A new store, as `Store.open` makes it, but the same in every run: its origin is drawn from its name."""
    storage = open_storage(folder, create=True, read_only=False, durable=False)
    give_identity(storage, new_origin(Random(folder.name).randbytes))
    return Store(storage, Writer, now)


def ticking() -> Clock:
    """A clock that two stores share: from one look to the next goes as much time as between people's changes."""
    draw, now = Random(SEED), NOW

    def read() -> int:
        nonlocal now
        now += draw.randint(1, STEP_MILLISECONDS_MAX)
        return now

    return read
