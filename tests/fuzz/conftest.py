"""The count of what was run, told at the end."""

from __future__ import annotations

import pytest

from tests.fuzz.engine import Run

COUNTED = pytest.StashKey[dict[str, Run]]()


@pytest.fixture(scope="session")
def counted(pytestconfig: pytest.Config) -> dict[str, Run]:
    """Where a test leaves what it has run."""
    return pytestconfig.stash.setdefault(COUNTED, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell how much was run: a harness that silently tests nothing is worse than none."""
    runs = config.stash.get(COUNTED, {})
    told = ", ".join(f"{name} {run.executions} ({run.taken} taken)" for name, run in runs.items())
    if runs:
        terminalreporter.write_line(f"fuzzing, cases in all {sum(run.executions for run in runs.values())}: {told}")
