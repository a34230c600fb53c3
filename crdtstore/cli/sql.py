"""`crdtstore sql`: statements of the statement language, given or typed.

Rules: statements come from one place: the argument, `--command`, `--file`, standard input, or, where that is a
terminal, from whoever types them. The first that fails ends the command; those before it stay done, unless all are one
transaction.

Not here: what is done with a statement (`shell/session.py`), the prompt (`shell/prompt.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from crdtstore.cli.options import Documented, at_option, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.cli.shell.session import Session
    from crdtstore.cli.shell.statements import Piece

FORMATS = ("table", "json", "lines", "csv")
"""The shell's; not imported from there, so that the help is quick."""


@click.command(
    "sql",
    cls=Documented,
    example=(
        """crdtstore sql "SELECT name FROM cities WHERE visits > :least" --param least=5 --store cities-data\n"""
        "crdtstore sql --store cities-data < statements.sql"
    ),
)
@click.argument("statement", required=False)
@click.option("-c", "--command", "commands", metavar="TEXT", multiple=True, help="Run this text. Repeatable.")
@click.option("--file", type=click.File("rb"), help="Run the statements in this file.")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="How rows are printed.  [default: table on a terminal, else lines]",
)
@click.option(
    "--param",
    "pairs",
    metavar="NAME=VALUE",
    multiple=True,
    help="What :NAME is in the statements; VALUE is JSON or a text. Repeatable.",
)
@click.option("--transaction", is_flag=True, help="Run all statements as one transaction.")
@click.option("--read-only", is_flag=True, help="Refuse statements that change something.")
@at_option
@click.option("--timing", is_flag=True, help="Say how many rows there were and how long it took.")
@with_settings("store", "url", "key", "key_file")
@json_option
def command(
    layers: Layers,
    *,
    statement: str | None,
    commands: tuple[str, ...],
    file: BinaryIO | None,
    format: str | None,
    pairs: tuple[str, ...],
    transaction: bool,
    read_only: bool,
    at: int | None,
    timing: bool,
    as_json: bool,
) -> None:
    """Run statements, or open a shell for them.

    Statements come from the argument, --command, --file or standard input, separated by semicolons. Without any, on a
    terminal, the shell asks for them; .help lists what else it knows.

    A directory is opened for writing by the first statement that changes something; until then a server may have it.
    """
    from crdtstore.cli.shell.database import open_database
    from crdtstore.cli.shell.dot_commands import Leave, run_pieces
    from crdtstore.cli.shell.session import Session
    from crdtstore.cli.values import named_values

    if transaction and (at is not None or read_only):
        raise click.UsageError("--transaction writes at the newest version: it goes without --at and --read-only.")
    given = lines_of(statement, commands, file)
    if given is None and transaction:
        raise click.UsageError("--transaction needs all statements at once: give them, or pipe them in.")
    parameters = named_values(pairs, "A --param", "--param limit=10")
    with open_database(layers, read_only=read_only, at=at) as database:
        chosen = "json" if as_json else format or default_format()
        session = Session(database, chosen, timing or given is None, parameters)
        with suppress(Leave):
            if given is None:
                ask(session)
            elif transaction:
                session.run_together(statements_of(given))
            else:
                run_pieces(session, given)


def lines_of(statement: str | None, commands: tuple[str, ...], file: BinaryIO | None) -> Iterator[Piece] | None:
    """The statements that are given; None where a person is to type them."""
    from crdtstore.cli.shell.statements import read_pieces

    sources: list[Any] = [*filter(None, (statement, commands, file))]
    if len(sources) > 1:
        raise click.UsageError("Statements come from one place: the argument, --command or --file.")
    if commands:
        return chain.from_iterable(read_pieces(StringIO(text)) for text in commands)
    if statement is not None:
        return read_pieces(StringIO(statement))
    if file is None and sys.stdin.isatty():
        return None
    # What is no UTF-8 is for the statement's parser to refuse, which shows its place.
    return read_pieces(line.decode(errors="surrogateescape") for line in file or sys.stdin.buffer)


def default_format() -> str:
    """A table for a person, JSON Lines for a program."""
    return "table" if sys.stdout.isatty() else "lines"


def statements_of(pieces: Iterable[Piece]) -> list[Piece]:
    """The statements of one transaction."""
    kept = [piece for piece in pieces if not piece.blank]
    if any(piece.dotted for piece in kept):
        raise click.UsageError("A transaction consists of statements; a dot command is none.")
    if not kept:
        raise click.UsageError("A transaction has at least one statement.")
    return kept


def ask(session: Session) -> None:
    """Let a person type statements."""
    try:
        from crdtstore.cli.shell.prompt import interact
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "prompt_toolkit":
            raise
        message = (
            f"The shell needs {error.name}: pip install 'crdtstore[shell]'. Statements can be piped in without it."
        )
        raise click.ClickException(message) from None
    interact(session)
