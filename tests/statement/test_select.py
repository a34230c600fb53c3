"""SELECT: what its parts mean for each other, on random worlds and by examples."""

from __future__ import annotations

import math
from functools import cmp_to_key
from typing import Any, Final

import msgspec
import pytest

from crdtstore import Store
from crdtstore.command.command import Upsert
from crdtstore.errors import InvalidQuery, InvalidValue, MalformedRequest, StatementTimeout, UnknownIndex
from crdtstore.query.dql import messages
from crdtstore.statement.run import parse_kept
from tests.statement.selecting import COLLECTION, World, open_world, rows

SEEDS: Final = range(3)
CONDITIONS: Final = (
    "true",
    "a = 1",
    "a = 1 OR b = 'a'",
    "NOT (n < 0)",
    "o.x IS MISSING",
    "a IN [1, 'a', null] AND n > -20",
    "n % 2 = 0",
    "n % 3 = 1 AND a >= 1",
    "b > '' AND char_length(b) = 1",
    "ANY v IN a SATISFIES v = 1 END",
)
ORDERS: Final = ("a", "a DESC", "a, b DESC", "o.x DESC, n", "n + 1, a", "a IS MISSING, b")
RANKS: Final = (bool, (int, float), bytes, str, list, dict, type(None))
MISSING: Final = object()


def plain(found: list[dict[str, Any]]) -> list[bytes]:
    """Rows as they can be compared and sorted: 1 and 1.0 apart."""
    return [msgspec.json.encode(row) for row in found]


# --- an order by comparison, made of the page on values alone ---


def rank(value: Any) -> int:
    """The place of a value's type."""
    return next((number for number, kind in enumerate(RANKS) if isinstance(value, kind)), len(RANKS))  # type: ignore[arg-type]


def compare(one: Any, other: Any) -> int:
    """Less than, equal to, or greater than 0."""
    if rank(one) != rank(other):
        return rank(one) - rank(other)
    if isinstance(one, list):
        for left, right in zip(one, other, strict=False):
            if found := compare(left, right):
                return found
        return len(one) - len(other)
    if isinstance(one, bool | int | float | str):
        return (one > other) - (one < other)
    return 0


def by_value(value: Any) -> Any:
    """What sorts values."""
    return cmp_to_key(compare)(value)


# --- properties ---


@pytest.mark.parametrize("seed", SEEDS)
def test_indexes_change_no_rows(seed: int) -> None:
    with open_world(seed) as world:
        for condition in CONDITIONS:
            text = f"SELECT * FROM {COLLECTION} WHERE {condition}"
            assert sorted(plain(rows(world.plain, text))) == sorted(plain(rows(world.indexed, text))), condition
            for order in ORDERS:
                ordered = f"{text} ORDER BY {order}"
                assert plain(rows(world.plain, ordered)) == plain(rows(world.indexed, ordered)), ordered


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("descending", [False, True])
def test_order_by_sorts_by_value_and_then_by_id(seed: int, *, descending: bool) -> None:
    with open_world(seed) as world:
        by_id = rows(world.plain, f"SELECT * FROM {COLLECTION} ORDER BY _id")
        assert by_id == sorted(by_id, key=lambda row: by_value(row["_id"]))
        # Ties come by id, ascending, in both directions.
        backwards = cmp_to_key(lambda one, other: compare(other, one))
        key = backwards if descending else by_value
        expected = sorted(by_id, key=lambda row: key(row.get("a", MISSING)))
        found = rows(world.indexed, f"SELECT * FROM {COLLECTION} ORDER BY a {'DESC' if descending else 'ASC'}")
        assert plain(found) == plain(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_limit_and_offset_cut_a_slice(seed: int) -> None:
    with open_world(seed) as world:
        for tail in ("", "ORDER BY b", "ORDER BY n + 0 DESC", "WHERE n % 2 = 0 ORDER BY a"):
            whole = rows(world.indexed, f"SELECT n, a FROM {COLLECTION} {tail}")
            for first, count in ((0, 0), (0, 5), (7, 11), (55, 100), (1000, 3)):
                text = f"SELECT n, a FROM {COLLECTION} {tail} LIMIT :count OFFSET :first"
                found = rows(world.indexed, text, {"first": first, "count": count})
                assert found == whole[first : first + count], (tail, first, count)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("key", ["a", "o", "o.x", "a, b", "n % 3"])
def test_groups_divide_the_rows(seed: int, key: str) -> None:
    with open_world(seed) as world:
        groups = rows(world.plain, f"SELECT {key}, COUNT(*) AS rows, SUM(n) AS total FROM {COLLECTION} GROUP BY {key}")
        assert sum(group["rows"] for group in groups) == len(world.documents)
        assert sum(group["total"] for group in groups) == sum(document["n"] for document in world.documents)
        assert plain(groups) == plain(
            rows(world.indexed, f"SELECT {key}, COUNT(*) AS rows, SUM(n) AS total FROM {COLLECTION} GROUP BY {key}")
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_distinct_rows_are_the_groups(seed: int) -> None:
    with open_world(seed) as world:
        for key in ("a", "a, b", "o.x, c"):
            distinct = rows(world.plain, f"SELECT DISTINCT {key} FROM {COLLECTION}")
            grouped = rows(world.plain, f"SELECT {key} FROM {COLLECTION} GROUP BY {key}")
            assert sorted(plain(distinct)) == sorted(plain(grouped)), key
            twice = rows(world.plain, f"SELECT DISTINCT {key} FROM {COLLECTION} GROUP BY {key}")
            assert sorted(plain(twice)) == sorted(plain(distinct))


@pytest.mark.parametrize("seed", SEEDS)
def test_conditions_divide_the_rows_in_three(seed: int) -> None:
    with open_world(seed) as world:
        for condition in CONDITIONS:
            counts = [
                rows(world.indexed, f"SELECT COUNT(*) AS rows FROM {COLLECTION} WHERE {each}")[0]["rows"]
                for each in (condition, f"NOT ({condition})", f"(({condition}) AND true) IS NOT MISSING")
            ]
            # What is neither true nor false is null or missing; null is not missing.
            assert counts[0] + counts[1] <= counts[2] <= len(world.documents), condition
            listed = rows(world.plain, f"SELECT _id FROM {COLLECTION} WHERE {condition}")
            assert counts[0] == len(listed), condition


def test_a_stream_gives_the_same_rows() -> None:
    with open_world(1) as world:
        for text in (f"SELECT * FROM {COLLECTION}", f"SELECT a, COUNT(*) FROM {COLLECTION} GROUP BY a ORDER BY 1 + 0"):
            with world.indexed.stream(text) as found:
                assert tuple(found) == world.indexed.execute(text).rows_json


def test_rows_within_a_transaction_are_those_of_the_draft() -> None:
    with open_world(2) as world:
        inserted = f"INSERT INTO {COLLECTION} DOCUMENTS ({{'_id': :id, 'a': 1, 'n': 1}})"
        texts = (
            f"SELECT * FROM {COLLECTION} WHERE a = 1 ORDER BY n",
            f"SELECT a, COUNT(*) FROM {COLLECTION} GROUP BY a",
            f"SELECT COUNT(*) FROM {COLLECTION}",
            f"SELECT x.n FROM {COLLECTION} x JOIN {COLLECTION} y ON x._id = y._id ORDER BY x.n",
        )
        for number, text in enumerate(texts):
            with_draft = world.indexed.execute_together([text, inserted, text], {"id": -1 - number})
            assert with_draft[0].rows_json != with_draft[2].rows_json, text
            assert with_draft[2].rows_json == world.indexed.execute(text).rows_json


# --- examples ---


@pytest.fixture(scope="module")
def world() -> Any:
    """A small world for examples."""
    with open_world(3, 12) as opened:
        yield opened


def one(text: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a statement on one document."""
    with Store.in_memory() as store:
        store.write([Upsert("c", {"f": {"g": {"h": 1, "i": 2}}, "n": None, "k": [{"z": 5}]}, id="1")])
        return rows(store, text, parameters)


@pytest.mark.parametrize(
    ("projection", "row"),
    [
        ("f.g.h", {"h": 1}),
        ("f.g.h AS q", {"q": 1}),
        ("f.g.h q, n", {"q": 1, "n": None}),
        ("f.none, n", {"n": None}),
        ("1 + 1, f.g.h, 2", {"($1)": 2, "h": 1, "($3)": 2}),
        ("k[0].z", {"z": 5}),
        ("k[0]", {"($1)": {"z": 5}}),
        ("x.f.g.h, x._id", {"h": 1, "_id": "1"}),
        ("x", {"x": {"_id": "1", "f": {"g": {"h": 1, "i": 2}}, "k": [{"z": 5}], "n": None}}),
        ("x.*, 7 AS n", {"_id": "1", "f": {"g": {"h": 1, "i": 2}}, "k": [{"z": 5}], "n": 7}),
        ("*, MISSING f.g.h, MISSING x.k, MISSING _id", {"f": {"g": {"i": 2}}, "n": None}),
        ("f.g AS g, MISSING g.i", {"g": {"h": 1}}),
        ("*, MISSING f.none.h, MISSING n.h, MISSING f, MISSING k", {"_id": "1", "n": None}),
        ("ANY x IN k SATISFIES x.z = 5 END AS found", {"found": True}),
        ("COUNT(*), SUM(f.g.i) + 1 AS more", {"($1)": 1, "more": 3}),
    ],
)
def test_what_a_projection_shows(projection: str, row: dict[str, Any]) -> None:
    assert one(f"SELECT {projection} FROM c x") == [row]
    assert list(one(f"SELECT {projection} FROM c x")[0]) == list(row)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT a FROM things GROUP BY b", "grouped"),
        ("SELECT *, MISSING b FROM things GROUP BY b", "grouped"),
        ("SELECT b, COUNT(*) FROM things GROUP BY b ORDER BY a", "grouped"),
        ("SELECT a, COUNT(*) FROM things", "grouped"),
        ("SELECT DISTINCT a FROM things ORDER BY b", "distinct"),
        ("SELECT y.* FROM things x", "alias"),
        ("SELECT * FROM things JOIN things ON true", "alias"),
        ("SELECT * FROM things LIMIT -1", "amount"),
        ("SELECT * FROM things LIMIT 1 OFFSET 'a'", "amount"),
        ("SELECT * FROM things USE IDS LIST :ids", "ids"),
        ("SELECT a FROM things x JOIN things y ON x._id = y._id", "ambiguous"),
    ],
)
def test_what_is_refused(world: World, text: str, reason: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        world.plain.execute(text, {"ids": 3})
    assert refused.value.data["reason"] == reason


def test_public_sentences() -> None:
    with pytest.raises(MalformedRequest) as refused:
        one("SELECT * FROM c WHERE a = :p")
    assert refused.value.data["description"] == messages.parameter_not_provided("p")
    with pytest.raises(InvalidQuery) as ambiguous:
        one("SELECT * FROM c JOIN d ON c._id = d._id WHERE f = 1")
    assert ambiguous.value.data["description"] == messages.ambiguous("f")


@pytest.mark.parametrize("value", [math.nan, [math.inf], "\ud800", 2**63, {1: 2}, (1,), object()])
@pytest.mark.parametrize("text", ["SELECT :v FROM c", "SELECT * FROM c WHERE a = :v", "SELECT a FROM c ORDER BY :v"])
def test_a_parameter_that_is_no_value_is_refused(value: Any, text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        one(text, v=value)
    assert refused.value.data["parameter"] == "v"


def test_aliases_of_columns_order_and_hide_fields(world: World) -> None:
    text = f"SELECT -n AS n, n AS m FROM {COLLECTION} ORDER BY "
    assert rows(world.plain, text + "n") == rows(world.plain, text + "m DESC")
    assert rows(world.plain, f"SELECT o AS p FROM {COLLECTION} ORDER BY p.n, p.x") == rows(
        world.plain, f"SELECT o AS p FROM {COLLECTION} ORDER BY o.n, o.x"
    )


def test_ids_are_looked_up_and_need_not_exist(world: World) -> None:
    ids = [document["_id"] for document in world.documents[:3]]
    text = f"SELECT _id FROM {COLLECTION} USE IDS LIST :ids"
    assert sorted(map(str, ids)) == sorted(
        str(row["_id"]) for row in rows(world.plain, text, {"ids": [*ids, "no", []]})
    )
    assert rows(world.plain, text + " WHERE false", {"ids": ids}) == []
    assert rows(world.plain, f"SELECT COUNT(*) AS n FROM {COLLECTION} USE IDS 'no', -1, {{'a': 1}}") == [{"n": 0}]


def test_only_named_indexes_are_considered(world: World) -> None:
    text = f"SELECT * FROM {COLLECTION} USE INDEX {{}} WHERE a = 1 AND b = 'a'"
    both = [rows(world.indexed, text.format(name)) for name in ("a", "b", "a, b")]
    assert both[0] == both[1] == both[2]
    with pytest.raises(UnknownIndex):
        world.indexed.execute(text.format("nowhere"))


def test_what_is_missing_and_what_does_not_exist(world: World) -> None:
    assert rows(world.plain, "SELECT * FROM nowhere") == []
    assert rows(world.plain, "SELECT COUNT(*) AS n, SUM(a) AS s FROM nowhere") == [{"n": 0}]
    assert rows(world.plain, "SELECT a, COUNT(*) FROM nowhere GROUP BY a") == []


def test_a_statement_stops_when_its_time_is_over(world: World) -> None:
    for text in (
        f"SELECT * FROM {COLLECTION} WHERE n % 2 = 5",
        f"SELECT a FROM {COLLECTION} GROUP BY a",
        f"SELECT * FROM {COLLECTION} ORDER BY n + 1",
        f"SELECT * FROM {COLLECTION} ORDER BY n + 1 LIMIT 3",
        f"SELECT * FROM {COLLECTION} x JOIN {COLLECTION} y ON x._id = y._id",
        f"SELECT * FROM {COLLECTION} ORDER BY n",
        f"SELECT COUNT(*) FROM {COLLECTION} WHERE n > 5",
    ):
        parse_kept(text, "v5")
        with pytest.raises(StatementTimeout):
            world.indexed.execute(text, seconds=-1.0)
