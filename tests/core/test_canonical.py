"""The compiled judgement of document bytes is the plain one's: what packing their cells gives, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import document_bytes
from crdtstore.crdt.names import Names, Replicas
from crdtstore.errors import Corrupted
from tests.core.strategies import Stored, document, packed, played

SMALL = document({("a",): "a text that stands in the heap", ("b",): 2, ("c",): ["x", {"y": None}]})


def judged(core: object, stored: Stored) -> bool | None:
    """Whether bytes are canonical; None for those that cannot be read."""
    assert core is document_bytes or core is _core
    known = list(stored.paths.texts)
    try:
        found = core.is_canonical(*stored)
    except Corrupted:
        return None
    assert stored.paths.texts == known, "the dictionary stays as it is"
    return found


@given(played() | packed())
def test_what_is_packed_is_canonical(stored: Stored) -> None:
    assert judged(_core, stored) is judged(document_bytes, stored) is True


@settings(max_examples=400)
@given(
    stored=played() | packed(), changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=3)
)
def test_of_altered_bytes_both_say_the_same(stored: Stored, changes: list[tuple[int, int]]) -> None:
    data = bytearray(stored.data)
    for at, byte in changes if data else ():
        data[at % len(data)] = byte
    altered = stored._replace(data=bytes(data))
    assert judged(_core, altered) is judged(document_bytes, altered)


def test_of_every_byte_altered_both_say_the_same() -> None:
    """Every value of every byte of a small document; most of them are found to be wrong, by either."""
    wrong = 0
    for at in range(len(SMALL.data)):
        for byte in range(256):
            data = SMALL.data[:at] + bytes([byte]) + SMALL.data[at + 1 :]
            altered = SMALL._replace(data=data)
            said = judged(_core, altered)
            assert said is judged(document_bytes, altered), (at, byte)
            wrong += said is not True
    assert wrong > 128 * len(SMALL.data) // 2


@pytest.mark.parametrize("core", [document_bytes, _core], ids=["plain", "compiled"])
def test_of_no_document_there_is_nothing_wrong(core: object) -> None:
    assert judged(core, Stored(b"", Names([], 1), Replicas())) is True


@given(st.binary(max_size=60))
@example(SMALL.data + b"\0")
def test_of_any_bytes_both_say_the_same(data: bytes) -> None:
    stored = SMALL._replace(data=data)
    assert judged(_core, stored) is judged(document_bytes, stored)
