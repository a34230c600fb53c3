"""After every commit the entries of each index are those of its documents, whichever way these were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtstore.storage.tables import Table
from tests.storage.engines import content
from tests.storage.index_histories import DEFINITIONS, create, world
from tests.storage.index_model import faults

SEEDS = range(12)
STEPS = 60
KINDS = ("compiled", "adapter", "memory")

Entries = dict[bytes, bytes]
made: dict[int, dict[str, Entries]] = {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_entries_follow_the_documents(kind: str, seed: int, tmp_path: Path) -> None:
    with world(kind, seed, tmp_path / "store") as played:
        if seed % 2:
            for paths in DEFINITIONS:
                create(played.here, paths)
        for _ in range(STEPS):
            played.step()
            assert faults(played.here) == []
        played.indexes.build()
        assert faults(played.here) == []
        made.setdefault(seed, {})[kind] = content(played.storage, Table.ENTRIES)
    sides = list(made[seed].values())
    assert all(side.keys() == sides[0].keys() and side == sides[0] for side in sides)
