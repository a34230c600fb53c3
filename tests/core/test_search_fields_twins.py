"""The compiled search makes the rows that the plain one does, in the same pieces, from documents of every form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crdtstore import core
from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.document_bytes import pack_document
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import encode_value
from crdtstore.errors import Corrupted, CrdtStoreError, StoreClosed, StoreError
from crdtstore.query import search
from crdtstore.query.program import Filter
from crdtstore.query.search import Fetched, search_fields
from crdtstore.query.source import Source
from crdtstore.storage.documents import DOCUMENTS
from crdtstore.storage.environment import open_storage
from crdtstore.storage.interface import Storage
from crdtstore.storage.tables import Table
from crdtstore.store import Store
from tests.core.merging import ACTORS, ORIGINS
from tests.core.strategies import KEYS, Stored, document, documents, texts
from tests.core.test_search_twins import damaged, random_sources
from tests.query.searching import ENTRIES, World, conditions, index_range, open_world, plainly, sources

Search = Callable[..., Fetched]
MANY = 10_000
PREFIX = b"\0\0\0\x09"
WHOLE = Source(DOCUMENTS, ((PREFIX, b"\0\0\0\x0a"),))
COPIES = 5
"""The first ones are read in general, the others by what is known of their shape."""


def fields_plainly(*arguments: Any) -> Fetched:
    """The plain twin, with the names as its caller gives them."""
    changed = list(arguments)
    if changed[5] is not None:
        changed[5] = search.names_in_order(changed[5])
    return search.fields_plainly(*changed)


TWINS: tuple[Search, Search] = (fields_plainly, search_fields)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store, made = open_world("lmdb", tmp_path_factory.mktemp("fields"))
    with store:
        yield made


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    path = tmp_path_factory.mktemp("documents") / "store"
    with open_storage(path, create=True, read_only=False, durable=False) as made:
        yield made


def pieces(run: Search, world: World, source: Source, condition: Filter | None, names: Any, seed: int) -> list[str]:
    """What a search gives piece by piece, or the error that ends it, in a form whose equality tells types apart."""
    random = Random(seed)
    found: list[str] = []
    left: Source | None = source
    while left is not None:
        limit, examined_max = (random.choice((1, 3, 40, 129, MANY)) for _ in range(2))
        try:
            rows, left, examined = run(*world, left, condition, names, limit, examined_max)
        except CrdtStoreError as error:
            return [*found, repr((type(error), error.data))]
        found.append(repr((rows, left and left._replace(came=None), examined)))
    return found


def differences(world: World, source: Source, condition: Filter | None, names: Any, seed: int = 1) -> list[Any]:
    """What the twins give, where it is not the same."""
    both = [pieces(run, world, source, condition, names, seed) for run in TWINS]
    return both if both[0] != both[1] else []


# --- the same ---


def test_twins_give_the_same_pieces(world: World) -> None:
    for seed, ((source, _), condition) in enumerate(product(sources(world).values(), conditions(9, 4))):
        names = (None, ("c", "a", "_id"), ("l", "n", "b"))[seed % 3]
        assert differences(world, source, condition, names, seed) == [], source


def test_twins_read_any_ranges_alike(world: World) -> None:
    for seed, source in enumerate(random_sources(world, 2, 120)):
        assert differences(world, source, None, ("_id", "a"), seed) == [], source


def seen(stored: Stored, snapshot: Any) -> World:
    """A collection that has a document's dictionaries."""
    collection: Any = SimpleNamespace(prefix=PREFIX, paths=stored.paths)
    catalog: Any = SimpleNamespace(replicas=stored.replicas)
    return World(snapshot, catalog, collection)


def read_both(storage: Storage, stored: Stored, names: Any) -> list[Any]:
    """Where the twins make other rows of copies of a document."""
    with storage.batch() as batch:
        for number in range(COPIES):
            batch.put(DOCUMENTS, PREFIX + encode_id(number), stored.data)
        return differences(seen(stored, batch), WHOLE, None, names)


asked = st.none() | st.lists(st.sampled_from((*KEYS, "_id", "\ud800")) | texts, max_size=6).map(tuple)


@given(documents, asked)
def test_documents_of_every_form_make_the_same_rows(storage: Storage, stored: Stored, names: Any) -> None:
    if stored.data:
        assert read_both(storage, stored, names) == []


inside = st.none() | st.booleans() | st.integers(-9, 9) | texts | st.binary(max_size=9) | st.lists(texts, max_size=2)
ids = st.one_of(
    st.integers(-(2**63), 2**63 - 1) | st.booleans() | texts.filter(bool),
    st.floats(allow_nan=False, allow_infinity=False),
    st.dictionaries(texts, inside, max_size=3),
)


@given(st.lists(ids, max_size=5))
def test_ids_of_every_form_are_the_same(storage: Storage, wanted: list[Any]) -> None:
    stored = document({("a",): 1})
    with storage.batch() as batch:
        for id_ in wanted:
            batch.put(DOCUMENTS, PREFIX + encode_id(id_), stored.data)
        assert differences(seen(stored, batch), WHOLE, None, ("_id",)) == []


def test_more_shapes_than_are_known_at_a_time(storage: Storage) -> None:
    """Each comes often enough to be known, and drives others out."""
    random = Random(3)
    names = [f"n{number}" for number in range(9)]
    shapes = [random.sample(names, random.randrange(1, 10)) for _ in range(300)]
    fields = [{(name,): random.choice((1, "a", [1], {"b": 1})) for name in random.choice(shapes)} for _ in range(3_000)]
    whole = document({(name,): 0 for name in names})
    with storage.batch() as batch:
        for number, each in enumerate(fields):
            made = [register(name[0], value) for name, value in each.items()]
            batch.put(DOCUMENTS, PREFIX + encode_id(number), pack_document(made, whole.paths, whole.replicas))
        for asked_names in (None, ("n1", "n7")):
            assert differences(seen(whole, batch), WHOLE, None, asked_names) == []


def register(name: str, value: Any) -> Cell:
    """A field that one transaction wrote."""
    return Cell(encode_path((name,)), CellType.REGISTER, Stamp(1, ACTORS[0], ORIGINS[0]), encode_value(value))


# --- damage ---


@pytest.mark.parametrize("number", range(4))
def test_a_flipped_bit_is_damage(tmp_path: Path, number: int) -> None:
    folder, key = damaged(tmp_path, number)
    with Store.open(folder, durability="none") as store, store.storage.snapshot() as snapshot:
        catalog = store.sequencer.catalog
        world = World(snapshot, catalog, catalog.by_name["things"])
        for source in (
            world.everything(),
            *(Source(ENTRIES, index_range(1), descending=back) for back in (False, True)),
        ):
            assert differences(world, source, None, None) == []
            if number % 2 == 0 or source.table == ENTRIES:
                with pytest.raises(Corrupted) as caught:
                    search_fields(*world, source, None, None, MANY, MANY)
                assert caught.value.key == key


@given(documents, asked, st.data())
def test_damaged_documents_are_refused_or_read(
    storage: Storage, stored: Stored, names: Any, data: st.DataObject
) -> None:
    if not stored.data:
        return
    altered = bytearray(stored.data)
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    for damage in (bytes(altered), bytes(altered[: data.draw(st.integers(1, len(altered)))])):
        with storage.batch() as batch:
            for number in range(COPIES):
                batch.put(DOCUMENTS, PREFIX + encode_id(number), damage)
            try:
                search_fields(*seen(stored, batch), WHOLE, None, names, MANY, MANY)
            except Corrupted:
                continue


def test_what_is_left_has_a_column_ahead_only_of_descending_entries(world: World) -> None:
    for source in (world.everything(), Source(ENTRIES, index_range(1))):
        with pytest.raises(ValueError, match="column ahead"):
            search_fields(*world, source._replace(ahead=(b"a", b"b")), None, None, 1, 1)


# --- what runs meanwhile ---


def test_a_batch_that_is_written_to_meanwhile_ends_the_search(tmp_path: Path) -> None:
    store, world = open_world("lmdb", tmp_path, count=40)
    with store, store.storage.batch() as batch:

        def write(_: Any) -> bool:
            batch.put(Table.KEYS, b"key", b"value")
            return True

        with pytest.raises(StoreError, match="written to"):
            search_fields(*world._replace(snapshot=batch), world.everything(), plainly(write), None, MANY, MANY)


def test_a_snapshot_is_closed_within_a_search(tmp_path: Path) -> None:
    store, world = open_world("lmdb", tmp_path, count=40)

    def close(_: Any) -> bool:
        world.snapshot.close()
        return True

    with store, pytest.raises(StoreClosed):
        search_fields(*world, world.everything(), plainly(close), None, MANY, MANY)


# --- controls ---


def test_the_harness_finds_a_search_that_goes_on_too_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = core.search_fields

    def go_on_late(*arguments: Any) -> Any:
        *found, last, came = keep(*arguments)
        return *found, last and (last[0] + b"\xff", last[1]), came

    monkeypatch.setattr(core, "search_fields", go_on_late)
    assert differences(world, Source(ENTRIES, index_range(1)), None, ("a",)) != []


def test_the_harness_finds_a_reader_that_takes_integers_for_doubles(storage: Storage) -> None:
    """A twin that gives `1.0` for `1` is found in documents of every form."""

    def careless(*arguments: Any) -> Fetched:
        found = search_fields(*arguments)
        rows: list[Any] = [
            {name: float(value) if value.__class__ is int else value for name, value in row.items()}
            for row in found.rows
        ]
        return found._replace(rows=rows)

    @settings(max_examples=100, phases=[Phase.generate], database=None)
    @given(documents)
    def careless_reader_agrees(stored: Stored) -> None:
        with storage.batch() as batch:
            if stored.data:
                batch.put(DOCUMENTS, PREFIX + encode_id("a"), stored.data)
            world = seen(stored, batch)
            both = [pieces(run, world, WHOLE, None, None, 1) for run in (careless, fields_plainly)]
        assert both[0] == both[1]

    with pytest.raises(AssertionError):
        careless_reader_agrees()
