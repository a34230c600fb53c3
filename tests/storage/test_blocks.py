"""Blocks: what was written is read again, and whatever else arrives is refused, at whichever byte it differs."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import DamagedFile
from crdtstore.storage import blocks
from crdtstore.storage.blocks import END, BlockReader, block, write_blocks

MAGIC = b"CRDTTEST"
payloads = st.lists(st.binary(max_size=40), max_size=5)


class Dripping:
    """A source that gives a byte at a time, as a network may."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self.file.read(min(size, 1))


def written(given_: list[bytes]) -> bytes:
    return b"".join(write_blocks(MAGIC, given_))


def read(data: bytes) -> Iterator[bytes]:
    return BlockReader(io.BytesIO(data)).payloads(MAGIC)


@given(payloads)
def test_what_is_written_is_read(given_: list[bytes]) -> None:
    assert list(read(written(given_))) == given_
    assert list(BlockReader(Dripping(written(given_))).payloads(MAGIC)) == given_


@given(payloads, st.data())
def test_what_is_cut_is_refused_and_begins_as_it_did(given_: list[bytes], data: st.DataObject) -> None:
    whole = written(given_)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert refused(cut) == given_[: len(refused(cut))]


@given(payloads, st.data())
def test_what_is_altered_is_refused_and_begins_as_it_did(given_: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(written(given_))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    found = refused(bytes(whole))
    assert found == given_[: len(found)]


def refused(data: bytes) -> list[bytes]:
    """What was given before the stream was refused."""
    found: list[bytes] = []
    with pytest.raises(DamagedFile):
        found.extend(read(data))
    return found


def test_what_follows_the_end_is_refused() -> None:
    refused(written([b"a"]) + b"x")


def test_blocks_that_were_left_out_doubled_or_exchanged_are_refused() -> None:
    """Each block is right by itself: its number is in its checksum, and the end counts."""
    one, two = block(0, blocks.PAYLOAD, b"one"), block(1, blocks.PAYLOAD, b"two")
    end = written([b"one", b"two"])[len(MAGIC) + len(one) + len(two) :]
    assert list(read(MAGIC + one + two + end)) == [b"one", b"two"]
    for pieces in ([two, one, end], [one, end], [one, one, two, end], [end], [one, two]):
        refused(MAGIC + b"".join(pieces))
    refused(MAGIC + one + block(1, END, end[5:-4]))


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(DamagedFile, match="does not begin with 'CRDTTEST'"):
        list(read(b"CRDTELSE" + written([])[len(MAGIC) :]))


def test_a_length_is_not_believed() -> None:
    with pytest.raises(DamagedFile, match="no block"):
        list(read(MAGIC + b"\x01\xff\xff\xff\xff" + b"x" * 100))
