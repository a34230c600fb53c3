"""Value keys as people read them: the bounds of a plan.

Rules: each column as its value in JSON. A bound need not be a whole key: the beginning of a text ends in three dots,
what begins or ends a whole type is named, and the lowest key behind a value is shown with a plus.
"""

from __future__ import annotations

import json
from typing import Final

from crdtstore.crdt.identifier import ARRAY, BINARY, END, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE, decode_number

NAMES: Final = {0: "missing", NULL: "null", FALSE: "false", TRUE: "true", OBJECT: "objects"}
WHOLES: Final = {NUMBER: "numbers", STRING: "texts", BINARY: "binary", ARRAY: "arrays"}
NUMBER_BYTES: Final = 10


def show_key(key: bytes) -> str:
    """A bound of columns."""
    shown: list[str] = []
    while key:
        part, key = show_column(key)
        shown.append(part)
    return ", ".join(shown) or "the first"


def show_column(key: bytes) -> tuple[str, bytes]:
    """The first column of a bound, and what follows it."""
    tag, rest = key[0], key[1:]
    if tag in NAMES:
        return NAMES[tag], rest
    if not rest and tag in WHOLES:
        return WHOLES[tag], rest
    if tag == NUMBER and len(rest) >= NUMBER_BYTES:
        return json.dumps(decode_number(rest[:NUMBER_BYTES])), rest[NUMBER_BYTES:]
    if tag in (STRING, BINARY):
        return show_text(rest)
    if tag == ARRAY:
        return f"array {rest.hex()}", b""
    return behind_type(key), b""


def show_text(rest: bytes) -> tuple[str, bytes]:
    """A text, whole or begun."""
    end = rest.find(END)
    body = rest if end < 0 else rest[:end]
    text = body.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01").decode("utf-8", "replace")
    if end < 0:
        # The terminator, one higher: the lowest key behind this text.
        plus = body.endswith(b"\x01")
        text = text[:-1] if plus else text
        return json.dumps(text, ensure_ascii=False) + ("+" if plus else "..."), b""
    return json.dumps(text, ensure_ascii=False), rest[end + 1 :]


def behind_type(key: bytes) -> str:
    """The lowest key behind a type."""
    before = {**NAMES, **WHOLES}.get(key[0] - 1)
    return f"behind {before}" if len(key) == 1 and before else "the end" if key == b"\xff" else key.hex()
