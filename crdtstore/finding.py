"""Finding in a store: what queries in any language, or conditions made by the layers above, can be asked.

Rules: as `reading`; every answer says at which version it was read. A page that is not the last has a cursor, which
belongs to its query and this store. A layer that may show only some documents joins its own condition to the query's
before it gets here, so that no count, order or cursor tells of others.

Not here: how documents are found (`query/find.py`), how one query is run often (`prepared`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from crdtstore.crdt.value import Value
from crdtstore.limits import FIND_LIMIT_DEFAULT
from crdtstore.query.cursor import read_cursor, write_cursor
from crdtstore.query.distinct import distinct
from crdtstore.query.find import (
    Document,
    Form,
    Page,
    Query,
    check_page,
    count,
    explain,
    explain_page,
    find,
    matching_rows,
    plan_query,
    show_as,
)
from crdtstore.query.language import language_of, read_order, read_paths
from crdtstore.query.legacy import parse_path
from crdtstore.query.lines import EVERY, find_lines
from crdtstore.query.order import Order
from crdtstore.query.rules import EVERYTHING
from crdtstore.reading import Reading
from crdtstore.storage.log import last_txn
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.query.tree import Node

SECRET_KEY = b"cursor-secret"
SECRET_BYTES = 32


class Found(NamedTuple):
    """What a find gave, the version at which it was read, and the cursor of the next page, if there is one."""

    txn: int
    documents: tuple[Document, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """How many documents matched, and the version at which they were counted."""

    txn: int
    count: int


class Distinct(NamedTuple):
    """Different values, sorted, and the version at which they were read."""

    txn: int
    values: tuple[Value, ...]


class Matching(NamedTuple):
    """Documents that match, while they are found, and the version at which they are read."""

    txn: int
    documents: Iterator[Document]


class JsonLines(NamedTuple):
    """Documents that match as lines of JSON, in pieces, while they are found, and the version that is read."""

    txn: int
    pieces: Iterator[bytes]


class Finding(Reading):
    """A store that can be searched."""

    secret: bytes = b""

    def find(
        self,
        collection: str,
        query: str | Node = "true",
        *,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        order: Sequence[str] | Order = (),
        limit: int = FIND_LIMIT_DEFAULT,
        offset: int = 0,
        cursor: str | None = None,
        fields: Sequence[str] | None = None,
        form: Form = "values",
        at: int | None = None,
        seconds: float = inf,
    ) -> Found:
        """The documents of a collection that a query matches.

        Args:
            collection: Its name; one that does not exist is empty.
            query: A text, or a condition that was read before.
            language: The text's: see `docs/query.md`.
            args: What `$args` names in it.
            order: Paths, each with a minus before it to come from the greatest; by default, and where these are
                equal, documents come in the order of their ids.
            limit: At most this many, up to FIND_LIMIT_MAX.
            offset: After this many.
            cursor: Of the page before, which was asked for with the same query, order and language.
            fields: The paths that are shown; all fields by default.
            form: How fields are shown, if all are: as their values, or under their types.
            at: The version to read; None for the newest.
            seconds: How long it may take.

        Raises:
            QuerySyntaxError: The query or a path cannot be parsed.
            StatementTimeout: It took longer.
            LimitExceeded: `limit` is beyond FIND_LIMIT_MAX, or the page beyond SORTED_DOCUMENTS_MAX.
            InvalidCursor: The cursor is none of this query.
            VersionNotRetained: `at` is neither the newest version nor retained.
        """
        deadline = monotonic() + seconds
        asked = self.read_query(collection, query, language, args, order, limit, offset, cursor, fields, form)
        with self.view(at) as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            txn = last_txn(snapshot)
            if known is None:
                return Found(txn, ())
            page = find(snapshot, catalog, known, asked, deadline)
        return Found(txn, page.documents, self.cursor_behind(collection, asked, page))

    @contextmanager
    def matching(
        self,
        collection: str,
        query: str | Node = "true",
        *,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        limit: int | None = None,
        at: int | None = None,
        seconds: float = inf,
    ) -> Iterator[Matching]:
        """The documents that a query matches, one by one, however many, in bounded memory.

        The snapshot is held until the block ends. Documents may be taken in several threads, in one at a time.

        Args:
            collection: Its name; one that does not exist is empty.
            query: See `find`, and the arguments that are not named here.
            language: The text's.
            args: What `$args` names in it.
            limit: At most this many, the first in the order of their ids; None for all, in whatever order.
            at: The version to read; None for the newest.
            seconds: How long it may take until the last one is found.

        Raises:
            StatementTimeout: It took longer; also while documents are taken.
        """
        check_page(limit or 0, 0)
        deadline = monotonic() + seconds
        node = self.read_condition(collection, query, language, args)
        with self.retained.holding(at) as version:
            catalog = self.names(version.snapshot)
            known = catalog.by_name.get(collection)
            if known is None:
                yield Matching(version.txn, iter(()))
                return
            with version.lock:
                rows = matching_rows(version.snapshot, catalog, known, node, limit, deadline)
            taken = rows if at is None else version.in_turns(rows)
            asked = Query(node, 0, fields=self.rules.fields.get(collection))
            yield Matching(version.txn, (show_as(catalog, known, row, asked) for row in taken))

    @contextmanager
    def find_json_lines(
        self,
        collection: str,
        query: str | Node = "true",
        *,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        order: Sequence[str] | Order = (),
        limit: int | None = None,
        offset: int = 0,
        cursor: str | None = None,
        form: Form = "values",
        at: int | None = None,
        seconds: float = inf,
    ) -> Iterator[JsonLines]:
        """The documents that a query matches as JSON Lines, `{"id": .., "fields": ..}`, however many.

            with store.find_json_lines("cities", "population > 100000", order=["-population"]) as found:
                file.writelines(found.pieces)

        A piece is some 64 KiB of whole lines. Memory is bounded in every order; in one that no index gives, the
        collection is searched once for every SORTED_DOCUMENTS_MAX documents. The snapshot is held until the block
        ends. Pieces may be taken in several threads, in one at a time.

        Args:
            collection: Its name; one that does not exist is empty.
            query: See `find`, and the arguments that are not named here.
            language: The text's.
            args: What `$args` names in it.
            order: As of `find`.
            limit: At most this many; None for all.
            offset: After this many.
            cursor: Of a page of a `find`: what comes behind it.
            form: How fields are shown; the values are much the quickest.
            at: The version to read; None for the newest.
            seconds: How long it may take until the last piece is made.

        Raises:
            QuerySyntaxError: The query or a path cannot be parsed.
            StatementTimeout: It took longer; while pieces are taken.
            InvalidCursor: The cursor is none of this query.
            VersionNotRetained: `at` is neither the newest version nor retained.
        """
        deadline = monotonic() + seconds
        asked = self.read_query(collection, query, language, args, order, 0, offset, cursor, None, form)
        check_page(min(limit or 0, 0), offset)
        asked = replace(asked, limit=EVERY if limit is None else limit)
        with self.retained.holding(at) as version:
            catalog = self.names(version.snapshot)
            known = catalog.by_name.get(collection)
            pieces = find_lines(version.snapshot, catalog, known, asked, deadline) if known else iter(())
            yield JsonLines(version.txn, pieces if at is None else version.in_turns(pieces, 1))

    def explain(
        self,
        collection: str,
        query: str | Node = "true",
        *,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        order: Sequence[str] | Order = (),
        limit: int = FIND_LIMIT_DEFAULT,
        offset: int = 0,
        cursor: str | None = None,
        run: bool = True,
    ) -> dict[str, Any]:
        """How a find would be answered: where it looks, and, if it is run, how much it reads and returns.

        Raises:
            Forbidden: Not all documents of the collection are seen: what it costs tells of others.
        """
        self.rules.check_unruled(collection)
        asked = self.read_query(collection, query, language, args, order, limit, offset, cursor, None, "values")
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            if known is None:
                return {"access": "none", "ordered": True, "cost": 0}
            if run:
                return explain_page(asked.node, find(snapshot, catalog, known, asked))
            return explain(asked.node, plan_query(snapshot, catalog, known, asked))

    def count(
        self,
        collection: str,
        query: str | Node = "true",
        *,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        at: int | None = None,
        seconds: float = inf,
    ) -> Counted:
        """How many documents of a collection a query matches.

        Raises:
            StatementTimeout: It took longer than so many seconds.
        """
        deadline = monotonic() + seconds
        node = self.read_condition(collection, query, language, args)
        with self.view(at) as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            found = count(snapshot, catalog, known, node, deadline) if known else 0
            return Counted(last_txn(snapshot), found)

    def collections(self, *, at: int | None = None) -> tuple[str, ...]:
        """The names of the collections that hold a document, sorted; under rules one that is seen."""
        names = super().collections(at=at)
        if self.rules is EVERYTHING:
            return names
        return tuple(name for name in names if self.shows_some(name, at))

    def shows_some(self, collection: str, at: int | None) -> bool:
        """Whether a document of a collection is seen that holds some."""
        return self.rules.to_read(collection) is None or bool(self.find(collection, limit=1, at=at).documents)

    def distinct(
        self,
        collection: str,
        path: str,
        query: str | Node = "true",
        *,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        at: int | None = None,
    ) -> Distinct:
        """The different values that the documents which match have at a path.

        Raises:
            LimitExceeded: There are more than DISTINCT_VALUES_MAX.
        """
        node = self.read_condition(collection, query, language, args)
        asked = parse_path(path)
        self.rules.check_paths(collection, [asked])
        with self.view(at) as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            values = distinct(snapshot, catalog, known, node, asked) if known else []
            return Distinct(last_txn(snapshot), tuple(values))

    # --- what a caller gives, and gets to go on with ---

    def read_condition(
        self, collection: str, query: str | Node, language: str, args: Mapping[str, Value] | None
    ) -> Node:
        """A query's condition, for the documents of the collection that are seen.

        Raises:
            Forbidden: It asks for a field that is not shown.
        """
        node = self.read_node(query, language, args)
        self.rules.check_node(collection, node)
        return self.rules.seen(collection, node)

    def read_node(self, query: str | Node, language: str, args: Mapping[str, Value] | None) -> Node:
        """A query's condition as it stands, if it is not one already."""
        return language_of(language).read(query, args, self.clock()) if isinstance(query, str) else query

    def read_query(
        self,
        collection: str,
        query: str | Node,
        language: str,
        args: Mapping[str, Value] | None,
        order: Sequence[str] | Order,
        limit: int,
        offset: int,
        cursor: str | None,
        fields: Sequence[str] | None,
        form: Form,
    ) -> Query:
        """All that a find was asked, read and checked."""
        check_page(limit, offset)
        node = self.read_condition(collection, query, language, args)
        sorted_by = order if isinstance(order, Order) else read_order(order, language)
        self.rules.check_paths(collection, (key.path for key in sorted_by.keys))
        shown = self.rules.fields.get(collection)
        asked = Query(node, limit, offset, sorted_by, paths=read_paths(fields), form=form, fields=shown)
        if cursor is None:
            return asked
        return replace(asked, after=read_cursor(self.cursor_secret(), common(collection, asked), cursor))

    def cursor_behind(self, collection: str, asked: Query, page: Page) -> str | None:
        """The cursor of the next page."""
        if page.position is None:
            return None
        return write_cursor(self.cursor_secret(), common(collection, asked), page.position)

    def cursor_secret(self) -> bytes:
        """What this store's cursors are sealed with."""
        if not self.secret:
            self.secret = self.keep_secret()
        return self.secret

    def keep_secret(self) -> bytes:
        """The secret that the store has; one that is only read and has none makes do with what everybody can know.

        A cursor grants nothing: who forges one goes on at a place of his own choice, in what he may read anyway.
        """
        with self.storage.snapshot() as snapshot:
            kept = snapshot.get(Table.KEYS, SECRET_KEY)
        return kept or blake2b(self.sequencer.head.origin, digest_size=SECRET_BYTES).digest()


def common(collection: str, asked: Query) -> bytes:
    """What all pages of one query have in common."""
    return msgspec.msgpack.encode((collection, asked.node, asked.order), order="sorted")
