"""Commands are run here, one after the other, each seeing what the ones before it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.command.command import Remove, Update, Upsert
from crdtstore.command.remove import remove
from crdtstore.command.update import update
from crdtstore.command.upsert import upsert
from crdtstore.errors import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.command.command import Command
    from crdtstore.command.result import Result
    from crdtstore.storage.draft import Draft


def check_commands(commands: Sequence[object]) -> tuple[Command, ...]:
    """Refuse what is no command, before anything runs.

    Raises:
        MalformedRequest: Something that is neither an upsert nor an update nor a remove.
    """
    checked = tuple(command for command in commands if isinstance(command, Upsert | Update | Remove))
    if len(checked) != len(commands):
        raise MalformedRequest("A command is an Upsert, an Update or a Remove; something else was given.")
    return checked


def execute(commands: Sequence[Command], draft: Draft) -> tuple[Result, ...]:
    """Run commands on a draft; the first that is refused refuses them all."""
    return tuple(execute_one(command, draft) for command in commands)


def execute_one(command: Command, draft: Draft) -> Result:
    """Run one command."""
    match command:
        case Upsert():
            return upsert(command, draft)
        case Update():
            return update(command, draft)
        case Remove():
            return remove(command, draft)
