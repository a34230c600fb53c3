"""Errors in a document: their bodies as types, and which ones a route may answer, by status.

Rules: what every request meets on its way stands here, the rest in the description of a route. Statuses and texts are
those of `crdtstore.http.faults` and `crdtstore.errors`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from crdtstore import errors
from crdtstore.http.described import Described, Errors
from crdtstore.http.faults import LIMIT_STATUSES, STATUSES
from crdtstore.http.route import ErrorForm
from crdtstore.http.store.answers import StatementAnswer

EVERYWHERE: Final[Errors] = (
    errors.CallerError,
    errors.MalformedRequest,
    errors.Unauthenticated,
    errors.Forbidden,
    errors.LimitExceeded,
    errors.Overloaded,
    errors.CrdtStoreError,
    errors.StoreClosed,
    errors.UnsupportedMediaType,
)
"""What a request may meet before its endpoint, or in any."""

LIMITS_EVERYWHERE: Final = frozenset({400, 408, 413, 414, 431})
"""Statuses of bounds that every request has."""


class Code(msgspec.Struct):
    """What a program would want to know of an error: its stable name, and more by that name."""

    code: str


class Fault(msgspec.Struct):
    """An error: the status, a text for people, and what it carries."""

    code: int
    message: str
    data: Code


class FaultAnswer(msgspec.Struct):
    """An error; its text stands in it twice, because clients look in either place."""

    message: str
    error: Fault


class ErrorAnswer(msgspec.Struct):
    """An error."""

    error: Fault


class MessageAnswer(msgspec.Struct):
    """An error as its text alone."""

    message: str


class Problem(msgspec.Struct):
    """An error as problem details (RFC 9457), for who asks for them."""

    type: str
    title: str
    status: int
    detail: str


FORM_TYPES: Final[dict[ErrorForm, Any]] = {
    "both": FaultAnswer,
    "error": ErrorAnswer,
    "login": ErrorAnswer,
    "message": MessageAnswer,
    "statement": StatementAnswer,
    "problem": Problem,
}
TYPES: Final = tuple(FORM_TYPES.values())


def faults_of(described: Described) -> dict[int, list[str]]:
    """What a route may answer beside good answers: statuses in order, and what each means."""
    found: dict[int, list[str]] = {}
    for kind in dict.fromkeys((*EVERYWHERE, *described.kind.errors, *described.errors)):
        for status in statuses_of(kind):
            found.setdefault(status, []).append(meaning_of(kind))
    return dict(sorted(found.items()))


def statuses_of(kind: type[errors.CrdtStoreError]) -> list[int]:
    """The statuses of an error; that of a bound depends on the bound."""
    if kind is errors.LimitExceeded:
        return sorted(LIMITS_EVERYWHERE & {STATUSES[kind], *LIMIT_STATUSES.values()})
    return [STATUSES[kind]]


def meaning_of(kind: type[errors.CrdtStoreError]) -> str:
    """The name of an error, and when it is raised."""
    return f"`{kind.code}`: {(kind.__doc__ or '').partition(chr(10))[0]}"
