"""Errors on the wire: one table from the type of an error to its status, a few forms of body.

Rules:

- A route says in which form its errors are written; unless it says otherwise the body satisfies both documented
  ones: `message` alone, and an `error` object with `code` (the status), `message` and `data`. `data.code` is the
  stable name of the error; the rest of `data` is what it carries.
- A bound on one part of a request has the status that HTTP knows for that part; `LIMIT_STATUSES` names them.
- What the machine or its operator must mend is told to the operator, in the log. The caller gets a neutral
  text: messages of these errors may name files, tables and processes.
- An error that nobody foresaw is a 500 that tells nothing. Its traceback stands in the log and nowhere else.

Not here: which error is raised when (`crdtstore.errors`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from typing import Any, Final

from crdtstore import errors
from crdtstore.http.request import JSON
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import ErrorForm

logger = logging.getLogger(__name__)

STATUSES: Final[dict[type[errors.CrdtStoreError], int]] = {
    errors.CrdtStoreError: 500,
    errors.CallerError: 400,
    errors.MalformedRequest: 400,
    errors.MalformedJson: 400,
    errors.MalformedClientId: 400,
    errors.QuerySyntaxError: 400,
    errors.InvalidQuery: 400,
    errors.InvalidCursor: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.UnsupportedPermission: 400,
    errors.NotFound: 404,
    errors.UnknownAttachment: 404,
    errors.UploadConflict: 409,
    errors.RangeNotSatisfiable: 416,
    errors.InvalidIndex: 400,
    errors.IndexExists: 409,
    errors.UnknownIndex: 404,
    errors.VersionNotRetained: 410,
    errors.MethodNotAllowed: 405,
    errors.UnsupportedMediaType: 415,
    errors.InvalidDocument: 400,
    errors.InvalidId: 400,
    errors.InvalidValue: 400,
    errors.TypeConflict: 400,
    errors.DocumentBuried: 409,
    errors.OutsideScope: 400,
    errors.IdConflict: 409,
    errors.PreconditionFailed: 412,
    errors.IdempotencyConflict: 422,
    errors.StatementTimeout: 408,
    errors.LimitExceeded: 413,
    errors.RetryLater: 503,
    errors.VersionNotAvailable: 404,
    errors.Overloaded: 429,
    errors.ProviderFailed: 502,
    errors.ClockBehind: 503,
    errors.StoreError: 500,
    errors.StoreClosed: 503,
    errors.StoreLocked: 500,
    errors.StoreReadOnly: 500,
    errors.StoreFull: 507,
    errors.StoreFenced: 500,
    errors.NotAStore: 500,
    errors.NotRestored: 500,
    errors.NotRecovered: 500,
    errors.FormatTooNew: 500,
    errors.Corrupted: 500,
    errors.ForkedProcess: 500,
    errors.ReplicationError: 409,
    errors.MalformedRecord: 400,
    errors.MalformedMessage: 400,
    errors.DamagedFile: 400,
    errors.PositionGap: 409,
    errors.NotCausal: 409,
    errors.RecordAhead: 409,
    errors.FeedCut: 410,
    errors.LogTrimmed: 410,
    errors.ScopeMismatch: 409,
    errors.PeerUnreachable: 502,
    errors.Divergence: 409,
    errors.Quarantined: 409,
}

LIMIT_STATUSES: Final = {
    "APPS_MAX": 429,
    "BODY_BYTES_MAX": 413,
    "BODY_SECONDS_MAX": 408,
    "COLLECTION_BYTES_MAX": 400,
    "DEPTH_MAX": 400,
    "DISTINCT_BYTES_MAX": 400,
    "DISTINCT_PATHS_MAX": 400,
    "DISTINCT_VALUES_MAX": 400,
    "DOCUMENT_KEYS_MAX": 400,
    "FIND_LIMIT_MAX": 400,
    "HISTORY_LIMIT_MAX": 400,
    "HEADERS_MAX": 431,
    "HEADER_BYTES_MAX": 431,
    "HEAD_SECONDS_MAX": 408,
    "ID_BYTES_MAX": 400,
    "JSON_DEPTH_MAX": 400,
    "PATH_BYTES_MAX": 400,
    "PERMISSION_COLLECTIONS_MAX": 400,
    "QUERY_BYTES_MAX": 400,
    "QUERY_DEPTH_MAX": 400,
    "QUERY_NODES_MAX": 400,
    "REPLICAS_MAX": 429,
    "SEARCH_REPEATS_MAX": 400,
    "SORTED_DOCUMENTS_MAX": 400,
    "STATEMENT_EXAMINED_MAX": 400,
    "STATEMENT_ROWS_MAX": 400,
    "TARGET_BYTES_MAX": 414,
}
"""Bounds that are not answered 413."""

UNEXPECTED: Final = "Something went wrong inside the server; its log says what."
CLOSED: Final = "The store is closed; the server is stopping or about to start again."
FULL: Final = "The store's disk is full; it takes no writes, reads go on."
READ_ONLY: Final = "The store is served read-only."
NEUTRAL: Final[dict[type[errors.CrdtStoreError], str]] = {
    errors.StoreClosed: CLOSED,
    errors.StoreFull: FULL,
    errors.StoreReadOnly: READ_ONLY,
}
"""What a caller is told of errors that are the operator's; all others of them are `UNEXPECTED`."""

CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="crdtstore"'),)


def status_of(error: errors.CrdtStoreError) -> int:
    """Choose the status of an error; a type without a row has that of its nearest ancestor."""
    if isinstance(error, errors.LimitExceeded):
        return LIMIT_STATUSES.get(error.data["limit"], STATUSES[errors.LimitExceeded])
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def answer_to(error: errors.CrdtStoreError, form: ErrorForm = "both") -> Answer:
    """Write a typed error as an answer; those of the operator are logged."""
    status = status_of(error)
    if isinstance(error, errors.StoreError) or (status >= 500 and not error.retryable):
        logger.error("%s: %s", error.code, error.message)
        text = next((NEUTRAL[kind] for kind in type(error).__mro__ if kind in NEUTRAL), UNEXPECTED)
        return written(form, status, text, {"code": error.code}, headers_of(status, error))
    return written(form, status, error.message, {**error.data, "code": error.code}, headers_of(status, error))


def answer_to_unexpected(method: str, path: str, error: Exception, form: ErrorForm = "both") -> Answer:
    """Write an error that nobody foresaw as an answer, and log it with its traceback."""
    logger.error("%s %.200r failed", method, path, exc_info=error)
    return written(form, 500, UNEXPECTED, {"code": errors.CrdtStoreError.code})


def written(
    form: ErrorForm, status: int, message: str, data: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    """Write an error in a form."""
    if form == "login" and status == 405:
        return Answer(status, OTHER_METHOD, headers=headers, media_type=TEXT)
    media_type = PROBLEM if form == "problem" else JSON.media_type
    return Answer(status, FORMS[form](status, message, data), headers=headers, media_type=media_type)


def in_both(status: int, message: str, data: dict[str, Any]) -> bytes:
    """Both documented forms at once."""
    return encode({"message": message, "error": {"code": status, "message": message, "data": data}})


def in_error(status: int, message: str, data: dict[str, Any]) -> bytes:
    """A single key `error`, as the first version documents it."""
    return encode({"error": {"code": status, "message": message, "data": data}})


def in_message(_status: int, message: str, _data: dict[str, Any]) -> bytes:
    """The message alone."""
    return encode({"message": message})


def in_statement(status: int, message: str, data: dict[str, Any]) -> bytes:
    """The answer to a statement, which has the same shape whatever came of it."""
    described = {"description": data.get("description", message), "code": status, "data": data}
    empty: dict[str, list[Any]] = {"items": [], "mutatedDocumentIds": [], "warnings": []}
    return encode({"queryType": "unknown", **empty, "error": described, "totalWarningsCount": 0})


def in_problem(status: int, message: str, data: dict[str, Any]) -> bytes:
    """Problem details (RFC 9457), for who asks for them; what an error carries stands beside their members."""
    code = data["code"]
    title = code.replace("-", " ").capitalize()
    members = {"type": f"urn:crdtstore:error:{code}", "title": title, "status": status, "detail": message}
    return encode({**data, **members})


PROBLEM: Final = b"application/problem+json"
TEXT: Final = b"text/plain; charset=utf-8"
OTHER_METHOD: Final = b"HTTP method not allowed"
"""What is said, word by word, to who does not post to a login."""

FORMS: Final[dict[ErrorForm, Callable[[int, str, dict[str, Any]], bytes]]] = {
    "both": in_both,
    "error": in_error,
    "message": in_message,
    "login": in_error,
    "statement": in_statement,
    "problem": in_problem,
}


def headers_of(status: int, error: errors.CrdtStoreError) -> tuple[tuple[bytes, bytes], ...]:
    """Choose the headers that HTTP wants beside some statuses."""
    if status == 401:
        return CHALLENGE
    if status == 405:
        return ((b"allow", ", ".join(error.data.get("allow", ())).encode("ascii")),)
    if status == 416:
        return ((b"content-range", b"bytes */%d" % error.data.get("len", 0)),)
    if status in {429, 503}:
        return ((b"retry-after", b"%d" % ceil(error.data.get("retry_after_seconds", 1))),)
    return ()
