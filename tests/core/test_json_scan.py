"""The strict JSON scanner: both sides refuse the same texts, at the same byte, for the same reason.

Rules: the two sides are compared on texts that are nearly right; whether a text is right at all is asked of
the oracle in `json_texts.py`. The comparison itself is held to finding planted mistakes.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import json_scan as plain
from crdtstore.errors import LimitExceeded, MalformedJson
from crdtstore.limits import INT_MAX, INT_MIN, JSON_BYTES_MAX, JSON_PLACE_CHARACTERS_MAX
from tests.core.json_texts import DEPTH, SPOILED, TEXTS, Scan, accepts, refusal, spoil_text

SIDES: dict[str, Scan] = {"plain": plain.scan_json, "compiled": _core.scan_json}
LEAST_OVERFLOW = 2**1024 - 2**970  # half-way between the greatest double and 2^1024


@pytest.fixture(params=SIDES, scope="module")
def twin(request: pytest.FixtureRequest) -> Scan:
    return SIDES[request.param]


# --- laws ---


@settings(max_examples=1_000)
@given(text=SPOILED)
@example(text=b'[{"a":[[0,]]}]')
@example(text=b"[[[[[0]]]]]")
def test_both_sides_say_the_same(text: bytes) -> None:
    assert refusal(plain.scan_json, text) == refusal(_core.scan_json, text)


@settings(max_examples=300)
@given(text=SPOILED)
def test_what_passes_is_what_the_oracle_accepts(twin: Scan, text: bytes) -> None:
    assert (refusal(twin, text) is None) == accepts(text)


@settings(max_examples=30)
@given(text=TEXTS)
def test_a_text_that_stops_too_early_is_refused_at_its_end(twin: Scan, text: bytes) -> None:
    text = b"[" + text + b"]"
    if refusal(twin, text) is None:
        for end in range(1, len(text)):
            refused = refusal(twin, text[:end])
            assert refused is not None
            assert (refused.reason, refused.byte) == ("unexpected end", end)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INT_MIN, INT_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates (category Cs) are no text.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=30)
    ),
    max_leaves=20,
)


@given(
    value=VALUES,
    style=st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.none() | st.just(1)}),
)
def test_every_value_of_the_model_passes(twin: Scan, value: object, style: dict[str, Any]) -> None:
    twin(json.dumps(value, **style).encode(), 100)


@given(text=TEXTS, before=st.binary(max_size=12), after=st.binary(max_size=12))
def test_nothing_around_the_buffer_is_read(twin: Scan, text: bytes, before: bytes, after: bytes) -> None:
    window = memoryview(before + text + after)[len(before) : len(before) + len(text)]
    assert refusal(twin, window) == refusal(twin, text)


# --- the harness finds planted mistakes ---


def lets_pass(reason: str) -> Scan:
    """Plant a scanner that overlooks one kind of flaw."""

    def scan(text: bytes, depth_max: int) -> None:
        refused = refusal(plain.scan_json, text, depth_max)
        if refused is not None and refused.reason != reason:
            plain.scan_json(text, depth_max)

    return scan


def one_byte_late(text: bytes, depth_max: int) -> None:
    """Plant a scanner that names the next byte."""
    try:
        plain.scan_json(text, depth_max)
    except MalformedJson as error:
        error.data["byte"] += 1
        raise


PLANTED: dict[str, Scan] = {
    **{reason: lets_pass(reason) for reason in plain.FLAWS},
    "one byte late": one_byte_late,
    "one level too many": lambda text, depth_max: plain.scan_json(text, depth_max + 1),
    "CESU-8": lambda text, depth_max: plain.scan_json(text.replace(b"\xed\xa0\x80", b"?"), depth_max),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(mistake: str) -> None:
    planted = PLANTED[mistake]
    assert any(refusal(planted, text) != refusal(_core.scan_json, text) for text in map(spoil_text, range(20_000)))


# --- examples ---

REFUSED: list[tuple[bytes, str, int, str]] = [
    (b"", "empty body", 0, "$"),
    (b" \n", "empty body", 2, "$"),
    (b"\xef\xbb\xbf{}", "byte order mark", 0, "$"),
    ("{}".encode("utf-16"), "UTF-16 or UTF-32", 0, "$"),
    ("{}".encode("utf-16-le"), "UTF-16 or UTF-32", 0, "$"),
    ("{}".encode("utf-16-be"), "UTF-16 or UTF-32", 0, "$"),
    ("{}".encode("utf-32"), "UTF-16 or UTF-32", 0, "$"),
    (b'{"x":"\xff"}', "invalid UTF-8", 6, "$.x"),
    (b'{"x":"\xc0\x80"}', "invalid UTF-8", 6, "$.x"),
    (b'{"x":"ab\xed\xa0\x80"}', "invalid UTF-8", 8, "$.x"),
    (b'{"x":"\xf4\x90\x80\x80"}', "invalid UTF-8", 6, "$.x"),
    (b'{"x":"\xe2\x82"}', "invalid UTF-8", 6, "$.x"),
    (b'["a\nb"]', "control character", 3, "$[0]"),
    (b'["abcdefgh\x00"]', "control character", 10, "$[0]"),
    (rb'["ab\x"]', "bad escape", 4, "$[0]"),
    (rb'["\u12g4"]', "bad escape", 2, "$[0]"),
    (rb'["\u12"]', "bad escape", 2, "$[0]"),
    (rb'{"\udc00":1}', "lone surrogate", 2, "$"),
    (rb'["\ud800"]', "lone surrogate", 2, "$[0]"),
    (rb'["\ud800\ud800"]', "lone surrogate", 2, "$[0]"),
    (rb'["\ud800\u0041"]', "lone surrogate", 2, "$[0]"),
    (rb'["\ud83d\ude00\ude00"]', "lone surrogate", 14, "$[0]"),
    (b'{"x":NaN}', "not a number", 5, "$.x"),
    (b"[1,-Infinity]", "not a number", 3, "$[1]"),
    (b"[01]", "bad number", 1, "$[0]"),
    (b"[-]", "bad number", 1, "$[0]"),
    (b"[1.]", "bad number", 1, "$[0]"),
    (b"[+1]", "bad number", 1, "$[0]"),
    (b"[.5]", "bad number", 1, "$[0]"),
    (b"[1e+]", "bad number", 1, "$[0]"),
    (b"[1_000]", "bad number", 1, "$[0]"),
    (b"[0x10]", "bad number", 1, "$[0]"),
    (b"[9223372036854775808]", "integer out of range", 1, "$[0]"),
    (b"[-9223372036854775809]", "integer out of range", 1, "$[0]"),
    (b'{"commands":[{"value":{"x":1e400}}]}', "number out of range", 27, "$.commands[0].value.x"),
    (b'{"_id":"a","a":1,"\\u0061":2}', "duplicate key", 17, "$.a"),
    (b'{"commands":[],"commands":[{}]}', "duplicate key", 15, "$.commands"),
    (b'{"":1,"":2}', "duplicate key", 6, '$[""]'),
    (b"[[[[[]]]]]", "nesting too deep", 4, "$[0][0][0][0]"),
    (b"{} {}", "trailing data", 3, "$"),
    (b"{}\x00", "trailing data", 2, "$"),
    (b"1 2", "trailing data", 2, "$"),
    (b"[1,]", "trailing comma", 2, "$[0]"),
    (b'{"a":1 , }', "trailing comma", 7, "$.a"),
    (b"[1,//\n2]", "comment", 3, "$[1]"),
    (b"{}/**/", "comment", 2, "$"),
    (b'{"a"', "unexpected end", 4, "$.a"),
    (b'["\xe2\x82', "unexpected end", 4, "$[0]"),
    (b"[n", "unexpected end", 2, "$[0]"),
    (b"-", "unexpected end", 1, "$"),
    (b"[undefined]", "unknown word", 1, "$[0]"),
    (b"[truefalse]", "unknown word", 1, "$[0]"),
    (b"[,]", "expected a value", 1, "$[0]"),
    (b"[}", "expected a value", 1, "$[0]"),
    (b"['a']", "expected a value", 1, "$[0]"),
    (b"\xa0[]", "expected a value", 0, "$"),
    (b'{"a":1,b:2}', "expected a key", 7, "$"),
    (b"{1:2}", "expected a key", 1, "$"),
    (b'{"a" 1}', "expected a colon", 5, "$.a"),
    (b"[1 2]", "expected a comma", 3, "$[0]"),
    (b'{"a":1}]', "trailing data", 7, "$"),
    (b'{"a":1]', "expected a comma", 6, "$.a"),
]


@pytest.mark.parametrize(("text", "reason", "byte", "path"), REFUSED)
def test_refused(twin: Scan, text: bytes, reason: str, byte: int, path: str) -> None:
    refused = refusal(twin, text)
    assert refused is not None
    assert (refused.reason, refused.byte, refused.path) == (reason, byte, path)
    assert not accepts(text)


def test_every_flaw_has_an_example() -> None:
    assert {reason for _, reason, _, _ in REFUSED} == set(plain.FLAWS)


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"0",
            b"-0",
            b" null\n",
            b'""',
            b"[]",
            b"{}",
            b"1.0",
            b"1e3",
            b"1E-400",
            b"-0.0",
            b"0e999999999999999999",
        ),
        *(b"9223372036854775807", b"-9223372036854775808", b"0.1000000000000000055511151231257827"),
        *(rb'"\u0000\uffff\ufdd0\ud83d\ude00"', '"\u202etxt\x7f"'.encode(), b'{"a\\u0000b":1,"a":2,"":3}'),
        *(
            b'{"__proto__":{"admin":true}}',
            b'[{"a":1},{"a":1}]',
            b'{"a":{"a":{"a":1}}}',
            b'{"a":"a","A":"a"}',
        ),
    ],
)
def test_passed(twin: Scan, text: bytes) -> None:
    assert refusal(twin, text) is None
    assert accepts(text)


def test_the_message_names_the_place(twin: Scan) -> None:
    refused = refusal(twin, '{\r\n"ä": [true,\n"Grüße" x]}'.encode())
    assert refused is not None
    assert (refused.line, refused.column, refused.byte) == (3, 9, 26)
    assert refused.message == (
        'The JSON text is refused at line 3, column 9 (byte 26, in $["\\u00e4"][1]): '
        "expected a comma; a comma or the closing bracket must follow an element."
    )


def test_the_message_names_the_depth(twin: Scan) -> None:
    refused = refusal(twin, b"[[[]]]", 2)
    assert refused is not None
    assert refused.message.endswith("at most 2 arrays and objects may be open at once.")


def test_a_place_is_cut_where_keys_are_long(twin: Scan) -> None:
    key = json.dumps("é\u202e" * 1_000)
    refused = refusal(twin, f'{{{key}:{{{key}:{{"a":x}}}}}}'.encode())
    assert refused is not None
    assert len(refused.path) == JSON_PLACE_CHARACTERS_MAX
    assert refused.path.startswith('$["\\u00e9\\u202e')
    assert refused.path.endswith("...")


# --- depth, width and length ---


@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth_max", [0, 1, 64])
def test_depth(twin: Scan, opened: bytes, depth_max: int) -> None:
    closed = {b"[": b"]", b'{"a":': b"}"}[opened]
    twin(opened * depth_max + b"0" + closed * depth_max, depth_max)
    refused = refusal(twin, opened * (depth_max + 1) + b"0" + closed * (depth_max + 1), depth_max)
    assert refused is not None
    assert (refused.reason, refused.byte) == ("nesting too deep", len(opened) * depth_max)


def test_an_abyss_is_refused_at_its_edge(twin: Scan) -> None:
    refused = refusal(twin, b"[" * 100_000 + b"]" * 100_000, 72)
    assert refused is not None
    assert (refused.reason, refused.byte) == ("nesting too deep", 72)
    twin(b"[" * 20_000 + b"]" * 20_000, 20_000)


@pytest.mark.parametrize(("side", "count"), [("plain", 5_000), ("compiled", 100_000)])
def test_many_keys(side: str, count: int) -> None:
    scan = SIDES[side]
    text = "{" + ",".join(f'"k{number}":[{{"k{number}":0}}]' for number in range(count)) + "}"
    scan(text.encode(), DEPTH)
    for number in (0, count // 2, count - 1):
        refused = refusal(scan, (text[:-1] + f',"\\u006b{number}":0}}').encode())
        assert refused is not None
        assert (refused.reason, refused.byte) == ("duplicate key", len(text))


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1_000])
def test_a_duplicate_is_found_among_any_number_of_keys(twin: Scan, count: int) -> None:
    keys = [f"{number:x}" for number in range(count)]
    before = '{"outer":{' + "".join(f'"{key}":{{"0":0}},' for key in keys)
    twin((before + '"z":0}}').encode(), DEPTH)
    for key in keys[:: max(1, count // 20)]:
        refused = refusal(twin, (before + f'"{key}":0}}}}').encode())
        assert refused is not None
        assert (refused.reason, refused.byte) == ("duplicate key", len(before))


def test_keys_that_differ_late(twin: Scan) -> None:
    keys = ["x" * 2_000 + f"{number}" + "y" * 50 for number in range(40)]
    text = json.dumps(dict.fromkeys(keys, 0))
    twin(text.encode(), DEPTH)
    assert refusal(twin, (text[:-1] + f',"{keys[3]}":0}}').encode()) is not None


def test_many_digits(twin: Scan) -> None:
    for digits in ("9" * 4_400, "-" + "9" * 1_000_000):
        refused = refusal(twin, digits.encode())
        assert refused is not None
        assert refused.reason == "integer out of range"
    twin(b"0." + b"9" * 1_000_000, DEPTH)
    twin(b"0." + b"0" * 1_000_000 + b"1e1000001", DEPTH)
    twin(b"1" + b"0" * 1_000_000 + b"e-1000000", DEPTH)


def test_a_text_beyond_32_bits_is_refused(twin: Scan, tmp_path: Path) -> None:
    # A file without contents, mapped: neither disk nor memory is taken.
    size = JSON_BYTES_MAX + 1
    path = tmp_path / "large.json"
    path.touch()
    os.truncate(path, size)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as space,
        pytest.raises(LimitExceeded) as caught,
    ):
        twin(space, DEPTH)
    assert caught.value.data == {"limit": "JSON_BYTES_MAX", "value": size, "maximum": JSON_BYTES_MAX}


# --- numbers, strings, buffers ---


@pytest.mark.parametrize("sign", ["", "-"])
def test_where_fractions_overflow(twin: Scan, sign: str) -> None:
    last, first = str(LEAST_OVERFLOW - 1), str(LEAST_OVERFLOW)
    for shift in (0, 1, 100, 308):
        point = len(first) - shift
        ending = f"e{shift}"
        assert refusal(twin, f"{sign}{last[:point]}.{last[point:]}0{ending}".encode()) is None
        assert refusal(twin, f"{sign}{first[:point]}.{first[point:]}0{ending}".encode()) is not None
    assert refusal(twin, f"{sign}0.000{first}E312".encode()) is not None
    assert refusal(twin, f"{sign}0.000{last}99999E+312".encode()) is None


@given(number=st.integers(-(10**26), 10**26), fraction=st.integers(0, 10**26), exponent=st.integers(270, 320))
def test_fractions_overflow_as_floats_do(twin: Scan, number: int, fraction: int, exponent: int) -> None:
    text = f"{number}.{fraction}e{exponent}"
    assert (refusal(twin, text.encode()) is not None) == (abs(float(text)) == float("inf"))


@given(number=st.integers(-(10**20), 10**20) | st.integers(INT_MAX - 9, INT_MAX + 9) | st.just(INT_MIN))
def test_integers_are_int64(twin: Scan, number: int) -> None:
    assert (refusal(twin, b"%d" % number) is None) == (INT_MIN <= number <= INT_MAX)


def first_invalid(data: bytes) -> int | None:
    """Ask Python where data stop being UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


SECOND_BYTES = bytes.fromhex("00 22 41 7f 80 8f 90 9f a0 bf c0 ff")


@pytest.mark.parametrize("tail", [b"", b"\x80", b"\x80\x80", b"\xbf\xbf"])
def test_utf8_is_pythons(twin: Scan, tail: bytes) -> None:
    for lead in range(0x80, 0x100):
        for second in SECOND_BYTES:
            inner = bytes([lead, second]) + tail
            refused = refusal(twin, b'"' + inner + b'"')
            start = first_invalid(inner)
            found = refused and (refused.reason, refused.byte)
            assert found == (None if start is None else ("invalid UTF-8", 1 + start))


@pytest.mark.parametrize(
    "unit", [0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF]
)
@pytest.mark.parametrize("low", [None, 0xDBFF, 0xDC00, 0xDFFF, 0xE000])
def test_escaped_keys_are_compared_as_text(twin: Scan, unit: int, low: int | None) -> None:
    escape = f"\\u{unit:04x}" + ("" if low is None else f"\\u{low:04X}")
    key = json.loads(f'"{escape}"')
    is_text = all(not 0xD800 <= ord(letter) <= 0xDFFF for letter in key)
    again = key if is_text and key >= " " else escape
    refused = refusal(twin, f'{{"{escape}":0,"{again}":1}}'.encode())
    assert refused is not None
    assert refused.reason == ("duplicate key" if is_text else "lone surrogate")


def test_escapes_of_one_letter(twin: Scan) -> None:
    for letter in range(256):
        refused = refusal(twin, b'"\\' + bytes([letter]) + b'0000"')
        assert (refused is None) == (letter in b'"\\/bfnrtu') or letter == ord('"')
    for letter, unit in zip(b'"\\/bfnrt', (0x22, 0x5C, 0x2F, 0x08, 0x0C, 0x0A, 0x0D, 0x09), strict=True):
        refused = refusal(twin, b'{"\\%c":0,"\\u%04x":0}' % (letter, unit))
        assert refused is not None
        assert refused.reason == "duplicate key"


def test_any_buffer_is_read(twin: Scan) -> None:
    for kind in (bytes, bytearray, memoryview):
        twin(kind(b'{"a":[1]}'), DEPTH)
        with pytest.raises(MalformedJson, match="empty body"):
            twin(kind(b""), DEPTH)
        with pytest.raises(MalformedJson, match="trailing comma"):
            twin(kind(b"[" + b"0," * 34_000 + b"]"), DEPTH)


@pytest.mark.parametrize("data", ["{}", None, 5])
def test_what_is_not_a_buffer_is_refused(twin: Scan, data: object) -> None:
    with pytest.raises(TypeError):
        twin(data, DEPTH)
