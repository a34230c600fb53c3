"""Ranges of bytes and conditions on them, as requests for files name them (RFC 9110).

Rules: one range is answered with those bytes. Several in one header, or what is no range, are answered with the whole
file, as the standard allows. A range behind the end is an error. The tag of a file is its id, and strong.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from crdtstore.errors import RangeNotSatisfiable
from crdtstore.http.request import Request

RANGE: Final = re.compile(rb"[ \t]*bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class Span(NamedTuple):
    """Bytes from `start` to before `end`."""

    start: int
    end: int


def tag_of(id_: str) -> bytes:
    """The entity tag of a file."""
    return b'"%b"' % id_.encode()


def has_it(request: Request, id_: str) -> bool:
    """Whether the caller says that it has the file: If-None-Match."""
    known = [each.strip().removeprefix(b"W/") for each in request.headers.get(b"if-none-match", b"").split(b",")]
    return tag_of(id_) in known or b"*" in known


def span_of(request: Request, id_: str, length: int) -> Span | None:
    """The bytes that are asked for; None for all.

    Raises:
        RangeNotSatisfiable: There are none.
    """
    found = RANGE.fullmatch(request.headers.get(b"range", b""))
    condition = request.headers.get(b"if-range")
    if found is None or found[1] == found[2] == b"" or (condition is not None and condition.strip() != tag_of(id_)):
        return None
    if found[1] == b"":
        start, end = max(0, length - int(found[2])), length
    else:
        start, end = int(found[1]), min(length, int(found[2]) + 1 if found[2] else length)
        if found[2] and int(found[2]) < start:
            return None  # no range, says the standard
    if start >= min(end, length):
        raise RangeNotSatisfiable(f"The file has {length} bytes, and none where the range is.", len=length)
    return Span(start, end)
