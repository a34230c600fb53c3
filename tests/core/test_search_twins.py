"""The compiled search gives what the plain one does: the same documents in the same order, the same counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import _core, core
from crdtstore.errors import Corrupted, CrdtStoreError, StoreClosed, StoreError
from crdtstore.prepared import Look, ShortWay, compiled_look
from crdtstore.query import search
from crdtstore.query import source as reading
from crdtstore.query.order import DQL_ORDER, LEGACY_ORDER, Order, OrderKey
from crdtstore.query.program import Filter
from crdtstore.query.source import Source
from crdtstore.query.tree import MISSING
from crdtstore.storage.documents import DOCUMENTS, id_key
from crdtstore.storage.index import Index
from crdtstore.storage.interface import Batch
from crdtstore.storage.tables import SEAL_BYTES, Table
from crdtstore.store import Store
from tests.query.searching import (
    ENTRIES,
    World,
    column,
    conditions,
    index_range,
    open_world,
    orders,
    plainly,
    sources,
)
from tests.storage.test_seals import positions

Search = Callable[..., Any]
TWINS: dict[str, tuple[Search, Search]] = {
    "count": (search.count_plainly, search.search_count),
    "json": (search.json_plainly, search.search_json),
    "top": (search.top_plainly, search.search_top),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store, made = open_world("lmdb", tmp_path_factory.mktemp("search"))
    with store:
        yield made


def outcome(run: Search, *arguments: Any) -> Any:
    """What a search gives, or the error that it raises."""
    try:
        return run(*arguments)
    except CrdtStoreError as error:
        return type(error), error.data


def differences(world: World, name: str, source: Source, condition: Filter | None, *rest: Any) -> list[Any]:
    """What the twins give, where it is not the same."""
    both = [outcome(run, *world, source, condition, *rest) for run in TWINS[name]]
    return both if both[0] != both[1] else []


def random_sources(world: World, seed: int, count: int) -> Iterator[Source]:
    """Ranges that begin and end anywhere, of documents and of entries, read either way."""
    random = Random(seed)
    keys = {table: [key for key, _ in world.snapshot.scan(table, b"", b"\xff")] for table in (DOCUMENTS, ENTRIES)}
    keys[ENTRIES] = [key for key in keys[ENTRIES] if key[3] == 1] * 2 + keys[ENTRIES]
    for _ in range(count):
        table = random.choice((DOCUMENTS, ENTRIES, ENTRIES))
        bounds = [random.choice(keys[table])[: random.choice((5, 9, 300))] for _ in range(2 * random.randrange(1, 4))]
        if table == DOCUMENTS:
            bounds = [world.collection.prefix + bound[4:] for bound in bounds]
        ranges = tuple(zip(sorted(bounds)[::2], sorted(bounds)[1::2], strict=True))
        yield Source(table, ranges, repeats=random.random() < 0.5, descending=random.random() < 0.5)


# --- the same ---


def test_twins_count_alike(world: World) -> None:
    for (source, _), condition in product(sources(world).values(), conditions(4, 4)):
        assert differences(world, "count", source, condition) == []


@pytest.mark.parametrize(("skip", "limit"), [(0, 10_000), (0, 0), (3, 1), (120, 137), (5, 2**62)])
def test_twins_print_alike(world: World, skip: int, limit: int) -> None:
    for (source, _), condition in product(sources(world).values(), conditions(5, 2)):
        assert differences(world, "json", source, condition, skip, limit) == []


def test_twins_read_any_ranges_alike(world: World) -> None:
    rows = 0
    for source in random_sources(world, 1, 300):
        assert differences(world, "json", source, None, 0, 1_000) == [], source
        rows += len(search.search_json(*world, source, None, 0, 1_000)[0])
    assert rows > 1_000


@pytest.mark.parametrize("keep", [0, 1, 5, 130, 10_000])
def test_twins_keep_alike(world: World, keep: int) -> None:
    ways = sources(world)
    for order, condition in product(orders(keep, 12), conditions(keep, 1)):
        for source in (ways["all"][0], ways["items"][0]):
            for skip in (0, keep // 2, keep + 1):
                assert differences(world, "top", source, condition, order, keep, None, skip) == [], order


def test_after_any_document_twins_go_on_alike(world: World) -> None:
    for order in orders(3, 3):
        found, matched, _ = search.search_top(*world, world.everything(), None, order, 10_000)
        assert matched == len(found) == world.collection.living
        for number, (key, _, _) in enumerate(found):
            rest, *_ = search.search_top(*world, world.everything(), None, order, 10, key)
            assert rest == found[number + 1 : number + 11]
        for other in (b"", found[7][0][:-1], found[7][0] + b"x", b"\xff" * 5_000):
            assert differences(world, "top", world.everything(), None, order, 10, other, 0) == []


def test_columns_of_any_length_are_turned_round(tmp_path: Path) -> None:
    """A column may end where a fetch does, or go on over several."""
    store, world = open_world("lmdb", tmp_path, count=40)
    rows = world.rows()
    with store:
        for number, lengths in enumerate([(1, 7, 8, 9), (8, 32, 1), (40, 41), (31, 33, 128, 1, 129), (300, 2)], 10):
            head = number.to_bytes(4, "big") + bytes([number - 1])
            with store.storage.batch() as batch:
                for value, length in enumerate(lengths):
                    for place in range(length):
                        id_ = id_key(rows[place % 5].id)
                        # What stands before the id tells the entries of a column apart; the id stays the last part.
                        batch.put(ENTRIES, head + column(value) + place.to_bytes(2, "big") + id_, bytes([len(id_)]))
                        batch.put(ENTRIES, head + b"\x40" + column(value) + id_, bytes([len(id_)]))
                batch.commit()
            with store.storage.snapshot() as snapshot:
                seen = world._replace(snapshot=snapshot)
                for cut in (5, 6, 12, 16):
                    start = min(key for key, _ in snapshot.scan(ENTRIES, head))[:cut]
                    source = Source(ENTRIES, ((start, head + b"\xff"),), descending=True)
                    assert differences(seen, "json", source, None, 0, 10_000) == []


def test_what_only_the_plain_twin_can_judge_may_use_the_snapshot(world: World) -> None:
    seen = []

    def test(lookup: Any) -> bool:
        seen.append(world.snapshot.count(DOCUMENTS))
        return lookup(("a",)) is MISSING

    condition = plainly(test)
    assert differences(world, "count", world.everything(), condition) == []
    assert len(seen) == 2 * world.collection.living


def test_an_error_of_a_test_ends_the_search(world: World) -> None:
    def fail(_: Any) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search.search_count(*world, world.everything(), plainly(fail))
    assert search.search_count(*world, world.everything(), None)[0] == world.collection.living


def test_a_batch_is_searched_with_its_own_writes(tmp_path: Path) -> None:
    store, world = open_world("lmdb", tmp_path, count=40)
    with store, store.storage.batch() as batch:
        seen = world._replace(snapshot=batch)
        gone = world.rows()[3]
        batch.delete(DOCUMENTS, world.collection.prefix + id_key(gone.id))
        assert differences(seen, "json", world.everything(), None, 0, 1_000) == []
        assert search.search_count(*seen, world.everything(), None)[0] == world.collection.living - 1
        batch.abort()


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("table", [DOCUMENTS, ENTRIES])
def test_a_batch_that_is_written_to_meanwhile_ends_the_search(tmp_path: Path, table: int, descending: bool) -> None:  # noqa: FBT001  as in Source
    store, world = open_world("lmdb", tmp_path, count=40)
    ranges = world.everything().ranges if table == DOCUMENTS else index_range(1)
    source = Source(table, ranges, descending=descending)
    with store:
        for run in TWINS["json"]:
            with store.storage.batch() as batch:

                def write(_: Any, batch: Batch = batch) -> bool:
                    for number in range(100):
                        batch.put(Table.KEYS, b"%d" % number, bytes(1_000))
                    return True

                with pytest.raises(StoreError, match="written to"):
                    run(*world._replace(snapshot=batch), source, plainly(write), 0, 1_000)
                batch.abort()


# --- damage ---


def damaged(tmp_path: Path, number: int) -> tuple[Path, bytes]:
    """A store with one bit flipped in a document's or an entry's row, and that row's key."""
    random = Random(number)
    store, world = open_world("lmdb", tmp_path, count=40)
    with store:
        table = (DOCUMENTS, ENTRIES)[number % 2]
        start = world.collection.prefix if table == DOCUMENTS else b"\0\0\0\x01"
        rows = list(world.snapshot.scan(table, start, start + b"\xff"))
        key, value = random.choice(rows)
    file = tmp_path / "store" / "data.mdb"
    data = bytearray(file.read_bytes())
    place = random.randrange(len(value) + SEAL_BYTES)
    sealed = core.crc32c(value, core.crc32c(key, core.crc32c(bytes([table])))).to_bytes(SEAL_BYTES, "little")
    for at in positions(bytes(data), value + sealed):
        data[at + place] ^= 1 << random.randrange(8)
    file.write_bytes(data)
    return file.parent, key


@pytest.mark.parametrize("number", range(12))
def test_a_flipped_bit_is_damage(tmp_path: Path, number: int) -> None:
    folder, key = damaged(tmp_path, number)
    with Store.open(folder, durability="none") as store, store.storage.snapshot() as snapshot:
        catalog = store.sequencer.catalog
        world = World(snapshot, catalog, catalog.by_name["things"])
        table, documents = ("documents", "entries")[number % 2], world.everything()
        for source in (documents, Source(ENTRIES, index_range(1)), Source(ENTRIES, index_range(1), descending=True)):
            if number % 2 and source is documents:
                continue
            order = orders(number, 1)[0]
            for name, rest in (("count", ()), ("json", (0, 1_000)), ("top", (order, 5, None, 0))):
                assert differences(world, name, source, None, *rest) == []
                error, data = outcome(TWINS[name][1], *world, source, None, *rest)
                assert error is Corrupted
                assert (data["key"], table) == (key.hex(), table)
        index = Index(1, world.collection.number, "", "fields", ())
        index.built = None
        way = ShortWay(store, catalog, world.collection, index, Look(b"\0\0\0\x01", (), (), 0))
        for find in (way.find_json, (compiled_look(way) or way).find_json):
            error, data = outcome(find, {})
            assert error is Corrupted
            assert (data["key"], table) == (key.hex(), table)


# --- threads ---


def test_a_store_is_closed_while_it_is_searched(tmp_path: Path) -> None:
    store, world = open_world("lmdb", tmp_path)
    started = threading.Barrier(3)
    results: list[Any] = []

    def run(condition: Filter | None) -> None:
        started.wait(60)
        try:
            while True:
                search.search_count(*world._replace(snapshot=store.storage.snapshot()), world.everything(), condition)
        except StoreClosed as error:
            results.append(type(error))

    wanted = (None, plainly(lambda lookup: lookup(("b",)) == 1))
    threads = [threading.Thread(target=run, args=(condition,)) for condition in wanted]
    for thread in threads:
        thread.start()
    started.wait(60)
    store.close()
    for thread in threads:
        thread.join(60)
    assert results == [StoreClosed, StoreClosed]
    with pytest.raises(StoreClosed):
        search.search_json(*world, world.everything(), None, 0, 1)


def test_a_snapshot_is_closed_within_a_search(tmp_path: Path) -> None:
    store, world = open_world("lmdb", tmp_path, count=40)

    def close(_: Any) -> bool:
        world.snapshot.close()
        return True

    with store, pytest.raises(StoreClosed):
        search.search_json(*world, world.everything(), plainly(close), 0, 1_000)


# --- controls ---


def test_the_harness_finds_a_search_that_leaves_one_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = _core.search_json

    def leave_out(*arguments: Any) -> Any:
        found, *examined = keep(*arguments)
        return found[:40] + found[41:], *examined

    monkeypatch.setattr(core, "search_json", leave_out)
    assert differences(world, "json", world.everything(), None, 0, 1_000) != []


def test_the_harness_finds_columns_that_are_not_turned_round(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "column_of", lambda _, row: row[0])
    source = Source(ENTRIES, index_range(1), descending=True)
    assert differences(world, "json", source, None, 0, 1_000) != []


def test_the_harness_finds_a_key_of_another_rank(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep: Search = _core.search_top

    def other_ranks(*arguments: Any) -> Any:
        order = arguments[7]._replace(ranks=LEGACY_ORDER)
        return keep(*arguments[:7], order, *arguments[8:])

    monkeypatch.setattr(core, "search_top", other_ranks)
    order = Order((OrderKey(("a",)),), DQL_ORDER)
    assert differences(world, "top", world.everything(), None, order, 10, None, 0) != []
