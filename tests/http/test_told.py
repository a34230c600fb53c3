"""What an error tells: what was wrong, where, and what is allowed; for every error of the table, through a route.

Rules: an error that a request can bring about is brought about by one. Those that need a machine that fails, or another
store, are raised in the place of the store, where only the form of what is told is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pytest

from crdtstore import Store, errors
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.client.blocking import tree
from crdtstore.http.faults import STATUSES, status_of
from crdtstore.http.server import Application, application
from crdtstore.http.store.version import VERSIONS
from tests.http import calling
from tests.http.calling import call, headers_for, upsert
from tests.http.test_faults import make

WRITE, FIND, EXECUTE = "/api/v3/store/write", "/api/v3/store/find", "/api/v5/store/execute"
READ: Final = {"collection": "c", "query": "true"}


class Case(NamedTuple):
    """A request, and what its answer must tell: parts of the message, and of the data."""

    code: str
    path: str
    body: Any
    says: tuple[str, ...]
    data: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    method: str = "POST"


def commands(*given: Mapping[str, Any]) -> dict[str, Any]:
    """A write of commands, the first of which is in order."""
    return {"commands": [upsert("first", n=1)["commands"][0], *given]}


def put(identifier: Any, value: Any, **more: Any) -> dict[str, Any]:
    """A write whose second command is an upsert."""
    return commands({"method": "upsert", "collection": "c", "id": identifier, "value": value, **more})


def statement(text: str, **args: Any) -> dict[str, Any]:
    return {"statement": text, "args": args}


SECOND: Final = {"path": "$.commands[1]"}
ID_OF_SECOND: Final = {"path": "$.commands[1].id"}
UNKNOWN: Final = {"method": "zap", "collection": "c"}
ZAPPED: Final = {"method": "update", "collection": "c", "query": "true", "commands": [{"method": "zap", "path": "n"}]}
LONG: Final = {"method": "upsert", "collection": "c", "id": "a", "value": {}}
FORGOTTEN: Final = {"method": "remove", "collection": "c", "query": "true", "deletes": "x"}

CASES: Final = {
    "text that is no JSON": Case(
        "malformed-json",
        FIND,
        b'{"collection": "c",\n "query" "true"}',
        ("line 2, column 10", "$.query", "a colon"),
        {"line": 2, "column": 10, "path": "$.query"},
    ),
    "a key twice": Case("malformed-json", FIND, b'{"a": {"b": 1, "b": 2}}', ("line 1", "$.a.b", "duplicate key")),
    "a key that is missing": Case("malformed-request", FIND, {"query": "true"}, ("`collection`", "$"), {"path": "$"}),
    "a value of another type": Case(
        "malformed-request", FIND, {**READ, "limit": "x"}, ("$.limit", "`int`", "`str`"), {"path": "$.limit"}
    ),
    "a key that a command does not have": Case(
        "malformed-request", WRITE, commands({**upsert("a")["commands"][0], "x": 1}), ("$.commands[1]", "`x`"), SECOND
    ),
    "no command": Case(
        "malformed-request",
        WRITE,
        commands(UNKNOWN),
        ("$.commands[1].method", "'zap'", "'upsert', 'update', 'remove'"),
        {"allowed": ["upsert", "update", "remove"]},
    ),
    "no command within one": Case(
        "malformed-request",
        WRITE,
        commands(ZAPPED),
        ("$.commands[1].commands[0].method", "'zap'", "'set'", "'increment'", "'replaceWithCounter'"),
    ),
    "a word that is none of some": Case(
        "malformed-request", WRITE, commands(FORGOTTEN), ("$.commands[1].deletes", "'x'", "'observed', 'permanent'")
    ),
    "a header that is no number": Case(
        "malformed-request", FIND, READ, ("X-DITTO-TXN-ID", "0 to 9223372036854775807"), headers={"x-ditto-txn-id": "x"}
    ),
    "an author who is none": Case(
        "malformed-client-id",
        WRITE,
        upsert("a"),
        ("client ID", "Base64 of 16 bytes"),
        headers={"x-ditto-client-id": "x"},
    ),
    "a query of two lines": Case(
        "query-syntax",
        FIND,
        {**READ, "query": "a ==\n == 1"},
        ("line 2, column 2", "'=='", "expected a field"),
        {"line": 2},
    ),
    "a query in a command": Case(
        "query-syntax",
        WRITE,
        commands({"method": "remove", "collection": "c", "query": "a ="}),
        ("$.commands[1].query", "line 1, column 3", "'=='"),
        {"path": "$.commands[1].query"},
    ),
    "a statement of two lines": Case(
        "query-syntax", EXECUTE, statement("SELECT *\nFROM WHERE"), ("line 2, column 6", "'WHERE'", "expected a name")
    ),
    "a path that is changed twice": Case(
        "invalid-query", EXECUTE, statement("UPDATE c SET n.x = 1, n = 2"), ("More than one", "path n.x")
    ),
    "a cursor of nobody": Case(
        "invalid-cursor", "/api/v4/store/find", {**READ, "cursor": "x"}, ("cursor", "this store gave out")
    ),
    "a host of others": Case("forbidden", FIND, READ, ("'evil.test'",), {"host": "evil.test"}, {"host": "evil.test"}),
    "a gap": Case(
        "upload-conflict",
        "/api/v4/attachments/EiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJA",
        b"llo",
        ("begins at byte 2", "0 bytes are there"),
        {"received": 0},
        {"content-type": "application/octet-stream", "content-range": "bytes 2-4/5"},
        "PUT",
    ),
    "no file": Case(
        "unknown-attachment", "/api/v4/attachments/zz", None, ("attachment 'zz'",), {"id": "zz"}, method="GET"
    ),
    "no route": Case("not-found", "/nowhere", {}, ("no such route",)),
    "no document": Case(
        "not-found",
        "/api/v4/store/findbyid",
        {"collection": "c", "id": "zz"},
        ("Collection c", "'zz'"),
        {"collection": "c"},
    ),
    "a method of others": Case(
        "method-not-allowed", FIND, None, ("DELETE", "GET or POST"), {"allow": ["GET", "POST"]}, method="DELETE"
    ),
    "a body of another type": Case(
        "unsupported-media-type",
        FIND,
        READ,
        ("application/json", "Content-Type"),
        headers={"content-type": "text/plain"},
    ),
    "an index with a path twice": Case(
        "invalid-index", EXECUTE, statement("CREATE INDEX j ON c (a, a)"), ("stands twice", "one index")
    ),
    "an index that is there": Case(
        "index-exists", EXECUTE, statement("CREATE INDEX i ON c (a)"), ("'c'", "line 1, column 14"), {"name": "i"}
    ),
    "an index that is not there": Case(
        "unknown-index", EXECUTE, statement("DROP INDEX zz ON c"), ("'zz'", "'c'", "line 1, column 12"), {"name": "zz"}
    ),
    "a version that is gone": Case(
        "version-not-retained", FIND, READ, ("Transaction 0", "nearest"), {"asked": 0}, {"x-crdtstore-at": "0"}
    ),
    "a version that is to come": Case(
        "version-not-available", FIND, READ, ("Transaction 99",), {"asked": 99}, {"x-ditto-txn-id": "99"}
    ),
    "two ids": Case("invalid-id", WRITE, put("a", {"_id": "b"}), ("$.commands[1]", "_id"), SECOND),
    "a list as id": Case(
        "invalid-id", WRITE, put([1], {}), ("$.commands[1].id", "a non-empty string, a number"), ID_OF_SECOND
    ),
    "a counter of text": Case(
        "invalid-value",
        WRITE,
        put("a", {"n": "t"}, valueTypeOverrides={"n": "counter"}),
        ("$.commands[1].value.n", "takes a number", "'t'"),
        {"path": "$.commands[1].value.n"},
    ),
    "a token that is none": Case(
        "invalid-value",
        WRITE,
        put("a", {"n": 1}, valueTypeOverrides={"n": "attachment"}),
        ("$.commands[1].value.n", "token", "id, len and metadata"),
        {"path": "$.commands[1].value.n"},
    ),
    "an id that is used up": Case(
        "document-buried", WRITE, put("buried", {}), ("$.commands[1]", "'buried'", "collection c"), SECOND
    ),
    "an id that is there": Case(
        "id-conflict",
        EXECUTE,
        statement("INSERT INTO c DOCUMENTS ({'_id': 'first'})"),
        ('"first"',),
        {"collection": "c", "document": "first"},
    ),
    "a bound that is passed": Case(
        "limit-exceeded",
        FIND,
        {**READ, "limit": 100_000},
        ("at most 10000", "100000"),
        {"limit": "FIND_LIMIT_MAX", "value": 100_000, "maximum": 10_000},
    ),
    "an id that is too long": Case(
        "invalid-id", WRITE, put("x" * 2_000, {}), ("$.commands[1].id", "1024"), ID_OF_SECOND
    ),
    "a collection whose name is too long": Case(
        "invalid-document",
        WRITE,
        commands({**LONG, "collection": "c" * 300}),
        ("$.commands[1].collection", "255"),
        {"path": "$.commands[1].collection"},
    ),
    "a bound that is passed in a command": Case(
        "limit-exceeded",
        WRITE,
        put("a", {str(number): 1 for number in range(10_001)}),
        ("$.commands[1]", "10000", "10001"),
        {"limit": "DOCUMENT_KEYS_MAX", **SECOND},
    ),
    "a rule on documents": Case(
        "unsupported-permission",
        "/admin/keys",
        {
            "name": "n",
            "permissions": {"read": {"everything": False, "queriesByCollection": {"c": ["a + 1 = 2"]}}, "qlVersion": 1},
        },
        ("'c'", "'a + 1 = 2'", "could not be enforced"),
        {"verb": "read", "collection": "c"},
    ),
    "a key for another request": Case(
        "idempotency-conflict",
        "/api/v4/store/write",
        upsert("b"),
        ("Idempotency-Key", "a new key"),
        headers={"idempotency-key": "used"},
    ),
}

NEEDS_MORE: Final = {
    "error",
    "caller",
    "unauthenticated",
    "type-conflict",
    "outside-scope",
    "precondition-failed",
    "range-not-satisfiable",
    "statement-timeout",
    "retry-later",
    "overloaded",
    "clock-behind",
    "provider-failed",
    "feed-cut",
}
"""Errors that are only a class of others, are tested where they belong, or need a load or a clock."""


@pytest.fixture
def filled(app: Application, key: str) -> Application:
    """A store with a document, an index, a buried id and a used key."""
    bury = {"method": "remove", "collection": "c", "query": "_id == 'buried'", "deletes": "permanent"}
    for body in (upsert("first", n=1), upsert("buried"), {"commands": [bury]}):
        assert call(app, "POST", WRITE, body, headers_for(key)).status == 200
    assert call(app, "POST", EXECUTE, statement("CREATE INDEX i ON c (a)"), headers_for(key)).status == 200
    used = headers_for(key, **{"idempotency-key": "used"})
    assert call(app, "POST", "/api/v4/store/write", upsert("a"), used).status == 200
    app.wait_seconds = 0
    return app


@pytest.mark.parametrize("name", CASES)
def test_an_error_tells_what_was_wrong_where_and_what_is_allowed(
    filled: Application, store: Store, key: str, name: str
) -> None:
    case = CASES[name]
    before = store.applied
    answered = call(filled, case.method, case.path, case.body, {**headers_for(key), **case.headers})
    error = answered.json["error"]
    assert error["data"]["code"] == case.code
    assert answered.status == error["code"]
    message = error["description"] if case.path == EXECUTE else error["message"]
    assert [part for part in case.says if part not in message] == [], message
    assert {part: error["data"].get(part) for part in case.data} == case.data
    assert store.applied == before


def test_every_error_of_a_caller_has_a_case() -> None:
    of_callers = {
        kind.code
        for kind in tree(errors.CrdtStoreError)
        if not issubclass(kind, errors.StoreError | errors.ReplicationError)
    }
    assert of_callers - {case.code for case in CASES.values()} == NEEDS_MORE


# --- the form ---


@pytest.fixture
def undescribed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare no answer with the document of the API: that has the usual form, and errors where they belong."""
    monkeypatch.setattr(calling, "LISTENERS", [])


ANYWHERE: Final = pytest.mark.usefixtures("undescribed")


def told(version: str, form: str) -> set[str]:
    """What stands at the top of an error's body of a route of this version."""
    if version == "v1":
        return {"error"}
    return {"message", "error"} if form == "both" else {form}


@ANYWHERE
@pytest.mark.parametrize("form", ["both", "error", "message"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_form_is_that_of_the_setting(store: Store, keyring: KeyRing, key: str, version: str, form: Any) -> None:
    app = application(store, keyring, error_form=form)
    for authorization, status in ((f"Bearer {key}", 405), ("", 401)):
        answered = call(app, "DELETE", f"/api/{version}", None, headers_for(key, authorization=authorization))
        assert (answered.status, set(answered.json)) == (status, told(version, form))


@ANYWHERE
def test_the_setting_is_none_of_statements_of_problems_and_of_others(store: Store, keyring: KeyRing, key: str) -> None:
    app = application(store, keyring, error_form="message")
    executed = call(app, "POST", EXECUTE, statement("x"), headers_for(key)).json
    assert executed["error"]["code"] == 400
    problem = headers_for(key, accept="application/problem+json")
    assert call(app, "POST", FIND, {}, problem).json["status"] == 400
    for path in ("/nowhere", "/admin/stats"):
        assert set(call(app, "DELETE", path, None, headers_for(key)).json) == {"message", "error"}


@ANYWHERE
@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.code)
@pytest.mark.parametrize("form", ["both", "error", "message"])
def test_every_row_is_told_through_a_route(
    store: Store, keyring: KeyRing, key: str, monkeypatch: pytest.MonkeyPatch, kind: Any, form: Any
) -> None:
    error = make(kind)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Store, "find", fail)
    answered = call(application(store, keyring, error_form=form), "POST", FIND, READ, headers_for(key))
    assert answered.status == status_of(error)
    assert set(answered.json) == told("v3", form)
    own = isinstance(error, errors.StoreError) or (answered.status >= 500 and not error.retryable)
    assert (error.message in answered.body.decode()) is not own


def test_a_key_that_may_not_is_told_what(app: Application, keyring: KeyRing) -> None:
    reader = keyring.create("reader", Permission.of(frozenset({"read"}), frozenset({"c"})))
    error = call(app, "POST", WRITE, upsert("a"), headers_for(reader)).json["error"]
    assert "write the collection 'c'" in error["message"]
    assert (error["data"]["verb"], error["data"]["collection"]) == ("write", "c")
