"""An answer: status, headers, body; and how it goes out.

Rules: every answer is JSON, but for those to other stores, backups and pages; is not cached, but for documents of the
API; and says in `X-DITTO-TXN-ID` at which transaction the store was. A stream is sent piece by piece, as fast as its
reader takes it.
An answer that is given before the body was read ends the connection: what follows on it would be that body.

Not here: what stands in the body (the families, `faults`).
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from crdtstore import limits
from crdtstore.http.channel import Channel
from crdtstore.http.request import JSON
from crdtstore.http.security_headers import CAREFUL, POLICY, Headers, careful


class Stream(Protocol):
    """A body that is made while it is sent."""

    async def piece(self) -> bytes:
        """The next piece; empty at the end."""

    def close(self) -> None:
        """Let go of what it is made of, sent to its end or not."""


NOT_CACHED: Final = b"no-store"


class Answer(msgspec.Struct, frozen=True, eq=False):
    """What goes back to the caller; `txn` is the transaction that it says the store was at."""

    status: int
    body: bytes
    txn: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = JSON.media_type
    stream: Stream | None = None
    cached: bytes = NOT_CACHED
    """What caches may do with it."""

    policy: bytes = POLICY
    """What a browser may do with it."""

    def but(self, **changed: Any) -> Answer:
        """The same answer, but for some of it."""
        return msgspec.structs.replace(self, **changed)


@lru_cache(limits.FIXED_HEADERS_KEPT)
def fixed_headers(policy: bytes, cached: bytes, media_type: bytes, headers: Headers, beside: Headers) -> Headers:
    """The headers of an answer but those of its own: the same object for answers that have the same."""
    described = ((b"cache-control", cached), (b"content-type", media_type))
    return (*(CAREFUL if policy is POLICY else careful(policy)), *described, *headers, *beside)


def encode(value: Any) -> bytes:
    """Write a value as JSON; what JSON does not have is written as its text."""
    return ENCODER.encode(value)


def respond(channel: Channel, answer: Answer, beside: Headers, *, close: bool) -> Awaitable[None]:
    """Send an answer, while it is awaited.

    Args:
        channel: Where it goes.
        answer: What to send.
        beside: Headers that belong to the request, not to its answer.
        close: Whether the connection ends with it.

    Raises:
        Disconnected: The caller went away.
    """
    fixed = PLAIN
    usual = answer.media_type is JSON.media_type and answer.cached is NOT_CACHED and answer.policy is POLICY
    if beside or answer.headers or not usual:
        fixed = fixed_headers(answer.policy, answer.cached, answer.media_type, answer.headers, beside)
    if answer.stream is None:
        return channel.answer(answer.status, fixed, answer.txn, answer.body, close=close)
    return send_pieces(channel, answer, answer.stream, fixed, close=close)


async def send_pieces(channel: Channel, answer: Answer, stream: Stream, fixed: Headers, *, close: bool) -> None:
    """Send an answer as it is made."""
    own = () if answer.txn is None else ((b"x-ditto-txn-id", b"%d" % answer.txn),)
    await channel.begin(answer.status, fixed, own, close=close)
    while piece := await stream.piece():
        await channel.send(piece)
    await channel.end()


PLAIN: Final = fixed_headers(POLICY, NOT_CACHED, JSON.media_type, (), ())
"""Of most answers."""

ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
