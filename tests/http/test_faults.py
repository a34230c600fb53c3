"""The table of errors: every error has a row, and its answer has the documented form.

Rules: the table is compared with the tree of `errors.py`, so that neither can grow alone.
"""

from __future__ import annotations

import json
import logging

import pytest

from crdtstore import errors, limits
from crdtstore.client.blocking import error_of, tree
from crdtstore.http.faults import (
    LIMIT_STATUSES,
    STATUSES,
    UNEXPECTED,
    answer_to,
    answer_to_unexpected,
    status_of,
)

ERRORS = tree(errors.CrdtStoreError)


def make(kind: type[errors.CrdtStoreError]) -> errors.CrdtStoreError:
    """Make an error of any class, with a message that must not be taken for another."""
    if kind is errors.VersionNotAvailable:
        return errors.VersionNotAvailable(7, 3)
    if kind is errors.VersionNotRetained:
        return errors.VersionNotRetained(7, 9, 9)
    if kind is errors.Corrupted:
        return errors.Corrupted("documents", b"\x01\x02", "secret detail")
    if kind is errors.LimitExceeded:
        return errors.LimitExceeded("Too much: secret detail.", limit="COMMANDS_MAX", value=2, maximum=1)
    return kind("What went wrong: secret detail.", place="here")


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    assert set(STATUSES) == set(ERRORS)


@pytest.mark.parametrize("kind", ERRORS)
def test_the_status_is_the_one_that_the_error_hints_at(kind: type[errors.CrdtStoreError]) -> None:
    assert STATUSES[kind] == kind.status


@pytest.mark.parametrize("kind", ERRORS)
def test_the_body_satisfies_both_documented_forms(kind: type[errors.CrdtStoreError]) -> None:
    error = make(kind)
    answer = answer_to(error)
    body = json.loads(answer.body)
    assert set(body) == {"message", "error"}
    assert set(body["error"]) == {"code", "message", "data"}
    assert body["message"] == body["error"]["message"]
    assert body["error"]["code"] == answer.status == status_of(error)
    assert body["error"]["data"]["code"] == kind.code


@pytest.mark.parametrize("kind", ERRORS)
def test_what_the_operator_must_mend_is_told_to_the_log_alone(
    kind: type[errors.CrdtStoreError], caplog: pytest.LogCaptureFixture
) -> None:
    error = make(kind)
    body = answer_to(error).body.decode()
    if issubclass(kind, errors.StoreError) or kind is errors.CrdtStoreError:
        assert "secret detail" not in body
        assert json.loads(body)["error"]["data"] == {"code": kind.code}
        assert error.message in caplog.text
    else:
        assert error.message in json.loads(body)["message"]
        assert not caplog.records


@pytest.mark.parametrize("kind", ERRORS)
def test_a_client_gets_the_same_error_back(kind: type[errors.CrdtStoreError]) -> None:
    error = make(kind)
    answer = answer_to(error)
    rebuilt = error_of(answer.status, answer.body)
    assert type(rebuilt) is kind
    if not isinstance(error, errors.StoreError) and kind is not errors.CrdtStoreError:
        assert (str(rebuilt), rebuilt.__dict__) == (str(error), error.__dict__)


def test_a_class_without_a_row_is_answered_as_its_base() -> None:
    class Strange(errors.InvalidId):
        """Made by a later version."""

        code = "strange"

    assert answer_to(Strange("Strange.")).status == 400


@pytest.mark.parametrize(("limit", "status"), [*LIMIT_STATUSES.items(), ("COMMANDS_MAX", 413), ("NEW_MAX", 413)])
def test_a_bound_has_the_status_of_its_part(limit: str, status: int) -> None:
    error = errors.LimitExceeded("Too much.", limit=limit, value=2, maximum=1)
    assert answer_to(error).status == status


def test_every_bound_in_the_table_is_one() -> None:
    assert [name for name in LIMIT_STATUSES if not hasattr(limits, name)] == []


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (errors.Unauthenticated, b"www-authenticate", b'Bearer realm="crdtstore"'),
        (errors.Overloaded, b"retry-after", b"1"),
        (errors.StoreClosed, b"retry-after", b"1"),
    ],
)
def test_some_statuses_have_headers(kind: type[errors.CrdtStoreError], name: bytes, value: bytes) -> None:
    assert dict(answer_to(make(kind)).headers)[name] == value


def test_data_of_any_kind_is_written() -> None:
    error = errors.InvalidValue("Bad.", raw=b"\xff", kind=int, many=(1, {2}), nothing=None)
    assert json.loads(answer_to(error).body)["error"]["data"]["nothing"] is None


def test_what_nobody_foresaw_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answer = answer_to_unexpected("POST", "/a\nb" + "c" * 1_000, ValueError("secret detail"))
    assert answer.status == 500
    assert json.loads(answer.body)["message"] == UNEXPECTED
    assert b"secret" not in answer.body
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None, "the traceback stands in the log"
    assert "\n" not in record.getMessage(), "a path cannot forge a line of the log"
    assert len(record.getMessage()) < 300
