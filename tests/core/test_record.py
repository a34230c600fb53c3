"""Records have one spelling; the compiled check accepts exactly what the plain one does."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import record
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.operation import Write
from crdtstore.crdt.record import Record, decode_record, encode_operations, encode_record
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.vector import Reached
from crdtstore.errors import MalformedRecord
from tests.core.merging import ACTORS, ORIGINS, Step, make_operations, steps

whole = st.integers(-(2**63), 2**63 - 1)
composites = st.dictionaries(st.text(max_size=3), whole | st.text(max_size=3), max_size=2)
ids: st.SearchStrategy[Any] = st.one_of(
    whole, st.text(min_size=1, max_size=8), st.booleans(), st.floats(-1e300, 1e300), composites
)
reached = st.builds(Reached, st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A record as a store would write it."""
    instances = [(b"c\x00", Stamp(5, ACTORS[0], ORIGINS[0])), (b"c\x00", Stamp(6, ACTORS[0], ORIGINS[0]))]
    changes: dict[tuple[str, bytes], bytes] = {}
    for step in draw(st.lists(steps, min_size=1, max_size=3)):
        operations = make_operations(step, instances)
        name = draw(st.sampled_from(["a", "b", "cities"])), encode_id(draw(ids))
        changes[name] = encode_operations(operations)
    observed = draw(st.dictionaries(st.sampled_from(ORIGINS[1:]), reached, max_size=2))
    stamp = Stamp(draw(st.integers(0, 2**64 - 1)), ACTORS[1], ORIGINS[0])
    rows = [(*name, operations) for name, operations in changes.items()]
    return encode_record(stamp, draw(st.integers(1, 2**64 - 1)), observed, rows)


def encode_again(decoded: Record) -> bytes:
    """A decoded record, encoded."""
    changes = [(change.collection, change.id, encode_operations(change.operations)) for change in decoded.changes]
    return encode_record(decoded.stamp, decoded.position, decoded.observed, changes)


@given(records())
def test_round_trip(data: bytes) -> None:
    """What is decoded encodes to the same bytes, and both heads agree."""
    decoded = decode_record(data)
    assert encode_again(decoded) == data
    assert _core.read_head(data) == decoded[:5]


@given(records(), st.data())
def test_twins_refuse_the_same(data: bytes, draw: st.DataObject) -> None:
    """Altered bytes: the compiled check and the plain one agree on every one, and name the same head."""
    altered = bytearray(data)
    at = draw.draw(st.integers(0, len(altered) - 1))
    kind = draw.draw(st.sampled_from(["flip", "insert", "delete", "cut"]))
    if kind == "flip":
        altered[at] ^= draw.draw(st.integers(1, 255))
    elif kind == "insert":
        altered[at:at] = draw.draw(st.binary(min_size=1, max_size=3))
    elif kind == "delete":
        del altered[at]
    else:
        del altered[at:]
    assert outcome(_core.read_head, bytes(altered)) == outcome(record.read_head, bytes(altered))


def outcome(read_head: Any, data: bytes) -> Any:
    """A head, or that it was refused."""
    try:
        return tuple(read_head(data))
    except MalformedRecord:
        return "refused"


def test_the_comparison_finds_a_planted_bug() -> None:
    """A check that lets a second spelling pass is found out by the same comparison."""
    data = bytearray(encode_record(Stamp(5, ACTORS[0], ORIGINS[0]), 1, {}, [("a", encode_id(1), one_write())]))
    at = data.index(ORIGINS[0]) + 16
    data[at : at + 1] = b"\xcc\x01"  # the position 1, in two bytes

    def lenient(encoded: bytes) -> Any:
        return tuple(msgpack.unpackb(encoded)[1:5])

    assert outcome(lenient, bytes(data)) != outcome(record.read_head, bytes(data))
    assert outcome(_core.read_head, bytes(data)) == "refused"


def one_write() -> bytes:
    """The operations of a small change."""
    return encode_operations([Write(b"x\x00", b"\x01")])


@pytest.mark.parametrize(
    "change",
    [
        ("", encode_id(1), one_write()),
        ("a" * 300, encode_id(1), one_write()),
        ("a", b"", one_write()),
        ("a", b"\x20", one_write()),
        ("a", encode_id(1), b"\x90"),
        ("a", encode_id(1), encode_operations([Write(b"x", b"\x01")])),
        ("a", encode_id(1), encode_operations([Write(b"x\x00", b"\x01")] * 2)),
        ("a", encode_id(1), encode_operations([Write(b"x\x00", b"\xcc\x01")])),
        ("a", encode_id(1), encode_operations([Write(b"x\x00", b"\xcb\x7f\xf8" + bytes(6))])),
        ("a", encode_id(1), encode_operations([Write(b"x\x00", b"\xa1\xff")])),
        ("a", encode_id(1), encode_operations([Write(b"x\x00", b"\x82\xa1k\x01\xa1k\x01")])),
    ],
)
def test_refused_changes(change: tuple[str, bytes, bytes]) -> None:
    """What no store writes is refused by both."""
    data = encode_record(Stamp(5, ACTORS[0], ORIGINS[0]), 1, {}, [change])
    for read_head in (_core.read_head, record.read_head):
        with pytest.raises(MalformedRecord):
            read_head(data)


def test_step_is_used() -> None:
    """The generator makes increments of the given instances."""
    step = Step(0, 0, 1, (0, 0, 0), (("increment", 0, 2),))
    assert make_operations(step, [(b"c\x00", Stamp(5, ACTORS[0], ORIGINS[0]))])[0].delta == 2  # type: ignore[union-attr]
