"""Files over HTTP: put by forms, read whole, in ranges and on condition, by who may."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from crdtstore import limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.command.command import Remove, Upsert
from crdtstore.http.server import Application, application
from crdtstore.storage.attachment_files import folder_of
from crdtstore.storage.attachments import format_id, make_id
from crdtstore.store import Store
from tests.http.calling import Answered, as_raw, call, connect, exchange, only_app, raw, serving

BOUNDARY, JSON = "b0undary", "application/json"
DATA = bytes(range(256)) * 40


@pytest.fixture
def store() -> Store:
    return Store.in_memory()


@pytest.fixture
def key(store: Store) -> str:
    return KeyRing(store).create("root", Permission.full())


@pytest.fixture
def served(store: Store, key: str) -> Application:
    del key
    return application(store, KeyRing(store))


def form(*fields: tuple[str, bytes]) -> bytes:
    """Write a form."""
    parts = (
        b'--%b\r\ncontent-disposition: form-data; name="%b"; filename="a"\r\n\r\n%b\r\n'
        % (BOUNDARY.encode(), name.encode(), data)
        for name, data in fields
    )
    return b"".join(parts) + b"--%b--\r\n" % BOUNDARY.encode()


def headers(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in more.items()}}


def upload(served: Application, key: str, body: bytes, path: str = "/api/v4/attachments/upload") -> Answered:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return call(served, "POST", path, body, headers(key, content_type=kind))


def put(served: Application, key: str, data: bytes = DATA) -> str:
    answered = upload(served, key, form(("file", data)))
    assert (answered.status, answered.json["len"]) == (200, len(data)), answered.body
    return str(answered.json["id"])


def files_of(store: Store) -> list[Path]:
    return [path for path in folder_of(store.storage).rglob("*") if path.is_file()]


@pytest.mark.parametrize("version", ["v4", "v5"])
@pytest.mark.parametrize("spelling", ["attachment", "attachments"])
def test_a_file_comes_back(served: Application, key: str, version: str, spelling: str) -> None:
    root = f"/api/{version}/{spelling}"
    id_ = upload(served, key, form(("file", DATA)), f"{root}/upload").json["id"]
    answered = call(served, "GET", f"{root}/{id_}", None, headers(key))
    assert (answered.status, answered.body) == (200, DATA)
    told = answered.headers
    assert told["content-type"] == "application/octet-stream"
    assert told["etag"] == f'"{id_}"'
    assert told["x-content-type-options"] == "nosniff"
    assert told["content-disposition"] == "attachment"
    assert told["accept-ranges"] == "bytes"
    assert "private" in told["cache-control"]
    assert "immutable" in told["cache-control"]


def test_a_form_may_hold_other_fields(served: Application, key: str) -> None:
    answered = upload(served, key, form(("note", b"x" * 100), ("file", b"hello"), ("more", b"")))
    assert (answered.status, answered.json["len"]) == (200, 5)
    assert upload(served, key, form(("file", b""))).json["len"] == 0


BAD_FORMS = {
    "no file": form(("other", b"x")),
    "two files": form(("file", b"x"), ("file", b"y")),
    "cut short": form(("file", b"hello"))[:-8],
    "no form": b"hello",
    "empty": b"",
}


@pytest.mark.parametrize("body", BAD_FORMS.values(), ids=BAD_FORMS)
def test_what_is_no_form_with_a_file_is_refused(served: Application, store: Store, key: str, body: bytes) -> None:
    answered = upload(served, key, body)
    assert (answered.status, answered.code) == (400, "malformed-request")
    assert files_of(store) == []


def test_a_form_may_come_in_any_parts(served: Application, key: str) -> None:
    body = form(("note", b"x"), ("file", b"a\r\n--b0undarx" * 3)) + b"\r\n"
    kind = f"multipart/form-data; boundary={BOUNDARY}"

    async def send(size: int) -> Answered:
        request = exchange("POST", "/api/v4/attachments/upload", body, headers(key, content_type=kind))
        request.parts[:] = [body[at : at + size] for at in range(0, len(body), size)]
        await served(request.scope, request.receive, request.send)
        return request.answered

    for size in (1, 2, 3, 7, 50, len(body) - 2, len(body) - 1):
        assert asyncio.run(send(size)).json["len"] == 39, size


def test_a_file_that_is_too_long_is_refused(
    served: Application, store: Store, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ATTACHMENT_BYTES_MAX", 4)
    answered = upload(served, key, form(("file", b"hello")))
    assert (answered.status, answered.json["error"]["data"]["limit"]) == (413, "ATTACHMENT_BYTES_MAX")
    monkeypatch.setattr(limits, "UPLOAD_BYTES_MAX", 20)
    assert upload(served, key, form(("file", b"hello"))).json["error"]["data"]["limit"] == "UPLOAD_BYTES_MAX"
    monkeypatch.undo()
    fields = [(f"f{number}", b"") for number in range(limits.UPLOAD_FIELDS_MAX)]
    answered = upload(served, key, form(*fields, ("file", b"x")))
    assert (answered.status, answered.json["error"]["data"]["limit"]) == (413, "UPLOAD_FIELDS_MAX")
    assert files_of(store) == []


def test_no_more_than_so_many_are_on_their_way(served: Application, key: str) -> None:
    transfers = only_app(served).transfers
    id_ = put(served, key)
    taken = 0
    while transfers.acquire(blocking=False):
        taken += 1
    assert taken == limits.TRANSFERS_MAX
    assert upload(served, key, form(("file", b"x"))).status == 429
    assert call(served, "GET", f"/api/v4/attachments/{id_}", None, headers(key)).status == 429
    transfers.release()
    assert call(served, "GET", f"/api/v4/attachments/{id_}", None, headers(key)).status == 200
    assert upload(served, key, form(("file", b"x"))).status == 200


RANGES = {
    "bytes=0-0": (0, 1),
    "bytes=5-9": (5, 10),
    "bytes=10000-": (10_000, 10_240),
    "bytes=-10": (10_230, 10_240),
    "bytes=-99999": (0, 10_240),
    "bytes=10-99999": (10, 10_240),
}


@pytest.mark.parametrize("asked", RANGES)
def test_a_range_is_answered_with_its_bytes(served: Application, key: str, asked: str) -> None:
    start, end = RANGES[asked]
    path = f"/api/v4/attachments/{put(served, key)}"
    answered = call(served, "GET", path, None, headers(key, range=asked))
    assert (answered.status, answered.body) == (206, DATA[start:end])
    assert answered.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert answered.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-5", "bytes=-", "lines=0-5", "5-9"])
def test_what_is_no_single_range_is_answered_with_all(served: Application, key: str, asked: str) -> None:
    path = f"/api/v4/attachments/{put(served, key)}"
    assert call(served, "GET", path, None, headers(key, range=asked)).status == 200


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-99999", "bytes=-0"])
def test_a_range_behind_the_end_is_told(served: Application, key: str, asked: str) -> None:
    path = f"/api/v4/attachments/{put(served, key)}"
    answered = call(served, "GET", path, None, headers(key, range=asked))
    assert (answered.status, answered.code) == (416, "range-not-satisfiable")
    assert answered.headers["content-range"] == f"bytes */{len(DATA)}"


def test_a_caller_who_has_it_is_told_so(served: Application, key: str) -> None:
    id_ = put(served, key)
    path, tag = f"/api/v4/attachments/{id_}", f'"{id_}"'
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answered = call(served, "GET", path, None, headers(key, if_none_match=known))
        assert (answered.status, answered.body, answered.headers["etag"]) == (304, b"", tag)
    assert call(served, "GET", path, None, headers(key, if_none_match='"other"')).status == 200
    assert call(served, "GET", path, None, headers(key, range="bytes=0-1", if_range=tag)).status == 206
    assert call(served, "GET", path, None, headers(key, range="bytes=0-1", if_range=f"W/{tag}")).status == 200
    assert call(served, "GET", path, None, headers(key, range="bytes=0-1", if_range='"other"')).status == 200


def test_what_is_not_there_is_told(served: Application, key: str) -> None:
    for id_ in ("x", "EiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJA", "%20"):
        answered = call(served, "GET", f"/api/v4/attachments/{id_}", None, headers(key))
        assert (answered.status, answered.code) == (404, "unknown-attachment")


def test_who_may_not_write_puts_nothing(served: Application, store: Store) -> None:
    ring = only_app(served).keyring
    for permission, status in (
        (Permission.of({"read"}), 403),
        (Permission.of({"write"}, frozenset()), 403),
        (Permission.of({"write"}, frozenset({"c"})), 200),
    ):
        assert upload(served, ring.create("one", permission), form(("file", b"x"))).status == status
    assert upload(served, "wrong", form(("file", b"x"))).status == 401
    assert len(files_of(store)) == 1


def test_a_key_for_a_collection_reads_what_its_documents_refer_to(served: Application, store: Store, key: str) -> None:
    some = only_app(served).keyring.create("some", Permission.of({"read"}, frozenset({"c", "e"})))
    id_, other = put(served, key), put(served, key, b"other")
    for collection in ("c", "d"):
        token = {"id": id_, "len": len(DATA)}
        store.write([Upsert(collection, {"f": {"g": token}}, id="1", value_types={"f.g": "attachment"})])
    store.write([Upsert("c", {"f": {"id": id_, "len": 1}}, id="plain")])

    def ask(id_: str, query: str) -> Answered:
        return call(served, "GET", f"/api/v4/attachments/{id_}{query}", None, headers(some))

    assert ask(id_, "?collection=c&document=1").body == DATA
    assert ask(id_, "").status == 403
    absent = "EiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJA"
    missing = ask(absent, "?collection=c&document=1")
    assert missing.code == "unknown-attachment"
    for id_asked, query in (
        (id_, "?collection=d&document=1"),
        (id_, "?collection=c&document=2"),
        (id_, "?collection=e&document=1"),
        (id_, "?collection=c&document=plain"),
        (other, "?collection=c&document=1"),
    ):
        answered = ask(id_asked, query)
        assert answered.status == 404
        assert answered.body == missing.body.replace(absent.encode(), id_asked.encode())
    store.write([Remove("c", "true")])
    assert ask(id_, "?collection=c&document=1").status == 404


def test_a_server_answers_head_and_keeps_the_connection(served: Application, key: str) -> None:
    id_ = put(served, key)
    with serving(served) as (host, port):
        connection = http.client.HTTPConnection(host, port, timeout=60)
        for method, expected in (("HEAD", b""), ("GET", DATA)):
            connection.request(method, f"/api/v4/attachments/{id_}", headers=headers(key))
            answered = connection.getresponse()
            assert (answered.status, answered.headers["content-length"]) == (200, str(len(DATA)))
            assert answered.read() == expected
        connection.request("HEAD", "/api/v4/attachments/x", headers=headers(key))
        answered = connection.getresponse()
        assert (answered.status, answered.read()) == (404, b"")
        connection.close()


def test_a_long_file_goes_through_a_server(served: Application, key: str) -> None:
    data = hashlib.shake_128(b"seed").digest(3_000_000)
    with serving(served) as (host, port):
        connection = http.client.HTTPConnection(host, port, timeout=60)
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        connection.request("POST", "/api/v4/attachments/upload", form(("file", data)), headers(key, content_type=kind))
        id_ = json.loads(connection.getresponse().read())["id"]
        connection.request("GET", f"/api/v4/attachments/{id_}", headers=headers(key))
        assert connection.getresponse().read() == data
        connection.close()


def test_who_goes_away_leaves_nothing(served: Application, store: Store, key: str) -> None:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    body = form(("file", DATA))
    request = as_raw("POST", "/api/v4/attachments/upload", headers(key, content_type=kind), body)
    with serving(served) as address:
        with connect(address) as connection:
            connection.sendall(request[:-100])
        # The next one is answered after the first was given up, or before: it leaves its own file alone.
        assert raw(address, as_raw("GET", "/txn", headers(key, connection="close")))[0].status == 200
    assert files_of(store) == []
    assert only_app(served).transfers.acquire(blocking=False)


def test_a_sender_that_drips_is_cut_off(store: Store, key: str) -> None:
    served = application(store, KeyRing(store), body_seconds=0.0)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    request = as_raw("POST", "/api/v4/attachments/upload", headers(key, content_type=kind), form(("file", DATA)))
    with serving(served) as address:
        [answered] = raw(address, request[:-5])
    assert (answered.status, answered.json["error"]["data"]["limit"]) == (408, "BODY_SECONDS_MAX")
    assert files_of(store) == []


def test_a_reader_that_is_too_slow_or_gone_is_let_go(
    served: Application, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/v4/attachments/{put(served, key)}"

    async def read(*, leave: bool) -> bytes:
        request = exchange("GET", path, None, headers(key))
        if leave:
            request.leave()
        await served(request.scope, request.receive, request.send)
        return b"".join(part["body"] for part in request.sent[1:])

    assert asyncio.run(read(leave=False)) == DATA
    monkeypatch.setattr(limits, "ATTACHMENT_PIECE_BYTES", 1_000)
    assert len(asyncio.run(read(leave=True))) < len(DATA)
    monkeypatch.setattr(limits, "LISTING_SECONDS_MAX", -1.0)
    monkeypatch.setattr(limits, "TRANSFER_BYTES_A_SECOND_MIN", 10**9)
    assert asyncio.run(read(leave=False)) == b""
    monkeypatch.undo()
    transfers = only_app(served).transfers
    assert sum(transfers.acquire(blocking=False) for _ in range(limits.TRANSFERS_MAX)) == limits.TRANSFERS_MAX


# --- in several requests ---


def part(served: Application, key: str, id_: str, span: str, data: bytes = b"") -> Answered:
    kind = headers(key, content_type="application/octet-stream", content_range=f"bytes {span}")
    return call(served, "PUT", f"/api/v4/attachments/{id_}", data, kind)


def id_of(data: bytes) -> str:
    return format_id(make_id(hashlib.sha256(data).digest()))


def test_a_file_comes_in_parts(served: Application, store: Store, key: str) -> None:
    id_, size = id_of(DATA), len(DATA)
    assert part(served, key, id_, f"*/{size}").json == {"id": id_, "len": size, "received": 0}
    assert part(served, key, id_, f"0-99/{size}", DATA[:100]).json["received"] == 100
    assert call(served, "GET", f"/api/v4/attachments/{id_}", None, headers(key)).status == 404
    assert part(served, key, id_, f"100-{size - 1}/{size}", DATA[100:200]).json["received"] == 200
    assert part(served, key, id_, f"*/{size}").json["received"] == 200
    assert part(served, key, id_, f"200-{size - 1}/{size}", DATA[200:]).json["received"] == size
    assert call(served, "GET", f"/api/v4/attachments/{id_}", None, headers(key)).body == DATA
    assert len(files_of(store)) == 1
    assert part(served, key, id_of(b""), "*/0").json["received"] == 0
    assert call(served, "GET", f"/api/v4/attachments/{id_of(b'')}", None, headers(key)).body == b""


def test_parts_that_do_not_fit_are_refused(served: Application, store: Store, key: str) -> None:
    id_ = id_of(b"hello")
    part(served, key, id_, "0-1/5", b"he")
    for span in ("0-1/5", "1-1/5", "3-4/5"):
        answered = part(served, key, id_, span, b"xx")
        assert (answered.status, answered.code) == (409, "upload-conflict")
        assert answered.json["error"]["data"]["received"] == 2
    for span in ("5-6/5", "2-1/5", "2-9/5", "2/5", "x"):
        assert part(served, key, id_, span, b"xx").code == "malformed-request"
    assert part(served, key, id_, "2-3/5", b"lllll").code == "malformed-request"
    assert part(served, key, "nothing", "0-1/5", b"he").code == "invalid-value"
    answered = part(served, key, id_, "2-4/5", b"LLO")
    assert (answered.status, answered.json["error"]["data"]["received"]) == (409, 0)
    assert files_of(store) == []
    assert part(served, key, id_, "0-4/5", b"hello").status == 200


def test_what_one_key_began_another_does_not_spoil(served: Application, key: str) -> None:
    id_ = id_of(b"hello")
    other = only_app(served).keyring.create("other", Permission.of({"write"}, frozenset({"c"})))
    part(served, key, id_, "0-1/5", b"he")
    assert part(served, other, id_, "*/5").json["received"] == 0
    part(served, other, id_, "0-1/5", b"xx")
    assert part(served, key, id_, "2-4/5", b"llo").json["received"] == 5
    reader = only_app(served).keyring.create("reader", Permission.of({"read"}))
    assert part(served, reader, id_, "*/5").status == 403


def test_parts_are_bounded(served: Application, store: Store, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPLOADS_MAX", 2)
    assert [part(served, key, id_of(data), "0-0/9", b"x").status for data in (b"a", b"b", b"c")] == [200, 200, 429]
    assert part(served, key, id_of(b"a"), "1-1/9", b"x").status == 200
    monkeypatch.setattr(limits, "UPLOAD_SECONDS_MAX", -1.0)
    assert part(served, key, id_of(b"c"), "0-0/9", b"x").status == 200
    monkeypatch.setattr(limits, "UPLOAD_SECONDS_MAX", 99.0)
    monkeypatch.setattr(limits, "UPLOADS_BYTES_MAX", 10)
    assert part(served, key, id_of(b"d"), "0-0/9", b"x").status == 429
    monkeypatch.setattr(limits, "ATTACHMENT_BYTES_MAX", 8)
    assert part(served, key, id_of(b"c"), "1-1/9", b"x").json["error"]["data"]["limit"] == "ATTACHMENT_BYTES_MAX"
    assert len(files_of(store)) == 1


def test_what_came_survives_a_restart(tmp_path: Path) -> None:
    id_ = id_of(b"hello")
    with Store.open(tmp_path / "store") as store:
        key = KeyRing(store).create("root", Permission.full())
        assert part(application(store, KeyRing(store)), key, id_, "0-1/5", b"he").json["received"] == 2
    with Store.open(tmp_path / "store") as store:
        served = application(store, KeyRing(store))
        assert part(served, key, id_, "2-4/5", b"llo").json["received"] == 5


def test_a_connection_that_breaks_keeps_what_came(served: Application, store: Store, key: str) -> None:
    data = hashlib.shake_128(b"seed").digest(600_000)
    kind = headers(key, content_type="application/octet-stream", content_range="bytes 0-599999/600000")
    path = f"/api/v4/attachments/{id_of(data)}"
    with serving(served) as address:
        with connect(address) as connection:
            connection.sendall(as_raw("PUT", path, kind, data)[:-1_000])
            while not any(file.stat().st_size for file in files_of(store)):
                pass  # until some of it has come
        answered = part(served, key, id_of(data), "*/600000")
        while answered.status == 429:  # until its request was given up
            answered = part(served, key, id_of(data), "*/600000")
    served = application(store, KeyRing(store))
    received = answered.json["received"]
    assert 0 < received < 600_000
    assert part(served, key, id_of(data), f"{received}-599999/600000", data[received:]).json["received"] == 600_000
    assert call(served, "GET", path, None, headers(key)).body == data
    assert len(files_of(store)) == 1


# --- in documents ---


@pytest.mark.parametrize("route", ["find", "findbyid"])
@pytest.mark.parametrize("form", ["latestValues", "latestValuesAndTypes", "full"])
def test_documents_say_where_their_files_are(
    served: Application, store: Store, key: str, route: str, form: str
) -> None:
    token = {"id": put(served, key), "len": len(DATA), "metadata": {"a": "b"}}
    fields = {"a": {"b": token}, "o": {}, "l": [token], "n": 3, "d": 1e300, "like": token}
    types = {"a.b": "attachment", "n": "counter"}
    store.write([Upsert("c d", fields, id="1/2", value_types=types), Upsert("c d", {"f": token}, id=3)])
    body = {"collection": "c d", "id": "1/2", "query": "_id == '1/2'", "serializedAs": form}

    def ask(**more: bool) -> dict[str, Any]:
        answered = call(served, "POST", f"/api/v4/store/{route}", {**body, **more}, headers(key, content_type=JSON))
        [document] = answered.json.get("documents", [answered.json])
        return dict(document["fields"])

    plain, shown = ask(), ask(formatAttachment=True)
    place = shown["a"]["b"] if form == "latestValues" else shown["a"]["map"]["value"]["b"]["attachment"]["value"]
    url = place.pop("url")
    assert shown == plain
    assert url == f"/api/v4/attachments/{token['id']}?collection=c%20d&document=1%2F2"
    assert call(served, "GET", url, None, headers(key)).body == DATA
    assert "url" not in json.dumps(ask(formatAttachment=False))


def test_lines_show_no_addresses(served: Application, key: str) -> None:
    body = {"collection": "c", "query": "true", "formatAttachment": True}
    lines = headers(key, content_type=JSON, accept="application/x-ndjson")
    assert call(served, "POST", "/api/v4/store/find", body, lines).code == "malformed-request"
