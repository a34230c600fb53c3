"""Dot commands: what the shell does that no statement says.

Rules: one a line, its words separated by spaces; a `;` at its end is left out. What has a choice shows it when none is
made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import click
import msgspec

from crdtstore.cli.index import counted_entries
from crdtstore.cli.output import print_columns
from crdtstore.cli.shell.database import SAMPLE, collections, indexes, sample
from crdtstore.cli.shell.output import FORMATS
from crdtstore.cli.shell.session import Session
from crdtstore.cli.shell.statements import Piece
from crdtstore.cli.values import named_values


class Leave(Exception):
    """The session ends."""


class DotCommand(NamedTuple):
    """What a dot command takes, what it does in a few words, and the function that does it."""

    takes: str
    text: str
    run: Callable[[Session, str], None]


def run_pieces(session: Session, pieces: Iterable[Piece]) -> None:
    """Run statements and dot commands, one after the other, until one fails.

    Raises:
        Leave: The session ends.
        CrdtStoreError: A statement is refused.
        click.UsageError: A dot command is wrong.
    """
    for piece in pieces:
        if piece.dotted:
            run_dot_command(session, piece)
        elif not piece.blank:
            session.run(piece)


def run_dot_command(session: Session, piece: Piece) -> None:
    """Run a line that begins with a point.

    Raises:
        Leave: The session ends.
        click.UsageError: There is no such command, or what follows it is wrong.
    """
    name, _, rest = piece.text.strip().removesuffix(";").partition(" ")
    command = DOT_COMMANDS.get(name)
    if command is None:
        raise click.UsageError(f"There is no command {name}; .help lists them.")
    command.run(session, rest.strip())


def show_help(_session: Session, _rest: str) -> None:
    """List the dot commands."""
    print_columns([(f"{name} {command.takes}", command.text) for name, command in DOT_COMMANDS.items()])
    click.echo("A statement ends with a semicolon, and may have several lines.")


def show_collections(session: Session, _rest: str) -> None:
    """List the collections."""
    print_listed([(name, f"{documents:,}") for name, documents in collections(session.database).items()])


def show_fields(session: Session, rest: str) -> None:
    """List the fields of a collection."""
    name = rest.strip("`")
    if not name:
        raise click.UsageError("Say of which collection: .fields COLLECTION.")
    documents = sample(session.database, name)
    rows = [(field, types, f"{count:,} of {len(documents):,}") for field, types, count in fields_of(documents)]
    print_listed(rows)
    if len(documents) == SAMPLE:
        click.echo(f"Of the first {SAMPLE:,} documents.")


def fields_of(documents: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str, int]]:
    """Each field, the types of its values, and in how many documents it is."""
    types: dict[str, Counter[str]] = defaultdict(Counter)
    for document in documents:
        for name, value in document.items():
            types[name][type_of(value)] += 1
    for name, found in types.items():
        yield name, ", ".join(sorted(found)), found.total()


def type_of(value: Any) -> str:
    """What JSON calls a value's type, and integers apart."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "float"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def show_indexes(session: Session, _rest: str) -> None:
    """List the indexes."""
    print_listed([columns_of_index(row) for row in indexes(session.database)])


def columns_of_index(row: Mapping[str, Any]) -> tuple[str, ...]:
    """An index, as `crdtstore index list` shows it."""
    building = f"{row['state']}, {row['documents']:,} of {row['documents_total']:,} documents"
    state = counted_entries(row["entries"]) if row["state"] == "ready" else building
    return row["collection"], row["_id"], ", ".join(row["fields"]) or row["kind"], state


def choose_format(session: Session, rest: str) -> None:
    """Choose a format."""
    if rest and rest not in FORMATS:
        raise click.UsageError(f"A format is {', '.join(FORMATS)}; got {rest!r}.")
    session.format = rest or session.format
    click.echo(f"format {session.format}")


def choose_timing(session: Session, rest: str) -> None:
    """Choose whether times are shown."""
    if rest not in {"", "on", "off"}:
        raise click.UsageError(f"The timing is on or off; got {rest!r}.")
    session.timing = rest == "on" if rest else session.timing
    click.echo(f"timing {'on' if session.timing else 'off'}")


def choose_parameters(session: Session, rest: str) -> None:
    """Show the parameters, or set one."""
    if rest:
        session.parameters |= named_values([rest], "A parameter", "least=10")
    print_listed([(f":{name}", msgspec.json.encode(value).decode()) for name, value in session.parameters.items()])


def explain(session: Session, rest: str) -> None:
    """Say how a statement is run."""
    session.run(Piece(f"EXPLAIN {rest}", 1, 1 - len("EXPLAIN ") + len(".explain ")))


def leave(_session: Session, _rest: str) -> None:
    """End the session."""
    raise Leave


def print_listed(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns, or that there are none."""
    if rows:
        print_columns(rows)
    else:
        click.echo("none")


DOT_COMMANDS: Final[Mapping[str, DotCommand]] = {
    ".help": DotCommand("", "list these commands", show_help),
    ".collections": DotCommand("", "the collections, and how many documents each has", show_collections),
    ".fields": DotCommand("COLLECTION", "the fields of its documents, with their types", show_fields),
    ".indexes": DotCommand("", "the indexes", show_indexes),
    ".explain": DotCommand("STATEMENT", "how it would be run", explain),
    ".params": DotCommand("[NAME=VALUE]", "what :NAME stands for; VALUE is JSON or a text", choose_parameters),
    ".format": DotCommand(f"[{'|'.join(FORMATS)}]", "how rows are printed", choose_format),
    ".timing": DotCommand("[on|off]", "whether it is said how long a statement took", choose_timing),
    ".exit": DotCommand("", "leave; so does Ctrl-D", leave),
}
"""By name, in the order of `.help`."""
