"""A session of the shell: what it holds from one statement to the next, and how one is run and shown.

Rules: each statement is a transaction of its own, unless several are run together. What a statement answers goes to
standard output; how many rows and how long goes there too below a table, else to standard error.

Not here: dot commands (`dot_commands`), formats (`output`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import click
import msgspec

from crdtstore.cli.output import counted, note
from crdtstore.cli.query import lines_of_statement
from crdtstore.cli.shell.columns import named_columns
from crdtstore.cli.shell.complaint import located
from crdtstore.cli.shell.database import Database
from crdtstore.cli.shell.output import print_rows
from crdtstore.cli.shell.statements import CHANGING, READING, Piece, verb_of
from crdtstore.crdt.value import Value
from crdtstore.query.dql.statement_parser import EXPLAINS
from crdtstore.query.lexer import check_text
from crdtstore.statement.answer import Executed
from crdtstore.statement.run import parse_kept


@dataclass(slots=True)
class Session:
    """What a shell holds."""

    database: Database
    format: str
    timing: bool = False
    parameters: dict[str, Value] = field(default_factory=dict)

    def run(self, piece: Piece) -> None:
        """Run one statement and print its answer.

        Raises:
            CrdtStoreError: It is refused; the message says where it stands.
        """
        began = perf_counter()
        with located(piece):
            # What no request could carry is refused with its place, wherever the statement goes.
            check_text(piece.text)
            if verb_of(piece.text) == "SELECT":
                with self.database.stream(piece.text, self.parameters) as rows:
                    done = print_rows(rows, self.format, named_columns(piece.text))
                self.tell(counted(done, "row"), began)
            else:
                answer = self.database.execute(piece.text, self.parameters)
                self.show(answer, piece.text, began)
                warn(answer)

    def run_together(self, pieces: Sequence[Piece]) -> None:
        """Run statements as one transaction and print their answers.

        Raises:
            CrdtStoreError: One is refused; nothing was written.
        """
        began = perf_counter()
        for piece in pieces:
            with located(piece):
                parse_kept(piece.text, "v5")
        answers = self.database.execute_together([piece.text for piece in pieces], self.parameters)
        for piece, answer in zip(pieces, answers, strict=True):
            self.show(answer, piece.text)
        warn(*answers)
        if self.timing:
            self.tell(counted(len(pieces), "statement"), began)

    def show(self, answer: Executed, text: str, began: float | None = None) -> None:
        """Print what a statement answered."""
        verb = verb_of(text)
        if verb not in READING and self.format == "json":
            click.echo(as_object(answer))
        elif verb in EXPLAINS and self.format == "table":
            click.echo("\n".join(explanation(answer, verb)) or "No index would help.")
            return
        elif answer.rows_json or verb in READING:
            print_rows(iter(answer.rows_json), self.format, named_columns(text))
        self.tell(summary(answer, verb), began, always=verb in CHANGING)

    def tell(self, text: str, began: float | None, *, always: bool = False) -> None:
        """Say how much there was, and how long it took if that is asked for."""
        timed = f"{text} ({milliseconds(perf_counter() - began)})" if self.timing and began is not None else text
        if self.format == "table":
            click.echo(timed)
        elif self.timing or always:
            note(timed)


def warn(*answers: Executed) -> None:
    """Tell the warnings of answers, each once."""
    for warning in dict.fromkeys(warning for answer in answers for warning in answer.warnings):
        note(f"Warning: {warning}")


def explanation(answer: Executed, verb: str) -> Iterator[str]:
    """How a statement is run, or which index it lacks, for people."""
    advised = verb == "ADVISE"
    return lines_of_statement({"steps": () if advised else answer.items, "advice": answer.items if advised else ()})


def summary(answer: Executed, verb: str) -> str:
    """What a statement came to, in a few words."""
    if verb in CHANGING:
        changed = f"{counted(len(answer.mutated), 'document')} changed"
        return f"{changed}, transaction {answer.txn}" if answer.mutated else changed
    return counted(len(answer.rows_json), "row") if answer.rows_json or verb in READING else "Done"


def as_object(answer: Executed) -> bytes:
    """What a statement that changes something answered, as one JSON object."""
    rows = map(msgspec.Raw, answer.rows_json)
    body = {"txn": answer.txn, "mutated": answer.mutated, "rows": list(rows), "warnings": answer.warnings}
    return msgspec.json.encode(body)


def milliseconds(seconds: float) -> str:
    """A time for people: `3.1 ms`, `2.04 s`."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
