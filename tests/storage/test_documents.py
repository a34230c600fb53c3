"""Documents in their table: keys that sort as ids do, long ids, and what a key that lies holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.errors import Corrupted
from crdtstore.limits import ID_BYTES_MAX, KEY_BYTES_MAX, KEY_PREFIX_BYTES
from crdtstore.storage import documents
from crdtstore.storage.catalog import Collection
from crdtstore.storage.documents import (
    HASH_BYTES,
    document_key,
    get_document,
    put_document,
    scan_documents,
    split_row,
)
from crdtstore.storage.interface import Storage
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.tables import Table
from tests.storage.engines import content

FIRST, SECOND, LAST = Collection(0, "a"), Collection(1, "b"), Collection(255, "c")

texts = st.builds(
    lambda prefix, times, rest: prefix * times + rest,
    st.sampled_from(["a", "\xe9", "\x01", "ab"]),
    st.integers(0, 240),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
).filter(lambda text: 0 < len(text.encode()) <= ID_BYTES_MAX)
ids: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.integers(440, 500).map(lambda length: "k" * length),
    texts.filter(lambda text: len(text.encode()) < 300).map(lambda text: {"k": text}),
)


def put(storage: Storage, *rows: tuple[Collection, Any, bytes]) -> None:
    """Store documents in one commit."""
    with storage.batch() as batch:
        for collection, id_, document in rows:
            put_document(batch, collection, encode_id(id_), document)
        batch.commit()


def get(storage: Storage, collection: Collection, id_: Any) -> bytes:
    """A document's bytes."""
    with storage.snapshot() as snapshot:
        return get_document(snapshot, collection, encode_id(id_))


def scan(storage: Storage, collection: Collection) -> dict[Any, bytes]:
    """All documents of a collection, by encoded id, in the order in which they came."""
    with storage.snapshot() as snapshot:
        return {row.id: row.document for row in scan_documents(snapshot, collection)}


@settings(max_examples=60)
@given(st.dictionaries(ids.map(encode_id), st.binary(min_size=1, max_size=5), max_size=12), st.data())
def test_what_is_put_is_what_is_there(rows: dict[bytes, bytes], data: st.DataObject) -> None:
    """In two collections side by side; removed ones are gone; the order is that of the ids' beginnings."""
    gone = data.draw(st.sets(st.sampled_from(sorted(rows)))) if rows else set()
    storage = MemoryStorage()
    with storage.batch() as batch:
        for encoded, document in rows.items():
            put_document(batch, FIRST, encoded, document)
            put_document(batch, SECOND, encoded, b"other")
        for encoded in gone:
            put_document(batch, FIRST, encoded, b"")
        batch.commit()
    assert scan(storage, FIRST) == {encoded: rows[encoded] for encoded in rows if encoded not in gone}
    assert scan(storage, SECOND) == dict.fromkeys(rows, b"other")
    assert scan(storage, LAST) == {}
    beginnings = [encoded[: KEY_PREFIX_BYTES - 4] for encoded in scan(storage, SECOND)]
    assert beginnings == sorted(beginnings)
    with storage.snapshot() as snapshot:
        for encoded, document in rows.items():
            assert get_document(snapshot, FIRST, encoded) == (b"" if encoded in gone else document)


@given(ids, ids)
def test_keys_sort_as_ids_do(left: Any, right: Any) -> None:
    """They fit LMDB, tell ids apart, and give ids and documents back."""
    one, two = encode_id(left), encode_id(right)
    keys = document_key(SECOND, one), document_key(SECOND, two)
    assert max(map(len, keys)) <= KEY_BYTES_MAX
    assert (keys[0] == keys[1]) == (one == two)
    if one[: KEY_PREFIX_BYTES - 4] != two[: KEY_PREFIX_BYTES - 4]:
        assert (keys[0] < keys[1]) == (one < two)
    assert all(key.startswith(SECOND.prefix) for key in keys)


@pytest.mark.parametrize("length", [1, 474, 475, 476, 477, 505, 506, 1_023, 1_024])
def test_lengths_around_the_keys_bound(storage: Storage, length: int) -> None:
    """Every length of id, by every storage; a neighbour that differs in its last byte is another document."""
    ids = ["k" * (length - 1) + end for end in "abc"]
    put(storage, *((FIRST, id_, id_.encode()[-1:]) for id_ in ids[:2]))
    assert [get(storage, FIRST, id_) for id_ in ids] == [b"a", b"b", b""]
    assert {decode_id(encoded) for encoded in scan(storage, FIRST)} == set(ids[:2])
    assert get(storage, SECOND, ids[0]) == b""
    put(storage, (FIRST, ids[0], b"new"), (FIRST, ids[1], b""), (FIRST, ids[2], b""))
    assert scan(storage, FIRST) == {encode_id(ids[0]): b"new"}
    (key,) = content(storage, Table.DOCUMENTS)
    size = 4 + 1 + length
    assert len(key) == (size if size <= KEY_PREFIX_BYTES else KEY_PREFIX_BYTES + HASH_BYTES)


def test_collections_do_not_touch(storage: Storage) -> None:
    """A scan begins and ends with its collection, also with the highest number of a byte."""
    put(storage, *((collection, id_, b"x") for collection in (FIRST, SECOND, LAST) for id_ in ("\0", "\U0010ffff")))
    for collection in (FIRST, SECOND, LAST):
        assert [decode_id(encoded) for encoded in scan(storage, collection)] == ["\0", "\U0010ffff"]
    assert scan(storage, Collection(254, "d")) == scan(storage, Collection(256, "e")) == {}


def test_a_hash_that_collides(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two long ids under one key: the other one's document is never given."""

    class Flat:
        """A hash that is the same for everything."""

        def __init__(self, _: bytes, digest_size: int) -> None:
            self.size = digest_size

        def digest(self) -> bytes:
            """Zeros."""
            return bytes(self.size)

    monkeypatch.setattr(documents, "blake2b", Flat)
    put(storage, (FIRST, "k" * 600, b"one"))
    assert get(storage, FIRST, "k" * 600) == b"one"
    with pytest.raises(Corrupted) as error:
        get(storage, FIRST, "k" * 601)
    assert error.value.data["table"] == "documents"
    assert get(storage, FIRST, "j" * 601) == b""


def test_rows_are_split_where_they_were_joined() -> None:
    """A short key holds its id, a long one's value does."""
    short, long = encode_id("short"), encode_id("l" * 1_000)
    assert split_row(SECOND, document_key(SECOND, short), b"document") == (short, b"document")
    value = len(long).to_bytes(2, "little") + long + b"document"
    assert split_row(SECOND, document_key(SECOND, long), value) == (long, b"document")
