"""A session is a store as one bearer of a permission sees it: what the HTTP layer holds instead of the store.

Rules: every method asks the permission before it touches the store, so that no route can forget to, and touches it
under the permission's rules. Who may not read a collection reads it as one that is empty, as far as documents are read;
what goes on, tells of the past or says how something is found is refused instead. What may not be written is refused.

Not here: who the bearer is (`api_key`), what the permission means (`permission`); time series (`series_session`),
statements (`statement_session`), the store as a whole (`whole_session`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from crdtstore.attachments.attachments import Attachments
from crdtstore.attachments.fetching import unknown
from crdtstore.auth.series_session import SeriesSession
from crdtstore.auth.statement_session import StatementSession
from crdtstore.auth.whole_session import WholeSession
from crdtstore.command.command import Command
from crdtstore.command.condition import Condition
from crdtstore.command.result import Written
from crdtstore.command.serial import submit_serially
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.value import Value, decode_value
from crdtstore.feed.filter import make_filter
from crdtstore.feed.reader import Reader
from crdtstore.finding import Counted, Found, JsonLines, Matching
from crdtstore.live.observation import Observation
from crdtstore.query.find import Document, Form
from crdtstore.storage.history import History
from crdtstore.timeseries.series import PREFIX as SERIES_PREFIX
from crdtstore.writing import answer


class Session(SeriesSession, StatementSession, WholeSession, frozen=True, eq=False):
    """One store and one permission."""

    @property
    def applied(self) -> int:
        """The newest transaction that reads see; every answer says it, so it is no secret."""
        return self.whole.applied

    @property
    def oldest_readable(self) -> int | None:
        """The oldest version that is retained; None where none but the newest is."""
        return min(self.whole.retained.txns, default=None)

    def submit(
        self,
        commands: Sequence[Command],
        *,
        actor: bytes | None,
        after: int | None = None,
        conditions: Sequence[Condition] = (),
        dry: bool = False,
    ) -> Future[Written]:
        """Write in one transaction, as `Store.submit`.

        Raises:
            Forbidden: The permission does not cover every command, or `actor` is the store's own origin,
                whose name would let a client pass for the store.
        """
        for command in commands:
            self.permission.check("write", command.collection)
        self.check_author(actor)
        return self.store.submit(commands, actor=actor, after=after, conditions=conditions, once=self.once, dry=dry)

    def submit_each(
        self, commands: Sequence[Command], *, actor: bytes | None, after: int | None = None
    ) -> list[Future[Written]]:
        """Write each command in a transaction of its own, in order, until one fails: see `command/serial.py`.

        Raises:
            Forbidden: As `submit`; then none is run.
        """
        for command in commands:
            self.permission.check("write", command.collection)
        self.check_author(actor)
        return submit_serially(partial(self.store.sequence, actor=actor, after=after), commands, answer, self.once)

    def find(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None = None,
        order: Sequence[str] = (),
        limit: int,
        offset: int = 0,
        cursor: str | None = None,
        form: Form = "values",
        at: int | None = None,
    ) -> Found:
        """Find documents, as `Store.find`.

        Raises:
            Forbidden: The events of a series lie there.
        """
        self.permission.check_no_series("read", collection)
        return self.store.find(
            collection,
            query,
            args=args,
            order=order,
            limit=limit,
            offset=offset,
            cursor=cursor,
            form=form,
            at=at,
        )

    def matching(
        self, collection: str, query: str, *, limit: int | None = None, at: int | None = None, seconds: float
    ) -> AbstractContextManager[Matching]:
        """Find documents one by one, as `Store.matching`.

        Raises:
            Forbidden: The events of a series lie there.
        """
        self.permission.check_no_series("read", collection)
        return self.store.matching(collection, query, limit=limit, at=at, seconds=seconds)

    def find_json_lines(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None = None,
        order: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        cursor: str | None = None,
        form: Form = "values",
        at: int | None = None,
        seconds: float,
    ) -> AbstractContextManager[JsonLines]:
        """Find documents as lines, as `Store.find_json_lines`.

        Raises:
            Forbidden: The events of a series lie there.
        """
        self.permission.check_no_series("read", collection)
        return self.store.find_json_lines(
            collection,
            query,
            args=args,
            order=order,
            limit=limit,
            offset=offset,
            cursor=cursor,
            form=form,
            at=at,
            seconds=seconds,
        )

    def collections(self) -> tuple[str, ...]:
        """The names of the collections that hold a document that the permission shows."""
        return tuple(filter(self.may_read, self.store.collections()))

    def count(
        self, collection: str, query: str, *, args: Mapping[str, Value] | None = None, at: int | None = None
    ) -> Counted:
        """Count documents, as `Store.count`.

        Raises:
            Forbidden: The events of a series lie there.
        """
        self.permission.check_no_series("read", collection)
        return self.store.count(collection, query, args=args, at=at)

    def explain(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None = None,
        order: Sequence[str] = (),
        limit: int,
    ) -> dict[str, Any]:
        """Say how documents would be found, as `Store.explain`, without finding them.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.permission.check("read", collection)
        return self.store.explain(collection, query, args=args, order=order, limit=limit, run=False)

    def get(
        self, collection: str, identifier: Value, *, form: Form = "values", at: int | None = None
    ) -> Document | None:
        """Read one document, as `Store.get`.

        Raises:
            Forbidden: The events of a series lie there.
        """
        self.permission.check_no_series("read", collection)
        return self.store.get(collection, identifier, form=form, at=at)

    def get_json(self, collection: str, identifier: Value) -> bytes | None:
        """Read the fields of one document, as `Store.get_json`.

        Raises:
            Forbidden: The events of a series lie there.
        """
        self.permission.check_no_series("read", collection)
        return self.store.get_json(collection, identifier)

    def get_with_digest(
        self, collection: str, identifier: Value, *, form: Form = "values", at: int | None = None
    ) -> tuple[Document | None, bytes, int]:
        """Read one document and its digest, as `Store.get_with_digest`.

        Raises:
            Forbidden: The events of a series lie there.
        """
        self.permission.check_no_series("read", collection)
        return self.store.get_with_digest(collection, identifier, form=form, at=at)

    def history(self, collection: str, identifier: Value, *, before: int | None, limit: int) -> History:
        """Read what was done to a document, as `Store.history`.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.permission.check("read", collection)
        return self.store.history(collection, identifier, before=before, limit=limit)

    def follow(
        self, collections: Collection[str] | None, query: str | None, language: str, since: int | None, *, images: bool
    ) -> Reader:
        """Read what becomes of documents, as `Feed.open`; the caller closes the reader.

        Args:
            collections: Whose documents; None for all, but for events of series.
            query: A condition; None for none.
            language: Its language.
            since: Behind which transaction; None for the newest.
            images: Whether events without images are of no use.

        Raises:
            Forbidden: The permission does not cover every collection that is named, or, where none is, the whole store.
        """
        if collections is None:
            self.permission.check_scope("read", None)
        for collection in collections or ():
            self.permission.check("read", collection)
        node = None if query is None else self.store.read_node(query, language, None)
        # Expired events lie in the collections of series: they are read as series only.
        rules = self.store.rules.narrow(collections or ())
        told = make_filter(collections, node, rules, SERIES_PREFIX)
        return self.store.feed.open(told, since, images=images)

    def observe(
        self,
        collection: str,
        query: str,
        *,
        language: str,
        args: Mapping[str, Value] | None,
        order: Sequence[str],
        limit: int,
        offset: int,
        fields: Sequence[str] | None,
        form: Form,
    ) -> Observation:
        """Observe a query, as `Store.observe`.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.permission.check("read", collection)
        return self.store.observe(
            collection,
            query,
            language=language,
            args=args,
            order=order,
            limit=limit,
            offset=offset,
            fields=fields,
            form=form,
        )

    def for_putting(self) -> Attachments:
        """Give the attachments to put a file.

        Raises:
            Forbidden: The permission lets nothing be written: nobody could refer to the file.
        """
        self.permission.check_some("write")
        return self.whole.attachments

    def for_attachment(self, id: str, collection: str | None, document: Value) -> tuple[Attachments, int | None]:
        """Give the attachments to read one file, and how long a token says that it is, if one was named.

        Args:
            id: The file's.
            collection: Of a document that refers to it; None for a caller who may read the whole store.
            document: The id of that document.

        Raises:
            Forbidden: No collection is named, and the permission does not cover reading the whole store.
            UnknownAttachment: The document does not refer to it, is not there, or may not be read: it is not told
                which, nor whether there is such a file.
        """
        if collection is None:
            self.permission.check_scope("read", None)
            return self.whole.attachments, None
        if not self.may_read(collection) or self.get(collection, document) is None:
            raise unknown(id)
        cells = (cell.value for cell in self.store.cells(collection, document) if cell.type == CellType.ATTACHMENT)
        lengths = [token["len"] for token in map(decode_value, cells) if isinstance(token, dict) and token["id"] == id]
        if not lengths:
            raise unknown(id)
        return self.whole.attachments, max(lengths)

    def notify(self, collections: Iterable[str], txn: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Be told when a transaction is applied, on behalf of a read of `collections`, as `Store.notify`.

        Raises:
            Forbidden: The events of a series lie in one of them.
            Overloaded: Too many reads wait.
        """
        for collection in collections:
            self.permission.check_no_series("read", collection)
        return self.whole.notify(txn, callback)
