"""A search that takes too long is stopped: it raises, whatever it was asked for, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from resource import getpagesize
from time import monotonic
from typing import Any

import pytest

from crdtstore.errors import StatementTimeout
from crdtstore.limits import READERS_MAX
from crdtstore.query.find import Query, count, find
from crdtstore.query.order import DQL_ORDER, Order, OrderKey
from crdtstore.query.program import Filter
from crdtstore.query.search import search_count, search_fields, search_json, search_rows, search_top
from crdtstore.query.source import CLOCK_ROWS, Source
from crdtstore.query.tree import EVERY_DOCUMENT
from tests.query.searching import ENTRIES, World, conditions, index_range, open_world, orders, plainly, sources

KINDS = ("memory", "lmdb")
MANY = 10_000
FAR = 1e9
PAST = -1.0
Search = Callable[[World, Source, Filter | None, float], Any]
BY_A = Order((OrderKey(("a",)),), DQL_ORDER)
SEARCHES: dict[str, Search] = {
    "json": lambda world, source, filter_, deadline: search_json(*world, source, filter_, 0, MANY, deadline),
    "count": lambda world, source, filter_, deadline: search_count(*world, source, filter_, deadline),
    "top": lambda world, source, filter_, deadline: search_top(*world, source, filter_, BY_A, 9, None, 0, deadline),
    "fields": lambda world, source, filter_, deadline: search_fields(
        *world, source, filter_, None, MANY, MANY, deadline
    ),
    "rows": lambda world, source, filter_, deadline: list(search_rows(*world, source, filter_, deadline)),
}


@pytest.fixture(params=KINDS, scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store, made = open_world(request.param, tmp_path_factory.mktemp("deadline"))
    with store:
        yield made


@pytest.mark.parametrize("name", SEARCHES)
def test_a_deadline_that_passed_stops_a_search_at_once(world: World, name: str) -> None:
    for (source, _), condition in ((each, some) for each in sources(world).values() for some in conditions(3, 2)):
        for deadline in (PAST, -inf, monotonic()):
            with pytest.raises(StatementTimeout, match="an index") as caught:
                SEARCHES[name](world, source, condition, deadline)
            assert caught.value.status == 408


@pytest.mark.parametrize("name", SEARCHES)
def test_a_deadline_far_away_changes_nothing(world: World, name: str) -> None:
    for source, _ in sources(world).values():
        found = [SEARCHES[name](world, source, None, deadline) for deadline in (inf, monotonic() + FAR)]
        assert found[0] == found[1]


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("matches", [False, True])
def test_a_deadline_is_seen_within_few_documents(world: World, name: str, matches: bool) -> None:  # noqa: FBT001  one of two cases
    """The test of the fifth document outlasts the deadline."""
    deadline = monotonic() + 0.05
    looked = 0

    def test(_: Any) -> bool:
        nonlocal looked
        looked += 1
        while looked == 5 and monotonic() <= deadline:
            pass
        return matches

    for source in (world.everything(), Source(ENTRIES, index_range(1), descending=True)):
        looked = 0
        with pytest.raises(StatementTimeout):
            SEARCHES[name](world, source, plainly(test), deadline)
        assert looked <= CLOCK_ROWS + 5
        assert looked < len(world.rows())


def test_finds_and_counts_are_stopped(world: World) -> None:
    for order in (*orders(4, 3), Order((), DQL_ORDER)):
        with pytest.raises(StatementTimeout):
            find(*world, Query(EVERY_DOCUMENT, 10, order=order), PAST)
    with pytest.raises(StatementTimeout):
        count(*world, EVERY_DOCUMENT, PAST)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_goes_on_behind_searches_that_were_stopped(kind: str, tmp_path: Path) -> None:
    """They keep no slot of a reader, of which there are fewer."""
    store, _ = open_world(kind, tmp_path, count=40)
    with store:
        for _ in range(READERS_MAX + 1):
            with pytest.raises(StatementTimeout):
                store.find("things", "a > 0", order=["b"], seconds=PAST)
            with pytest.raises(StatementTimeout):
                store.count("things", "a > 0", seconds=PAST)
        found = store.find("things", "a > 0", seconds=FAR).documents
        assert found
        assert len(found) == store.count("things", "a > 0", seconds=FAR).count


def test_a_search_that_was_stopped_keeps_no_memory(world: World) -> None:
    """Each search takes kilobytes, which thousands of them would show."""
    source, condition = Source(ENTRIES, index_range(2), repeats=True, descending=True), conditions(3, 2)[1]

    def stop(times: int) -> int:
        for _ in range(times):
            for run in SEARCHES.values():
                with pytest.raises(StatementTimeout):
                    run(world, source, condition, PAST)
        return resident_bytes()

    before = stop(200)
    assert stop(1_000) - before < 8 * 1_024 * 1_024


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize()


def test_the_harness_finds_a_search_that_forgets_its_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(world: World, source: Source, filter_: Filter | None, _: float) -> Any:
        return search_count(*world, source, filter_)

    monkeypatch.setitem(SEARCHES, "count", forget)
    with pytest.raises(pytest.fail.Exception):
        test_a_deadline_that_passed_stops_a_search_at_once(world, "count")
