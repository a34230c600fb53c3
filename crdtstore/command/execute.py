"""Commands are run here, one after the other, each seeing what the ones before it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from crdtstore.command.command import Remove, Update, Upsert
from crdtstore.command.place import place_in
from crdtstore.command.remove import remove
from crdtstore.command.staging import stage
from crdtstore.command.update import update
from crdtstore.command.upsert import upsert
from crdtstore.errors import CallerError, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.command.command import Command
    from crdtstore.command.result import Result
    from crdtstore.storage.draft import Draft


KINDS: Final[frozenset[type]] = frozenset((Upsert, Update, Remove))


def check_commands(commands: Sequence[object]) -> tuple[Command, ...]:
    """Refuse what is no command, before anything runs.

    Raises:
        MalformedRequest: Something that is neither an upsert nor an update nor a remove.
    """
    kinds = set(map(type, commands))  # few, while the commands may be many
    if not kinds <= KINDS and not all(issubclass(kind, Upsert | Update | Remove) for kind in kinds):
        raise MalformedRequest("A command is an Upsert, an Update or a Remove; something else was given.")
    return tuple(cast("Sequence[Command]", commands))


def execute(commands: Sequence[Command], draft: Draft) -> tuple[Result, ...]:
    """Run commands on a draft; the first that is refused refuses them all, and its error says which, and where."""
    try:
        staged = stage(tuple(commands), draft)
    except CallerError:
        staged = None  # which command is wrong, and how, is found one by one
    if staged is not None:
        return staged
    results: list[Result] = []
    try:
        for command in commands:
            results.append(execute_one(command, draft))
    except CallerError as error:
        error.data.setdefault("command", len(results))
        if place := place_in(command):
            error.data.setdefault("place", place)
        raise
    return tuple(results)


def execute_one(command: Command, draft: Draft) -> Result:
    """Run one command."""
    match command:
        case Upsert():
            return upsert(command, draft)
        case Update():
            return update(command, draft)
        case Remove():
            return remove(command, draft)
