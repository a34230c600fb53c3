"""Small collections of random documents, and the values that their queries are about.

Rules: few fields, few values, many of them equal in one way and different in another, so that a query finds some of
the documents and each rule of each language is met. One seed gives one world. Rivals are what another store wrote to
the same field meanwhile, later by its clock: they are what a reader sees.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

from tests.query.oracles.values import id_order

Document: TypeAlias = dict[str, Any]

LONG: Final = "x" * 100
LONG_TEXTS: Final[tuple[Any, ...]] = (LONG, f"{LONG}a", f"{LONG}b", f"{LONG}ab", LONG[:-1], [f"{LONG}b"])
FAMILIES: Final[tuple[tuple[Any, ...], ...]] = (
    (None, False, 0, -0.0, "", [], {}),
    (True, 1, 1.0, False, "1", "true"),
    ([1, 2], [2, 1], [1], [True, 2], [1.0, 2.0, None], 1, 2, "2", ["1"]),
    (-1, 0.5, -(2**63), 2**53 - 1.0, 2**63 - 1, -0.5, 5e-324, 1e300, "-1", "0.5"),
    (2**53, 2**53 + 1, float(2**53), -(2**53) - 1, 2**62 + 1, float(2**62)),
    ("a", "ab", "ba", "A", "aB", "\N{GREEK SMALL LETTER ALPHA}", "a\nb", "a*b", "a\\b"),
    ("Straße", "STRASSE", "strasse", "\uffff", "\U00010000", "a?"),
    LONG_TEXTS,
    ("2022-04-29T00:55:31.859Z", "2022-04-29t02:55:31.8590+02:00", "2022-04-29T00:55:31.86Z", "2022-04-29"),
    ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00z", "2017-01-01T00:00:00.0-00:00", "2017-01-01T00:30:00+00:30"),
    ({"k": 1}, {"k": 1.0}, {"d": 1, "k": None}, {}, [{"k": 1}, {"k": 2}], [[1, 2], [{"k": 1}]]),
)
"""Values that are alike in one way and not in another; a world draws from few of them."""

BINARY: Final = (b"", b"a", b"ab", "a", [b"a"])
"""A family of worlds whose documents are not JSON."""

KEYS: Final = ("d", "k", "0", "t~x", "a-b")
IDS: Final[tuple[Any, ...]] = (
    *(False, True, 0, -1, 2**53, 2**53 + 1, 0.5, 1e300, -(2**63), "1", "a", "A", "ab", "\uffff", "\U00010000"),
    *("2022-04-29T00:55:31.859Z", "2022-04-29T02:55:31.859+02:00", "Straße", LONG, f"{LONG}{LONG}", "x:", ":x"),
    *({"k": 1}, {"k": 1.5}, {"d": 1.0}, {"d": 1, "k": None}, {"k": "a"}, {"k": [1]}, {"k": {"k": 1}}, {}),
)
"""Ids of every type. Further ones are of the form `space:name`."""

DOCUMENTS: Final = 40


class World(NamedTuple):
    """Documents, their ids under `_id`; what others wrote to them meanwhile, by id and field; and their values."""

    random: Random
    values: tuple[Any, ...]
    documents: list[Document]
    rivals: dict[str, Document]


def key_of(id_: Any) -> str:
    """A text that is the same for equal ids only."""
    return json.dumps(id_order(id_), default=str)


def make_values(random: Random, *, binary: bool) -> tuple[Any, ...]:
    """The values of a world."""
    families = (*FAMILIES, BINARY) if binary else FAMILIES
    long = LONG_TEXTS if random.random() < 0.2 else ()
    return sum(random.sample(families, random.randrange(1, 4)), long)


def make_value(random: Random, values: tuple[Any, ...], depth: int = 2) -> Any:
    """A value, sometimes inside arrays and objects."""
    kind = random.randrange(9) if depth else 0
    if kind == 8:
        keys = random.sample(KEYS, random.randrange(3))
        return {key: make_value(random, values, depth - 1) for key in keys}
    if kind >= 6:
        return [make_value(random, values, depth - 1) for _ in range(random.randrange(4))]
    return random.choice(values)


def make_fields(random: Random, values: tuple[Any, ...]) -> Document:
    """Fields of every form; any of them may be missing."""

    def some(depth: int = 2) -> Any:
        return make_value(random, values, depth)

    fields = {
        "a": some(),
        "b": some(0),
        "c": {"d": some(), "k": some(0)},
        "l": [some() for _ in range(random.randrange(4))],
        "o": [{"k": some(1)} if random.random() < 0.8 else some() for _ in range(random.randrange(4))],
        "t~x": some(0),
        "a-b": {"0": some(1)},
    }
    return {key: field for key, field in fields.items() if random.random() < 0.8}


def make_ids(random: Random, count: int) -> list[Any]:
    """So many ids, in any order."""
    names = [f"{space}:{name}" for space in ("org", "org.acme", "x") for name in range(count)]
    return random.sample([*IDS, *IDS, *names], 3 * count)


def make_documents(random: Random, values: tuple[Any, ...], count: int = DOCUMENTS) -> list[Document]:
    """Documents with fields of every form."""
    different = {key_of(id_): id_ for id_ in make_ids(random, count)}
    return [{"_id": id_, **make_fields(random, values)} for id_ in list(different.values())[:count]]


def make_rivals(random: Random, documents: list[Document]) -> dict[str, Document]:
    """What another store wrote to the field `r` of some documents, which have it."""
    chosen = random.sample(documents, len(documents) // 4)
    for document in chosen:
        document["r"] = 1
    return {key_of(document["_id"]): {"r": random.choice((2, "r", None, [1]))} for document in chosen}


def plain_world(random: Random) -> World:
    """A world of documents that are JSON."""
    values = make_values(random, binary=False)
    return World(random, values, make_documents(random, values), {})


def binary_world(random: Random) -> World:
    """A world with binary values and rivals."""
    values = make_values(random, binary=True)
    documents = make_documents(random, values)
    return World(random, values, documents, make_rivals(random, documents))
