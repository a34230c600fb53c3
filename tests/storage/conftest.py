"""The storages, one test run for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore.storage.interface import Storage
from tests.storage.engines import DISK, ENGINES, open_engine


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DISK)
def disk_engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def storage(engine: str, tmp_path: Path) -> Iterator[Storage]:
    with_rows = open_engine(engine, tmp_path / "store")
    yield with_rows
    with_rows.close()
