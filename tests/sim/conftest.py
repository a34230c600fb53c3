"""What the tests of the simulator share: all are marked `sim`, and the plain hash of cells is remembered."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from crdtstore.crdt import document
from crdtstore.crdt.siphash import siphash128


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.sim)


@pytest.fixture(autouse=True)
def _remembered_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain hash of cells is slow, and worlds hash the same few cells all the time."""
    monkeypatch.setattr(document, "siphash128", lru_cache(maxsize=65_536)(siphash128))
