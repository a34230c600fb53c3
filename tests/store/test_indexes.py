"""Indexes of a store: made beside the writes, taken up again, dropped, refused."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore import indexes as module
from crdtstore import prepared as prepared_module
from crdtstore.errors import (
    Corrupted,
    FormatTooNew,
    IndexExists,
    InvalidIndex,
    LimitExceeded,
    OutsideScope,
    Overloaded,
    StoreClosed,
    StoreFull,
    StoreReadOnly,
    UnknownIndex,
)
from crdtstore.indexes import Indexes
from crdtstore.limits import DEPTH_MAX, INDEX_PAUSE_SECONDS, INDEXES_MAX
from crdtstore.query.search import search_range_json
from crdtstore.storage import index_build, stored_format
from crdtstore.storage.backup import back_up
from crdtstore.storage.compact import compact
from crdtstore.storage.memory import Batch, MemoryStorage
from crdtstore.storage.tables import Table
from crdtstore.storage.verify import verify
from crdtstore.version.index_jobs import advance_index, drop_index
from crdtstore.version.restore import restore
from tests.storage.engines import content
from tests.storage.index_histories import create
from tests.storage.index_model import faults
from tests.storage.verified import plant, rows

DOCUMENTS = 25


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_build, "INDEX_BUILD_DOCUMENTS", 10)
    monkeypatch.setattr(index_build, "INDEX_DROP_ENTRIES", 10)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory(clock=lambda: 1) as opened:
        fill(opened)
        yield opened


def fill(store: Store) -> None:
    """Write the documents."""
    store.write([Upsert("cities", {"name": f"city {n}", "tags": ["a", n]}, id=n) for n in range(DOCUMENTS)])


def test_an_index_is_made_and_tells_how_far_it_is(store: Store) -> None:
    told: list[tuple[int, int]] = []
    state = Indexes(store).create("cities", [("tags",)], progress=lambda *done: told.append(done))
    assert told == [(10, 25), (20, 25), (25, 25)]
    assert (state.name, state.state, state.entries, state.documents, state.of) == ("tags", "ready", 75, 25, 25)
    assert faults(store) == []


def test_an_index_of_nothing_is_ready(store: Store) -> None:
    indexes = Indexes(store)
    assert indexes.create("new", [("a", "b"), ("c", 0)]).name == "a.b,c.0"
    assert indexes.create("new", kind="conflicts").name == "conflicts"
    store.write([Upsert("new", {"a": {"b": 1}}, id=1)])
    assert [(state.state, state.entries) for state in indexes.list("new")] == [("ready", 1), ("ready", 0)]
    assert faults(store) == []


def test_writes_go_on_between_two_pieces(store: Store) -> None:
    def write(done: int, _of: int) -> None:
        store.write([Upsert("cities", {"name": "new", "tags": [done]}, id=n) for n in (1, done, done + 3, 50)])
        assert faults(store) == []

    state = Indexes(store).create("cities", [("tags",)], progress=write)
    assert state.documents == state.of > DOCUMENTS
    assert faults(store) == []


def test_an_unfinished_index_is_taken_up_again(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        fill(store)
        create(store, (("name",),))
        store.run(partial(advance_index, number=0))
    with Store.open(tmp_path / "store", durability="none") as store:
        indexes = Indexes(store)
        assert [(state.state, state.documents) for state in indexes.list()] == [("building", 10)]
        assert faults(store) == []
        indexes.start()
        indexes.start()
        thread = indexes.thread
        if thread is not None:
            thread.join()
        assert [(state.state, state.entries) for state in indexes.list()] == [("ready", DOCUMENTS)]
        assert faults(store) == []
        assert indexes.build() == 0


def test_an_index_is_built_in_the_background(store: Store) -> None:
    indexes = Indexes(store)
    indexes.create("cities", [("name",)], wait=False)
    thread = indexes.thread
    if thread is not None:
        thread.join()
    assert indexes.list()[0].state == "ready"
    indexes.drop("name", wait=False)
    while (thread := indexes.thread) is not None:
        thread.join()
    assert indexes.list() == ()
    assert content(store.storage, Table.ENTRIES) == {}


def test_the_background_ends_with_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    indexes = Indexes(store)
    create(store, (("name",),))
    monkeypatch.setattr(store.submitter, "submit", refuse)
    indexes.start()
    while (thread := indexes.thread) is not None:
        thread.join()
    assert indexes.list()[0].state == "building"


def test_the_background_waits_while_the_store_is_overloaded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    indexes = Indexes(store)
    create(store, (("name",),))
    slept: list[float] = []
    submit = store.submitter.submit

    def overloaded(*_: object) -> Any:
        monkeypatch.setattr(store.submitter, "submit", submit)
        raise Overloaded("Too much waits to be written.")

    monkeypatch.setattr(store.submitter, "submit", overloaded)
    monkeypatch.setattr(module, "sleep", slept.append)
    indexes.start()
    while (thread := indexes.thread) is not None:
        thread.join()
    assert slept == [INDEX_PAUSE_SECONDS]
    assert indexes.list()[0].state == "ready"


def refuse(*_: object) -> Any:
    """As a closed store does."""
    raise StoreClosed("The store was closed.")


def test_a_dropped_index_goes_in_pieces_and_its_name_is_free_at_once(store: Store) -> None:
    indexes = Indexes(store)
    kept = indexes.create("cities", [("name",)])
    number = indexes.create("cities", [("tags",)]).number
    indexes.store.run(partial(drop_index, number=number))
    assert [state.state for state in indexes.list()] == ["ready", "dropping"]
    with pytest.raises(UnknownIndex):
        indexes.find("tags")
    again = indexes.create("cities", [("tags",)])
    assert again.number != number
    assert indexes.build() == 1
    assert indexes.list() == (kept, again)
    assert faults(store) == []
    indexes.drop("tags")
    assert indexes.list() == (kept,)
    assert faults(store) == []


def test_a_name_that_several_collections_have_needs_the_collection(store: Store) -> None:
    indexes = Indexes(store)
    for collection in ("cities", "rivers"):
        indexes.create(collection, [("name",)])
    with pytest.raises(InvalidIndex, match="cities, rivers"):
        indexes.drop("name")
    indexes.drop("name", collection="rivers")
    assert [state.collection for state in indexes.list()] == ["cities"]


@pytest.mark.parametrize(
    ("paths", "given", "error"),
    [
        ([("a",)], {"name": ""}, InvalidIndex),
        ([("a",)], {"name": "x" * 256}, InvalidIndex),
        ([("a",)], {"name": "\ud800"}, InvalidIndex),
        ([("a",)], {"kind": "others"}, InvalidIndex),
        ([("a",)], {"kind": "conflicts"}, InvalidIndex),
        ([], {}, InvalidIndex),
        ([()], {"name": "a"}, InvalidIndex),
        ([("a", -1)], {}, InvalidIndex),
        ([("a", True)], {}, InvalidIndex),
        ([("\ud800",)], {"name": "a"}, InvalidIndex),
        ([("a",), ("a",)], {}, InvalidIndex),
        ([("a",), ("b",), ("c",), ("d",), ("e",)], {}, LimitExceeded),
        ([("a",) * (DEPTH_MAX + 1)], {"name": "a"}, LimitExceeded),
        ([("a" * 5_000,)], {"name": "a"}, LimitExceeded),
        ([("name",)], {"name": "other"}, IndexExists),
        ([("other",)], {"name": "name"}, IndexExists),
    ],
)
def test_what_is_no_index_is_refused(store: Store, paths: Any, given: Any, error: type[Exception]) -> None:
    indexes = Indexes(store)
    before = indexes.create("cities", [("name",)])
    with pytest.raises(error):
        indexes.create("cities", paths, **given)
    with pytest.raises(error):
        indexes.create("unheard of" if error is not IndexExists else "cities", paths, **given)
    assert indexes.list() == (before,)
    assert store.sequencer.catalog.by_name.keys() == {"cities"}


def test_indexes_are_bounded(store: Store) -> None:
    indexes = Indexes(store)
    for number in range(INDEXES_MAX):
        indexes.create("new", [(f"f{number}",)])
    with pytest.raises(LimitExceeded, match="drop one"):
        indexes.create("new", [("one more",)])


def test_a_store_of_some_collections_indexes_only_these() -> None:
    with Store.in_memory(scope=["cities"]) as store, pytest.raises(OutsideScope):
        Indexes(store).create("rivers", [("name",)])


def test_a_store_that_is_only_read_lists_its_indexes(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        fill(store)
        made = Indexes(store).create("cities", [("name",)])
    with Store.open(tmp_path / "store", read_only=True) as store:
        assert Indexes(store).list() == (made,)
        with pytest.raises(StoreReadOnly):
            Indexes(store).drop("name")


def test_an_index_that_goes_while_a_prepared_query_looks_is_not_used(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes = Indexes(store)
    indexes.create("cities", [("name",)])
    prepared = store.prepare("cities", "name == $args.name")
    expected = prepared.find_json(name="city 3")
    assert len(expected) == 1
    assert prepared.way is not None

    def dropping(*arguments: Any) -> Any:
        monkeypatch.undo()
        indexes.drop("name")
        return search_range_json(*arguments)

    monkeypatch.setattr(prepared_module, "search_range_json", dropping)
    assert prepared.find_json(name="city 3") == expected
    assert indexes.list() == ()


def test_a_prepared_query_of_a_store_that_is_only_read_looks_into_no_index(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        fill(store)
        Indexes(store).create("cities", [("name",)])
        expected = store.prepare("cities", "name == $args.name").find_json(name="city 3")
    with Store.open(tmp_path / "store", read_only=True) as store:
        prepared = store.prepare("cities", "name == $args.name")
        assert prepared.find_json(name="city 3") == expected
        assert prepared.way is None


# --- what fails ---


def test_a_dropped_group_leaves_entries_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    with Store.in_memory(storage=storage) as store:
        fill(store)
        Indexes(store).create("cities", [("tags",)])
        before = content(storage, Table.ENTRIES)
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "commit", fail_full)
            with pytest.raises(StoreFull):
                store.write([Upsert("cities", {"tags": [9, 8]}, id=1), Upsert("cities", {"tags": [7]}, id="new")])
            with pytest.raises(StoreFull):
                Indexes(store).create("cities", [("other",)])
        assert content(storage, Table.ENTRIES) == before
        assert faults(store) == []
        store.write([Upsert("cities", {"tags": [9, 8]}, id=1)])
        assert faults(store) == []


def fail_full(batch: Batch) -> None:
    """As a disk that is full."""
    batch.abort()
    raise StoreFull("The disk of the store is full.")


def test_a_damaged_document_stops_the_build_and_nothing_else(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        fill(store)
    key = sorted(rows(tmp_path / "store", Table.DOCUMENTS))[14]
    plant(tmp_path / "store", Table.DOCUMENTS, key, b"damaged", sealed=False)
    with Store.open(tmp_path / "store", durability="none") as store:
        indexes = Indexes(store)
        with pytest.raises(Corrupted):
            indexes.create("cities", [("name",)])
        assert [(state.state, state.documents) for state in indexes.list()] == [("building", 10)]
        assert store.write([Upsert("cities", {"name": "x"}, id=1)]).txn == 2
        indexes.drop("name")
        assert content(store.storage, Table.ENTRIES) == {}


def test_a_damaged_index_is_dropped_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(path, durability="none") as store:
        fill(store)
        Indexes(store).create("cities", [("tags",)])
    first, *others = sorted(rows(path, Table.ENTRIES))
    plant(path, Table.ENTRIES, first, b"damaged", sealed=False)
    plant(path, Table.ENTRIES, others[9], None)
    found = list(verify(path))
    assert {finding.code for finding in found} == {"seal", "index"}
    assert all("crdtstore index drop" in finding.action for finding in found)
    with Store.open(path, durability="none") as store:
        Indexes(store).drop("tags")
        Indexes(store).create("cities", [("tags",)])
        assert faults(store) == []
    assert list(verify(path)) == []


def test_who_knows_no_indexes_does_not_open_a_store_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store"
    with Store.open(path, durability="none") as store:
        fill(store)
    monkeypatch.setattr(stored_format, "FORMAT", 1)
    with Store.open(path, durability="none") as store:
        Indexes(store).create("cities", [("tags",)])
    with pytest.raises(FormatTooNew):
        Store.open(path)


def test_copies_keep_the_indexes(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        fill(store)
        made = Indexes(store).create("cities", [("tags",)])
        create(store, (("name",),))
    back_up(tmp_path / "store", tmp_path / "backup", created=1)
    restore(tmp_path / "backup", tmp_path / "restored")
    compact(tmp_path / "restored")
    assert list(verify(tmp_path / "restored")) == []
    with Store.open(tmp_path / "restored", durability="none") as store:
        assert Indexes(store).list()[0] == made
        assert Indexes(store).build() == 1
        assert faults(store) == []
