"""The engines under the laws, and the count of what was checked, told at the end of a run."""

from __future__ import annotations

import importlib.util
import os
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType

import pytest

from crdtstore import core
from crdtstore.crdt import document
from crdtstore.crdt.siphash import siphash128
from crdtstore.query.find import kept_filter
from tests.laws.checker import Count

COUNTED = pytest.StashKey[dict[str, Count]]()


FULL = os.environ.get("CRDTSTORE_LAWS", "") == "full"


@pytest.fixture(scope="session")
def is_full() -> bool:
    """Whether the large version was asked for: CRDTSTORE_LAWS=full."""
    return FULL


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The large version takes longer than any hang is given."""
    for item in items:
        if FULL and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> dict[str, Count]:
    """Where a test leaves what it has checked."""
    return request.config.stash.setdefault(COUNTED, {})


@pytest.fixture(autouse=True)
def _remembered_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain hash of cells is slow, and the laws hash the same few cells all the time."""
    monkeypatch.setattr(document, "siphash128", lru_cache(maxsize=65_536)(siphash128))


@cache
def load_core(name: str) -> ModuleType:
    """The one door as a process with this core sees it; StoreError where it was not built."""
    spec = importlib.util.spec_from_file_location(f"crdtstore_core_{name}", core.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRDTSTORE_CORE", name)
        spec.loader.exec_module(module)
    return module


def use_core(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that asks the one door get a core's functions."""
    wanted = load_core(name)
    for function in core.__all__:
        monkeypatch.setattr(core, function, getattr(wanted, function))
    # Filters that were made by one core hold its programs.
    kept_filter.cache_clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was checked: a harness that silently tests nothing is worse than none."""
    counts = config.stash.get(COUNTED, {})
    for name, count in counts.items():
        terminalreporter.write_line(f"laws, {name}: {count}")
    if counts:
        terminalreporter.write_line(f"laws, in all: {sum(count.cases for count in counts.values()):,} cases")
