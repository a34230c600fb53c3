"""Frames: entries come out as they went in, are small, and nothing else is taken for a frame.

Rules: what a frame may hold is generated in `frames.py`. Planted bugs show that the round trip would find them. Bytes
are altered as they are, and behind the compression; altered numbers reach places that altered bytes seldom do.
"""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import accumulate
from typing import Any

import msgpack
import pytest
from hypothesis import Phase, example, given, settings

from crdtstore.crdt.entry import Entry, encode_join, place_of
from crdtstore.crdt.stamp import Stamp
from crdtstore.errors import LimitExceeded, MalformedMessage, PositionGap
from crdtstore.limits import FRAME_ENTRIES_MAX, ID_BYTES_MAX
from crdtstore.replication import columns, fields, frame, observed, shapes
from crdtstore.replication.frame import FRAME_FORMAT, Frame, decode_frame, encode_frame, inflate, write_body
from tests.replication.frames import NAMES, ORIGIN, UPDATES, Builder, conversation, frames, updates, wide

WIDE = wide()


def check_round_trip(sent: Frame) -> None:
    came_through = decode_frame(encode_frame(sent)) == sent
    # Not compared in the assertion: a picture of the difference of large frames would take minutes.
    assert came_through


@settings(max_examples=60)
@given(frames())
@example(Frame((), {}))
@example(WIDE)
@example(conversation(40, seen=True))
@example(updates(UPDATES["visits"], 300))
def test_entries_come_out_as_they_went_in(sent: Frame) -> None:
    check_round_trip(sent)


@settings(max_examples=30)
@given(frames())
def test_a_frame_is_made_in_one_way(sent: Frame) -> None:
    data = encode_frame(sent)
    assert encode_frame(decode_frame(data)) == data


def test_positions_and_timestamps_of_every_width() -> None:
    edges = [0, 1, 127, 128, 255, 256, 2**16, 2**32, 2**48, 2**64 - 2]
    for edge in edges:
        builder = Builder({NAMES[0]: (edge, bytes(16)), NAMES[1]: (2**64 - 1 - 3, bytes(16))})
        change = (
            [("a", b"\x02", msgpack.packb([[1, b"x\0", edge]]))]
            if edge < 2**63
            else [("a", b"\x02", b"\x91\x92\x02\xc4\x00")]
        )
        builder.record(Stamp(edge, NAMES[0], NAMES[0]), {}, change)
        builder.record(Stamp(2**64 - 1, NAMES[1], NAMES[1]), {}, change)
        builder.advance(NAMES[1], edge + 1, {}, [bytes(16), bytes(16)])
        check_round_trip(builder.frame())


# --- planted bugs ---


def wrapping_index(self: columns.Reader, rows: int, most: int, least: int = 0) -> list[int]:
    return [number % 256 for number in COLUMN(self, rows, most, least)]


def folded_by_its_ends(column: Any) -> Any:
    return column[:1] if column[0] == column[-1] else column


def actor_is_origin(names: Any, number: int, origin: bytes) -> bytes:
    return origin


def counter_from_zero(times: columns.Times) -> list[int]:
    return [
        columns.unsplit(at, counter)
        for at, counter in zip(accumulate(times.steps, initial=times.start), times.counters, strict=False)
    ]


def number_as_equal(items: Any) -> bytes:
    known: dict[Any, Any] = {}
    return WRITE_ITEMS([item if isinstance(item, dict | list) else known.setdefault(item, item) for item in items])


class StandingStill(observed.Chains):
    def tell(self, index: int, digest: bytes) -> None:
        for at in range(index, len(self.digests)):
            self.digests[at] = digest


def nearly_the_same_row(chains: observed.Chains, places: Any, row: Any) -> int | None:
    return places.get((row[0], row[1]))


def digest_forgotten(taken: fields.Fields) -> Entry:
    return Entry(PUT_TOGETHER(taken).data)


COLUMN, WRITE_ITEMS, PUT_TOGETHER = columns.Reader.column, columns.write_items, fields.put_together

PLANTED: list[tuple[Any, str, Callable[..., Any]]] = [
    (columns.Reader, "column", wrapping_index),
    (columns, "fold", folded_by_its_ends),
    (frame, "actor_of", actor_is_origin),
    (shapes, "actor_of", actor_is_origin),
    (frame, "read_times", counter_from_zero),
    (shapes, "write_items", number_as_equal),
    (frame, "Chains", StandingStill),
    (observed, "find", nearly_the_same_row),
    (frame, "put_together", digest_forgotten),
]


@pytest.mark.parametrize(("place", "name", "bug"), PLANTED, ids=[bug.__name__ for _, _, bug in PLANTED])
def test_a_planted_bug_is_found(
    place: Any, name: str, bug: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, bug)
    search = settings(phases=[Phase.explicit, Phase.generate], max_examples=300, report_multiple_bugs=False)(
        example(WIDE)(example(conversation(6, seen=True))(given(frames())(check_round_trip)))
    )
    with pytest.raises((AssertionError, MalformedMessage)):
        search()


# --- sizes ---

BYTES_AN_UPDATE = {"numbers": 6, "words": 10, "titles": 9, "visits": 9}
"""The most that one more update of a kind costs; the two numbers in it alone take three."""


@pytest.mark.parametrize("kind", UPDATES)
def test_fifty_updates_are_small(kind: str) -> None:
    assert len(encode_frame(updates(UPDATES[kind], 50))) < 700


@pytest.mark.parametrize("kind", UPDATES)
def test_one_more_update_costs_a_few_bytes(kind: str) -> None:
    some, more = (len(encode_frame(updates(UPDATES[kind], count))) for count in (1_000, 2_000))
    assert more - some < 1_000 * BYTES_AN_UPDATE[kind]


def test_what_the_frame_says_anyway_costs_nearly_nothing() -> None:
    blind, seen = (len(encode_frame(conversation(200, seen=seen))) for seen in (False, True))
    assert seen - blind < 200 // 4


def test_what_deflating_does_not_shrink_is_sent_as_it_is() -> None:
    sent = updates(UPDATES["numbers"], 1)
    assert encode_frame(sent)[:2] == bytes([FRAME_FORMAT, 0])
    assert encode_frame(updates(UPDATES["numbers"], 50))[1] != 0


# --- bounds ---


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(MalformedMessage, match="format 9 arrived; this store reads format 1"):
        decode_frame(b"\x09" + encode_frame(WIDE)[1:])
    with pytest.raises(MalformedMessage, match="format none"):
        decode_frame(b"")


def test_a_gap_is_refused() -> None:
    sent = updates(UPDATES["numbers"], 3)
    with pytest.raises(PositionGap, match="position 10003 does not follow 10001") as caught:
        encode_frame(sent._replace(entries=(sent.entries[0], sent.entries[2])))
    assert (caught.value.data["expected"], caught.value.data["got"]) == (10_002, 10_003)


def test_a_join_is_no_entry_of_a_frame() -> None:
    with pytest.raises(TypeError):
        encode_frame(Frame((Entry(encode_join({}, [])),), {}))


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitExceeded):
        encode_frame(Frame((Entry(b""),) * (FRAME_ENTRIES_MAX + 1), {}))
    data = encode_frame(updates(UPDATES["numbers"], 3))
    monkeypatch.setattr(frame, "FRAME_ENTRIES_MAX", 2)
    with pytest.raises(MalformedMessage, match="from 0 to 2"):
        decode_frame(data)


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = updates(UPDATES["words"], 100)
    data, size = encode_frame(sent), sum(len(entry.data) for entry in sent.entries)
    bound(monkeypatch, size)
    assert decode_frame(encode_frame(sent)) == sent
    bound(monkeypatch, size - 1)
    with pytest.raises(LimitExceeded):
        encode_frame(sent)
    with pytest.raises(MalformedMessage):
        decode_frame(data)


def bound(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (columns, frame, shapes):
        monkeypatch.setattr(module, "FRAME_BYTES_MAX", size)
    monkeypatch.setattr(frame, "CHANGES_MAX", size // shapes.CHANGE_BYTES_MIN)


def deflated(body: bytes, announced: int | None = None) -> bytes:
    """A frame of columns that somebody else wrote."""
    deflater = zlib.compressobj(wbits=frame.RAW)
    size = msgpack.packb(len(body) if announced is None else announced)
    return bytes([FRAME_FORMAT]) + size + deflater.compress(body) + deflater.flush()


@pytest.mark.parametrize("difference", [-1, 1, 1 << 20])
def test_the_announced_size_is_the_size(difference: int) -> None:
    body = write_body(WIDE)
    assert decode_frame(deflated(body)) == WIDE
    with pytest.raises(MalformedMessage, match="does not hold them"):
        decode_frame(deflated(body, len(body) + difference))


def test_nothing_may_follow() -> None:
    sent = updates(UPDATES["words"], 50)
    with pytest.raises(MalformedMessage, match="does not hold them"):
        decode_frame(encode_frame(sent) + b"\0")
    with pytest.raises(MalformedMessage, match="1 bytes stand behind"):
        decode_frame(deflated(write_body(sent) + b"\0"))


BOMB = 1 << 18
HEAD = [NAMES[0], NAMES[0], b"", 1, 0, 0]


def packed(*items: Any) -> bytes:
    return b"".join(map(msgpack.packb, items))


def one_shape(rows: int, *operations: bytes, count: int | None = None, ids: bytes | None = None) -> bytes:
    """Columns of one record with so many changes of one shape."""
    head = packed(*HEAD, 0b0101, [1], [rows], "c", len(operations) if count is None else count)
    return head + (bytes(rows) if ids is None else ids) + b"".join(operations)


def many(code: int, value: bytes) -> list[bytes]:
    return [packed(code, b"%06x\0" % number) + value for number in range(BOMB // 20)]


BOMBS: dict[str, bytes] = {
    "zeros": bytes(BOMB),
    "names": packed(bytes(BOMB - 64)),
    "announced arrays": packed(*HEAD, 0b0100) + b"\xdd\x7f\xff\xff\xff" + bytes(BOMB // 2),
    "arrays in arrays": packed(*HEAD) + b"\xdd\x00\x03\xff\xff" * (BOMB // 8),
    "a long path, often": one_shape(BOMB // 4, packed(2, b"x" * 4_000 + b"\0")),
    "the smallest change": one_shape(BOMB // 11, packed(2, b"")),
    "one operation again and again": one_shape(1, packed(2, b"") * (BOMB // 4), count=BOMB // 4),
    "very many operations": one_shape(1, *many(2, b"")),
    "very many values": one_shape(1, *many(1, b"\0")),
    "stamps": one_shape(BOMB // 50, packed(5, b"", 0) + bytes(BOMB // 50)),
    "vectors": packed(*HEAD[:4], BOMB // 39, 0, 0b1_0000_0100, [1], [0]) + bytes(BOMB // 2),
    "arrays in an id": one_shape(1, packed(2, b""), ids=b"\xdc\x04\x00" * (BOMB // 4)),
    "arrays in a value": one_shape(1, packed(1, b"") + b"\xdd\x00\x03\x00\x00" + b"\x90" * 0x30000),
}
MEMORY_FACTOR = 32
"""Python's objects for a byte of columns: a value of one byte becomes an object of forty in a list of its own."""

NESTED_BYTES = 1_024 * ID_BYTES_MAX * 8
"""Whatever the bytes are: arrays in arrays of an id, as deep as msgpack goes, each as long as an id may be."""


@pytest.mark.parametrize("name", BOMBS)
def test_memory_follows_the_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bound(monkeypatch, BOMB)
    data = deflated(BOMBS[name])
    tracemalloc.start()
    try:
        with suppress(MalformedMessage):
            decode_frame(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_FACTOR * BOMB + NESTED_BYTES, peak / BOMB


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (packed(b"x" * 15), "16 bytes each"),
        (packed(NAMES[0] * 2, NAMES[0], b"", 0, 0, 0, 0), "twice"),
        (packed(*HEAD[:3], 0, 0, 0, 0), "has no entry"),
        (packed(*HEAD, 1 << 13, 0, [1]), "behind the end"),
        (packed(*HEAD, 0b0100, [1, 1]), "holds 2 numbers"),
        (packed(*HEAD, 0b0100, [-1]), "integers from 0"),
        (packed(*HEAD, 0b0100, [True]), "integers from 0"),
        (packed(*HEAD, 0b0100, [1.0]), "integers from 0"),
        (packed(*HEAD, 0b1_0100, [1], [2]), "integers from 0 to 1"),
        (packed(*HEAD, 0b10_0100, [1], [1]), "integers from 0 to 0"),
        (packed(*HEAD, 0b1100, [1], [1]), "without a gap"),
        (packed(*HEAD, 0b0110, [-1], [1]), "no timestamp"),
        (packed(*HEAD, 0), "Positions count from 1"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        decode_frame(deflated(body))


# --- altered frames ---


@cache
def corpus() -> list[Frame]:
    """Small frames that hold everything between them."""
    found: list[Frame] = []

    @settings(max_examples=40, phases=[Phase.generate], database=None)
    @given(frames())
    def collect(made: Frame) -> None:
        if len(made.entries) > 1:
            found.append(made)

    collect()
    kinds = [updates(make, 4) for make in UPDATES.values()]
    return [*found, *kinds, conversation(6, seen=True), wide(6)]


def altered_bytes(data: bytes, source: random.Random) -> bytes:
    """Flip, insert, delete, double or cut some bytes."""
    altered = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 5))):
        at = source.randrange(len(altered) + 1)
        end = min(len(altered), at + source.choice((1, 1, 2, 16)))
        match source.randrange(5):
            case 0 if at < len(altered):
                altered[at] ^= 1 << source.randrange(8)
            case 1 if at < len(altered):
                altered[at] = source.choice((0, 1, 0x7F, 0x80, 0xC0, 0xC4, 0xCF, 0xD3, 0xDD, 0xFF))
            case 2:
                altered[at:at] = source.randbytes(end - at)
            case 3:
                altered[at:at] = altered[at:end]
            case _:
                del altered[at:end]
    return bytes(altered)


STRANGE: tuple[Any, ...] = (
    0,
    1,
    2,
    -1,
    -2,
    255,
    256,
    2**16,
    2**32,
    2**48,
    2**63,
    2**64 - 1,
    -(2**63),
    None,
    True,
    0.5,
    b"",
    "",
    [],
    [1],
    {},
)


def altered_items(body: bytes, source: random.Random) -> bytes:
    """Alter one number, name or value, or the order of the items."""
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(body)
    items = list(unpacker)
    place, at = items, source.randrange(len(items))
    while isinstance(place[at], list) and place[at] and source.random() < 0.9:
        place, at = place[at], source.randrange(len(place[at]))
    value = place[at]
    match source.randrange(5):
        case 0 if type(value) is int:
            place[at] = max(-(2**63), min(2**64 - 1, value + source.choice((-1, 1, 256, -256))))
        case 1:
            place.insert(at, value)
        case 2:
            del place[at]
        case 3:
            other = source.randrange(len(place))
            place[at], place[other] = place[other], value
        case _:
            place[at] = source.choice(STRANGE)
    return b"".join(map(msgpack.packb, items))


def as_it_is(body: bytes) -> bytes:
    return bytes([FRAME_FORMAT, 0]) + body


def altered(count: int, seed: int) -> Iterator[bytes]:
    """Altered frames: as they are, then behind the compression, by bytes and by items."""
    source = random.Random(seed)
    sent = [encode_frame(made) for made in corpus()]
    bodies = [inflate(data) for data in sent]
    for number in range(count):
        at = source.randrange(len(sent))
        match number % 4:
            case 0:
                yield altered_bytes(sent[at], source)
            case 1:
                yield as_it_is(altered_bytes(bodies[at], source))
            case _:
                yield as_it_is(altered_items(bodies[at], source))


def check_altered(count: int, seed: int) -> int:
    """Decode altered frames: refused, or a frame that comes through again. Returns how many were refused."""
    refused = 0
    for data in altered(count, seed):
        try:
            taken = decode_frame(data)
        except MalformedMessage:
            refused += 1
        else:
            assert decode_frame(encode_frame(taken)) == taken
    return refused


def test_altered_frames_are_refused_or_whole() -> None:
    count = 8_000
    assert count // 2 < check_altered(count, 1) < count


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_altered_frames_are_refused_or_whole(seed: int) -> None:
    check_altered(100_000, seed)


def test_an_unchecked_index_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a range is not looked at, an altered number ends in another error or in another frame."""

    def unchecked(numbers: list[int], most: int, least: int = 0) -> list[int]:
        return numbers

    monkeypatch.setattr(columns, "check_numbers", unchecked)
    with pytest.raises(Exception) as caught:  # noqa: PT011  any error that is not the right one
        check_altered(8_000, 1)
    assert not isinstance(caught.value, MalformedMessage)


def test_places_are_read_without_the_rest() -> None:
    sent = decode_frame(encode_frame(updates(UPDATES["words"], 3)))
    assert [place_of(entry.data) for entry in sent.entries] == [(ORIGIN, 10_000 + number) for number in (1, 2, 3)]
