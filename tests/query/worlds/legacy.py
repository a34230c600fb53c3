"""Random queries of the legacy language: expressions of the oracle, written as text by a printer of their own."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from tests.query.oracles.legacy import Expression
from tests.query.worlds.documents import World, make_value

PATHS: Final[tuple[tuple[str | int, ...], ...]] = (
    *(("a",), ("b",), ("c",), ("c", "d"), ("l",), ("l", 0), ("o", 0, "k"), ("o", 1), ("r",), ("_id",), ("_id", "k")),
    *(("t~x",), ("a-b",), ("a-b", "0"), ("none",), ("c", "d", "k")),
)
COMMON: Final = (("a",), ("b",), ("c", "d"))
PATTERNS: Final = ("a", "^a$", "^(a|1)*$", "T0[0-9]", "^$", "b$", r"\\", "^.[*b]", "[ßS]", "x{100}")
OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=")
LEVELS: Final = {"or": 0, "and": 1, "not": 2, "compare": 3}


class LegacyQuery(NamedTuple):
    """A query: its expression, its text, and its arguments."""

    expression: Expression
    text: str
    args: dict[str, Any]


def make_query(world: World) -> LegacyQuery:
    """A query about a world."""
    args: dict[str, Any] = {}
    expression = condition(world, args, 2)
    return LegacyQuery(expression, write(expression, 0), args)


def constant(world: World, args: dict[str, Any], depth: int = 1) -> Expression:
    """A value of the world; what has no words is an argument."""
    value = make_value(world.random, world.values, depth)
    if world.random.random() < 0.1:
        value = world.random.choice(world.documents)["_id"]
    if has_words(value) and world.random.random() < 0.95:
        return ("constant", value)
    args[f"v{len(args)}"] = value
    return ("argument", f"v{len(args) - 1}")


def has_words(value: Any) -> bool:
    """Whether the language can write a value."""
    return all(map(has_words, value)) if isinstance(value, list) else not isinstance(value, bytes | dict)


def path(world: World) -> Expression:
    """A field, mostly one of few."""
    return ("path", world.random.choice(COMMON if world.random.random() < 0.6 else PATHS))


def operand(world: World, args: dict[str, Any], depth: int) -> Expression:
    """What stands where a value is asked for."""
    kind = world.random.randrange(10)
    if kind == 0 and depth:
        return ("array", tuple([operand(world, args, depth - 1) for _ in range(world.random.randrange(3))]))
    if kind == 1 and depth:
        return condition(world, args, depth - 1)
    return constant(world, args) if kind < 5 else path(world)


def condition(world: World, args: dict[str, Any], depth: int) -> Expression:
    """A condition of at most this many levels."""
    random = world.random
    kind = random.randrange(20)
    if depth and kind < 6:
        several = tuple([condition(world, args, depth - 1) for _ in range(random.randrange(2, 4))])
        return (("and", several), ("or", several), ("not", several[0]))[kind % 3]
    left, right = operand(world, args, depth), operand(world, args, depth)
    if random.random() < 0.6:
        left, right = path(world), constant(world, args)
    if kind in (6, 7):
        return ("call", "contains", *random.choice(((left, right), (right, left))))
    if kind in (8, 9):
        function = random.choice(("starts_with", "startsWith", "ends_with", "endsWith"))
        return ("call", function, left, right if random.random() < 0.3 else ("constant", part_of_text(world)))
    if kind == 13:
        return about_ids(world, args)
    if kind == 10:
        return ("call", "regex", left, ("constant", random.choice(PATTERNS)))
    if kind == 11 and random.random() < 0.3:
        return ("conflicted", random.choice(((), ("r",), ("a",))))
    return left if kind == 12 else ("compare", random.choice(OPERATORS), left, right)


def part_of_text(world: World) -> str:
    """The beginning or the end of a text of the world, or a piece of it."""
    text = world.random.choice([value for value in world.values if isinstance(value, str)] or ["ab"])
    at, end = sorted((world.random.randrange(len(text) + 1), world.random.randrange(len(text) + 1)))
    return world.random.choice((text[at:], text[:end], text[at:end]))


def about_ids(world: World, args: dict[str, Any]) -> Expression:
    """A question for some documents by their ids."""
    chosen = world.random.sample(world.documents, world.random.randrange(1, 9))
    args[f"v{len(args)}"] = [document["_id"] for document in chosen]
    return ("call", "contains", ("argument", f"v{len(args) - 1}"), ("path", ("_id",)))


# --- texts ---


def write(expression: Expression, level: int) -> str:
    """An expression as text, in parentheses where it binds weaker than its place asks."""
    text = write_bare(expression)
    return f"({text})" if LEVELS.get(expression[0], 4) < level else text


def write_bare(expression: Expression) -> str:
    """The same without parentheses around it."""
    match expression:
        case ("or", parts):
            return " || ".join([write(part, 1) for part in parts])
        case ("and", parts):
            return " && ".join([write(part, 2) for part in parts])
        case ("not", part):
            return f"!{write(part, 2)}"
        case ("compare", operator, left, right):
            return f"{write(left, 4)} {operator} {write(right, 4)}"
        case ("constant", value):
            return write_value(value)
        case ("argument", name):
            return f"$args.{name}" if name.endswith(("1", "3")) else f":{name}"
        case ("path", keys):
            return write_path(keys)
        case ("array", parts):
            return write_array([write(part, 0) for part in parts])
        case ("call", function, first, second):
            return f"{function}({write(first, 0)}, {write(second, 0)})"
        case ("conflicted", keys):
            return f"conflicted({write_path(keys) if keys else ''})"
    raise AssertionError(expression)


def write_value(value: Any) -> str:
    """A constant."""
    if isinstance(value, list):
        return write_array([write_value(item) for item in value])
    if isinstance(value, str):
        return "'{}'".format(value.replace("\\", "\\\\").replace("'", "\\'"))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def write_array(texts: list[str]) -> str:
    """An array; a single item stands in parentheses, since it could be read as a field."""
    return f"[({texts[0]})]" if len(texts) == 1 else f"[{', '.join(texts)}]"


def write_path(keys: tuple[str | int, ...]) -> str:
    """A path: names with points, other keys in brackets; a lone bracket in parentheses: it could be an array."""
    text = ""
    for key in keys:
        if isinstance(key, str) and re.fullmatch("[a-zA-Z_]+", key):
            text += f".{key}" if text else key
        else:
            text += f"[{write_value(key)}]"
    return f"({text})" if len(keys) == 1 and text[0] == "[" else text
