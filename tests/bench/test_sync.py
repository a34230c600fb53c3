"""The bench of syncs counts what goes both ways, on all sides alike, and fails where a side lost a change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from bench import sync
from bench.__main__ import text_of
from bench.measure import Row
from bench.pairs import LEFT, LIBRARIES, RIGHT, Library, Moved, Pair, layouts
from bench.targets import TARGETS
from bench.workloads import person
from tests.bench.needs import need

DOCUMENTS, CHANGES = 40, 8
STORED = [person(number) for number in range(DOCUMENTS)]
SIDES = sync.updates(DOCUMENTS, CHANGES)
OURS = {"S13.log", "S13.equal", "S13.join", "S13.log.cpu", "S13.join.cpu"}


def expected() -> list[dict[str, Any]]:
    """All documents, with all changes."""
    fields = [dict(one) for one in STORED]
    for side in SIDES:
        for number, (field,), value in side:
            assert fields[number][field] != value
            fields[number][field] = value
    return fields


def run() -> dict[str, Row]:
    """A tiny run, by row."""
    return {row.id: row for row in sync.rows(2, documents=DOCUMENTS, changes=CHANGES)}


def test_the_target_gives_its_rows() -> None:
    need("pycrdt", "loro")
    rows = run()
    assert rows.keys() == {name for name in TARGETS if name.startswith("S13.")}
    for row in rows.values():
        assert row.runs == 2
        assert row.ours > 0
        assert (row.peer is None) == (row.peer_value is None) == (row.ratio is None) == (row.id in OURS)
        assert row.holds == TARGETS[row.id].holds(row.ours, row.ratio)
        assert "target: " in row.what
        assert "{" not in row.what
    assert {row.unit for row in rows.values()} == {"bytes", "CPU ms/sync"}
    assert rows["S13.equal"].ours < rows["S13.log"].ours


def test_ours_are_measured_without_any_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    need()
    monkeypatch.setattr("bench.peers.find_spec", lambda name: None)
    assert run().keys() == OURS


def test_a_row_without_a_bound_is_neither_held_nor_missed() -> None:
    row = Row(
        "S13.join", "what; target: none", 12_000, None, None, None, "bytes", 5, TARGETS["S13.join"].holds(1, None)
    )
    assert row.holds is None
    assert text_of(row).split() == ["S13.join", "12,000", "bytes", "what;", "target:", "none"]
    beside = row._replace(peer="peer", peer_value=1_000, ratio=0.08)
    assert "12,000 bytes; peer: 1,000, 0.08 times as many" in text_of(beside)


def test_no_document_is_changed_twice() -> None:
    numbers = [number for side in SIDES for number, _, _ in side]
    assert len(set(numbers)) == len(numbers) == 2 * CHANGES


# --- each side has all changes in the end ---


@pytest.mark.parametrize("trimmed", [False, True])
def test_stores_have_all_changes(trimmed: bool) -> None:  # noqa: FBT001  a parameter of the test
    need()
    with sync.our_meeting(STORED, SIDES, trimmed=trimmed) as stores:
        before, moved, again = stores.read(SIDES[0][0].document), stores.sync(), stores.sync()
        assert before[0] != before[1]
        assert again.requests == 1
        assert moved.requests > 3 if trimmed else moved.requests == 3
        assert [stores.read(number) for number in range(DOCUMENTS)] == [[fields] * 2 for fields in expected()]


@pytest.mark.parametrize("layout", ["one", "each"])
@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_have_all_changes(name: str, layout: str) -> None:
    need(name)
    library = LIBRARIES[name]()
    pair = Pair(library, layouts(library, STORED)[layout], SIDES)
    assert pair.read(SIDES[0][0].document) != [expected()[SIDES[0][0].document]] * 2
    pair.sync()
    assert [pair.read(number) for number in range(DOCUMENTS)] == [[fields] * 2 for fields in expected()]


def test_the_bytes_of_a_pair_are_all_that_both_tell() -> None:
    """Two updates go to the left, two to the right; each of eight versions is told."""
    names = [one["name"].encode() for one in STORED[:4]]
    knows_more = {(RIGHT, names[1]), (RIGHT, names[2]), (LEFT, names[2]), (LEFT, names[3])}
    applied: list[tuple[int, bytes]] = []
    library = Library(
        make=lambda fields: str(fields.get("name")).encode(),
        load=lambda state, actor: (actor, state),
        write=lambda document, path, value: None,
        version=lambda document: b"123",
        missing=lambda document, version: b"1234567890" if document in knows_more else b"",
        apply=lambda document, update: applied.append(document),
        read=lambda document, path: {},
    )
    pair = Pair(library, layouts(library, STORED[:4])["each"], ([], []))
    assert pair.sync() == Moved(8 * 3 + 4 * 10, 2)
    assert set(applied) == {(LEFT, names[1]), (LEFT, names[2]), (RIGHT, names[2]), (RIGHT, names[3])}


# --- controls ---


def losing(library: Library) -> Library:
    """A library that never tells what is missing."""
    return library._replace(missing=lambda document, version: b"")


def deaf(library: Library) -> Library:
    """A library of which one replica applies nothing."""
    return library._replace(apply=lambda document, update: None)


@pytest.mark.parametrize("fault", [losing, deaf])
def test_a_lost_change_ends_the_bench(fault: Callable[[Library], Library]) -> None:
    need("loro")
    library = fault(LIBRARIES["loro"]())
    begin = sync.their_meeting(library, layouts(library, STORED)["one"], SIDES)
    fields = {number: expected()[number] for number, _, _ in SIDES[0]}
    with pytest.raises(AssertionError, match="differs"):
        sync.side("loro", begin, fields, {})(0)


def test_other_bytes_in_another_round_end_the_bench() -> None:
    sizes = iter([5, 1, 5, 1, 6, 1])

    class Growing:
        def sync(self) -> Moved:
            return Moved(next(sizes), 1)

        def read(self, number: int) -> list[dict[str, Any]]:
            return []

    measured = sync.side("x", lambda: nullcontext(Growing()), {}, {})
    measured(0)
    measured(1)
    with pytest.raises(AssertionError):
        measured(2)
