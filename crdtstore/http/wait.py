"""Requests that wait for something to happen in the store: woken by the writer, never polling.

Rules: a wait ends in one of four ways: what it waits for happens, the deadline passes, the caller goes away, the
server stops. In each of them nothing stays behind in the store. The writer's thread only leaves a word for the event
loop, one for all who are woken at once.

Not here: who is woken when, see `crdtstore.version`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import get_ident
from types import coroutine
from typing import Final, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

from crdtstore.auth.session import Session
from crdtstore.errors import VersionNotAvailable
from crdtstore.http.channel import Disconnected
from crdtstore.version.pending import Pending

Callback: TypeAlias = Callable[[], None]
Gone: TypeAlias = "Callable[[], asyncio.Future[None]]"
"""Gives a future that is done when the caller goes away."""

Result = TypeVar("Result")


class Held:
    """The requests that wait; a server that stops lets them go, since it waits for them in turn."""

    def __init__(self) -> None:
        self.ends: set[Callback] = set()
        self.over = False
        self.streams = 0
        """Answers that go on: see `event_stream`."""

    def let_go(self) -> None:
        """End every wait, and those that would begin; on the event loop."""
        self.over = True
        for end in list(self.ends):
            end()


class Wakes:
    """Who is to be woken on one event loop."""

    def __init__(self) -> None:
        self.due: deque[Callback] = deque()
        self.asked = False
        self.thread = get_ident()

    def add(self, loop: asyncio.AbstractEventLoop, wake: Callback) -> None:
        """Have something called on the loop; from any thread. The first since the last round asks for one."""
        self.due.append(wake)
        if not self.asked:
            self.asked = True
            # Else the loop was closed between: nobody waits any more, and who wakes must not be disturbed by it.
            with suppress(RuntimeError):
                (loop.call_soon if self.thread == get_ident() else loop.call_soon_threadsafe)(self.call)

    def call(self) -> None:
        """Wake everybody who is due; on the loop. What comes meanwhile asks for another round."""
        self.asked = False
        for _ in range(len(self.due)):
            self.due.popleft()()


WAKES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Wakes]] = WeakKeyDictionary()


def wakes_of(loop: asyncio.AbstractEventLoop) -> Wakes:
    """What wakes on a loop; called there."""
    wakes = WAKES.get(loop)
    if wakes is None:
        wakes = WAKES[loop] = Wakes()
    return wakes


async def until_applied(
    session: Session, collections: Iterable[str], txn: int, seconds: float, gone_of: Gone, held: Held
) -> None:
    """Wait until `txn` is applied.

    Args:
        session: Whose store.
        collections: What will be read then: waiting needs the same permission.
        txn: The transaction to wait for.
        seconds: The deadline.
        gone_of: Says when the caller goes away.
        held: Who waits.

    Raises:
        VersionNotAvailable: The deadline passed, or the server stops.
        Overloaded: Too many reads wait.
        Disconnected: The caller went away.
    """
    if session.applied < txn:
        await until_woken(partial(session.notify, collections, txn), seconds, gone_of, held)
    if session.applied < txn:
        raise VersionNotAvailable(txn, session.applied)


async def until_woken(notify: Callable[[Callback], Callback], seconds: float, gone_of: Gone, held: Held) -> None:
    """Wait until a callback is called, the deadline passes or the server stops.

    Args:
        notify: Takes the callback, and returns what takes it back.
        seconds: The deadline.
        gone_of: Says when the caller goes away.
        held: Who waits.

    Raises:
        Overloaded: Too many wait.
        Disconnected: The caller went away.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end(*_: object) -> None:
        if not ended.done():
            ended.set_result(None)

    cancel = notify(partial(wakes_of(loop).add, loop, end))
    deadline = loop.call_later(0 if held.over else seconds, end)
    gone = gone_of()
    gone.add_done_callback(end)
    held.ends.add(end)
    try:
        await ended
    finally:
        held.ends.discard(end)
        cancel()
        deadline.cancel()
        gone.cancel()
    if gone.done() and not gone.cancelled():
        raise Disconnected


async def until_done(pending: Future[Result]) -> Result:
    """Wait for what another thread does, whoever else waits: a task that is cancelled leaves it on its way."""
    if pending.done():
        return pending.result()
    if isinstance(pending, Pending) and asyncio.current_task() is None:
        await handed(pending)
        return cast("Result", pending.result())
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not done.done():
            done.set_result(None)

    wakes = wakes_of(loop)
    pending.add_done_callback(lambda _: wakes.add(loop, end))
    await done
    return pending.result()


@coroutine
def handed(pending: Pending) -> Generator[Pending, None, None]:
    """Hand a pending to what drives a coroutine without a task, which goes on once it is done: see `serving.tasks`."""
    yield pending
