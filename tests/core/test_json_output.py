"""A document as JSON: both cores write the same bytes, and they read back as the visible document."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import json_output as plain
from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.document import visible
from crdtstore.crdt.document_bytes import DOUBLE, OBJECT, Entry, pack_document, pack_entries, unpack_document
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import encode_value
from crdtstore.errors import Corrupted
from crdtstore.limits import DEPTH_MAX, SHAPE_BYTES_MAX
from tests.core.merging import ACTORS, ORIGINS
from tests.core.strategies import Stored, document, documents, doubles, integers, store, texts, values

Write = Callable[[bytes, Names, Replicas], bytes]
SIDES: dict[str, Write] = {"plain": plain.document_json, "compiled": _core.document_json}
STAMP = Stamp(1, ACTORS[0], ORIGINS[0])
NEWER = Stamp(2, ACTORS[0], ORIGINS[0])


@pytest.fixture(params=SIDES, scope="module")
def twin(request: pytest.FixtureRequest) -> Write:
    return SIDES[request.param]


def written(side: Write, stored: Stored) -> bytes:
    """A document as one core writes it: in the general way first, then by the program of its shape."""
    first, *others = (side(*stored) for _ in range(4))
    assert others == [first] * 3
    return first


def agree(stored: Stored) -> bool:
    """Whether both cores write a document alike."""
    return written(_core.document_json, stored) == plain.document_json(*stored)


@given(documents)
def test_twins_agree(stored: Stored) -> None:
    assert agree(stored)


@settings(max_examples=40)
@given(st.lists(documents, max_size=4), st.randoms(use_true_random=False))
def test_documents_of_one_collection_agree_in_any_order(mixed: list[Stored], random: Any) -> None:
    """Shapes of one collection are not taken for one another."""
    names, replicas = Names([], 20), Replicas()
    unpacked = [unpack_document(*stored) for stored in mixed]
    for cells in unpacked:
        for cell in cells:
            for stamp in (cell.stamp, *(total.stamp for total in cell.totals)):
                replicas.intern(stamp.replica)
    stored = [Stored(pack_document(cells, names, replicas), names, replicas) for cells in unpacked] * 4
    random.shuffle(stored)
    assert all(_core.document_json(*one) == plain.document_json(*one) for one in stored)


@given(documents)
def test_what_is_written_reads_back_as_the_visible_document(stored: Stored) -> None:
    shown = visible(unpack_document(*stored))
    assert json.loads(_core.document_json(*stored), parse_constant=pytest.fail) == as_json(shown)


def as_json(value: Any) -> Any:
    """A value with bytes as Base64 text."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return b64encode(value).decode() if isinstance(value, bytes) else value


@given(values)
def test_every_value_is_written_as_json_dumps_does(value: Any) -> None:
    expected = json.dumps({"a": as_json(value)}, ensure_ascii=False, separators=(",", ":"))
    assert _core.document_json(*document({("a",): value})).decode() == expected


@settings(max_examples=1_000)
@given(doubles)
@example(0.0)
@example(-0.0)
@example(5e-324)
@example(1e-4)
@example(9.999999999999999e-5)
@example(999999999999999.0)
@example(1e15)
@example(1e16)
@example(0.1 + 0.2)
@example(1.7976931348623157e308)
def test_doubles_are_written_as_repr_does(number: float) -> None:
    assert _core.document_json(*document({("a",): number})) == b'{"a":%s}' % repr(number).encode()
    assert _core.document_json(*document({("a",): [number]})) == b'{"a":[%s]}' % repr(number).encode()


@given(integers)
def test_integers_are_written_in_full(number: int) -> None:
    assert _core.document_json(*document({("a",): number, ("b",): [number]})) == b'{"a":%d,"b":[%d]}' % (
        number,
        number,
    )


def test_powers_of_ten_and_their_neighbours() -> None:
    for number in (sign * 10**digits + off for digits in range(19) for off in (-1, 0, 1) for sign in (-1, 1)):
        assert _core.document_json(*document({("a",): number})) == b'{"a":%d}' % number


@given(texts, st.integers(0, 40))
def test_texts_are_escaped_wherever_they_stand(text: str, length: int) -> None:
    """Keys, short strings, strings and strings in arrays; the character falls on every place of a word."""
    padded = "x" * length + text
    stored = document({(padded, "b"): padded, ("c",): [padded], ("d",): {padded: padded}})
    assert json.loads(_core.document_json(*stored)) == {
        padded: {"b": padded},
        "c": [padded],
        "d": {padded: padded},
    }
    assert agree(stored)


def test_each_character_below_128_at_each_place_of_a_word() -> None:
    for code in range(128):
        for length in range(1, 34):
            texts_ = ["y" * at + chr(code) + "y" * (length - at - 1) for at in {0, length // 2, length - 1}]
            stored = document({("a",): texts_, **{(str(at),): text for at, text in enumerate(texts_)}})
            assert _core.document_json(*stored) == plain.document_json(*stored)


def test_long_strings_are_written_in_pieces() -> None:
    long = '"\n\xe9 plain text' * 2_000
    stored = document(
        {("a",): long, ("b",): [long, long.encode()], ("c",): {long: long}, (long[:1_000],): b"\0" * 9_999}
    )
    assert agree(stored)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, b"null"),
        ({("a",): 1}, b'{"a":1}'),
        ({("b",): None, ("a",): True, ("",): False}, b'{"":false,"a":true,"b":null}'),
        ({("a", "c"): "x", ("a", "b"): 1.0, ("ab",): -5}, b'{"a":{"b":1.0,"c":"x"},"ab":-5}'),
        ({("a",): {"z": 1, "b": [], "c": {}}}, b'{"a":{"z":1,"b":[],"c":{}}}'),
        (
            {("a",): b"", ("b",): b"1", ("c",): b"12", ("d",): b"123"},
            b'{"a":"","b":"MQ==","c":"MTI=","d":"MTIz"}',
        ),
        ({("\x00", "\x01"): "\x00\x01"}, b'{"\\u0000":{"\\u0001":"\\u0000\\u0001"}}'),
    ],
)
def test_examples(twin: Write, fields: dict[tuple[str, ...], Any], text: bytes) -> None:
    assert written(twin, document(fields)) == text


def marker(*keys: str) -> Cell:
    return Cell(encode_path(keys), CellType.MAP, STAMP, b"")


def test_a_marker_shows_an_empty_map_unless_it_has_children(twin: Write) -> None:
    child = Cell(encode_path(("a", "b")), CellType.REGISTER, STAMP, encode_value(1))
    for cells, text in (
        ([marker()], b"{}"),
        ([marker(), marker("a")], b'{"a":{}}'),
        ([marker("a"), child], b'{"a":{"b":1}}'),
        ([marker("a"), marker("a", "b"), marker("a", "c", "d")], b'{"a":{"b":{},"c":{"d":{}}}}'),
    ):
        assert written(twin, store(cells)) == text


def test_counters_are_summed(twin: Write) -> None:
    big = tuple(Total(Stamp(1, actor, ORIGINS[0]), 2**63 - 1) for actor in ACTORS)
    parts = tuple(
        Total(Stamp(1, actor, ORIGINS[0]), part) for actor, part in zip(ACTORS, (1e16, 1, -1e16), strict=True)
    )
    endless = tuple(Total(Stamp(1, actor, ORIGINS[0]), 1e308) for actor in ACTORS)
    for begin, totals, text in (
        (5, (), b'{"a":5}'),
        (-0.0, (), b'{"a":-0.0}'),
        (0, big, b'{"a":2.7670116110564327e+19}'),
        (-(2**63), big[:1], b'{"a":-1}'),
        (-(2**63), big, b'{"a":1.8446744073709552e+19}'),
        (0, parts, b'{"a":0.0}'),
        (0, endless, b'{"a":1.7976931348623157e+308}'),
    ):
        cell = Cell(encode_path(("a",)), CellType.COUNTER, STAMP, encode_value(begin), True, totals)
        assert written(twin, store([cell])) == text


@given(st.lists(integers | st.sampled_from([2**63 - 1, 2**11 + 3]), min_size=1, max_size=9))
@example([2**63 - 1, 2**63 - 1, 2**11 + 3])
@example([2**63 - 1, 2**63 - 1, 2**11 + 2])
@example([-(2**63), -(2**63), -(2**11) - 1])
def test_integers_are_summed_exactly_and_rounded_once(amounts: list[int]) -> None:
    stamps = [Stamp(1, actor, origin) for actor in ACTORS for origin in ORIGINS]
    totals = tuple(Total(stamp, amount) for stamp, amount in zip(stamps, amounts, strict=False))
    cell = Cell(encode_path(("a",)), CellType.COUNTER, STAMP, encode_value(0), explicit=False, totals=totals)
    expected = sum(amounts)
    shown = expected if -(2**63) <= expected < 2**63 else float(expected)
    assert written(_core.document_json, store([cell])) == b'{"a":%s}' % repr(shown).encode()


def test_instances_of_a_counter_are_chosen_and_summed(twin: Write) -> None:
    """Start and totals of the highest explicit instance, and the totals of all implicit ones."""

    def instance(timestamp: int, begin: int, *amounts: int, explicit: bool) -> Cell:
        totals = tuple(
            Total(Stamp(timestamp, actor, ORIGINS[0]), amount) for actor, amount in zip(ACTORS, amounts, strict=False)
        )
        stamp = Stamp(timestamp, ACTORS[0], ORIGINS[0])
        return Cell(encode_path(("a",)), CellType.COUNTER, stamp, encode_value(begin), explicit, totals)

    lower, higher = instance(2, 1_000, 100, explicit=True), instance(3, 2_000, 10, 20, explicit=True)
    implicit, latest = instance(1, 0, 1, 2, 4, explicit=False), instance(4, 0, 8, explicit=False)
    assert written(twin, store([lower, higher])) == b'{"a":2030}'
    assert written(twin, store([lower, implicit])) == b'{"a":1107}'
    assert written(twin, store([latest, implicit])) == b'{"a":15}'
    assert written(twin, store([implicit, lower, higher, latest])) == b'{"a":2045}'


def register(stamp: Stamp, value: Any, *keys: str) -> Cell:
    return Cell(encode_path(keys or ("a",)), CellType.REGISTER, stamp, encode_value(value))


def test_the_greatest_timestamp_actor_and_origin_is_shown(twin: Write) -> None:
    """In this order, whatever numbers the replicas have: `store` numbers them the other way round."""
    stamps = [Stamp(at, actor, origin) for at in (1, 2) for actor in ACTORS for origin in ORIGINS]
    for at in range(1, len(stamps)):
        siblings = [register(stamp, number) for number, stamp in enumerate(stamps[: at + 1])]
        assert written(twin, store(siblings)) == b'{"a":%d}' % at
        assert written(twin, store(siblings[-2:])) == b'{"a":%d}' % at


def test_of_equal_stamps_the_counter_is_shown_then_the_map(twin: Write) -> None:
    counter = Cell(encode_path(("a",)), CellType.COUNTER, STAMP, encode_value(3), explicit=True)
    below = register(STAMP, 2, "a", "b")
    assert written(twin, store([register(STAMP, 1), below, counter])) == b'{"a":3}'
    assert written(twin, store([register(STAMP, 1), below])) == b'{"a":{"b":2}}'
    assert written(twin, store([register(STAMP, 1), marker("a")])) == b'{"a":{}}'
    assert written(twin, store([register(STAMP, 1), counter])) == b'{"a":3}'
    assert written(twin, store([marker("a")._replace(stamp=NEWER), counter])) == b'{"a":{}}'
    later = Total(Stamp(3, ACTORS[0], ORIGINS[0]), 4)
    newer = register(NEWER, 2)
    assert written(twin, store([newer, counter])) == b'{"a":2}'
    assert written(twin, store([newer, counter._replace(totals=(later,))])) == b'{"a":7}'


def test_names_that_are_taken_back_take_their_shapes_along(twin: Write) -> None:
    """A number that is given to another path shows the other path."""
    names, replicas = Names([b"a\x00"], 100), Replicas([STAMP.replica])
    for key in ("b", "c"):
        cell = Cell(encode_path((key,)), CellType.REGISTER, STAMP, encode_value(1))
        data = pack_document([cell], names, replicas)
        assert written(twin, Stored(data, names, replicas)) == b'{"%s":1}' % key.encode()
        names.truncate(1)


def test_shapes_differ_by_the_types_at_equal_paths() -> None:
    names, replicas = Names([], 9), Replicas([STAMP.replica])
    counter = Cell(encode_path(("a",)), CellType.COUNTER, STAMP, encode_value(2), explicit=True)
    cells = (register(STAMP, 1), marker("a"), counter, counter._replace(explicit=False))
    stored = [Stored(pack_document([cell], names, replicas), names, replicas) for cell in cells]
    for _ in range(4):
        assert [_core.document_json(*one) for one in stored] == [b'{"a":1}', b'{"a":{}}', b'{"a":2}', b'{"a":0}']


def test_shapes_come_and_go() -> None:
    """More shapes than are remembered, each often enough to be remembered."""
    names, replicas = Names([], 4_096), Replicas([STAMP.replica])
    cells = [Cell(encode_path((str(at), "x")), CellType.REGISTER, STAMP, encode_value(at)) for at in range(40)]
    stored = [
        (pack_document(cells[first:last], names, replicas), names, replicas)
        for last in range(41)
        for first in range(last)
    ]
    expected = [plain.document_json(*one) for one in stored]
    for _ in range(4):
        assert [_core.document_json(*one) for one in stored for _ in range(2)] == [
            one for one in expected for _ in range(2)
        ]


def test_a_shape_too_large_to_be_remembered() -> None:
    keys = [f"{at:08}" for at in range(SHAPE_BYTES_MAX // 16)]
    assert agree(document({(key,): at for at, key in enumerate(keys)}))
    assert agree(document({("x" * 2_000, key * 10): 1 for key in keys[:40]}))


def test_deep_values_and_paths() -> None:
    value: Any = []
    for _ in range(DEPTH_MAX):
        value = [value]
    keys = tuple("k" * DEPTH_MAX)
    assert agree(document({("a",): value, keys: 1}))


def raw(*rows: tuple[int, bytes], code: int = 1) -> Stored:
    """A document of rows as they are given: (kind, payload) each at a path of its own."""
    names = Names([encode_path((str(at),)) for at in range(len(rows))], 100)
    entries = [Entry(at, code, 1, 0, kind, payload) for at, (kind, payload) in enumerate(rows)]
    return Stored(pack_entries(entries, []), names, Replicas([STAMP.replica]))


@pytest.mark.parametrize(
    ("packed", "value"),
    [
        (b"\xcc\xff", 255),
        (b"\xcd\x00\x01", 1),
        (b"\xce\xff\xff\xff\xff", 2**32 - 1),
        (b"\xcf" + b"\x7f" + b"\xff" * 7, 2**63 - 1),
        (b"\xd0\x80", -128),
        (b"\xd1\xff\xff", -1),
        (b"\xd2\x80\x00\x00\x00", -(2**31)),
        (b"\xd3\x80" + bytes(7), -(2**63)),
        (b"\xca" + struct.pack(">f", 0.5), 0.5),
        (b"\xd9\x01x", "x"),
        (b"\xda\x00\x01x", "x"),
        (b"\xdb\x00\x00\x00\x01x", "x"),
        (b"\xc4\x01x", "eA=="),
        (b"\xc5\x00\x01x", "eA=="),
        (b"\xc6\x00\x00\x00\x01x", "eA=="),
        (b"\xdc\x00\x01\x01", [1]),
        (b"\xdd\x00\x00\x00\x01\x01", [1]),
        (b"\xde\x00\x01\xa1x\x01", {"x": 1}),
        (b"\xdf\x00\x00\x00\x01\xa1x\x01", {"x": 1}),
    ],
)
def test_every_form_of_msgpack_is_read(twin: Write, packed: bytes, value: Any) -> None:
    assert json.loads(twin(*raw((OBJECT, b"\x81\xa1k" + packed)))) == {"0": {"k": value}}


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x91",
        b"\x92\x01",
        b"\x81\x01\x01",
        b"\x81\xa1",
        b"\xa5four",
        b"\xc1",
        b"\xd4\x01x",
        b"\xcf" + b"\xff" * 8,
        b"\xdd\xff\xff\xff\xff\x01",
        b"\x91" * (DEPTH_MAX + 2) + b"\x01",
        b"\x91" * 100_000,
    ],
)
def test_damaged_values_are_refused(packed: bytes) -> None:
    for _ in range(3):
        with pytest.raises(Corrupted):
            _core.document_json(*raw((OBJECT, packed)))


@given(documents, st.data())
def test_damaged_documents_are_refused_or_written(stored: Stored, data: st.DataObject) -> None:
    """Altered or cut document bytes give a typed error or another document, never a crash."""
    if not stored.data:
        return
    altered = bytearray(stored.data)
    for _ in range(data.draw(st.integers(1, 3))):
        altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(altered), bytes(altered[: data.draw(st.integers(1, len(altered)))])):
        for _ in range(3):
            try:
                _core.document_json(damaged, stored.paths, stored.replicas)
            except Corrupted:
                break


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x02" + bytes(11), "its bytes are of format 2"),
        (b"\x01\x00\x00", "cut short"),
        (b"\x01\x03" + bytes(10), "cut short"),
    ],
)
def test_what_is_no_document_is_refused_with_the_same_words(twin: Write, data: bytes, reason: str) -> None:
    with pytest.raises(Corrupted, match=reason):
        twin(data, Names([], 1), Replicas())


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_double_that_is_not_finite_is_refused(twin: Write, number: float) -> None:
    for row in ((DOUBLE, struct.pack("<d", number)), (OBJECT, msgpack.packb({"a": number}))):
        with pytest.raises(Corrupted, match="a double is not finite"):
            twin(*raw(row))


def test_a_planted_bug_is_found() -> None:
    """An emitter that forgets one escape is found by the comparison."""

    @settings(max_examples=200, phases=[Phase.generate])
    @given(documents)
    def careless_writer_agrees(stored: Stored) -> None:
        assert _core.document_json(*stored).replace(b'\\"', b'"') == plain.document_json(*stored)

    with pytest.raises(AssertionError):
        careless_writer_agrees()
