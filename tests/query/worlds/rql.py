"""Random things and filters of things search."""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple

from crdtstore.query.rql import Compare, In, Join, Placeholder, Present, Query, Value, print_rql
from tests.query.worlds.documents import World, make_documents, make_fields, make_value, make_values

NOW: Final = 1_651_193_731_859
TIMES: Final = {
    "time:now": "2022-04-29T00:55:31.859Z",
    "time:now-1d": "2022-04-28T00:55:31.859Z",
    "time:now[h]": "2022-04-29T00:00:00.000Z",
    "time:now+2w[mo]": "2022-05-01T00:00:00.000Z",
    "time:now_epoch_millis": "1651193731859",
}
"""What the placeholders stand for at NOW."""

PLACEHOLDERS: Final = (*TIMES, "time:tomorrow")
STAMPS: Final = (*TIMES.values(), "2022-04-29T00:55:31.860Z", None)

BELOW: Final = (
    "a",
    "b",
    "c",
    "c/d",
    "c/k",
    "l",
    "l/0",
    "o",
    "o/k",
    "o/0",
    "o/1/k",
    "o/0/0",
    "t~0x",
    "a-b/0",
    "none",
    "c/d/k",
    "a/k",
)
FEATURES: Final = ("lamp", "fan", "*")
RELATIONS: Final = ("eq", "ne", "gt", "ge", "lt", "le", "eq", "ne")
OF_FEATURES: Final = (
    "properties/a",
    "properties/b",
    "properties/o/k",
    "properties/c/d",
    "desiredProperties/a",
    "definition",
)
PRESENCES: Final = ("exists", "empty")


class RqlQuery(NamedTuple):
    """A filter, and its text."""

    query: Query
    text: str


def make_world(random: Random) -> World:
    """A world of things."""
    values = make_values(random, binary=False)
    documents = [make_thing(random, values, document) for document in make_documents(random, values)]
    return World(random, values, documents, {})


def make_thing(random: Random, values: tuple[Any, ...], document: dict[str, Any]) -> dict[str, Any]:
    """A thing of a document's fields."""
    id_ = document.pop("_id")
    thing = {
        "_id": id_,
        "namespace": str(id_).partition(":")[0] if random.random() < 0.9 else make_value(random, values, 1),
        "definition": random.choice(("a:b:1", "a:c:1", None)),
        "_revision": random.randrange(3),
        "_modified": random.choice(STAMPS),
        "attributes": document,
        "features": {
            name: make_feature(random, values) for name in random.sample(("lamp", "fan", "0"), random.randrange(4))
        },
    }
    return {key: field for key, field in thing.items() if key == "_id" or random.random() < 0.9}


def make_feature(random: Random, values: tuple[Any, ...]) -> Any:
    """A feature, sometimes an empty one."""
    if random.random() < 0.1:
        return random.choice((None, {}))
    feature = {
        "definition": random.choice((["a:b:1"], ["a:b:1", "a:c:1"], [])),
        "properties": make_fields(random, values),
        "desiredProperties": {"a": make_value(random, values)},
    }
    return {key: field for key, field in feature.items() if random.random() < 0.8}


def make_query(world: World) -> RqlQuery:
    """A filter about a world."""
    query = condition(world, 2)
    return RqlQuery(query, print_rql(query))


def condition(world: World, depth: int) -> Query:
    """A filter of at most this many levels."""
    random = world.random
    kind = random.randrange(16)
    if depth and kind < 6:
        several = tuple([condition(world, depth - 1) for _ in range(random.randrange(1, 4))])
        return (Join("and", several), Join("or", several), Join("not", several[:1]))[kind % 3]
    if kind < 9:
        return Present(random.choice(PRESENCES), spell(world, held_property(world)))
    name = spell(world, compared_property(world))
    if kind == 9 and random.random() < 0.3:
        ids = [document["_id"] for document in random.sample(world.documents, random.randrange(1, 9))]
        return In("thingId", tuple([id_ for id_ in ids if not isinstance(id_, dict)]) or (None,))
    if kind < 11:
        return In(name, tuple([value(world) for _ in range(random.randrange(1, 4))]))
    if kind < 13:
        return Compare(random.choice(("like", "ilike")), name, pattern(world))
    return Compare(random.choice(RELATIONS), name, value(world))


def compared_property(world: World) -> str:
    """A property that every operator takes."""
    random = world.random
    kind = random.randrange(10)
    if kind == 0:
        return random.choice(
            ("thingId", "namespace", "definition", "_revision", "_modified", "policyId", "_metadata/a")
        )
    if kind < 3:
        return f"features/{random.choice(FEATURES)}/{random.choice(OF_FEATURES)}"
    if kind == 3:
        return f"features/*/properties/{random.choice(BELOW)}"
    return f"attributes/{random.choice(BELOW if kind < 9 else ('', 'a', 'b'))}"


def held_property(world: World) -> str:
    """A property that `exists` and `empty` take."""
    if world.random.random() < 0.7:
        return compared_property(world)
    part = world.random.choice(("", "/properties", "/desiredProperties"))
    return f"features/{world.random.choice(FEATURES)}{part}"


def spell(world: World, name: str) -> str:
    """The property's name, with or without slashes at its ends."""
    random = world.random
    return ("/" if random.random() < 0.1 else "") + name + ("/" if random.random() < 0.1 and name[-1] != "/" else "")


def value(world: World) -> Value:
    """A value of the world that the language can write."""
    random = world.random
    kind = random.randrange(12)
    if kind == 0:
        return Placeholder(random.choice(PLACEHOLDERS))
    if kind == 1:
        return random.choice((*STAMPS, "a:b:1", 1))
    found = make_value(random, world.values, 0) if kind > 2 else random.choice(world.documents)["_id"]
    while isinstance(found, list | dict):
        inside = list(found.values() if isinstance(found, dict) else found)
        found = random.choice(inside) if inside else None
    result: Value = found
    return result


def pattern(world: World) -> str:
    """A text of the world with wildcards in it, in another case."""
    random = world.random
    texts = [found for found in world.values if isinstance(found, str)] or ["a"]
    letters = list(random.choice(texts))
    for _ in range(random.randrange(3)):
        at = random.randrange(len(letters) + 1)
        letters[at : at + random.randrange(3)] = random.choice(("*", "?", "**", "*"))
    written = "".join(letters)
    return random.choice((written, written, written.upper(), written.lower()))
