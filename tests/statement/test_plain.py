"""Plain SELECTs: answered like finds, and with the rows that the steps of a SELECT would give."""

from __future__ import annotations

from typing import Any, Final

import pytest

from crdtstore import Store, limits
from crdtstore.command.command import Upsert
from crdtstore.errors import LimitExceeded, MalformedRequest
from crdtstore.query.dql.condition import split_condition
from crdtstore.query.dql.evaluate import Context
from crdtstore.query.dql.profile import Profile
from crdtstore.query.parameters import put_values
from crdtstore.statement import select
from crdtstore.statement.run import parse_kept
from crdtstore.statement.select import Ready, make_ready
from tests.statement.selecting import COLLECTION, VALUES, World, open_world

CONDITIONS: Final = (
    "a = :v",
    ":v != a AND true",
    "o.x > :v AND b IN :list",
    "n BETWEEN :low AND 20 AND (a = 1 OR b IS MISSING)",
    "x.o.n IN [0, 1] AND :v IN x.a",
    "_id = :v OR NOT (a > :v AND n < 3)",
)
TAILS: Final = (
    "",
    "ORDER BY a",
    "ORDER BY x.o.x DESC, n",
    "ORDER BY n, b DESC, a LIMIT 7 OFFSET 3",
    "LIMIT 4 OFFSET 5",
)
NOT_PLAIN: Final = (
    f"SELECT * FROM {COLLECTION} WHERE :v",
    f"SELECT * FROM {COLLECTION} WHERE coalesce(:v, a) = 1",
    f"SELECT * FROM {COLLECTION} WHERE a LIKE :v",
    f"SELECT * FROM {COLLECTION} WHERE date_diff(clock(), a, 'day') = 1",
    f"SELECT * FROM {COLLECTION} WHERE a = b + 1",
    f"SELECT * FROM {COLLECTION} WHERE :v = :v",
    f"SELECT * FROM {COLLECTION} x WHERE x = :v",
    f"SELECT * FROM {COLLECTION} ORDER BY n + 1",
    f"SELECT a FROM {COLLECTION}",
    f"SELECT DISTINCT * FROM {COLLECTION}",
    f"SELECT *, MISSING a FROM {COLLECTION}",
    f"SELECT * FROM {COLLECTION} USE INDEX a WHERE a = 1",
    f"SELECT * FROM {COLLECTION} (a MAP)",
)


@pytest.fixture(scope="module")
def world() -> Any:
    """Documents to look for."""
    with open_world(4) as opened:
        yield opened


def ready(text: str, profile: Profile = "v5") -> Ready:
    """A statement, made ready."""
    statement: Any = parse_kept(text, profile)
    return make_ready(statement, profile)


def texts() -> list[str]:
    """Plain statements."""
    return [f"SELECT * FROM {COLLECTION} x WHERE {each} {tail}" for each in ("true", *CONDITIONS) for tail in TAILS]


def arguments(number: int) -> dict[str, Any]:
    """Values for all parameters."""
    value = VALUES[number % len(VALUES)]
    return {"v": value, "list": [value, "ab", None], "low": number - 40}


@pytest.mark.parametrize("indexed", [False, True])
def test_rows_are_those_of_the_steps(world: World, *, indexed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    store = world.indexed if indexed else world.plain
    for number, text in enumerate(texts()):
        assert ready(text).plain is not None, text
        for more in range(5):
            given = arguments(number * 5 + more)
            found = store.execute(text, given).rows_json
            with monkeypatch.context() as patched:
                patched.setattr(select, "find_plain", lambda *_, **__: None)
                steps = store.execute(text, given).rows_json
            same = found == steps if "ORDER" in text else sorted(found) == sorted(steps)
            assert same or ("LIMIT" in text and "ORDER" not in text and len(found) == len(steps)), (text, given)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_kept_condition_with_values_is_the_condition_read_with_them(condition: str) -> None:
    made = ready(f"SELECT * FROM {COLLECTION} x WHERE {condition}")
    assert made.plain is not None
    for number in range(len(VALUES)):
        given = arguments(number)
        split = split_condition(made.steps.select.where, Context(given), "x")
        assert not split.rest
        assert put_values(made.plain.node, given) == split.node


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_what_depends_on_more_is_not_plain(text: str) -> None:
    assert ready(text).plain is None


def test_types_of_a_strict_profile_are_not_plain() -> None:
    assert ready("SELECT * FROM c", "v4").plain is None


def test_a_parameter_that_is_not_given_is_said(world: World) -> None:
    with pytest.raises(MalformedRequest) as refused:
        world.indexed.execute(texts()[-1])
    assert refused.value.data["description"] == "Parameter v was not provided"


def test_the_id_stands_before_the_fields_as_json_has_it() -> None:
    ids: list[Any] = ['a"\\\n\u2028ü', 1, 1.5, True, {"b": [None, {"c": "é"}]}, -(2**63)]
    with Store.in_memory() as store:
        store.write([Upsert("c", {"f": 1} if number % 2 else {}, id=id_) for number, id_ in enumerate(ids)])
        shown = store.execute("SELECT * FROM c")
        assert [next(iter(row)) for row in shown.items] == ["_id"] * len(ids)
        assert sorted(map(repr, [row["_id"] for row in shown.items])) == sorted(map(repr, ids))
        assert sorted(shown.rows_json) == sorted(store.execute("SELECT *, MISSING g FROM c").rows_json)


def test_an_answer_is_bounded_and_a_stream_is_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STATEMENT_ROWS_MAX", 10)
    monkeypatch.setattr("crdtstore.statement.budget.STATEMENT_ROWS_MAX", 10)
    for tail in TAILS[:3]:
        text = f"SELECT * FROM {COLLECTION} x {tail}"
        with pytest.raises(LimitExceeded):
            world.indexed.execute(text)
        with world.indexed.stream(text) as rows:
            assert len(list(rows)) == len(world.documents)


def test_a_kept_statement_sees_indexes_come_and_go() -> None:
    text = f"SELECT * FROM {COLLECTION} WHERE a = :v ORDER BY n"
    parse_kept(text, "v5")
    with open_world(5) as world:
        expected = [world.plain.execute(text, {"v": value}).rows_json for value in VALUES]
        for _ in range(2):
            assert [world.indexed.execute(text, {"v": value}).rows_json for value in VALUES] == expected
            world.indexed.indexes.drop("a", collection=COLLECTION)
            assert [world.indexed.execute(text, {"v": value}).rows_json for value in VALUES] == expected
            world.indexed.indexes.create(COLLECTION, ["a", "n"], name="a")
