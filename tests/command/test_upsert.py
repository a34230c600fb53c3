"""Upsert: whose id, which fields, which types, and what is refused whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.command import upsert
from crdtstore.command.command import Increment, Remove, Set, Update, Upsert
from crdtstore.command.result import Updated, Upserted
from crdtstore.errors import (
    CrdtStoreError,
    InvalidDocument,
    InvalidId,
    InvalidValue,
    LimitExceeded,
    QuerySyntaxError,
    TypeConflict,
)
from crdtstore.limits import DEPTH_MAX, DOCUMENT_BYTES_WARN
from crdtstore.storage import draft
from crdtstore.store import Store
from tests.version.stores import fresh, kept, log, now


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store in memory."""
    with Store.in_memory(clock=now) as made:
        yield made


def fields(store: Store, id: Any = 1, collection: str = "c") -> Any:
    """The fields of a document; None when it does not exist."""
    document = store.get(collection, id)
    return None if document is None else document.fields


def types(store: Store, id: Any = 1) -> dict[bytes, str]:
    """The type of each cell of a document."""
    return {cell.path: cell.type.name for cell in store.cells("c", id)}


def refused(store: Store, error: type[CrdtStoreError], *commands: Any) -> CrdtStoreError:
    """Run commands that are refused, and see that nothing of them is left."""
    before = kept(store), store.digest()
    with pytest.raises(error) as caught:
        store.write(commands)
    assert type(caught.value) is error
    assert (kept(store), store.digest()) == before
    assert kept(store) == fresh(store.storage)
    return caught.value


# --- the id ---


@pytest.mark.parametrize("id_", [1, 1.5, -3, "s", True, {"a": 1, "b": ["x", None]}, 0, False])
def test_the_id_beside_or_inside_the_value(store: Store, id_: Any) -> None:
    """Both name the document; the field `_id` itself is not stored."""
    assert store.write([Upsert("c", {"x": 1}, id=id_)]).results == (Upserted(id_),)
    assert store.write([Upsert("c", {"y": 2, "_id": id_})]).results == (Upserted(id_),)
    assert store.write([Upsert("c", {"z": 3, "_id": id_}, id=id_)]).results == (Upserted(id_),)
    assert fields(store, id_) == {"x": 1, "y": 2, "z": 3}


def test_the_same_id_in_two_forms(store: Store) -> None:
    """1 and 1.0 are one id, and the order of an object's keys does not matter."""
    store.write([Upsert("c", {"x": 1, "_id": 1.0}, id=1)])
    store.write([Upsert("c", {"x": 1, "_id": {"b": 1, "a": 2}}, id={"a": 2, "b": 1})])
    assert [document.id for document in store.find("c").documents] == [1, {"a": 2, "b": 1}]


@pytest.mark.parametrize(("beside", "inside"), [(1, 2), (1, "1"), (1, True), (1, None), (None, 1)])
def test_two_ids(store: Store, beside: Any, inside: Any) -> None:
    """Two different ones are refused."""
    refused(store, InvalidId, Upsert("c", {"x": 1, "_id": inside}, id=beside))


@pytest.mark.parametrize("id_", [None, "", [], [1], b"bytes", {"a": float("nan")}, 2**63, "s" * 1_025])
def test_what_is_no_id(store: Store, id_: Any) -> None:
    """Refused wherever it stands."""
    refused(store, InvalidId, Upsert("c", {"x": 1}, id=id_))
    refused(store, InvalidId, Upsert("c", {"x": 1, "_id": id_}))


def test_a_generated_id(store: Store) -> None:
    """A new one each time, answered, under which the document is found."""
    results = store.write([Upsert("c", {"n": number}) for number in range(3)]).results
    made = [result.id for result in results if isinstance(result, Upserted)]
    assert len(set(made)) == 3
    assert [fields(store, id_) for id_ in made] == [{"n": 0}, {"n": 1}, {"n": 2}]


# --- fields and types ---


def test_fields_merge_key_by_key(store: Store) -> None:
    """What is not given stays; arrays and scalars are replaced whole; null is a value."""
    store.write([Upsert("c", {"a": 1, "m": {"p": 1, "q": {"r": 2}}, "l": [1, 2]}, id=1)])
    store.write([Upsert("c", {"m": {"q": {"s": 3}}, "l": [3], "a": None}, id=1)])
    assert fields(store) == {"a": None, "l": [3], "m": {"p": 1, "q": {"r": 2, "s": 3}}}


def test_an_empty_document_exists(store: Store) -> None:
    """So does an empty object in it."""
    store.write([Upsert("c", {}, id=1), Upsert("c", {"m": {}}, id=2)])
    assert (fields(store, 1), fields(store, 2)) == ({}, {"m": {}})
    assert store.stats().documents == 2


def test_declared_types(store: Store) -> None:
    """A counter is counted up afterwards; a register keeps an object whole."""
    overrides = {"n": "counter", "m.k": "counter", "r": "register", "absent": "counter"}
    store.write([Upsert("c", {"n": 5, "m": {"k": 1.5}, "r": {"a": 1, "b": {}}}, 1, overrides)])
    assert types(store) == {b"n\0": "COUNTER", b"m\0k\0": "COUNTER", b"r\0": "REGISTER"}
    written = store.write([Update("c", "true", [Increment("n", 2), Increment("m.k", 1)])])
    assert written.results == (Updated(1, 0),)
    assert fields(store) == {"n": 7, "m": {"k": 2.5}, "r": {"a": 1, "b": {}}}
    store.write([Upsert("c", {"r": {"c": 1}}, 1, {"r": "register"})])
    assert fields(store)["r"] == {"c": 1}
    store.write([Upsert("c", {"n": 0}, 1, {"n": "counter"})])
    assert fields(store)["n"] == 0


@pytest.mark.parametrize(
    ("value", "overrides", "error"),
    [
        ({"n": "text"}, {"n": "counter"}, InvalidValue),
        ({"n": True}, {"n": "counter"}, InvalidValue),
        ({"n": None}, {"n": "counter"}, InvalidValue),
        ({"n": {}}, {"n": "counter"}, InvalidValue),
        ({"n": 1}, {"n": "list"}, InvalidDocument),
        ({"n": 1}, {"n": "Counter"}, InvalidDocument),
        ({"n": 1}, {"_id": "counter"}, InvalidDocument),
        ({"n": [1]}, {"n[0]": "counter"}, InvalidDocument),
        ({"n": 1}, {"": "counter"}, QuerySyntaxError),
        ({"n": 1}, {"a..b": "counter"}, QuerySyntaxError),
    ],
)
def test_types_that_cannot_be(store: Store, value: Any, overrides: dict[str, str], error: type[CrdtStoreError]) -> None:
    """Refused, with what else the transaction did."""
    refused(store, error, Upsert("other", {"x": 1}, id=1), Upsert("c", value, 1, overrides))


def test_two_types_in_one_transaction(store: Store) -> None:
    """The same path as register and as map, or as counter, in two upserts of one transaction."""
    refused(store, TypeConflict, Upsert("c", {"a": 1}, id=1), Upsert("c", {"a": {"b": 1}}, id=1))
    refused(store, TypeConflict, Upsert("c", {"a": 1}, id=1), Upsert("c", {"a": 1}, 1, {"a": "counter"}))
    store.write([Upsert("c", {"a": 1}, id=1), Remove("c", "_id == 1"), Upsert("c", {"a": {"b": 1}}, id=1)])
    assert fields(store) == {"a": {"b": 1}}


@pytest.mark.parametrize("collection", ["", "a\0b", "x" * 256, "\ud800"])
def test_collections_that_cannot_be(store: Store, collection: str) -> None:
    """A name has 1 to 255 bytes, none of them zero."""
    refused(store, InvalidDocument, Upsert(collection, {"x": 1}, id=1))


def test_any_other_name_is_a_collection(store: Store) -> None:
    """Also a long one, and one that is not ASCII."""
    known = ["x" * 255, "\xe9t\xe9", " ", "a.b", "c"]
    store.write([Upsert(name, {"x": name}, id=1) for name in known])
    assert store.collections() == tuple(sorted(known))
    assert all(fields(store, 1, name) == {"x": name} for name in known)


# --- limits ---


def nested(levels: int, leaf: Any = 1) -> Any:
    """Objects in objects."""
    value = leaf
    for _ in range(levels):
        value = {"k": value}
    return value


def test_depth(store: Store) -> None:
    """As deep as the bound, not deeper, be it objects or arrays."""
    store.write([Upsert("c", nested(DEPTH_MAX), id=1)])
    assert fields(store) == nested(DEPTH_MAX)
    leaves: list[Any] = [1, "s", None, [], {}, {"z": 1}]
    for leaf in leaves:
        refused(store, LimitExceeded, Upsert("c", nested(DEPTH_MAX + 1, leaf), id=2))
    lists: Any = 1
    for _ in range(DEPTH_MAX - 1):
        lists = [lists]
    store.write([Upsert("c", {"l": lists}, id=3)])
    assert fields(store, 3) == {"l": lists}
    refused(store, LimitExceeded, Upsert("c", {"l": [[lists]]}, id=4))
    with Store.in_memory(clock=now) as other:
        other.apply(log(store))
        assert other.digest() == store.digest()


def test_the_number_of_fields(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted over a transaction's upserts of one document."""
    monkeypatch.setattr(upsert, "DOCUMENT_KEYS_MAX", 3)
    store.write([Upsert("c", {"a": 1, "b": 2, "d": 3}, id=1), Upsert("c", {"a": 1, "b": 2, "d": 3}, id=2)])
    error = refused(store, LimitExceeded, Upsert("c", {f"k{number}": 1 for number in range(4)}, id=1))
    assert error.data == {"limit": "DOCUMENT_KEYS_MAX", "value": 4, "maximum": 3, "command": 0}
    refused(store, LimitExceeded, Upsert("c", {"p": 1, "q": 2}, id=1), Upsert("c", {"r": 1, "s": 2}, id=1))
    store.write([Upsert("c", {"e": 4}, id=1)])
    assert len(fields(store)) == 4


def test_the_size_of_a_document(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the whole transaction is refused, whichever command passes it; smaller ones still fit."""
    monkeypatch.setattr(draft, "DOCUMENT_BYTES_MAX", 1_000)
    store.write([Upsert("c", {"a": "x" * 500}, id=1)])
    error = refused(store, LimitExceeded, Upsert("other", {"y": 1}, id=1), Upsert("c", {"b": "x" * 500}, id=1))
    assert error.data["limit"] == "DOCUMENT_BYTES_MAX"
    assert error.data["value"] > error.data["maximum"] == 1_000
    refused(store, LimitExceeded, Upsert("c", {"z": 1}, id=2), Update("c", "true", [Set("b", "x" * 990)]))
    store.write([Upsert("c", {"a": "y" * 500}, id=1)])
    assert fields(store) == {"a": "y" * 500}


def test_large_documents_warn(store: Store) -> None:
    """Each changed document beyond the bound, not those that were only looked at."""
    large = "x" * DOCUMENT_BYTES_WARN
    assert store.write([Upsert("c", {"a": "x"}, id=1)]).warnings == ()
    (warning,) = store.write([Upsert("c", {"a": large}, id=1), Upsert("c", {"a": "x"}, id=2)]).warnings
    assert "collection c" in warning
    assert str(DOCUMENT_BYTES_WARN) in warning
    assert store.write([Upsert("c", {"b": 1}, id=2), Update("c", "_id == 1 && a == 'y'", [Set("z", 1)])]).warnings == ()
    assert len(store.write([Upsert("c", {"b": 1}, id=1)]).warnings) == 1


keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=5).filter(lambda key: key != "_id")
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, values, max_size=4))
def test_any_object_comes_back(value: dict[str, Any]) -> None:
    """What was written is what is read, through both ways of reading, also where its record was delivered."""
    with Store.in_memory(clock=now) as store, Store.in_memory(clock=now) as other:
        store.write([Upsert("c", value, id=1)])
        assert fields(store) == value
        printed = store.get_json("c", 1)
        assert printed is not None
        assert msgspec.json.decode(printed) == value
        other.apply(log(store))
        assert other.get_json("c", 1) == printed
