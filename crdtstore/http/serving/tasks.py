"""Work that is begun at once, and becomes a task of the event loop only if it has to wait for something but the disk.

Rules: most requests are answered without waiting, and then a task costs more than what it does. What is begun at once
runs without a task until it first waits, so nothing on that way may ask for its task (`asyncio.timeout` does). Where
it waits for a write, it is gone on with when that is done, without a task as before: all writes of a commit group in
one round of the loop. For anything else it becomes a task like any other, and can be cancelled.

Not here: what is done where it fails (`connection`).
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any

from crdtstore.version.pending import Pending


class Rest:
    """What is left of a coroutine that was begun, as something to await."""

    __slots__ = ("awaited", "coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        """A coroutine, and what it waits for."""
        self.coroutine = coroutine
        self.awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        """Go on until it ends: what it waits for is waited for here."""
        awaited, coroutine = self.awaited, self.coroutine
        self.awaited = None
        while True:
            try:
                try:
                    given = yield awaited
                except BaseException as error:  # noqa: BLE001  whatever is thrown in here is meant for it
                    awaited = coroutine.throw(error)
                else:
                    awaited = coroutine.send(given)
            except StopIteration:
                return


def go_on(coroutine: Coroutine[Any, Any, None]) -> Rest | Pending | None:
    """Run a coroutine until it waits; returns the write that it waits for, or what is left, or None at its end."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return awaited if isinstance(awaited, Pending) else Rest(coroutine, awaited)
