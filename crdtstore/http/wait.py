"""Requests that wait for something to happen in the store: woken by the writer, never polling.

Rules: a wait ends in one of four ways: what it waits for happens, the deadline passes, the caller goes away, the
server stops. In each of them nothing stays behind in the store. The writer's thread only leaves a word for the event
loop, one for all who are woken at once.

Not here: who is woken when, see `crdtstore.version`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from crdtstore.auth.session import Session
from crdtstore.errors import VersionNotAvailable
from crdtstore.http.request import Disconnected, Receive

Callback: TypeAlias = Callable[[], None]
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
        self.lock = Lock()
        self.due: list[Callback] = []

    def add(self, loop: asyncio.AbstractEventLoop, wake: Callback) -> None:
        """Have something called on the loop; from any thread. The first since the last round asks for one."""
        with self.lock:
            self.due.append(wake)
            if len(self.due) > 1:
                return
        try:
            loop.call_soon_threadsafe(self.call)
        except RuntimeError:
            # The loop was closed between: nobody waits any more, and who wakes must not be disturbed by it.
            return

    def call(self) -> None:
        """Wake everybody who is due; on the loop."""
        with self.lock:
            due, self.due = self.due, []
        for wake in due:
            wake()


WAKES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Wakes]] = WeakKeyDictionary()


def wakes_of(loop: asyncio.AbstractEventLoop) -> Wakes:
    """What wakes on a loop; called there."""
    wakes = WAKES.get(loop)
    if wakes is None:
        wakes = WAKES[loop] = Wakes()
    return wakes


async def until_applied(
    session: Session, collections: Iterable[str], txn: int, seconds: float, receive: Receive, held: Held
) -> None:
    """Wait until `txn` is applied.

    Args:
        session: Whose store.
        collections: What will be read then: waiting needs the same permission.
        txn: The transaction to wait for.
        seconds: The deadline.
        receive: The ASGI channel after the body: it says when the caller goes away.
        held: Who waits.

    Raises:
        VersionNotAvailable: The deadline passed, or the server stops.
        Overloaded: Too many reads wait.
        Disconnected: The caller went away.
    """
    if session.applied < txn:
        await until_woken(partial(session.notify, collections, txn), seconds, receive, held)
    if session.applied < txn:
        raise VersionNotAvailable(txn, session.applied)


async def until_woken(notify: Callable[[Callback], Callback], seconds: float, receive: Receive, held: Held) -> None:
    """Wait until a callback is called, the deadline passes or the server stops.

    Args:
        notify: Takes the callback, and returns what takes it back.
        seconds: The deadline.
        receive: The ASGI channel after the body: it says when the caller goes away.
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
    gone = loop.create_task(until_gone(receive))
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
    loop = asyncio.get_running_loop()
    wakes = wakes_of(loop)
    done: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not done.done():
            done.set_result(None)

    pending.add_done_callback(lambda _: wakes.add(loop, end))
    await done
    return pending.result()


async def until_gone(receive: Receive) -> None:
    """Return when the caller goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
