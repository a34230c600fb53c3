"""A source says where a search looks: ranges of the documents' own table, or of an index's entries, read row by row.

Rules: documents come in the order of their ids, entries in the order of their columns; each entry leads to a document
that must be there. A buried document never shows. What is left of a source behind any of its rows is a source too, so
that a search may stop anywhere and go on later, in the same snapshot: piece by piece it reads what it reads at once.

Not here: which ranges answer a query, and what becomes of the documents.
Compiled twin: `ext/search_source.pxi`.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdtstore import limits
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.errors import Corrupted, LimitExceeded, StatementTimeout
from crdtstore.query.bounds import behind
from crdtstore.query.lookup import FieldLookup
from crdtstore.storage.documents import DOCUMENTS, Row, split_row
from crdtstore.storage.index_entries import split_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crdtstore.query.program import Filter
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot

Item = tuple[bytes, bytes]
"""A row as it is stored: key and value."""

CLOCK_ROWS: Final = 256
"""Rows that are read between two looks at the clock."""


class Source(NamedTuple):
    """Where a search looks."""

    table: int
    """That of the documents, or of index entries."""

    ranges: tuple[tuple[bytes, bytes], ...]
    """Whole keys, each from the first to before the second; read in this order."""

    repeats: bool = False
    """Whether several entries may lead to one document, which is looked at once all the same."""

    descending: bool = False
    """Whether each range is read from its end. Entries of one column still come with their ids ascending."""

    ahead: tuple[bytes, bytes] | None = None
    """Of what is left of descending entries: the rest of a column, which is read first, from its beginning."""

    came: Any = None
    """Of what is left of entries that repeat: the documents that came. It grows, so such a rest is read once."""


class Examined(NamedTuple):
    """How many documents were looked at, and how many index entries were read for that."""

    rows: int
    entries: int


class Tally:
    """Counts what a search looks at, and knows where it is."""

    def __init__(self, deadline: float = inf) -> None:
        self.deadline = deadline
        """Of the monotonic clock, by which all has to be read."""
        self.rows = self.entries = 0
        self.read = 0
        """Rows of the ranges."""
        self.number = -1
        """Of the range that is read; -1 is the one ahead."""
        self.last: Item | None = None
        """The row that was read last."""
        self.came: set[bytes] | None = None

    def examined(self) -> Examined:
        """What was counted so far."""
        return Examined(self.rows, self.entries)

    def step(self, number: int, row: Item) -> None:
        """A row of a range was read."""
        self.number, self.last = number, row
        self.read += 1
        if self.read % CLOCK_ROWS == 0:
            self.check_deadline()

    def check_deadline(self) -> None:
        """Stop a search that takes too long."""
        if self.deadline < inf and monotonic() > self.deadline:
            raise StatementTimeout(
                "The search was stopped at its deadline; an index, a narrower condition or more time would help."
            )


# --- documents ---


def read_matches(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    tally: Tally,
) -> Iterator[Row]:
    """The documents of a source that match, in its order."""
    for row in read_source(snapshot, collection, source, tally):
        if is_match(catalog, collection, filter_, row):
            yield row


def is_match(catalog: Catalog, collection: Collection, filter_: Filter | None, row: Row) -> bool:
    """Whether a document matches: where the test gives True, or there is none."""
    return filter_ is None or filter_.test(FieldLookup(catalog, collection, *row)) is True


def read_source(snapshot: Snapshot, collection: Collection, source: Source, tally: Tally) -> Iterator[Row]:
    """The living documents of a source, in its order."""
    rows = read_documents if source.table == DOCUMENTS else read_indexed
    for row in rows(snapshot, collection, source, tally):
        tally.rows += 1
        yield row


def read_documents(snapshot: Snapshot, collection: Collection, source: Source, tally: Tally) -> Iterator[Row]:
    """The living documents of ranges of their own table."""
    for key, value in read_ranges(snapshot, source, tally):
        row = split_row(collection, key, value)
        if not is_grave(row.document):
            yield row


def read_indexed(snapshot: Snapshot, collection: Collection, source: Source, tally: Tally) -> Iterator[Row]:
    """The documents that the entries of ranges lead to, each once."""
    came: set[bytes] = set() if source.came is None else source.came
    tally.came = came if source.repeats else None
    for key, value in read_ranges(snapshot, source, tally):
        tally.entries += 1
        wanted = split_entry(key, value)[1]
        if source.repeats:
            if wanted in came:
                continue
            check_repeats(len(came))
            came.add(wanted)
        document_key = collection.prefix + wanted
        document = snapshot.get(DOCUMENTS, document_key)
        row = None if document is None else split_row(collection, document_key, document)
        if row is None or is_grave(row.document):
            raise Corrupted("documents", document_key, "an index leads to it, and it does not exist")
        yield row


def check_repeats(count: int) -> None:
    """Refuse to remember one more document."""
    maximum = limits.SEARCH_REPEATS_MAX
    if count >= maximum:
        message = (
            f"The index leads to more than {maximum} documents, each of them maybe more than once: "
            "ask for fewer, or without this index."
        )
        raise LimitExceeded(message, limit="SEARCH_REPEATS_MAX", value=count + 1, maximum=maximum)


# --- rows ---


def read_ranges(snapshot: Snapshot, source: Source, tally: Tally) -> Iterator[Item]:
    """The rows of a source's ranges."""
    tally.check_deadline()
    for number, rows in enumerate_ranges(snapshot, source):
        for row in rows:
            tally.step(number, row)
            yield row


def enumerate_ranges(snapshot: Snapshot, source: Source) -> Iterator[tuple[int, Iterable[Item]]]:
    """The number of each range, with its rows."""
    if source.ahead is not None:
        yield -1, snapshot.scan(source.table, *source.ahead)
    for number, (start, end) in enumerate(source.ranges):
        if source.descending:
            yield number, read_back(snapshot, source.table, start, end)
        else:
            yield number, snapshot.scan(source.table, start, end)


def read_back(snapshot: Snapshot, table: int, start: bytes, end: bytes) -> Iterator[Item]:
    """The rows of a range that is read column by column from its end."""
    for _, group in groupby(snapshot.scan_back(table, start, end), partial(column_of, table)):
        yield from reversed(list(group))


def column_of(table: int, row: Item) -> bytes:
    """What rows that stand side by side share with each other: an entry's key without its id, a document's all."""
    key, value = row
    return key if table == DOCUMENTS else split_entry(key, value)[0]


# --- what is left ---


def rest_of(source: Source, number: int, last: Item, came: Any) -> Source | None:
    """What is left of a source behind a row; None for nothing.

    Args:
        source: What is read.
        number: Of the range in which the row stands; -1 for the one ahead.
        last: The row.
        came: The documents that came, if the source has any more than once.
    """
    key, ranges, ahead = last[0], source.ranges[number + 1 :], None
    if number < 0:
        ahead = None if source.ahead is None else (key + b"\0", source.ahead[1])
    else:
        start, end = source.ranges[number]
        if not source.descending:
            ranges = ((key + b"\0", end), *ranges)
        elif source.table == DOCUMENTS:
            ranges = ((start, key), *ranges)
        else:
            column = column_of(source.table, last)
            ahead, ranges = (key + b"\0", min(end, behind(column))), ((start, column), *ranges)
    ranges = tuple(each for each in ranges if each[0] < each[1])
    if ahead is not None and ahead[0] >= ahead[1]:
        ahead = None
    return source._replace(ranges=ranges, ahead=ahead, came=came) if ranges or ahead else None
