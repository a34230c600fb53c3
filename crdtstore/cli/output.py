"""How commands print: documents as JSON Lines, JSON for programs, lines for people.

Rules: a document is one line of JSON, its `_id` first; its fields stay the bytes that they are. Text that
comes with a result and is not the result goes to standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from crdtstore.command.result import Removed, Result, Updated
from crdtstore.query.find import Document


def print_json(value: Any) -> None:
    """Print a value for a program, on one line."""
    click.echo(msgspec.json.encode(value))


def note(text: str) -> None:
    """Tell a person something beside the result."""
    click.echo(text, err=True)


def line_of(document: Document) -> bytes:
    """Write a document on one line, without its end."""
    identifier = msgspec.json.encode(document.id)
    rest = b"}" if document.json == b"{}" else b"," + document.json[1:]
    return b'{"_id":' + identifier + rest


def described(result: Result) -> dict[str, Any]:
    """Write what a command answered as JSON has it."""
    if isinstance(result, Updated):
        return {"method": "update", "updated": result.updated, "error": result.error}
    if isinstance(result, Removed):
        return {"method": "remove", "deleted": result.deleted}
    return {"method": "upsert", "id": result.id}


def sentence_of(result: Result) -> str:
    """Say what a command answered."""
    if isinstance(result, Updated):
        failed = f", {result.error} left as they were: a field command failed" if result.error else ""
        return f"update: {counted(result.updated, 'document')} changed{failed}"
    if isinstance(result, Removed):
        return f"remove: {counted(result.deleted, 'document')} removed"
    return f"upsert: {msgspec.json.encode(result.id).decode()}"


def counted(number: int, noun: str) -> str:
    """Write a number and its noun, such as `1,204 documents`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_of(number: int) -> str:
    """Write a number of bytes, such as `1.4 MiB (1,474,560 bytes)`."""
    exact = counted(number, "byte")
    size, unit = float(number), ""
    for unit in ("", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.1f} {unit} ({exact})" if unit else exact


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, each as wide as its widest value; the last one as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{value:{width}}" for value, width in zip(row, widths, strict=True)).rstrip())
