"""CRC-32C: the published values, how it carries on, and that plain, compiled and fallback agree."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import crc32c as plain

Checksum = Callable[..., int]
SIDES: dict[str, Checksum] = {
    "plain": plain.crc32c,
    "compiled": _core.crc32c,
    "portable": _core.crc32c_portable,
}


@pytest.fixture(params=SIDES, scope="module")
def twin(request: pytest.FixtureRequest) -> Checksum:
    return SIDES[request.param]


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),  # the check value of every catalogue
        (bytes(32), 0x8A9136AA),  # RFC 3720, appendix B.4, as are the next three
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_published_values(twin: Checksum, data: bytes, checksum: int) -> None:
    assert twin(data) == checksum


@given(first=st.binary(max_size=80), second=st.binary(max_size=80))
def test_a_checksum_carries_on(twin: Checksum, first: bytes, second: bytes) -> None:
    assert twin(second, twin(first)) == twin(first + second)


@given(data=st.binary(max_size=300), start=st.integers(0, 9), value=st.integers(0, 2**32 - 1))
def test_all_sides_agree(data: bytes, start: int, value: int) -> None:
    part = memoryview(data)[start:]
    assert len({side(part, value) for side in SIDES.values()}) == 1


def test_long_data_agrees() -> None:
    """Of every length up to some hundreds, and of those around what three thirds hold at most."""
    data = bytes(number * 197 % 251 for number in range(5_000))
    for size in (*range(400), *range(1_500, 1_600), 3_071, 3_072, 3_073, 5_000):
        assert _core.crc32c(data[:size], size) == _core.crc32c_portable(data[:size], size)


@given(data=st.binary(min_size=1, max_size=60), bit=st.integers(min_value=0))
def test_every_flipped_bit_shows(twin: Checksum, data: bytes, bit: int) -> None:
    damaged = bytearray(data)
    damaged[bit // 8 % len(data)] ^= 1 << bit % 8
    assert twin(damaged) != twin(data)


def test_a_wrong_polynomial_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "POLYNOMIAL", 0xEDB88320)
    monkeypatch.setattr(plain, "REMAINDERS", tuple(plain.remainder(byte) for byte in range(256)))
    assert plain.crc32c(b"123456789") != _core.crc32c(b"123456789")


def test_buffers_are_read_as_bytes(twin: Checksum) -> None:
    words = memoryview(b"12345678").cast("Q")
    assert twin(words) == twin(b"12345678") == twin(bytearray(b"12345678"))
    assert twin(memoryview(b"")) == 0


@pytest.mark.parametrize("value", [-1, 2**32])
def test_what_is_not_a_checksum_is_refused(twin: Checksum, value: int) -> None:
    with pytest.raises(OverflowError, match=f"A checksum is 32 bits, which {value} is not"):
        twin(b"", value)


@pytest.mark.parametrize("data", ["text", 5, None])
def test_what_is_not_a_buffer_is_refused(twin: Checksum, data: object) -> None:
    with pytest.raises(TypeError):
        twin(data)
