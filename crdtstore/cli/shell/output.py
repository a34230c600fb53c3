"""How rows are printed: as a table, as one JSON array, as JSON Lines, or as CSV; all in bounded memory.

Rules: a table has at most PAGE rows; longer answers are several, each with its own columns. CSV has the columns that
the statement names, or else those of the first PAGE rows: a later one is left out, and a warning says so. In CSV null
and missing are empty, a string is as it is, and all else is JSON. In JSON and JSON Lines rows stay the bytes that they
are.

Not here: what a table looks like (`table`).
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

import click
import msgspec

from crdtstore.cli.output import counted, note

PAGE: Final = 1_000
"""Rows that are looked at together to know the columns."""

Row = dict[str, Any]
Columns = Sequence[str] | None
"""Those that a statement names; None where it does not name them all."""


def print_rows(rows: Iterator[bytes], format: str, columns: Columns = None) -> int:
    """Print rows as they come; returns how many.

    Args:
        rows: Each a JSON object.
        format: One of FORMATS.
        columns: The columns, where they are known before.
    """
    return PRINTERS[format](rows, columns)


def print_lines(rows: Iterator[bytes], _columns: Columns) -> int:
    """Print JSON Lines."""
    return write_all(rows, b"", b"\n", b"\n")


def print_array(rows: Iterator[bytes], _columns: Columns) -> int:
    """Print one JSON array, with a row on each line."""
    return write_all(rows, b"[", b",\n", b"]\n")


def write_all(rows: Iterator[bytes], before: bytes, between: bytes, behind: bytes) -> int:
    """Write rows and what stands around them; on a terminal each is seen at once."""
    sys.stdout.flush()
    stream = sys.stdout.buffer
    at_once = stream.isatty()
    done = 0
    stream.write(before)
    try:
        for done, row in enumerate(rows, 1):
            stream.write(between + row if done > 1 else row)
            if at_once:
                stream.flush()
        stream.write(behind if done or before else b"")
    finally:
        stream.flush()
    return done


def print_csv(rows: Iterator[bytes], columns: Columns) -> int:
    """Print CSV with a line of names above."""
    decoded = map(decode, rows)
    first = list(islice(decoded, PAGE)) if columns is None else []
    names = columns_of(first) if columns is None else list(columns)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if names:
        writer.writerow(names)
    known, late = set(names), set[str]()
    done = 0
    for row in chain(first, decoded):
        if not row.keys() <= known:
            late.update(row.keys() - known)
        writer.writerow([field_of(row.get(name)) for name in names])
        done += 1
    warn_of(late)
    return done


def warn_of(late: set[str]) -> None:
    """Say which columns are not there."""
    if late:
        message = f"{counted(len(late), 'field')} left out, for none of the first {PAGE:,} rows has it"
        note(f"Warning: {message}: {', '.join(sorted(late))}. Name the columns in the statement to have them.")


def field_of(value: Any) -> str:
    """A value as CSV holds it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def print_table(rows: Iterator[bytes], columns: Columns) -> int:
    """Print tables for a person."""
    from crdtstore.cli.shell.table import table_of

    done, width, decoded = 0, terminal_width(), map(decode, rows)
    while page := list(islice(decoded, PAGE)):
        names = list(columns or columns_of(page))
        print_styled(table_of(page, names, width) if names else ["{}"] * len(page))
        done += len(page)
    return done


def print_styled(lines: Iterable[str]) -> None:
    """Print lines; their colors only on a terminal, and if they are wanted."""
    for line in lines:
        click.echo(line, color=False if os.environ.get("NO_COLOR") else None)


def terminal_width() -> int | None:
    """How wide the terminal is; None where what is printed goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def columns_of(rows: Sequence[Row]) -> list[str]:
    """All fields of some rows, in the order in which they come."""
    return list(dict.fromkeys(chain.from_iterable(rows)))


def decode(row: bytes) -> Row:
    """A row."""
    return msgspec.json.decode(row, type=dict[str, Any])


PRINTERS: Final[Mapping[str, Callable[[Iterator[bytes], Columns], int]]] = {
    "table": print_table,
    "json": print_array,
    "lines": print_lines,
    "csv": print_csv,
}
FORMATS: Final = tuple(PRINTERS)
