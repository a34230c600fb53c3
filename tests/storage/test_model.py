"""Every storage against plain dictionaries: batches, snapshots kept across commits, reopening.

The control plants a bug into the storage in memory, a commit that forgets what open snapshots still see, and
the same machine must find it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crdtstore.storage.interface import Batch, Snapshot, Storage
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.tables import Table
from tests.storage.engines import ENGINES, open_engine

Rows = dict[int, dict[bytes, bytes]]
Change = tuple[Table, bytes, bytes | None]

TABLES = (Table.META, Table.DOCUMENTS, Table.LOG)
KEYS = st.one_of(
    st.sampled_from([b"a", b"a\x00", b"ab", b"b", b"\xff", b"\xff\xff", b"k" * 511]),
    st.binary(min_size=1, max_size=3),
)
VALUES = st.one_of(st.binary(max_size=20), st.sampled_from([bytes(5_000), b"x" * 2_000]))
CHANGES = st.lists(st.tuples(st.sampled_from(TABLES), KEYS, st.none() | VALUES), min_size=1, max_size=6)


def copy(rows: Rows) -> Rows:
    return {table: dict(part) for table, part in rows.items()}


def check_view(view: Snapshot, table: int, expected: dict[bytes, bytes], start: bytes, end: bytes | None) -> None:
    """Compare one table of a view with what it must hold, through every way of reading it."""
    ordered = sorted(expected.items())
    assert list(view.scan(table)) == ordered
    between = [row for row in ordered if row[0] >= start and (end is None or row[0] < end)]
    assert list(view.scan(table, start, end)) == between
    assert list(view.scan_back(table, start, end)) == between[::-1]
    assert view.first(table) == (ordered[0] if ordered else None)
    assert view.last(table) == (ordered[-1] if ordered else None)
    assert view.last_key(table) == (ordered[-1][0] if ordered else None)
    assert view.count(table) == len(ordered)
    assert view.get(table, start or b"a") == expected.get(start or b"a")
    assert {key: view.get(table, key) for key in expected} == expected


class Model(RuleBasedStateMachine):
    """One storage, and what it must hold."""

    engine = "memory"

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="crdtstore-"))
        self.storage = self.open()
        self.rows: Rows = {table: {} for table in Table}
        with self.storage.snapshot() as snapshot:
            self.rows[Table.META] |= dict(snapshot.scan(Table.META))
        self.batch: Batch | None = None
        self.pending: Rows = {}
        self.snapshots: list[tuple[Snapshot, Rows]] = []

    def open(self) -> Storage:
        return open_engine(self.engine, self.directory / "store")

    @rule(changes=CHANGES)
    def write(self, changes: list[Change]) -> None:
        if self.batch is None:
            self.batch = self.storage.batch()
            self.pending = copy(self.rows)
        for table, key, value in changes:
            if value is None:
                assert self.batch.delete(table, key) == (self.pending[table].pop(key, None) is not None)
            else:
                self.batch.put(table, key, value)
                self.pending[table][key] = value

    @rule(changes=CHANGES)
    def write_and_commit(self, changes: list[Change]) -> None:
        self.write(changes)
        self.commit()

    @precondition(lambda self: self.batch is not None)
    @rule()
    def commit(self) -> None:
        assert self.batch is not None
        self.batch.commit()
        self.rows = self.pending
        self.batch = None

    @precondition(lambda self: self.batch is not None)
    @rule()
    def abort(self) -> None:
        assert self.batch is not None
        self.batch.abort()
        self.batch = None

    @rule()
    def open_snapshot(self) -> None:
        self.snapshots.append((self.storage.snapshot(), copy(self.rows)))

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def close_snapshot(self, data: st.DataObject) -> None:
        self.snapshots.pop(data.draw(st.integers(0, len(self.snapshots) - 1)))[0].close()

    @precondition(lambda self: self.engine != "memory")
    @rule()
    def reopen(self) -> None:
        self.storage.close()
        self.batch = None
        self.snapshots = []
        self.storage = self.open()

    @rule(table=st.sampled_from(TABLES), start=st.one_of(st.just(b""), KEYS), end=st.none() | KEYS)
    def read(self, table: Table, start: bytes, end: bytes | None) -> None:
        for snapshot, rows in self.snapshots:
            check_view(snapshot, table, rows[table], start, end)
        if self.batch is not None:
            check_view(self.batch, table, self.pending[table], start, end)
        with self.storage.snapshot() as snapshot:
            check_view(snapshot, table, self.rows[table], start, end)

    @invariant()
    def counts_agree(self) -> None:
        with self.storage.snapshot() as snapshot:
            assert [snapshot.count(table) for table in Table] == [len(self.rows[table]) for table in Table]

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            self.storage.close()
            shutil.rmtree(self.directory)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_storage_does_what_the_model_does(engine: str) -> None:
    machine = type("Machine", (Model,), {"engine": engine})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=30))


def test_the_model_finds_a_snapshot_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = MemoryStorage.change

    def forget(self: MemoryStorage, table: Table, changed: dict[bytes, bytes | None]) -> None:
        self.views.clear()
        keep(self, table, changed)

    monkeypatch.setattr(MemoryStorage, "change", forget)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Model, settings=settings(stateful_step_count=30, phases=[Phase.generate]))
