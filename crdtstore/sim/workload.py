"""What clients write: few documents, few fields and few values, so that writes meet again and again.

Rules: a transaction is a list of steps. Most are commands as any caller sends them. A `Drop` removes a field; the
command languages have no word for it yet, so it goes into the draft directly, as `tests/laws` does. One document of
the first collection, the *tally*, is only ever incremented: what it must show can be added up by a child.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

from crdtstore.command.command import Command, FieldCommand, Increment, Remove, ReplaceWithCounter, Set, Update, Upsert
from crdtstore.command.execute import execute_one
from crdtstore.command.result import Result, Updated
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.value import Value
from crdtstore.sim.parameters import Parameters
from crdtstore.storage.draft import Draft

TALLY: Final = "tally"
TALLY_FIELD: Final = "n"

FIELDS: Final = ("x", "y", "m", "m.p", "m.q", "m.q.r")
COUNTERS: Final = ("n", "m.n")
IDS: Final = (1, "s", 2, -3, 2**40, {"k": 1}, 2.5, True)
LEAVES: Final[tuple[Value, ...]] = (None, True, 0, 1, -7, 2.5, "", "a", "much longer than a slot holds", [1, "a"], {})


class Drop(NamedTuple):
    """Remove a field of a document and all below it."""

    collection: str
    id: Value
    path: tuple[str, ...]


Step: TypeAlias = Command | Drop


def collection_of(number: int) -> str:
    """The name of a collection of the workload."""
    return f"c{number}"


def document_of(number: int) -> Value:
    """The id of a document of the workload; the fifth and later ones are of the rarer types."""
    return IDS[number] if number < len(IDS) else number


def found_tally() -> tuple[Step, ...]:
    """The transaction that makes the tally."""
    return (Upsert(collection_of(0), {TALLY_FIELD: 0}, TALLY, {TALLY_FIELD: "counter"}),)


def draw_steps(random: Random, parameters: Parameters) -> tuple[Step, ...]:
    """One transaction."""
    count = random.randint(1, 2 * parameters.operations_per_write - 1)
    return tuple(draw_step(random, parameters) for _ in range(count))


def draw_step(random: Random, parameters: Parameters) -> Step:
    """One step of a transaction."""
    collection = collection_of(random.randrange(parameters.collections))
    id_ = document_of(random.randrange(parameters.documents))
    kind = random.random()
    if kind < 0.08:
        amount = random.choice((-5, -1, 2, 4))
        return Update(collection_of(0), f"_id == '{TALLY}'", [Increment(TALLY_FIELD, amount)])
    if kind < 0.50:
        return Upsert(collection, draw_fields(random), id_)
    if kind < 0.55:
        return Upsert(collection, {"n": random.randint(0, 9)}, id_, {"n": "counter"})
    if kind < 0.83:
        return Update(collection, "_id == $args.id", draw_commands(random), {"id": id_})
    if kind < 0.92:
        return Drop(collection, id_, tuple(random.choice(FIELDS + COUNTERS).split(".")))
    return Remove(collection, "_id == $args.id", {"id": id_})


def draw_fields(random: Random) -> dict[str, Value]:
    """The fields of an upsert, nested ones too."""
    fields: dict[str, Any] = {}
    for _ in range(random.randint(1, 3)):
        *above, last = random.choice(FIELDS).split(".")
        inner = fields
        for key in above:
            below = inner.get(key)
            inner[key] = inner = below if isinstance(below, dict) else {}
        inner[last] = draw_leaf(random)
    return fields


def draw_leaf(random: Random) -> Value:
    """A value of its own: an object may be filled later."""
    leaf = random.choice(LEAVES)
    return leaf.copy() if isinstance(leaf, dict | list) else leaf


def draw_commands(random: Random) -> list[FieldCommand]:
    """The field commands of an update."""
    return [draw_field_command(random) for _ in range(random.choice((1, 1, 2)))]


def draw_field_command(random: Random) -> FieldCommand:
    """One field command."""
    kind = random.random()
    if kind < 0.45:
        return Set(random.choice(FIELDS), draw_leaf(random))
    if kind < 0.9:
        return Increment(random.choice(COUNTERS), random.choice((1, 2, -3, 0.1)))
    return ReplaceWithCounter(random.choice(COUNTERS), random.choice((0, 10)))


def carry_out(steps: Sequence[Step], draft: Draft) -> tuple[Result, ...]:
    """Run a transaction's steps on a draft."""
    return tuple(drop(step, draft) if isinstance(step, Drop) else execute_one(step, draft) for step in steps)


def drop(step: Drop, draft: Draft) -> Updated:
    """Remove a field."""
    document = draft.document(draft.catalog.intern(step.collection), encode_id(step.id))
    document.fold.remove(encode_path(step.path))
    document.changed()
    return Updated(1, 0)


def tallied(steps: Sequence[Step], results: Sequence[Result]) -> int:
    """What a transaction that answered so has added to the tally."""
    return sum(
        int(str(step.commands[0].value))
        for step, result in zip(steps, results, strict=True)
        if isinstance(step, Update) and TALLY in step.query and isinstance(result, Updated) and result.updated
    )
