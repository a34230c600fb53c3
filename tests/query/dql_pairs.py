"""Random expressions of DQL and rows of a small world; one seed gives one sequence."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from crdtstore.query.dql import expression as ex
from crdtstore.query.dql.expression import Expression
from tests.query.dql_strategies import is_looked_in

NUMBERS = (0, 1, -1, 2, 7, -7, 2.5, 1.0, -0.0, 2**63 - 1, -(2**63), 2**53 + 1, 1e308, 1e-308, 64)
TEXTS = ("", "a", "ab", "b", "Ab", "a%", "%b", "_", "a_", "%", "x\\%", "\N{GREEK SMALL LETTER ALPHA}")
OTHERS = (None, True, False, None, True, False)
ARRAYS: tuple[Any, ...] = ([], [1, 2], [1.0, "a"], [None], [True, None, "a"], [[1]], ["a", "ab"])
OBJECTS: tuple[Any, ...] = ({}, {"a": 1}, {"a": None, "b": "a"}, {"b": [1, "a"]})
VALUES = (*OTHERS, *NUMBERS[:8], *TEXTS[:6], *ARRAYS, *OBJECTS, b"", b"a")
NAMES = ("a", "b", "c", "x")


class Pair(NamedTuple):
    """An expression, and a row and parameters to evaluate it with."""

    expression: Expression
    row: dict[str, Any]
    parameters: dict[str, Any]


def pairs(seed: int, count: int) -> Iterator[Pair]:
    """So many of them."""
    random = Random(seed)
    for _ in range(count):
        row = {name: random.choice(VALUES) for name in NAMES if random.random() < 0.7}
        parameters = {name: random.choice(VALUES) for name in "pq"}
        yield Pair(make(random, random.randrange(1, 5)), row, parameters)


def make(random: Random, depth: int) -> Expression:
    """An expression of at most so many levels."""
    if depth == 0 or random.random() < 0.15:
        return leaf(random)

    def one() -> Any:
        return make(random, depth - 1)

    def several(least: int) -> tuple[Any, ...]:
        return tuple(one() for _ in range(random.randrange(least, least + 3)))

    sign: Any = random.choice(("+", "-", "*", "/", "%", "<<", ">>", "||"))
    operator: Any = random.choice(("==", "!=", "<", "<=", ">", ">="))
    word: Any = random.choice(("like", "ilike", "similar"))
    connective: Any = random.choice(("and", "or", "xor", "and", "or"))
    made = (
        lambda: ex.Binary(sign, one(), one()),
        lambda: ex.Binary(sign, ex.Literal(random.choice(NUMBERS)), ex.Literal(random.choice(NUMBERS))),
        lambda: ex.Compare(operator, one(), one()),
        lambda: ex.Compare(operator, leaf(random), leaf(random)),
        lambda: ex.Logic(connective, several(2)),
        lambda: ex.Logic(connective, several(2)),
        lambda: ex.Not(one()),
        lambda: ex.Negate(one()),
        lambda: ex.In(one(), ex.Array(several(0))),
        lambda: ex.In(one(), looked_in(one())),
        lambda: ex.Between(one(), one(), one()),
        lambda: ex.Like(
            word, one(), leaf(random) if word != "similar" else ex.Literal(random.choice(("a%", "(a|b)_*", "[ab]+")))
        ),
        lambda: ex.Is(one(), random.choice(("null", "missing"))),
        lambda: ex.Case(random.choice((None, one())), ((one(), one()), (one(), one())), random.choice((None, one()))),
        lambda: ex.Quantified(random.choice(("any", "every")), "x", looked_in(one()), one()),
        lambda: ex.Array(several(0)),
        lambda: ex.Object((("a", one()), ("b", one()))),
    )
    return random.choice(made)()


def looked_in(expression: Expression) -> Expression:
    """What can be written behind IN; an operator as the one item of a list."""
    return expression if is_looked_in(expression) else ex.Array((expression,))


def leaf(random: Random) -> Expression:
    """A constant, a parameter or a path."""
    return random.choice(
        (
            ex.Literal(random.choice(NUMBERS + TEXTS + OTHERS)),
            ex.Literal(random.choice(TEXTS)),
            ex.Parameter(random.choice("pq")),
            ex.Missing(),
            ex.Field((random.choice(NAMES),)),
            ex.Field((random.choice(NAMES),)),
            ex.Field((random.choice(NAMES), random.choice(("a", "b", 0, 1)))),
        )
    )
