"""DQL: functions by tables, dates against the standard library, aggregates against plain sums, and the order."""

from __future__ import annotations

import json
import statistics
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise, permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.query.dql import aggregates, order
from crdtstore.query.dql.aggregates import aggregates_in, make_accumulator
from crdtstore.query.dql.date_format import LETTERS, PERCENT, READ, WRITTEN
from crdtstore.query.dql.dates import now, read_date, write_date
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.expression import Aggregate, Field
from crdtstore.query.dql.functions import OPEN, STRICT
from crdtstore.query.dql.order import sort_key
from crdtstore.query.dql.profile import Profile
from crdtstore.query.dql.signatures import FUNCTIONS
from crdtstore.query.dql.statement import Column, Select
from crdtstore.query.dql.statement_parser import parse, parse_expression
from crdtstore.query.relation import TYPES
from crdtstore.query.tree import MISSING
from tests.query.dql_pairs import VALUES

M = MISSING
NOW_MS = 1_764_000_000_123


def value(text: str, row: dict[str, Any] | None = None, profile: Profile = "v5") -> Any:
    return compile_expression(parse_expression(text, profile), Context({}, lambda: NOW_MS, profile))(row or {})


def test_every_function_has_one_meaning() -> None:
    assert set(FUNCTIONS) == set(OPEN) | set(STRICT) | {"clock", "type"}
    assert not set(OPEN) & set(STRICT)
    assert set(aggregates.ACCUMULATORS) == {"count", "sum", "avg", "min", "max", "median", "mid"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("abs(-5)", 5),
        ("abs(-2.5)", 2.5),
        ("abs(-9223372036854775808)", 2.0**63),
        ("ceil(2.1)", 3.0),
        ("CEIL(2)", 2),
        ("floor(-2.1)", -3.0),
        ("concat('a', 'b', 'c')", "abc"),
        ("concat('a', 1)", M),
        ("contains('abc', 'b')", True),
        ("contains(NULL, 'b')", None),
        ("contains(1, 'b')", M),
        ("starts_with('abc', 'ab')", True),
        ("ends_with('abc', 'ab')", False),
        ("byte_length('\u00e9a')", 3),
        ("char_length('\u00e9a')", 2),
        ("character_length('')", 0),
        ("regexp_like('abc', 'B')", False),
        ("regexp_like('abc', 'B', 'i')", True),
        ("regexp_like('abc', 'B', 'ic')", False),
        ("regexp_like('a\nb', '^b', 'm')", True),
        ("regexp_like('a\nb', 'a.b')", False),
        ("regexp_like('a\nb', 'a.b', 's')", True),
        ("regexp_like('a b', 'a [ ] b # c', 'x')", True),
        ("is_boolean(TRUE)", True),
        ("is_number(1.5)", True),
        ("is_number('1')", False),
        ("is_string(MISSING)", False),
        ("type(1)", "integer"),
        ("type(1.0)", "float"),
        ("type(NULL)", "null"),
        ("type({})", "object"),
        ("type(MISSING)", M),
        ("deserialize_json('{\"a\": [1, 2.5]}')", {"a": [1, 2.5]}),
        ("deserialize_json('{')", M),
        ('deserialize_json(\'{"a": 1, "a": 2}\')', M),
        ("deserialize_json('9223372036854775808')", M),
        ("array_contains([1, 'a'], 'a')", True),
        ("array_contains([1, 'a'], 'b')", False),
        ("array_contains(1, 'b')", False),
        ("array_contains_null([1, NULL])", True),
        ("array_contains_null(NULL)", False),
        ("array_length([1, 2])", 2),
        ("array_length('ab')", M),
        ("object_length({'a': 1})", 1),
        ("object_keys({'b': 1, 'a': 2})", ["b", "a"]),
        ("object_values({'b': 1, 'a': 2})", [1, 2]),
        ("object_size({'a': 1})", 7),
        ("coalesce(MISSING, NULL, 1, 2)", 1),
        ("coalesce(MISSING)", None),
        ("nvl(NULL, 1)", 1),
        ("nvl(2, 1)", 2),
        ("decode(1, 2, 'a', 1.0, 'b', 'c')", "b"),
        ("decode(1, 2, 'a')", None),
        ("decode(NULL, NULL, 'a')", "a"),
        ("decode(MISSING, MISSING, 'a', 'b')", "b"),
        ("ismissingornull(NULL)", True),
        ("ifmissing(MISSING, NULL, 1)", None),
        ("ifmissing(MISSING, MISSING)", M),
        ("clock()", "2025-11-24T16:00:00.123Z"),
        ("date_add('2024-01-31T10:00:00Z', 'month', 1)", "2024-02-29T10:00:00Z"),
        ("date_add('2024-02-29T10:00:00+02:00', 'YEAR', -1)", "2023-02-28T10:00:00+02:00"),
        ("date_add('2024-01-31T10:00:00Z', 'day', 1.5)", M),
        ("date_add('2024-01-31T10:00:00Z', 'eon', 1)", M),
        ("date_add('2024-01-31T10:00:00', 'day', 1)", M),
        ("date_add('2024-01-31T10:00:00Z', 'year', 9999)", None),
        ("date_add('2024-01-31T10:00:00Z', 'day', 1e300)", None),
        ("date_add('2024-01-31T10:00:00Z', 'millisecond', 1)", "2024-01-31T10:00:00.001Z"),
        ("date_sub('2024-03-01T00:00:00Z', 'microsecond', 1)", "2024-02-29T23:59:59.999999Z"),
        ("date_diff('2024-03-01T00:00:00Z', '2024-02-28T12:00:00Z', 'day')", 1),
        ("date_diff('2024-02-28T12:00:00Z', '2024-03-01T00:00:00Z', 'hour')", -36),
        ("date_diff('2024-03-30T00:00:00Z', '2024-01-31T00:00:00Z', 'month')", 1),
        ("date_diff('2020-01-01T00:00:00Z', '2024-01-01T00:00:00Z', 'year')", -4),
        ("date_diff('0001-01-01T00:00:00Z', '0001-01-01T00:00:00+23:00', 'month')", None),
        ("date_part('2024-12-30T10:20:30.456789Z', 'week')", 1),
        ("date_part('2024-12-30T10:20:30.456789Z', 'dow')", 1),
        ("date_part('2024-12-30T10:20:30.456789Z', 'doy')", 365),
        ("date_part('2024-12-30T10:20:30.456789Z', 'quarter')", 4),
        ("date_part('2024-12-30T10:20:30.456789Z', 'millisecond')", 456),
        ("date_part('1969-12-31T23:59:59.5Z', 'epoch')", 0),
        ("date_part('2024-12-30T10:20:30Z', 'x')", M),
        ("date_trunc('2024-12-30T10:20:30Z', 'quarter')", "2024-10-01T00:00:00Z"),
        ("date_trunc('2025-01-01T10:20:30Z', 'week')", "2024-12-30T00:00:00Z"),
        ("date_trunc('2024-12-30T10:20:30+05:30', 'hour')", "2024-12-30T10:00:00+05:30"),
        ("date_trunc('0001-01-01T00:00:00Z', 'week')", "0001-01-01T00:00:00Z"),
        (
            "date_format('2024-12-30T15:04:05.678Z', '%Y/%m/%d %H:%M:%S.%L %j %a %B %%')",
            "2024/12/30 15:04:05.678 365 Mon December %",
        ),
        ("date_format('2024-12-30T15:04:05+02:00', 'YYYY-MM-DD HH24:MI:ss TZ')", "2024-12-30 15:04:05 +02:00"),
        ("date_format('2024-12-30T15:04:05Z', 'HH12 PM')", "03 PM"),
        ("date_format('2024-12-30T15:04:05Z', '%q')", "%q"),
        ("date_format('2024-12-30', 'YYYY')", M),
        ("date_cast('30.12.2024', 'DD.MM.YYYY')", "2024-12-30T00:00:00Z"),
        ("date_cast('Dec 30 2024 3:04 pm', '%b %d %Y %I:%M %p')", "2024-12-30T15:04:00Z"),
        ("date_cast('2024-12-30 +0530', '%Y-%m-%d %z')", "2024-12-30T00:00:00+05:30"),
        ("date_cast('2024-02-30', 'YYYY-MM-DD')", M),
        ("date_cast('12-30', 'MM-DD')", M),
        ("date_cast('2024 2024', 'YYYY YYYY')", M),
        ("date_cast('24', 'YY')", M),
        (f"date_cast('{'1' * 90}', '{'MM' * 60}')", M),
        ("tz_offset('2024-07-01T00:00:00Z', 'Europe/Oslo')", "+02:00"),
        ("tz_offset('2024-12-01T00:00:00Z', 'Europe/Oslo')", "+01:00"),
        ("tz_offset('2024-12-01T00:00:00Z', 'UTC')", "+00:00"),
        ("tz_offset('2024-12-01T00:00:00Z', '../x')", M),
        ("tz_offset('2024-12-01T00:00:00Z', 'No/Where')", M),
    ],
)
def test_a_function_gives_its_value(text: str, wanted: Any) -> None:
    found = value(text)
    assert (type(found), found) == (type(wanted), wanted)


def test_version_4_has_one_type_of_numbers() -> None:
    assert value("type(1)", profile="v4") == value("type(1.5)", profile="v4") == "number"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_value_makes_a_function_fail(name: str) -> None:
    random = Random(name)
    least, most = FUNCTIONS[name]
    dates = ("2024-01-31T10:00:00Z", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "month", "%Y%z")
    for _ in range(400):
        count = random.randint(least, least + 3 if most is None else most)
        row = {f"a{at}": random.choice((*VALUES, *dates, *dates)) for at in range(count) if random.random() < 0.95}
        found = value(f"{name}({', '.join(f'a{at}' for at in range(count))})", row)
        assert found is MISSING or TYPES[type(found)]


# --- dates ---

DATES = st.datetimes(
    timezones=st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@given(DATES)
def test_a_date_comes_through_writing(date: datetime) -> None:
    again = read_date(write_date(date))
    assert again == date
    assert again is not None
    assert again.utcoffset() == date.utcoffset()


@given(DATES, st.sampled_from(sorted(PERCENT)))
def test_a_token_is_written_as_the_standard_library_does(date: datetime, token: str) -> None:
    shown = value(f"date_format('{write_date(date)}', '{token}')")
    if token in ("%L", "%z", "%Y"):
        assert (
            shown
            == {
                "%L": f"{date.microsecond // 1_000:03}",
                "%z": f"{date:%z}"[:3] + ":" + f"{date:%z}"[3:5],
                "%Y": f"{date.year:04}",
            }[token]
        )
    else:
        assert shown == date.strftime(token)


@given(DATES)
def test_a_format_with_everything_is_read_back(date: datetime) -> None:
    text = write_date(date)
    assert value(f"date_cast(date_format('{text}', '%Y %B %d %H:%M:%S %f %z'), '%Y %B %d %H:%M:%S %f %z')") == text


def test_tokens_have_a_meaning() -> None:
    assert set(PERCENT.values()) == set(WRITTEN)
    assert set(LETTERS.values()) | set(READ) <= set(WRITTEN)


@given(st.integers(0, 4_000_000_000_000))
def test_the_clock_tells_milliseconds(milliseconds: int) -> None:
    found = read_date(now(milliseconds))
    assert found is not None
    assert (found - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == milliseconds


@given(DATES, st.integers(-400, 400), st.sampled_from(("year", "quarter", "month", "week", "day", "hour", "second")))
def test_a_difference_undoes_an_addition(date: datetime, count: int, part: str) -> None:
    text = write_date(date.replace(day=1))
    later = value(f"date_add('{text}', '{part}', {count})")
    assert later is None or value(f"date_diff('{later}', '{text}', '{part}')") == count


# --- aggregates ---

NUMBERS = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, width=32, allow_infinity=False), max_size=12
)


def aggregated(name: Any, given_values: list[Any], *, distinct: bool = False) -> Any:
    """What an aggregate makes of values."""
    accumulator = make_accumulator(Aggregate(name, Field(("a",)), distinct))
    for each in given_values:
        accumulator.add(each)
    return accumulator.result()


@given(st.permutations([1, 1.0, 2, 2.0, -0.0, 0, {"a": 1}, {"b": 2}, [{}], [{"a": 1}]]), st.integers(1, 10))
def test_the_least_does_not_depend_on_the_order_of_rows(given_values: list[Any], count: int) -> None:
    kept = given_values[:count]
    for name in ("min", "max"):
        assert repr(aggregated(name, kept)) == repr(aggregated(name, kept[::-1]))


@given(NUMBERS)
def test_aggregates_of_numbers_are_exact(numbers: list[Any]) -> None:
    exact = [Fraction(number) for number in numbers]
    wanted: dict[Any, Any] = dict.fromkeys(("sum", "avg", "min", "max", "median", "mid"), MISSING)
    if numbers:
        wanted = {
            "sum": float(sum(exact)),
            "avg": float(sum(exact) / len(exact)),
            "min": float(min(exact)),
            "max": float(max(exact)),
            "median": float(statistics.median(exact)),
            "mid": float((min(exact) + max(exact)) / 2),
        }
    for name, result in wanted.items():
        found = aggregated(name, [*numbers, MISSING, None])
        assert found is result is MISSING or float(found) == result
    assert aggregated("count", numbers) == len(numbers)


def test_no_order_of_rows_changes_a_sum() -> None:
    for numbers in permutations((0.1, 1e16, -1e16, 3)):
        assert aggregated("sum", list(numbers)) == 3.1


@pytest.mark.parametrize(
    ("name", "given_values", "distinct", "wanted"),
    [
        ("count", [True, False, None, M, 0, ""], False, 3),
        ("count", [1, 1.0, True, "a", "a", [1], [1.0], None], True, 4),
        ("count", [], False, 0),
        ("sum", [1, 2, "3", None, True], False, 3),
        ("sum", [1, 1.0, 2], True, 3),
        ("sum", [2**63 - 1, 1], False, 2.0**63),
        ("sum", [2**63 - 1, 1, -1], False, 2**63 - 1),
        ("sum", [1e308, 1e308], False, None),
        ("sum", [5e-324, 1.7e308, -1.7e308, 5e-324], False, 1e-323),
        ("sum", ["a"], False, M),
        ("avg", [1, 2], False, 1.5),
        ("avg", [1e308, 1e308], False, 1e308),
        ("min", ["a", 1, None, True, M], False, True),
        ("max", ["a", 1, None, True, M], False, "a"),
        ("median", [3, 1, 2, 10], False, 2.5),
        ("mid", [3, 1, 2, 10], False, 5.5),
        ("mid", [], False, M),
    ],
)
def test_an_aggregate_has_its_result(name: str, given_values: list[Any], distinct: bool, wanted: Any) -> None:  # noqa: FBT001
    found = aggregated(name, given_values, distinct=distinct)
    assert (type(found), found) == (type(wanted), wanted)


def test_count_of_everything_counts_rows() -> None:
    accumulator = make_accumulator(Aggregate("count"))
    for each in (MISSING, None, False):
        accumulator.add(each)
    assert accumulator.result() == 3


def test_the_aggregates_of_an_expression_are_found() -> None:
    statement = parse("SELECT ifmissing(SUM(a), COUNT(*) + SUM(a)) FROM b")
    assert isinstance(statement, Select)
    column = statement.projections[0]
    assert isinstance(column, Column)
    assert aggregates_in(column.value) == (Aggregate("sum", Field(("a",))), Aggregate("count"))


# --- order ---

ORDERED = [
    [False, True, -(2**63), -1.5, 0, 2**53, 2**53 + 1, 1e300, b"", b"a", "", "a", "ab", "b", "\uffff", "\U00010000"],
    [[], [None], [None, 1], [False], [1], [1, 2], [1.5], ["a"], [b""], [[]], [{}], {}, None, MISSING],
]


def test_values_are_ordered_by_type_and_then_by_value() -> None:
    values = [each for line in ORDERED for each in line]
    assert all(sort_key(one) < sort_key(other) for one, other in pairwise(values))
    shuffled = Random(0).sample(values, len(values))
    assert sorted(shuffled, key=sort_key) == values
    assert sort_key(1) == sort_key(1.0)
    assert sort_key({"a": 1}) == sort_key({})


def test_the_ranks_are_those_of_the_order() -> None:
    ranked = sorted(zip(order.RANKS, order.TYPE_NAMES, strict=True))
    assert [name for _, name in ranked] == list(order.ASCENDING)
    assert json.dumps(sorted(order.RANKS)) == "[0, 1, 2, 3, 4, 5, 6, 7]"
