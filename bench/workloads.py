"""The documents and operations that all sides of a comparison work on.

Rules: everything is drawn from a seed and clock of its own, so two runs do the same work to the byte. Records
are made before anything is measured, as they arrive from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from crdtstore import Store, Upsert
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.operation import Increment, Operation, Write
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.record import encode_operations, encode_record
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.timestamp import from_milliseconds
from crdtstore.crdt.value import Value, encode_value
from crdtstore.crdt.vector import Reached

COLLECTION = "people"
NOW = 1_700_000_000_000
"""The clock of every store here, in milliseconds."""

BASE_ORIGIN = b"B" * 16
FIELD_ORIGIN = b"F" * 16
"""The origin whose records update one field after the other; its actor has the same name."""

CITIES = ("Ogden", "Basel", "Hermosillo", "Cluj-Napoca", "Ulan Ude")


def clock() -> int:
    """A clock that stands still: stamps are the same in every run."""
    return NOW


# --- one field at a time ---

PERSON_FIELDS: Sequence[tuple[str, ...]] = (
    ("name",),
    ("age",),
    ("city",),
    ("email",),
    ("count",),
    ("active",),
    ("score",),
    ("address", "street"),
    ("address", "zip"),
    ("tags",),
    ("note",),
)


def person(number: int) -> dict[str, Any]:
    """A document of 11 fields, two of them nested."""
    return {
        "name": f"Jane Doe {number}",
        "age": number % 90,
        "city": CITIES[number % len(CITIES)],
        "email": f"jane{number}@example.com",
        "count": number,
        "active": number % 2 == 0,
        "score": number / 8,
        "address": {"street": f"{number} Main Street", "zip": f"{number % 100_000:05d}"},
        "tags": ["red", "blue"],
        "note": "a short note about this person",
    }


class FieldUpdate(NamedTuple):
    """A new value for one field of one document."""

    document: int
    path: tuple[str, ...]
    value: Any


def field_updates(documents: int, turn: int) -> list[FieldUpdate]:
    """One field of every document; which one goes round, over documents and turns."""
    updates = []
    for number in range(documents):
        path = PERSON_FIELDS[(number + turn) % len(PERSON_FIELDS)]
        value: Any = person(number + turn + 1)
        for segment in path:
            value = value[segment]
        updates.append(FieldUpdate(number, path, value))
    return updates


# --- many actors ---

ACTORS = 16
OPERATIONS = 10_000

SCALARS = ("name", "email", "city", "note", "age", "score", "active", "level", "status")
NESTED = ("street", "zip", "country")


def profile(number: int) -> dict[str, Any]:
    """A document of 12 top-level fields: nine scalars, a nested map, a counter, an array; about 286 bytes of JSON."""
    return {
        "name": f"Jane Doe {number}",
        "email": f"jane.doe.{number}@example.com",
        "city": CITIES[number % len(CITIES)],
        "note": "met at the spring fair, asked for a call",
        "age": number % 90,
        "score": number / 8,
        "active": number % 2 == 0,
        "level": number % 7,
        "status": "pending",
        "address": {"street": f"{number} Main Street", "zip": f"{number % 100_000:05d}", "country": "CH"},
        "count": 0,
        "tags": ["red", "blue", "green"],
    }


class Edit(NamedTuple):
    """One operation of one actor: a value for a path, or None for `count` plus one."""

    document: int
    path: tuple[str, ...]
    value: Any


def edits(actor: int, operations: int, documents: int) -> list[Edit]:
    """An actor's operations: 60 % scalars, 15 % nested fields, 15 % counter, 10 % the array."""
    draw = Random(actor)
    made = []
    for number in range(operations):
        document, kind = draw.randrange(documents), draw.random()
        if kind < 0.6:
            made.append(Edit(document, (draw.choice(SCALARS),), scalar(draw, number)))
        elif kind < 0.75:
            made.append(Edit(document, ("address", draw.choice(NESTED)), f"{draw.randrange(10**6)} Side Street"))
        elif kind < 0.9:
            made.append(Edit(document, ("count",), None))
        else:
            made.append(Edit(document, ("tags",), [draw.choice(CITIES), draw.choice(CITIES)]))
    return made


def scalar(draw: Random, number: int) -> Value:
    """A value as applications set them: a text, an integer, a double or a boolean."""
    kind = draw.randrange(4)
    if kind == 0:
        return draw.randrange(10**6)
    if kind == 1:
        return draw.randrange(10**6) / 8
    return number % 2 == 0 if kind == 2 else f"value {draw.randrange(10**6)}"


# --- as records ---


class Base(NamedTuple):
    """The documents that every replica has: their records, and how far their origin's log goes with them."""

    records: Sequence[bytes]
    reached: Reached


def make_base(documents: Sequence[Mapping[str, Any]], counters: Sequence[str] = ()) -> Base:
    """Write documents, whose ids are their places, in a store of their own."""
    types = dict.fromkeys(counters, "counter")
    with Store.in_memory(clock=clock, origin=BASE_ORIGIN) as store:
        for start in range(0, len(documents), 1_000):
            some = documents[start : start + 1_000]
            store.write([Upsert(COLLECTION, dict(one), id=at, value_types=types) for at, one in enumerate(some, start)])
        reached = store.sequencer.head.reached(BASE_ORIGIN)
        return Base([entry.record for entry in store.changes()], reached)


def make_record(
    position: int,
    observed: Mapping[bytes, Reached],
    actor: bytes,
    changes: Iterable[tuple[int, Operation]],
    origin: bytes = b"",
) -> bytes:
    """Make the record of an origin, named as its actor if it has no other name, with one operation for each document.

    A later position has a later timestamp, all of them later than the base's.
    """
    stamp = Stamp(timestamp_at(position), actor, origin or actor)
    spelled = [(COLLECTION, encode_id(number), encode_operations([operation])) for number, operation in changes]
    return encode_record(stamp, position, observed, spelled)


def timestamp_at(position: int) -> int:
    """The timestamp of a record."""
    return from_milliseconds(NOW + 1) + position


def write_of(path: tuple[str, ...], value: Any) -> Write:
    """The operation that writes a value."""
    return Write(encode_path(path), encode_value(value))


def field_record(base: Base, documents: int, turn: int, position: int) -> bytes:
    """One field of every document, as one record."""
    observed = {BASE_ORIGIN: base.reached} if position == 1 else {}
    changes = [(number, write_of(path, value)) for number, path, value in field_updates(documents, turn)]
    return make_record(position, observed, FIELD_ORIGIN, changes)


def field_records(base: Base, documents: int, turn: int, position: int) -> list[bytes]:
    """One field of every document, a record each, from a position on."""
    records = []
    for at, (number, path, value) in enumerate(field_updates(documents, turn), position):
        observed = {BASE_ORIGIN: base.reached} if at == 1 else {}
        records.append(make_record(at, observed, FIELD_ORIGIN, [(number, write_of(path, value))]))
    return records


def edit_records(base: Base, actor: int, made: Sequence[Edit]) -> list[bytes]:
    """An actor's operations, a record each; it observed the base and nobody else."""
    return [
        make_record(position, base_at(base, position), actor_of(actor), [change_of(base, edit)])
        for position, edit in enumerate(made, 1)
    ]


def actor_of(number: int) -> bytes:
    """The client ID of an actor."""
    return bytes([number + 1]) * 16


def base_at(base: Base, position: int) -> dict[bytes, Reached]:
    """What a record observed newly, which is the base for the first one."""
    return {BASE_ORIGIN: base.reached} if position == 1 else {}


def change_of(base: Base, edit: Edit) -> tuple[int, Operation]:
    """An edit as an operation on its document; the counter is the base's."""
    counter = Stamp(base.reached.timestamp, BASE_ORIGIN, BASE_ORIGIN)
    path = encode_path(edit.path)
    return edit.document, Increment(path, counter, 1) if edit.value is None else write_of(edit.path, edit.value)


def take_turns(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """The first of each list, the second of each, and so on: how the messages of many actors arrive."""
    return [one for turn in zip(*lists, strict=True) for one in turn]
