"""Finds and SELECTs as lines: what their usual answers hold, one value a line, however many, in bounded memory."""

from __future__ import annotations

import asyncio
import ctypes
import json
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.errors import Corrupted
from crdtstore.http.server import Application, application
from crdtstore.limits import FIND_LIMIT_DEFAULT, FIND_LIMIT_MAX, LINES_PIECE_BYTES
from tests.http.calling import Answered, call, exchange, headers_for

LINES = "application/x-ndjson"
M_MMAP_THRESHOLD = -3
"""Of mallopt: from how many bytes on a block is mapped, and given back when it is freed."""

OLDER = "application/json-l"
FINDS = [f"/api/{version}/store/find" for version in ("v2", "v3", "v4", "v5")]
SORTING = FINDS[2:]
EXECUTES = [f"/api/{version}/store/execute" for version in ("v4", "v5")]
COUNT = 1_200
IDS: list[Any] = [1e300, True, {"k": ["é", 1e16]}, 'a "quoted"\n id', 2**62, -1.5]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store.in_memory() as store:
        ids = [*range(COUNT - len(IDS)), *IDS]
        for first in range(0, COUNT, 100):
            some = enumerate(ids[first : first + 100])
            store.write([Upsert("c", {"n": number % 7, "deep": {"é": [1, None]}}, id=id_) for number, id_ in some])
        yield store


@pytest.fixture
def headers(key: str) -> dict[str, str]:
    return {**headers_for(key), "accept": LINES}


def asked(query: str = "true", **more: Any) -> dict[str, Any]:
    return {"collection": "c", "query": query, **more}


def values(answered: Answered) -> list[Any]:
    """The values of the lines of an answer."""
    assert (answered.status, answered.headers["content-type"]) == (200, LINES)
    assert answered.body.endswith(b"\n") or not answered.body
    return [json.loads(line) for line in answered.body.splitlines()]


def pages(app: Application, key: str, route: str, **more: Any) -> list[bytes]:
    """The documents of all pages, as they stand in them."""
    found: list[bytes] = []
    cursor: dict[str, str] = {}
    while True:
        answered = call(app, "POST", route, asked(limit=500, **more, **cursor), headers_for(key))
        end = answered.body.rindex(b'],"txnId":')
        documents = answered.body[len(b'{"documents":[') : end]
        found += documents.replace(b'},{"id":', b'}\n{"id":').splitlines()
        if "nextCursor" not in answered.json:
            return found
        cursor = {"cursor": answered.json["nextCursor"]}


@pytest.mark.parametrize("route", SORTING)
@pytest.mark.parametrize("sort", [[], [{"property": "n", "direction": "desc"}]])
def test_lines_are_the_documents_of_all_pages(
    app: Application, key: str, headers: dict[str, str], route: str, sort: list[Any]
) -> None:
    for query in ("true", "n > 4", "n > 100"):
        answered = call(app, "POST", route, asked(query, sort=sort), headers)
        assert answered.body.splitlines() == pages(app, key, route, query=query, sort=sort)
        values(answered)


@pytest.mark.parametrize("route", FINDS)
def test_there_is_no_limit_but_the_one_that_is_given(
    app: Application, store: Store, headers: dict[str, str], route: str
) -> None:
    for method in ("GET", "POST"):
        every = values(call(app, method, route, asked(), headers))
        assert len(every) == COUNT > FIND_LIMIT_DEFAULT
    assert values(call(app, "POST", route, asked(limit=3, offset=2), headers)) == every[2:5]
    assert values(call(app, "POST", route, asked(limit=2 * FIND_LIMIT_MAX), headers)) == every
    assert values(call(app, "POST", route, asked(limit=0), headers)) == []
    answered = call(app, "POST", route, asked("n == 1", limit=1), headers)
    assert answered.headers["x-ditto-txn-id"] == str(store.applied)
    assert answered.headers["content-length"] == str(len(answered.body))


@pytest.mark.parametrize("route", FINDS)
def test_forms_are_as_ever(app: Application, key: str, headers: dict[str, str], route: str) -> None:
    for form in ("latestValuesAndTypes", "full"):
        body = asked("n == 1", serializedAs=form, limit=9)
        usual = call(app, "POST", route, body, headers_for(key)).json["documents"]
        assert values(call(app, "POST", route, body, headers)) == usual


@pytest.mark.parametrize("accept", [LINES, OLDER, f"{LINES};q=1, application/json;q=0.5", f"text/html, {OLDER}"])
def test_who_asks_for_lines_gets_them_by_the_name_he_gave(app: Application, key: str, accept: str) -> None:
    answered = call(app, "POST", FINDS[2], asked("n == 1", limit=2), headers_for(key, accept=accept))
    assert answered.headers["content-type"] in accept
    assert len(answered.body.splitlines()) == 2


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", f"application/json, {LINES};q=0.9"])
def test_nobody_else_does(app: Application, key: str, accept: str) -> None:
    answered = call(app, "POST", FINDS[2], asked(), headers_for(key, accept=accept))
    assert answered.headers["content-type"] == "application/json"
    assert len(answered.json["documents"]) == FIND_LIMIT_DEFAULT


def test_lines_go_on_behind_a_page(app: Application, key: str, headers: dict[str, str]) -> None:
    first = call(app, "POST", FINDS[2], asked(limit=1_000), headers_for(key)).json
    rest = values(call(app, "POST", FINDS[2], asked(cursor=first["nextCursor"]), headers))
    assert first["documents"] + rest == values(call(app, "POST", FINDS[2], asked(), headers))


def test_a_description_is_one_document(app: Application, headers: dict[str, str]) -> None:
    answered = call(app, "POST", FINDS[2], asked(describe=True), headers)
    assert answered.headers["content-type"] == "application/json"
    assert answered.json["documents"][0]["id"] == "query_details"


def test_what_is_wrong_has_a_status(app: Application, keyring: KeyRing, headers: dict[str, str]) -> None:
    for body, status in (
        (asked("n =="), 400),
        (asked(limit=-1), 400),
        (asked(limit=None), 400),
        (asked(cursor="x"), 400),
        ({"query": "true"}, 400),
    ):
        assert call(app, "POST", FINDS[2], body, headers).status == status
    assert call(app, "POST", FINDS[2], asked(), {**headers, "x-crdtstore-at": "1"}).status == 410
    other = headers_for(keyring.create("o", Permission.of({"read"}, frozenset({"d"}))), accept=LINES)
    assert values(call(app, "POST", FINDS[2], asked(), other)) == []
    assert values(call(app, "POST", EXECUTES[0], {"statement": "SELECT * FROM c"}, other)) == []


def test_a_version_of_the_past_is_read(app: Application, store: Store, headers: dict[str, str]) -> None:
    with store.pin() as pin:
        store.write([Upsert("other", {}, id=1)])
        past = {**headers, "x-crdtstore-at": str(pin.txn)}
        for route, body in ((FINDS[2], asked()), (EXECUTES[0], {"statement": "SELECT * FROM c"})):
            answered = call(app, "POST", route, body, past)
            assert answered.headers["x-ditto-txn-id"] == str(pin.txn)
            assert len(values(answered)) == COUNT
        nothing = asked() | {"collection": "other"}
        assert values(call(app, "POST", FINDS[2], nothing, past)) == []
    store.write([Upsert("other", {}, id=2)])


# --- statements ---


@pytest.mark.parametrize("route", EXECUTES)
def test_the_rows_of_a_select_are_lines(app: Application, key: str, headers: dict[str, str], route: str) -> None:
    for statement in (
        "SELECT * FROM c",
        "SELECT n, count(*) AS many FROM c GROUP BY n ORDER BY n",
        "SELECT _id FROM c WHERE n = 3 ORDER BY _id DESC LIMIT 5",
        "SELECT * FROM none",
    ):
        body = {"statement": statement}
        usual = call(app, "POST", route, body, headers_for(key))
        lines = call(app, "POST", route, body, headers)
        assert values(lines) == usual.json["items"]
        assert lines.headers["x-ditto-txn-id"] == usual.headers["x-ditto-txn-id"]


@pytest.mark.parametrize(
    "body",
    [
        {"statement": "EXPLAIN SELECT * FROM c"},
        {"statement": "INSERT INTO d DOCUMENTS ({'_id': 'a'}) ON ID CONFLICT DO NOTHING"},
        {"statements": ["SELECT * FROM c LIMIT 1"]},
    ],
)
def test_all_else_is_answered_as_ever(app: Application, headers: dict[str, str], body: dict[str, Any]) -> None:
    answered = call(app, "POST", EXECUTES[0], body, headers)
    assert (answered.status, answered.headers["content-type"]) == (200, "application/json")


def test_a_statement_that_is_wrong_has_a_status(app: Application, headers: dict[str, str]) -> None:
    assert call(app, "POST", EXECUTES[0], {"statement": "SELECT"}, headers).status == 400
    assert call(app, "POST", EXECUTES[0], {"statement": "SELECT * FROM c WHERE n = :n"}, headers).status == 400


# --- however many ---


class Reader:
    """Sends one request and looks at each piece as it comes; nothing of them is kept."""

    def __init__(self, headers: dict[str, str], route: str, body: Any) -> None:
        self.exchange = exchange("POST", route, body, headers)
        self.lines = self.bytes = self.longest = self.anonymous = 0
        self.last = b""
        self.on_piece: Any = None

    async def send(self, message: dict[str, Any]) -> None:
        piece = message.get("body", b"")
        self.lines += piece.count(b"\n")
        self.bytes += len(piece)
        self.longest = max(self.longest, len(piece))
        self.last = piece or self.last
        self.anonymous = max(self.anonymous, anonymous_bytes())
        if piece and self.on_piece is not None:
            self.on_piece()

    def run(self, app: Application) -> None:
        asyncio.run(app(self.exchange.scope, self.exchange.receive, self.send))


def anonymous_bytes() -> int:
    """What this process has in memory that is no file's: pages of the store's map are the system's to take back."""
    status = Path("/proc/self/status").read_text()
    return 1_024 * int(status.partition("RssAnon:")[2].split()[0])


def fill(store: Store, count: int) -> None:
    for first in range(0, count, 1_000):
        store.write(
            [Upsert("c", {"n": -number % 97, "text": "x" * 60}, id=number) for number in range(first, first + 1_000)]
        )


class Taken(NamedTuple):
    """What an answer of many lines took: its longest piece, and memory by Python's count and by the system's."""

    longest: int
    traced: int
    anonymous: int


def measure(folder: Path, count: int, piece_bytes: int = LINES_PIECE_BYTES) -> Taken:
    """Read so many documents in a process of its own: what others freed there would be used again and not be seen."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(measure_here, folder, count, piece_bytes).result()


def measure_here(folder: Path, count: int, piece_bytes: int) -> Taken:
    """Fill a store, read all of it and see how much memory that takes."""
    limits.LINES_PIECE_BYTES = piece_bytes  # type: ignore[misc]  # the process is for this alone
    with Store.open(folder / "store", durability="none") as store:
        fill(store, count)
        keyring = KeyRing(store)
        app = application(store, keyring)
        headers = headers_for(keyring.create("test", Permission.full()), accept=LINES)
        Reader(headers, FINDS[2], asked(limit=1_000)).run(app)
        # What filling freed, and the allocator kept, would not be seen either: large blocks are to be the system's.
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 * 1_024)
        before = anonymous_bytes()
        reader = Reader(headers, FINDS[2], asked())
        tracemalloc.start()
        reader.run(app)
        traced = tracemalloc.get_traced_memory()[1]
        app.threads.shutdown()
    assert reader.lines == count
    assert reader.bytes > 80 * count
    return Taken(reader.longest, traced, reader.anonymous - before)


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_any_number_of_documents_takes_little_memory(tmp_path: Path, count: int) -> None:
    taken = measure(tmp_path, count)
    assert taken.longest < 2 * LINES_PIECE_BYTES
    assert taken.traced < 2**20
    assert taken.anonymous < 8 * 2**20


def test_the_measure_sees_an_answer_that_is_made_at_once(tmp_path: Path) -> None:
    taken = measure(tmp_path, 100_000, piece_bytes=2**40)
    assert taken.traced > 8 * 2**20
    assert taken.anonymous > 8 * 2**20


def test_what_breaks_later_is_the_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        fill(store, 2_000)
        keyring = KeyRing(store)
        app = application(store, keyring)
        headers = headers_for(keyring.create("test", Permission.full()), accept=LINES)
        for route, body in ((FINDS[2], asked()), (EXECUTES[0], {"statement": "SELECT * FROM c"})):
            reader = Reader(headers, route, body)

            def fail(_: object) -> bytes:
                raise Corrupted("documents", b"")

            with monkeypatch.context() as patched:

                def break_off(patched: pytest.MonkeyPatch = patched) -> None:
                    patched.setattr("crdtstore.http.lines.Listing.make_piece", fail)

                reader.on_piece = break_off
                reader.run(app)
            assert json.loads(reader.last) == {"error": "Broken"}
            assert reader.lines < 2_000
        app.threads.shutdown()
