"""The naive interpreter gives what published examples of the language say, which were put into its form by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.statement.naive import Delete, Insert, Statement, Update, World, execute
from tests.statement.naive_expressions import Expression, Refused
from tests.statement.naive_select import Select, Source

C = Source("c")
X: Expression = ("path", ("x",))
ID: Expression = ("path", ("_id",))
ADDRESS: Expression = ("path", ("address",))
TRUE: Expression = ("value", True)
BY_ID = ((ID, False),)


def column(expression: Expression, name: str | None = None) -> tuple[Any, ...]:
    return ("column", expression, name)


def equal(left: Expression, value: Any) -> Expression:
    return ("compare", "==", left, ("value", value))


def ids(where: Expression) -> Select:
    return Select((column(ID),), C, where=where, order=BY_ID)


def world(*documents: Any) -> World:
    made = World()
    execute(made, Insert(C, tuple([("value", document) for document in documents])), {})
    return made


def four() -> World:
    """A field that is true, false, null and not there."""
    return world({"_id": "t", "x": True}, {"_id": "u", "x": False}, {"_id": "n", "x": None}, {"_id": "m"})


def rows(made: World, statement: Statement, **parameters: Any) -> list[Any]:
    found = execute(made, statement, parameters).rows
    return found.rows[found.first : found.last]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (("compare", "!=", X, TRUE), "u"),
        (("not", X), "u"),
        (equal(("call", "coalesce", (X, ("value", False))), False), "mnu"),
        (("call", "ismissingornull", (X,)), "mn"),
        (("in", ID, ("parameter", "ids")), "nt"),
        (("in", ID, ("array", (("parameter", "ids"),))), ""),
        (("not", ("in", X, ("array", (TRUE,)))), "u"),
        (("is", "missing", X), "m"),
        (("not", ("is", "null", X)), "mtu"),
        (("logic", "and", (equal(("value", 1), 1.0), equal(ID, "t"))), "t"),
    ],
)
def test_conditions(where: Expression, expected: str) -> None:
    assert [row["_id"] for row in rows(four(), ids(where), ids=["t", "n"])] == list(expected)


def test_columns_and_aggregates() -> None:
    one = equal(ID, "t")
    none = equal(ID, "zz")
    count = ("aggregate", "count", None, False)
    two: Expression = ("value", 2)
    assert rows(four(), Select((column(ID), column(("binary", "+", two, two))), C, where=one)) == [
        {"_id": "t", "($2)": 4}
    ]
    divided = (column(("binary", "/", ("value", 5), two), "a"), column(("binary", "/", ("value", 5.0), two), "b"))
    assert rows(four(), Select(divided, C, where=one)) == [{"a": 2, "b": 2.5}]
    counted = (column(count, "a"), column(("aggregate", "count", X, False), "b"))
    assert rows(four(), Select(counted, C)) == [{"a": 4, "b": 1}]
    assert rows(four(), Select((column(count, "a"),), C, where=none)) == [{"a": 0}]
    assert rows(four(), Select((column(("aggregate", "sum", X, False), "s"),), C, where=none)) == [{}]
    assert [row["_id"] for row in rows(four(), Select((column(ID),), C, order=((X, False), *BY_ID)))] == list("utnm")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("set", {"country": "NO"})], {"city": "Oslo", "zip": "0150", "country": "NO"}),
        ([("set", {})], {"city": "Oslo", "zip": "0150"}),
        ([("unset", ("address", "zip"))], {"city": "Oslo"}),
        ([("set", 5), ("set", {"w": 1})], {"city": "Oslo", "zip": "0150", "w": 1}),
        ([("set", 5)], 5),
        ([("insert", {"c": 3})], {"city": "Oslo", "zip": "0150", "c": 3}),
    ],
)
def test_changes(changes: list[tuple[str, Any]], expected: Any) -> None:
    made = world({"_id": "1", "address": {"city": "Oslo", "zip": "0150"}})
    for word, value in changes:
        match word:
            case "set":
                statement: Statement = Update(C, set=((("address",), ("value", value)),))
            case "unset":
                statement = Update(C, unset=(value,))
            case _:
                statement = Insert(C, (("value", {"_id": "1", "address": value}),), policy="update")
        assert execute(made, statement, {}).ids == ("1",)
    assert rows(made, Select((("all",),), C)) == [{"_id": "1", "address": expected}]


def test_removals_give_what_was_there() -> None:
    made = four()
    answer = execute(made, Delete(C, where=X, returning=(column(("aggregate", "count", None, False), "removed"),)), {})
    assert (answer.rows.rows, answer.ids) == ([{"removed": 1}], ("t",))
    assert len(made.documents("c")) == 3


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        (Insert(C, (("value", {"_id": "t"}),)), "conflict"),
        (Insert(C, (("value", [{"_id": "a"}, {"_id": "a"}]),)), "unique"),
        (Insert(C, (("value", 1),)), "document"),
        (ids(("parameter", "nowhere")), "parameter"),
        (Select((("all",),), C, limit=("value", -1)), "amount"),
        (Update(C, apply=((("x",), "increment", ("value", 1)),)), "register"),
    ],
)
def test_refusals_change_nothing(statement: Statement, kind: str) -> None:
    made = four()
    before = made.documents("c")
    with pytest.raises(Refused, match=kind):
        execute(made, statement, {})
    assert made.documents("c") == before
