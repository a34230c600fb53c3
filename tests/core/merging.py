"""Random merges of one document, for tests that hold the compiled core to the plain one.

A `Scenario` is a list of transactions by several replicas, each with the operations it makes and how much of the
others it observed; `play` runs it through one core's `merge_document`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.cell import ALL_TYPES, CellType, mask
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.operation import (
    Attach,
    Bury,
    Increment,
    Initial,
    Mark,
    Operation,
    Remove,
    Restart,
    Start,
    Write,
)
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.record import encode_operations, rank
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import encode_value

KEY = bytes(range(16))
ACTORS = [bytes([number]) * 16 for number in range(3)]
ORIGINS = [bytes([100 + number]) * 16 for number in range(3)]

integers = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, 127, 128, -32, -33, 2**31, -(2**31) - 1])
doubles = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | doubles | st.text(max_size=12) | st.binary(max_size=12)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
amounts = st.integers(-9, 9) | st.sampled_from([2**62, -(2**62), 0.5, -2.25, 1e308])
tokens = st.builds(
    lambda id_, length, metadata: {"id": id_, "len": length, "metadata": metadata},
    st.sampled_from(["a", "an id of more than seven bytes"]),
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=2),
)
keys = st.sampled_from(["a", "b", "c", "a longer name", "", "x\x00y", "\x01"])
paths = st.lists(keys, min_size=1, max_size=3).map(lambda parts: encode_path(tuple(parts)))


@dataclass(frozen=True)
class Step:
    """One transaction: who, when after the last one, what it observed of each origin, and its operations."""

    actor: int
    origin: int
    later: int
    unseen: tuple[int, int, int]
    operations: tuple[Any, ...]


operation_seeds = st.one_of(
    st.tuples(st.just("write"), paths, values),
    st.tuples(st.just("write"), paths, values),
    st.tuples(st.just("write"), paths, values),
    st.tuples(st.just("remove"), paths | st.just(b""), st.sampled_from([ALL_TYPES, mask(CellType.REGISTER)])),
    st.tuples(st.just("mark"), paths, st.none()),
    st.tuples(st.just("start"), paths, amounts),
    st.tuples(st.just("restart"), paths, amounts),
    st.tuples(st.just("increment"), st.integers(0, 5), amounts),
    st.tuples(st.just("attach"), paths, tokens),
    st.tuples(st.just("initial write"), paths, values),
    st.tuples(st.sampled_from(["initial mark", "initial restart"]), paths, amounts),
    st.tuples(st.just("initial attach"), paths, tokens),
)
BURY = ("bury", b"", None)
steps = st.builds(
    Step,
    actor=st.integers(0, 2),
    origin=st.integers(0, 2),
    later=st.sampled_from([1, 1, 2, 70_000]),
    unseen=st.tuples(*[st.sampled_from([0, 0, 0, 1, 3, 10**9])] * 3),
    operations=st.lists(operation_seeds, min_size=1, max_size=4).map(tuple)
    | st.lists(operation_seeds, min_size=1, max_size=4).map(tuple)
    | st.lists(operation_seeds, min_size=1, max_size=4).map(tuple)
    | st.just((BURY,)),
)
scenarios = st.lists(steps, min_size=1, max_size=14)


@dataclass
class Played:
    """What a core made of a scenario, step by step."""

    documents: list[bytes]
    digests: list[bytes]
    paths: Names
    replicas: Replicas


def play(scenario: list[Step], merge: Callable[..., bytes], *, paths_max: int = 100, crowd: int = 0) -> Played:
    """Run a scenario through one core.

    Args:
        scenario: The transactions.
        merge: The core's `merge_document`.
        paths_max: Room in the path dictionary; paths beyond it stand in the document.
        crowd: Replicas that are known before, so that numbers need more than a byte.
    """
    names, replicas = Names([], paths_max), Replicas()
    for number in range(crowd):
        replicas.intern(number.to_bytes(16, "big") + ORIGINS[0])
    played = Played([b""], [bytes(16)], names, replicas)
    timestamp = 100
    instances: list[tuple[bytes, Stamp]] = []
    for step in scenario:
        timestamp += step.later
        stamp = Stamp(timestamp, ACTORS[step.actor], ORIGINS[step.origin])
        replica = replicas.intern(stamp.replica)
        coverage = array("Q", [max(0, timestamp - 1 - step.unseen[ORIGINS.index(o)]) for o in replicas.origins.texts])
        operations = make_operations(step, instances)
        instances += [(op.path, stamp) for op in operations if is_instance(op)]
        digest = bytearray(played.digests[-1])
        encoded = encode_operations(operations)
        document = merge(played.documents[-1], encoded, timestamp, replica, coverage, names, replicas, KEY, digest)
        played.documents.append(document)
        played.digests.append(bytes(digest))
    return played


def is_instance(operation: Operation) -> bool:
    """Whether an operation creates a counter's instance."""
    write = operation.write if isinstance(operation, Initial) else operation
    return isinstance(write, Start | Restart)


def make_operations(step: Step, instances: list[tuple[bytes, Stamp]]) -> list[Operation]:
    """A step's operations in a record's canonical order, each place once."""
    if BURY in step.operations:
        return [Bury()]
    made = [operation for seed in step.operations if (operation := make_operation(seed, instances)) is not None]
    by_rank = {rank(operation): operation for operation in made}
    return [by_rank[place] for place in sorted(by_rank, key=lambda place: (place[0], place[1], place[2] or ()))]


def make_operation(seed: tuple[str, Any, Any], instances: list[tuple[bytes, Stamp]]) -> Operation | None:
    """One operation; an increment of an instance that was created before, if any was."""
    kind, place, value = seed
    if kind.startswith("initial "):
        write = make_operation((kind.removeprefix("initial "), place, value), instances)
        assert isinstance(write, Write | Mark | Restart | Attach)
        return Initial(write)
    match kind:
        case "attach":
            return Attach(place, encode_token(value))
        case "write":
            return Write(place, encode_value(value))
        case "remove":
            return Remove(place, value)
        case "mark":
            return Mark(place)
        case "start":
            return Start(place, value)
        case "restart":
            return Restart(place, value)
    if not instances:
        return None
    path, instance = instances[-1 - place % len(instances)]
    return Increment(path, instance, value)
