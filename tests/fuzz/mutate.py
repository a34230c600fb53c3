"""Altered bytes: what a target is given is a well-formed seed with some of it changed.

Rules: everything follows from one source of random numbers, so a run repeats exactly. Half of the alterations know
nothing of what they alter: bits, bytes, cuts, splices, numbers at their edges where a length may stand, nesting. The
other half move whole items of msgpack about, change what their heads announce, and spell them longer than they need be;
in texts they move words.

Not here: which seeds and fragments there are (`targets`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Literal, TypeAlias

Form: TypeAlias = Literal["bytes", "msgpack", "text"]
CASE_BYTES_MAX = 64 * 1_024
"""No case is longer: what a decoder does with many bytes it does with few that announce many."""

EDGES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 2**15, 2**16 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
EDGES += [2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
BYTES = (0, 1, 2, 3, 4, 0x0F, 0x10, 0x7F, 0x80, 0x81, 0x90, 0x91, 0xA0, 0xC0, 0xC1, 0xC4, 0xCF, 0xD3, 0xDD, 0xDF, 0xFF)
SIZES = (1, 2, 4, 8)
TIMES = (1, 2, 3, 8, 63, 64, 65, 72, 73, 80, 81, 82, 200, 600, 1_100)
"""How often something is nested: around the bounds on depth, and far beyond the stack of a reader that recurs."""

HEADS = [b"\x90", b"\x91", b"\x9f", b"\xdc\x00\x10", b"\xdc\xff\xff", b"\xdd\x7f\xff\xff\xff", b"\xdd\xff\xff\xff\xff"]
HEADS += [
    b"\x80",
    b"\x81",
    b"\x8f",
    b"\xde\x00\x10",
    b"\xdf\x7f\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xa0",
    b"\xbf",
]
HEADS += [b"\xd9\xff", b"\xda\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc4\xff", b"\xc5\xff\xff", b"\xc6\xff\xff\xff\xff"]
HEADS += [b"\xc6\x7f\xff\xff\xff", b"\xc7\x08\x01", b"\xd6\xff", b"\xd4\x00", b"\xc1"]
ITEMS = [
    b"\xc0",
    b"\xc2",
    b"\xc3",
    b"\x00",
    b"\x7f",
    b"\xff",
    b"\xe0",
    b"\xcc\x80",
    b"\xcd\xff\xff",
    b"\xce\xff\xff\xff\xff",
]
ITEMS += [b"\xcf" + edge.to_bytes(8, "big") for edge in (2**32, 2**63 - 1, 2**63, 2**64 - 1)]
ITEMS += [b"\xd3\x80" + bytes(7), b"\xd2\x80\x00\x00\x00", b"\xca\x7f\x80\x00\x00", b"\xcb\x7f\xf0" + bytes(6)]
ITEMS += [b"\xcb\x7f\xf8" + bytes(6), b"\xcb\x80" + bytes(7), b"\xcb\x43\xe0" + bytes(6), b"\xa0", b"\xc4\x00", b"\x90"]
ITEMS += [
    b"\x80",
    b"\xc4\x10" + bytes(16),
    b"\xa1\xff",
    b"\xa3\xed\xa0\x80",
    b"\xc4\x01\x00",
    b"\x81\xa1a\x01",
    b"\x91\xc0",
]
LONGER = {1: 0xCC, 2: 0xCD, 4: 0xCE, 8: 0xCF}
"""Heads of an unsigned integer of so many bytes."""


def below(choose: Random, count: int) -> int:
    """A number from 0 to before `count`; several times as fast as `randrange`."""
    return int(choose.random() * count)


def alter(seed: bytes, others: Sequence[bytes], fragments: Sequence[bytes], choose: Random, form: Form) -> bytes:
    """Change a seed in one to four places.

    Args:
        seed: What is changed.
        others: All seeds, for splices.
        fragments: Pieces that mean something to the target; nested and inserted.
        choose: The source of everything.
        form: What the seeds are.
    """
    data = seed
    if form != "bytes" and choose.random() < 0.5:
        packed = form == "msgpack"
        data = alter_item(data, others, choose) if packed else alter_word(data, others, fragments, choose)
        if choose.random() < 0.7:
            return data[:CASE_BYTES_MAX]
    altered = bytearray(data)
    for _ in range((1, 1, 1, 2, 2, 4)[below(choose, 6)]):
        alter_bytes(altered, others, fragments, choose)
    return bytes(altered[:CASE_BYTES_MAX])


def alter_bytes(data: bytearray, others: Sequence[bytes], fragments: Sequence[bytes], choose: Random) -> None:
    """Change one place, whatever stands there."""
    size = len(data)
    at = below(choose, size + 1)
    match below(choose, 12):
        case 0 | 1 if at < size:
            data[at] ^= 1 << below(choose, 8)
        case 2 | 3 if at < size:
            data[at] = BYTES[below(choose, len(BYTES))]
        case 4:
            del data[at : at + 1 + below(choose, 8)]
        case 5:
            del data[at:]
        case 6:
            data[at:at] = choose.randbytes(1 + below(choose, 8))
        case 7:
            data[at:at] = data[at : at + 1 + below(choose, 32)]
        case 8:
            other = others[below(choose, len(others))]
            data[at:] = other[below(choose, len(other) + 1) :]
        case 9:
            other = others[below(choose, len(others))]
            begin = below(choose, len(other) + 1)
            data[at:at] = other[begin : begin + 1 + below(choose, 40)]
        case 10 if fragments:
            piece = fragments[below(choose, len(fragments))]
            data[at : at + below(choose, 2) * len(piece)] = piece * nested(choose)
        case _:
            put_edge(data, at, choose)


def nested(choose: Random) -> int:
    """How often a fragment comes: mostly once."""
    return 1 if choose.random() < 0.75 else TIMES[below(choose, len(TIMES))]


def put_edge(data: bytearray, at: int, choose: Random) -> None:
    """Put a number at its edge where a length may stand, in either order of bytes."""
    size = SIZES[below(choose, 4)]
    number = EDGES[below(choose, len(EDGES))] & (1 << 8 * size) - 1
    data[at : at + size] = number.to_bytes(size, "little" if choose.random() < 0.5 else "big")


# --- words of text ---

WORDS = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+\w.]+|\S')


@lru_cache(maxsize=4_096)
def words(data: bytes) -> list[tuple[int, int]]:
    """Where strings, numbers, names and signs begin and end."""
    return [match.span() for match in WORDS.finditer(data)]


def alter_word(data: bytes, others: Sequence[bytes], fragments: Sequence[bytes], choose: Random) -> bytes:
    """Put one whole word in the place of another, beside it, or leave it out."""
    known = words(data)
    if not known:
        return data
    start, end = known[below(choose, len(known))]
    other = data if choose.random() < 0.5 else others[below(choose, len(others))]
    there = words(other) or [(0, len(other))]
    for _ in range(4):
        first, last = there[below(choose, len(there))]
        if other[first : first + 1] == data[start : start + 1]:
            break  # One of its kind is likelier to be read on.
    match below(choose, 5):
        case 0:
            piece = fragments[below(choose, len(fragments))]
        case 1:
            piece = b""
        case 2:
            piece = data[start:end] + other[first:last]
        case _:
            piece = other[first:last]
    return data[:start] + piece + data[end:]


# --- items of msgpack ---


def alter_item(data: bytes, others: Sequence[bytes], choose: Random) -> bytes:
    """Change one whole item, or only its head."""
    known = spans(data)
    if not known:
        return data
    start, head, end = known[below(choose, len(known))]
    match below(choose, 9):
        case 0:
            piece = ITEMS[below(choose, len(ITEMS))]
        case 1:
            return data[:start] + HEADS[below(choose, len(HEADS))] + data[head:]
        case 2:
            piece = b""
        case 3:
            piece = data[start:end] * 2
        case 4:
            other = others[below(choose, len(others))]
            there = spans(other) or [(0, 0, len(other))]
            first, _, last = there[below(choose, len(there))]
            piece = other[first:last]
        case 5:
            first, _, last = known[below(choose, len(known))]
            piece = data[first:last]
        case 6:
            piece = longer(data[start:end], choose)
        case 7:
            piece = (b"\x91", b"\x81\xa1a", b"\xdd\x00\x00\x00\x01")[below(choose, 3)] * nested(choose) + data[
                start:end
            ]
        case _:
            number = EDGES[below(choose, len(EDGES))]
            piece = b"\xcf" + number.to_bytes(8, "big") if number > 0x7F else bytes([number])
    return data[:start] + piece + data[end:]


def longer(item: bytes, choose: Random) -> bytes:
    """An item in a spelling that is longer than need be, or a smaller or greater number."""
    first = item[0] if item else 0
    if first < 0x80:
        size = SIZES[below(choose, 4)]
        return bytes([LONGER[size]]) + first.to_bytes(size, "big")
    if 0xCC <= first <= 0xCF:
        number = (int.from_bytes(item[1:], "big") + (1, -1, 256)[below(choose, 3)]) % 2**64
        return b"\xcf" + number.to_bytes(8, "big")
    if 0xA0 <= first <= 0xBF:
        return b"\xd9" + bytes([first & 0x1F]) + item[1:]
    if first == 0xC4:
        return b"\xc5\x00" + item[1:]
    if 0x90 <= first <= 0x9F:
        return b"\xdc\x00" + bytes([first & 0x0F]) + item[1:]
    if 0x80 <= first <= 0x8F:
        return b"\xde\x00" + bytes([first & 0x0F]) + item[1:]
    return item


FIXED = {
    0xC0: 0,
    0xC2: 0,
    0xC3: 0,
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
}
COUNTED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Bytes behind the first one: of the number itself, or of the length of what follows."""


@lru_cache(maxsize=4_096)
def spans(data: bytes) -> list[tuple[int, int, int]]:
    """Of each item, at any depth: where it begins, where its head ends, and where it ends."""
    found: list[tuple[int, int, int]] = []
    at = 0
    while at < len(data):
        end = walk(data, at, found, 0)
        if end is None:
            break
        at = end
    return found


def walk(data: bytes, at: int, found: list[tuple[int, int, int]], depth: int) -> int | None:
    """Note an item and what is in it; where it ends, None for no item."""
    place = len(found)
    found.append((at, at, at))
    parts, head, end = measure(data, at)
    if end > len(data) or depth > 100:
        del found[place:]
        return None
    for _ in range(parts):
        inner = walk(data, end, found, depth + 1) if end < len(data) else None
        if inner is None:
            break
        end = inner
    found[place] = (at, head, end)
    return end


def measure(data: bytes, at: int) -> tuple[int, int, int]:
    """How many items are in an item; where its head ends; where it ends but for these."""
    first = data[at]
    if first < 0x80 or first >= 0xE0:
        return 0, at + 1, at + 1
    if first < 0xA0:
        return (first & 15) * (2 if first < 0x90 else 1), at + 1, at + 1
    if first < 0xC0:
        return 0, at + 1, at + 1 + (first & 31)
    if first in FIXED:
        return 0, at + 1, at + 1 + FIXED[first]
    if first in COUNTED:
        head = at + 1 + COUNTED[first]
        return 0, head, head + int.from_bytes(data[at + 1 : head], "big")
    if first >= 0xDC:
        head = at + (3 if first in {0xDC, 0xDE} else 5)
        return int.from_bytes(data[at + 1 : head], "big") * (2 if first >= 0xDE else 1), head, head
    return 0, at + 1, len(data) + 1
