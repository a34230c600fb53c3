"""SipHash with 128 bits: the published vectors of 2-4, and that plain and compiled agree, also on 1-3."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import siphash as plain

Hash = Callable[..., bytes]
SIDES: dict[str, Hash] = {"plain": plain.siphash128, "compiled": _core.siphash128}
KEY = bytes(range(16))


@pytest.fixture(params=SIDES, scope="module")
def twin(request: pytest.FixtureRequest) -> Hash:
    return SIDES[request.param]


@pytest.mark.parametrize(
    ("length", "digest"),
    [
        (0, "a3817f04ba25a8e66df67214c7550293"),
        (1, "da87c1d86b99af44347659119b22fc45"),
        (7, "a1f1ebbed8dbc153c0b84aa61ff08239"),
        (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (9, "264499060ad9baabc47f8b02bb6d71ed"),
        (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
        (16, "6ee2a4ca67b054bbfd3315bf85230577"),
        (63, "5150d1772f50834a503e069a973fbd7c"),
    ],
)
def test_published_vectors(twin: Hash, length: int, digest: str) -> None:
    assert twin(KEY, bytes(range(length)), True).hex() == digest


def test_all_published_vectors(twin: Hash) -> None:
    # The digest is of the 64 published vectors in a row.
    vectors = b"".join(twin(KEY, bytes(range(length)), True) for length in range(64))
    assert blake2b(vectors, digest_size=16).hexdigest() == "4ed98a27ab08ec5196bf31a13f543031"


@given(key=st.binary(min_size=16, max_size=16), data=st.binary(max_size=300), start=st.integers(0, 9))
def test_both_sides_agree(key: bytes, data: bytes, start: int) -> None:
    part = memoryview(data)[start:]
    assert plain.siphash128(key, part) == _core.siphash128(key, part)


def test_lengths_beyond_a_byte_agree() -> None:
    data = bytes(range(256)) * 3
    for length in (255, 256, 257, 767, 768):
        assert plain.siphash128(KEY, data[:length]) == _core.siphash128(KEY, data[:length])


def test_too_few_rounds_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "ROUNDS", (1, 2))
    assert plain.siphash128(KEY, b"") != _core.siphash128(KEY, b"")


def test_buffers_are_read_as_bytes(twin: Hash) -> None:
    words = memoryview(b"12345678").cast("Q")
    assert twin(KEY, words) == twin(KEY, b"12345678") == twin(KEY, bytearray(b"12345678"))
    assert twin(KEY, memoryview(b"")) == twin(KEY, b"")


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_key_of_another_length_is_refused(twin: Hash, length: int) -> None:
    with pytest.raises(ValueError, match=f"A SipHash key has 16 bytes; this one has {length}"):
        twin(bytes(length), b"")


@pytest.mark.parametrize("data", ["text", 5, None])
def test_what_is_not_a_buffer_is_refused(twin: Hash, data: object) -> None:
    with pytest.raises(TypeError):
        twin(KEY, data)


@pytest.mark.parametrize("wide", [False, True])
@given(messages=st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_a_sum_of_hashes_is_their_sum(messages: list[bytes], *, wide: bool) -> None:
    hashes = [int.from_bytes(plain.siphash128(KEY, message), "little") for message in messages]
    assert int.from_bytes(_core.siphash128_sum_of(KEY, messages, wide), "little") == sum(hashes) % 2**128
