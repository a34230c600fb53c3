"""The hash chain: both sides against hashlib, around every boundary of a block."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import chain as plain

Digest = Callable[[bytes, bytes], bytes]
SIDES: dict[str, Digest] = {
    "plain": plain.chain_digest,
    "compiled": _core.chain_digest,
    "blake2b": _core.blake2b128,
}
BLOCK = 128


def expected(previous: bytes, record: bytes) -> bytes:
    """Hash the two parts with the oracle, one after the other."""
    state = blake2b(previous, digest_size=16)
    state.update(record)
    return state.digest()


def around_blocks() -> st.SearchStrategy[bytes]:
    """Bytes whose length is near a multiple of a block, or anything else that is short."""
    near = st.tuples(st.integers(0, 4), st.integers(-2, 2)).map(lambda pair: pair[0] * BLOCK + pair[1])
    return (near | st.integers(0, 300)).flatmap(
        lambda length: st.binary(min_size=max(length, 0), max_size=max(length, 0))
    )


@pytest.fixture(params=SIDES, scope="module")
def twin(request: pytest.FixtureRequest) -> Digest:
    return SIDES[request.param]


@given(previous=around_blocks(), record=around_blocks())
def test_both_sides_are_blake2b(twin: Digest, previous: bytes, record: bytes) -> None:
    assert twin(previous, record) == expected(previous, record)


def test_every_length_of_two_blocks(twin: Digest) -> None:
    data = bytes(byte * 7 % 256 for byte in range(3 * BLOCK))
    for length in range(len(data) + 1):
        for cut in {0, min(16, length), length // 2, length}:
            assert twin(data[:cut], data[cut:length]) == expected(data[:length], b"")


def test_a_long_record(twin: Digest) -> None:
    record = bytes(range(256)) * 1_000
    assert twin(bytes(16), record) == expected(bytes(16), record)


def test_a_chain_tells_histories_apart(twin: Digest) -> None:
    start = bytes(plain.CHAIN_DIGEST_BYTES)
    one = twin(twin(start, b"first"), b"second")
    other = twin(twin(start, b"second"), b"first")
    assert len(one) == plain.CHAIN_DIGEST_BYTES
    assert one != other


def test_a_record_of_its_own_is_caught() -> None:
    # Were the digest before left out, every history with the same last record would look the same.
    assert expected(bytes(16), b"record") != expected(b"", b"record")


@pytest.mark.parametrize("record", ["text", 5, None])
def test_what_is_not_bytes_is_refused(twin: Digest, record: bytes) -> None:
    with pytest.raises(TypeError):
        twin(bytes(16), record)
