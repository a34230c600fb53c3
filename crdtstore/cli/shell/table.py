"""Rows as a table for people: as wide as the terminal, columns as wide as what stands in them.

Rules: null is `NULL`, and what a row does not have is left empty. A string stands as it is, unless it could be taken
for something else or holds what does not show, such as the escapes that steer a terminal: then it is written as in
JSON. Numbers stand right. A cell that is too long is cut; columns that do not fit at all are left out,
and named below. Nothing is cut where no terminal shows it.

Not here: which rows stand in one table, and other formats (`output`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import click
import msgspec
from rich.cells import cell_len, set_cell_size

GAP: Final = " │ "
CUT: Final = "…"
CELL_WIDTH_MIN: Final = 8
"""A cell that is cut is at least so wide: less says nothing."""

MISTAKABLE: Final = re.compile(
    r"""(?: |\s.*|.*\s|["{\[].*|NULL|true|false|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|)""", re.DOTALL
)
"""Strings that look like another value."""


class Cell(NamedTuple):
    """What a table shows of a value."""

    text: str
    right: bool = False
    dim: bool = False


MISSING: Final = Cell("")


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], width: int | None) -> Iterator[str]:
    """The lines of a table.

    Args:
        rows: What stands in it.
        columns: The columns, in their order; those that do not fit are left out.
        width: Of the terminal; None for none.
    """
    names = [shown_text(name) for name in columns]
    cells = [[cell_of(row[name]) if name in row else MISSING for name in columns] for row in rows]
    widths = fitted([max(map(width_of, texts)) for texts in zip(names, *texts_of(cells, width), strict=True)], width)
    yield line_of([styled(Cell(name), size, bold=True) for name, size in zip(names, widths, strict=False)])
    yield "┼".join("─" * (size + 2) for size in widths)
    for row_cells in cells:
        yield line_of([styled(cell, size) for cell, size in zip(row_cells, widths, strict=False)])
    if len(widths) < len(columns):
        left = ", ".join(names[len(widths) :])
        yield click.style(clipped(f"not shown, for the terminal is too narrow: {left}", width), dim=True)


def width_of(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    return len(text) if text.isascii() else cell_len(text)


def texts_of(cells: Sequence[Sequence[Cell]], width: int | None) -> list[list[str]]:
    """The texts of cells, of which no more is measured than a terminal could show."""
    return [[cell.text[:width] for cell in row] for row in cells]


def fitted(widths: Sequence[int], total: int | None) -> list[int]:
    """Narrow the widest columns, and leave out the last ones, until they fit."""
    if total is None:
        return list(widths)
    kept = list(widths)
    while len(kept) > 1 and sum(min(size, CELL_WIDTH_MIN) for size in kept) > room(len(kept), total):
        kept.pop()
    rest = max(room(len(kept), total), 1)
    fit: dict[int, int] = {}
    # From the narrowest on: each takes what it needs, or its share of what is left.
    for done, number in enumerate(sorted(range(len(kept)), key=kept.__getitem__)):
        fit[number] = min(kept[number], rest // (len(kept) - done))
        rest -= fit[number]
    return [fit[number] for number in range(len(kept))]


def room(columns: int, total: int) -> int:
    """How wide so many columns can be together."""
    return total - 2 - (columns - 1) * len(GAP)


def line_of(texts: Sequence[str]) -> str:
    """One line of a table."""
    return f" {GAP.join(texts)}".rstrip()


def styled(cell: Cell, width: int, *, bold: bool = False) -> str:
    """A cell as it stands in its column."""
    text = clipped(cell.text, width)
    space = " " * (width - width_of(text))
    shown = click.style(text, bold=bold or None, dim=cell.dim or None) if bold or cell.dim else text
    return space + shown if cell.right else shown + space


def clipped(text: str, width: int | None) -> str:
    """A text, cut where it is wider."""
    if width is None or (len(text) <= width and width_of(text) <= width):
        return text
    return set_cell_size(text[:width], max(width - 1, 0)).rstrip() + CUT


def cell_of(value: Any) -> Cell:
    """What is shown of a value."""
    if value is None:
        return Cell("NULL", dim=True)
    if isinstance(value, str) and value.isprintable() and not MISTAKABLE.fullmatch(value):
        return Cell(value)
    text = shown_text(msgspec.json.encode(value).decode())
    return Cell(text, right=isinstance(value, int | float) and not isinstance(value, bool))


def shown_text(text: str) -> str:
    """A text with escapes for all that does not show."""
    if text.isprintable():
        return text
    return "".join([character if character.isprintable() else escaped(character) for character in text])


def escaped(character: str) -> str:
    """An escape, as JSON has it."""
    return f"\\u{ord(character):04x}" if character == "\x7f" else json.dumps(character)[1:-1]
