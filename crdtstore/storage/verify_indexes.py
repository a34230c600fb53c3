"""Verifying indexes: their rows, and each entry against the documents.

Rules: every entry that a document must have is looked up, and entries are counted; only where there are more than that
are the others looked for. An index that is being dropped is held to nothing but its counts. Where documents are
damaged, which is reported already, their indexes are not checked. Nothing here is lost when it is damaged: an index
is made of the documents, so it is dropped and made again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from crdtstore.storage.documents import id_key, scan_documents, split_row
from crdtstore.storage.index import NUMBER_BYTES, PARTS, Index, check_definition, unpack_index
from crdtstore.storage.index_entries import make_entries
from crdtstore.storage.tables import Table
from crdtstore.storage.verify_rows import DAMAGE, check_rows, walk

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.verify_finding import View

PART_BYTES: Final = NUMBER_BYTES + 1


def check_indexes(view: View) -> None:
    """Indexes: of a collection that there is, a definition that may be, names and paths once. Collects them."""
    collections = view.catalog.collections

    def check(key: bytes, value: bytes) -> str | None:
        index = unpack_index(key, value)
        if index.collection >= len(collections):
            return f"The index belongs to collection {index.collection}, which does not exist."
        check_definition(index.name, index.kind, index.paths)
        others = [other.name for other in collections[index.collection].indexes if not other.dropping]
        collections[index.collection].indexes += (index,)
        return f"The name {index.name!r} stands for two indexes." if index.name in others else None

    check_rows(view, Table.INDEXES, check)


def check_entries(view: View) -> None:
    """Entries: those of every document are there, no others are, and they are as many as their indexes say."""
    collections = [collection for collection in view.catalog.collections if collection.indexes]
    met = count_entries(view, {index.number for collection in collections for index in collection.indexes})
    for collection in collections:
        for index in collection.indexes:
            try:
                check_index(view, collection, index, met)
            except DAMAGE:
                view.revive()


def count_entries(view: View, numbers: set[int]) -> Counter[tuple[int, int]]:
    """How many entries each part of each index has."""
    met = Counter[tuple[int, int]]()
    for key, value in walk(view, Table.ENTRIES):
        number = int.from_bytes(key[:NUMBER_BYTES], "big")
        if number not in numbers:
            view.report("index", "entries", key, f"The entry belongs to index {number}, which does not exist.")
        elif len(key) < PART_BYTES or key[NUMBER_BYTES] >= PARTS or not value:
            view.report("index", "entries", key, "The entry has no part or no value.")
        else:
            met[number, key[NUMBER_BYTES]] += 1
    return met


def check_index(view: View, collection: Collection, index: Index, met: Counter[tuple[int, int]]) -> None:
    """One index against the documents that it covers."""
    counts = [met[index.number, part] for part in range(PARTS)]
    if counts != index.counts:
        message = (
            f"Index {named(collection, index)} says that its parts have {index.counts} entries; {counts} were met."
        )
        view.report("index", "indexes", index.prefix, message)
    if index.dropping:
        return
    present, inexact = check_present(view, collection, index)
    if inexact != index.inexact:
        message = f"Index {named(collection, index)} says that {index.inexact:,} entries are inexact; {inexact:,} are."
        view.report("index", "indexes", index.prefix, message)
    if present < sum(counts):
        check_surplus(view, collection, index)


def check_present(view: View, collection: Collection, index: Index) -> tuple[int, int]:
    """Look every entry up; returns how many are there, and how many are inexact."""
    present = inexact = 0
    for row in scan_documents(view.snapshot, collection):
        if not index.covers(id_key(row.id)):
            break
        made = make_entries(index, row.id, row.document, collection.paths, view.catalog.replicas)
        inexact += made.inexact
        for key, value in made.rows.items():
            found = view.get(Table.ENTRIES, key)
            present += found is not None
            if found != value:
                what = "is missing" if found is None else "names another id"
                message = f"An entry of index {named(collection, index)} {what}, which its document must have."
                view.report("index", "entries", key, message)
    return present, inexact


def check_surplus(view: View, collection: Collection, index: Index) -> None:
    """Report the entries that no document has."""
    end = (index.number + 1).to_bytes(NUMBER_BYTES, "big")
    for key, value in view.snapshot.scan(Table.ENTRIES, index.prefix, end):
        length = value[0] if value else 0
        id_part = key[len(key) - length :] if length else value[1:]
        if not is_of_a_document(view, collection, index, key, id_part):
            message = f"An entry of index {named(collection, index)} is too much: its document has none like it."
            view.report("index", "entries", key, message)


def is_of_a_document(view: View, collection: Collection, index: Index, key: bytes, id_part: bytes) -> bool:
    """Whether the document of an id key has an entry and is covered."""
    stored = view.get(Table.DOCUMENTS, collection.prefix + id_part) if id_part else None
    if stored is None or not index.covers(id_part):
        return False
    row = split_row(collection, collection.prefix + id_part, stored)
    return key in make_entries(index, row.id, row.document, collection.paths, view.catalog.replicas).rows


def named(collection: Collection, index: Index) -> str:
    """An index, for people."""
    return f"{index.name!r} of collection {collection.name!r}"
