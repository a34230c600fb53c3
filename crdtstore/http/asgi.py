"""The channel of any server that speaks ASGI.

Rules: what a caller who went away is sent is dropped by such a server; that he is gone is told by `receive` alone. A
server may lend a channel of its own, as an extension of ASGI (`LENT`).

Not here: starting and stopping (`server`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from crdtstore.http.channel import Channel, Disconnected, Head, Headers, KnownHeads, Link, own_headers

Scope: TypeAlias = "Mapping[str, Any]"
Message: TypeAlias = "Mapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[dict[str, Any]], Awaitable[None]]"


def head_of(scope: Scope, known: KnownHeads) -> Head:
    """Take the head of a request out of its scope, or the same one of before."""
    path = scope.get("raw_path") or scope["path"].encode()
    sent = (scope["method"], path, scope["query_string"], scope["http_version"], *scope["headers"])
    head = known.get(sent)
    if head is None:
        head = Head(scope["method"], path, scope["query_string"], scope["http_version"], sent[4:])
        known.keep(sent, head)
    return head


def link_of(scope: Scope) -> Link:
    """The connection of a request, as its scope says it."""
    client, server = scope.get("client"), scope.get("server")
    local = None if server is None else server[0]
    return Link(local, "" if client is None else str(client[0]), scope.get("scheme") == "https")


LENT: Final = "crdtstore.channel"
"""Among the extensions of a scope: a channel that the server lends, instead of one by messages."""


def channel_of(scope: Scope, receive: Receive, send: Send) -> Channel:
    """The channel of a request: the one that its server lends, or one by messages."""
    lent: Channel | None = scope.get("extensions", {}).get(LENT)
    return AsgiChannel(link_of(scope), receive, send) if lent is None else lent


CLOSE: Final = (b"connection", b"close")


class AsgiChannel:
    """A channel by two functions: see `Channel`."""

    __slots__ = ("link", "receive", "send_message")

    def __init__(self, link: Link, receive: Receive, send: Send) -> None:
        """Nothing is received and sent yet."""
        self.link = link
        self.receive = receive
        self.send_message = send

    def whole(self) -> bytes | None:
        """What is there already cannot be told."""
        return None

    async def part(self) -> tuple[bytes, bool]:
        """The next part of the body, and whether more may come."""
        message = await self.receive()
        if message["type"] != "http.request":
            raise Disconnected
        return message.get("body", b""), message.get("more_body", False)

    def gone(self) -> asyncio.Future[None]:
        """A future that is done when the caller goes away."""
        return asyncio.ensure_future(self.until_gone())

    async def until_gone(self) -> None:
        """Return when the caller goes away."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def answer(self, status: int, fixed: Headers, txn: int | None, body: bytes, *, close: bool) -> None:
        """Send a whole answer."""
        await self.begin(status, fixed, own_headers(status, txn, body), close=close)
        await self.send_message({"type": "http.response.body", "body": body})

    async def begin(self, status: int, fixed: Headers, own: Headers, *, close: bool) -> None:
        """Send the head of an answer."""
        headers = [*fixed, *own, CLOSE] if close else [*fixed, *own]
        await self.send_message({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        await self.send_message({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """Send the end of the body."""
        await self.send_message({"type": "http.response.body", "body": b""})
