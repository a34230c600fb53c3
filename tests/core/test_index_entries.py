"""The entries of one document: compiled as plain, whatever the document and its id hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.document_bytes import pack_document
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.names import Replicas, paths
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import encode_value
from crdtstore.errors import CrdtStoreError
from crdtstore.limits import INDEX_COLUMN_BYTES_MAX, INDEX_ITEMS_MAX
from crdtstore.storage.index import ANY, ITEM, WHOLE, Index
from crdtstore.storage.index_entries import Made, make_entries, make_plain
from tests.core.merging import ACTORS, ORIGINS
from tests.core.strategies import KEYS, Stored, documents, values

steps = st.sampled_from((*KEYS, "0", "k")) | st.integers(0, 3)
asked = st.lists(steps, min_size=1, max_size=3).map(tuple)
id_paths = st.lists(steps, max_size=2).map(lambda path: ("_id", *path))
definitions = st.lists(asked | asked | id_paths, max_size=4, unique=True).map(tuple)
ids = (
    st.text(min_size=1, max_size=8)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.dictionaries(st.sampled_from(KEYS), values, max_size=3)
    | st.sampled_from(["y" * 63, "z" * 64, "w" * 475, "v" * 476, "u" * 900])
)


def index_of(definition: tuple[tuple[str | int, ...], ...]) -> Index:
    """A ready index."""
    index = Index(7, 0, "any", "fields" if definition else "conflicts", definition)
    index.built = None
    return index


def compiled(index: Index, id_: bytes, stored: Stored) -> Any:
    return _core.index_entry(index, id_, stored.data, stored.paths, stored.replicas)


def encoded(id_: Any) -> bytes:
    """An id in its encoding, or a short one for what is too long."""
    try:
        return encode_id(id_)
    except CrdtStoreError:
        return encode_id("short")


@given(stored=documents, definition=definitions, id_=ids)
def test_both_sides_make_the_same_entries(stored: Stored, definition: Any, id_: Any) -> None:
    index, key = index_of(definition), encoded(id_)
    plain = make_plain(index, key, stored.data, stored.paths, stored.replicas)
    known = compiled(index, key, stored)
    if known is None:
        assert plain == Made({}, 0)
    elif known is not False:
        assert plain == Made(dict.fromkeys(known[0], known[1]), known[2])
    assert make_entries(index, key, stored.data, stored.paths, stored.replicas) == plain


def one(value: Any, path: tuple[str, ...] = ("a",)) -> Stored:
    """A document with one value."""
    stamp = Stamp(1, ACTORS[0], ORIGINS[0])
    names, replicas = paths(), Replicas([stamp.replica])
    cell = Cell(encode_path(path), CellType.REGISTER, stamp, encode_value(value))
    return Stored(pack_document([cell], names, replicas), names, replicas)


def parts(value: Any, *definition: tuple[str | int, ...]) -> list[int]:
    """The parts of the entries of a document with one value."""
    stored = one(value)
    made = make_plain(index_of(definition), b"\x03", stored.data, stored.paths, stored.replicas)
    return sorted(key[4] for key in made.rows)


def test_common_documents_are_made_by_the_compiled_core() -> None:
    for value in (None, True, 5, 0.5, "text", "x" * 500, b"raw", {"k": [1]}):
        assert compiled(index_of((("a",), ("b", "c"), ("_id",))), encode_id("id"), one(value))
    assert compiled(index_of(()), encode_id("id"), one(1)) is None
    assert len(compiled(index_of((("a",),)), encode_id("id"), one([1, 2, "x" * 500, [3], 1]))[0]) == 5
    assert compiled(index_of((("a",), ("b",))), encode_id("id"), one([1, 2])) is False
    assert compiled(index_of((("a", "k"),)), encode_id("id"), one([{"k": 1}])) is False


def test_arrays_have_entries_for_their_items() -> None:
    assert parts([1, 2, 2, [3]], ("a",)) == [WHOLE, ITEM, ITEM, ITEM]
    assert parts([1, 2], ("a",), ("b",)) == [WHOLE, ANY]
    assert parts([{"k": 1}, {"k": [2]}], ("a", "k")) == [WHOLE, ITEM, ITEM, ITEM]
    assert parts([1, 2], ("a", 1)) == [WHOLE]
    assert parts([], ("a",)) == [WHOLE]


@pytest.mark.parametrize(("items", "expected"), [(INDEX_ITEMS_MAX, ITEM), (INDEX_ITEMS_MAX + 1, ANY)])
def test_too_many_items_are_looked_at_whatever_is_asked(items: int, expected: int) -> None:
    found = parts(list(range(items)), ("a",))
    assert found == [WHOLE, *[expected] * (items if expected == ITEM else 1)]


@pytest.mark.parametrize("more", [0, 1])
def test_a_cut_column_is_inexact(more: int) -> None:
    stored = one("x" * (INDEX_COLUMN_BYTES_MAX - 2 + more))
    made = make_entries(index_of((("a",),)), b"\x03", stored.data, stored.paths, stored.replicas)
    assert (made.inexact, len(next(iter(made.rows)))) == (more, 5 + INDEX_COLUMN_BYTES_MAX + 1)
