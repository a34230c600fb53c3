"""The compiled merge gives the plain one's bytes and digests, whatever the operations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import document_bytes
from crdtstore.crdt.document import canonical_form, digest
from crdtstore.crdt.names import Names
from crdtstore.errors import Corrupted, MalformedRecord
from tests.core.merging import KEY, Step, play, scenarios


@given(scenarios, st.sampled_from([1, 3, 100]), st.sampled_from([0, 0, 300]))
def test_twins_agree(scenario: list[Step], paths_max: int, crowd: int) -> None:
    """Bytes, digests and dictionaries are equal after every step."""
    plain = play(scenario, document_bytes.merge_document, paths_max=paths_max, crowd=crowd)
    compiled = play(scenario, _core.merge_document, paths_max=paths_max, crowd=crowd)
    assert compiled.documents == plain.documents
    assert compiled.digests == plain.digests
    assert compiled.paths.texts == plain.paths.texts


@given(scenarios)
def test_digest_follows_the_cells(scenario: list[Step]) -> None:
    """The digest kept by changes is the digest of the cells."""
    played = play(scenario, _core.merge_document)
    for document, kept in zip(played.documents, played.digests, strict=True):
        cells = document_bytes.unpack_document(document, played.paths, played.replicas)
        assert int.from_bytes(kept, "little") == digest(cells, KEY)


@given(scenarios)
def test_bytes_round_trip(scenario: list[Step]) -> None:
    """Unpacked cells pack to the same bytes."""
    played = play(scenario, _core.merge_document)
    for document in played.documents:
        cells = document_bytes.unpack_document(document, played.paths, played.replicas)
        assert document_bytes.pack_document(cells, played.paths, played.replicas) == document


@given(scenarios)
def test_room_for_paths_does_not_matter(scenario: list[Step]) -> None:
    """Where paths stand, in the dictionary or in the document, changes no cell."""
    roomy = play(scenario, _core.merge_document, paths_max=100)
    tight = play(scenario, _core.merge_document, paths_max=2)
    assert tight.digests == roomy.digests
    left = document_bytes.unpack_document(tight.documents[-1], tight.paths, tight.replicas)
    right = document_bytes.unpack_document(roomy.documents[-1], roomy.paths, roomy.replicas)
    assert canonical_form(left) == canonical_form(right)


def drop_losers(*arguments: Any) -> bytes:
    """A planted bug: siblings other than the last one are dropped when bytes are packed."""
    merged = _core.merge_document(*arguments)
    paths, replicas = arguments[5], arguments[6]
    cells = document_bytes.unpack_document(merged, paths, replicas)
    winners = {(cell.path, cell.type): cell for cell in sorted(cells, key=lambda cell: cell.stamp)}
    return document_bytes.pack_document(list(winners.values()), paths, replicas)


def test_the_comparison_finds_a_planted_bug() -> None:
    """Two writes that did not observe each other are two siblings; a core that keeps one is found out."""
    write = ("write", b"a\x00", 1)
    concurrent = [Step(0, 0, 1, (0, 0, 0), (write,)), Step(1, 1, 1, (10**9,) * 3, (write,))]
    plain = play(concurrent, document_bytes.merge_document)
    assert play(concurrent, drop_losers).documents != plain.documents
    assert play(concurrent, _core.merge_document).documents == plain.documents


@given(scenarios, st.data())
def test_damaged_bytes_are_refused_or_read(scenario: list[Step], data: st.DataObject) -> None:
    """Cut or altered document bytes give a typed error or other cells, never a crash."""
    played = play(scenario, _core.merge_document)
    document = bytearray(played.documents[-1])
    if not document:
        return
    at = data.draw(st.integers(0, len(document) - 1))
    document[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(1, len(document)))
    step = [Step(0, 0, 1, (0, 0, 0), (("write", b"a\x00", 1),))]
    for damaged in (bytes(document), bytes(document[:cut])):

        def merge(_: bytes, *rest: Any, damaged: bytes = damaged) -> bytes:
            merge_document: Any = _core.merge_document
            return bytes(merge_document(damaged, *rest[:4], played.paths, played.replicas, *rest[6:]))

        try:
            play(step, merge)
        except (Corrupted, UnicodeDecodeError):
            continue


@pytest.mark.parametrize(
    "operations", [b"", b"\x91", b"\x91\x93\x01\xc4\x02a\x00", b"\x91\x92\x09\xc4\x02a\x00", b"\x90\x90"]
)
def test_malformed_operations_are_refused(operations: bytes) -> None:
    """What is no list of operations is a MalformedRecord."""

    def merge(document: bytes, _: bytes, *rest: Any) -> bytes:
        return _core.merge_document(document, operations, *rest)

    with pytest.raises(MalformedRecord):
        play([Step(0, 0, 1, (0, 0, 0), (("write", b"a\x00", 1),))], merge)


def test_path_dictionary_is_bounded() -> None:
    """Beyond its bound the dictionary does not grow, and documents hold their own paths."""
    names = Names([], 2)
    scenario = [Step(0, 0, 1, (0, 0, 0), tuple(("write", bytes([97 + n, 0]), n) for n in range(5)))]
    played = play(scenario, _core.merge_document, paths_max=2)
    assert len(played.paths.texts) == names.maximum
    assert len(document_bytes.unpack_document(played.documents[-1], played.paths, played.replicas)) == 5
