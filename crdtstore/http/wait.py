"""A read that waits for a transaction: woken by the writer, never polling.

Rules: a wait ends in one of three ways: the transaction is applied, the deadline passes, the caller goes
away. In each of them nothing stays behind in the store. The writer's thread only leaves a word for the event
loop.

Not here: who is woken when, see `crdtstore.version`.
"""

from __future__ import annotations

import asyncio

from crdtstore.auth.session import Session
from crdtstore.errors import VersionNotAvailable
from crdtstore.http.request import Disconnected, Receive


async def until_applied(session: Session, collection: str, txn: int, seconds: float, receive: Receive) -> None:
    """Wait until `txn` is applied.

    Args:
        session: Whose store.
        collection: What will be read then: waiting needs the same permission.
        txn: The transaction to wait for.
        seconds: The deadline.
        receive: The ASGI channel after the body: it says when the caller goes away.

    Raises:
        VersionNotAvailable: The deadline passed.
        Overloaded: Too many reads wait.
        Disconnected: The caller went away.
    """
    if session.applied >= txn:
        return
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end(*_: object) -> None:
        if not ended.done():
            ended.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(end)
        except RuntimeError:
            # The loop was closed between: nobody waits any more, and the writer must not be disturbed by it.
            return

    cancel = session.notify(collection, txn, wake)
    deadline = loop.call_later(seconds, end)
    gone = loop.create_task(until_gone(receive))
    gone.add_done_callback(end)
    try:
        await ended
    finally:
        cancel()
        deadline.cancel()
        gone.cancel()
    if session.applied >= txn:
        return
    if gone.done() and not gone.cancelled():
        raise Disconnected
    raise VersionNotAvailable(txn, session.applied)


async def until_gone(receive: Receive) -> None:
    """Return when the caller goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
