"""Random queries and documents of a small world, and the harness that compares two evaluators over them.

Rules: few fields and few values, many of them equal in one way and different in another, so that a query
matches about as often as not and every rule of comparison is met. One seed gives one sequence of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple, TypeAlias

from crdtstore.query import tree
from crdtstore.query.tree import LEGACY, Comparison, Node, Operator, Path

Document: TypeAlias = dict[str, Any]
Evaluator: TypeAlias = Callable[[Node, Document], bool]

FAMILIES: tuple[tuple[Any, ...], ...] = (
    (None, False, 0, 0.0, "", []),
    (True, 1, 1.0, False, 0, "1"),
    ([1, 2], [2, 1], [1], [True, 2], [1.0, 2.0, None]),
    (-1, 0.5, -(2**63), 2**53 - 1.0),
    (2**53, 2**53 + 1, float(2**53)),
    ("a", "ab", "ba", "\N{GREEK SMALL LETTER ALPHA}", b"a", b"ab", b""),
    ("2022-04-29T00:55:31.859Z", "2022-04-29t02:55:31.8590+02:00", "2022-04-29T00:55:31.86Z", "2022-04-29"),
    ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00z", "2017-01-01T00:00:00.0-00:00"),
    ({"a": 1}, {"a": 1.0}, {"d": 1, "a": None}, {}),
)
"""Values that are alike in one way and not in another; a query and its documents draw from few of them."""

SCALARS = tuple(each for family in FAMILIES for each in family if not isinstance(each, list | dict | bytes))
IDS: tuple[Any, ...] = (*(each for each in SCALARS if each is not None and each != ""), {"a": 1}, {"d": 1.0})
PATHS: tuple[Path, ...] = (
    ("a",),
    ("b",),
    ("c", "d"),
    ("c",),
    ("l", 0),
    ("l",),
    ("_id",),
    ("_id", "a"),
)
PATTERNS = ("a", "^a$", "^(a|1)*$", "T0[0-9]", "^$", "b$")
OPERATORS: tuple[Operator, ...] = ("==", "!=", "<", "<=", ">", ">=")
MIXED: tuple[Any, ...] = ("unequal", "false")
DOCUMENTS_PER_QUERY = 10


def array_of(items: list[Node]) -> Node:
    """An array as the grammar gives it: constant when its items are."""
    constants = [item.value for item in items if isinstance(item, tree.Literal)]
    return tree.Literal(constants) if len(constants) == len(items) else tree.ArrayLiteral(tuple(items))


class World(NamedTuple):
    """Where random choices come from, and the values that they are about."""

    random: Random
    values: tuple[Any, ...]


def new_world(random: Random) -> World:
    """A world of one family or two."""
    return World(random, sum(random.sample(FAMILIES, random.randrange(1, 3)), ()))


def value(world: World, depth: int = 2) -> Any:
    """A value of the world, sometimes inside arrays and objects."""
    kind = world.random.randrange(8) if depth else 0
    if kind == 7:
        keys = world.random.sample(("a", "d"), world.random.randrange(3))
        return {key: value(world, depth - 1) for key in keys}
    if kind == 6:
        return [value(world, depth - 1) for _ in range(world.random.randrange(4))]
    return world.random.choice(world.values)


def document(world: World) -> Document:
    """A document, its id under `_id`; any other field may be missing."""
    fields = {"a": value(world), "b": value(world, 0), "c": {"d": value(world)}}
    fields["l"] = [value(world) for _ in range(world.random.randrange(4))]
    present = {key: field for key, field in fields.items() if world.random.random() < 0.8}
    return {"_id": world.random.choice(IDS), **present}


def comparison(random: Random) -> Comparison:
    """The legacy rules, or any others."""
    rules: list[Comparison] = []
    missing: Any
    for missing in ("null", "false"):
        rules += [Comparison(missing, "value", mixed, random.random() < 0.5) for mixed in MIXED]
    return LEGACY if random.random() < 0.7 else random.choice(rules)


def operand(world: World, depth: int) -> Node:
    """Something that stands where a value is asked for."""
    kind = world.random.randrange(10)
    if kind == 0 and depth:
        return array_of([operand(world, depth - 1) for _ in range(world.random.randrange(3))])
    if kind == 1 and depth:
        return condition(world, depth - 1)
    return tree.Literal(value(world)) if kind < 5 else tree.Field(world.random.choice(PATHS))


def condition(world: World, depth: int) -> Node:
    """A condition of at most this many levels."""
    random = world.random
    kind = random.randrange(18)
    if depth and kind < 6:
        several = tuple([condition(world, depth - 1) for _ in range(random.randrange(2, 4))])
        return (tree.And(several), tree.Or(several), tree.Not(several[0]))[kind % 3]
    left, right = operand(world, depth), operand(world, depth)
    if random.random() < 0.5:
        left, right = tree.Field(random.choice((("a",), ("b",)))), tree.Literal(value(world, 1))
    if kind in (6, 7):
        return tree.Contains(left, right, comparison(random))
    if kind in (8, 9):
        pattern = tree.Literal(random.choice(PATTERNS))
        function, argument = random.choice((("starts_with", right), ("ends_with", right), ("regex", pattern)))
        return tree.Call(function, (left, argument))
    if kind == 10:
        return tree.condition(left)
    return tree.Compare(random.choice(OPERATORS), left, right, comparison(random))


def pairs(seed: int, count: int) -> Iterator[tuple[Node, Document]]:
    """A sequence of queries, each with some documents of its world."""
    random = Random(seed)
    for _ in range(count // DOCUMENTS_PER_QUERY):
        world = new_world(random)
        node = condition(world, 2)
        for _ in range(DOCUMENTS_PER_QUERY):
            yield node, document(world)


def disagreements(one: Evaluator, other: Evaluator, seed: int, count: int) -> Iterator[tuple[Node, Document]]:
    """The pairs that two evaluators judge differently."""
    return ((node, each) for node, each in pairs(seed, count) if one(node, each) is not other(node, each))
