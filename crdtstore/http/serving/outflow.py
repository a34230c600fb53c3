"""What goes out on a connection: as fast as its reader takes it, and no longer than it takes something.

Rules: who writes asks `until_free` before, and waits there while the transport has more than it can hold. Its reader is
watched meanwhile.

Not here: what is written (`turn`), how a reader is watched (`stall`).
"""

from __future__ import annotations

import asyncio

from crdtstore.http.serving.stall import StallWatch


class Outflow:
    """The way out of one connection."""

    __slots__ = ("loop", "paused", "stall", "waiting")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing waits."""
        self.loop = loop
        self.stall = StallWatch(transport, loop)
        self.paused = False
        self.waiting: list[asyncio.Future[None]] = []

    def pause(self) -> None:
        """The transport has more than it can hold: watch whether its reader takes something."""
        self.paused = True
        self.stall.begin()

    def resume(self) -> None:
        """The transport takes more, or is gone."""
        self.paused = False
        self.stall.end()
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def until_free(self) -> None:
        """Wait until the transport takes more, or is gone."""
        while self.paused:
            free = self.loop.create_future()
            self.waiting.append(free)
            await free
