"""Requests from pages of other sites: which may call, and the answer to a browser that asks before it calls.

Rules:

- No page of another site may call, unless its origin is allowed by name, or the route is open to every site.
- An origin is compared as browsers send it, byte by byte. `null`, which many pages have in common, is none.
- What a browser keeps (cookies, passwords) is never let in from another site: a page sends its own credential.
- A browser asks without a credential, so it is answered before one is looked at. What it learns is what the documents
  of the API tell everybody.
- Who is not allowed is told so by nothing: the answer has no header that would let his browser hand it over.

Not here: the order in which a request passes this (`server`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from crdtstore import limits
from crdtstore.errors import CallerError
from crdtstore.http.channel import Head
from crdtstore.http.request import ALIASES, KEPT, Request
from crdtstore.http.respond import Answer
from crdtstore.http.security_headers import Headers

EVERY_SITE: Final = b"*"

ORIGIN_FORM: Final = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}

NOT_ASKED: Final = frozenset({b"content-length", b"host", b"transfer-encoding"})
"""Headers that mean something here and that browsers let no page set."""

ASKABLE: Final = (KEPT | ALIASES.keys()) - NOT_ASKED
"""Headers that a page may send."""

VARY: Final = (b"vary", b"origin")
READABLE: Final = (
    b"accept-ranges, content-disposition, content-range, etag, idempotency-replayed, location, retry-after, "
    b"www-authenticate, x-ditto-txn-id"
)
EXPOSED: Final = (b"access-control-expose-headers", READABLE)
"""Headers of answers that a page may read, beside those that every page may."""

MAX_AGE: Final = (b"access-control-max-age", b"%d" % limits.PREFLIGHT_SECONDS)


def origins_of(texts: Iterable[str]) -> frozenset[bytes]:
    """Read the origins that are allowed.

    Raises:
        CallerError: One is not written as browsers send it.
    """
    return frozenset(map(origin_of, texts))


def origin_of(text: str) -> bytes:
    """Read one origin.

    Raises:
        CallerError: It is none, or not written as browsers send it, so that it would never be met.
    """
    match = ORIGIN_FORM.fullmatch(text)
    scheme = text.partition(":")[0]
    if match is None or match[2] == DEFAULT_PORTS.get(scheme, ""):
        message = (
            "An origin that is allowed is written as browsers send it: SCHEME://HOST in lower case, with :PORT if it "
            f"is not the scheme's own, without a slash at the end, and no *; got {text!r:.200}."
        )
        raise CallerError(message, origin=text)
    return text.encode("ascii")


def allowed(origin: bytes | None, origins: frozenset[bytes], *, every_site: bool) -> bytes | None:
    """What an answer says of who may have it, or None where the origin of the request may not."""
    if origin is None:
        return None
    if every_site:
        return EVERY_SITE
    return origin if origin in origins else None


def is_preflight(request: Request) -> bool:
    """Whether a browser asks if a page may call."""
    return request.method == "OPTIONS" and b"access-control-request-method" in request.headers


def preflight(request: Request, methods: tuple[str, ...]) -> Answer:
    """Answer a browser that asks: the methods of the path, and those headers of its that mean something here.

    Args:
        request: What it asks, for a page that may call.
        methods: The methods of the path.
    """
    asked = request.headers.get(b"access-control-request-headers", b"").lower().split(b",")
    known = sorted({each.strip() for each in asked} & ASKABLE)
    headers: Headers = ((b"access-control-allow-methods", ", ".join(methods).encode("ascii")), MAX_AGE)
    if known:
        headers = (*headers, (b"access-control-allow-headers", b", ".join(known)))
    return Answer(204, b"", headers=headers)


def origin_sent(head: Head) -> bytes | None:
    """The origin in a head that was refused; of two neither is believed."""
    sent = [value for name, value in head.headers if name == b"origin"]
    return sent[0] if len(sent) == 1 else None


def headers_of(allow: bytes | None, *, vary: bool) -> Headers:
    """The headers of an answer, whichever it is.

    Args:
        allow: What `allowed` says.
        vary: Whether the answer would be another one for another origin.
    """
    depends = (VARY,) if vary else ()
    return depends if allow is None else (*depends, (b"access-control-allow-origin", allow), EXPOSED)
