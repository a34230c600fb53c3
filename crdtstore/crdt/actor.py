"""An actor is the 16 bytes that author operations: site (u64) and epoch (u64), both big-endian.

Rules: any 16 bytes are an actor, site 0 too. The text form is standard Base64 with padding, exactly as the
client ID of the HTTP API; a second spelling of the same bytes is refused, because caches and logs compare text.
An origin (the log that orders transactions) has the same form.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

from crdtstore.errors import MalformedClientId
from crdtstore.limits import ACTOR_BYTES


def make_actor(site: int, epoch: int) -> bytes:
    """Join a site and an epoch, each 0 to 2⁶⁴ - 1."""
    return site.to_bytes(8, "big") + epoch.to_bytes(8, "big")


def site_and_epoch(actor: bytes) -> tuple[int, int]:
    """Split an actor into its two halves."""
    return int.from_bytes(actor[:8], "big"), int.from_bytes(actor[8:], "big")


def check_actor(actor: object) -> bytes:
    """Refuse an author of another size: its records could be read by no store.

    Raises:
        MalformedClientId: It is not 16 bytes.
    """
    if not isinstance(actor, bytes) or len(actor) != ACTOR_BYTES:
        raise MalformedClientId(f"An actor is exactly {ACTOR_BYTES} bytes; {actor!r:.60} is not.")
    return actor


def format_actor(actor: bytes) -> str:
    """Write an actor as the client ID of the HTTP API."""
    return b64encode(actor).decode("ascii")


def parse_actor(text: str) -> bytes:
    """Read a client ID.

    Raises:
        MalformedClientId: It is not the one standard Base64 spelling of exactly 16 bytes.
    """
    try:
        actor = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedClientId(f"A client ID is the Base64 of {ACTOR_BYTES} bytes; this is not Base64.") from None
    if len(actor) != ACTOR_BYTES:
        message = f"A client ID is the Base64 of exactly {ACTOR_BYTES} bytes; this one holds {len(actor)}."
        raise MalformedClientId(message, bytes=len(actor))
    if format_actor(actor) != text:
        raise MalformedClientId("A client ID has one Base64 spelling; this one has stray bits at its end.")
    return actor
