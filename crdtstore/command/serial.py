"""Commands one after the other, each a transaction of its own.

Rules: all of them are queued at once, so they share flushes, and still none is run unless the one before it was
accepted. In one commit group that is known at once, since transactions run in order; across groups the one before is
done, well or not, when the next group begins. What was accepted before a failure stays.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from crdtstore.command.execute import check_commands, execute
from crdtstore.errors import CrdtStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.command.command import Command
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.draft import Draft
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch

Answer = TypeVar("Answer")
Run: TypeAlias = "Callable[[Batch, Catalog, Head], Any]"


class Around(Protocol):
    """What decides whether a transaction is run."""

    def around(self, run: Run) -> Run:
        """Make of a transaction one that asks first."""


class Sequencing(Protocol):
    """What runs a transaction, as `Store.sequence` does."""

    def __call__(
        self, evaluate: Callable[[Draft], object], finish: Callable[[Any], Answer], *, once: Around
    ) -> Future[Answer]:
        """Queue it."""


class Serial:
    """How far a line of commands has come; what else decides about each of them is asked within."""

    def __init__(self, within: Around | None) -> None:
        self.within = within
        self.accepted = 0
        self.pending: list[Future[Any]] = []

    def around(self, run: Run) -> Run:
        """Make of the next transaction one that is run only if the one before was accepted."""
        number = len(self.pending)
        inner = run if self.within is None else self.within.around(run)

        def run_in_turn(batch: Batch, catalog: Catalog, head: Head) -> Any:
            self.check_turn(number)
            done = inner(batch, catalog, head)
            self.accepted = number + 1
            return done

        return run_in_turn

    def check_turn(self, number: int) -> None:
        """Refuse what stands behind a failure.

        Raises:
            CrdtStoreError: One before it was not accepted, or was and is not on disk.
        """
        before = self.pending[number - 1] if number else None
        if self.accepted != number or (before is not None and before.done() and before.exception() is not None):
            raise CrdtStoreError("A command before this one failed; this one was not run.")


def submit_serially(
    sequence: Sequencing, commands: Sequence[Command], finish: Callable[[Any], Answer], within: Around | None = None
) -> list[Future[Answer]]:
    """Queue commands; a future for each, done in order.

    Behind the first future that fails no command was run; there may be fewer futures than commands then.

    Raises:
        MalformedRequest: Something that is no command.
    """
    serial = Serial(within)
    for command in check_commands(commands):
        try:
            future = sequence(partial(execute, (command,)), finish, once=serial)
        except CrdtStoreError as error:
            future = Future()
            future.set_exception(error)
        serial.pending.append(future)
        if future.done() and future.exception() is not None:
            break
    return serial.pending
