"""A channel is a server's side of one request: its head, its body as it comes, and the way of the answer back.

Rules: what answers requests holds a channel and knows no server. All of a channel is used on the event loop. A head is
handed over as it was sent: nothing of it is checked but what the server needs to find its end.

Not here: what a request may be (`request`), the channels that there are (`asgi`, `serving`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import msgspec

from crdtstore import limits

Headers: TypeAlias = "tuple[tuple[bytes, bytes], ...]"


def own_headers(status: int, txn: int | None, body: bytes) -> Headers:
    """The headers of a whole answer that are hardly ever those of another one."""
    length = () if status == 204 else ((b"content-length", b"%d" % len(body)),)
    return length if txn is None else (*length, (b"x-ditto-txn-id", b"%d" % txn))


class Disconnected(Exception):
    """The caller is gone: an event of the connection, not an error of anyone. There is nobody to answer."""


class Link(NamedTuple):
    """The connection that a request came on."""

    local: str | None
    """The address that it came in on, where the server says it."""

    address: str
    """From where it came; empty where the server does not say."""

    secure: bool = False
    """Whether it came by TLS."""


class Head(msgspec.Struct, eq=False):
    """What comes before a body."""

    method: str
    path: bytes
    """As it was sent, without the query string."""

    query: bytes
    version: str
    """Of HTTP."""

    headers: Sequence[tuple[bytes, bytes]]
    """In their order; names in lower case."""

    length: int = -1
    """Of the body, where the head was kept and says it."""

    way: Any = None
    """What it led to when it came before: whoever answers leaves it here for the next time."""


PASSING: Final = frozenset({b"idempotency-key", b"x-ditto-txn-id", b"x-hydra-txn-id", b"x-hydra-version"})
"""Headers that are others with each request: a head that has one does not come again."""


class KnownHeads(dict[Any, Head]):
    """Heads that came before, by what was sent: callers mostly send the same ones again.

    Nothing is allowed for being known: what a head leads to is asked each time.
    """

    __slots__ = ()

    def keep(self, sent: object, head: Head) -> None:
        """Keep a head, if it may come again and is short; with too many of them all are forgotten."""
        size = len(head.path) + len(head.query) + sum(len(name) + len(value) for name, value in head.headers)
        if size > limits.KNOWN_HEAD_BYTES_MAX or any(name in PASSING for name, _ in head.headers):
            return
        if len(self) >= limits.KNOWN_HEADS_MAX:
            self.clear()
        self[sent] = head


class Channel(Protocol):
    """One request on its way in, and its answer on its way out."""

    @property
    def link(self) -> Link:
        """The connection."""

    def whole(self) -> bytes | None:
        """The whole body, if it is there already; asked once, and before a part is."""

    async def part(self) -> tuple[bytes, bool]:
        """The next part of the body, and whether more may come.

        Raises:
            Disconnected: The caller went away before the end of the body.
        """

    def gone(self) -> asyncio.Future[None]:
        """A future that is done when the caller goes away; who asks for it, once the body was read, cancels it."""

    async def answer(self, status: int, fixed: Headers, txn: int | None, body: bytes, *, close: bool) -> None:
        """Send a whole answer; it says how long it is.

        Args:
            status: Its status.
            fixed: Headers that many answers have; the same object where they are the same.
            txn: The transaction that it names, if it names one.
            body: Its body.
            close: Whether the connection ends with it.

        Raises:
            Disconnected: The caller went away.
        """

    async def begin(self, status: int, fixed: Headers, own: Headers, *, close: bool) -> None:
        """Send the head of an answer whose body follows piece by piece.

        Args:
            status: Its status.
            fixed: See `answer`.
            own: Headers of its own, known to be well-formed.
            close: Whether the connection ends with it.

        Raises:
            Disconnected: The caller went away.
        """

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body, as soon as the reader takes it.

        Raises:
            Disconnected: The caller went away.
        """

    async def end(self) -> None:
        """Send the end of the body.

        Raises:
            Disconnected: The caller went away.
        """
