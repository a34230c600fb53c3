"""The head of an answer as it goes over the wire.

Rules: a name or a value that would end its line is refused: it would begin another header, or another answer. The date
is written once a second, and headers that many answers have once.

Not here: which headers there are (`respond`).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Final

from crdtstore import limits
from crdtstore.http.channel import Headers, own_headers

BROKEN_NAME: Final = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]|\A\Z")
BROKEN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

END: Final = b"\r\n"
LAST: Final = b"connection: close\r\n\r\n"
STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def write_head(status: int, fixed: Headers, own: Headers, *, close: bool) -> bytes:
    """Write the head of an answer.

    Args:
        status: Its status.
        fixed: Headers that many answers have.
        own: Headers of its own, which are well-formed.
        close: Whether the connection ends with it.

    Raises:
        ValueError: A header would not end where it does.
    """
    lines = [fixed_lines(status, fixed), date_line(int(time()))]
    for name, value in own:
        lines += (name, b": ", value, b"\r\n")
    lines.append(LAST if close else END)
    return b"".join(lines)


def write_whole(status: int, fixed: Headers, txn: int | None, body: bytes, *, close: bool) -> bytes:
    """Write the head of a whole answer, which has the length of the body and mostly names a transaction.

    Raises:
        ValueError: A header would not end where it does.
    """
    if txn is None or status == 204:
        return write_head(status, fixed, own_headers(status, txn, body), close=close)
    return b"%b%bcontent-length: %d\r\nx-ditto-txn-id: %d\r\n%b" % (
        fixed_lines(status, fixed),
        date_line(int(time())),
        len(body),
        txn,
        LAST if close else END,
    )


def fixed_lines(status: int, fixed: Headers) -> bytes:
    """Write the first lines of an answer, or take them as they were written for the same object."""
    key = (status, id(fixed))
    known = LINES.get(key)
    if known is not None and known[0] is fixed:
        return known[1]
    for name, value in fixed:
        if BROKEN_NAME.search(name) or BROKEN_VALUE.search(value):
            raise ValueError(f"The header {name!r:.80} of an answer cannot be sent.")
    lines = b"".join([STATUS_LINES[status], *(b"%b: %b\r\n" % header for header in fixed)])
    if len(LINES) >= limits.FIXED_HEADERS_KEPT:
        LINES.clear()
    LINES[key] = fixed, lines
    return lines


LINES: Final[dict[tuple[int, int], tuple[Headers, bytes]]] = {}
"""First lines by status and identity of the headers, which are kept with them, so that it stays theirs."""


@lru_cache(1)
def date_line(second: int) -> bytes:
    """Write the header that says what time it is."""
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode()
