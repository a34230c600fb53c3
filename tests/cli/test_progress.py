"""The bar is shown on a terminal and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from crdtstore.cli.progress import progress


class Terminal(io.StringIO):
    """What is written, as if to a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, quiet: bool, total: int | None = 10) -> str:
    """Show a progress to its end, and return what was written."""
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("Importing c", total_bytes=total, quiet=quiet) as advance:
        advance(1_000, 4)
        advance(234, 6)
    return stream.getvalue()


@pytest.mark.parametrize("total", [10, None])
def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch, total: int | None) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = shown(monkeypatch, Terminal(), quiet=False, total=total)
    assert "Importing c" in text
    assert "1,234 documents" in text


def test_elsewhere_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO(), quiet=False) == ""
    assert shown(monkeypatch, Terminal(), quiet=True) == ""
