"""Documents are read here from JSON Lines or a JSON array, each with the line on which it stands.

Rules: JSON is as strict as in a request. The first character that is not white space decides: `[` begins
an array, which is read whole; anything else is JSON Lines, of which one line at a time is held. Empty
lines are passed over. An error names the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, BinaryIO, NamedTuple

import msgspec

from crdtstore import core
from crdtstore.errors import LimitExceeded, MalformedJson, MalformedRequest
from crdtstore.limits import BODY_BYTES_MAX, IMPORT_ARRAY_BYTES_MAX, JSON_DEPTH_MAX

BLANKS = b" \t\r\n"


class Line(NamedTuple):
    """A document as it was read: its line, counted from 1, its fields, and its size in the input."""

    number: int
    fields: dict[str, Any]
    bytes: int


def read_documents(stream: BinaryIO) -> Iterator[Line]:
    """Read the documents of an input, in order.

    Raises:
        MalformedJson: Something is not strict JSON; `data` has its `line`.
        MalformedRequest: Something is JSON and no object.
        LimitExceeded: A line or an array is too long.
    """
    begun = False
    for number in count(1):
        line = stream.readline(BODY_BYTES_MAX + 1)
        if not line:
            return
        if not begun and line.lstrip(BLANKS).startswith(b"["):
            # The lines before it were empty: others in their place keep the numbers right.
            yield from read_array(b"\n" * (number - 1) + line + stream.read(IMPORT_ARRAY_BYTES_MAX))
            return
        if len(line) > BODY_BYTES_MAX:
            raise too_long(f"Line {number}", len(line))
        if line.strip(BLANKS):
            begun = True
            scan_line(line, number)
            yield Line(number, fields_of(line, number), len(line))


def scan_line(line: bytes, number: int) -> None:
    """Refuse a line that is not strict JSON.

    Raises:
        MalformedJson: `data` has the `line` of the input.
    """
    try:
        core.scan_json(line.rstrip(BLANKS), JSON_DEPTH_MAX)
    except MalformedJson as error:
        place = {**error.data, "line": number}
        message = "Line {line}, column {column} is not strict JSON (in {path}): {reason}.".format(**place)
        raise MalformedJson(message, **place) from None


def read_array(text: bytes) -> Iterator[Line]:
    """Read the documents of an array."""
    if len(text) > IMPORT_ARRAY_BYTES_MAX:
        raise LimitExceeded(
            f"A JSON array may take {IMPORT_ARRAY_BYTES_MAX} bytes; put longer ones into JSON Lines.",
            limit="IMPORT_ARRAY_BYTES_MAX",
            value=len(text),
            maximum=IMPORT_ARRAY_BYTES_MAX,
        )
    core.scan_json(text, JSON_DEPTH_MAX)
    number, end = 1, 0
    for raw in msgspec.json.decode(text, type=list[msgspec.Raw]):
        item = bytes(raw)
        # Between two items stand a comma and white space only, so the next place of the text is the item's.
        begin = text.index(item, end)
        number += text.count(b"\n", end, begin)
        yield Line(number, fields_of(item, number), len(item))
        end = begin + len(item)
        number += item.count(b"\n")


def fields_of(item: bytes, number: int) -> dict[str, Any]:
    """Decode an object."""
    value = msgspec.json.decode(item)
    if not isinstance(value, dict):
        raise MalformedRequest(f"Line {number} holds no document: a document is a JSON object.", line=number)
    return value


def too_long(what: str, size: int) -> LimitExceeded:
    """Say that a piece of input is longer than a request may be."""
    message = f"{what} is longer than {BODY_BYTES_MAX} bytes."
    return LimitExceeded(message, limit="BODY_BYTES_MAX", value=size, maximum=BODY_BYTES_MAX)
