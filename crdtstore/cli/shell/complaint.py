"""Errors of a statement say where it stands in the whole input.

Rules: an error in the text of a statement ends in its line and column, with the line and a caret below it; any other
error names the statement's line, unless the input has only one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crdtstore.cli.shell.statements import Piece
from crdtstore.errors import CrdtStoreError, QuerySyntaxError


@contextmanager
def located(piece: Piece) -> Iterator[None]:
    """Say in an error of the block where the statement stands.

    Raises:
        CrdtStoreError: As it was raised, with more words.
    """
    try:
        yield
    except CrdtStoreError as error:
        if isinstance(error, QuerySyntaxError) and "line" in error.data:
            place_inside(error, piece)
        else:
            place_behind(error, piece)
        raise


def place_inside(error: QuerySyntaxError, piece: Piece) -> None:
    """Write the place in the input for the place in the statement."""
    line, column = error.data["line"], error.data["column"]
    sentence, _, excerpt = error.message.partition("\n")
    problem = sentence.removeprefix(f"The query cannot be read at line {line}, column {column}: ").removesuffix(".")
    column += piece.column - 1 if line == 1 else 0
    line += piece.line - 1
    error.message = f"{problem} (line {line}, column {column})\n{excerpt}".rstrip()
    error.data = {name: value for name, value in error.data.items() if name != "offset"}
    error.data |= {"line": line, "column": column}


def place_behind(error: CrdtStoreError, piece: Piece) -> None:
    """Name the line of the statement, where there are others before it."""
    line, _ = piece.place
    if line > 1:
        error.message = f"{error.message.removesuffix('.')} (statement at line {line})."
        error.data = {**error.data, "line": line}
