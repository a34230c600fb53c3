"""Observing a query on a server: what `Store.observe` tells, over HTTP.

Rules: events are read as they come, one at a time; the rows are kept here and made anew of each difference. It ends
when the server stops. The connection is closed at the end, since what was not read would be the next call's answer.

Not here: coming back, the server's side (`crdtstore/http/store/live`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from crdtstore.client.blocking import DocumentBody, decode, document_of, error_of
from crdtstore.live.difference import Difference, Move, Placed, apply

if TYPE_CHECKING:
    from crdtstore.client.blocking import Client
    from crdtstore.query.find import Document

ROUTE: Final = "/api/v5/store/live"


class Seen(NamedTuple):
    """What was told: the rows at a transaction, and what led to them; None in what is told first."""

    txn: int
    rows: list[Document]
    difference: Difference | None


class RowsBody(msgspec.Struct, frozen=True, rename="camel"):
    """The event `rows`."""

    documents: tuple[DocumentBody, ...]
    txn_id: int


class PlacedBody(msgspec.Struct, frozen=True):
    """A document and its place."""

    index: int
    document: DocumentBody


class MoveBody(msgspec.Struct, frozen=True):
    """Where a row was, and where it is."""

    source: int = msgspec.field(name="from")
    target: int = msgspec.field(name="to")


class DiffBody(msgspec.Struct, frozen=True, rename="camel"):
    """The event `diff`."""

    deletions: tuple[int, ...]
    insertions: tuple[PlacedBody, ...]
    updates: tuple[PlacedBody, ...]
    moves: tuple[MoveBody, ...]
    txn_id: int


class CutBody(msgspec.Struct, frozen=True):
    """The event `cut`."""

    code: str = ""
    message: str = ""


def observe(client: Client, asked: Mapping[str, Any]) -> Iterator[Seen]:
    """Observe a query, until the server stops or the caller does.

    Args:
        client: With a key that may read the collection.
        asked: The body: see `docs/http-live.md`.

    Raises:
        CrdtStoreError: What the server refused, or what the query broke at.
        OSError: The network failed.
    """
    rows: list[Document] = []
    try:
        for name, data in events(client, msgspec.json.encode(asked)):
            if name == b"cut":
                check_cut(data)
                return
            if name == b"rows":
                told = decode(data, RowsBody)
                rows = list(map(document_of, told.documents))
                yield Seen(told.txn_id, rows, None)
            elif name == b"diff":
                changed = decode(data, DiffBody)
                led = difference_of(changed)
                rows = apply(rows, led)
                yield Seen(changed.txn_id, rows, led)
    finally:
        client.connection.close()


def events(client: Client, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names and data of Server-Sent Events, as they come."""
    try:
        response = client.connection.send("POST", ROUTE, body, client.headers)
        if response.status != 200:
            raise error_of(response.status, response.read())
        name = b""
        for line in response:
            field, _, text = line.rstrip(b"\n").partition(b": ")
            if field == b"event":
                name = text
            elif field == b"data":
                yield name, text
    except HTTPException as error:
        raise ConnectionError(f"The server's answer is not HTTP: {error!r}.") from error


def check_cut(data: bytes) -> None:
    """Raise what a query broke at, unless the server just stops."""
    cut = decode(data, CutBody)
    if cut.code:
        raise error_of(200, msgspec.json.encode({"error": {"message": cut.message, "data": {"code": cut.code}}}))


def difference_of(body: DiffBody) -> Difference:
    """Read a difference."""
    return Difference(
        body.deletions,
        tuple(placed_of(body.insertions)),
        tuple(placed_of(body.updates)),
        tuple(Move(move.source, move.target) for move in body.moves),
    )


def placed_of(bodies: Iterable[PlacedBody]) -> Iterator[Placed]:
    """Read documents with their places."""
    return (Placed(body.index, document_of(body.document)) for body in bodies)
