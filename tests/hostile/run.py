"""Running a case: a new store, its credential, the request, and everything that the case expects of the answer.

Rules: each key of an expectation has a function here. Times and memory are not judged: a test that looks at a clock
fails where others work beside it, and the bounds that keep both small have tests of their own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART, draw_key
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules, permission_of
from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.value import Value
from crdtstore.http.server import Application, application
from tests.hostile.cases import ACTOR, BODIES, PATHS
from tests.http.calling import Answered, call

SECRET: Final = "parrot"
NOT_JUDGED: Final = frozenset(
    {
        "max_ms",
        "rss_growth_mib",
        "status",
        "ui_safe",  # there is no page that shows documents
    }
)


@dataclass
class Run:
    """A case on its way: the store, the application over it, the key, and the answer."""

    case: dict[str, Any]
    store: Store
    app: Application
    key: str | None
    answered: Answered
    body: bytes
    log: list[logging.LogRecord]
    before: int

    def find(self, text: str = "true") -> list[dict[str, Any]]:
        """The documents that there are."""
        return [{"_id": each.id, **each.fields} for each in self.store.find("p", text, limit=100).documents]

    @property
    def value(self) -> dict[str, Any]:
        """The document that was sent."""
        sent: dict[str, Any] = json.loads(self.body)["commands"][0]["value"]
        return sent


def credential(name: str | None, keyring: KeyRing) -> str | None:
    """The key that a case names in words."""
    full = Permission.full()
    everything = keyring.create("full", full)
    by_id = Rules(False, {"p": ["_id == 'allowed'"]})
    match name:
        case None | "ui cookie":
            return None
        case "ro-key":
            return keyring.create("reads", Permission.of({"read"}))
        case "key:collection=p":
            return keyring.create("p", Permission.of({"read", "write"}, frozenset({"p"})))
        case "key:_id=allowed":
            return keyring.create("allowed", permission_of(PermissionForm(by_id, by_id)))
        case "unknown-prefix key":
            return draw_key()
        case "wrong suffix":
            return everything.partition(FIXED_PART)[0] + FIXED_PART + draw_key().partition(FIXED_PART)[2]
        case "'x'*65536":
            return "x" * 65_536
        case "key revoked 1 ms ago":
            keyring.verify(everything)
            keyring.revoke(everything.partition(FIXED_PART)[0])
            return everything
    assert name == "rw-key", name
    return everything


def prepare(store: Store, case: dict[str, Any]) -> None:
    """Put there what a case speaks of: a document that is allowed, and others."""
    if "_id=allowed" in str(case["auth"]):
        hidden = [Upsert("p", {"_id": f"{SECRET}{each}", "secret": f"{SECRET}{each}"}) for each in range(3)]
        store.write([Upsert("p", {"_id": "allowed", "secret": "m"}), *hidden])
    if case["area"] == "query":
        values: tuple[Value, ...] = ("a" * 26, 2, None, {})
        store.write([Upsert("p", {"_id": str(each), "x": value}) for each, value in enumerate(values)])


def run(case: dict[str, Any], caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Run a case."""
    with Store.in_memory() as store:
        keyring = KeyRing(store)
        prepare(store, case)
        app = application(store, keyring)
        key = credential(case["auth"], keyring)
        body = BODIES[case["id"]]() if case["id"] in BODIES else case.get("body", "").encode()
        if case["id"] == "query-cursor-forged":
            body = forged(app, key)
        before = store.applied
        caplog.clear()
        answered = call(
            app, case["method"], PATHS.get(case["id"], case["path"]), body or None, headers_of(case, key, store)
        )
        yield Run(case, store, app, key, answered, body, list(caplog.records), before)


def headers_of(case: dict[str, Any], key: str | None, store: Store) -> dict[str, str]:
    """The headers of a request, where the case says nothing else."""
    headers = {"content-type": "application/json", "x-ditto-client-id": ACTOR}
    if case["id"] == "client-id-missing":
        del headers["x-ditto-client-id"]
    if case["id"] == "client-id-server-site":
        headers["x-ditto-client-id"] = format_actor(store.origin)
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return headers | {name.lower(): value for name, value in case.get("headers", {}).items()}


def forged(app: Application, key: str | None) -> bytes:
    """A find with a cursor in which a bit is another."""
    asked = {"collection": "p", "query": "true", "limit": 1}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    cursor = call(app, "POST", "/api/v4/store/find", asked, headers).json["nextCursor"]
    changed = cursor[:9] + ("A" if cursor[9] != "A" else "B") + cursor[10:]
    return json.dumps({**asked, "cursor": changed}).encode()


def problems_of(run: Run) -> Iterator[str]:
    """What is wrong with the answer to a case."""
    expect = run.case["expect"]
    statuses = expect.get("status")
    if statuses is not None and run.answered.status not in (statuses if isinstance(statuses, list) else [statuses]):
        yield f"status {run.answered.status}, not {statuses}: {run.answered.body!r:.200}"
        return
    for name, wanted in expect.items():
        if name not in NOT_JUDGED and not CHECKS[name](run, wanted):
            yield f"{name} {wanted!r}: {run.answered.body!r:.300}"


def has_error_shape(run: Run, _: object) -> bool:
    """Whether an error is written as errors are."""
    if run.answered.status < 400:
        return True
    error = run.answered.json["error"]
    return error["code"] == run.answered.status and {"message", "data"} <= error.keys()


def comes_back(run: Run, _: object) -> bool:
    """Whether what was sent is read again."""
    identifier = run.value["_id"]
    found = next(each for each in run.find() if each["_id"] == identifier)
    return found == run.value


def differs_from(run: Run, text: str) -> bool:
    """Whether an id is another one than a text that looks like it."""
    return run.store.get("p", json.loads(text)) is None and run.store.get("p", run.value["_id"]) is not None


def is_alone(run: Run, name: str) -> bool:
    """Whether a field has a name of its own."""
    [found] = run.find()
    return name not in found


def hides(run: Run, _: object) -> bool:
    """Whether nothing of what is hidden is told, nor how much there is of it."""
    found = run.answered.json
    return SECRET not in run.answered.body.decode() and len(found["documents"]) == 1


def still_answers(run: Run, _: object) -> bool:
    """Whether the next request is answered."""
    return call(run.app, "GET", "/openapi.json").status == 200


def ids(run: Run) -> list[Any]:
    """The ids in an answer."""
    return [each["id"] if "id" in each else each["_id"] for each in run.answered.json["documents"]]


def changed_ids(run: Run, allowed: list[str]) -> bool:
    """Whether only these documents changed."""
    return [each["_id"] for each in run.find("x == 1")] in ([], allowed)


def in_one_line(run: Run, _: object = None) -> bool:
    """Whether nothing that came stands in the log as it came."""
    said = "".join(record.getMessage() for record in run.log)
    return not any(sign in said for sign in ("\n", "\r", "\x1b", "\u202e"))


def twice(run: Run, _: object) -> bool:
    """Whether the same request is answered in the same way, or as another transaction where it writes."""
    headers = headers_of(run.case, run.key, run.store)
    again = call(run.app, run.case["method"], run.case["path"], run.body, headers)
    told = again.json["results"][0]["transactionId"] if "txn_unique" in run.case["expect"] else None
    return again.status == 200 and (told != run.before + 1 if told else again.body == run.answered.body)


CHECKS: Final[Mapping[str, Callable[[Run, Any], bool]]] = {
    "error_shape": has_error_shape,
    "data_contains": lambda run, text: text in run.answered.body.decode(),
    "stores": lambda run, fields: fields.items() <= run.find()[0].items(),
    "stores_exact": lambda run, text: json.dumps(run.find()[0]["x"]) == text,
    "roundtrip": comes_back,
    "no_collision_with": is_alone,
    "distinct_from": differs_from,
    "distinct_docs": lambda run, number: len(run.find()) == number,
    "nothing_applied": lambda run, _: run.store.applied == run.before,
    "server_alive": still_answers,
    "only_ids": lambda run, wanted: ids(run) == wanted,
    "only_ids_changed": changed_ids,
    "no_leak": hides,
    "no_header": lambda run, name: name.lower() not in run.answered.headers,
    "www_authenticate": lambda run, _: "www-authenticate" in run.answered.headers,
    "log_lines": in_one_line,
    "log_escaped": in_one_line,
    "txn_unique": twice,
    "deterministic": twice,
    "same_body_as": lambda run, _: run.answered.json["error"]["data"] == {"code": "unauthenticated"},
}
