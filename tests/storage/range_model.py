"""What range sums must be, worked out document by document by the plain twins alone; and stores to hold to it.

Rules: the truth of a view is every document's key with its digest. Sums, parts and the rows of the table follow from
it by their definitions, in other words than the package's. Trees are deep with few documents: `small_rows` makes two
rows of one level a row of the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from crdtstore import core
from crdtstore.crdt import document as plain_document
from crdtstore.crdt import document_bytes
from crdtstore.crdt.entry import KeyRange
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.names import Replicas
from crdtstore.storage import range_table
from crdtstore.storage.catalog import Catalog, Collection
from crdtstore.storage.documents import id_key, split_row
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.ranges import Ranges, Sum, refresh
from crdtstore.storage.tables import Table
from crdtstore.store import Store

Truth = dict[str, list[tuple[bytes, int]]]
"""By collection: each document's key and digest, in order."""

SMALL_FANOUT = 2
COLLECTIONS = ("one", "two", "an empty one")
IDS: list[Any] = [*range(12), *"abcdefghijkl", True, {"x": 1}, *("k" * 490 + end for end in "abcdef")]
KEYS = sorted(id_key(encode_id(id_)) for id_ in IDS)
EDGES = [b"", *KEYS, *(key + b"\0" for key in KEYS[::3]), b"\x20" + b"k" * 600, b"\xff", b"\xff\xff"]


@contextmanager
def small_rows(*, plain: bool = False) -> Iterator[None]:
    """Rows of two, and on demand the plain twins in place of the compiled functions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_table, "FANOUT", SMALL_FANOUT)
        if plain:
            patch.setattr(core, "Snapshot", None)
            patch.setattr(core, "digest_key", plain_document.digest_key)
            patch.setattr(core, "document_digest", document_bytes.document_digest)
        yield


class Digests:
    """The plain digests of documents, each computed once."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, bytes, bytes], int] = {}

    def of(self, collection: Collection, replicas: Replicas, id_: bytes, data: bytes) -> int:
        """One document's digest; 0 for one that does not exist."""
        name = collection.name, id_, data
        if data and name not in self.known:
            cells = document_bytes.unpack_document(data, collection.paths, replicas)
            self.known[name] = plain_document.digest(cells, plain_document.digest_key(collection.name, id_))
        return self.known[name] if data else 0

    def truth(self, snapshot: Snapshot, catalog: Catalog) -> Truth:
        """All documents of a view."""
        found: Truth = {collection.name: [] for collection in catalog.collections}
        for key, value in snapshot.scan(Table.DOCUMENTS):
            collection = catalog.collections[int.from_bytes(key[:4], "big")]
            row = split_row(collection, key, value)
            found[collection.name].append((key[4:], self.of(collection, catalog.replicas, *row)))
        return found


def inside(truth: Truth, range_: KeyRange) -> list[tuple[bytes, int]]:
    """The documents of a range."""
    documents = truth.get(range_.collection, [])
    return [row for row in documents if row[0] >= range_.start and (range_.end is None or row[0] < range_.end)]


def sum_of(truth: Truth, range_: KeyRange) -> Sum:
    """The sum of a range."""
    found = inside(truth, range_)
    return Sum(len(found), sum(digest for _, digest in found) % 2**128)


def table_of(truth: Truth, catalog: Catalog) -> dict[bytes, bytes]:
    """The rows of the table when nothing is stale."""
    rows = {}
    for name, documents in truth.items():
        for level in range(1, range_table.LEVELS + 1):
            keys = [key for key, _ in documents if hash_of(name, key) % SMALL_FANOUT**level == 0]
            for start, end in pairwise([b"", *keys, b"\xff"]):
                total = sum_of(truth, KeyRange(name, start, end))
                if total.documents:
                    place = bytes([level]) + catalog.by_name[name].number.to_bytes(4, "big") + end
                    rows[place] = total.documents.to_bytes(8, "little") + total.digest.to_bytes(16, "little") + start
    return rows


def hash_of(name: str, key: bytes) -> int:
    """The hash that makes a key a boundary."""
    return int.from_bytes(plain_document.digest_key(name, key)[:8], "little")


def check_range(ranges: Ranges, truth: Truth, range_: KeyRange, parts: int) -> None:
    """One range through everything that a reader gives."""
    expected = sum_of(truth, range_)
    assert ranges.sum(range_) == expected
    found = ranges.split(range_, parts)
    assert [part for _, part in found] == [sum_of(truth, part) for part, _ in found]
    assert len(found) == min(parts, max(1, expected.documents))
    assert all(part.documents <= 2 * max(1, expected.documents // parts) + 1 for _, part in found)
    assert (found[0][0].start, found[-1][0].end) == range_[1:]
    assert all(left.end == right.start for (left, _), (right, _) in pairwise(found))
    assert [row.key for row in ranges.rows(range_)] == [key for key, _ in inside(truth, range_)]


def settle(store: Store, leaves_max: int = 1_000) -> int:
    """Refresh until nothing is left to do; how many leaves were made."""
    leaves = 0
    for _ in range(1_000):
        made = store.run(lambda batch, catalog, _: refresh(batch, catalog, leaves_max))
        if not made:
            return leaves
        leaves += made
    raise AssertionError("A refresh comes to no end.")
