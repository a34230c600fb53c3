"""Random queries of the platform, written as text by a printer of their own."""

from __future__ import annotations

import re
from decimal import Decimal
from random import Random
from typing import Any, Final, NamedTuple, get_args

from crdtstore.query.platform import (
    Compare,
    Expression,
    Function,
    Has,
    Join,
    Key,
    Names,
    Not,
    Number,
    Operator,
    Query,
    Related,
    Text,
    Value,
)
from tests.query.worlds.documents import World, make_documents, make_value, make_values

PATHS: Final[tuple[Names, ...]] = (
    *(("a",), ("b",), ("c",), ("c", "d"), ("l",), ("l", "0"), ("o", "k"), ("o", "0", "k"), ("a-b", "0"), ("none",)),
    *(("id",), ("type",), ("c", "k"), ("a", "k"), ("id", "k"), ("b", "date"), ("c", "date")),
)
COMMON: Final = (("a",), ("b",), ("c", "d"))
HELD: Final = (*PATHS, ("name",), ("childAssets",), ("lastUpdated",), ("childish",))
TIMES: Final = (
    *("2022-04-29T00:55:31.859Z", "2022-04-29T02:55:31.8590+02:00", "2022-04-29", "2022-04-29T00:55:31.86"),
    *("2022-04-28T23:55:31-02:00", "2022-04-30"),
)
OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)
FUNCTIONS: Final[tuple[Function, ...]] = get_args(Function)
RELATED: Final[dict[str, list[Any]]] = {"g1": ["a", 1, "2"], "x y'": [], "g2": ["x:1", "org:3", {"k": 1}, True]}
"""What the relations stand for in all worlds."""


class PlatformQuery(NamedTuple):
    """A filter, and its text."""

    expression: Expression | None
    text: str


def make_world(random: Random) -> World:
    """A world of objects."""
    values = make_values(random, binary=False)
    documents = make_documents(random, values)
    for document in documents:
        given = {
            "type": random.choice(("t", "T", "u")),
            "name": make_value(random, values, 0),
            "childAssets": [1],
            "childish": 1,
        }
        given |= {
            "lastUpdated": random.choice((*TIMES[:2], "2022-04-29T00:00:00Z", 5)),
            "creationTime": random.choice(TIMES[:2]),
        }
        document |= {key: value for key, value in given.items() if random.random() < 0.7}
    return World(random, values, documents, {})


def make_query(world: World) -> PlatformQuery:
    """A filter about a world."""
    expression = condition(world, 2) if world.random.random() < 0.99 else None
    return PlatformQuery(expression, write(world.random, Query(expression, ())))


def condition(world: World, depth: int) -> Expression:
    """A filter of at most this many levels."""
    random = world.random
    kind = random.randrange(16)
    if depth and kind < 6:
        several = tuple([condition(world, depth - 1) for _ in range(random.randrange(2, 4))])
        return (Join("and", several), Join("or", several), Not(several[0]))[kind % 3]
    if kind < 8:
        return Has(tuple(random.choices(HELD, k=random.choice((1, 1, 2)))))
    if kind == 8:
        return Related(random.choice(FUNCTIONS), tuple(random.choices(tuple(RELATED), k=random.randrange(1, 3))))
    if kind == 9:
        dates: tuple[Names, ...] = (("creationTime", "date"), ("lastUpdated", "date"), ("creationTime",))
        return Compare(random.choice(OPERATORS), random.choice(dates), Text(random.choice(TIMES)))
    given = value(world)
    operators = OPERATORS if given is not None else OPERATORS[:2]
    path = random.choice(COMMON if random.random() < 0.6 else PATHS)
    return Compare(random.choice((*operators, "eq", "ne")), path, given)


def value(world: World) -> Value:
    """A value of the world that the language can write."""
    random = world.random
    texts = [each for each in world.values if isinstance(each, str)]
    special = [text for text in texts if "\\" in text or "?" in text]
    if special and random.random() < 0.1:
        return Text(random.choice(special) + "*")
    if texts and random.random() < 0.3:
        return Text(starred(random, random.choice(texts)))
    found = make_value(random, world.values, 0) if random.random() < 0.9 else random.choice(world.documents)["_id"]
    while isinstance(found, list | dict):
        inside = list(found.values() if isinstance(found, dict) else found)
        found = random.choice(inside) if inside else None
    if found is None or isinstance(found, bool):
        return found
    if isinstance(found, str):
        return Text(starred(random, found))
    return number(random, found)


def number(random: Random, found: float) -> Value:
    """A number, with a suffix or without."""
    if isinstance(found, int):
        return Number(found, str(found)) if random.random() < 0.8 else Number(float(found), None)
    written = repr(found)
    if "e" in written:
        return Text(written)
    return Number(found, written if random.random() < 0.5 else None)


def starred(random: Random, text: str) -> str:
    """A text, sometimes with stars in it, and then in another case."""
    letters = list(text)
    for _ in range(random.choice((0, 0, 1, 2))):
        at = random.randrange(len(letters) + 1)
        letters[at : at + random.randrange(3)] = "*"
    written = "".join(letters)
    return random.choice((written, written.upper(), written.lower())) if "*" in written else written


# --- texts ---

LEVELS: Final = {"or": 0, "and": 1}


def write(random: Random, query: Query, spare: float = 0.1) -> str:
    """A query as text; what is free is chosen anew each time, and this share of parentheses is spare."""
    text = "" if query.filter is None else write_expression(random, query.filter, 0, spare)
    prefix = random.choice(("$filter=", "", "$FILTER= "))
    keys = [".".join(key.path) + (" desc" if key.descending else random.choice(("", " asc"))) for key in query.order]
    order = random.choice((" ", "+", "  ")) + f"$orderby={','.join(keys)}" if keys else ""
    return f"{prefix}{text}{order}"


def write_expression(random: Random, expression: Expression, level: int, spare: float) -> str:
    """An expression, in parentheses where it binds weaker than its place asks, and sometimes elsewhere."""
    match expression:
        case Join(op, parts):
            word = random.choice((f" {op} ", f" {op.upper()} "))
            text, own = word.join([write_expression(random, part, LEVELS[op] + 1, spare) for part in parts]), LEVELS[op]
        case Not(part):
            text, own = f"not {write_expression(random, part, 2, spare)}", 2
        case Has(paths):
            names = [".".join(path) for path in paths]
            written = ", ".join(
                [random.choice((name, quote(name))) if is_plain(name) else quote(name) for name in names]
            )
            text, own = f"{'has' if len(paths) == 1 else 'hasany'}({written})", 3
        case Related(op, ids):
            text, own = (
                f"{op}({','.join([random.choice((id_, quote(id_))) if id_.isalnum() else quote(id_) for id_ in ids])})",
                3,
            )
        case Compare(op, path, given):
            text, own = f"{'.'.join(path)} {op} {write_value(random, given)}", 3
    return f"({text})" if own < level or random.random() < spare else text


def write_value(random: Random, given: Value) -> str:
    """A value."""
    match given:
        case Text(text):
            plain = (
                text.replace("*", "").isalpha()
                and text.isascii()
                and text.lower() not in (*("true", "false", "null", "and", "or", "not"),)
            )
            return text if plain and random.random() < 0.3 else quote(text)
        case Number(found, None):
            return f"{Decimal(repr(found)):f}{random.choice('fd')}"
        case Number(_, text):
            return str(text)
    return "null" if given is None else str(given).lower()


def is_plain(name: str) -> bool:
    """Whether a property can be written without quotes."""
    return re.fullmatch(r"[a-zA-Z][\w-]*(\.\w[\w-]*)*", name) is not None


def quote(text: str) -> str:
    """A text in quotes."""
    return "'{}'".format(text.replace("\\", "\\\\").replace("'", "''"))


def make_key(random: Random) -> Key:
    """A key of an order."""
    return Key(random.choice(PATHS), random.random() < 0.5)
