"""Altered snapshots: what is taken has one spelling and holds nothing that no store holds; the rest is refused.

Bodies are altered before they are deflated, so that the alterations reach the columns. Whatever is taken must pass a
check that was written apart from the decoder and encode to the very same body; whatever is not taken must be refused
as `MalformedMessage`. A decoder in which one check was left out is caught by the same run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.crdt.path import decode_path, encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import check_value, decode_value, encode_value
from crdtstore.crdt.vector import Reached
from crdtstore.errors import MalformedMessage
from crdtstore.replication import snapshot
from crdtstore.replication.body import Reader
from crdtstore.replication.snapshot import (
    SnapshotDocument,
    SnapshotHead,
    decode_documents,
    decode_head,
    encode_documents,
    encode_head,
)
from tests.core.merging import ACTORS, ORIGINS
from tests.core.strategies import make_counter
from tests.replication.snapshots import deflated, inflated

FUZZED = 50_000
FUZZED_ON_DEMAND = 1_000_000
"""Altered bodies of each kind."""


def sample_documents() -> list[bytes]:
    """Bodies to alter: every code, values of every kind, several tables' rows."""
    stamps = [Stamp(at << 16, actor, origin) for at in (7, 8, 900) for actor in ACTORS[:2] for origin in ORIGINS[:2]]
    register = [
        Cell(encode_path((key,)), CellType.REGISTER, stamp, encode_value(value))
        for key, stamp, value in zip("abbc", stamps, [1, "text", {"k": [None, 2.5]}, b"raw"], strict=False)
    ]
    marker = Cell(encode_path(("m",)), CellType.MAP, stamps[5], b"")
    implicit = make_counter(encode_path(("n",)), stamps[0], None, (Total(stamps[0], 2), Total(stamps[9], -1)))
    explicit = make_counter(encode_path(("n",)), stamps[6], 10, (Total(stamps[11], 0.5),))
    block = [
        SnapshotDocument("cities", encode_id("basel"), (*register, marker)),
        SnapshotDocument("cities", encode_id(7), (implicit, explicit)),
        SnapshotDocument("a", encode_id({"k": True}), (marker,)),
    ]
    return [inflated(encode_documents(part)) for part in (block, block[:1], block[1:2], [])]


def sample_heads() -> list[bytes]:
    """The same for heads."""
    points = {origin: [Reached(at, at * 9, bytes([at]) * 16) for at in (1, 3)] for origin in ORIGINS}
    vector = {origin: own[-1] for origin, own in points.items()}
    authors = {
        ORIGINS[0]: {ORIGINS[1]: points[ORIGINS[1]][0], ORIGINS[2]: points[ORIGINS[2]][1]},
        ORIGINS[1]: {ORIGINS[0]: points[ORIGINS[0]][0]},
        ORIGINS[2]: {ORIGINS[0]: points[ORIGINS[0]][1], ORIGINS[1]: points[ORIGINS[1]][0]},
    }
    return [inflated(encode_head(head)) for head in (SnapshotHead(vector, authors), SnapshotHead({}, {}))]


def check_documents(taken: list[SnapshotDocument]) -> None:
    """What no document may hold raises; written apart from the decoder."""
    for document in taken:
        decode_id(document.id)
        for cell in document.cells:
            assert encode_path(decode_path(cell.path)) == cell.path
            if cell.type != CellType.MAP:
                check_value(decode_value(cell.value))
                assert encode_value(decode_value(cell.value)) == cell.value
            for total in cell.totals:
                assert type(total.amount) in {int, float}


def check_head(taken: SnapshotHead) -> None:
    """Nobody has seen more than the store, or itself."""
    assert taken.authors.keys() == taken.vector.keys()
    for origin, author in taken.authors.items():
        assert origin not in author
        assert all(reached <= taken.vector[other] for other, reached in author.items())


class Kind(NamedTuple):
    """Something that is encoded, what has to hold for it, and bodies of it."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    check: Callable[[Any], None]
    samples: Callable[[], list[bytes]]


KINDS = {
    "documents": Kind(decode_documents, encode_documents, check_documents, sample_documents),
    "heads": Kind(decode_head, encode_head, check_head, sample_heads),
}


def alter(content: bytes, choose: random.Random) -> bytes:
    """One to three changes: a byte, a bit, some more, some less, some of it elsewhere."""
    altered = bytearray(content)
    for _ in range(choose.randint(1, 3)):
        at = choose.randrange(len(altered) + 1)
        match choose.randrange(5):
            case 0 if at < len(altered):
                altered[at] = choose.choice((0, 1, 2, 3, 127, 128, 255, altered[at] + 1 & 255))
            case 1 if at < len(altered):
                altered[at] ^= 1 << choose.randrange(8)
            case 2:
                altered[at:at] = choose.randbytes(choose.randint(1, 4))
            case 3:
                del altered[at : at + choose.randint(1, 4)]
            case _:
                other = choose.randrange(len(altered) + 1)
                altered[at : at + 4] = altered[other : other + 4]
    return bytes(altered)


def faults(kind: Kind, count: int) -> Iterator[str]:
    """Altered bodies that are taken for something else, or that are refused in another way than they must be."""
    choose = random.Random(count)
    samples = kind.samples()
    for _ in range(count):
        content = alter(choose.choice(samples), choose)
        try:
            taken = kind.decode(deflated(content))
            kind.check(taken)
            if inflated(kind.encode(taken)) != content:
                yield f"{content.hex()} is taken for {taken}"
        except MalformedMessage:
            continue
        except Exception as error:  # noqa: BLE001  every other kind is the fault that is looked for
            yield f"{content.hex()} gives {error!r}"


@pytest.mark.parametrize("name", KINDS)
def test_an_altered_body_is_refused_or_is_another_one(name: str) -> None:
    assert list(faults(KINDS[name], FUZZED)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_many_altered_bodies(name: str) -> None:
    assert list(faults(KINDS[name], FUZZED_ON_DEMAND)) == []


def read_any_width(reader: Reader, count: int) -> tuple[int, ...]:
    """A column of whatever width."""
    width = 1 << (reader.take(1)[0] & 3)
    return tuple(int.from_bytes(block, "little") for block in reader.blocks(count, width))


MISSING_CHECKS: Mapping[tuple[str, str], tuple[Any, str, Any]] = {
    ("documents", "order"): (snapshot, "ascending", lambda rows: rows),
    ("documents", "use of tables"): (snapshot, "all_used", lambda numbers, _: numbers),
    ("documents", "width"): (Reader, "column", read_any_width),
    ("documents", "path"): (snapshot, "check_path", lambda path: path),
    ("documents", "id"): (snapshot, "check_id", lambda id_: id_),
    ("documents", "value"): (snapshot, "check_value", lambda value: value),
    ("documents", "number"): (snapshot, "check_number", lambda value: value),
    ("heads", "order"): (snapshot, "ascending", lambda rows: rows),
    ("heads", "width"): (Reader, "column", read_any_width),
}


@pytest.mark.parametrize(("name", "check"), MISSING_CHECKS)
def test_the_fuzzing_finds_a_check_that_is_missing(name: str, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MISSING_CHECKS[name, check])
    assert next(faults(KINDS[name], FUZZED), None) is not None


@pytest.mark.parametrize("name", KINDS)
def test_bytes_that_are_no_body_are_refused(name: str) -> None:
    decode, choose = KINDS[name].decode, random.Random(1)
    good = [deflated(content) for content in KINDS[name].samples()]
    for data in good:
        decode(data)
    bad = [b"", b"\1", b"\2" + good[0][1:], *(data[:-1] for data in good), *(data + b"\0" for data in good)]
    bad += [choose.randbytes(choose.randrange(40)) for _ in range(2_000)]
    for data in bad:
        with pytest.raises(MalformedMessage):
            decode(data)
