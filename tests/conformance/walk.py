"""What the sentences of the API's introductions state, asked of a real server; both introductions say much alike.

Rules: a check gets a server over an empty store and asks it as any client would. Where a sentence is about what is kept
of a key, the store is looked into.
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import cbor2

from crdtstore import format_actor, make_actor
from tests.conformance.case import Case
from tests.conformance.check import problems_of
from tests.conformance.own import Own
from tests.conformance.target import Answer, Remote

Check: TypeAlias = "Callable[[Own], None]"
Walk: TypeAlias = "Mapping[str, Check | str]"
"""A sentence, by its first words or those that matter -> what shows it, or why nothing does."""

SITE_5_EPOCH_0: Final = "AAAAAAAAAAUAAAAAAAAAAA=="
WRITE: Final = "/api/v3/store/write"
FIND: Final = "/api/v3/store/find"
V1_CAR: Final = "/api/v1/collections/cars/documents/a"


def ask(
    server: Remote,
    path: str,
    body: Any = None,
    method: str = "POST",
    headers: Mapping[str, str | None] | None = None,
) -> Answer:
    """Send a request as a client with a key and an ID does; a header that is None is left out."""
    key = server.variables["KEY"]
    given = {"Authorization": f"Bearer {key}", "X-DITTO-CLIENT-ID": SITE_5_EPOCH_0, **(headers or {})}
    step: dict[str, Any] = {"method": method, "path": path}
    step["headers"] = {name: value for name, value in given.items() if value is not None}
    if body is not None:
        step["raw_body" if isinstance(body, bytes) else "body"] = body
    return server.send(step)


def upsert(server: Own, id_: Any, headers: Mapping[str, str | None] | None = None, **fields: Any) -> int:
    """Write a person, and return the transaction."""
    command = {"method": "upsert", "collection": "people", "id": id_, "value": fields}
    answer = ask(server, WRITE, {"commands": [command]}, headers=headers)
    assert answer.status == 200, answer
    return int(answer.json["results"][0]["transactionId"])


def people(server: Remote, headers: Mapping[str, str | None] | None = None) -> Answer:
    """Find all people."""
    return ask(server, FIND, {"collection": "people", "query": "true"}, "GET", headers)


# --- resources ---


def documents_are_resources(server: Own) -> None:
    assert ask(server, V1_CAR, {"color": "blue"}).status == 202
    assert ask(server, V1_CAR, method="GET").json == {"_id": "a", "color": "blue"}
    assert ask(server, V1_CAR, method="DELETE").status == 202
    assert ask(server, V1_CAR, method="GET").status == 404


def there_are_collections_and_series(server: Own) -> None:
    assert ask(server, V1_CAR, {"color": "blue"}).status == 202
    assert ask(server, "/api/v1/collections/boats/documents/a", {"sails": 2}).status == 202
    assert ask(server, V1_CAR, method="GET").json == {"_id": "a", "color": "blue"}
    assert post_events(server, {"_time": "2021-01-01T00:00:00Z", "a": 1}).status == 200
    assert [line["item"]["value"] for line in events(server).lines] == [{"a": 1}]


def collections_come_with_what_is_put_in(server: Own) -> None:
    assert people(server).json["documents"] == []
    upsert(server, "a", name="Ada")
    assert [found["id"] for found in people(server).json["documents"]] == ["a"]
    assert events(server).lines == []
    post_events(server, {"_time": "2021-01-01T00:00:00Z", "a": 1})
    assert len(events(server).lines) == 1


def collections_are_not_edited_as_a_whole(server: Own) -> None:
    for kind in ("collections", "timeseries"):
        for method in ("PUT", "PATCH", "DELETE"):
            assert ask(server, f"/api/v1/{kind}/cars", method=method).status in {404, 405}


def post_events(server: Own, *lines: dict[str, Any]) -> Answer:
    """Append events to a series."""
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return ask(server, "/api/v1/timeseries/s/events", body, headers={"Content-Type": "application/json-l"})


def events(server: Own) -> Answer:
    """Read the events of that series."""
    return ask(server, "/api/v1/timeseries/s/events", method="GET")


def series_are_queried(server: Own) -> None:
    moments = ("2021-01-01T00:00:00Z", "2021-01-02T00:00:00Z")
    post_events(server, *({"_time": moment, "day": day} for day, moment in enumerate(moments)))
    assert [line["item"]["_time"] for line in events(server).lines] == list(moments)


# --- representations ---


def json_is_the_default(server: Own) -> None:
    upsert(server, "a", name="Ada")
    answer = ask(server, "/api/v3/store/findbyid", {"collection": "people", "id": "a"}, headers={"Accept": None})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["document"] == {"id": "a", "fields": {"name": "Ada"}}


def listing(server: Own) -> Answer:
    """List the cars."""
    return ask(server, "/api/v1/collections/cars/documents", method="GET")


def sequences_are_lines_of_json(server: Own) -> None:
    for name in ("a", "b"):
        ask(server, f"/api/v1/collections/cars/documents/{name}", {"color": "blue"})
    assert listing(server).body == b'{"_id":"a","color":"blue"}\n{"_id":"b","color":"blue"}\n'


def sequences_say_what_they_are(server: Own) -> None:
    ask(server, V1_CAR, {"color": "blue"})
    assert listing(server).headers["content-type"] == "application/json-l"
    post_events(server, {"_time": "2021-01-01T00:00:00Z"})
    assert events(server).headers["content-type"] == "application/json-l"


def texts_are_in_utf8(server: Own) -> None:
    def body(encoding: str) -> bytes:
        commands = [{"method": "upsert", "collection": "people", "id": "a", "value": {"name": "Zoë"}}]
        return json.dumps({"commands": commands}, ensure_ascii=False).encode(encoding)

    def status(encoding: str, media_type: str) -> int:
        return ask(server, WRITE, body(encoding), headers={"Content-Type": media_type}).status

    assert status("latin-1", "application/json") == 400
    assert status("latin-1", "application/json; charset=latin-1") == 415
    assert status("utf-8", "application/json; charset=utf-8") == 200
    assert "Zoë".encode() in people(server).body


def binary_is_base64(server: Own) -> None:
    data = bytes(range(256))
    upsert(server, "a", picture=b64encode(data).decode())
    assert b64decode(people(server).json["documents"][0]["fields"]["picture"]) == data


def accept_chooses_the_representation(server: Own) -> None:
    upsert(server, "a", name="Ada")
    for accept, media_type in (
        ("application/json", "application/json"),
        ("application/cbor", "application/cbor"),
        ("application/json;q=0.1, application/cbor", "application/cbor"),
    ):
        answer = people(server, {"Accept": accept})
        assert answer.headers["content-type"] == media_type
        read = cbor2.loads if media_type == "application/cbor" else json.loads
        assert read(answer.body) == {"documents": [{"id": "a", "fields": {"name": "Ada"}}], "txnId": 1}


def a_root_answers(root: str) -> Check:
    """The address that clients are given, with and without the last slash if it is written so."""

    def check(server: Own) -> None:
        answer = ask(server, root, method="GET")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert any(route["path"].startswith(f"{root.rstrip('/')}/") for route in answer.json["routes"])

    return check


# --- client IDs ---


def writes_need_a_client_id(server: Own) -> None:
    body = {"commands": [{"method": "upsert", "collection": "people", "id": "a", "value": {"age": 1}}]}
    for wrong in (None, "", "AAAAAAAAAAU=", "not base64"):
        assert ask(server, WRITE, body, headers={"X-DITTO-CLIENT-ID": wrong}).status == 400
        assert ask(server, V1_CAR, {"color": "blue"}, headers={"X-DITTO-CLIENT-ID": wrong}).status == 400
    assert people(server, {"X-DITTO-CLIENT-ID": None}).json["documents"] == []
    assert ask(server, WRITE, body).status == 200


def a_client_id_is_a_client(server: Own) -> None:
    def known() -> int:
        return int(ask(server, "/admin/stats", method="GET").json["replicas"])

    before = known()
    for epoch in (0, 1, 2):
        for _ in range(3):
            upsert(server, "a", {"X-DITTO-CLIENT-ID": format_actor(make_actor(site=9, epoch=epoch))}, age=epoch)
    assert known() == before + 3


def client_ids_resolve_conflicts(server: Own) -> None:
    """Of two writes at one time that know nothing of each other the greater ID's wins, wherever they were made."""
    for one, other, winner in ((5, 7, "of 7"), (7, 5, "of 7")):
        steps = [
            {"on": name, "at": 5, "actor": format_actor(make_actor(site, 0)), "upsert": ["p/1", {"x": f"of {site}"}]}
            for name, site in (("A", one), ("B", other))
        ]
        request = {"method": "ENGINE", "body": {"steps": steps}}
        case = Case("two writes", "engine", (), request, {"body": {"p/1": {"x": winner}}})
        assert problems_of(case, server) == []


def the_example_of_a_client_id_is_one(server: Own) -> None:
    site_id, epoch = 5, 0
    actor_id_bytes = site_id.to_bytes(8, "big") + epoch.to_bytes(8, "big")
    assert actor_id_bytes == b"\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00"
    assert b64encode(actor_id_bytes).decode() == SITE_5_EPOCH_0 == format_actor(make_actor(site_id, epoch))
    upsert(server, "a", {"X-DITTO-CLIENT-ID": SITE_5_EPOCH_0}, age=1)


# --- errors ---


def errors_have_a_status_and_a_single_key(server: Own) -> None:
    for path, body, status in ((V1_CAR, b"{", 400), (V1_CAR, [1], 400), ("/api/v1/store", b"{", 400)):
        answer = ask(server, path, body)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
        assert list(answer.json) == ["error"]
    answer = ask(server, WRITE, b"{")
    assert answer.status == 400
    assert set(answer.json) == {"error", "message"}  # version 2 on is described in two ways; both hold


def an_error_has_its_fields(server: Own) -> None:
    for path in (V1_CAR, WRITE):
        assert set(ask(server, path, b"{").json["error"]) == {"code", "message", "data"}


def the_code_is_the_status(server: Own) -> None:
    for answer in (
        ask(server, V1_CAR, b"{"),
        ask(server, WRITE, b"{"),
        ask(server, V1_CAR, method="GET"),
        ask(server, V1_CAR, method="GET", headers={"Authorization": None}),
        ask(server, FIND, {"collection": "people", "query": "=="}),
    ):
        assert answer.status >= 400
        assert answer.json["error"]["code"] == answer.status


def the_message_is_a_short_text(server: Own) -> None:
    for path in (V1_CAR, WRITE):
        message = ask(server, path, b"{").json["error"]["message"]
        assert 0 < len(message) < 300


def the_data_says_more(server: Own) -> None:
    data = ask(server, FIND, {"collection": "people", "query": "age >"}).json["error"]["data"]
    assert data["code"] == "query-syntax"
    assert data["column"] == 6


# --- authorization ---


def a_bearer_is_needed(server: Own) -> None:
    key = server.variables["KEY"]
    for wrong in (None, "Bearer", "Bearer wrong", f"Basic {key}", f"Bearer {key}x"):
        for path in (V1_CAR, FIND, "/api/v5/store/execute"):
            assert ask(server, path, method="GET", headers={"Authorization": wrong}).status == 401
    assert people(server).status == 200


# --- transactions ---


def a_reader_waits(server: Own) -> None:
    """The read comes first, and is answered when somebody writes."""
    read: list[Answer] = []
    server.app.wait_seconds = 60
    reader = threading.Thread(target=lambda: read.append(reading(server, {"X-DITTO-TXN-ID": "2"})))
    upsert(server, "a", age=1)
    reader.start()
    while int(ask(server, "/admin/stats", method="GET").json["waiting_reads"]) == 0:
        assert reader.is_alive(), read
    assert upsert(server, "b", age=2) == 2
    reader.join()
    assert [found["id"] for found in read[0].json["documents"]] == ["a", "b"]


def reading(server: Own, headers: Mapping[str, str | None]) -> Answer:
    """Find all people, on a connection of its own."""
    another = Remote(server.base.geturl(), server.variables["KEY"])
    try:
        return people(another, headers)
    finally:
        another.close()
