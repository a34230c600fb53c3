"""After every commit the entries of each index are those of its documents, whichever way these were written.

The controls plant a bug in what keeps them, and some history must show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from crdtstore import core
from crdtstore.storage import index_build, index_entries
from crdtstore.storage.index import PARTS, RIVALS, Index
from crdtstore.storage.index_entries import Made
from crdtstore.storage.tables import Table
from crdtstore.version import join
from tests.storage.engines import content
from tests.storage.index_histories import DEFINITIONS, create, world
from tests.storage.index_model import faults

SEEDS = range(10)
STEPS = 60
KINDS = ("compiled", "adapter", "memory")

Entries = dict[bytes, bytes]


@cache
def played(kind: str, seed: int) -> tuple[list[str], Entries]:
    """The first faults of a history, and the entries at its end."""
    with TemporaryDirectory() as folder, world(kind, seed, Path(folder) / "store") as made:
        if seed % 3:
            for paths in DEFINITIONS:
                create(made.here, paths)
        for _ in range(STEPS):
            made.step()
            if found := faults(made.here):
                return found, {}
        made.indexes.build()
        return faults(made.here), content(made.storage, Table.ENTRIES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_entries_follow_the_documents(kind: str, seed: int) -> None:
    assert played(kind, seed)[0] == []


def test_histories_end_with_entries_of_every_part() -> None:
    parts = Counter(key[4] for seed in SEEDS for key in played("memory", seed)[1])
    assert min(parts[part] for part in range(PARTS)) > 3


@pytest.mark.parametrize("seed", SEEDS)
def test_entries_are_the_same_in_every_store(seed: int) -> None:
    first, *others = [sorted(played(kind, seed)[1].items()) for kind in KINDS]
    assert [other == first for other in others] == [True, True]


# --- controls ---


def shows(*kinds: str) -> bool:
    """Whether a history shows a fault of what was planted."""
    return any(played.__wrapped__(kind, seed)[0] for seed in SEEDS for kind in kinds)


def keep_removed(real: Callable[..., None], batch: Any, index: Index, before: Made, after: Made) -> None:
    """Remove no entry."""
    real(batch, index, before._replace(rows={key: before.rows[key] for key in before.rows if key in after.rows}), after)


def put_none(real: Callable[..., None], batch: Any, index: Index, before: Made, after: Made) -> None:
    """Put no entry of a part but the first."""
    kept = {key: value for key, value in after.rows.items() if key[4] == 0}
    real(batch, index, before, after._replace(rows=kept))


def count_none(real: Callable[..., None], batch: Any, index: Index, before: Made, after: Made) -> None:
    """Leave the counts as they are."""
    counts = list(index.counts)
    real(batch, index, before, after)
    index.counts = counts


def miss_rivals(real: Callable[..., None], batch: Any, index: Index, before: Made, after: Made) -> None:
    """Put no entry of a conflict."""
    real(batch, index, before, after._replace(rows={k: v for k, v in after.rows.items() if k[4] != RIVALS}))


@pytest.mark.parametrize(
    "wrong", [keep_removed, put_none, count_none, miss_rivals], ids=lambda wrong: str(wrong.__name__)
)
def test_a_planted_bug_in_what_is_replaced_shows(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = partial(wrong, index_entries.replace_entries)
    monkeypatch.setattr(index_entries, "replace_entries", planted)
    monkeypatch.setattr(index_build, "replace_entries", planted)
    assert shows("adapter")


@pytest.mark.parametrize("limit", ["INDEX_COLUMN_BYTES_MAX", "INDEX_ID_BYTES_MAX"])
def test_a_cut_at_another_place_shows(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_entries, limit, getattr(index_entries, limit) - 1)
    assert shows("adapter")


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_a_boundary_at_another_place_shows(monkeypatch: pytest.MonkeyPatch, *, before: bool) -> None:
    """The document up to which an index is built is taken for one behind, or the next one for one that it has."""

    def covers(index: Index, key: bytes) -> bool:
        built = index.built
        return built is None or (key < built if before else bool(built))

    monkeypatch.setattr(Index, "covers", covers)
    assert shows("adapter")


@pytest.mark.parametrize("place", [join, core], ids=["join", "compiled"])
def test_a_writer_that_forgets_the_indexes_shows(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "change_entries", lambda *_: True)
    assert shows("compiled" if place is core else "memory")
