"""The target of the statement language: its parser in both versions, and what its conditions are on values."""

from __future__ import annotations

from functools import cache
from typing import Any

from crdtstore.errors import InvalidValue, MalformedRequest, QuerySyntaxError
from crdtstore.query.dql import statement_parser
from crdtstore.query.dql.condition import split_condition
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.expression import Expression
from crdtstore.query.dql.expression_print import print_expression
from crdtstore.query.dql.statement import Remove, Select, Update
from crdtstore.query.dql.statement_print import print_statement
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.relation import TYPES
from tests.fuzz.engine import Target
from tests.fuzz.seeds import collect, different
from tests.query.dql_pairs import pairs
from tests.query.dql_strategies import STATEMENTS

PIECES = [
    *(b"(", b")", b"[", b"]", b"{", b"}", b",", b".", b"*", b"'", b'"', b"`", b":", b"->", b"--", b"/*", b"*/", b"-"),
    *(
        b" NOT ",
        b" IN ",
        b" AND ",
        b" OR ",
        b" IS ",
        b" NULL",
        b"MISSING ",
        b" LIKE '%",
        b"CASE ",
        b" END",
        b"ANY x IN ",
    ),
    *(b" FROM a", b" WHERE ", b"SELECT ", b" AS b", b" USE IDS ", b"COUNT(*)", b"date_cast(", b"regexp_like('", b"0x"),
    *(b"9223372036854775808", b"1e400", b"\\ud800", b"\xff", b"\x00", b"_id", b"a -> (", b"1 <<", b"||", b"%", b"/ 0"),
]
PIECES += [b"(", b"[", b" - ", b" NOT ", b"abs(", b"{'k':", b"CASE WHEN "] * 3
"""What nests, more often."""

ROW = {"_id": "a", "a": {"b": [1, 2.5, "x", None]}, "x": 1, "t": "text", "d": "2024-01-01T00:00:00Z", "l": [[1], {}]}
CONTEXT = Context(dict.fromkeys("abcdefghijklmnopqrstuvwxyz", "(x"), lambda: 0)


@cache
def statement_seeds() -> list[bytes]:
    made = [print_statement(statement).encode() for statement in collect(STATEMENTS, 60)]
    more = [
        b"SELECT DISTINCT a.b[0]['k'] x, COUNT(DISTINCT y) FROM COLLECTION c (d MAP (e COUNTER)) AS f /* g */ WHERE h",
        b"INSERT INTO a DOCUMENTS (:d), ({'_id': 1, 'b': [2, 0xFF]}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF RETURNING *",
        b"UPDATE a SET b -> (c = 1, d -> tombstone()) UNSET e WHERE _id = 'x' -- end\n",
        b'SELECT "a ""b""" FROM `c``d` LEFT JOIN e USE INDEX \'i\' ON e.f = c.g ORDER BY h DESC LIMIT :i OFFSET 2',
    ]
    return different([*made, *more], 250)


@cache
def seeds() -> list[bytes]:
    """Statements of all kinds, and conditions of SELECT."""
    made = [print_expression(pair.expression).encode() for pair in pairs(7, 100)]
    more = [
        b"t LIKE 'te%' AND a.b[0] BETWEEN 1 AND 2 OR x IN (1, 'y') XOR NOT d IS MISSING",
        b"date_add(d, 'month', 3) || date_format(d, '%Y-%m-%d') SIMILAR TO '[a-z]{2,3}%'",
        b"ANY y IN a.b SATISFIES y > 1 END = EVERY y IN l SATISFIES y[0] = 1 END",
        b"CASE x WHEN 1 THEN concat(t, 'a') ELSE regexp_like(t, '^T', 'ix') END",
        b"deserialize_json('{\"a\": 1}') = {'a': 1.0}",
    ]
    conditions = [b"SELECT a FROM b WHERE " + text for text in (*made, *more)]
    return different([*statement_seeds(), *conditions], 300)


def parse_statement(data: bytes) -> Any:
    """A statement by one of the versions, of which double quotes are the only difference."""
    return statement_parser.parse(data.decode("utf-8", "replace"), "v4" if data.count(b'"') % 3 == 1 else "v5")


def check_statement(_data: bytes, statement: Any) -> None:
    """The text that is printed of a statement gives it again, and its condition can be asked."""
    printed = print_statement(statement)
    same = repr(statement_parser.parse(printed)) == repr(statement)
    assert same, printed
    if isinstance(statement, Select | Update | Remove) and statement.where is not None:
        check_condition(statement.where)


def check_condition(expression: Expression) -> None:
    """A condition has a value, and what the tree says of it is no less and no more; no pattern, no answer."""
    try:
        value = compile_expression(expression, CONTEXT)(ROW)
        split = split_condition(expression, CONTEXT)
    except (InvalidValue, MalformedRequest):
        return
    assert value.__class__ in TYPES
    held = [compile_match(split.node)(lookup_in(ROW))]
    held += [compile_expression(part, CONTEXT)(ROW) for part in split.rest]
    assert all(each is True for each in held) is (value is True)


TARGETS = [
    Target("dql", parse_statement, (QuerySyntaxError,), seeds, check_statement, form="text", fragments=PIECES),
]
