"""The count of what was done, told at the end of a run."""

from __future__ import annotations

import pytest

from tests.histories.rounds import Count

COUNTED = pytest.StashKey[dict[str, Count]]()


@pytest.fixture(scope="session")
def counted(pytestconfig: pytest.Config) -> dict[str, Count]:
    """Where a test leaves what it has done."""
    return pytestconfig.stash.setdefault(COUNTED, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was done: a harness that silently tests nothing is worse than none."""
    counts = config.stash.get(COUNTED, {})
    for name, count in counts.items():
        terminalreporter.write_line(f"histories, {name}: {count}")
    if counts:
        terminalreporter.write_line(f"histories, in all: {sum(counts.values(), Count())}")
