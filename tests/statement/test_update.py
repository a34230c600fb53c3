"""UPDATE changes what its condition matches, all or none, from what was there before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Increment, Set, Store, Update
from crdtstore.errors import InvalidQuery, InvalidValue, LimitExceeded, QuerySyntaxError, UnknownIndex
from crdtstore.query.dql import messages
from crdtstore.statement import targets
from tests.statement.scene import FIELDS, KEYS, VALUES, make_store, merged, refused, rows

OBJECT = {"_id": 1, "a": 1, "t": "text", "m": {"x": 1, "y": {"z": 2}}}


def with_object() -> Any:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS (:one)", {"one": OBJECT})
    return store


@settings(max_examples=30)
@given(st.lists(FIELDS, max_size=3), KEYS, VALUES)
def test_a_value_that_is_set_is_there(documents: list[dict[str, Any]], key: str, value: Any) -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": [{"_id": n, **each} for n, each in enumerate(documents)]})
    nothing = store.execute(f"UPDATE c SET `{key}` = :value WHERE FALSE RETURNING *", {"value": value})
    assert (nothing.mutated, nothing.items, nothing.txn) == ((), [], store.applied)
    done = store.execute(f"UPDATE c SET `{key}` = :value RETURNING *", {"value": value})
    expected = [{"_id": n, **each, key: merged(each.get(key), value)} for n, each in enumerate(documents)]
    assert rows(store) == done.items == expected
    assert done.mutated == tuple(range(len(documents)))


def test_the_current_value_is_a_mutation_and_nothing_is_not() -> None:
    store = with_object()
    done = store.execute("UPDATE c SET a = 1")
    assert (done.mutated, done.txn) == ((1,), 2)
    for text in ("UPDATE c UNSET absent", "UPDATE c SET a = absent", "UPDATE c SET a = 2 WHERE a = 9"):
        done = store.execute(text)
        assert (done.mutated, done.txn) == ((), 2)
    assert store.execute("UPDATE nowhere SET a = 2").mutated == ()
    assert "nowhere" not in store.collections()


def test_values_come_from_the_document_before() -> None:
    store = with_object()
    text = "UPDATE c AS d SET a = m.x + 10, m.x = d.a + 20, d.t = d.t || '!' RETURNING *"
    assert store.execute(text).items == [{**OBJECT, "a": 11, "t": "text!", "m": {"x": 21, "y": {"z": 2}}}]


def test_matches_are_taken_before_the_first_changes() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": [{"_id": n, "n": n} for n in range(5)]})
    store.indexes.create("c", ["n"], name="n")
    assert store.execute("UPDATE c SET n = n + 1 WHERE n >= 2").mutated == (2, 3, 4)
    assert [row["n"] for row in rows(store)] == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("SET m = {'x': 5}", {"m": {"x": 5, "y": {"z": 2}}}),
        ("SET m = {}", {}),
        ("SET m.y.w = 3", {"m": {"x": 1, "y": {"w": 3, "z": 2}}}),
        ("SET n.o.p = 3", {"n": {"o": {"p": 3}}}),
        ("SET m -> (x = 7, y -> (z = 8))", {"m": {"x": 7, "y": {"z": 8}}}),
        ("SET m = 5", {"m": 5}),
        ("SET a = {'b': 1}", {"a": {"b": 1}}),
        ("SET a -> default()", {"a": None}),
        ("SET a = null", {"a": None}),
        ("SET `a.b` = 1", {"a.b": 1}),
        ("SET a = [1, missing]", {"a": [1, None]}),
        ("SET a = {'b': missing, 'c': 1}", {"a": {"c": 1}}),
        ("UNSET m.y.z", {"m": {"x": 1, "y": {}}}),
        ("UNSET m.x, m.y", {"m": {}}),
        ("SET m -> (x -> tombstone())", {"m": {"y": {"z": 2}}}),
        ("UNSET a", {"a": None}),
        ("APPLY n INCREMENT BY 3", {"n": 3}),
        ("APPLY n INCREMENT BY a + m.x", {"n": 2}),
        ("APPLY n PN_INCREMENT BY -1.5", {"n": -1.5}),
        ("APPLY n RESTART", {"n": 0}),
        ("APPLY a RESTART WITH 4", {"a": 4}),
        ("APPLY n INCREMENT BY 1 SET a = 2 UNSET t", {"n": 1, "a": 2, "t": None}),
    ],
)
def test_what_a_change_does(change: str, expected: dict[str, Any]) -> None:
    store = with_object()
    shown = {**OBJECT, **expected}
    kept = {key: value for key, value in shown.items() if value is not None or "null" in change or "default" in change}
    assert store.execute(f"UPDATE c {change} RETURNING *").items == rows(store) == [kept]


def test_types_live_side_by_side() -> None:
    store = with_object()
    store.execute("UPDATE c SET m = 5")
    assert store.execute("UPDATE c SET m = {'w': 1} RETURNING m").items == [{"m": {"w": 1, "x": 1, "y": {"z": 2}}}]


def test_the_last_field_may_go_and_the_document_stays() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'a': 1})")
    assert store.execute("UPDATE c UNSET a RETURNING *").items == [{"_id": 1}]
    assert rows(store) == [{"_id": 1}]


def test_counters_go_on_and_begin_again() -> None:
    store = make_store()
    store.execute("INSERT INTO COLLECTION c (n COUNTER) DOCUMENTS ({'_id': 1, 'n': 4})")
    assert store.execute("UPDATE c APPLY n INCREMENT BY 2 RETURNING n").items == [{"n": 6}]
    assert store.execute("UPDATE c APPLY n RESTART WITH 10 RETURNING n").items == [{"n": 10}]
    assert store.execute("UPDATE c APPLY n INCREMENT BY -1 RETURNING n").items == [{"n": 9}]


def test_a_declared_counter_counts_beside_a_register() -> None:
    store = with_object()
    text = "UPDATE COLLECTION c (a COUNTER) APPLY a INCREMENT BY 5 RETURNING a"
    assert [store.execute(text).items for _ in range(2)] == [[{"a": 5}], [{"a": 10}]]


@pytest.mark.parametrize(
    ("change", "path", "description"),
    [
        ("APPLY a INCREMENT BY 1", "a", messages.NOT_ON_REGISTER),
        ("APPLY m INCREMENT BY 1", "m", "absent"),
        ("APPLY n INCREMENT BY CASE a WHEN 1 THEN 1.5 ELSE 1 END", "n", "absent"),
        ("APPLY n INCREMENT BY CASE a WHEN 1 THEN t ELSE 1 END", "n", "absent"),
        ("APPLY n INCREMENT BY CASE a WHEN 1 THEN missing ELSE 1 END", "n", "absent"),
        ("APPLY n RESTART WITH CASE a WHEN 1 THEN t ELSE 1 END", "n", "absent"),
        ("SET a = 1, m.new = CASE a WHEN 1 THEN :large END", "m.new", "absent"),
        ("SET a = 1, t = {'u': [CASE a WHEN 1 THEN :large END]}", "t", "absent"),
        ("SET m.y = {'': CASE a WHEN 1 THEN :large END}", "m.y", "absent"),
    ],
)
@pytest.mark.parametrize("place", range(3))
def test_what_fails_in_any_document_refuses_all(change: str, path: str, description: str, place: int) -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": [{"_id": n} for n in range(3)]})
    store.execute("INSERT INTO c DOCUMENTS (:one) ON ID CONFLICT DO UPDATE", {"one": {**OBJECT, "_id": place}})
    error = refused(store, f"UPDATE c {change}", {"large": 2**63}, error=InvalidValue)
    assert (error.data["document"], error.data["path"]) == (place, path)
    assert error.data.get("description", "absent") == description
    assert path in error.message


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("UPDATE c SET _id = 2", messages.ID_NOT_MODIFIABLE),
        ("UPDATE c AS d SET d._id = 2", messages.ID_NOT_MODIFIABLE),
        ("UPDATE c UNSET _id.a", messages.ID_NOT_MODIFIABLE),
        ("UPDATE c SET a = 1, a = 2", messages.modified_twice("a")),
        ("UPDATE c SET a = 1 UNSET a", messages.modified_twice("a")),
        ("UPDATE c AS d SET a = 1, d.a = 2", messages.modified_twice("a")),
        ("UPDATE c SET m = {}, m.x = 2", messages.modified_twice("m.x")),
        ("UPDATE c SET m.x.y = 2 UNSET m", messages.modified_twice("m.x.y")),
        ("UPDATE c SET m.x = :absent", messages.parameter_not_provided("absent")),
    ],
)
def test_statements_that_are_refused_in_public_words(text: str, description: str) -> None:
    assert refused(with_object(), text).data["description"] == description


def test_a_part_of_a_register_is_not_unset() -> None:
    store = make_store()
    store.execute("INSERT INTO COLLECTION c (r REGISTER) DOCUMENTS ({'_id': 1, 'r': {'a': 1}})")
    error = refused(store, "UPDATE c UNSET r.a", error=InvalidValue)
    assert error.data == {
        "description": messages.NOT_ON_REGISTER,
        "path": "r.a",
        "collection": "c",
        "document": 1,
    }


def test_ids_that_are_named() -> None:
    store = make_store()
    ids: list[Any] = [1, "a", {"k": 1}]
    store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": [{"_id": id_, "n": 0} for id_ in ids]})
    assert store.execute("UPDATE c USE IDS {'k': 1}, 1, 7 SET n = 1").mutated == (1, {"k": 1})
    assert store.execute("UPDATE c USE IDS LIST :ids SET n = 2 WHERE n = 1", {"ids": ["a", 1, [], 1]}).mutated == (1,)
    assert store.execute("UPDATE c USE IDS LIST :ids SET n = 2", {"ids": []}).mutated == ()
    refused(store, "UPDATE c USE IDS LIST :ids SET n = 2", {"ids": 1}, error=InvalidQuery)


def test_indexes_that_are_named() -> None:
    store = with_object()
    store.indexes.create("c", ["a"], name="by-a")
    assert store.execute("UPDATE c USE INDEX `by-a` SET t = 'u' WHERE a = 1").mutated == (1,)
    refused(store, "UPDATE c USE INDEX absent SET t = 'u' WHERE a = 1", error=UnknownIndex)


def test_conditions_that_the_tree_cannot_say() -> None:
    store = with_object()
    assert store.execute("UPDATE c SET a = 2 WHERE a + m.x = 3").mutated == ()
    assert store.execute("UPDATE c AS d SET a = 2 WHERE d.a + m.x = 2 AND t = 'text'").mutated == (1,)


def test_too_many_documents_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "STATEMENT_CHANGED_MAX", 1)
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 2})")
    assert refused(store, "UPDATE c SET a = 1", error=LimitExceeded).data["limit"] == "STATEMENT_CHANGED_MAX"
    assert store.execute("UPDATE c SET a = 1 WHERE _id = 1").mutated == (1,)


STEPS = st.tuples(st.sampled_from(["set", "increment"]), st.sampled_from(["x", "y"]), st.integers(-5, 5))


@settings(max_examples=30)
@given(st.lists(STEPS, max_size=4))
def test_statements_and_commands_log_the_same(steps: list[tuple[str, str, int]]) -> None:
    by_statement, by_command = with_object(), with_object()
    for kind, key, value in steps:
        place = f"n.{key}" if kind == "increment" else f"m.{key}"
        command: Any = Increment(place, value) if kind == "increment" else Set(place, value)
        verb = f"APPLY {place} INCREMENT BY :v" if kind == "increment" else f"SET {place} = :v"
        by_statement.execute(f"UPDATE c {verb}", {"v": value})
        by_command.write([Update("c", "true", [command])])
    assert by_statement.digest() == by_command.digest()
    assert [entry.record for entry in by_statement.changes()] == [entry.record for entry in by_command.changes()]


def test_what_cannot_be_read_is_refused() -> None:
    refused(with_object(), "UPDATE c SET items[0] = 1", error=QuerySyntaxError)
    refused(with_object(), "UPDATE system:indexes SET a = 1", error=InvalidQuery)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO c DOCUMENTS ({'_id': 1}), ({'_id': 1}) RETURNING :absent",
        "INSERT INTO c DOCUMENTS (1), (:absent)",
        "UPDATE c APPLY a INCREMENT BY 1 RETURNING :absent",
        "UPDATE c SET a = :absent WHERE false",
        "DELETE FROM c WHERE :absent LIMIT -1",
        "DELETE FROM nowhere WHERE :absent",
        "DELETE FROM c ORDER BY :absent LIMIT -1 RETURNING 1",
    ],
)
def test_a_parameter_that_is_not_provided_is_told_first(text: str) -> None:
    error = refused(with_object(), text)
    assert error.data["description"] == messages.parameter_not_provided("absent")


@pytest.mark.parametrize(
    "value", ["\ud800", 2**80, float("nan"), {"a": b"x", "b": object()}], ids=["surrogate", "large", "nan", "object"]
)
@pytest.mark.parametrize(
    "text", ["UPDATE c SET a = 1 WHERE a = :p", "UPDATE c USE IDS :p SET a = 1", "UPDATE c USE IDS LIST :p SET a = 1"]
)
def test_what_is_no_value_is_refused_where_it_is_compared(text: str, value: Any) -> None:
    store = Store.in_memory()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'a': 1})")
    with pytest.raises(InvalidValue, match="Parameter p"):
        store.execute(text, {"p": value})
    assert store.applied == 1
