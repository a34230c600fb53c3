"""What a request says beside its body, in headers and in the query string: each has one reader here.

Rules: what is read is checked, and an error names the header and what it may hold. What may be left out is None then.

Not here: which headers are kept at all, and how often each may come (`request`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from crdtstore import limits
from crdtstore.auth.credential import Credential, read_credential
from crdtstore.crdt.actor import parse_actor
from crdtstore.errors import MalformedClientId, MalformedRequest
from crdtstore.http.request import Request
from crdtstore.once import Once

TXN_FORM: Final = re.compile(rb"[0-9]{1,19}")
KEY_FORM: Final = re.compile(rb"[!-~]{1,%d}" % limits.IDEMPOTENCY_KEY_BYTES_MAX)
WAIT_FORM: Final = re.compile(rb"\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:;.*)?", re.IGNORECASE)

ASKED: Final = (b"if-match", b"if-none-match", b"x-event-ttl-seconds")
"""Headers that say what is to be done, as a body does: with another one a request is another one."""


def arguments_of(request: Request, lists: Collection[str] = ()) -> dict[str, str]:
    """Read the query string: names, each once, and their values.

    Args:
        request: The request.
        lists: Names that may come several times; what they say is one list then, with commas between.

    Raises:
        MalformedRequest: It is not UTF-8 behind its escapes, names one thing twice, or too many.
    """
    try:
        pairs = parse_qsl(
            request.query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=limits.ARGUMENTS_MAX,
        )
    except ValueError:
        message = f"The query string is not read: percent-escaped UTF-8, at most {limits.ARGUMENTS_MAX} names."
        raise MalformedRequest(message) from None
    arguments: dict[str, str] = {}
    for name, value in pairs:
        if name in arguments and name not in lists:
            raise MalformedRequest("The query string names one thing twice.")
        arguments[name] = f"{arguments[name]},{value}" if name in arguments else value
    return arguments


def credential_of(request: Request) -> Credential:
    """Take the credential out of `Authorization`.

    Raises:
        Unauthenticated: There is none.
    """
    return read_credential(request.headers.get(b"authorization", b""))


def actor_of(request: Request) -> bytes | None:
    """Read `X-DITTO-CLIENT-ID`, if there is one.

    Raises:
        MalformedClientId: It is not the Base64 of 16 bytes.
    """
    text = request.headers.get(b"x-ditto-client-id")
    return None if text is None else known_actor(text)


@lru_cache(limits.CONNECTIONS_MAX)
def known_actor(text: bytes) -> bytes:
    """Read a client ID; clients keep theirs, so it is mostly one that was read before."""
    return parse_actor(text.decode("latin-1"))


def required_actor_of(request: Request) -> bytes:
    """Read `X-DITTO-CLIENT-ID` where the author must be known.

    Raises:
        MalformedClientId: It is missing, or not the Base64 of 16 bytes.
    """
    actor = actor_of(request)
    if actor is None:
        raise MalformedClientId("A write needs X-DITTO-CLIENT-ID: the Base64 of the 16 bytes of its author.")
    return actor


def txn_of(request: Request) -> int | None:
    """Read `X-DITTO-TXN-ID`, the transaction to wait for, if there is one.

    Raises:
        MalformedRequest: It is not a decimal number of 0 to 2⁶³ - 1.
    """
    text = request.headers.get(b"x-ditto-txn-id")
    return None if text is None else number_of(text, "X-DITTO-TXN-ID")


def at_of(request: Request) -> int | None:
    """Read `X-CRDTSTORE-AT`, the version to read, if there is one.

    Raises:
        MalformedRequest: It is not a decimal number of 0 to 2⁶³ - 1.
    """
    text = request.headers.get(b"x-crdtstore-at")
    return None if text is None else number_of(text, "X-CRDTSTORE-AT")


def last_event_of(request: Request) -> int | None:
    """Read `Last-Event-ID`, the transaction of the last event that a reader who comes back has seen, if there is one.

    Raises:
        MalformedRequest: It is not a decimal number of 0 to 2⁶³ - 1.
    """
    text = request.headers.get(b"last-event-id")
    return None if text is None else number_of(text, "Last-Event-ID")


def wait_of(request: Request, seconds: float) -> float:
    """Read how long a read may wait, from `Prefer: wait=N`: never longer than the server would.

    Args:
        request: The request; what it prefers besides, or in another form, is none of ours and means nothing.
        seconds: How long the server would.
    """
    preferences = request.headers.get(b"prefer", b"").split(b",")
    found = next((match for each in preferences if (match := WAIT_FORM.fullmatch(each))), None)
    return seconds if found is None else min(float(found[1]), seconds)


def once_of(request: Request, body: bytes, who: str) -> Once | None:
    """Read `Idempotency-Key`: this request under it, if there is one, of this caller and client ID.

    Args:
        request: The request.
        body: Its body.
        who: Who asks.

    Raises:
        MalformedRequest: It is not 1 to IDEMPOTENCY_KEY_BYTES_MAX visible characters of ASCII.
    """
    key = request.headers.get(b"idempotency-key")
    if key is None:
        return None
    if KEY_FORM.fullmatch(key) is None:
        most = limits.IDEMPOTENCY_KEY_BYTES_MAX
        raise MalformedRequest(f"Idempotency-Key has 1 to {most} visible characters of ASCII.")
    client = b"\n".join((who.encode(), request.headers.get(b"x-ditto-client-id", b"")))
    target = f"{request.method} {request.path}".encode("latin-1")
    asked = (request.headers.get(name, b"") for name in ASKED)
    return Once(client, key, b"\n".join((target, request.query, *asked, body)))


def number_of(text: bytes, header: str) -> int:
    """Read a header that is a txn id."""
    txn = int(text) if TXN_FORM.fullmatch(text) else -1
    if not 0 <= txn <= limits.INT_MAX:
        raise MalformedRequest(f"{header} is a decimal number from 0 to {limits.INT_MAX}.")
    return txn
