"""Streams: rows as they are found, in bounded memory, and nothing left open behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from crdtstore import Store, limits
from crdtstore.command.command import Upsert
from crdtstore.errors import InvalidQuery, StatementTimeout
from crdtstore.statement.budget import Budget
from crdtstore.version.retained import Retained
from tests.statement.spilled import spilled_files

if TYPE_CHECKING:
    from crdtstore.version.retained import Version

TEXTS: Final = (
    "SELECT * FROM c",
    "SELECT n FROM c ORDER BY n % 10, n DESC",
    "SELECT n % 50, COUNT(*) FROM c GROUP BY n % 50",
    "SELECT x.n FROM c x JOIN c y ON x._id = y._id",
)

BOUNDED: Final = """
import json, resource, sys
from crdtstore import Store
directory, bytes_max = sys.argv[1], int(sys.argv[2])
with Store.open(directory, durability="none") as store:
    base = int([line for line in open("/proc/self/status") if line.startswith("VmData")][0].split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (base + bytes_max, base + bytes_max))
    shown = []
    for text in sys.argv[3:]:
        with store.stream(text, seconds=3600.0) as rows:
            first = last = next(rows)
            count = 1
            for last in rows:
                count += 1
        shown.append([count, first.decode(), last.decode()])
    print(json.dumps(shown))
"""


def fill(store: Store, count: int) -> None:
    """Documents whose texts and numbers stand in another order than their ids."""
    for start in range(0, count, 1_000):
        numbers = range(start, min(count, start + 1_000))
        store.write([Upsert("c", {"n": n, "t": f"{n * 7919 % count:032}"}, id=n) for n in numbers])


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The snapshots that are open."""
    held: list[int] = []
    holding = Retained.holding

    @contextmanager
    def watched(retained: Retained, asked: int | None) -> Iterator[Version]:
        with holding(retained, asked) as found:
            held.append(id(found))
            try:
                yield found
            finally:
                held.pop()

    monkeypatch.setattr(Retained, "holding", watched)
    return held


@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_that_is_left_closes_what_it_holds(
    text: str, held: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", 1_000)
    with Store.in_memory() as store:
        fill(store, 40)
        before = spilled_files()
        with store.stream(text) as rows:
            next(rows)
            assert held
        assert next(rows, None) is None
        assert not held
        assert spilled_files() == before


@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_whose_time_is_over_closes_what_it_holds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", 1_000)
    with Store.in_memory() as store:
        fill(store, 40)
        before = spilled_files()
        with pytest.raises(StatementTimeout), store.stream(text, seconds=-1.0) as rows:
            list(rows)
        assert spilled_files() == before


def test_rows_come_before_the_last_document_is_read() -> None:
    spent: list[int] = []
    with Store.in_memory() as store, pytest.MonkeyPatch.context() as patched:
        fill(store, 2_000)
        patched.setattr(Budget, "spend", lambda _, documents, *_entries: spent.append(documents))
        with store.stream("SELECT n FROM c") as rows:
            assert [next(rows) for _ in range(3)] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
            assert 0 < sum(spent) < 2_000
            assert len(list(rows)) == 1_997
    assert sum(spent) == 2_000


def test_only_selects_are_streams() -> None:
    with (
        Store.in_memory() as store,
        pytest.raises(InvalidQuery),
        store.stream("INSERT INTO c DOCUMENTS ({'_id': 1})"),
    ):
        pass


def run_bounded(directory: Path, bytes_max: int, *texts: str) -> subprocess.CompletedProcess[str]:
    """Read streams in a process that may take so much more memory than it needs to begin."""
    command = [sys.executable, "-c", BOUNDED, str(directory), str(bytes_max), *texts]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_million_rows_are_sorted_and_grouped_in_bounded_memory(tmp_path: Path, told: dict[str, str]) -> None:
    count, bytes_max = 1_000_000, 256 * 1_024 * 1_024
    with Store.open(tmp_path, durability="none") as store:
        fill(store, count)
    texts = ("SELECT t, n FROM c ORDER BY t", "SELECT t, COUNT(*) AS k, SUM(n) AS s FROM c GROUP BY t")
    done = run_bounded(tmp_path, bytes_max, *texts)
    assert done.returncode == 0, done.stderr[-2000:]
    last = next(n for n in range(count) if n * 7919 % count == count - 1)
    assert json.loads(done.stdout) == [
        [count, f'{{"t":"{0:032}","n":0}}', f'{{"t":"{count - 1:032}","n":{last}}}'],
        [count, f'{{"t":"{0:032}","k":1,"s":0}}', f'{{"t":"{count - 1:032}","k":1,"s":{last}}}'],
    ]
    told["statement.memory"] = f"{count:,} rows sorted and grouped within {bytes_max >> 20} MiB"
    # What the bound is about: the same in memory does not fit.
    script = BOUNDED.replace(
        "shown = []", "shown = []; from crdtstore import limits; limits.SORT_KEPT_BYTES_MAX = 1 << 60"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(bytes_max), texts[1]]
    assert "MemoryError" in subprocess.run(command, capture_output=True, text=True, check=False).stderr
