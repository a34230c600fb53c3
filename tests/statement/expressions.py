"""Random expressions of the naive interpreter's form, about the documents of a small world.

Rules: mostly of types that fit, so that something comes of them, and sometimes of any. A place says by which names
paths may begin: those of a join must, that of one collection may.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple

from crdtstore.query.tree import MISSING
from tests.query.oracles.values import at
from tests.query.worlds.documents import World, make_value
from tests.query.worlds.dql import pattern, text
from tests.statement.naive_expressions import Expression

NUMBERS: Final = (0, 1, 2, -3, -1, 7, 0.5, 2.5, 1.0, -0.0, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 1e300)
NUMERIC: Final = (("n",), ("n",), ("h",), ("b",), ("c", "k"), ("l", 0))
FIELDS: Final = (
    *(("a",), ("a",), ("b",), ("b",), ("n",), ("n",), ("s",), ("s",), ("c", "d"), ("c", "k"), ("c",), ("l",)),
    *(("l", 0), ("l", 1, "k"), ("_id",), ("_id", "k"), ("none",), ("a", "k"), ("t~x",), ("h",), ("m", "d", "k")),
)
OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=")
SIMILAR: Final = ("a%", "(a|b)_*", "[ab]+", "%", "_{1,2}", "a?b*")
REGULAR: Final = ("a", "^a", "b$", "[ab]{2}", "^$", "A|b")
JSON: Final = ("1", '{"k": 1}', "[1, 2.5, null]", "nothing", '"a"', "null", "true")
ONE_TEXT: Final = ("byte_length", "char_length", "character_length", "deserialize_json")
TWO_TEXTS: Final = ("contains", "starts_with", "ends_with")
ONE_OF_ANY: Final = ("is_boolean", "is_number", "is_string", "ismissingornull", "array_contains_null")
AGGREGATES: Final = ("count", "sum", "avg", "min", "max", "median", "mid")
DETERMINED: Final = ("count", "sum", "avg", "median", "mid")
"""Those that are one value whatever the order of rows; MIN and MAX of objects are any of these."""


class Place(NamedTuple):
    """Where an expression stands: its world, and what its paths may begin with."""

    world: World
    prefixes: tuple[tuple[str, ...], ...] = ((),)

    @property
    def random(self) -> Random:
        """What decides."""
        return self.world.random


def path(place: Place, among: tuple[Any, ...] = FIELDS) -> Expression:
    """A field."""
    return ("path", (*place.random.choice(place.prefixes), *place.random.choice(among)))


def constant(place: Place) -> Expression:
    """A value of the world."""
    if place.random.random() < 0.1:
        return ("value", place.random.choice(place.world.documents)["_id"])
    return ("value", make_value(place.random, place.world.values, 1))


def compared(place: Place) -> Expression:
    """A field and what it may be compared with: mostly what a document has there."""
    random, keys = place.random, place.random.choice(FIELDS)
    field = ("path", (*random.choice(place.prefixes), *keys))
    operator = random.choice(OPERATORS)
    value = at(random.choice(place.world.documents), keys)
    if value is MISSING or random.random() < 0.25:
        return ("compare", operator, field, operand(place))
    sides = (field, ("value", value))
    return ("compare", operator, *(sides if random.random() < 0.8 else sides[::-1]))


def operand(place: Place) -> Expression:
    """A field or a constant."""
    if place.random.random() < 0.02:
        return ("missing",)
    return path(place) if place.random.random() < 0.5 else constant(place)


def condition(place: Place, depth: int) -> Expression:
    """Something that is true or not."""
    random = place.random
    kind = random.randrange(26)
    if depth and kind < 7:
        several = tuple([condition(place, depth - 1) for _ in range(random.randrange(2, 4))])
        return ("logic", random.choice(("and", "or", "or", "or", "xor")), several)
    if depth and kind < 9:
        return ("not", condition(place, depth - 1))
    match kind:
        case 9:
            return ("is", random.choice(("null", "missing")), anything(place, depth))
        case 23 if random.random() < 0.7:
            return ("not", ("is", random.choice(("null", "missing")), path(place)))
        case 10 | 11:
            return ("in", operand(place), array(place, depth))
        case 12:
            return ("between", number(place, depth), number(place, 0), number(place, 0))
        case 13:
            return ("between", path(place), operand(place), operand(place))
        case 14:
            return ("like", random.choice(("like", "ilike")), path(place), ("value", pattern(place.world)))
        case 15:
            return ("like", "similar", string(place, depth), ("value", random.choice(SIMILAR)))
        case 16:
            return ("call", random.choice(TWO_TEXTS), (string(place, depth), ("value", text(place.world)[:2])))
        case 17:
            return ("call", random.choice(ONE_OF_ANY), (anything(place, depth),))
        case 18:
            return quantified(place, depth)
        case 19:
            return ("compare", random.choice(OPERATORS), number(place, depth), number(place, depth))
        case 20:
            return ("call", "array_contains", (array(place, 0), operand(place)))
        case 21:
            flags = (("value", random.choice(("i", "", "c"))),) if random.random() < 0.5 else ()
            return ("call", "regexp_like", (string(place, depth), ("value", random.choice(REGULAR)), *flags))
        case 22:
            return path(place, (("a",), ("b",)))
    return compared(place)


def sought(place: Place) -> Expression:
    """The condition of a statement: true of some documents more often than any condition."""
    random = place.random
    first = condition(place, random.randrange(3))
    match random.randrange(6):
        case 0 | 1:
            return ("logic", "or", (first, condition(place, 1), compared(place)))
        case 2:
            return ("logic", "or", (first, ("is", random.choice(("null", "missing")), path(place))))
        case 3:
            return ("logic", random.choice(("or", "and")), (("not", ("is", "missing", path(place))), first))
    return first


def verdicts(place: Place) -> Expression:
    """Several verdicts, of which each may be true, false, null or missing."""
    random = place.random

    def verdict() -> Expression:
        known = (("value", True), ("value", False), ("value", None), ("missing",))
        return random.choice((*known, path(place), compared(place), ("is", "missing", path(place))))

    joined = ("logic", random.choice(("and", "or", "xor")), tuple([verdict() for _ in range(random.randrange(2, 4))]))
    return ("not", joined) if random.random() < 0.3 else joined


def quantified(place: Place, depth: int) -> Expression:
    """ANY or EVERY item of an array."""
    variable = place.random.choice(("x", "item", "n"))
    inner = Place(place.world, (*place.prefixes, (variable,), (variable,)))
    inside = (
        ("compare", place.random.choice(OPERATORS), ("path", (variable,)), operand(place))
        if depth < 1 or place.random.random() < 0.6
        else condition(inner, depth - 1)
    )
    return ("quantified", place.random.choice(("any", "every")), variable, array(place, 0), inside)


def number(place: Place, depth: int) -> Expression:
    """Something that is mostly a number."""
    random = place.random
    kind = random.randrange(12) if depth else random.randrange(5)
    match kind:
        case 0 | 1 | 2:
            return path(place, NUMERIC)
        case 3 | 4:
            return ("value", random.choice(NUMBERS[:10] if random.random() < 0.8 else NUMBERS))
        case 5 | 6 | 7:
            sign = random.choice(("+", "-", "*", "/", "/", "%", "<<", ">>"))
            return ("binary", sign, number(place, depth - 1), number(place, depth - 1))
        case 8:
            return ("negate", number(place, depth - 1))
        case 9:
            return ("call", random.choice(("abs", "ceil", "floor")), (number(place, depth - 1),))
        case 10:
            return ("call", random.choice(ONE_TEXT[:3]), (string(place, depth - 1),))
    return ("call", "array_length", (array(place, depth - 1),))


def string(place: Place, depth: int) -> Expression:
    """Something that is mostly a text."""
    random = place.random
    kind = random.randrange(7) if depth else random.randrange(4)
    match kind:
        case 0 | 1:
            return path(place, (("s",), ("s",), ("b",), ("c", "k")))
        case 2 | 3:
            return ("value", text(place.world)[:12])
        case 4:
            return ("binary", "||", string(place, depth - 1), string(place, depth - 1))
        case 5:
            return ("call", "concat", (string(place, depth - 1), string(place, 0)))
    return ("call", "type", (anything(place, depth - 1),))


def array(place: Place, depth: int) -> Expression:
    """Something that is mostly an array."""
    random = place.random
    kind = random.randrange(6)
    if kind < 2:
        return path(place, (("l",), ("l",), ("a",), ("c", "d")))
    if kind == 2:
        return ("value", [make_value(random, place.world.values, 1) for _ in range(random.randrange(4))])
    if kind == 3 and depth:
        return ("call", random.choice(("object_keys", "object_values")), (path(place, (("c",), ("m",), ("a",))),))
    return ("array", tuple([anything(place, depth - 1) for _ in range(random.randrange(4))]))


def anything(place: Place, depth: int) -> Expression:
    """Something of any type."""
    random = place.random
    if depth <= 0:
        return operand(place)
    match random.randrange(13):
        case 0 | 1:
            return number(place, depth)
        case 2:
            return string(place, depth)
        case 3:
            return condition(place, depth) if random.random() < 0.5 else verdicts(place)
        case 4:
            return array(place, depth)
        case 5:
            keys = random.sample(("k", "d", "é", "a b"), random.randrange(3))
            return ("object", tuple([(key, anything(place, depth - 1)) for key in keys]))
        case 6:
            return case(place, depth)
        case 7:
            arguments = tuple([anything(place, depth - 1) for _ in range(random.randrange(2, 4))])
            return ("call", random.choice(("coalesce", "ifmissing")), arguments)
        case 8:
            return ("call", "nvl", (path(place), anything(place, depth - 1)))
        case 9:
            arguments = tuple([operand(place) for _ in range(random.randrange(3, 6))])
            return ("call", "decode", (path(place), *arguments[1:]))
        case 10:
            return ("call", random.choice(("object_length", "type")), (path(place),))
        case 11:
            return ("call", "deserialize_json", (("value", random.choice(JSON)),))
    return path(place)


def case(place: Place, depth: int) -> Expression:
    """CASE, with a subject or without."""
    random = place.random
    subject = path(place) if random.random() < 0.5 else None
    whens = [operand(place) if subject else condition(place, depth - 1) for _ in range(random.randrange(1, 3))]
    branches = tuple([(when, anything(place, depth - 1)) for when in whens])
    return ("case", subject, branches, anything(place, depth - 1) if random.random() < 0.6 else None)


# --- of groups ---


def aggregate(place: Place, among: tuple[str, ...] = AGGREGATES) -> Expression:
    """Something made of all rows of a group."""
    random = place.random
    name = random.choice((*among, "count", "sum"))
    if name == "count" and random.random() < 0.4:
        return ("aggregate", "count", None, False)
    made = path(place) if random.random() < 0.4 else random.choice((number, number, anything))(place, 1)
    if name == "count" and random.random() < 0.5:
        made = verdicts(place)
    return ("aggregate", name, made, random.random() < 0.3)


def of_group(place: Place, keys: tuple[Expression, ...], depth: int) -> Expression:
    """Something made of aggregates and what is the same in all rows of a group."""
    random = place.random
    match random.randrange(8) if depth else random.randrange(3):
        case 0 if keys:
            return random.choice(keys)
        case 0 | 1 | 2:
            return aggregate(place)
        case 3:
            return ("call", random.choice(("coalesce", "ifmissing")), (of_group(place, keys, 0), constant(place)))
        case 4:
            return ("logic", random.choice(("and", "or")), (judged(place, keys, depth), judged(place, keys, depth)))
    return judged(place, keys, depth)


def judged(place: Place, keys: tuple[Expression, ...], depth: int) -> Expression:
    """A verdict on a group: not on the least of its objects, since objects have no order."""
    random = place.random

    def one() -> Expression:
        return random.choice(keys) if keys and random.random() < 0.4 else aggregate(place, DETERMINED)

    match random.randrange(4):
        case 0:
            return ("compare", random.choice(OPERATORS), one(), one())
        case 1:
            return ("is", random.choice(("null", "missing")), of_group(place, keys, depth - 1) if depth else one())
        case 2 if keys:
            return ("compare", random.choice(OPERATORS), random.choice(keys), constant(place))
    return ("compare", random.choice(OPERATORS), one(), ("value", random.choice(NUMBERS[:6])))
