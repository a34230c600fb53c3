"""An error of a statement says where in its text stands what it names; one that writes, at which document it happened.

Rules: the error stays what it is; its message and its data are added to. What a statement refuses in the words of
`query/dql/messages.py` has these as `description`.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from crdtstore.crdt.path import format_steps
from crdtstore.errors import CallerError, InvalidQuery
from crdtstore.query.dql import messages
from crdtstore.query.dql.tokens import END, tokenize

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.dql.statement import Keys


def name_place(error: CallerError, collection: str, id_: Value, path: Keys | None = None) -> CallerError:
    """Say of an error at which document, and at which path of it, it happened, unless it says so itself."""
    if path is not None and "path" not in error.data:
        error.data["path"] = format_steps(path)
        error.message += f" It happened at path {format_steps(path)}."
    if "document" not in error.data:
        error.data |= {"collection": collection, "document": id_}
        error.message += f" Document: {id_!r:.60} of collection {collection}."
    error.args = (error.message,)
    return error


def show_place(error: CallerError, text: str, profile: Profile) -> None:
    """Say of an error that names something where that stands in the statement, unless it says so itself."""
    name = error.data.get("name")
    if not isinstance(name, str) or "line" in error.data:
        return
    written = takewhile(lambda token: token.kind != END, tokenize(text, profile))
    at = next((token.start for token in written if token.value == name), None)
    if at is None:
        return
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    error.data |= {"line": line, "column": column}
    error.message += f" It stands at line {line}, column {column}."
    error.args = (error.message,)


def not_on_register(path: Keys) -> InvalidQuery:
    """A change that what is taken for a REGISTER cannot be given."""
    shown = format_steps(path)
    message = f"{messages.NOT_ON_REGISTER} {shown}: declare its type, as in COLLECTION c ({path[0]} MAP)."
    return InvalidQuery(message, reason="type", description=messages.NOT_ON_REGISTER, path=shown)


def wrong_type(path: Keys, declared: str, wanted: str) -> InvalidQuery:
    """A change that a field of its declared type cannot be given."""
    shown = format_steps(path)
    return InvalidQuery(f"{shown} is declared as {declared.upper()}; {wanted}.", reason="type", path=shown)


def modified_twice(path: Keys) -> InvalidQuery:
    """A path that is changed by itself, and again by a change above or below it."""
    message = messages.modified_twice(format_steps(path))
    return InvalidQuery(f"{message}: it is changed above or below it, too.", reason="path", description=message)
