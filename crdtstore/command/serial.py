"""Commands one after the other, each a transaction of its own.

Rules: all of them are queued at once, so they share flushes, and still none is run unless the one before it was
accepted. In one commit group that is known at once, since transactions run in order; across groups the one before is
done, well or not, when the next group begins. What was accepted before a failure stays.
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from crdtstore.command.execute import check_commands, execute
from crdtstore.errors import CrdtStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crdtstore.command.command import Command
    from crdtstore.command.result import Result
    from crdtstore.storage.draft import Draft

Answer = TypeVar("Answer")


class Sequencing(Protocol):
    """What runs a transaction, as `Store.sequence` does."""

    def __call__(self, evaluate: Callable[[Draft], object], finish: Callable[[Any], Answer]) -> Future[Answer]:
        """Queue it."""


class Serial:
    """How far a line of commands has come."""

    def __init__(self) -> None:
        self.accepted = 0
        self.pending: list[Future[Any]] = []

    def run(self, number: int, command: Command, draft: Draft) -> tuple[Result, ...]:
        """Run one command, unless one before it failed."""
        before = self.pending[number - 1] if number else None
        if self.accepted != number or (before is not None and before.done() and before.exception() is not None):
            raise CrdtStoreError("A command before this one failed; this one was not run.")
        return execute((command,), draft)

    def finish(self, number: int, finish: Callable[[Any], Answer], done: Any) -> Answer:
        """Note that a command was accepted."""
        self.accepted = number + 1
        return finish(done)


def submit_serially(
    sequence: Sequencing, commands: Sequence[Command], finish: Callable[[Any], Answer]
) -> list[Future[Answer]]:
    """Queue commands; a future for each, done in order.

    Behind the first future that fails no command was run; there may be fewer futures than commands then.

    Raises:
        MalformedRequest: Something that is no command.
    """
    serial = Serial()
    for number, command in enumerate(check_commands(commands)):
        try:
            future = sequence(partial(serial.run, number, command), partial(serial.finish, number, finish))
        except CrdtStoreError as error:
            future = Future()
            future.set_exception(error)
        serial.pending.append(future)
        if future.done() and future.exception() is not None:
            break
    return serial.pending
