"""The benches run and say what they measured; no value is judged here.

Rules: sizes are tiny, and what a peer is given is compared with what ours is given, so that a comparison stays
one of the same work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import pytest

from bench import __main__ as command
from bench import finds, growth, inserts, messages, one_field, point_read, postgres, recovery, sizes
from bench.kernel import Kernel
from bench.measure import Row, race, versus
from bench.mergers import MERGERS
from bench.replicas import Replica, layouts
from bench.targets import TARGETS, Target
from bench.workloads import (
    COLLECTION,
    clock,
    edit_records,
    edits,
    field_updates,
    make_base,
    person,
    profile,
    take_turns,
)
from crdtstore import Store
from tests.bench.needs import need
from tests.bench.rows import check_rows

BENCHES: Mapping[str, tuple[Callable[[], list[Row]], Sequence[str]]] = {
    "S1": (lambda: one_field.rows(2, documents=22), ("pycrdt", "loro")),
    "S2": (lambda: messages.rows(2, documents=5, operations=20), ("pycrdt",)),
    "S5": (lambda: point_read.rows(2, documents=30, reads=50), ()),
    "S6": (lambda: finds.indexed(2, documents=500), ()),
    "S7": (lambda: finds.scanned(2, documents=1_000), ()),
    "S8": (lambda: inserts.rows(2, documents=200), ()),
}
"""Target -> a tiny run, and the peers that it needs."""


@pytest.mark.parametrize("target", BENCHES)
def test_every_target_gives_its_rows(target: str) -> None:
    run, peers = BENCHES[target]
    need(*peers)
    rows = run()
    counts = {"S1.instructions"} | (set() if postgres.is_installed() else {"S7.postgres"})
    assert {row.id for row in rows} == {name for name in TARGETS if name.startswith(f"{target}.")} - counts
    check_rows(rows)


def test_sizes_are_counted() -> None:
    rows = [*sizes.disk_rows(1, documents=30), *sizes.heap_rows(1, documents=(10, 500))]
    assert {row.id for row in rows} == {name for name in TARGETS if name.startswith(("S3.", "S4."))}
    values = {row.id: row.ours for row in rows}
    assert values["S3.fresh"] < values["S3.document"] < values["S3.siblings"]
    assert values["S3.log"] > 0
    assert values["S4.heap"] < 100, "documents do not stay in memory"


def test_growth_is_told_by_time_and_by_pages() -> None:
    rows = {row.id: row for row in growth.rows(2, small=200)}
    assert rows.keys() == {name for name in TARGETS if name.startswith("S14.")}
    assert all(rows[name].ours >= 1 for name in rows if name.endswith(".pages") and "write" not in name)
    assert all(row.ours > 0 for row in rows.values())


def test_a_killed_store_is_opened_again() -> None:
    rows = {row.id: row for row in recovery.rows(2, documents=1_000, transactions=(1, 3))}
    assert rows.keys() == {name for name in TARGETS if name.startswith("recovery.")}
    assert rows["recovery.lost"].ours == 0
    assert rows["recovery.open"].ours > 0


@pytest.mark.parametrize("target", ["S1", "S2"])
def test_rows_of_peers_that_are_missing_are_left_out(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    need()
    monkeypatch.setattr("bench.peers.find_spec", lambda name: None)
    assert BENCHES[target][0]() == []


def test_a_bound_is_kept_or_missed() -> None:
    fast = Target("", "", ratio_min=4)
    few = Target("", "", value_max=600)
    told = Target("", "none")
    assert [fast.holds(1, ratio) for ratio in (4.0, 3.99, None)] == [True, False, False]
    assert [few.holds(value, None) for value in (600, 601)] == [True, False]
    assert told.holds(1, 4.0) is None


def test_a_ratio_is_of_one_round() -> None:
    """The machine was slow in the second round, for both alike."""
    row = versus("S2.lmdb", "peer", {"a": [1, 10, 1], "b": [3, 30, 3]}, "a", "b", actors=1, operations=1, batch=1)
    assert row.ratio == 3
    assert row.holds


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> Callable[[int], float]:
        def run(number: int) -> float:
            order.append(f"{name}{number}")
            return 1.0

        return run

    assert race({"a": side("a"), "b": side("b")}, 3) == {"a": [1, 1, 1], "b": [1, 1, 1]}
    assert order == ["a0", "b0", "b1", "a1", "a2", "b2"]


def test_the_command_prints_one_object_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("S1.x", "what", 1.0, "peer", 2.0, 2.0, "CPU us/op", 5, False)
    monkeypatch.setattr(command, "BENCHES", {"S1": (lambda rounds: [row._replace(runs=rounds)] * 2,)})
    command.main(["S1", "--json", "--rounds", "6"])
    out = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in out] == [row._replace(runs=6)._asdict()] * 2
    command.main([])
    assert "MISSED S1.x" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["S99"], ["S1", "--rounds", "4"]])
def test_the_command_refuses(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "usage" in capsys.readouterr().err


# --- both sides do the same ---


def value_at(fields: object, path: tuple[str, ...]) -> object:
    """The value of a field."""
    for segment in path:
        assert isinstance(fields, dict)
        fields = fields[segment]
    return fields


def test_mergers_merge_the_update() -> None:
    need("pycrdt", "loro")
    stored = [person(number) for number in range(22)]
    updates = field_updates(22, 0)
    for make in MERGERS.values():
        merger = make(stored, updates)
        for state, change, update in zip(merger.states, merger.updates, updates, strict=True):
            merged = merger.read(merger.merge(state, change))
            assert value_at(merged, update.path) == update.value


def test_kernel_and_store_reach_the_same_state() -> None:
    need()
    stored = [profile(number) for number in range(5)]
    base = make_base(stored, counters=["count"])
    records = take_turns([edit_records(base, actor, edits(actor, 20, 5)) for actor in range(4)])
    kernel = Kernel()
    kernel.receive([*base.records, *records])
    with Store.in_memory(clock=clock) as store:
        store.apply([*base.records, *records])
        assert kernel.digest() == store.digest()
        document = store.get(COLLECTION, 3)
        assert document is not None
        increments = sum(
            edit.document == 3 and edit.value is None for actor in range(4) for edit in edits(actor, 20, 5)
        )
        assert document.fields["count"] == increments > 0


def test_replicas_count_the_same_increments() -> None:
    need("pycrdt")
    stored = [profile(number) for number in range(5)]
    made = [edits(actor, 20, 5) for actor in range(4)]
    increments = sum(edit.document == 3 and edit.value is None for some in made for edit in some)
    for layout in layouts(stored).values():
        replica = Replica(layout)
        replica.receive(take_turns([Replica(layout).send(layout, actor, some) for actor, some in enumerate(made)]))
        assert replica.count(3) == increments
