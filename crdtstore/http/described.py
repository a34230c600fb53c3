"""What a route says of itself, beside what the server needs: the documents of the API are made of it.

Rules: a type here says what a body looks like and is not called; where an endpoint reads a body as a type, it is that
one. The summary of a route is the first line of its endpoint's docstring, or stands here. Examples are requests that
are answered well in the order of the table, on an empty store; a test sends them.

Not here: how a document is written (`crdtstore.http.openapi`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from crdtstore import errors

Errors: TypeAlias = tuple[type[errors.CrdtStoreError], ...]


class Kind(NamedTuple):
    """What many routes have in common: the headers that they read, and the errors that they may answer."""

    headers: tuple[str, ...]
    errors: Errors
    writes: bool = False


PLAIN: Final = Kind((), ())
"""It reads no headers of ours."""

READING: Final = Kind(
    ("X-DITTO-TXN-ID", "X-CRDTSTORE-AT", "Prefer", "X-DITTO-CLIENT-ID"),
    (errors.NotFound, errors.VersionNotAvailable, errors.VersionNotRetained, errors.StatementTimeout),
)
"""It reads documents: it may wait for a transaction, or read the past."""

WRITING: Final = Kind(
    ("X-DITTO-CLIENT-ID", "X-DITTO-TXN-ID", "Idempotency-Key"),
    (
        errors.VersionNotAvailable,
        errors.DocumentBuried,
        errors.ClockBehind,
        errors.IdempotencyConflict,
        errors.StoreFull,
    ),
    writes=True,
)
"""It writes documents: a transaction that it names must be applied."""

STATEMENTS: Final = Kind(
    (*READING.headers, "Idempotency-Key"),
    (*READING.errors, *WRITING.errors, errors.IdConflict, errors.IndexExists),
)
"""It does either, by what it is sent."""


class Described(NamedTuple):
    """One line of a route table: what the route takes and gives.

    A type is one that msgspec knows, mostly a `Struct`; a tuple of types is any of them; None is a body that no type
    describes. Where an answer is lines, it is the type of each.
    """

    takes: Any = None
    gives: Any = None
    kind: Kind = PLAIN
    arguments: Any = None
    """A `Struct` whose fields are the names of the query string."""

    errors: Errors = ()
    """Those that it may answer beside those of its kind, and of all routes."""

    media_type: bytes | None = None
    """Of a good answer, where it is none of the route's."""

    status: int = 200
    """Of a good answer."""

    example: Any = None
    """A body that it takes."""

    summary: str = ""
    """What it does, where the endpoint's docstring does not say it."""

    headers: tuple[str, ...] = ()
    """Those that it reads beside those of its kind."""

    line: Any = None
    """What stands in a line, where it answers with lines to who wants them."""


UNDESCRIBED: Final = Described()
