"""The route of other stores: who may ask what, what is refused and how, and questions that are held.

Rules: what the messages do is tested with the exchange (`tests/replication`); here they only travel. Nothing sleeps: a
test lets the event loop turn until a question is seen to be held.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Store, Upsert, errors, limits
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import VERBS, Permission
from crdtstore.crdt.scope import Scope
from crdtstore.crdt.vector import vector_digest
from crdtstore.http.replication import exchange as endpoint
from crdtstore.http.server import Application, application
from crdtstore.replication.compare import documents_digest
from crdtstore.replication.frame import Frame, decode_frame, encode_frame
from crdtstore.replication.message import (
    EXCHANGE_FORMAT,
    Chain,
    Close,
    Equal,
    Fetch,
    Hello,
    Open,
    Pull,
    Push,
    Records,
    Request,
    Sums,
    Unequal,
    decode_answer,
    encode,
)
from crdtstore.replication.missing import head_of, missing
from tests.http.calling import Answered, Exchange, call, exchange, headers_for, only_app, serving

ROUTE = "/api/replication/v1"
FIND = "/api/v3/store/find"
TURNS = 1_000_000
OTHER = bytes(15) + b"\x07"
ABC = ("a", "b", "c")


def headers(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", "content-type": "application/msgpack"}


def ask(app: Application, key: str, request: Request | bytes) -> Answered:
    """Send a message."""
    body = request if isinstance(request, bytes) else encode(request)
    return call(app, "POST", ROUTE, body, headers(key))


def hello(store: Store, scope: Scope = None, *, wait: float = 0.0) -> Hello:
    """Ask what a store that is equal to `store` would ask."""
    with store.storage.snapshot() as snapshot:
        vector = vector_digest(head_of(snapshot).vector)
        return Hello(EXCHANGE_FORMAT, scope, OTHER, vector, documents_digest(snapshot, scope), wait)


def push(store: Store, scope: Scope = None) -> Push:
    """Give all that a store has, without looking whether it is within the scope."""
    with store.storage.snapshot() as snapshot:
        entries, chains, _ = missing(snapshot, head_of(snapshot), None, {})
    return Push(EXCHANGE_FORMAT, scope, OTHER, encode_frame(Frame(entries, chains)))


def every_request(scope: Scope) -> list[Request]:
    """One message of each kind."""
    start = (EXCHANGE_FORMAT, scope, OTHER)
    return [
        Hello(*start, bytes(16), bytes(16)),
        Pull(*start, (), 1_000),
        Push(*start, b""),
        Open(*start, ()),
        Sums(*start, 1, ()),
        Fetch(*start, 1, ()),
        Chain(*start, 1, OTHER, 1, 1),
        Close(*start, 1),
    ]


# --- who may ask ---


def test_a_message_is_answered_with_a_message(store: Store, app: Application, key: str) -> None:
    answered = ask(app, key, hello(store))
    assert (answered.status, answered.headers["content-type"]) == (200, "application/msgpack")
    assert answered.headers["x-ditto-txn-id"] == "0"
    assert decode_answer(answered.body) == Equal(store.origin)


@pytest.mark.parametrize("scope", [None, ("a",), ABC])
@pytest.mark.parametrize("number", range(8))
def test_a_message_needs_the_verb_for_its_whole_scope(
    keyring: KeyRing, app: Application, number: int, scope: Scope
) -> None:
    request = every_request(scope)[number]
    verb = "write" if isinstance(request, Push) else "read"
    named = None if scope is None else frozenset(scope)
    lesser: list[Permission] = [Permission.of(VERBS - {verb}), Permission.of(VERBS, frozenset({"b"}))]
    for permission in lesser:
        answered = ask(app, keyring.create("lesser", permission), request)
        assert (answered.status, answered.code, answered.headers["content-type"]) == (
            403,
            "forbidden",
            "application/json",
        )
    enough = keyring.create("enough", Permission.of(frozenset({verb}), named))
    assert ask(app, enough, request).status == 200


@pytest.mark.parametrize("number", range(8))
def test_what_is_not_allowed_does_not_reach_the_store(
    keyring: KeyRing, app: Application, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def answer(*_: object, **__: object) -> None:
        raise AssertionError("The store was asked.")

    monkeypatch.setattr(endpoint, "answer", answer)
    nobody = keyring.create("nobody", Permission.of(frozenset()))
    assert ask(app, nobody, every_request(None)[number]).status == 403
    assert ask(app, keyring.create("all", Permission.full()), every_request(None)[number]).status == 500


def test_a_key_for_some_collections_writes_no_others(store: Store, keyring: KeyRing, app: Application) -> None:
    """Whatever scope the message claims, its frame must be within."""
    key = keyring.create("a", Permission.of(VERBS, frozenset({"a"})))
    with Store.in_memory() as other:
        other.write([Upsert("a", {"n": 1}, id=1)])
        other.write([Upsert("b", {"n": 1}, id=1)])
        answered = ask(app, key, push(other, ("a",)))
    assert answered.status == 200
    assert isinstance(msgpack.unpackb(answered.body), list)
    assert store.get("b", 1) is None


def test_a_key_for_some_collections_reads_no_others(store: Store, keyring: KeyRing, app: Application) -> None:
    key = keyring.create("a", Permission.of(VERBS, frozenset({"a"})))
    store.write([Upsert("a", {"n": "told"}, id=1), Upsert("b", {"n": "secret"}, id="hidden")])
    told = decode_answer(ask(app, key, Pull(EXCHANGE_FORMAT, ("a",), OTHER, (), 1_000)).body)
    assert isinstance(told, Records)
    [entry] = decode_frame(told.frame).entries
    assert b"told" in entry.data
    assert b"secret" not in entry.data
    assert b"hidden" not in entry.data


# --- what is refused ---


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/msgpack", 200),
        ("Application/MsgPack", 200),
        ("application/json", 415),
        ("application/x-msgpack", 415),
        ("", 415),
    ],
)
def test_a_message_is_said_to_be_one(store: Store, app: Application, key: str, content_type: str, status: int) -> None:
    answered = call(app, "POST", ROUTE, encode(hello(store)), {**headers(key), "content-type": content_type})
    assert answered.status == status


def test_other_routes_take_no_messages(app: Application, key: str) -> None:
    assert call(app, "POST", FIND, b"{}", headers(key)).status == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_messages_are_posted(app: Application, key: str, method: str) -> None:
    answered = call(app, method, ROUTE, b"", headers(key))
    assert (answered.status, answered.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        (ROUTE, limits.BODY_BYTES_MAX + 1, 400),
        (ROUTE, limits.MESSAGE_BYTES_MAX, 400),
        (ROUTE, limits.MESSAGE_BYTES_MAX + 1, 413),
        (FIND, limits.BODY_BYTES_MAX, 400),
        (FIND, limits.BODY_BYTES_MAX + 1, 413),
    ],
)
def test_each_route_has_its_own_bound(app: Application, key: str, path: str, length: int, status: int) -> None:
    form = headers(key) if path == ROUTE else headers_for(key)
    answered = call(app, "POST", path, b"\xc1", {**form, "content-length": str(length)})
    assert answered.status == status, "it was announced only; what was sent is one byte that is neither form"


@pytest.mark.parametrize("path", [ROUTE, FIND])
def test_a_body_that_was_not_announced_is_bounded_too(
    app: Application, key: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(limits, "MESSAGE_BYTES_MAX", 20)
    monkeypatch.setattr(limits, "BODY_BYTES_MAX", 10)
    form = headers(key) if path == ROUTE else headers_for(key)
    request = exchange("POST", path, b"", {**form, "transfer-encoding": "chunked"})
    request.parts = [b"1234567890", b"1234567890", b"1", b"never read"]
    asyncio.run(app(request.scope, request.receive, request.send))
    assert request.answered.status == 413
    assert request.answered.json["error"]["data"]["maximum"] == (20 if path == ROUTE else 10)
    assert request.parts[-1] == b"never read"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"{}",
        b"\x90",
        msgpack.packb([99, EXCHANGE_FORMAT, None, OTHER]),
        msgpack.packb([1, EXCHANGE_FORMAT + 1, None, OTHER, bytes(16), bytes(16)]),
        msgpack.packb([1, EXCHANGE_FORMAT, [], OTHER, bytes(16), bytes(16)]),
        msgpack.packb([1, EXCHANGE_FORMAT, None, b"short", bytes(16), bytes(16)]),
        msgpack.packb([1, EXCHANGE_FORMAT, None, OTHER, bytes(16), bytes(16), limits.WAIT_SECONDS_MAX + 1]),
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff" * 10,
        encode(Hello(EXCHANGE_FORMAT, None, OTHER, bytes(16), bytes(16)))[:-1],
        encode(Hello(EXCHANGE_FORMAT, None, OTHER, bytes(16), bytes(16))) + b"\0",
    ],
    ids=repr,
)
def test_what_is_no_message_is_refused(store: Store, app: Application, key: str, body: bytes) -> None:
    answered = ask(app, key, body)
    assert (answered.status, answered.code) == (400, "malformed-message")
    assert ask(app, key, hello(store)).status == 200


def test_an_error_of_the_exchange_is_a_message(store: Store, app: Application, key: str) -> None:
    answered = ask(app, key, Push(EXCHANGE_FORMAT, None, OTHER, b"no frame"))
    assert (answered.status, answered.headers["content-type"]) == (200, "application/msgpack")
    number, code, message, _ = msgpack.unpackb(answered.body)
    assert (number, code) == (0, "malformed-message")
    assert message.endswith(".")


SCALARS = (
    st.none() | st.booleans() | st.integers(-1, 70_000) | st.floats() | st.binary(max_size=20) | st.text(max_size=4)
)
NAMES = st.sampled_from([bytes(16), OTHER]) | st.binary(max_size=17)
FIELDS = st.recursive(SCALARS | NAMES, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
NEARLY = st.tuples(
    st.integers(-1, 31),
    st.just(EXCHANGE_FORMAT) | SCALARS,
    st.none() | st.lists(st.sampled_from(ABC), max_size=3) | SCALARS,
    NAMES,
).flatmap(lambda start: st.lists(FIELDS, max_size=4).map(lambda rest: msgpack.packb([*start, *rest])))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Application, str]]:
    with Store.in_memory() as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_key, "SCRYPT_N", 2)
        keyring = KeyRing(store)
        key = keyring.create("a", Permission.full())
        store.write([Upsert("a", {"n": 1}, id=1)])
        patch.setattr(limits, "WAIT_SECONDS_MAX", 0)
        yield application(store, keyring), key


def check(answered: Answered) -> None:
    """Refuse an answer that is not one of ours."""
    if answered.status == 200:
        assert answered.headers["content-type"] == "application/msgpack"
        assert isinstance(msgpack.unpackb(answered.body), list)
    else:
        assert 400 <= answered.status < 500, answered
        assert set(answered.json) == {"message", "error"}


@given(body=st.binary(max_size=60) | NEARLY)
@settings(max_examples=300)
def test_any_bytes_and_any_nearly_message(served: tuple[Application, str], body: bytes) -> None:
    app, key = served
    check(without_wait(app, key, body))


def without_wait(app: Application, key: str, body: bytes) -> Answered:
    """Send a body; a question that is held is let go at once."""
    app.held.over = True
    return ask(app, key, body)


# --- questions that are held ---


async def until_held(app: Application, count: int) -> None:
    """Turn the event loop until so many questions are held; one that never is fails the test."""
    for _ in range(TURNS):
        if len(app.held.ends) == count:
            return
        await asyncio.sleep(0)
    raise AssertionError("The question is not held.")


def held_question(store: Store, key: str, seconds: float = 60.0) -> Exchange:
    return exchange("POST", ROUTE, encode(hello(store, wait=seconds)), headers(key))


def test_a_question_is_answered_when_there_is_something_new_and_the_store_is_asked_twice_only(
    store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    answer = endpoint.__dict__["answer"]

    def counted(*arguments: Any, waited: bool = False) -> Any:
        asked.append(waited)
        return answer(*arguments, waited=waited)

    monkeypatch.setattr(endpoint, "answer", counted)

    async def run() -> None:
        request = held_question(store, key)
        task = asyncio.create_task(app(request.scope, request.receive, request.send))
        await until_held(app, 1)
        assert store.stats().waiting_reads == 1
        await asyncio.to_thread(store.write, [Upsert("c", {"n": 1}, id="a")])
        await task
        assert decode_answer(request.answered.body) == Unequal(store.origin)
        assert store.stats().waiting_reads == 0

    asyncio.run(run())
    assert asked == [False, True]


def test_one_write_answers_every_question(store: Store, app: Application, key: str) -> None:
    async def run() -> None:
        requests = [held_question(store, key) for _ in range(20)]
        tasks = [asyncio.create_task(app(one.scope, one.receive, one.send)) for one in requests]
        await until_held(app, 20)
        store.write([Upsert("c", {"n": 1}, id="a")])
        await asyncio.gather(*tasks)
        assert {decode_answer(one.answered.body) for one in requests} == {Unequal(store.origin)}

    asyncio.run(run())


def test_after_its_time_the_question_is_answered_with_what_is(store: Store, app: Application, key: str) -> None:
    answered = call(app, "POST", ROUTE, encode(hello(store, wait=1e-9)), headers(key))
    assert decode_answer(answered.body) == Equal(store.origin)
    assert store.stats().waiting_reads == 0


def test_a_store_that_leaves_leaves_nothing_behind(store: Store, app: Application, key: str) -> None:
    async def run() -> None:
        request = held_question(store, key)
        task = asyncio.create_task(app(request.scope, request.receive, request.send))
        await until_held(app, 1)
        request.leave()
        await task
        assert request.sent == []
        assert (store.stats().waiting_reads, app.held.ends) == (0, set())

    asyncio.run(run())


def test_only_so_many_questions_are_held(
    store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtstore.version.waiters.WAITERS_MAX", 0)
    answered = call(app, "POST", ROUTE, encode(hello(store, wait=60)), headers(key))
    assert (answered.status, answered.code) == (429, "overloaded")


def test_a_server_that_stops_answers_what_it_held(store: Store, app: Application, key: str) -> None:
    """It would wait for them otherwise, and they for nothing; the question's time is an hour."""
    from crdtstore.client.exchange import PeerClient

    answers: list[bytes] = []
    held = stirred(store)
    with serving(app) as (host, port):
        client = PeerClient(f"http://{host}:{port}", key)
        question = encode(hello(store, wait=3_600))
        thread = threading.Thread(target=lambda: answers.append(client.send(question)))
        thread.start()
        assert held.wait(60)
    thread.join()
    client.close()
    assert [decode_answer(answer) for answer in answers] == [Equal(store.origin)]
    with pytest.raises(RuntimeError):
        app.exchange_threads.submit(print)


def stirred(store: Store) -> threading.Event:
    """An event that is set when something waits for a transaction."""
    event = threading.Event()
    notify = store.notify

    def tell(txn: int, callback: Any) -> Any:
        cancel = notify(txn, callback)
        event.set()
        return cancel

    store.notify = tell  # type: ignore[method-assign]
    return event


def test_pinned_snapshots_are_let_go_when_the_server_stops(store: Store, app: Application, key: str) -> None:
    from crdtstore.client.exchange import PeerClient

    store.write([Upsert("c", {"n": 1}, id="a")])
    with serving(app) as (host, port), PeerClient(f"http://{host}:{port}", key) as client:
        client.send(encode(Open(EXCHANGE_FORMAT, None, OTHER, ())))
        assert len(only_app(app).pins.pins) == 1
    assert len(only_app(app).pins.pins) == 0


def test_pinned_snapshots_are_bounded(store: Store, app: Application, key: str) -> None:
    store.write([Upsert("c", {"n": 1}, id="a")])
    names = [number.to_bytes(16, "big") for number in range(1, limits.PINS_MAX + 2)]
    opened = [ask(app, key, Open(EXCHANGE_FORMAT, None, name, ())) for name in names]
    codes = [msgpack.unpackb(answered.body)[0] for answered in opened]
    assert codes[:-1] == [26] * limits.PINS_MAX
    assert msgpack.unpackb(opened[-1].body)[:2] == [0, "overloaded"]
    only_app(app).pins.close()


def test_what_the_operator_must_mend_is_told_to_the_log_alone(
    store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise errors.StoreFull("The disk that holds /secret/place is full.")

    monkeypatch.setattr(store, "deliver", fail)
    with Store.in_memory() as other:
        other.write([Upsert("a", {"n": 1}, id=1)])
        answered = ask(app, key, push(other))
    assert (answered.status, answered.code) == (507, "store-full")
    assert b"secret" not in answered.body
    assert "/secret/place" in caplog.text
