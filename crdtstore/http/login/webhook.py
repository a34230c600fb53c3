"""Asks a webhook about a login: one request over a connection of its own, on the event loop.

Rules:

- All of it together may take WEBHOOK_SECONDS_MAX, however slowly it comes, and an answer has a bound. No thread waits.
- A redirection is an answer like any other that is not 200: nothing else than the URL of the operator is ever asked.
- What is sent is signed, in `X-Crdtstore-Signature`: `sha256=` and the HMAC-SHA-256 of the body, in hexadecimal.
- Whatever goes wrong is one `ProviderFailed`, which tells the caller nothing; the log says what, and no body.

Not here: what an answer means (`login`).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import ssl
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from httptools import HttpParserError, HttpResponseParser

from crdtstore import core, limits
from crdtstore.auth.permission_form import PermissionForm
from crdtstore.errors import CrdtStoreError, ProviderFailed
from crdtstore.http.login.providers import Webhook

logger = logging.getLogger(__name__)

FAILED: Final = "The provider of this login did not answer, or not as it must: try again later."
PIECE_BYTES: Final = 16_384


class Asked(msgspec.Struct, frozen=True):
    """What a webhook is asked."""

    app_id: str = msgspec.field(name="appID")
    provider: str
    token: str

    def __repr__(self) -> str:
        """Nothing of the token."""
        return f"Asked({self.provider!r})"


class Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """What a webhook answers. Both spellings of its first member are in use."""

    authenticated: bool | None = None
    authenticate: bool | None = None
    expiration_seconds: int | None = None
    user_id: str | None = msgspec.field(default=None, name="userID")
    permissions: PermissionForm | None = None
    client_info: Any = None
    identity_service_metadata: dict[str, Any] | None = None
    identity_service_signed_info: Any = None
    user_info: Any = None

    def __repr__(self) -> str:
        """Nothing of what it says of people."""
        return "Verdict()"


class Failed(Exception):
    """Why a webhook gave no answer, for the log."""


class Reading:
    """An answer on its way in, as the parser gives it back."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self.body = bytearray()
        self.complete = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """See the end."""
        self.complete = True


async def ask(name: str, webhook: Webhook, asked: Asked) -> Verdict:
    """Ask a webhook.

    Args:
        name: The provider's, for the log.
        webhook: Where it is, and the secret.
        asked: What is asked.

    Raises:
        ProviderFailed: It did not answer in time, or not as it must.
    """
    body = msgspec.json.encode(asked)
    try:
        # In a task of its own: a server may begin a request outside of any, and a bound on time needs one.
        return verdict_of(await asyncio.get_running_loop().create_task(send_in_time(webhook, body)))
    except TimeoutError:
        reason = f"it took more than {limits.WEBHOOK_SECONDS_MAX:g} seconds"
    except (OSError, EOFError, HttpParserError) as error:
        reason = f"the network failed: {type(error).__name__}"
    except Failed as error:
        reason = str(error)
    logger.warning("The provider %.80r of logins gave no answer: %s.", name, reason)
    raise ProviderFailed(FAILED)


async def send_in_time(webhook: Webhook, body: bytes) -> bytes:
    """Send a request, and read the body of its answer, all in the time that there is.

    Raises:
        TimeoutError: It took longer.
    """
    async with asyncio.timeout(limits.WEBHOOK_SECONDS_MAX):
        return await send(webhook, body)


async def send(webhook: Webhook, body: bytes) -> bytes:
    """Send a request, and read the body of its answer."""
    parts = urlsplit(webhook.url)
    secure = parts.scheme == "https"
    context = trusting() if secure else None
    host = str(parts.hostname)
    reader, writer = await asyncio.open_connection(host, parts.port or (443 if secure else 80), ssl=context)
    try:
        writer.write(head_of(webhook, body) + body)
        await writer.drain()
        return await receive(reader)
    finally:
        writer.close()


@cache
def trusting() -> ssl.SSLContext:
    """Whom this machine trusts; reading that takes long for an event loop, so it is done once."""
    return ssl.create_default_context()


def head_of(webhook: Webhook, body: bytes) -> bytes:
    """Write what stands before a body."""
    parts = urlsplit(webhook.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Accept: application/json",
        f"X-Crdtstore-Signature: sha256={signature_of(webhook.secret, body)}",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def signature_of(secret: str, body: bytes) -> str:
    """Sign a body."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


async def receive(reader: asyncio.StreamReader) -> bytes:
    """Read an answer; one without a length ends with the connection."""
    reading = Reading()
    parser = HttpResponseParser(reading)
    size = 0
    while not reading.complete and (piece := await reader.read(PIECE_BYTES)):
        size += len(piece)
        if size > limits.WEBHOOK_ANSWER_BYTES_MAX:
            raise Failed(f"its answer is longer than {limits.WEBHOOK_ANSWER_BYTES_MAX} bytes")
        parser.feed_data(piece)
    if size == 0:
        raise Failed("the connection was closed")
    status = parser.get_status_code()
    if status != 200:
        raise Failed(f"it answered {status}")
    return bytes(reading.body)


def verdict_of(body: bytes) -> Verdict:
    """Read an answer, strictly."""
    try:
        core.scan_json(body, limits.JSON_DEPTH_MAX)
        verdict = msgspec.json.decode(body, type=Verdict)
    except msgspec.ValidationError as error:
        # It names a place and a type, and no value.
        raise Failed(f"its answer does not fit: {error}") from None
    except (CrdtStoreError, msgspec.MsgspecError):
        raise Failed("its answer is no JSON") from None
    said = {verdict.authenticated, verdict.authenticate} - {None}
    if len(said) != 1:
        raise Failed("it says neither `authenticated` nor `authenticate`, or both and different")
    return verdict
