"""An answer: status, headers, body; and how it goes out.

Rules: every answer is JSON, but for those to other stores, backups and pages; is not cached, but for documents of the
API; and says in `X-DITTO-TXN-ID` at which transaction the store was. A stream is sent piece by piece, as fast as its
reader takes it.
An answer that is given before the body was read ends the connection: what follows on it would be that body.

Not here: what stands in the body (the families, `faults`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

import msgspec

from crdtstore.http.request import JSON, Send

FIXED_HEADERS: Final = ((b"x-content-type-options", b"nosniff"),)


class Stream(Protocol):
    """A body that is made while it is sent."""

    async def piece(self) -> bytes:
        """The next piece; empty at the end."""

    def close(self) -> None:
        """Let go of what it is made of, sent to its end or not."""


class Answer(NamedTuple):
    """What goes back to the caller; `txn` is the transaction that it says the store was at."""

    status: int
    body: bytes
    txn: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = JSON.media_type
    stream: Stream | None = None
    cached: bytes = b"no-store"
    """What caches may do with it."""

    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that stand before this body."""
        described = [(b"cache-control", self.cached), (b"content-type", self.media_type)]
        if self.stream is None:
            described.append((b"content-length", b"%d" % len(self.body)))
        return [*FIXED_HEADERS, *described, *self.headers]


def encode(value: Any) -> bytes:
    """Write a value as JSON; what JSON does not have is written as its text."""
    return ENCODER.encode(value)


async def respond(send: Send, answer: Answer, *, close: bool) -> None:
    """Send an answer.

    Args:
        send: The ASGI channel.
        answer: What to send.
        close: Whether the connection ends with it.
    """
    headers = answer.all_headers()
    if answer.txn is not None:
        headers.append((b"x-ditto-txn-id", b"%d" % answer.txn))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None:
        while piece := await answer.stream.piece():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body})


ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
