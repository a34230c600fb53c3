"""The schemas of version 1: they hold for what the server takes and gives, and for nothing that it refuses."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import InvalidValue
from crdtstore.http.server import Application
from crdtstore.http.store.v1.schemas import DATE_TIME, SCHEMAS, schema_of
from crdtstore.limits import FIND_LIMIT_MAX
from crdtstore.timeseries.moment import read_moment
from tests.http.calling import call, headers_for

UPSERT = {"method": "upsert", "collection": "c", "value": {"_id": "a", "n": 1, "null": None, "list": [1, {}]}}
SET = {"method": "set", "path": "n", "value": {"x": 1}}
UPDATE = {"method": "update", "collection": "c", "query": "true", "args": None, "commands": [SET]}
REMOVE = {"method": "remove", "collection": "c", "query": "n == $args.n", "args": {"n": 1}}
TAKEN: list[Any] = [
    {"method": "write", "parameters": {"commands": [UPSERT, UPDATE, REMOVE]}},
    {"method": "write", "parameters": {"commands": [{**UPDATE, "commands": [{"method": "increment", "path": "k"}]}]}},
    {"method": "write", "parameters": {"commands": []}},
    {"method": "find", "parameters": {"collection": "c", "query": "true", "args": None, "limit": FIND_LIMIT_MAX}},
    {"method": "find", "parameters": {"collection": "c", "query": "true", "describe": True, "offset": None}},
    {"method": "find", "parameters": {"collection": "c", "query": "true"}, "unknown": 1},
    {"method": "findById", "parameters": {"collection": "c", "_id": {"k": 1}}},
    {"method": "findById", "parameters": {"collection": "c", "_id": "a"}},
]
REFUSED: list[Any] = [
    1,
    {},
    {"method": "find"},
    {"method": "evict", "parameters": {"collection": "c", "query": "true"}},
    {"method": "find", "parameters": {"collection": "c"}},
    {"method": "find", "parameters": {"collection": "c", "query": "true", "limit": FIND_LIMIT_MAX + 1}},
    {"method": "find", "parameters": {"collection": "c", "query": "true", "limit": -1}},
    {"method": "findById", "parameters": {"collection": "c"}},
    {"method": "write", "parameters": {"commands": [{**UPSERT, "value": 1}]}},
    {"method": "write", "parameters": {"commands": [{**UPSERT, "unknown": 1}]}},
    {"method": "write", "parameters": {"commands": [{**UPDATE, "commands": [{"method": "no", "path": "n"}]}]}},
    {"method": "write", "parameters": {"commands": [UPSERT], "dryRun": True}},
]


@cache
def validator(name: str) -> Any:
    return jsonschema_rs.Draft202012Validator(schema_of(SCHEMAS[name]))


def is_valid(name: str, value: Any) -> bool:
    valid: bool = validator(name).is_valid(value)
    return valid


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_is_served_to_everybody(app: Application, name: str) -> None:
    """The overview: "we also have JSON schema documents that help describe the request bodies and responses"."""
    served = call(app, "GET", f"/api/v1/schema/{name}.json")
    assert (served.status, served.headers["content-type"]) == (200, "application/json")
    assert served.json == schema_of(SCHEMAS[name])
    jsonschema_rs.meta.validate(served.json)
    again = call(app, "GET", f"/api/v1/schema/{name}.json", None, {"if-none-match": served.headers["etag"]})
    assert again.status == 304


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_stands_on_its_own(name: str) -> None:
    schema = schema_of(SCHEMAS[name])
    references = set(re.findall(r"'\$ref': '([^']*)'", repr(schema)))
    assert references <= {f"#/$defs/{each}" for each in schema.get("$defs", ())}


def test_what_is_taken_is_valid_and_so_is_its_answer(app: Application, key: str) -> None:
    for body in TAKEN:
        answered = call(app, "POST", "/api/v1/store", body, headers_for(key))
        assert answered.status == 200, body
        assert is_valid("rpc-request", body), body
        assert is_valid("rpc-response", answered.json), answered.json


def test_what_is_refused_is_not_valid_and_its_error_is(app: Application, key: str) -> None:
    for body in REFUSED:
        answered = call(app, "POST", "/api/v1/store", body, headers_for(key))
        assert answered.status == 400, body
        assert not is_valid("rpc-request", body), body
        assert is_valid("rpc-response", answered.json), answered.json


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"documents": []},
        {"documents": [1], "txnId": 1, "version": 1},
        {"document": None, "txnId": -1, "version": 1},
        {"results": [{"method": "update", "transactionId": 1, "updated": 1}]},
        {"results": [{"method": "evict"}]},
        {"error": "no"},
        {"error": {"message": "no code"}},
    ],
)
def test_what_is_no_answer_is_not_valid(answer: Any) -> None:
    assert not is_valid("rpc-response", answer)


TIMES = st.from_regex(DATE_TIME, fullmatch=True, alphabet=st.characters(max_codepoint=127))


@given(TIMES | TIMES.map(lambda text: text[:-1]) | st.text(max_size=30))
def test_what_is_read_as_a_time_is_valid(text: str) -> None:
    why = refusal_of(text)
    if why is None:
        assert is_valid("datetime", text) or re.search(r"\.[0-9]{9}0+", text), text
    else:
        # A schema knows nothing of calendars.
        assert not is_valid("datetime", text) or text[8:10] > "28" or ":60" in text or "in UTC" in why


def refusal_of(text: str) -> str | None:
    """Why the store would not read a time, if it would not."""
    try:
        read_moment(text, "_time")
    except InvalidValue as error:
        return error.message
    return None


def test_an_event_has_a_time() -> None:
    assert is_valid("event", {"_time": "2021-04-20T12:34:56.123456789Z", "temperature": {"value": 30}})
    assert is_valid("event", {"_time": "2021-04-20T12:34:56", "_expiration": "2022-04-20T12:34:56+01:00"})
    no_events: list[Any] = [{}, {"_time": 1}, {"_time": "now"}, {"time": "2021-04-20T12:34:56Z"}, [], None]
    for event in no_events:
        assert not is_valid("event", event)
