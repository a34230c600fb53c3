"""Grouping: equal to a dict of lists, whatever goes to a file; and bounded."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import msgspec
import pytest

from crdtstore import Store, limits
from crdtstore.command.command import Upsert
from crdtstore.core import value_key
from crdtstore.errors import LimitExceeded
from crdtstore.query.dql.aggregates import make_accumulator
from crdtstore.query.dql.evaluate import Context
from crdtstore.query.dql.expression import Aggregate, AggregateName, Field
from crdtstore.query.relation import identity
from crdtstore.query.tree import MISSING
from crdtstore.statement.budget import Budget
from crdtstore.statement.group import KEY, Grouping, compile_grouping, group_rows, name_of
from crdtstore.statement.keys import group_key
from tests.statement.selecting import VALUES

NAMES: Final[tuple[AggregateName, ...]] = ("count", "sum", "avg", "min", "max", "median", "mid")
NUMBER: Final = Field(("n",))
AGGREGATES: Final = (
    Aggregate("count"),
    *(Aggregate(name, NUMBER) for name in NAMES),
    *(Aggregate(name, NUMBER, distinct=True) for name in NAMES),
)
MORE: Final[tuple[Any, ...]] = (*VALUES, 0.0, -0.0, [None], [[1]], [[1.0]], {"y": [], "x": 1.0}, {"": {}}, b"", b"a")


def make_rows(seed: int, count: int) -> list[dict[str, Any]]:
    """Rows with keys of every type, some missing."""
    random = Random(seed)
    return [
        {name: random.choice(MORE) for name in ("a", "b") if random.random() < 0.9}
        | {"n": random.choice((random.randrange(9), random.random(), None, "x"))}
        for _ in range(count)
    ]


def same(value: Any) -> Any:
    """What values share that are one group."""
    return value is MISSING, identity(value, dates=False)


def test_group_keys_tell_apart_what_is_not_equal() -> None:
    for one in (*MORE, MISSING):
        for other in (*MORE, MISSING):
            equal = (one is MISSING) == (other is MISSING) and identity(one, dates=False) == identity(
                other, dates=False
            )
            assert (group_key([one]) == group_key([other])) == equal, (one, other)
            assert group_key([one, other]).startswith(group_key([one]))
            longer, shorter = group_key([one]), group_key([other])
            assert equal or not longer.startswith(shorter), (one, other)


@pytest.mark.parametrize("kept", [10**9, 100_000, 10_000, 0])
@pytest.mark.parametrize("keys", [(), ("a",), ("a", "b")])
def test_groups_are_those_of_a_dict(keys: tuple[str, ...], kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", kept)
    grouping = Grouping(tuple(Field((key,)) for key in keys), AGGREGATES)
    for seed, count in ((1, 0), (2, 1), (3, 400)):
        rows = make_rows(seed, count)
        found = list(group_rows(rows, compile_grouping(grouping, Context({})), Budget(60)))
        assert [show(row, len(keys)) for row in found] == by_dict(rows, keys)
        assert [row[KEY] for row in found] == sorted({row[KEY] for row in found})


def show(row: dict[str, Any], keys: int) -> bytes:
    """The row of a group: the keys as equal ones are, the results as they are."""
    values = [row.get(name_of(number), MISSING) for number in range(keys + len(AGGREGATES))]
    return printed(values[:keys], values[keys:])


def printed(keys: list[Any], results: list[Any]) -> bytes:
    """A group that can be compared."""
    return group_key(keys) + b" " + repr(results).encode()


def by_dict(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> list[bytes]:
    """The groups of rows, the simple way."""
    groups: dict[Any, list[dict[str, Any]]] = {} if keys else {(): []}
    for row in rows:
        values = tuple(row.get(key, MISSING) for key in keys)
        groups.setdefault(tuple(map(same, values)), []).append(row)
    made = []
    for members in groups.values():
        results = []
        for aggregate in AGGREGATES:
            accumulator = make_accumulator(aggregate)
            for row in members:
                accumulator.add(row.get("n", MISSING))
            results.append(accumulator.result())
        made.append(printed([members[0].get(key, MISSING) for key in keys] if members else [], results))
    return sorted(made, key=lambda each: each)


def test_what_a_group_shows_does_not_depend_on_the_order_of_rows() -> None:
    grouping = compile_grouping(Grouping((Field(("a",)),)), Context({}))
    for seed in range(20):
        rows = make_rows(seed, 60)
        whole = list(group_rows(rows, grouping, Budget(60)))
        assert repr(list(group_rows(rows[::-1], grouping, Budget(60)))) == repr(whole)


@pytest.mark.parametrize("what", ["MEDIAN(n)", "COUNT(DISTINCT n)", "SUM(DISTINCT n)", "MEDIAN(DISTINCT n)"])
@pytest.mark.parametrize("kept", [10**9, 0])
def test_values_that_aggregates_keep_are_bounded(what: str, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AGGREGATED_VALUES_MAX", 100)
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", kept)
    with Store.in_memory() as store:
        store.write([Upsert("c", {"n": number, "g": number % 9}, id=number) for number in range(101)])
        with pytest.raises(LimitExceeded) as refused:
            store.execute(f"SELECT {what} FROM c")
        assert refused.value.data["limit"] == "AGGREGATED_VALUES_MAX"
        if kept:
            with pytest.raises(LimitExceeded):
                store.execute(f"SELECT {what} FROM c GROUP BY g")
        store.execute(f"SELECT {what} FROM c WHERE n < 50 GROUP BY g")


def test_a_statement_gives_the_same_with_and_without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = (
        "SELECT * FROM c ORDER BY b DESC, n",
        "SELECT n % 100 AS k, COUNT(*) AS rows, AVG(n), MAX(t) FROM c GROUP BY n % 100 ORDER BY rows, k DESC",
        "SELECT DISTINCT b, n % 7 AS m FROM c ORDER BY m",
        "SELECT DISTINCT t FROM c",
    )
    with Store.in_memory() as store:
        store.write(
            [
                Upsert("c", {"n": number, "b": number * 7 % 13, "t": f"text {number * 31 % 1000}"}, id=number)
                for number in range(2_000)
            ]
        )
        whole = [store.execute(text).rows_json for text in texts]
        monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", 5_000)
        for text, rows in zip(texts, whole, strict=True):
            assert store.execute(text).rows_json == rows, text


def test_value_keys_agree_with_group_keys() -> None:
    plain = [value for value in MORE if not isinstance(value, list | dict)]
    for value in plain:
        assert group_key([value])[1:] == value_key(value)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plain)) == plain
