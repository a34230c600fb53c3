"""Random conditions of the statement language, written as text by a printer of their own."""

from __future__ import annotations

import re
from random import Random
from typing import Any, Final, NamedTuple

from tests.query.oracles.dql import Expression
from tests.query.worlds.documents import World, make_value

PATHS: Final[tuple[tuple[str | int, ...], ...]] = (
    *(("a",), ("b",), ("c",), ("c", "d"), ("l",), ("l", 0), ("o", 0, "k"), ("_id",), ("_id", "k"), ("none",)),
    *(("t~x",), ("a-b", "0"), ("c", "d", "k"), ("r",)),
)
COMMON: Final = (("a",), ("b",), ("c", "d"))
OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=")
PLAIN: Final = re.compile("[a-z_]+")


class DqlQuery(NamedTuple):
    """A condition: its expression, its text, and its parameters."""

    expression: Expression
    text: str
    parameters: dict[str, Any]


def make_query(world: World) -> DqlQuery:
    """A condition about a world."""
    expression = condition(world, 3)
    parameters: dict[str, Any] = {}
    text = write(world.random, expression, parameters)
    return DqlQuery(expression, text, parameters)


def operand(world: World) -> Expression:
    """A field, or a constant."""
    return path(world) if world.random.random() < 0.5 else constant(world)


def path(world: World) -> Expression:
    """A field, mostly one of few."""
    return ("path", world.random.choice(COMMON if world.random.random() < 0.6 else PATHS))


def constant(world: World) -> Expression:
    """A value of the world."""
    if world.random.random() < 0.1:
        return ("constant", world.random.choice(world.documents)["_id"])
    return ("constant", make_value(world.random, world.values, 1))


def condition(world: World, depth: int) -> Expression:
    """A condition of at most this many levels."""
    random = world.random
    kind = random.randrange(22)
    if depth and kind < 9:
        several = tuple([condition(world, depth - 1) for _ in range(random.randrange(2, 4))])
        return (("and", several), ("or", several), ("not", several[0]))[kind % 3]
    match kind:
        case 9 | 10:
            return ("is", random.choice(("null", "missing")), path(world))
        case 11 if random.random() < 0.5:
            chosen = random.sample(world.documents, random.randrange(1, 9))
            return ("in", ("path", ("_id",)), tuple([("constant", document["_id"]) for document in chosen]))
        case 11 | 12:
            return ("in", operand(world), tuple([operand(world) for _ in range(random.randrange(4))]))
        case 13:
            return ("in array", operand(world), path(world)[1])
        case 14:
            return ("between", path(world), operand(world), operand(world))
        case 15:
            return ("true", path(world)[1])
        case 16 | 17:
            return (random.choice(("like", "ilike")), path(world), pattern(world))
        case 18:
            return (random.choice(("starts_with", "ends_with")), path(world), text(world)[:2])
    return ("compare", random.choice(OPERATORS), path(world), operand(world))


def text(world: World) -> str:
    """A text of the world."""
    texts = [value for value in world.values if isinstance(value, str)]
    return world.random.choice(texts or ["a"])


def pattern(world: World) -> str:
    """A text of the world with wildcards in it, in another case, or with a wildcard that stands for itself."""
    random = world.random
    letters = list(text(world).replace("\\", "\\\\"))
    for _ in range(random.randrange(3)):
        at = random.randrange(len(letters) + 1)
        if at == 0 or letters[at - 1] != "\\":
            letters[at : at + 1] = random.choice(("%", "_", "%%", "\\%", "\\_", "*"))
    written = "".join(letters)
    return random.choice((written, written.swapcase())) if written[-1:] != "\\" else f"{written}\\"


# --- texts ---


def write(random: Random, expression: Expression, parameters: dict[str, Any]) -> str:
    """A condition as text; what is free is chosen anew each time."""

    def inside(part: Expression) -> str:
        text = write(random, part, parameters)
        return text if part[0] == "true" else f"({text})"

    def value(operand: Expression) -> str:
        return write_operand(random, operand, parameters)

    match expression:
        case ("and" | "or" as name, parts):
            return f" {random.choice((name, name.upper()))} ".join(map(inside, parts))
        case ("not", ("in", one, others)) if others and random.random() < 0.5:
            return f"{value(one)} NOT IN ({', '.join(map(value, others))})"
        case ("not", ("is", name, one)) if random.random() < 0.5:
            return f"{value(one)} IS NOT {name.upper()}"
        case ("not", part):
            return f"NOT {inside(part)}"
        case ("true", keys):
            return write_path(random, keys)
        case ("compare", operator, left, right):
            spelled = {"=": ("=", "=="), "!=": ("!=", "<>")}.get(operator, (operator,))
            return f"{value(left)} {random.choice(spelled)} {value(right)}"
        case ("between", one, low, high):
            return f"{value(one)} BETWEEN {value(low)} AND {value(high)}"
        case ("is", name, one):
            return f"{value(one)} IS {name.upper()}"
        case ("in", one, others):
            listed = ", ".join(map(value, others))
            return f"{value(one)} IN " + (f"({listed})" if others and random.random() < 0.5 else f"[{listed}]")
        case ("in array", one, keys):
            return f"{value(one)} IN {write_path(random, keys)}"
        case ("like" | "ilike" as name, one, written):
            return f"{value(one)} {name.upper()} {write_value(random, written, parameters)}"
        case (name, one, written):
            return f"{name}({value(one)}, {write_value(random, written, parameters)})"
    raise AssertionError(expression)


def write_operand(random: Random, operand: Expression, parameters: dict[str, Any]) -> str:
    """A field, or a constant."""
    if operand[0] == "path":
        return write_path(random, operand[1])
    return write_value(random, operand[1], parameters)


def write_value(random: Random, value: Any, parameters: dict[str, Any], share: float = 0.15) -> str:
    """A constant, or, so often, a parameter that stands for it."""
    if random.random() < share:
        parameters[f"p{len(parameters)}"] = value
        return f":p{len(parameters) - 1}"
    if isinstance(value, dict):
        pairs = [f"{quote(key)}: {write_value(random, item, parameters, share)}" for key, item in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join([write_value(random, item, parameters, share) for item in value])}]"
    if isinstance(value, str):
        return quote(value)
    return "NULL" if value is None else str(value).upper() if isinstance(value, bool) else repr(value)


def quote(text: str) -> str:
    """A text in quotes."""
    return "'{}'".format(text.replace("\\", "\\\\").replace("'", "\\'"))


def write_path(random: Random, keys: tuple[str | int, ...]) -> str:
    """A path: names with points, in backticks or in brackets."""
    first, *rest = keys
    text = str(first) if PLAIN.fullmatch(str(first)) and random.random() < 0.8 else f"`{first}`"
    for key in rest:
        if isinstance(key, int):
            text += f"[{key}]"
        elif PLAIN.fullmatch(key) and random.random() < 0.7:
            text += f".{key}"
        else:
            text += random.choice((f".`{key}`", f"[{quote(key)}]"))
    return text
