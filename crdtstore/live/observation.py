"""An observation is one observer's place in a live query: what it was told last, and how it is woken.

Rules: nothing waits for an observer. One that comes late is told everything at once: from what it saw to what is now,
so that nothing is kept for it but that place. It is told an error once; then, as when it is closed, nothing more.
`next`, `take` and the iterators are for one thread or task at a time.

Not here: what is told (`query`), who else observes the same (`shared`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from threading import TIMEOUT_MAX
from time import monotonic
from typing import TYPE_CHECKING, Self

from crdtstore.bell import Bell

if TYPE_CHECKING:
    from crdtstore.errors import CrdtStoreError
    from crdtstore.live.query import Change, LiveQuery, Result


class Observation:
    """One observer of a live query.

        with store.observe("tasks", "!done", order=["due"], limit=10) as tasks:
            for change in tasks:
                show(change.rows)

    As an iterator it blocks until there is a change, with `async for` it waits for one; the first comes at once, and
    has all rows. It ends when it is closed, or the store is.
    """

    def __init__(self, query: LiveQuery, leave: Callable[[Observation], None]) -> None:
        """Have seen nothing yet."""
        self.query = query
        self.leave = leave
        self.seen: Result | None = None
        self.error: CrdtStoreError | None = None
        self.ended = False
        """Whether nothing comes any more, once what is there was taken."""
        self.closed = False
        self.rung = False
        """Whether it was woken since it looked."""
        self.bell = Bell()
        self.waker: Callable[[], None] | None = None

    # --- what it is told ---

    def take(self) -> Change | None:
        """What is new since the last call, without waiting; None where nothing is.

        Raises:
            CrdtStoreError: What the live query broke at.
        """
        self.rung = False
        result, txn = self.query.current()
        if result is None or self.closed:
            return None
        change = result.change_from(self.seen, txn)
        self.seen = result
        if change is None and self.error is not None:
            error, self.error = self.error, None
            raise error
        return change

    def resume(self, txn: int) -> None:
        """Go on from what was told at a version before: where that is still the result, it is not told again."""
        result, newest = self.query.current()
        if result is not None and result.txn <= txn <= newest:
            self.seen = result

    def next(self, seconds: float = inf) -> Change | None:
        """Block until there is something new; None where nothing was within so many seconds, or nothing comes any more.

        Raises:
            CrdtStoreError: What the live query broke at.
        """
        deadline = monotonic() + seconds
        while True:
            self.bell.quiet()
            # What came before the end is there when the end is seen.
            ended = self.ended
            change = self.take()
            left = deadline - monotonic()
            if change is not None or ended or left <= 0:
                return change
            self.bell.wait(min(left, TIMEOUT_MAX))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        change = self.next()
        if change is None:
            raise StopIteration
        return change

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        loop = asyncio.get_running_loop()
        while True:
            woken: asyncio.Future[None] = loop.create_future()
            stop = self.listen(partial(wake_on, loop, woken))
            try:
                ended = self.ended
                change = self.take()
                if change is not None:
                    return change
                if ended:
                    raise StopAsyncIteration
                await woken
            finally:
                stop()

    # --- how it is woken ---

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call back, from any thread, when there may be something new; returns what ends that.

        There is one callback at a time.
        """
        self.waker = wake

        def stop() -> None:
            self.waker = None

        return stop

    def wake(self) -> None:
        """Say that there may be something new, or nothing any more; from any thread."""
        self.rung = True
        self.bell.ring()
        waker = self.waker
        if waker is not None:
            waker()

    def end(self, error: CrdtStoreError | None) -> None:
        """Say that nothing comes any more, and what broke, if anything did; from any thread."""
        self.error = error
        self.ended = True
        self.wake()

    def close(self) -> None:
        """Observe no more; who waits is woken. Again does nothing."""
        self.closed = True
        self.leave(self)
        self.end(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wake_on(loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None]) -> None:
    """Wake a task on its loop; from any thread."""

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    try:
        loop.call_soon_threadsafe(wake)
    except RuntimeError:
        # The loop was closed between: nobody waits any more, and who wakes must not be disturbed by it.
        return
