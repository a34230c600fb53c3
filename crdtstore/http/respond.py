"""An answer: status, headers, body; and how it goes out.

Rules: every answer is JSON, but for those to other stores, is not cached, and says in `X-DITTO-TXN-ID` at which
transaction the store was.
An answer that is given before the body was read ends the connection: what follows on it would be that body.

Not here: what stands in the body (the families, `faults`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from crdtstore.http.request import JSON, Send

FIXED_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class Answer(NamedTuple):
    """What goes back to the caller; `txn` is the transaction that it says the store was at."""

    status: int
    body: bytes
    txn: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = JSON.media_type

    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that stand before this body."""
        described = ((b"content-type", self.media_type), (b"content-length", b"%d" % len(self.body)))
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
    await send({"type": "http.response.body", "body": answer.body})


ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
