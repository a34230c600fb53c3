"""The blocking client: the store API over one kept connection.

Rules:

- Names, values and errors are those of `Store`; an error is rebuilt from its code in the answer.
- A server closes idle connections, and it may do so at any moment. A read that meets such a connection is
  sent once more on a new one. A write is never sent twice, since nobody knows what became of the first.
- What the network does to a call is an `OSError`: nothing was answered, and a write may or may not have
  happened.

Not here: waiting without a thread, pools of connections. One client serves one thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any, Final, Self, TypeVar

import msgspec

from crdtstore import errors, limits
from crdtstore.client.connection import Connection
from crdtstore.command.result import Removed, Result, Updated, Upserted, Written
from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.value import Value
from crdtstore.finding import Found
from crdtstore.query.find import Document
from crdtstore.statement.answer import Executed
from crdtstore.storage.stats import Stats

Body = TypeVar("Body")

SECONDS_DEFAULT: Final = 30.0
"""Well above the time that a server lets a read wait."""

STORE: Final = "/api/v3/store/"
"""What the routes of the store API begin with."""

EXECUTE: Final = "/api/v5/store/execute"
"""The route of statements, of the newest version of their language."""

CLOSED: Final = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
"""What a connection says that the server closed while it was idle."""


class DocumentBody(msgspec.Struct, frozen=True):
    """A document as it is sent; its fields stay the bytes that they are."""

    id: Any
    fields: msgspec.Raw


class FindBody(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a find."""

    documents: tuple[DocumentBody, ...]
    txn_id: int


class FindByIdBody(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a findbyid."""

    txn_id: int
    document: DocumentBody | None = None


class ResultBody(msgspec.Struct, frozen=True, rename="camel"):
    """One result of a write; which fields it has depends on its method."""

    method: str
    transaction_id: int
    id: Any = None
    updated: int = 0
    error: int = 0
    deleted: int = 0
    permission_denied: int = 0


class WriteBody(msgspec.Struct, frozen=True):
    """The answer to a write."""

    results: tuple[ResultBody, ...]
    warnings: tuple[str, ...] = ()


class WarningBody(msgspec.Struct, frozen=True):
    """What a statement warns of."""

    description: str


class ExecutedBody(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a statement; its rows stay the bytes that they are."""

    transaction_id: int
    query_type: str
    items: tuple[msgspec.Raw, ...]
    mutated_document_ids: tuple[Any, ...]
    warnings: tuple[WarningBody, ...]


class ExecutedTogetherBody(msgspec.Struct, frozen=True):
    """The answer to statements that are one transaction."""

    results: tuple[ExecutedBody, ...]


class Fault(msgspec.Struct, frozen=True):
    """The error in an answer; that of a statement calls its message so."""

    message: str = ""
    description: str = ""
    data: dict[str, Any] = {}


class FaultBody(msgspec.Struct, frozen=True):
    """The answer to a call that failed."""

    error: Fault


class Client:
    """One author's connection to one server."""

    def __init__(self, url: str, key: str, actor: bytes, *, seconds: float = SECONDS_DEFAULT) -> None:
        """Make a client; it connects with the first call.

        Args:
            url: Where the server is; see `Connection`.
            key: The API key.
            actor: The 16 bytes of the author of this client's writes. Make them once and keep them.
            seconds: How long the network may be silent during a call.

        Raises:
            ValueError: The URL is not one of HTTP.
        """
        self.connection = Connection(url, seconds)
        self.headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "X-DITTO-CLIENT-ID": format_actor(actor),
        }

    def __enter__(self) -> Self:
        """Use the client in a `with` block, which closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close the connection; another call would open a new one."""
        self.connection.close()

    def write(self, commands: Sequence[Mapping[str, Any]], *, after: int | None = None) -> Written:
        """Write in one transaction and return when it is on the server's disk.

        Args:
            commands: The commands as the API has them, each with its `method`.
            after: A transaction without which nothing is to be written.

        Raises:
            CrdtStoreError: What the server refused, as `Store.write`.
            OSError: The network failed; the write may or may not have happened.
        """
        body = self.call(STORE + "write", {"commands": commands}, WriteBody, after, again=False)
        txn = max((result.transaction_id for result in body.results), default=0)
        return Written(txn, tuple(map(result_of, body.results)), body.warnings)

    def find(
        self,
        collection: str,
        query: str = "true",
        *,
        args: Mapping[str, Value] | None = None,
        limit: int = limits.FIND_LIMIT_DEFAULT,
        offset: int = 0,
        after: int | None = None,
        at: int | None = None,
    ) -> Found:
        """Find the documents that a query matches.

        Args:
            collection: Where to look.
            query: The query.
            args: Values for the query's `$args`.
            limit: The most documents to return.
            offset: How many matching documents to leave out before them.
            after: A transaction that the read must reflect; the server waits for it.
            at: The version to read; None for the newest.

        Raises:
            CrdtStoreError: What the server refused, as `Store.find`.
            VersionNotAvailable: The server waited for `after` in vain.
            OSError: The network failed.
        """
        asked = {"collection": collection, "query": query, "args": args, "limit": limit, "offset": offset}
        body = self.call(STORE + "find", asked, FindBody, after, at, again=True)
        return Found(body.txn_id, tuple(map(document_of, body.documents)))

    def get(self, collection: str, id: Value, *, after: int | None = None, at: int | None = None) -> Document | None:
        """Read one document; None if there is none.

        Args:
            collection: Where it is.
            id: Its `_id`.
            after: A transaction that the read must reflect; the server waits for it.
            at: The version to read; None for the newest.

        Raises:
            CrdtStoreError: What the server refused, as `Store.get`.
            VersionNotAvailable: The server waited for `after` in vain.
            OSError: The network failed.
        """
        asked = {"collection": collection, "id": id}
        body = self.call(STORE + "findbyid", asked, FindByIdBody, after, at, again=True)
        return None if body.document is None else document_of(body.document)

    def execute(
        self,
        statement: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        after: int | None = None,
        at: int | None = None,
    ) -> Executed:
        """Run a statement of DQL.

        Args:
            statement: Its text.
            parameters: What `:name` stands for in it.
            after: A transaction that a read must reflect, or without which nothing is to be written.
            at: The version to read; None for the newest.

        Raises:
            CrdtStoreError: What the server refused, as `Store.execute`.
            OSError: The network failed; what was to be written may or may not have been.
        """
        asked = {"statement": statement, "args": parameters}
        return executed_of(self.call(EXECUTE, asked, ExecutedBody, after, at, again=False))

    def execute_together(
        self, statements: Sequence[str], parameters: Mapping[str, Value] | None = None, *, after: int | None = None
    ) -> tuple[Executed, ...]:
        """Run statements as one transaction, all or none, as `Store.execute_together`.

        Raises:
            CrdtStoreError: What the server refused; nothing was written.
            OSError: The network failed; all or nothing was written.
        """
        asked = {"statements": statements, "args": parameters}
        body = self.call(EXECUTE, asked, ExecutedTogetherBody, after, again=False)
        return tuple(map(executed_of, body.results))

    def stats(self) -> Stats:
        """Say what the server's store holds.

        Raises:
            Forbidden: The key may not do everything.
            CrdtStoreError: What else the server refused.
            OSError: The network failed.
        """
        return self.call("/admin/stats", None, Stats, None, again=True)

    def call(
        self,
        route: str,
        asked: dict[str, Any] | None,
        kind: type[Body],
        after: int | None,
        at: int | None = None,
        *,
        again: bool,
        method: str | None = None,
    ) -> Body:
        """Send a call and read its answer.

        Args:
            route: The path of the route.
            asked: The body, if there is one.
            kind: What the answer is read as.
            after: What `X-DITTO-TXN-ID` says, if anything.
            at: What `X-CRDTSTORE-AT` says, if anything.
            again: Whether it may be sent twice.
            method: Of the request; by default it is a POST if it has a body, else a GET.
        """
        versions = {"X-DITTO-TXN-ID": after, "X-CRDTSTORE-AT": at}
        headers = self.headers | {name: str(txn) for name, txn in versions.items() if txn is not None}
        body = None if asked is None else msgspec.json.encode(asked)
        method = method or ("GET" if body is None else "POST")
        used = self.connection.still_open()
        try:
            try:
                response = self.connection.send(method, route, body, headers)
            except CLOSED:
                if not (used and again):
                    raise
                self.connection.close()
                response = self.connection.send(method, route, body, headers)
            answer = response.read()
        except HTTPException as error:
            self.connection.close()
            raise ConnectionError(f"The server's answer is not HTTP: {error!r}.") from error
        except BaseException:
            # An answer that was not read to its end would be taken for that of the next call.
            self.connection.close()
            raise
        if response.status != 200:
            raise error_of(response.status, answer)
        return decode(answer, kind)


def result_of(body: ResultBody) -> Result:
    """Read one result of a write."""
    if body.method == "update":
        return Updated(body.updated, body.error, body.permission_denied)
    if body.method == "remove":
        return Removed(body.deleted, body.permission_denied)
    return Upserted(body.id)


def executed_of(body: ExecutedBody) -> Executed:
    """Read the answer to a statement."""
    rows, warnings = tuple(map(bytes, body.items)), tuple(warning.description for warning in body.warnings)
    return Executed(body.transaction_id, rows, body.mutated_document_ids, warnings, body.query_type == "mutation")


def document_of(body: DocumentBody) -> Document:
    """Read a document."""
    return Document(body.id, bytes(body.fields))


def decode(answer: bytes, kind: type[Body]) -> Body:
    """Read an answer.

    Raises:
        ConnectionError: It is not one of this API: something else answers at this URL.
    """
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.MsgspecError as error:
        raise ConnectionError(f"The server's answer is not one of this API: {error}.") from None


def error_of(status: int, answer: bytes) -> Exception:
    """Rebuild the error that an answer tells of.

    A code that this version does not know becomes the root of the tree; an answer without one, such as a
    proxy's, becomes a `ConnectionError`.
    """
    try:
        fault = msgspec.json.decode(answer, type=FaultBody).error
        data, message = dict(fault.data), fault.message or fault.description
    except msgspec.MsgspecError:
        message = ""
    if not message:
        return ConnectionError(f"The server answered {status} with {answer[:200]!r}.")
    kind = KINDS.get(data.pop("code", ""), errors.CrdtStoreError)
    # Not through the class: some build their message themselves, from values that are not all in the answer.
    error = kind.__new__(kind, message)
    error.message, error.data = message, data
    if isinstance(error, errors.VersionNotAvailable):
        error.asked, error.applied = data.get("asked", 0), data.get("applied", 0)
    return error


def tree(kind: type[errors.CrdtStoreError]) -> list[type[errors.CrdtStoreError]]:
    """List an error and everything below it."""
    return [kind, *(lower for below in kind.__subclasses__() for lower in tree(below))]


KINDS: Final = {kind.code: kind for kind in tree(errors.CrdtStoreError)}
