"""`crdtstore inspect`: how documents, transactions, actors and rows are stored, on a damaged store too; its log.

Not here: how they are read and spelled out (`crdtstore/storage/inspect.py`, `inspect_rows.py`, `inspect_wal.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from crdtstore.cli.options import Documented, Family, json_option, with_settings
from crdtstore.settings import Layers

ROWS_DEFAULT: Final = 20
SHOWN_BYTES: Final = 16
"""So much of a value is shown to a person; JSON has all of it."""

TABLES: Final = (
    "meta",
    "documents",
    "log",
    "positions",
    "origins",
    "replicas",
    "paths",
    "collections",
    "keys",
    "ranges",
    "peers",
    "indexes",
    "entries",
    "attachments",
    "images",
)
"""The tables, as `crdtstore.storage.tables` names them: a help text imports no storage."""


@click.group("inspect", cls=Family, example="crdtstore inspect document cities basel --store cities-data")
def command() -> None:
    """Show how documents, transactions and rows are stored.

    Nothing is changed, and a server may have the store open. What is damaged is shown as far as it can be read, with
    what is wrong with it.
    """


@command.command("document", cls=Documented, example="crdtstore inspect document cities basel --store cities-data")
@click.argument("collection")
@click.argument("id")
@with_settings("store")
@json_option
def document(layers: Layers, *, collection: str, id: str, as_json: bool) -> None:
    """Print all cells of a document.

    For each: its path, type and value, when it was written, by which actor, and at which origin it was ordered. A star
    marks what a reader sees; the others are losers that no write has observed yet. ID is read as by crdtstore get.
    """
    from crdtstore.cli.output import print_columns, print_json, size_of
    from crdtstore.cli.target import directory_of
    from crdtstore.cli.values import json_or_text
    from crdtstore.storage.inspect import inspect_document

    found = inspect_document(directory_of(layers), collection, json_or_text(id))
    if as_json:
        print_json(found)
        return
    print_wrong(found)
    rows = [("collection", collection), ("key", found["key"]), ("row", size_of(found["bytes"]))]
    print_columns([*rows, ("digest", found.get("digest", "unknown"))])
    if found.get("cells"):
        click.echo()
        print_columns([("", "path", "type", "value", "time", "actor", "origin"), *cell_lines(found["cells"])])


def cell_lines(cells: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    """One line for each cell, and one for each total below its counter."""
    for cell in cells:
        kind = f"{cell['type']} (explicit)" if cell.get("explicit") else cell["type"]
        mark = "*" if cell["visible"] else ""
        yield mark, cell["path"], kind, text_of(cell["value"]), cell["time"], cell["actor"], cell["origin"]
        for total in cell.get("totals", ()):
            amount = text_of(total["amount"])
            yield "", "", "  total", amount, total["time"], total["actor"], total["origin"]


@command.command("operation", cls=Documented, example="crdtstore inspect operation 42 --store cities-data")
@click.argument("txn", type=click.IntRange(min=1))
@with_settings("store")
@json_option
def operation(layers: Layers, *, txn: int, as_json: bool) -> None:
    """Print a transaction of the log.

    TXN is its number in this store. For a record: origin and position, time, actor, what its author had observed, and
    the operations on each document.
    """
    from crdtstore.cli.output import print_columns, print_json
    from crdtstore.cli.target import directory_of
    from crdtstore.storage.inspect import inspect_operation

    found = inspect_operation(directory_of(layers), txn)
    if as_json:
        print_json(found)
        return
    print_wrong(found)
    lists = ("observed", "vector", "changes", "ranges", "wrong", "timestamp")
    print_columns([(name, text_of(value)) for name, value in found.items() if name not in lists])
    for name in ("observed", "vector"):
        for reached in found.get(name, ()):
            click.echo(f"{name}  {reached['origin']} {reached['position']:,} {reached['time']} {reached['digest']}")
    for change in found.get("changes", ()):
        click.echo(f"\n{change['collection']} {text_of(change['id'])}")
        for made in change["operations"]:
            rest = {name: value for name, value in made.items() if name not in {"operation", "path"}}
            click.echo(f"  {made['operation']} {made['path']} {text_of(rest) if rest else ''}".rstrip())


@command.command("actor", cls=Documented, example="crdtstore inspect actor --store cities-data")
@click.argument("id", required=False)
@with_settings("store")
@json_option
def actor(layers: Layers, *, id: str | None, as_json: bool) -> None:
    """Print the origins and actors that a store knows.

    Of an origin: how many of its transactions were applied here, when the last was made, and the chain digest of all.
    Of an actor: its numbers in this store, one for each origin that ordered its writes. ID, an actor or origin in
    Base64 or hex, leaves out the others.
    """
    from crdtstore.cli.output import print_columns, print_json
    from crdtstore.cli.peers import origin_of
    from crdtstore.cli.target import directory_of
    from crdtstore.storage.inspect import inspect_actors

    found = inspect_actors(directory_of(layers), None if id is None else origin_of(id))
    if as_json:
        print_json(found)
        return
    for wrong in found["wrong"]:
        click.echo(f"Damaged: {wrong}", err=True)
    heads = ("origin", "position", "time", "digest", "floor")
    print_columns([(*heads, ""), *([*map(text_of, map(row.get, heads)), notes(row)] for row in found["origins"])])
    click.echo()
    names = ("replica", "actor", "origin")
    print_columns([names, *([text_of(row[name]) for name in names] for row in found["replicas"])])


@command.command("wal", cls=Documented, example="crdtstore inspect wal --store cities-data")
@with_settings("store")
@json_option
def wal(layers: Layers, *, as_json: bool) -> None:
    """Print what stands in the write-ahead log.

    It is in use while a server runs, and left behind where one ended without closing the store. What is behind the
    checkpoint is in the log only, as far as the disk is concerned: commits, their bytes, and the rows that they change.
    """
    from crdtstore.cli.output import print_columns, print_json, size_of
    from crdtstore.cli.target import directory_of
    from crdtstore.storage.inspect_wal import inspect_wal

    found = inspect_wal(directory_of(layers))
    if as_json:
        print_json(found)
        return
    told = {name: value for name, value in found.items() if name != "rows"}
    for name in ("bytes", "segment_bytes", "frame_bytes"):
        if name in told:
            told[name] = size_of(told[name])
    print_columns([(name.replace("_", " "), str(value)) for name, value in told.items()])
    if found.get("rows"):
        click.echo()
        rows = [(name, str(each["put"]), str(each["removed"])) for name, each in found["rows"].items()]
        print_columns([("table", "put", "removed"), *rows])


def notes(row: Mapping[str, Any]) -> str:
    """What else is to be said of an origin."""
    marks = {"this store": row["own"], "partial": row.get("partial"), row.get("wrong", ""): row.get("wrong")}
    return ", ".join(mark for mark, holds in marks.items() if holds)


@command.command("table", cls=Documented, example="crdtstore inspect table documents --limit 5 --store cities-data")
@click.argument("name", type=click.Choice(TABLES))
@click.option("--from", "start", metavar="KEY", default="", help="Begin at this key, in hex.")
@click.option("--limit", type=click.IntRange(min=1), default=ROWS_DEFAULT, show_default=True, help="So many rows.")
@with_settings("store")
@json_option
def table(layers: Layers, *, name: str, start: str, limit: int, as_json: bool) -> None:
    """Print rows as they are stored.

    For each: the key in hex and what it stands for, whether its seal matches, its size, and the value's first bytes;
    with --json the whole value. What stands behind API keys is not printed.
    """
    from crdtstore.cli.output import print_columns, print_json
    from crdtstore.cli.target import directory_of
    from crdtstore.storage.inspect_rows import read_rows, spell_key, viewing
    from crdtstore.storage.tables import Table

    number, directory = Table[name.upper()], directory_of(layers)
    found = read_rows(directory, number, bytes_of(start), limit)
    with viewing(directory) as view:
        names = [spell_key(number, row.key, view.catalog) for row in found]
    rows = [
        {
            "key": row.key.hex(),
            "stands_for": stands_for,
            "bytes": row.bytes,
            "wrong": row.wrong,
            "value": "" if number is Table.KEYS else row.value.hex(),
        }
        for row, stands_for in zip(found, names, strict=True)
    ]
    if as_json:
        print_json(rows)
        return
    print_columns([("key", "stands for", "seal", "bytes", "value"), *map(row_line, rows)])


def row_line(row: Mapping[str, Any]) -> Sequence[str]:
    """One row for a person."""
    value = row["value"]
    shown = value if len(value) <= 2 * SHOWN_BYTES else value[: 2 * SHOWN_BYTES] + ".."
    seal = "damaged" if row["wrong"] else "ok"
    return row["key"], " ".join(map(text_of, row["stands_for"].values())), seal, f"{row['bytes']:,}", shown


def bytes_of(text: str) -> bytes:
    """Read a key."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError(f"A key is given in hex; got {text!r}.") from None


def print_wrong(found: Mapping[str, Any]) -> None:
    """Say what is damaged, beside the result."""
    if found["wrong"]:
        click.echo(f"Damaged: {found['wrong']}", err=True)


def text_of(value: Any) -> str:
    """Write a value for a person."""
    import msgspec

    if value is None or isinstance(value, dict | list | bool | bytes):
        return msgspec.json.encode(value).decode()
    return f"{value:,}" if isinstance(value, int) else str(value)
