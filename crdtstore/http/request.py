"""A request as the application takes it: checked before anything else looks at it, and then its body.

Rules:

- What servers let pass is refused here: several `Host` headers, or one that is not ours (a page of a foreign
  site whose name was pointed at this address must not reach the store); `Transfer-Encoding` beside
  `Content-Length`; a header that decides about security twice; heads, targets and bodies beyond their bounds.
- A body is sent as what it is: JSON in UTF-8, or msgpack where stores talk. A page of a foreign site cannot send
  either unasked.
- The path is compared as it was sent: whatever is escaped or holds dots is simply not a route.
- A body must arrive in time: a slow sender would hold its memory for ever.

Not here: what the body means (the families), slow heads (`listen`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from crdtstore import limits
from crdtstore.errors import (
    Forbidden,
    LimitExceeded,
    MalformedRequest,
    UnsupportedMediaType,
)
from crdtstore.http.channel import Channel, Head

KEPT: Final = frozenset(
    {
        b"accept",
        b"access-control-request-headers",
        b"access-control-request-method",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"last-event-id",
        b"if-range",
        b"origin",
        b"prefer",
        b"range",
        b"transfer-encoding",
        b"x-crdtstore-at",
        b"x-ditto-client-id",
        b"x-ditto-ensure-delete",
        b"x-ditto-ensure-insert",
        b"x-ditto-txn-id",
        b"x-event-ttl-seconds",
    }
)
"""Headers that mean something here. Each may come once, but for lists; of all others nothing is kept."""

LISTS: Final = frozenset({b"accept", b"if-match", b"if-none-match", b"prefer"})
"""Headers that are lists: sent several times they are one list."""

ALIASES: Final = {
    b"x-ditto-actor-id": b"x-ditto-client-id",
    b"x-hydra-client-id": b"x-ditto-client-id",
    b"x-hydra-ensure-delete": b"x-ditto-ensure-delete",
    b"x-hydra-ensure-insert": b"x-ditto-ensure-insert",
    b"x-hydra-txn-id": b"x-ditto-txn-id",
    b"x-hydra-version": b"x-ditto-txn-id",
    b"x-ensure-insert": b"x-ditto-ensure-insert",
}
"""Older names of headers; who sends both sends one header twice."""

HTTP_VERSIONS: Final = frozenset({"1.0", "1.1", "2", "3"})
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST_FORM: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?")
ADDRESS_FORM: Final = re.compile(r"\[.*|[0-9.]+")
LENGTH_FORM: Final = re.compile(rb"[0-9]{1,18}")
CHARSET_FORM: Final = re.compile(rb';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)


class Form(NamedTuple):
    """What a route takes as body: its media type, and the name of the bound on its bytes."""

    media_type: bytes
    limit: str


JSON: Final = Form(b"application/json", "BODY_BYTES_MAX")
PAYLOAD: Final = Form(b"application/json", "PAYLOAD_BYTES_MAX")
CBOR: Final = Form(b"application/cbor", "BODY_BYTES_MAX")
JSON_LINES: Final = Form(b"application/json-l", "BODY_BYTES_MAX")
LINES: Final = (JSON_LINES.media_type, b"application/x-ndjson")
"""Types of answers that have a value a line; they are the same by two names."""

MESSAGE: Final = Form(b"application/msgpack", "MESSAGE_BYTES_MAX")
FIELDS: Final = Form(b"application/x-www-form-urlencoded", "LOGIN_BYTES_MAX")
UPLOAD: Final = Form(b"multipart/form-data", "UPLOAD_BYTES_MAX")
BYTES: Final = Form(b"application/octet-stream", "ATTACHMENT_BYTES_MAX")


class Request(msgspec.Struct, frozen=True, eq=False):
    """The head: method, path, and the query string and the few headers that mean something, which are not printed."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    query: bytes = b""

    def __repr__(self) -> str:
        """Nothing of its headers and its query string, which may hold what is secret."""
        return f"Request({self.method!r}, {self.path!r})"

    @property
    def has_body(self) -> bool:
        """Whether the head announces a body."""
        length = self.headers.get(b"content-length", b"0")
        return length.strip(b"0") != b"" or b"transfer-encoding" in self.headers


def read_head(head: Head, local: str | None, hosts: Collection[str] | None, domains: Collection[str] = ()) -> Request:
    """Check what came before the body.

    Args:
        head: The head as it was sent.
        local: The address that the connection came in on, where the server says it.
        hosts: Names that `Host` may have, in lower case and without a port; None for the names of the
            loopback and that address.
        domains: Names that `Host` may have one more label before, which names an app.

    Raises:
        MalformedRequest: A head that nobody should send.
        LimitExceeded: Too many or too long headers, too long a target, a body that is too long for every route.
        Forbidden: A `Host` that is not ours.
    """
    check_target(len(head.path) + len(head.query))
    if head.version not in HTTP_VERSIONS:
        raise MalformedRequest(f"HTTP version {head.version!r} is not spoken here; use 1.1.")
    headers = keep_headers(head.headers)
    check_framing(headers)
    check_host(headers, hosts, domains, local)
    return Request(head.method, head.path.decode("latin-1"), headers, head.query)


def check_target(length: int) -> None:
    """Refuse a target that is too long."""
    if length > limits.TARGET_BYTES_MAX:
        raise too_large("The path and query string", "TARGET_BYTES_MAX", length, limits.TARGET_BYTES_MAX)


def keep_headers(raw: Collection[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Keep the headers that mean something, each once, and bound the rest."""
    if len(raw) > limits.HEADERS_MAX:
        raise LimitExceeded(
            f"The request has {len(raw)} header fields; at most {limits.HEADERS_MAX} are taken.",
            limit="HEADERS_MAX",
            value=len(raw),
            maximum=limits.HEADERS_MAX,
        )
    size = 0
    kept: dict[bytes, bytes] = {}
    for name, value in raw:
        size += len(name) + len(value)
        name = ALIASES.get(name, name)  # noqa: PLW2901  the name that is meant
        if name in KEPT:
            if name in LISTS and name in kept:
                value = kept[name] + b", " + value  # noqa: PLW2901  a list may come in parts
            elif name in kept:
                raise MalformedRequest(f"The header {name.decode()} is sent more than once; send it once.")
            kept[name] = value
    if size > limits.HEADER_BYTES_MAX:
        raise too_large("All header fields", "HEADER_BYTES_MAX", size, limits.HEADER_BYTES_MAX)
    return kept


def check_framing(headers: dict[bytes, bytes]) -> None:
    """Refuse a body whose end is ambiguous, or whose announced length is too much for every route."""
    encoding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if encoding is not None:
        if length is not None:
            raise MalformedRequest("Content-Length and Transfer-Encoding contradict each other; send one.")
        if encoding.lower() != b"chunked":
            raise MalformedRequest("The only Transfer-Encoding that is read here is chunked.")
    if length is not None:
        if LENGTH_FORM.fullmatch(length) is None:
            raise MalformedRequest("Content-Length is a number of bytes in decimal digits.")
        check_body_bytes(int(length), UPLOAD)


def check_announced(headers: dict[bytes, bytes], forms: Sequence[Form]) -> Form:
    """Choose the form that a body is announced as; refuse another one than the route takes, or a longer one.

    Raises:
        UnsupportedMediaType: Another type, charset or content encoding, or no type at all.
        LimitExceeded: It is too long.
    """
    form = check_media_type(headers, forms)
    check_body_bytes(int(headers.get(b"content-length", b"0")), form)
    return form


def check_body_bytes(length: int, form: Form) -> None:
    """Refuse a body that is too long."""
    bytes_max: int = getattr(limits, form.limit)
    if length > bytes_max:
        raise too_large("The body", form.limit, length, bytes_max)


def too_large(what: str, limit: str, value: int, maximum: int) -> LimitExceeded:
    """Say that a part of the request passes a bound on bytes."""
    message = f"{what} may take {maximum} bytes; got {value}."
    return LimitExceeded(message, limit=limit, value=value, maximum=maximum)


@lru_cache(limits.HEADERS_MAX)
def host_name(host: bytes) -> str:
    """Read the name out of a `Host` header; there are few different ones."""
    match = HOST_FORM.fullmatch(host)
    if match is None:
        raise MalformedRequest("A request has one Host header, with a name or address and at most a port.")
    return match[1].decode("ascii").lower()


def app_label(name: str, domains: Collection[str]) -> str | None:
    """The label of a host that names an app: the one before a name of the server."""
    label, _, domain = name.partition(".")
    return label if domain in domains and name not in domains else None


def domains_of(hosts: Collection[str] | None) -> frozenset[str]:
    """The names below which a label can name an app: all but addresses, which have no names below them."""
    names = LOOPBACK_NAMES if hosts is None else hosts
    return frozenset(name for name in names if ADDRESS_FORM.fullmatch(name) is None)


def check_host(
    headers: dict[bytes, bytes], hosts: Collection[str] | None, domains: Collection[str], local: str | None
) -> None:
    """Refuse a request that is meant for another name."""
    name = host_name(headers.get(b"host", b""))
    allowed = name in hosts if hosts is not None else name in LOOPBACK_NAMES or name == listen_name(local)
    if not allowed and app_label(name, domains) is None:
        raise Forbidden(f"This server does not answer to the host {name!r}.", host=name)


def listen_name(local: str | None) -> str | None:
    """Write the address that the connection came in on as a Host header has it."""
    return f"[{local}]" if local is not None and ":" in local else local


def check_media_type(headers: dict[bytes, bytes], forms: Sequence[Form]) -> Form:
    """Choose a form by the body's type; text is in UTF-8."""
    content_type = headers.get(b"content-type", b"")
    if content_type == forms[0].media_type and b"content-encoding" not in headers:
        return forms[0]
    form = next((form for form in forms if form.media_type == content_type), None)
    charset = None
    if form is None:
        named = content_type.partition(b";")[0].strip().lower()
        form = next((form for form in forms if form.media_type == named), None)
        charset = CHARSET_FORM.search(content_type)
    if form is None:
        names = " or ".join(form.media_type.decode() for form in forms)
        raise UnsupportedMediaType(f"The body must be {names}, sent with Content-Type: {names}.")
    if charset is not None and charset[1].lower() not in {b"utf-8", b"utf8"}:
        raise UnsupportedMediaType("Bodies are read in UTF-8 only; leave the charset out.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("Compressed bodies are not read; send the body without Content-Encoding.")
    return form


class Body(msgspec.Struct, eq=False):
    """The body of a request on its way in, from a channel.

    `complete` says that nothing of it is left on the connection, so that another request can follow there.
    """

    channel: Channel
    complete: bool = False

    def there(self, form: Form) -> bytes | None:
        """The whole body, if it has come already; else it is to be read.

        Raises:
            LimitExceeded: It is longer than it may be.
        """
        there = self.channel.whole()
        if there is not None:
            # Asked twice, since this is done for every request and a body is hardly ever too long.
            if len(there) > getattr(limits, form.limit):
                check_body_bytes(len(there), form)
            self.complete = True
        return there

    async def read(self, form: Form, seconds: float) -> bytes:
        """Read the whole body.

        Args:
            form: What bounds its length.
            seconds: How long the body may take to arrive.

        Raises:
            LimitExceeded: It is longer or slower than it may be.
            Disconnected: The caller went away before its end.
        """
        there = self.there(form)
        if there is not None:
            return there
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None
        late = False

        def start() -> None:
            nonlocal timer
            timer = loop.call_later(seconds, stop)

        def stop() -> None:
            nonlocal late
            late = True
            task.cancel()

        # What asyncio.timeout does, at a fraction of its cost: this is done for every request. Mostly the whole body is
        # there before the loop turns, and no timer is started.
        starting = loop.call_soon(start)
        try:
            body = await self.collect(form)
        except asyncio.CancelledError:
            if not late or task.uncancel() > 0:
                raise
            raise too_slow(seconds) from None
        finally:
            starting.cancel()
            if timer is not None:
                timer.cancel()
        self.complete = True
        return body

    async def pieces(self, form: Form, seconds: float) -> AsyncIterator[bytes]:
        """Read the body piece by piece, as it comes; none of it is kept here.

        Args:
            form: What bounds its length.
            seconds: How long it may take to arrive, beside the time that TRANSFER_BYTES_A_SECOND_MIN gives it.

        Raises:
            LimitExceeded: It is longer or slower than it may be.
            Disconnected: The caller went away before its end.
        """
        there = self.there(form)
        if there is not None:
            yield there
        begun, size = asyncio.get_running_loop().time(), 0
        while not self.complete:
            try:
                async with asyncio.timeout_at(begun + seconds + size / limits.TRANSFER_BYTES_A_SECOND_MIN):
                    piece, more = await self.channel.part()
            except TimeoutError:
                raise too_slow(seconds) from None
            size += len(piece)
            check_body_bytes(size, form)
            self.complete = not more
            yield piece

    async def collect(self, form: Form) -> bytes:
        """Join the parts, counting while they come: a length that was announced may be a lie or absent."""
        parts: list[bytes] = []
        size = 0
        while True:
            part, more = await self.channel.part()
            parts.append(part)
            size += len(part)
            check_body_bytes(size, form)
            if not more:
                return b"".join(parts)


def too_slow(seconds: float) -> LimitExceeded:
    """Say that a body did not arrive in time."""
    message = f"The body did not arrive within {seconds:g} seconds."
    whole = int(seconds)
    return LimitExceeded(message, limit="BODY_SECONDS_MAX", value=whole + 1, maximum=whole)
