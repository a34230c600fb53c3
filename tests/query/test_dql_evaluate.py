"""DQL: values of expressions, against truth tables as they are published and against an oracle written apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crdtstore.errors import InvalidValue, MalformedRequest
from crdtstore.limits import DOCUMENT_BYTES_MAX, INT_MAX, INT_MIN
from crdtstore.query.dql import values
from crdtstore.query.dql.evaluate import Context, compile_expression, evaluate
from crdtstore.query.dql.expression import Aggregate, Field
from crdtstore.query.dql.statement_parser import parse_expression
from crdtstore.query.tree import MISSING
from tests.query import dql_oracle
from tests.query.dql_pairs import Pair, pairs
from tests.query.oracles.values import kind_of

T, F, N, M = True, False, None, MISSING


def value(text: str, row: dict[str, Any] | None = None, **parameters: Any) -> Any:
    return evaluate(parse_expression(text), row or {}, parameters)


# --- truth tables ---

NOT = {T: F, F: T, N: N, M: M}
AND = {
    (T, T): T, (T, N): N, (T, F): F,
    (N, T): N, (N, N): N, (N, F): F,
    (F, T): F, (F, N): F, (F, F): F,
    (M, T): M, (M, N): M, (M, F): F, (M, M): M,
}  # fmt: skip
OR = {
    (T, T): T, (T, N): T, (T, F): T,
    (N, T): T, (N, N): N, (N, F): N,
    (F, T): T, (F, N): N, (F, F): F,
    (M, T): T, (M, N): N, (M, F): M, (M, M): M,
}  # fmt: skip
XOR = {
    (T, T): F, (T, N): N, (T, F): T,
    (N, T): N, (N, N): N, (N, F): N,
    (F, T): T, (F, N): N, (F, F): F,
    (M, T): M, (M, N): M, (M, F): M, (M, M): M,
}  # fmt: skip
"""The published tables, and below them what MISSING makes of it."""


def test_not_is_as_its_table_says() -> None:
    assert {held: value("NOT a", {} if held is M else {"a": held}) for held in NOT} == NOT


@pytest.mark.parametrize(("word", "table"), [("AND", AND), ("OR", OR), ("XOR", XOR)])
def test_connectives_are_as_their_tables_say(word: str, table: dict[Any, Any]) -> None:
    for (left, right), wanted in table.items():
        row = {name: held for name, held in (("a", left), ("b", right)) if held is not MISSING}
        assert value(f"a {word} b", row) is wanted
        assert value(f"b {word} a", row) is wanted


FIELDS: dict[str, dict[str, Any]] = {"true": {"f": T}, "false": {"f": F}, "null": {"f": N}, "absent": {}}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("f = false", ["false"]),
        ("f != true", ["false"]),
        ("NOT f", ["false"]),
        ("f", ["true"]),
        ("f IS NULL", ["null"]),
        ("f IS UNKNOWN", ["null"]),
        ("f IS NOT NULL", ["true", "false", "absent"]),
        ("f IS MISSING", ["absent"]),
        ("f IS NOT MISSING", ["true", "false", "null"]),
        ("coalesce(f, false) = false", ["false", "null", "absent"]),
        ("ismissingornull(f)", ["null", "absent"]),
        ("f NOT IN [true]", ["false"]),
        ("f IN (true, false)", ["true", "false"]),
        ("NULL = NULL", []),
        ("f <> NULL", []),
    ],
)
def test_a_condition_holds_for_these(condition: str, holds: list[str]) -> None:
    assert [name for name, row in FIELDS.items() if value(condition, row) is True] == holds


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("5 / 2", 2),
        ("-5 / 2", -2),
        ("5.0 / 2", 2.5),
        ("-5 % 3", -2),
        ("5.5 % -3", 2.5),
        ("1 / 0", N),
        ("1.0 / 0", N),
        ("1 % 0", N),
        ("1 % 0.0", N),
        ("9223372036854775807 + 1", 2.0**63),
        ("-9223372036854775808 / -1", 2.0**63),
        ("- (-9223372036854775808)", 2.0**63),
        ("1e308 * 10", N),
        ("1 << 62", 2**62),
        ("1 << 63", 2.0**63),
        ("-8 >> 1", -4),
        ("1 << 64", N),
        ("1 << -1", N),
        ("1.0 << 1", M),
        ("1 + '1'", M),
        ("1 + NULL", N),
        ("NULL + MISSING", M),
        ("TRUE + 1", M),
        ("'a' || 'b' || 'c'", "abc"),
        ("'a' || 1", M),
        ("1 = 1.0", T),
        ("1 = TRUE", M),
        ("1 < 'a'", M),
        ("'a' < 'b'", T),
        ("[1, NULL] = [1.0, NULL]", T),
        ("{'a': 1, 'b': 2} = {'b': 2, 'a': 1.0}", T),
        ("[1, 2] < [1, 3]", T),
        ("2 BETWEEN 1 AND 3", T),
        ("2 NOT BETWEEN 1 AND 3", F),
        ("2 BETWEEN NULL AND 1", F),
        ("2 BETWEEN NULL AND 3", N),
        ("2 IN (1, 'a')", M),
        ("2 IN []", F),
        ("MISSING IN []", F),
        ("1 IN NULL", N),
        ("1 IN {'a': 1}", M),
        ("'a%' LIKE 'a\\\\%'", T),
        ("'ab' LIKE 'a\\\\%'", F),
        ("'AB' ILIKE 'a_'", T),
        ("'a*b' LIKE 'a*b'", T),
        ("'axb' LIKE 'a*b'", F),
        ("1 LIKE '1'", M),
        ("NULL LIKE '1'", N),
        ("'abcd' SIMILAR TO '(ab|x)%'", T),
        ("'abcd' SIMILAR TO 'ab'", F),
        ("'a.c' SIMILAR TO 'a.c'", T),
        ("'abc' SIMILAR TO 'a.c'", F),
        ("'b]' SIMILAR TO '[]ab]{2}'", T),
        ("'a\nb' SIMILAR TO 'a_b'", T),
        ("CASE WHEN NULL THEN 1 END", N),
        ("CASE WHEN 1 THEN 1 ELSE 2 END", 2),
        ("CASE 2 WHEN 1 THEN 'a' WHEN 2.0 THEN 'b' END", "b"),
        ("CASE NULL WHEN NULL THEN 1 ELSE 2 END", 2),
        ("ANY x IN [1, 2] SATISFIES x = 2 END", T),
        ("ANY x IN [1, NULL] SATISFIES x = 2 END", N),
        ("ANY x IN [] SATISFIES TRUE END", F),
        ("EVERY x IN [] SATISFIES FALSE END", T),
        ("EVERY x IN [1, 2] SATISFIES x < 3 END", T),
        ("EVERY x IN 1 SATISFIES TRUE END", F),
        ("ANY x IN [[1], [2]] SATISFIES ANY y IN x SATISFIES y = 2 END END", T),
        ("[1, MISSING]", [1, N]),
        ("{'a': MISSING, 'b': 1}", {"b": 1}),
    ],
)
def test_an_expression_has_its_value(text: str, wanted: Any) -> None:
    found = value(text)
    assert (type(found), found) == (type(wanted), wanted)


def test_a_path_leads_through_objects_and_arrays_only() -> None:
    row = {"a": {"b": [1, {"c": N}]}, "_id": {"x": 1}}
    assert value("a.b[1].c", row) is N
    assert value("_id.x", row) == 1
    for text in ("a.b.c", "a.b[2]", "a.b[0].c", "a.x", "x.y", "a['b']['1']"):
        assert value(text, row) is MISSING


def test_a_parameter_is_one_value() -> None:
    assert value("'n' IN :ids", ids=["t", "n"]) is True
    assert value("'n' IN (:ids)", ids=["t", "n"]) is MISSING
    assert value(":v IN a", {"a": [1, 2]}, v=2) is True
    with pytest.raises(MalformedRequest, match="Parameter c was not provided") as refused:
        value("a OR b = :c")
    assert refused.value.data["description"] == "Parameter c was not provided"


def test_a_pattern_that_is_known_must_be_one() -> None:
    for text in (
        "a SIMILAR TO '('",
        "a SIMILAR TO :p",
        "a SIMILAR TO 'b)|(c'",
        "regexp_like(a, '(')",
        "regexp_like(a, 'a', 'z')",
    ):
        with pytest.raises(InvalidValue):
            value(text, p="[")
    assert value("'x' SIMILAR TO a", {"a": "("}) is MISSING
    assert value("regexp_like('x', a)", {"a": "("}) is MISSING


def test_what_no_document_could_hold_is_null() -> None:
    long = "x" * (DOCUMENT_BYTES_MAX // 2 + 1)
    assert value("a || a", {"a": long}) is None
    assert value("concat(a, a)", {"a": long}) is None


def test_results_of_aggregates_come_with_the_row() -> None:
    aggregate = Aggregate("sum", Field(("a",)))
    assert compile_expression(aggregate, Context({}))({aggregate: 3}) == 3


# --- against the oracle ---

PAIRS = 6_000


def plain(found: Any) -> str:
    """A value as text: 1, 1.0 and true are three values, and 0.0 and -0.0 two."""
    return repr(found)


def differences(seed: int, count: int) -> list[Pair]:
    """The pairs of which the evaluator and the oracle say different things."""

    def differs(pair: Pair) -> bool:
        found = compile_expression(pair.expression, Context(pair.parameters))(pair.row)
        return plain(found) != plain(dql_oracle.evaluate(*pair))

    return [pair for pair in pairs(seed, count) if differs(pair)]


@pytest.mark.parametrize(("seed", "count"), [(0, PAIRS), pytest.param(1, 60 * PAIRS, marks=pytest.mark.slow)])
def test_the_evaluator_agrees_with_the_oracle(seed: int, count: int) -> None:
    assert differences(seed, count)[:3] == []


def test_values_of_every_kind_come_up() -> None:
    found = [kind_of(dql_oracle.evaluate(*pair)) for pair in pairs(0, 2_000)]
    shares = {name: found.count(name) / len(found) for name in set(found)}
    assert shares["boolean"] > 0.1
    assert {"null", "missing", "number", "string", "array", "object"} <= set(shares)


PLANTED: dict[str, tuple[str, Callable[..., Any]]] = {
    "null is false": ("all_of", lambda found: all(each is True for each in found)),
    "missing is null": ("negate_truth", lambda held: not held if isinstance(held, bool) else None),
    "division rounds down": ("quotient", lambda left, right: left // right),
    "integers overflow": ("bounded", lambda number: number),
    "an empty array holds everything": ("is_in", lambda item, array: array == []),
}


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_wrong_operator_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, bug = PLANTED[name]
    if function == "quotient":
        monkeypatch.setitem(values.INTEGER, "/", bug)
    monkeypatch.setattr(values, function, bug)
    monkeypatch.setattr(
        "crdtstore.query.dql.evaluate.CONNECTED", {"and": values.all_of, "or": values.any_of, "xor": values.one_of_two}
    )
    assert differences(0, 4_000) != []


def test_bounds_of_integers_are_where_they_should_be() -> None:
    assert (values.bounded(INT_MAX), values.bounded(INT_MIN)) == (INT_MAX, INT_MIN)
