"""JSON texts that are nearly right, and an oracle for them that is neither side of the scanner.

Rules: a seed makes a text, so a text is cheap and comes again. The oracle is Python's own reader with the
checks that it lacks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, NoReturn

from hypothesis import strategies as st

from crdtstore.errors import MalformedJson
from crdtstore.limits import INT_MAX, INT_MIN

Buffer = bytes | bytearray | memoryview
Scan = Callable[[Any, int], None]
DEPTH = 4


@dataclass(frozen=True)
class Refusal:
    """What a refused caller is told."""

    reason: str
    byte: int
    line: int
    column: int
    path: str
    message: str


def refusal(scan: Scan, text: Buffer, depth_max: int = DEPTH) -> Refusal | None:
    """Scan a text and return why it is refused."""
    try:
        scan(text, depth_max)
    except MalformedJson as error:
        return Refusal(message=error.message, **error.data)
    return None


# --- texts that are nearly right ---

BLANKS = (b"", b"", b"", b"", b" ", b"\n", b"\t\r\n ")
STRINGS = (
    *(b'""', b'"a"', rb'"\u0061"', b'"b"', rb'"\n"', rb'"\u000A"', rb'"\"\\\/\b\f\r\t"', b'"\x7f"'),
    *(
        '"é"'.encode(),
        rb'"\u00e9"',
        '"日本"'.encode(),
        '"😀"'.encode(),
        rb'"\ud83d\ude00"',
        rb'"\uD83D\uDE00"',
    ),
    *(b'"a somewhat longer string, beyond eight bytes"', rb'"one \u0000 zero"', rb'"\uffff\ufdd0"'),
)
SCALARS = (
    *(b"true", b"false", b"null", b"0", b"-0", b"-0.0", b"1.0", b"1e3", b"12.5E-7", b"1e-400", b"0e999"),
    *(b"9223372036854775807", b"-9223372036854775808", b"1.7976931348623157e308", b"0.1"),
)
FLAWED = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9223372036854775808", b"01", b"-", b"1.", b".5", b"1e"),
    *(
        b"t",
        b"nulls",
        b"/",
        b"//",
        b"/**/",
        b"'",
        b'"',
        b",",
        b",]",
        b",}",
        b":",
        b"[",
        b"]",
        b"{",
        b"}",
        b"\\",
        b"\x00",
    ),
    *(rb"\ud800", rb"\udc00", rb"\u12", rb"\x", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\x1f"),
    *(b"\xf4\x90\x80\x80", b"\xf0\x80\x80\x80", b"\xef\xbb\xbf", b"\xfe\xff", b" ", b"\n", b"0", b"-1"),
)


def make_value(random: Random, levels: int) -> bytes:
    """Make a value with white space around it."""
    match random.randrange(6) if levels else 0:
        case 4:
            items = [make_value(random, levels - 1) for _ in range(random.randrange(4))]
            value = b"[%s]" % b",".join(items)
        case 5:
            value = b"{%s}" % b",".join(make_members(random, levels))
        case _:
            value = random.choice(SCALARS + STRINGS)
    return random.choice(BLANKS) + value + random.choice(BLANKS)


def make_members(random: Random, levels: int) -> list[bytes]:
    """Make members of an object: few with any keys, or many with keys that differ."""
    if random.random() < 0.2:
        numbers = random.sample(range(60), random.randrange(12, 50))
        return [b'"k%d":%b' % (number, make_value(random, 0)) for number in numbers]
    keys = [random.choice(STRINGS) + random.choice(BLANKS) for _ in range(random.randrange(4))]
    return [random.choice(BLANKS) + key + b":" + make_value(random, levels - 1) for key in keys]


def make_text(seed: int) -> bytes:
    """Make a text that is right but for duplicate keys, and not too deep."""
    random = Random(seed)
    return make_value(random, random.randrange(1, DEPTH))


def spoil_text(seed: int) -> bytes:
    """Make a text with up to three flaws in it."""
    random = Random(seed)
    text = make_value(random, random.randrange(DEPTH + 2))
    for _ in range(random.randrange(4)):
        at = random.randrange(len(text) + 1)
        until = at + random.choice((0, 0, 1, 2, len(text)))
        put = random.choice((b"", random.choice(FLAWED), random.choice(STRINGS), random.randbytes(1)))
        text = text[:at] + put + text[until:]
    return text


SEEDS = st.integers(0, 2**64)
TEXTS = SEEDS.map(make_text)
SPOILED = SEEDS.map(spoil_text)


# --- the oracle ---


def accepts(text: bytes, depth_max: int = DEPTH) -> bool:
    """Ask Python's own reader, and check what it lets through."""
    try:
        value = json.loads(
            text.decode(),
            parse_int=check_integer,
            parse_float=check_fraction,
            parse_constant=refuse,
            object_pairs_hook=check_keys,
        )
        check_strings(value)
    except ValueError:
        return False
    return depth(value) <= depth_max


def refuse(text: str) -> NoReturn:
    """Refuse what only Python reads."""
    raise ValueError(text)


def check_integer(text: str) -> int:
    """Refuse integers beyond int64, without reading thousands of digits."""
    if len(text) > 20 or not INT_MIN <= int(text) <= INT_MAX:
        refuse(text)
    return int(text)


def check_fraction(text: str) -> float:
    """Refuse fractions beyond a double."""
    if abs(float(text)) == float("inf"):
        refuse(text)
    return float(text)


def check_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate keys."""
    if len({key for key, _ in pairs}) != len(pairs):
        refuse("duplicate")
    return dict(pairs)


def check_strings(value: object) -> None:
    """Refuse lone surrogates: encoding them is a ValueError."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        check_strings([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for item in value:
            check_strings(item)


def depth(value: object) -> int:
    """Count the arrays and objects around the innermost value."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0
