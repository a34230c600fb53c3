"""A stall is a reader who takes nothing of his answer: he is watched while a transport is full, and cut off.

Rules: he is looked at every STALL_SECONDS_MAX; whoever took something since the last look is given more time.

Not here: when a transport is full (`outflow`, `crdtstore/http/on_uvicorn.py`).
"""

from __future__ import annotations

import asyncio

from crdtstore import limits


class StallWatch:
    """The watch over the reader of one connection."""

    __slots__ = ("loop", "timer", "transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Nobody is watched yet."""
        self.transport = transport
        self.loop = loop
        self.timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Watch whether what is left to write becomes less."""
        self.watch(self.transport.get_write_buffer_size())

    def end(self) -> None:
        """Watch no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def watch(self, left: int) -> None:
        """Look again later whether less is `left` to write."""
        self.timer = self.loop.call_later(limits.STALL_SECONDS_MAX, self.look, left)

    def look(self, left: int) -> None:
        """Cut off a reader that took nothing since the last look."""
        now = self.transport.get_write_buffer_size()
        if now >= left:
            self.transport.abort()
        else:
            self.watch(now)
