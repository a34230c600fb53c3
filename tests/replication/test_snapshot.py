"""Snapshots on the wire: they come out as they went in, within their bounds, and each part is checked.

What becomes of bytes that were altered is `test_snapshot_fuzz`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.document import canonical_form
from crdtstore.crdt.document_bytes import pack_document, unpack_document
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.names import Replicas
from crdtstore.crdt.names import paths as new_paths
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import encode_value
from crdtstore.crdt.vector import Reached
from crdtstore.errors import LimitExceeded, MalformedMessage
from crdtstore.limits import (
    DOCUMENT_BYTES_MAX,
    ORIGINS_MAX,
    PATH_BYTES_MAX,
    PATHS_PER_COLLECTION_MAX,
    SNAPSHOT_BLOCK_BYTES_MAX,
    SNAPSHOT_ENTRIES_MAX,
)
from crdtstore.replication import body, snapshot
from crdtstore.replication.body import column, deflate, texts
from crdtstore.replication.snapshot import (
    SnapshotDocument,
    SnapshotHead,
    decode_documents,
    decode_head,
    encode_documents,
    encode_head,
)
from tests.core.merging import ACTORS, ORIGINS, tokens
from tests.core.strategies import Stored, make_counter, numbers, places, played, values
from tests.core.test_record import ids
from tests.replication.snapshots import deflated, inflated

U64_MAX = 2**64 - 1

# --- what is sent ---

timestamps = st.integers(0, 3) | st.integers(0, U64_MAX) | st.sampled_from([U64_MAX, 1_700_000_000_000 << 16])
stamps = st.builds(Stamp, timestamps, st.sampled_from(ACTORS), st.sampled_from(ORIGINS))
totals = st.lists(st.builds(Total, stamps, numbers), max_size=4, unique_by=lambda total: total.stamp.replica).map(
    lambda made: tuple(sorted(made))
)
cells = st.one_of(
    st.builds(lambda at, stamp, value: Cell(at, CellType.REGISTER, stamp, encode_value(value)), places, stamps, values),
    st.builds(lambda at, stamp: Cell(at, CellType.MAP, stamp, b""), places, stamps),
    st.builds(make_counter, places, stamps, st.none() | numbers, totals, initial=st.booleans()),
    st.builds(
        lambda at, stamp, token, initial: Cell(at, CellType.ATTACHMENT, stamp, encode_token(token), initial=initial),
        places,
        stamps,
        tokens,
        st.booleans(),
    ),
    st.builds(
        lambda at, stamp, value: Cell(at, CellType.REGISTER, stamp, encode_value(value), initial=True),
        places,
        stamps,
        values,
    ),
    st.builds(lambda at, stamp: Cell(at, CellType.MAP, stamp, b"", initial=True), places, stamps),
)
graves = stamps.map(lambda stamp: (Cell(b"", CellType.GRAVE, stamp, b""),))
documents = st.builds(
    SnapshotDocument,
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6),
    ids.map(encode_id),
    st.lists(cells, min_size=1, max_size=8, unique_by=lambda cell: cell[:3]).map(tuple) | graves,
)
blocks = st.lists(documents, max_size=5, unique_by=lambda document: document[:2])


@st.composite
def heads(draw: st.DrawFn) -> SnapshotHead:
    """A store that knows some origins, each of whose authors has seen less of the others."""
    known: dict[bytes, list[Reached]] = {}
    for origin in draw(st.lists(st.binary(min_size=16, max_size=16), max_size=4, unique=True)):
        positions = draw(st.sets(st.integers(1, U64_MAX) | st.integers(1, 9), min_size=1, max_size=4))
        times = draw(st.sets(timestamps, min_size=len(positions), max_size=len(positions)))
        digests = st.binary(min_size=16, max_size=16)
        pairs = zip(sorted(positions), sorted(times), strict=True)
        known[origin] = [Reached(position, timestamp, draw(digests)) for position, timestamp in pairs]
    authors: dict[bytes, dict[bytes, Reached]] = {origin: {} for origin in known}
    for origin, author in authors.items():
        for other in draw(st.sets(st.sampled_from(sorted(known)))) - {origin}:
            author[other] = draw(st.sampled_from(known[other]))
    return SnapshotHead({origin: points[-1] for origin, points in known.items()}, authors)


@given(blocks)
@settings(max_examples=60)
def test_documents_come_out_as_they_went_in(block: list[SnapshotDocument]) -> None:
    ordered = [document._replace(cells=tuple(sorted(document.cells))) for document in block]
    data = encode_documents(block)
    assert decode_documents(data) == ordered
    assert encode_documents(ordered) == data
    for sent, arrived in zip(ordered, decode_documents(data), strict=True):
        assert canonical_form(arrived.cells) == canonical_form(sent.cells)


@given(played())
@settings(max_examples=50)
def test_a_document_of_one_store_becomes_one_of_another(stored: Stored) -> None:
    """Its replicas are interned before; its paths are, while it is laid out."""
    made = unpack_document(stored.data, stored.paths, stored.replicas)
    if made:
        [arrived] = decode_documents(encode_documents([SnapshotDocument("c", encode_id(1), tuple(made))]))
        paths, replicas = new_paths([b"first\0"]), Replicas()
        for cell in arrived.cells:
            for stamp in (cell.stamp, *(total.stamp for total in cell.totals)):
                replicas.intern(stamp.replica)
        there = pack_document(arrived.cells, paths, replicas)
        assert canonical_form(unpack_document(there, paths, replicas)) == canonical_form(made)


@given(heads())
def test_a_head_comes_out_as_it_went_in(head: SnapshotHead) -> None:
    assert decode_head(encode_head(head)) == head


def test_an_origin_without_author_vector_gets_an_empty_one() -> None:
    vector = {ORIGINS[0]: Reached(1, 5, bytes(16))}
    assert decode_head(encode_head(SnapshotHead(vector, {}))) == SnapshotHead(vector, {ORIGINS[0]: {}})


def test_a_head_that_claims_less_than_its_authors_is_never_sent() -> None:
    vector = {origin: Reached(1, 5, bytes(16)) for origin in ORIGINS[:2]}
    with pytest.raises(AssertionError, match="saw more"):
        encode_head(SnapshotHead(vector, {ORIGINS[0]: {ORIGINS[1]: Reached(2, 6, bytes(16))}}))


# --- what is refused, part by part ---

ONE = Stamp(9 << 16, ACTORS[0], ORIGINS[0])
TWO = Stamp(9 << 16, ACTORS[1], ORIGINS[0])
PARTS: Mapping[str, bytes] = {
    "counts": body.counts("c", "pp", "rr", "ss", "d", "eee"),
    "collections": texts([b"c"]),
    "paths": texts([b"a\0", b"n\0"]),
    "replicas": ONE.replica + TWO.replica,
    "least": body.u64(ONE.timestamp),
    "steps": column([0, 0]),
    "replica numbers": column([0, 1]),
    "collection numbers": column([0]),
    "ids": texts([encode_id(1)]),
    "lengths": column([3]),
    "path numbers": column([0, 1, 1]),
    "codes": bytes([1, 4, 5]),
    "stamp numbers": column([0, 0, 1]),
    "values": b"\x01\x02\x03",
}
"""A register and a counter with a total: the body by its parts."""


def block_of(**changed: bytes) -> bytes:
    """The same block with some parts changed."""
    return deflated(b"".join({**PARTS, **{name.replace("_", " "): part for name, part in changed.items()}}.values()))


def test_the_parts_are_a_block() -> None:
    counter = Cell(b"n\0", CellType.COUNTER, ONE, b"\x02", explicit=True, totals=(Total(TWO, 3),))
    document = SnapshotDocument("c", encode_id(1), (Cell(b"a\0", CellType.REGISTER, ONE, b"\x01"), counter))
    assert decode_documents(block_of()) == [document]
    assert inflated(encode_documents([document])) == inflated(block_of())


TWICE = {
    "counts": body.counts("c", "p", "r", "s", "dd", "ee"),
    "paths": texts([b"a\0"]),
    "replicas": ONE.replica,
    "steps": column([0]),
    "replica_numbers": column([0]),
    "collection_numbers": column([0, 0]),
    "ids": texts([encode_id(1), encode_id(1)]),
    "lengths": column([1, 1]),
    "path_numbers": column([0, 0]),
    "codes": bytes([1, 1]),
    "stamp_numbers": column([0, 0]),
    "values": b"\x01\x01",
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"counts": body.counts("c", "pp", "rr", "ss", "", "")}, "no more of anything else|of nothing else more"),
        ({"counts": (SNAPSHOT_ENTRIES_MAX + 1).to_bytes(4, "little") * 6}, "of nothing else more"),
        ({"collections": texts([b""])}, "names of collections"),
        ({"collections": texts([b"c" * 256])}, "names of collections"),
        ({"collections": texts([b"c\0"])}, "names of collections"),
        ({"collections": texts([b"\xff"])}, "no document holds"),
        ({"paths": texts([b"a\0", b"n"])}, "paths in their canonical"),
        ({"paths": texts([b"n\0", b"a\0"])}, "in order"),
        ({"paths": texts([b"a\0", b"a\0"])}, "in order"),
        ({"replicas": TWO.replica + ONE.replica}, "in order"),
        ({"steps": column([1, 0])}, "timestamps of 64 bits"),
        ({"least": body.u64(U64_MAX), "steps": column([0, 1])}, "timestamps of 64 bits"),
        ({"replica_numbers": column([0, 0])}, "each row of its tables"),
        ({"replica_numbers": column([1, 0])}, "in order"),
        ({"collection_numbers": column([1])}, "each row of its tables"),
        ({"ids": texts([b"\x20"])}, "no document holds"),
        ({"lengths": column([2])}, "rows together are all rows"),
        ({"lengths": column([0])}, "rows together are all rows"),
        ({"path_numbers": column([0, 0, 0])}, "each row of its tables"),
        ({"path_numbers": column([1, 0, 0])}, "in order"),
        ({"path_numbers": column([0, 0, 1])}, "totals below counters"),
        ({"codes": bytes([5, 4, 5])}, "rows together are all rows"),
        ({"codes": bytes([1, 8, 5])}, "rows together are all rows"),
        ({"codes": bytes([1, 1, 5])}, "totals below counters"),
        ({"stamp_numbers": column([0, 1, 2])}, "each row of its tables"),
        ({"stamp_numbers": b"\1" + b"\0\0\0\0\1\0"}, "smallest width"),
        ({"stamp_numbers": b"\4" + bytes(48)}, "up to 8 bytes"),
        ({"values": b"\x01\x02"}, "no document holds"),
        ({"values": b"\x01\x02\x03\x04"}, "for each row that carries one"),
        ({"values": b"\x01\x02\xa1x"}, "no document holds"),
        ({"values": b"\x01\xc3\x03"}, "no document holds"),
        ({"values": b"\xcc\x01\x02\x03"}, "values in their canonical"),
        ({"values": b"\xcb\x7f\xf8" + bytes(6) + b"\x02\x03"}, "no document holds"),
        ({"values": b"\xd4\x01\x00\x02\x03"}, "no document holds"),
        ({"values": b"\xa1\xff\x02\x03"}, "no document holds"),
        ({"values": b"\x82\xa1k\x01\xa1k\x01\x02\x03"}, "values in their canonical"),
        ({"values": b"\x91" * 65 + b"\xc0\x02\x03"}, "no document holds"),
        ({"values": b"\x91" * 5_000 + b"\xc0\x02\x03"}, "no document holds"),
        (TWICE, "each document once"),
    ],
)
def test_refused_documents(changed: dict[str, bytes], message: str) -> None:
    with pytest.raises(MalformedMessage, match=message):
        decode_documents(block_of(**changed))


def test_two_totals_of_a_replica_are_refused() -> None:
    later = ONE._replace(timestamp=ONE.timestamp + 1)
    counter = make_counter(b"n\0", ONE, 0, (Total(ONE, 1), Total(later, 2)))
    with pytest.raises(MalformedMessage, match="one total of a replica"):
        decode_documents(encode_documents([SnapshotDocument("c", encode_id(1), (counter,))]))


HEAD: Mapping[str, bytes] = {
    "counts": body.counts("oo", "kkk", "ee"),
    "origins": ORIGINS[0] + ORIGINS[1],
    "lengths": column([1, 2]),
    "positions": column([5, 4, 1]),
    "timestamps": column([50, 40, 10]),
    "digests": bytes(48),
    "seen": column([1, 1]),
    "others": column([1, 0]),
    "places": column([1, 0]),
}
"""Two origins, of which each has seen the other, the first one at an earlier point."""


def head_of(**changed: bytes) -> bytes:
    """The same head with some parts changed."""
    return deflated(b"".join({**HEAD, **changed}.values()))


def test_the_parts_are_a_head() -> None:
    first, second, earlier = Reached(5, 50, bytes(16)), Reached(4, 40, bytes(16)), Reached(1, 10, bytes(16))
    head = SnapshotHead(
        {ORIGINS[0]: first, ORIGINS[1]: second}, {ORIGINS[0]: {ORIGINS[1]: earlier}, ORIGINS[1]: {ORIGINS[0]: first}}
    )
    assert decode_head(head_of()) == head
    assert inflated(encode_head(head)) == inflated(head_of())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"counts": body.counts("oo", "kkkkk", "ee")}, "at most"),
        ({"counts": body.counts("oo", "k", "ee")}, "at most"),
        ({"counts": b"".join([(ORIGINS_MAX + 1).to_bytes(4, "little")] * 2) + bytes(4)}, "at most"),
        ({"counts": bytes(8) + (SNAPSHOT_ENTRIES_MAX + 1).to_bytes(4, "little")}, "at most"),
        ({"origins": ORIGINS[1] + ORIGINS[0]}, "in order"),
        ({"lengths": column([0, 3])}, "a point for each origin"),
        ({"lengths": column([1, 1])}, "position 1 on"),
        ({"positions": column([5, 4, 0])}, "position 1 on"),
        ({"positions": column([5, 4, 4])}, "increase with positions"),
        ({"timestamps": column([50, 40, 40])}, "increase with positions"),
        ({"seen": column([2, 1])}, "origins and points that it names"),
        ({"seen": column([2, 0])}, "in order"),
        ({"others": column([0, 0]), "places": column([0, 0])}, "each point for an author"),
        ({"others": column([1, 1]), "places": column([1, 0])}, "without their own origin"),
        ({"others": column([2, 0])}, "origins and points that it names"),
        ({"places": column([2, 0])}, "origins and points that it names"),
        ({"places": column([0, 0])}, "each point for an author"),
        ({"more": b"\0"}, "origins and points that it names"),
    ],
)
def test_refused_heads(changed: dict[str, bytes], message: str) -> None:
    with pytest.raises(MalformedMessage, match=message):
        decode_head(head_of(**changed))


# --- bounds ---


def test_a_body_is_inflated_up_to_its_bound() -> None:
    for decode in (decode_documents, decode_head):
        with pytest.raises(MalformedMessage, match=f"at most {SNAPSHOT_BLOCK_BYTES_MAX} bytes inflated"):
            decode(deflated(bytes(SNAPSHOT_BLOCK_BYTES_MAX + 1)))
        with pytest.raises(MalformedMessage):
            decode(deflated(bytes(SNAPSHOT_BLOCK_BYTES_MAX)))


def test_arrays_are_not_made_before_their_items_are_there() -> None:
    """Each of these heads announces 2^32 - 1 items."""
    with pytest.raises(MalformedMessage):
        decode_documents(block_of(values=b"\xdd\xff\xff\xff\xff" * 1_000))


def test_a_value_is_no_larger_than_a_document() -> None:
    large = b"\xc6" + DOCUMENT_BYTES_MAX.to_bytes(4, "big") + bytes(DOCUMENT_BYTES_MAX)
    with pytest.raises(MalformedMessage, match=f"at most {DOCUMENT_BYTES_MAX} bytes"):
        decode_documents(block_of(values=large + b"\x02\x03"))


def test_what_nobody_would_take_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    block = decode_documents(block_of())
    head = decode_head(head_of())
    monkeypatch.setattr(snapshot, "SNAPSHOT_ENTRIES_MAX", 1)
    with pytest.raises(LimitExceeded, match="by SNAPSHOT_ENTRIES_MAX"):
        encode_documents(block)
    with pytest.raises(LimitExceeded, match="by SNAPSHOT_ENTRIES_MAX"):
        encode_head(head)
    with pytest.raises(LimitExceeded) as caught:
        deflate(bytes(SNAPSHOT_BLOCK_BYTES_MAX), b"\0")
    assert caught.value.data == {
        "limit": "SNAPSHOT_BLOCK_BYTES_MAX",
        "value": SNAPSHOT_BLOCK_BYTES_MAX + 1,
        "maximum": SNAPSHOT_BLOCK_BYTES_MAX,
    }


PART = 16
"""The largest documents are tried at a sixteenth of their size, against a sixteenth of each bound."""


def replica(number: int) -> Stamp:
    """A stamp of a replica of its own."""
    return Stamp(U64_MAX - number, number.to_bytes(16, "big"), ORIGINS[0])


def fields(count: int, make: Callable[[int], tuple[bytes, Stamp, Any]]) -> list[Cell]:
    """Registers."""
    made = [make(number) for number in range(count)]
    return [Cell(path, CellType.REGISTER, stamp, encode_value(value)) for path, stamp, value in made]


def wide_path(number: int) -> bytes:
    """A path as long as paths may be."""
    return encode_path((f"{number:05}".ljust(PATH_BYTES_MAX - 1, "x"),))


LARGEST: Mapping[str, Callable[[], list[Cell]]] = {
    "integers": lambda: fields(20_000, lambda at: (encode_path((f"{at % 4_000:x}",)), replica(at // 4_000), -(2**63))),
    "a replica for each": lambda: fields(9_000, lambda at: (b"a\0", replica(at), True)),
    "long paths": lambda: fields(PATHS_PER_COLLECTION_MAX // PART, lambda at: (wide_path(at), ONE, 1)),
    "totals": lambda: [make_counter(b"a\0", ONE, 0, tuple(sorted(Total(replica(at), 2**62) for at in range(9_000))))],
    "one text": lambda: fields(1, lambda _: (b"a\0", ONE, "x" * (DOCUMENT_BYTES_MAX // PART - 100))),
}


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_document_fits_a_block(name: str) -> None:
    made = LARGEST[name]()
    paths, replicas = new_paths(), Replicas()
    for cell in made:
        for stamp in (cell.stamp, *(total.stamp for total in cell.totals)):
            replicas.intern(stamp.replica)
    stored = len(pack_document(made, paths, replicas))
    assert stored <= DOCUMENT_BYTES_MAX // PART
    block = [SnapshotDocument("c", encode_id(1), tuple(made))]
    size = len(inflated(encode_documents(block)))
    interned = sum(map(len, paths.texts))
    assert (size - interned) * DOCUMENT_BYTES_MAX / stored + interned * PART <= SNAPSHOT_BLOCK_BYTES_MAX
    assert DOCUMENT_BYTES_MAX // 11 * 2 < SNAPSHOT_ENTRIES_MAX
    assert decode_documents(encode_documents(block))[0].cells == tuple(sorted(made))
