"""Settings that all tests share.

Rules: a run repeats exactly. Generated cases are the same in every run and no test is judged by the clock; a
search for new cases is asked for with `--hypothesis-profile=search`. Fixtures of one folder stand in its own
`conftest.py`.
"""

from __future__ import annotations

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
