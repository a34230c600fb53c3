"""The strict JSON scanner: it reads nothing, it only refuses what two readers could take differently.

Rules: one value of RFC 8259 in UTF-8, and beyond that no byte order mark, no duplicate key (compared after
unescaping), no lone surrogate, integers in int64, fractions within a double, nesting within the caller's
bound. A number with a fraction or an exponent is a double, even 1.0; -0 is the integer 0; 1e-400 is 0.0. Each
refusal names the first flaw by line, column (characters from 1), byte (from 0), JSON path and a fixed reason;
a text that merely stops too early is refused at its end as `unexpected end`. The work is linear in the text
and takes no recursion. Values are not made here: after the scan any reader will do. The compiled twin is
`ext/json_scan.pxi` over `ext/json_token.pxi`; it numbers the reasons by their place in `FLAWS` and makes its
errors here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from crdtstore.errors import LimitExceeded, MalformedJson
from crdtstore.limits import INT_MAX, INT_MIN, JSON_BYTES_MAX, JSON_PLACE_CHARACTERS_MAX

FLAWS: Final = {
    "empty body": "one JSON value is needed",
    "byte order mark": "the text must be UTF-8 and start with the value itself",
    "UTF-16 or UTF-32": "the text must be UTF-8",
    "invalid UTF-8": "a string must hold well-formed UTF-8",
    "control character": "characters below U+0020 must be escaped in a string",
    "bad escape": r'an escape is \u and four hexadecimal digits, or \ and one of "\/bfnrt',
    "lone surrogate": "an escaped high surrogate needs a low one right behind, and no low one stands alone",
    "not a number": "JSON has neither NaN nor an infinity",
    "bad number": "digits without a leading zero, perhaps a fraction and an exponent, make a number",
    "integer out of range": f"an integer lies between {INT_MIN} and {INT_MAX}",
    "number out of range": "a fraction must fit a double",
    "duplicate key": "an object has each key once",
    "nesting too deep": "at most {depth_max} arrays and objects may be open at once",
    "trailing data": "only white space may follow the value",
    "trailing comma": "an element must follow a comma",
    "comment": "JSON has no comments",
    "unexpected end": "the text stops within a value",
    "unknown word": "the words of JSON are true, false and null",
    "expected a value": "a value must stand here",
    "expected a key": "a key in double quotes must stand here",
    "expected a colon": "a colon must follow a key",
    "expected a comma": "a comma or the closing bracket must follow an element",
}
"""Reason -> the rule that was broken."""

BLANK: Final = re.compile(rb"[ \t\n\r]*")
PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
TOKEN: Final = re.compile(rb"[-+._0-9A-Za-z]*")
NUMBER: Final = re.compile(rb"(-?)(0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
NOT_A_NUMBER: Final = re.compile(rb"[-+]?(?:NaN|Infinity)")
HEX: Final = re.compile(rb"[0-9a-fA-F]{4}")
HIGH_SURROGATE: Final = re.compile(rb"[dD][89abAB]..", re.DOTALL)
LOW_SURROGATE: Final = re.compile(rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WORDS: Final = (b"true", b"false", b"null")
MARKS: Final = {
    b"\xef\xbb\xbf": "byte order mark",
    b"\xff\xfe": "UTF-16 or UTF-32",
    b"\xfe\xff": "UTF-16 or UTF-32",
}


class Flaw(Exception):
    """A reason of `FLAWS` and the byte that it belongs to; never seen outside of this module."""

    def __init__(self, reason: str, byte: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.byte = byte


@dataclass(slots=True)
class Frame:
    """An open array (without `keys`) or object, and where in it the scan stands."""

    closer: bytes
    keys: set[str] | None
    key: str | None = None
    elements: int = 0


def scan_json(data: bytes | bytearray | memoryview, depth_max: int) -> None:
    """Refuse a text that is not strict JSON.

    Args:
        data: The text in UTF-8, at most JSON_BYTES_MAX bytes.
        depth_max: How many arrays and objects may be open at once.

    Raises:
        MalformedJson: The first flaw, with `line`, `column`, `byte`, `path` and `reason` in its data.
        LimitExceeded: More than JSON_BYTES_MAX bytes.
    """
    check_size(memoryview(data).nbytes)
    text = bytes(data)
    frames: list[Frame] = []
    try:
        scan_text(text, frames, depth_max)
    except Flaw as flaw:
        place = [frame.elements - 1 if frame.keys is None else frame.key for frame in frames]
        raise malformed_json(text, flaw.byte, flaw.reason, place, depth_max) from None


def check_size(size: int) -> None:
    """Refuse a text that the compiled scanner cannot number."""
    if size > JSON_BYTES_MAX:
        message = f"A JSON text has {size} bytes; at most {JSON_BYTES_MAX} are read in one piece."
        raise LimitExceeded(message, limit="JSON_BYTES_MAX", value=size, maximum=JSON_BYTES_MAX)


def malformed_json(text: bytes, byte: int, reason: str, place: list[int | str | None], depth_max: int) -> MalformedJson:
    """Make the error for the flaw at a byte.

    Args:
        text: The whole text; before `byte` it is without a flaw.
        byte: Where the flaw is.
        reason: A key of `FLAWS`.
        place: The index or key of the element in each open array or object, outermost first; None or -1
            where it has none yet.
        depth_max: As the scan got it.
    """
    line = text.count(b"\n", 0, byte) + 1
    column = len(text[text.rfind(b"\n", 0, byte) + 1 : byte].decode(errors="replace")) + 1
    path = format_place(place)
    rule = FLAWS[reason].format(depth_max=depth_max) if reason == "nesting too deep" else FLAWS[reason]
    where = f"line {line}, column {column} (byte {byte}, in {path})"
    message = f"The JSON text is refused at {where}: {reason}; {rule}."
    return MalformedJson(message, line=line, column=column, byte=byte, path=path, reason=reason)


def format_place(place: list[int | str | None]) -> str:
    """Write a place as a JSON path in ASCII, such as `$.commands[0].value["a b"]`, cut if it is too long."""
    path = "$"
    for step in place:
        if isinstance(step, str):
            cut = step[:JSON_PLACE_CHARACTERS_MAX]
            path += f".{cut}" if NAME.fullmatch(cut) else f"[{json.dumps(cut)}]"
        elif step is not None and step >= 0:
            path += f"[{step}]"
        if len(path) > JSON_PLACE_CHARACTERS_MAX:
            return path[: JSON_PLACE_CHARACTERS_MAX - 3] + "..."
    return path


def scan_text(text: bytes, frames: list[Frame], depth_max: int) -> None:
    """Scan a whole text; on a flaw `frames` holds what was open."""
    check_start(text)
    at = scan_value(text, skip_blank(text, 0), frames, depth_max)
    while frames:
        at = scan_element(text, at, frames, depth_max)
    at = skip_blank(text, at)
    if at < len(text):
        refuse(text, at, "trailing data")


def check_start(text: bytes) -> None:
    """Refuse a text that is empty or not even meant to be UTF-8: a NUL stands nowhere in a JSON text."""
    for mark, reason in MARKS.items():
        if text.startswith(mark):
            raise Flaw(reason, 0)
    if b"\x00" in text[:2]:
        raise Flaw("UTF-16 or UTF-32", 0)
    if skip_blank(text, 0) == len(text):
        raise Flaw("empty body", len(text))


def skip_blank(text: bytes, at: int) -> int:
    """Skip white space."""
    blank = BLANK.match(text, at)
    return blank.end() if blank else at


def refuse(text: bytes, at: int, reason: str) -> NoReturn:
    """Refuse the byte at a place where something else must stand."""
    if at == len(text):
        raise Flaw("unexpected end", at)
    raise Flaw("comment" if text[at : at + 1] == b"/" else reason, at)


def scan_value(text: bytes, at: int, frames: list[Frame], depth_max: int) -> int:
    """Scan a scalar, or open an array or object; return where the scan goes on."""
    match text[at : at + 1]:
        case b'"':
            return scan_string(text, at)
        case b"{" | b"[" as opener:
            if len(frames) >= depth_max:
                raise Flaw("nesting too deep", at)
            frames.append(Frame(b"}", set()) if opener == b"{" else Frame(b"]", None))
            return at + 1
        case _:
            return scan_token(text, at)


def scan_element(text: bytes, at: int, frames: list[Frame], depth_max: int) -> int:
    """Scan up to the end of the next element of the innermost array or object, or close it."""
    frame = frames[-1]
    at = skip_blank(text, at)
    if text[at : at + 1] == frame.closer:
        frames.pop()
        return at + 1
    if frame.elements:
        at = scan_comma(text, at, frame.closer)
    frame.elements += 1
    if frame.keys is not None:
        at = scan_key(text, at, frame, frame.keys)
    return scan_value(text, at, frames, depth_max)


def scan_comma(text: bytes, at: int, closer: bytes) -> int:
    """Scan the comma before an element; return where the element starts."""
    if text[at : at + 1] != b",":
        refuse(text, at, "expected a comma")
    after = skip_blank(text, at + 1)
    if text[after : after + 1] == closer:
        raise Flaw("trailing comma", at)
    return after


def scan_key(text: bytes, at: int, frame: Frame, keys: set[str]) -> int:
    """Scan a key and its colon; return where the value starts."""
    frame.key = None
    if text[at : at + 1] != b'"':
        refuse(text, at, "expected a key")
    end = scan_string(text, at)
    raw = text[at:end].decode()
    frame.key = key = str(json.loads(raw)) if "\\" in raw else raw[1:-1]
    if key in keys:
        raise Flaw("duplicate key", at)
    keys.add(key)
    colon = skip_blank(text, end)
    if text[colon : colon + 1] != b":":
        refuse(text, colon, "expected a colon")
    return skip_blank(text, colon + 1)


def scan_string(text: bytes, at: int) -> int:
    """Scan a string from its opening quote; return where the text goes on."""
    at += 1
    while True:
        at = scan_plain(text, at)
        match text[at : at + 1]:
            case b'"':
                return at + 1
            case b"\\":
                at = scan_escape(text, at)
            case b"":
                raise Flaw("unexpected end", at)
            case _:
                raise Flaw("control character", at)


def scan_plain(text: bytes, at: int) -> int:
    """Scan characters that stand for themselves."""
    plain = PLAIN.match(text, at)
    end = plain.end() if plain else at
    try:
        text[at:end].decode()
    except UnicodeDecodeError as error:
        # A sequence that could go on may be cut off by the end of the text, but by nothing else.
        cut_off = at + error.end == len(text) and error.reason == "unexpected end of data"
        raise (Flaw("unexpected end", len(text)) if cut_off else Flaw("invalid UTF-8", at + error.start)) from None
    return end


def scan_escape(text: bytes, at: int) -> int:
    r"""Scan an escape from its backslash on: both halves, where it is a pair of surrogates."""
    letter = text[at + 1 : at + 2]
    if letter != b"u":
        if letter and letter not in b'"\\/bfnrt':
            raise Flaw("bad escape", at)
        return at + 2 if letter else len(text)
    digits = expect_shape(text, at + 2, HEX, b"0000", Flaw("bad escape", at))
    if LOW_SURROGATE.fullmatch(b"\\u" + digits):
        raise Flaw("lone surrogate", at)
    if HIGH_SURROGATE.fullmatch(digits):
        expect_shape(text, at + 6, LOW_SURROGATE, rb"\uDC00", Flaw("lone surrogate", at))
        return at + 12
    return at + 6


def expect_shape(text: bytes, at: int, shape: re.Pattern[bytes], example: bytes, flaw: Flaw) -> bytes:
    """Take the next bytes, as many as `example` has, or raise the flaw; what is only cut off is completed."""
    found = text[at : at + len(example)]
    if not shape.fullmatch(found + example[len(found) :]):
        raise flaw
    if len(found) < len(example):
        raise Flaw("unexpected end", len(text))
    return found


def scan_token(text: bytes, at: int) -> int:
    """Scan a number or a word; return where the text goes on."""
    found = TOKEN.match(text, at)
    end = found.end() if found else at
    token = text[at:end]
    if not token:
        refuse(text, at, "expected a value")
    if token in WORDS:
        return end
    if NOT_A_NUMBER.fullmatch(token):
        raise Flaw("not a number", at)
    if token[:1] in b"-+.0123456789":
        check_number(text, at, end)
    elif end == len(text) and any(word.startswith(token) for word in WORDS):
        raise Flaw("unexpected end", end)
    else:
        raise Flaw("unknown word", at)
    return end


def check_number(text: bytes, at: int, end: int) -> None:
    """Refuse a token that is not a number of the value model."""
    token = text[at:end]
    number = NUMBER.fullmatch(token)
    if not number:
        # A token that one more digit would complete is only cut off, if the text ends with it.
        cut_off = end == len(text) and NUMBER.fullmatch(token + b"0")
        raise Flaw("unexpected end", end) if cut_off else Flaw("bad number", at)
    sign, digits, rest = number.groups()
    if rest:
        if float(token) in (float("inf"), float("-inf")):
            raise Flaw("number out of range", at)
    elif not is_int64(sign, digits):
        raise Flaw("integer out of range", at)


def is_int64(sign: bytes, digits: bytes) -> bool:
    """Whether an integer without leading zeros is in int64: in linear time, which `int()` does not take."""
    bound = str(-INT_MIN if sign else INT_MAX).encode()
    return (len(digits), digits) <= (len(bound), bound)
