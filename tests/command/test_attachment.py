"""Attachments and INITIAL writes as callers ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtstore.command.command import Increment, Remove, Set, SetAttachment, Update, Upsert
from crdtstore.command.parse import parse_commands
from crdtstore.command.result import Updated, Upserted
from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.value import decode_value
from crdtstore.errors import CrdtStoreError, InvalidDocument, InvalidValue, LimitExceeded
from crdtstore.limits import ATTACHMENT_ID_BYTES_MAX, ATTACHMENT_TOKEN_BYTES_MAX
from crdtstore.store import Store
from tests.version.stores import KINDS, log, now, open_store

TOKEN = {"id": "RUGM_a", "len": 261_322, "metadata": {"name": "photo.jpg", "kind": "image"}}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store, on disk and in memory."""
    with open_store(request.param, tmp_path / "store") as made:
        yield made


def fields(store: Store, id_: Any = 1) -> Any:
    """The fields of a document; None when it does not exist."""
    document = store.get("c", id_)
    return None if document is None else document.fields


# --- attachments ---


def test_a_token_is_written_and_read(store: Store) -> None:
    store.write([Upsert("c", {"photo": TOKEN, "x": 1}, id=1, value_types={"photo": "attachment"})])
    assert fields(store) == {"photo": TOKEN, "x": 1}
    assert {cell.type for cell in store.cells("c", 1)} == {CellType.ATTACHMENT, CellType.REGISTER}
    other = {"id": "other", "len": 0}
    assert store.write([Update("c", "true", [SetAttachment("photo", other)])]).results == (Updated(1, 0),)
    assert fields(store)["photo"] == {**other, "metadata": {}}
    assert [found.id for found in store.find("c", "photo.id == 'other'").documents] == [1]


def test_commands_are_read_from_json() -> None:
    body = b"""{"commands": [
        {"method": "upsert", "collection": "c", "value": {"f": {"id": "a", "len": 1, "metadata": {}}},
         "valueTypeOverrides": {"f": "attachment"}, "initial": true},
        {"method": "update", "collection": "c", "query": "true", "commands": [
            {"method": "setAttachment", "path": "f", "value": {"id": "a", "len": 1}}]},
        {"method": "remove", "collection": "c", "query": "true", "deletes": "permanent"}]}"""
    upsert, update, remove = parse_commands(body)
    assert isinstance(upsert, Upsert)
    assert upsert.initial
    assert isinstance(update, Update)
    assert update.commands == [SetAttachment("f", {"id": "a", "len": 1})]
    assert remove == Remove("c", "true", deletes="permanent")


def test_metadata_has_one_order() -> None:
    backwards = {"metadata": {"b": "2", "a": "1"}, "len": 0, "id": "x"}
    assert list(decode_value(encode_token(backwards))) == ["id", "len", "metadata"]
    assert encode_token(backwards) == encode_token({"id": "x", "len": 0, "metadata": {"a": "1", "b": "2"}})


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ("text", InvalidValue),
        ({}, InvalidValue),
        ({"id": "a"}, InvalidValue),
        ({"id": "", "len": 1}, InvalidValue),
        ({"id": 1, "len": 1}, InvalidValue),
        ({"id": "a", "len": -1}, InvalidValue),
        ({"id": "a", "len": True}, InvalidValue),
        ({"id": "a", "len": 1.0}, InvalidValue),
        ({"id": "a", "len": 2**63}, InvalidValue),
        ({"id": "a", "len": 1, "metadata": {"k": 1}}, InvalidValue),
        ({"id": "a", "len": 1, "metadata": None}, InvalidValue),
        ({"id": "a", "len": 1, "more": 1}, InvalidValue),
        ({"id": "a" * (ATTACHMENT_ID_BYTES_MAX + 1), "len": 1}, LimitExceeded),
        ({"id": "a", "len": 1, "metadata": {"k": "x" * ATTACHMENT_TOKEN_BYTES_MAX}}, LimitExceeded),
    ],
)
def test_what_is_no_token_is_refused(token: Any, error: type[CrdtStoreError]) -> None:
    with pytest.raises(error):
        encode_token(token)
    with Store.in_memory() as store, pytest.raises(error):
        store.write([Upsert("c", {"f": token}, id=1, value_types={"f": "attachment"})])


def test_an_unknown_type_is_named() -> None:
    with Store.in_memory() as store, pytest.raises(InvalidDocument, match="attachment, counter or register"):
        store.write([Upsert("c", {"f": 1}, id=1, value_types={"f": "set"})])


# --- INITIAL writes ---


def test_only_where_no_document_is(store: Store) -> None:
    assert store.write([Upsert("c", {"x": 1}, id=1, initial=True)]).results == (Upserted(1),)
    before = log(store)
    assert store.write([Upsert("c", {"x": 2, "y": 3}, id=1, initial=True)]).results == (Upserted(1),)
    assert log(store) == before
    assert fields(store) == {"x": 1}
    store.write([Remove("c", "true"), Upsert("c", {"x": 4}, id=1, initial=True)])
    assert fields(store) == {"x": 4}
    assert all(cell.initial for cell in store.cells("c", 1))


def test_any_real_write_wins(store: Store) -> None:
    """The INITIAL write is the later one, and still loses; what it alone has is seen."""
    with Store.in_memory(clock=lambda: now() + 60_000) as other:
        given = {"x": 2, "y": 3, "m": {"a": 1}, "n": 10}
        other.write([Upsert("c", given, id=1, value_types={"n": "counter"}, initial=True)])
        store.write([Upsert("c", {"x": 1, "m": 5}, id=1)])
        store.write([Update("c", "true", [Increment("n", 2)])])
        store.apply(log(other))
        assert fields(store) == {"m": 5, "n": 2, "x": 1, "y": 3}
        assert [rival.value for rival in store.conflicts("c", 1)["x"]] == [1, 2]
        store.write([Update("c", "true", [Set("y", 4), Increment("n", 1)])])
        assert fields(store) == {"m": 5, "n": 3, "x": 1, "y": 4}


def test_what_is_added_to_an_initial_counter_is_a_real_write(store: Store) -> None:
    store.write([Upsert("c", {"n": 10}, id=1, value_types={"n": "counter"}, initial=True)])
    with Store.in_memory(clock=now) as other:
        other.write([Upsert("c", {}, id=1)])
        other.write([Update("c", "true", [Increment("n", 5)])])
        store.write([Update("c", "true", [Increment("n", 1)])])
        store.apply(log(other))
        assert fields(store) == {"n": 16}
