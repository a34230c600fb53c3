"""Documents as rows: piece by piece a search gives what it gives at once, and that is what a naive reading shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import limits
from crdtstore.command.command import Upsert
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import Corrupted, LimitExceeded
from crdtstore.query import source as reading
from crdtstore.query.program import Filter
from crdtstore.query.search import search_fields
from crdtstore.query.source import Examined, Source
from crdtstore.query.tree import MISSING
from crdtstore.storage.documents import Row, id_key
from crdtstore.storage.index_entries import split_entry
from tests.query.searching import DOCUMENTS, ENTRIES, World, conditions, entry, index_range, open_world, sources

KINDS = ("memory", "lmdb")
NAMES: tuple[tuple[str, ...] | None, ...] = (
    *(
        None,
        (),
        ("a",),
        ("_id",),
        ("c", "_id", "a"),
        ("n", "l", "none", "\ud800", "a", "a"),
        ("_id", "b", "c", "l", "n"),
    ),
)
MANY = 10_000
Names = tuple[str, ...] | None


@pytest.fixture(params=KINDS, scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store, made = open_world(request.param, tmp_path_factory.mktemp("fields"), count=160)
    with store:
        yield made


def naive(world: World, row: Row, names: Names) -> dict[str, Any]:
    """A row by one lookup a field."""
    lookup = world.lookup(row)
    if names is None:
        return {"_id": decode_id(row.id), **lookup(())}
    found = {name: lookup((name,)) for name in sorted(names, key=lambda name: name.encode(errors="replace"))}
    order = ["_id"] * ("_id" in names) + list(found)
    return {name: found[name] for name in order if found[name] is not MISSING}


def exact(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in a form whose equality tells types, signs of zero and the order of fields apart."""
    return [repr(row) for row in rows]


def fetch(
    world: World, source: Source, condition: Filter | None, names: Names, chunks: Iterator[tuple[int, int]]
) -> tuple[list[dict[str, Any]], Examined]:
    """What a search gives in pieces, and what all of them looked at."""
    found: list[dict[str, Any]] = []
    left: Source | None = source
    rows = entries = 0
    while left is not None:
        limit, examined_max = next(chunks)
        piece, left, examined = search_fields(*world, left, condition, names, limit, examined_max)
        check_piece(len(piece), examined, limit, examined_max, ended=left is None)
        found += piece
        rows, entries = rows + examined.rows, entries + examined.entries
    return found, Examined(rows, entries)


def check_piece(rows: int, examined: Examined, limit: int, examined_max: int, *, ended: bool) -> None:
    """A piece is as long as it may be, and no longer."""
    assert rows <= limit
    assert examined.rows <= examined_max
    assert ended or rows == limit or examined.rows == examined_max


def sizes(seed: int) -> Iterator[tuple[int, int]]:
    """Random bounds of pieces."""
    random = Random(seed)
    while True:
        yield random.choice((1, 2, 7, 130, MANY)), random.choice((1, 3, 40, 300, MANY))


# --- the whole ---


def test_rows_are_what_lookups_give(world: World) -> None:
    for (source, rows), names in product(sources(world).values(), NAMES):
        found = search_fields(*world, source, None, names, MANY, MANY)
        assert exact(found.rows) == exact([naive(world, row, names) for row in rows])
        assert found.rest is None
        assert found.examined.rows == len(rows)


def test_filters_choose(world: World) -> None:
    for (source, rows), condition in product(sources(world).values(), conditions(7, 6)):
        found = search_fields(*world, source, condition, ("_id", "b"), MANY, MANY).rows
        assert exact(found) == exact([naive(world, row, ("_id", "b")) for row in world.matches(rows, condition)])


# --- in pieces ---


def test_pieces_are_the_whole(world: World) -> None:
    wanted = conditions(8, 2)
    for seed, ((source, _), condition) in enumerate(product(sources(world).values(), wanted)):
        whole = search_fields(*world, source, condition, None, MANY, MANY)
        pieces, examined = fetch(world, source, condition, None, sizes(seed))
        assert exact(pieces) == exact(whole.rows)
        assert examined == whole.examined


def test_after_every_row_a_search_goes_on(world: World) -> None:
    for source, rows in sources(world).values():
        pieces, examined = fetch(world, source, None, ("_id",), iter(lambda: (1, MANY), None))
        assert exact(pieces) == exact([naive(world, row, ("_id",)) for row in rows])
        assert examined.rows == len(rows)


def test_what_is_left_begins_behind_the_last_document(world: World) -> None:
    """Nothing that was read is read again: the ranges of what is left hold none of it."""
    for name, (source, rows) in sources(world).items():
        left: Source | None = source
        for count in range(1, 60):
            if left is None:
                break
            left = search_fields(*world, left, None, (), 1, MANY).rest
            if left is None or source.repeats:
                continue
            assert len(ranges_hold(world, left)) == len(rows) - count, name


def ranges_hold(world: World, source: Source) -> set[bytes]:
    """The id keys of the living documents in a source's ranges."""
    living = {id_key(row.id) for row in world.rows()}
    every = (*source.ranges, *(() if source.ahead is None else (source.ahead,)))
    stored = [row for start, end in every for row in world.snapshot.scan(source.table, start, end)]
    keys = [key[4:] if source.table == DOCUMENTS else split_entry(key, value)[1] for key, value in stored]
    return living & set(keys)


@pytest.mark.parametrize(("limit", "examined_max"), [(0, 5), (5, 0)])
def test_who_asks_for_nothing_gets_nothing(world: World, limit: int, examined_max: int) -> None:
    source = world.everything()
    assert search_fields(*world, source, None, None, limit, examined_max) == ([], source, (0, 0))


def test_what_is_remembered_is_bounded_over_all_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEARCH_REPEATS_MAX", 20)
    source = Source(ENTRIES, index_range(2), repeats=True)
    with pytest.raises(LimitExceeded) as caught:
        fetch(world, source, None, (), iter(lambda: (3, MANY), None))
    assert caught.value.data["limit"] == "SEARCH_REPEATS_MAX"


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_its_own_writes_between_pieces(kind: str, tmp_path: Path) -> None:
    store, world = open_world(kind, tmp_path, count=40)
    with store, store.storage.batch() as batch:
        seen = world._replace(snapshot=batch)
        rows = world.rows()
        first, left, _ = search_fields(*seen, world.everything(), None, ("_id",), 3, MANY)
        assert left is not None
        for row in (rows[0], rows[5]):
            batch.delete(DOCUMENTS, world.collection.prefix + id_key(row.id))
        rest = search_fields(*seen, left, None, ("_id",), MANY, MANY).rows
        wanted = [row for number, row in enumerate(rows) if number != 5]
        assert exact(first + rest) == exact([naive(world, row, ("_id",)) for row in wanted])
        batch.abort()


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_without_fields_is_a_row(kind: str, tmp_path: Path) -> None:
    store, _ = open_world(kind, tmp_path, count=8)
    with store:
        store.write([Upsert("empty", {}, id="e")])
        with store.storage.snapshot() as snapshot:
            catalog = store.sequencer.catalog
            world = World(snapshot, catalog, catalog.by_name["empty"])
            for names, row in ((None, {"_id": "e"}), (("a",), {}), (("a", "_id"), {"_id": "e"})):
                assert search_fields(*world, world.everything(), None, names, MANY, MANY).rows == [row]


# --- what must not be ---


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_leads_nowhere_is_damage(kind: str, tmp_path: Path) -> None:
    store, world = open_world(kind, tmp_path, count=8)
    with store:
        with store.storage.batch() as batch:
            batch.put(ENTRIES, *entry(5, 4, b"\0", b"\x20nobody"))
            batch.commit()
        with store.storage.snapshot() as snapshot, pytest.raises(Corrupted, match="does not exist"):
            search_fields(*world._replace(snapshot=snapshot), Source(ENTRIES, index_range(5)), None, None, 1, 1)


def test_the_harness_finds_a_rest_that_begins_with_the_next_column(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "behind", lambda _: b"")
    with pytest.raises(AssertionError):
        test_after_every_row_a_search_goes_on(world)


def test_the_worlds_hold_what_they_must(world: World) -> None:
    """Counters, maps that lie flat, columns of many entries, and documents to which several entries lead."""
    shown = [world.lookup(row)(()) for row in world.rows()]
    assert any(isinstance(row.get("n", MISSING), int) for row in shown)
    assert any(isinstance(row.get("n", MISSING), float) for row in shown)
    assert sum("c" in row for row in shown) > 40
    ways = sources(world)
    found = search_fields(*world, ways["items"][0], None, (), MANY, MANY)
    assert found.examined.entries > found.examined.rows + 50
