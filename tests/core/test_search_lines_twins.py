"""The compiled search for lines gives what the plain one does, in pieces of any size: the same bytes and counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from random import Random
from typing import Any, NamedTuple

import pytest

from crdtstore import _core, core
from crdtstore.crdt.identifier import read_id
from crdtstore.errors import CrdtStoreError, StatementTimeout
from crdtstore.query import search, search_lines
from crdtstore.query.program import Filter
from crdtstore.query.search_lines import Lined, line_of
from crdtstore.query.source import Source
from crdtstore.storage.documents import DOCUMENTS
from tests.query.searching import ENTRIES, World, conditions, open_world, orders, plainly, sources

Search = Callable[..., Any]
LINES: tuple[Search, Search] = (search_lines.lines_plainly, search_lines.search_lines)
KEYS: tuple[Search, Search] = (search_lines.keys_plainly, search_lines.search_keys)
ALL = 2**62


class Whole(NamedTuple):
    """What all pieces have together."""

    lines: bytes
    matched: int
    rows: int
    entries: int
    longest: int


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store, made = open_world("lmdb", tmp_path_factory.mktemp("lines"))
    with store:
        yield made


def read(
    run: Search, world: World, source: Source, condition: Filter | None, skip: int, limit: int, bytes_max: int
) -> Whole | type[CrdtStoreError]:
    """All pieces, each read from where the one before ended."""
    pieces: list[Lined] = []
    rest: Source | None = source
    try:
        while rest is not None and limit:
            piece: Lined = run(*world, rest, condition, skip, limit, bytes_max)
            assert piece.lines or piece.rest is None
            limit, skip = limit - max(0, piece.matched - skip), max(0, skip - piece.matched)
            rest = piece.rest
            pieces.append(piece)
    except CrdtStoreError as error:
        return type(error)
    return Whole(
        b"".join(piece.lines for piece in pieces),
        sum(piece.matched for piece in pieces),
        sum(piece.examined.rows for piece in pieces),
        sum(piece.examined.entries for piece in pieces),
        max((len(piece.lines) for piece in pieces), default=0),
    )


def alike(
    world: World, source: Source, condition: Filter | None, skip: int = 0, limit: int = ALL, bytes_max: int = 1_000
) -> bool:
    """Whether both give the same, and what the search for JSON gives."""
    plain, compiled = (read(run, world, source, condition, skip, limit, bytes_max) for run in LINES)
    if isinstance(plain, type) or isinstance(compiled, type):
        return plain is compiled
    found, examined = search.json_plainly(*world, source, condition, skip, limit)
    assert plain.lines == b"".join(line_of(*each) for each in found)
    assert (plain.rows, plain.entries) == examined or limit == 0
    return plain[:4] == compiled[:4]


@pytest.mark.parametrize("bytes_max", [1, 300, 5_000, ALL])
def test_pieces_of_any_size_are_alike(world: World, bytes_max: int) -> None:
    for (source, _), condition in product(sources(world).values(), conditions(6, 2)):
        assert alike(world, source, condition, bytes_max=bytes_max)


@pytest.mark.parametrize(("skip", "limit"), [(0, 0), (3, 1), (120, 137), (0, 128), (399, 2), (1_000, 5)])
def test_what_is_skipped_and_what_is_left_are_alike(world: World, skip: int, limit: int) -> None:
    for (source, _), condition in product(sources(world).values(), conditions(7, 1)):
        assert alike(world, source, condition, skip, limit)


def test_what_only_the_plain_twin_can_judge_is_alike(world: World) -> None:
    for name, (source, _) in sources(world).items():
        assert alike(world, source, plainly(lambda lookup: lookup(("b",)) == 1)), name


@pytest.mark.parametrize("bytes_max", [1, 500, 10_000])
def test_a_piece_is_hardly_longer_than_asked(world: World, bytes_max: int) -> None:
    longest = max(len(line_of(row.id, world.printed(row))) for row in world.rows())
    whole = read(search_lines.search_lines, world, world.everything(), None, 0, ALL, bytes_max)
    assert isinstance(whole, Whole)
    # Documents are measured as they are stored, and JSON is at most six times as long.
    assert whole.longest <= 6 * (bytes_max + longest)


def test_a_line_is_the_document(world: World) -> None:
    whole = read(search_lines.search_lines, world, world.everything(), None, 0, ALL, 1_000)
    assert isinstance(whole, Whole)
    lines = whole.lines.splitlines()
    rows = world.rows()
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line == line_of(row.id, world.printed(row))[:-1]
        assert json.loads(line)["fields"] == json.loads(world.printed(row))
        if isinstance(read_id(row.id), str | int):
            assert json.loads(line)["id"] == read_id(row.id)


@pytest.mark.parametrize("keep", [0, 1, 7, 130, 10_000])
def test_ids_come_alike_in_any_order(world: World, keep: int) -> None:
    ways = sources(world)
    for order, condition in product(orders(keep, 8), conditions(keep, 1)):
        for source in (ways["all"][0], ways["items"][0]):
            after: bytes | None = None
            for _ in range(3):
                plain, compiled = (run(*world, source, condition, order, keep, after) for run in KEYS)
                assert plain == compiled
                found, matched, _ = search.search_top(*world, source, condition, order, keep, after)
                assert (len(plain[0]), plain[2]) == (len(found), matched)
                assert plain[1] == (found[-1][0] if found else None)
                after = plain[1]


def test_a_deadline_holds(world: World) -> None:
    for run in LINES:
        with pytest.raises(StatementTimeout):
            run(*world, world.everything(), None, 0, ALL, 1_000, 0.0)
    for run in KEYS:
        with pytest.raises(StatementTimeout):
            run(*world, world.everything(), None, orders(1, 1)[0], 5, None, 0.0)


def test_in_random_ranges_twins_are_alike(world: World) -> None:
    random = Random(3)
    keys = [key for key, _ in world.snapshot.scan(ENTRIES, b"", b"\xff")]
    documents = [key for key, _ in world.snapshot.scan(DOCUMENTS, world.collection.prefix, b"\xff")]
    for _ in range(150):
        table = random.choice((DOCUMENTS, ENTRIES))
        bounds = sorted(random.choice(documents if table == DOCUMENTS else keys) for _ in range(4))
        ranges = tuple(zip(bounds[::2], bounds[1::2], strict=True))
        source = Source(table, ranges, repeats=random.random() < 0.3, descending=random.random() < 0.5)
        assert alike(world, source, None, random.randrange(5), ALL, random.choice((1, 200, 3_000)))


def test_the_harness_finds_a_search_that_leaves_one_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = _core.search_lines

    def leave_out(*arguments: Any) -> Any:
        lines, *rest = keep(*arguments)
        first, _, others = lines.partition(b"\n")
        return others if others and first else lines, *rest

    monkeypatch.setattr(core, "search_lines", leave_out)
    assert not alike(world, world.everything(), None)
