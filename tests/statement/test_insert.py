"""INSERT gives what was inserted, by every policy, all documents or none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Remove, Upsert
from crdtstore.errors import DocumentBuried, IdConflict, InvalidDocument, InvalidId, InvalidQuery, LimitExceeded
from crdtstore.limits import STATEMENT_CHANGED_MAX
from crdtstore.query.dql import messages
from crdtstore.statement import targets
from tests.statement.scene import FIELDS, IDS, make_store, merged, refused, rows

if TYPE_CHECKING:
    from crdtstore import Store

POLICIES = {
    "fail": "",
    "do fail": "ON ID CONFLICT DO FAIL",
    "nothing": "ON ID CONFLICT DO NOTHING",
    "update": "ON ID CONFLICT DO UPDATE",
    "local": "ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
}
DOCUMENTS = st.dictionaries(IDS.map(json.dumps), FIELDS, max_size=4)
"""Documents by the JSON of their ids."""


def given_documents(documents: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"_id": json.loads(id_), **fields} for id_, fields in documents.items()]


def stored(store: Store) -> dict[str, dict[str, Any]]:
    return {json.dumps(row.pop("_id")): row for row in rows(store)}


@settings(max_examples=40)
@given(DOCUMENTS)
def test_what_was_inserted_is_selected(documents: dict[str, dict[str, Any]]) -> None:
    store = make_store()
    done = store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": given_documents(documents)})
    assert stored(store) == documents
    assert list(map(json.dumps, done.mutated)) == list(documents)
    assert done.txn == store.applied == int(bool(documents))


@settings(max_examples=80)
@given(st.sampled_from(sorted(POLICIES)), DOCUMENTS, DOCUMENTS)
def test_policies_are_those_of_a_model(
    policy: str, old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": given_documents(old)})
    text = f"INSERT INTO c DOCUMENTS (:all) {POLICIES[policy]} RETURNING *"
    both = {"all": given_documents(new)}
    if "fail" in policy and old.keys() & new.keys():
        error = refused(store, text, both, error=IdConflict)
        assert error.data["description"] == messages.id_conflict(shown(error.data["document"]))
        return
    done = store.execute(text, both)
    written = {
        id_: merged(old.get(id_), fields) for id_, fields in new.items() if policy != "nothing" or id_ not in old
    }
    expected = old | written
    assert stored(store) == expected
    listed = [json.dumps(id_) for id_ in done.mutated]
    if policy == "local":
        assert set(listed) == {id_ for id_ in new if not (id_ in old and holds(old[id_], new[id_]))}
    else:
        assert listed == list(written)
    assert done.items == [{"_id": json.loads(id_), **expected[id_]} for id_ in listed]


def shown(id_: Any) -> str:
    return id_ if isinstance(id_, str) else json.dumps(id_, separators=(",", ":"))


def holds(old: Any, new: Any) -> bool:
    """Whether a value is there already, objects field by field; 1 and 1.0 are two values."""
    if isinstance(new, dict):
        return isinstance(old, dict) and all(key in old and holds(old[key], value) for key, value in new.items())
    return json.dumps(old) == json.dumps(new)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("source", ["c", "COLLECTION c (n COUNTER)"])
def test_a_fault_in_any_document_refuses_all(place: int, source: str) -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 0})")
    documents: list[dict[str, Any]] = [{"_id": number, "n": 1} for number in (1, 2, 3)]
    documents[place]["bad"] = {"deep": 2**63}
    error = refused(store, f"INSERT INTO {source} DOCUMENTS (:all) ON ID CONFLICT DO UPDATE", {"all": documents})
    assert error.data["document"] == place + 1
    assert str(place + 1) in error.message
    assert len(rows(store)) == 1


def test_local_differences_alone_are_written() -> None:
    left, right = make_store(1), make_store(2)
    left.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'a': 1, 'b': 1, 'm': {'x': 1, 'y': [1]}})")
    right.apply(entry.record for entry in left.changes())
    right.execute("UPDATE c SET b = 2, m.y = 2")
    changed = "INSERT INTO c DOCUMENTS ({'_id': 1, 'a': 3, 'b': 1, 'm': {'x': 1, 'y': [1]}})"
    left.execute(f"{changed} ON ID CONFLICT DO UPDATE_LOCAL_DIFF")
    left.apply(entry.record for entry in right.changes())
    assert rows(left) == [{"_id": 1, "a": 3, "b": 2, "m": {"x": 1, "y": 2}}]


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("{'_id': 1, 'n': 1}", True),
        ("{'_id': 1, 'n': 1.0}", True),
        ("{'_id': 1, 'n': 2}", False),
        ("{'_id': 1, 'm': {}}", False),
        ("{'_id': 1, 'm': {'x': null}}", True),
        ("{'_id': 1}", False),
    ],
)
def test_what_differs_locally(text: str, listed: bool) -> None:  # noqa: FBT001
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 2, 'm': {'y': 1}})")
    done = store.execute(f"INSERT INTO c DOCUMENTS ({text}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF")
    assert (done.mutated, done.txn) == (((1,), 2) if listed else ((), 1))


def test_a_declared_type_is_a_difference() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 2})")
    text = "INSERT INTO COLLECTION c (n COUNTER) DOCUMENTS ({'_id': 1, 'n': 2}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF"
    assert store.execute(text).mutated == (1,)
    assert store.execute(text).mutated == ()
    assert store.execute("UPDATE c APPLY n INCREMENT BY 1 RETURNING n").items == [{"n": 3}]


def test_initial_writes_what_is_not_there_and_loses() -> None:
    left, right = make_store(1), make_store(2)
    left.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'theme': 'dark'})")
    text = "INSERT INTO c INITIAL DOCUMENTS ({'_id': 1, 'theme': 'light', 'size': 12}) RETURNING _id"
    assert right.execute(text).items == [{"_id": 1}]
    assert right.execute(text).mutated == ()
    left.apply(entry.record for entry in right.changes())
    assert rows(left) == [{"_id": 1, "size": 12, "theme": "dark"}]


def test_an_id_is_made_and_told() -> None:
    store = make_store()
    done = store.execute("INSERT INTO c DOCUMENTS ({'x': 1}), ({'x': 2}) RETURNING *")
    assert len(set(done.mutated)) == 2
    assert done.items == [{"_id": id_, "x": place} for place, id_ in enumerate(done.mutated, 1)]
    assert [store.get("c", id_).fields for id_ in done.mutated] == [{"x": 1}, {"x": 2}]  # type: ignore[union-attr]


def test_documents_come_from_parameters_arrays_and_text() -> None:
    store = make_store()
    parameters = {"one": {"_id": 1}, "two": [{"_id": 2}, {"_id": 3}], "text": '{"_id": 4, "a": [1]}'}
    text = "INSERT INTO c DOCUMENTS (:one), (:two), (deserialize_json(:text)), ({'_id': 2 + 3, 'a': missing})"
    assert store.execute(text, parameters).mutated == (1, 2, 3, 4, 5)
    assert rows(store)[3:] == [{"_id": 4, "a": [1]}, {"_id": 5}]


@pytest.mark.parametrize("text", ["1", "null", "'a'", "[[{'_id': 1}]]", "missing", "deserialize_json('{')"])
def test_what_is_no_document_is_refused(text: str) -> None:
    refused(make_store(), f"INSERT INTO c DOCUMENTS ({{'_id': 9}}), ({text})", error=InvalidDocument)


@pytest.mark.parametrize("ids", ["1, 1", "1, 1.0", "'a', 'a'", "{'a': 1, 'b': 2}, {'b': 2, 'a': 1}"])
@pytest.mark.parametrize("policy", ["ON ID CONFLICT DO UPDATE", "ON ID CONFLICT DO NOTHING", ""])
def test_two_documents_of_one_id_are_refused(ids: str, policy: str) -> None:
    first, second = ids.split(", ", 1) if "{" not in ids else ids.split("}, ")
    first += "}" * ("{" in first)
    text = f"INSERT INTO c DOCUMENTS ({{'_id': {first}, 'a': 1}}), ({{'_id': {second}}}) {policy}"
    assert refused(make_store(), text, error=InvalidId).data["description"] == messages.EXPECTED_UNIQUE_IDS


def test_an_id_that_is_none_is_refused() -> None:
    error = refused(make_store(), "INSERT INTO c DOCUMENTS ({'_id': 1}), ({'_id': null})", error=InvalidId)
    assert error.data["document"] is None


def test_a_conflict_is_told_in_the_public_words() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': '123'}), ({'_id': {'b': 1, 'a': 'x'}})")
    error = refused(store, "INSERT INTO c DOCUMENTS ({'_id': '123'})", error=IdConflict)
    assert error.data["description"] == 'Identifier conflict on document "123": using FAIL conflict policy'


def test_what_was_buried_is_refused_whatever_the_policy() -> None:
    store = make_store()
    store.write([Upsert("c", {}, id=1)])
    store.write([Remove("c", "true", deletes="permanent")])
    for policy in POLICIES.values():
        refused(store, f"INSERT INTO c DOCUMENTS ({{'_id': 2}}), ({{'_id': 1}}) {policy}", error=DocumentBuried)
    assert store.execute("INSERT INTO c INITIAL DOCUMENTS ({'_id': 1})").mutated == ()


def test_the_rows_of_a_select_are_inserted() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'a': 2}), ({'_id': 3, 'a': 4})")
    done = store.execute("INSERT INTO c SELECT _id + 1 AS _id, a, a * a AS square FROM c RETURNING _id")
    assert done.items == [{"_id": 2}, {"_id": 4}]
    assert rows(store)[1] == {"_id": 2, "a": 2, "square": 4}
    refused(store, "INSERT INTO c SELECT * FROM c", error=IdConflict)
    refused(store, "INSERT INTO c SELECT 1 AS _id FROM c", error=InvalidId)
    assert len(store.execute("INSERT INTO d SELECT a FROM c").mutated) == 4


def test_what_the_store_tells_of_itself_is_inserted() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
    assert store.execute("INSERT INTO d SELECT * FROM system:collections").mutated == ("c",)


def test_too_many_documents_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert STATEMENT_CHANGED_MAX > 2
    monkeypatch.setattr(targets, "STATEMENT_CHANGED_MAX", 2)
    store = make_store()
    error = refused(store, "INSERT INTO c DOCUMENTS (:all)", {"all": [{}, {}, {}]}, error=LimitExceeded)
    assert error.data["limit"] == "STATEMENT_CHANGED_MAX"
    assert len(store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": [{}, {}]}).mutated) == 2


def test_a_system_collection_is_not_written() -> None:
    refused(make_store(), "INSERT INTO system:indexes DOCUMENTS ({})", error=InvalidQuery)
