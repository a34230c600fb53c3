"""DQL: statements come through printing, and any text is read or refused."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore.errors import QuerySyntaxError
from crdtstore.query.dql import expression as ex
from crdtstore.query.dql import expression_print
from crdtstore.query.dql.expression import Expression
from crdtstore.query.dql.expression_print import print_expression
from crdtstore.query.dql.profile import Profile
from crdtstore.query.dql.statement import Statement
from crdtstore.query.dql.statement_parser import parse, parse_expression
from crdtstore.query.dql.statement_print import print_statement
from tests.query.dql_strategies import EXPRESSIONS, STATEMENTS


@settings(max_examples=150)
@given(EXPRESSIONS)
def test_an_expression_comes_through_printing(expression: Expression) -> None:
    assert repr(parse_expression(print_expression(expression))) == repr(expression)


@settings(max_examples=80)
@given(STATEMENTS)
def test_a_statement_comes_through_printing(statement: Statement) -> None:
    assert repr(parse(print_statement(statement))) == repr(statement)


@given(st.text(max_size=40) | st.text(alphabet="SELCTFROMabxIN*()[]{}'\"`:,.-+/\\u0 1e", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    profiles: tuple[Profile, ...] = ("v4", "v5")
    for profile in profiles:
        with suppress(QuerySyntaxError):
            parse(f"SELECT {text} FROM a", profile)
        with suppress(QuerySyntaxError):
            parse(text, profile)


@given(EXPRESSIONS)
def test_the_children_of_an_expression_are_what_it_holds(expression: Expression) -> None:
    def count(node: Expression) -> int:
        return 1 + sum(map(count, ex.children(node)))

    assert count(expression) == msgspec.json.encode(expression).count(b'"expression":')


def test_a_printer_that_forgets_parentheses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expression_print, "level_of", lambda expression: ex.PRIMARY)
    inner = ex.Logic("or", (ex.Field(("a",)), ex.Field(("b",))))
    assert parse_expression(print_expression(ex.Not(inner))) != ex.Not(inner)
