"""Answers are as they are described: examples are sent, and a wrong answer is seen.

Rules: every answer in tests of HTTP is checked, by the fixture `described`; here stands that the check sees faults.
"""

from __future__ import annotations

import json

import pytest

from crdtstore.auth.key_form import FIXED_PART
from crdtstore.http.openapi.document import summary_of
from crdtstore.http.request import CBOR, JSON
from crdtstore.http.route import Route
from crdtstore.http.routes import ROUTES
from crdtstore.http.server import Application
from tests.http.calling import Answered, call, headers_for
from tests.http.openapi.conform import problems_of
from tests.http.samples import PARAMETERS, sample_of

FIND = "/api/v3/store/find"
WRITTEN = {JSON.media_type, CBOR.media_type}
GOOD = {"documents": [{"id": "a", "fields": {}}], "txnId": 1}
OPERATIONS = [(route, method) for route in ROUTES for method in route.methods]


def answered(status: int, body: object, media_type: str = "application/json") -> Answered:
    return Answered(status, {"content-type": media_type}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (answered(200, {**GOOD, "more": 1}), "more"),
        (answered(200, {"documents": []}), "txnId"),
        (answered(200, {**GOOD, "txnId": "1"}), "txnId"),
        (answered(200, {**GOOD, "documents": [{"id": 1}]}), "documents.0"),
        (answered(200, GOOD, "text/plain"), "text/plain"),
        (answered(402, GOOD), "402"),
        (answered(400, GOOD), "message"),
    ],
    ids=["a key more", "a key less", "another type", "inside", "media type", "status", "a good body for an error"],
)
def test_a_wrong_answer_is_seen(wrong: Answered, told: str) -> None:
    assert problems_of("POST", FIND, answered(200, GOOD)) == []
    assert told in " ".join(problems_of("POST", FIND, wrong))


def test_every_answer_of_these_tests_is_checked(app: Application, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.http.store.find.body_of", lambda *_: b'{"documents":[]}')
    with pytest.raises(AssertionError, match="txnId"):
        call(app, "POST", FIND, {"collection": "c", "query": "true"}, headers_for(key))


def test_the_examples_are_answered_well(app: Application, key: str) -> None:
    for route, method in OPERATIONS:
        described = route.described_for(method)
        if described.example is not None:
            target = sample_of(route, method).target.replace(PARAMETERS["prefix"], key.partition(FIXED_PART)[0])
            answer = call(app, method, target, described.example, headers_for(key))
            assert answer.status == described.status, (route.path, answer)


@pytest.mark.parametrize(("route", "method"), OPERATIONS, ids=lambda each: each if isinstance(each, str) else each.path)
def test_every_route_is_described(route: Route, method: str) -> None:
    described = route.described_for(method)
    assert summary_of(route, method).endswith(".")
    assert described.gives is not None or not WRITTEN & set(route.gives)
    assert (
        described.takes is not None or not route.takes_body or not WRITTEN & {form.media_type for form in route.forms}
    )
    example_told = (described.takes is None) == (described.example is None)
    assert example_told or not WRITTEN & {form.media_type for form in route.forms}
