"""The parser accepts what the published grammar does, judged by a grammar written apart and another parser.

Rules: the grammar below is the one of docs/query-legacy.md in the notation of lark, which reads it with
Earley's algorithm; texts are sequences of tokens, most of them one change away from a query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from lark import Lark
from lark.exceptions import LarkError

from crdtstore.errors import QuerySyntaxError
from crdtstore.query.legacy import parse

GRAMMAR = r"""
or: and ("||" and)*
and: not ("&&" not)*
not: "!" not | comparison
comparison: operand (OPERATOR operand)?
operand: literal | array | call | path | argument | "(" or ")"
literal: FLOAT | INT | NEGATIVE | STRING | "true" | "false" | "null"
array: "[" [or ("," or)*] "]"
call: FUNCTION "(" or "," or ")" | "regex" "(" or "," pattern ")" | "conflicted" "(" [held] ")"
held: path | "(" held ")"
pattern: STRING | "(" pattern ")"
path: (NAME | FUNCTION | "regex" | "conflicted" | bracket) step*
step: "." name | bracket
bracket: "[" (INT | STRING | name) "]"
name: NAME | FUNCTION | "regex" | "conflicted" | "true" | "false" | "null"
argument: "$args" ("." name | "[" (STRING | name) "]") | ":" name
OPERATOR: "==" | "!=" | "<=" | ">=" | "<" | ">"
FUNCTION.2: /(contains|startsWith|ends_with)(?![a-z])/
FLOAT.2: /-?(0|[1-9][0-9]*)(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)/
NEGATIVE: /-(0|[1-9][0-9]*)/
INT: /(0|[1-9][0-9]*)/
STRING: /'[^'\\]*'|"[^"\\]*"/
NAME: /(?!(true|false|null|regex|conflicted)(?![A-Za-z0-9_]))[A-Za-z_][A-Za-z0-9_]*/
%ignore /[ \t\n\r\f]+/
"""

ORACLE = Lark(GRAMMAR, start="or", parser="earley", ambiguity="resolve")


def oracle_accepts(text: str) -> bool:
    try:
        ORACLE.parse(text)
    except LarkError:
        return False
    return True


def parser_accepts(text: str) -> bool:
    try:
        parse(text, ARGS)
    except QuerySyntaxError:
        return False
    return True


SEEDS = [
    "a == 1",
    "! ( a || b ) && c",
    "b . c != 'x' || ! ! d",
    "contains ( [ 'x' , 1.5 ] , a )",
    "regex ( a , ( '^x' ) )",
    'a [ 0 ] [ true ] [ "x" ]',
    "[ [ 'a' ] , $args . n ] <= : n",
    "[ 'a' ] [ 'b' ] . null > -1",
    "[ 'a' ] == [ ]",
    "( a == ( b ) ) == ( ! c )",
    "startsWith ( ends_with , contains )",
    "$args [ 'n' ] < true",
    "conflicted ( ) || ! conflicted ( a . b [ 0 ] ) && conflicted ( ( c ) )",
]
ODD_TOKENS = {"null", "false", "-1e5", "regex", "<", "01", "$x"}
TOKENS = sorted(ODD_TOKENS.union(*(seed.split(" ") for seed in SEEDS)))

ARGS = {token.strip("'\""): 1 for token in TOKENS}
"""Whatever name a text asks for is there, one step deep."""


def changed(random: Random, tokens: list[str]) -> list[str]:
    """The tokens with one inserted, dropped or replaced, or all behind a place cut off."""
    at, token = random.randrange(len(tokens) + 1), random.choice(TOKENS)
    changes: tuple[list[str], ...] = ([token, *tokens[at:]], tokens[at + 1 :], [token, *tokens[at + 1 :]], [])
    return tokens[:at] + random.choice(changes)


def composed(random: Random) -> list[str]:
    """The tokens of a query, perhaps one made of two others."""
    one, other = (random.choice(SEEDS).split(" ") for _ in range(2))
    whole = (
        one,
        [*one, random.choice(("&&", "||")), *other],
        ["(", *one, ")", random.choice(("==", "<=")), "(", *other, ")"],
        [random.choice(("contains", "startsWith")), "(", *one, ",", *other, ")"],
        ["a", "!=", "[", *one, ",", *other, "]"],
    )
    return random.choice(whole)


def texts(seed: int, count: int) -> Iterator[str]:
    """Queries, half of them with a change or two, and short sequences of any tokens."""
    random = Random(seed)
    for number in range(count):
        tokens = composed(random) if number % 5 else random.choices(TOKENS, k=random.randrange(1, 6))
        for _ in range(random.choice((0, 0, 1, 2))):
            tokens = changed(random, tokens)
        yield random.choice((" ", "\n")).join(tokens)


@pytest.mark.parametrize(("seed", "count"), [(0, 300), pytest.param(1, 10_000, marks=pytest.mark.slow)])
def test_the_parser_accepts_what_the_grammar_does(seed: int, count: int) -> None:
    accepted = {text: oracle_accepts(text) for text in texts(seed, count)}
    assert {text: parser_accepts(text) for text in accepted} == accepted
    assert 0.2 < sum(accepted.values()) / len(accepted) < 0.8, "Nearly all texts are queries, or hardly any."


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_texts_are_made_from_are_queries(seed: str) -> None:
    assert parser_accepts(seed)
    assert oracle_accepts(seed)


PLANTED: dict[str, Callable[[str], str]] = {
    "a ! anywhere is skipped": lambda text: text.replace("!", ""),
    "an array is never empty": lambda text: text.replace("[ ]", "[ , ]"),
    "a keyword is a string": lambda text: text.replace("null", "'null'"),
    "a last operator is skipped": lambda text: text.removesuffix(" ||"),
    "a bracket too many is skipped": lambda text: text.removesuffix(")").removesuffix("]"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_parser_that_reads_another_language_is_found(name: str) -> None:
    bug = PLANTED[name]
    changed = (text for text in texts(0, 20_000) if bug(text) != text)
    assert any(parser_accepts(bug(text)) != oracle_accepts(text) for text in changed)
