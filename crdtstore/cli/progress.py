"""A progress bar, on a terminal only: elsewhere nothing is shown and `rich` is not imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Advance: TypeAlias = Callable[[int, int], None]
"""Takes how many documents (or what is counted) are done more, and how many bytes of the input."""


@contextmanager
def progress(what: str, *, total_bytes: int | None, quiet: bool, noun: str | None = "documents") -> Iterator[Advance]:
    """Show how far a command is while the block runs.

    Args:
        what: What is done, in a word or two.
        total_bytes: The size of the input; None where nobody knows.
        quiet: Show nothing, as where standard error is no terminal.
        noun: What is counted, in the plural; None: bytes.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.fields[documents]:,}} {noun}") if noun else DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total_bytes, documents=0)
        done = 0

        def advance(more: int, size: int) -> None:
            nonlocal done
            done += more
            bar.update(task, advance=size, documents=done)

        yield advance
