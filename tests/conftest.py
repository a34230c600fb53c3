"""Settings that all tests share.

Rules: a run repeats exactly. Generated cases are the same in every run and no test is judged by the clock; a
search for new cases is asked for with `--hypothesis-profile=search`. Fixtures of one folder stand in its own
`conftest.py`.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeat",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", settings.get_profile("repeat"), derandomize=False, max_examples=10_000)
settings.load_profile("repeat")

TOLD = pytest.StashKey[dict[str, str]]()

LONGEST_FIRST = (
    "fuzz/test_fuzz.py",
    "sim/test_worlds.py",
    "statement/test_naive.py",
    "histories/test_histories.py",
    "faults/test_kills.py",
    "laws/test_small_histories.py",
    "laws/test_joins.py",
    "sim/test_planted.py",
    "packaging/test_contents.py",
    "tidy/test_tools.py",
    "query/test_oracles.py",
)
"""The files that take longest: one that began last would leave the other processes idle. The one that builds what is
tested after it stands apart from that."""


def pytest_configure(config: pytest.Config) -> None:
    """Let files be handed out in the order below; xdist's own is by how many tests they have."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False
    keep_bytecode()


def keep_bytecode() -> None:
    """Let the many processes that tests start find the package compiled, also where nothing is to be kept of it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    folder = Path(__file__).parent
    places = {folder / name: place for place, name in enumerate(LONGEST_FIRST)}
    if gone := [path for path in places if not path.exists()]:
        raise pytest.UsageError(f"LONGEST_FIRST names what is not there: {gone}.")
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was collected: it lives as long as the process."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def told(pytestconfig: pytest.Config) -> dict[str, str]:
    """Where a test leaves a line, under a name, that is printed when the run ends."""
    return pytestconfig.stash.setdefault(TOLD, {})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker process hands its lines to the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["told"] = session.config.stash.get(TOLD, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker process has ended."""
    node.config.stash.setdefault(TOLD, {}).update(getattr(node, "workeroutput", {}).get("told", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the lines."""
    for name, line in sorted(config.stash.get(TOLD, {}).items()):
        terminalreporter.write_line(f"{name}: {line}")
