"""The compiled digest of document bytes is the plain one's, and the digest of the cells."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from crdtstore import _core
from crdtstore.crdt import document_bytes
from crdtstore.crdt.document import digest
from crdtstore.crdt.names import Names, Replicas
from crdtstore.errors import Corrupted
from tests.core.merging import KEY, Step, play, scenarios
from tests.core.strategies import Stored, document, packed, played

Digest = Callable[[bytes, Names, Replicas, bytes], bytes]

TWINS = pytest.mark.parametrize("core", [document_bytes, _core], ids=["plain", "compiled"])


def of_cells(stored: Stored) -> bytes:
    """The digest of a document's cells, 16 bytes."""
    return digest(document_bytes.unpack_document(*stored), KEY).to_bytes(16, "little")


@given(played() | packed())
def test_it_is_the_digest_of_the_cells(stored: Stored) -> None:
    assert _core.document_digest(*stored, KEY) == document_bytes.document_digest(*stored, KEY) == of_cells(stored)


@given(scenarios)
def test_it_is_what_merging_keeps(scenario: list[Step]) -> None:
    """The digest kept by changes, step after step, is the digest of the bytes."""
    done = play(scenario, _core.merge_document)
    made = [_core.document_digest(data, done.paths, done.replicas, KEY) for data in done.documents]
    assert made == done.digests


@TWINS
def test_no_document_has_no_digest(core: object) -> None:
    find: Digest = core.document_digest  # type: ignore[attr-defined]
    assert find(b"", Names([], 1), Replicas(), KEY) == bytes(16)


@TWINS
def test_the_key_counts_and_has_sixteen_bytes(core: object) -> None:
    find: Digest = core.document_digest  # type: ignore[attr-defined]
    stored = document({("a",): 1})
    assert find(*stored, KEY) != find(*stored, bytes(16))
    with pytest.raises(ValueError, match="16 bytes; this one has 15"):
        find(*stored, KEY[1:])


@TWINS
def test_damaged_bytes_are_refused(core: object) -> None:
    """Every document that is cut short or names what is not there."""
    find: Digest = core.document_digest  # type: ignore[attr-defined]
    data, paths, replicas = document({("a",): "a text that stands in the heap", ("b",): 2})
    for size in range(1, len(data)):
        with pytest.raises(Corrupted):
            find(data[:size], paths, replicas, KEY)
    with pytest.raises(Corrupted):
        find(b"\2" + data[1:], paths, replicas, KEY)


def test_a_forgotten_cell_is_found() -> None:
    """The comparison tells documents apart that differ in one cell."""
    assert of_cells(document({("a",): 1, ("b",): 2})) != _core.document_digest(*document({("a",): 1}), KEY)
