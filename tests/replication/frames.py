"""Frames made by hypothesis, and frames of even work as stores make it, for the tests of `replication/frame.py`.

Rules: `frames` are of everything that a frame can hold: every operation, value and kind of id, whole and cut records
and advances, several origins and actors, numbers of every width, rows of vectors that mean entries of the same frame
and rows that only nearly do. `updates` is fifty people each changing a field. `wide` needs more than a byte for the
number of anything.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from crdtstore.core import chain_digest, encode_operations
from crdtstore.crdt.actor import make_actor
from crdtstore.crdt.cell import ALL_TYPES
from crdtstore.crdt.entry import Advance, Entry, encode_advance
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.operation import Increment, Operation, Write
from crdtstore.crdt.record import encode_record
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.timestamp import from_milliseconds
from crdtstore.crdt.value import encode_value
from crdtstore.crdt.vector import Reached
from crdtstore.replication.frame import Frame
from tests.core.merging import Step, make_operations, tokens
from tests.core.strategies import integers, numbers, places, texts, values

U64 = 2**64 - 1
NAMES = [bytes([number]) * 16 for number in (7, 8, 9, 200)]

ids: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 300),
    integers,
    st.text(min_size=1, max_size=8),
    st.booleans(),
    st.floats(-1e300, 1e300),
    st.sampled_from([0.0, -0.0, 1.0, 2.0**63, 2.0**53, "x" * 1024, "\x00", {}, {"": [None, b"\x00", {"a": 1.5}]}]),
    st.dictionaries(texts, integers | texts | st.lists(st.booleans(), max_size=2), max_size=3),
)
collections = st.sampled_from(["a", "cities", "\xe9" * 120]) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8
)
digests = st.binary(min_size=16, max_size=16) | st.sampled_from([bytes(16)])
timestamps = st.one_of(
    st.integers(0, U64), st.builds(lambda ms, counter: ms << 16 | counter, st.integers(0, 5), st.integers(0, 3))
)
positions = st.integers(0, 5) | st.integers(0, U64 - 1_000)
instances = st.lists(
    st.builds(
        lambda path, *stamp: (path, Stamp(*stamp)),
        st.sampled_from([b"c\x00", b"", b"a\x00b\x00"]),
        timestamps,
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
    ),
    min_size=1,
    max_size=4,
)


Form = tuple[tuple[str, Any], ...]
"""Kinds and places of a change's operations; changes of one form differ in what they write."""

INITIALS = ("initial write", "initial mark", "initial restart", "initial attach")

forms: st.SearchStrategy[Form] = st.lists(
    st.tuples(st.sampled_from(["write", "write", "mark", "start", "restart", "remove", "attach", *INITIALS]), places)
    | st.just(("bury", b""))
    | st.tuples(st.just("increment"), st.integers(0, 3)),
    min_size=1,
    max_size=3,
).map(tuple)

alike: st.SearchStrategy[Any] = st.sampled_from(
    [0, 0.0, -0.0, False, 1, 1.0, True, "", b"", [], [0], [False], {}, None]
)
"""Values of which many are equal and yet are not one value."""

written: dict[str, st.SearchStrategy[Any]] = {
    "write": values | alike,
    "mark": st.none(),
    "initial write": values | alike,
    "initial mark": st.none(),
    **dict.fromkeys(("attach", "initial attach"), tokens),
    "bury": st.none(),
    "remove": st.integers(1, ALL_TYPES).filter(lambda types: types & ~ALL_TYPES == 0),
    **dict.fromkeys(
        ("start", "restart", "initial restart", "increment"), numbers | st.sampled_from([0, 0.0, -0.0, 1, 1.0])
    ),
}


@st.composite
def changes(draw: st.DrawFn, known: list[Form], instances: list[tuple[bytes, Stamp]]) -> list[tuple[str, bytes, bytes]]:
    """What one transaction changes, as `encode_record` takes it."""
    made: dict[tuple[str, bytes], bytes] = {}
    for _ in range(draw(st.integers(1, 2))):
        seeds = [(kind, place, draw(written[kind])) for kind, place in draw(st.sampled_from(known))]
        operations = make_operations(Step(0, 0, 1, (0, 0, 0), tuple(seeds)), instances)
        made[draw(st.sampled_from(["a", "cities"]) | collections), encode_id(draw(ids))] = encode_operations(operations)
    return [(*name, operations) for name, operations in made.items()]


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """A frame of up to eight entries; their changes are of a few forms."""
    builder = Builder({name: draw(st.tuples(positions, digests)) for name in NAMES[:3]})
    known, stamps = draw(st.lists(forms, min_size=1, max_size=3)), draw(instances)
    for _ in range(draw(st.integers(0, 8))):
        origin = draw(st.sampled_from(NAMES[:3]))
        timestamp = draw(timestamps | st.sampled_from([builder.timestamp + 1 & U64, builder.timestamp]))
        observed = draw(observed_rows(builder))
        kind = draw(st.sampled_from(["whole", "whole", "whole", "cut", "advance"]))
        if kind == "advance":
            builder.advance(origin, timestamp, observed, draw(st.lists(digests, min_size=1, max_size=3)))
        else:
            stamp = Stamp(timestamp, draw(st.sampled_from(NAMES)), origin)
            builder.record(stamp, observed, draw(changes(known, stamps)), draw(digests) if kind == "cut" else None)
    return builder.frame()


@st.composite
def observed_rows(draw: st.DrawFn, builder: Builder) -> dict[bytes, Reached]:
    """A vector: any rows, what earlier entries say of themselves, and nearly that."""
    rows = {}
    if draw(st.booleans()) and builder.known:
        for origin, reached in draw(st.lists(st.sampled_from(builder.known), max_size=2)):
            rows[origin] = draw(
                st.sampled_from([reached, reached, reached._replace(timestamp=0), reached._replace(digest=bytes(16))])
            )
    elif draw(st.integers(0, 3)) == 0:
        reached_anywhere = st.builds(Reached, st.integers(1, 3) | st.integers(1, U64), timestamps, digests)
        rows = draw(st.dictionaries(st.sampled_from(NAMES), reached_anywhere, max_size=2))
    return rows


class Builder:
    """Puts entries together as a log has them: positions and chain digests go on from where they were."""

    def __init__(self, reached: dict[bytes, tuple[int, bytes]]) -> None:
        self.reached = reached
        self.entries: list[Entry] = []
        self.chains: dict[bytes, bytes] = {}
        self.known: list[tuple[bytes, Reached]] = []
        self.timestamp = 0

    def record(
        self,
        stamp: Stamp,
        observed: dict[bytes, Reached],
        changed: Sequence[tuple[str, bytes, bytes]],
        cut: bytes | None = None,
    ) -> None:
        """Go on by a record; `cut` is the digest that a cut one comes with."""
        position, digest = self.reached[stamp.origin]
        data = encode_record(stamp, position + 1, observed, changed)
        self.add(stamp.origin, position + 1, stamp.timestamp, Entry(data, cut), cut or chain_digest(digest, data))

    def advance(self, origin: bytes, timestamp: int, observed: dict[bytes, Reached], passed: Sequence[bytes]) -> None:
        """Go on by an advance over as many positions as there are digests."""
        position = self.reached[origin][0] + len(passed)
        data = encode_advance(Advance(origin, position, timestamp, observed, b"".join(passed)))
        self.add(origin, position, timestamp, Entry(data), passed[-1])

    def add(self, origin: bytes, position: int, timestamp: int, entry: Entry, digest: bytes) -> None:
        """Note an entry."""
        self.entries.append(entry)
        self.reached[origin] = position, digest
        self.chains[origin] = digest
        self.known.append((origin, Reached(position, timestamp, digest)))
        self.timestamp = timestamp

    def frame(self) -> Frame:
        """All of it."""
        return Frame(tuple(self.entries), self.chains)


# --- even work ---

START_MILLISECONDS = 1_790_000_000_000
ACTOR, ORIGIN, OTHER = (random.Random(number).randbytes(16) for number in range(3))

Make = Callable[[random.Random], tuple[Any, Operation]]
"""What one update changes: an id and an operation."""


def word(source: random.Random) -> str:
    """Six letters of no meaning."""
    return "".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=6))


def instance(source: random.Random) -> Stamp:
    """A counter's instance of the last three hours."""
    return Stamp(from_milliseconds(START_MILLISECONDS - source.randrange(10**7)), ACTOR, ORIGIN)


UPDATES: dict[str, Make] = {
    "numbers": lambda source: (source.randrange(10_000), Write(b"age\x00", encode_value(source.randrange(1_000)))),
    "words": lambda source: (f"{source.randrange(10_000):04}", Write(b"name\x00", encode_value(word(source)))),
    "titles": lambda source: (
        f"doc-{source.randrange(10_000)}",
        Write(b"title\x00", encode_value(f"title {source.randrange(10_000)}")),
    ),
    "visits": lambda source: (
        source.randrange(10_000),
        Increment(b"visits\x00", instance(source), source.randrange(1, 9)),
    ),
}


def updates(make: Make, count: int) -> Frame:
    """Updates of one field each, every one its own transaction of one author, some milliseconds apart."""
    source = random.Random(5)
    builder = Builder({ORIGIN: (10_000, source.randbytes(16))})
    milliseconds = START_MILLISECONDS
    for _ in range(count):
        milliseconds += source.randrange(1, 40)
        id_, operation = make(source)
        change = ("people", encode_id(id_), encode_operations([operation]))
        builder.record(Stamp(from_milliseconds(milliseconds), ACTOR, ORIGIN), {}, [change])
    return builder.frame()


def conversation(count: int, *, seen: bool) -> Frame:
    """Two stores that write in turns, each having seen what the other wrote last but one, or nothing of it."""
    source = random.Random(6)
    builder = Builder({origin: (500, source.randbytes(16)) for origin in (ORIGIN, OTHER)})
    for number in range(count):
        origin = (ORIGIN, OTHER)[number % 2]
        change = ("people", encode_id(source.randrange(10_000)), encode_operations([Write(b"age\x00", b"\x07")]))
        observed = dict(builder.known[-3:-2]) if seen else {}
        builder.record(Stamp(from_milliseconds(START_MILLISECONDS + 9 * number), origin, origin), observed, [change])
    return builder.frame()


def wide(count: int = 300) -> Frame:
    """More origins, actors, shapes, changes, digests and counters than a byte can number."""
    builder = Builder({make_actor(number, 1): (number, bytes(16)) for number in range(count)})
    for number, origin in enumerate(list(builder.reached)):
        instance_ = Stamp(from_milliseconds(number) + number, make_actor(number, 2), make_actor(number, 3))
        operations = encode_operations(
            [Write(f"field {number}\x00".encode(), encode_value(number)), Increment(b"n\x00", instance_, number)]
        )
        stamp = Stamp(from_milliseconds(number * number) + number, make_actor(number, 4), origin)
        builder.record(stamp, dict(builder.known[-3:]), [(f"c{number}", encode_id(number), operations)])
    origin = next(iter(builder.reached))
    write = encode_operations([Write(b"x\x00", b"\x01")])
    many = [("many", encode_id(number), write) for number in range(count)]
    builder.record(Stamp(builder.timestamp + 1, origin, origin), dict(builder.known[:1]), many)
    builder.advance(origin, builder.timestamp + 70_000, {}, [bytes([number % 256]) * 16 for number in range(count)])
    return builder.frame()
