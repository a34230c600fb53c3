"""Reads that wait for a transaction: woken by the write, ended by the deadline or by the caller who leaves.

Rules: nothing sleeps. A test lets the event loop turn until the read is seen to wait, which is bounded by
turns.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.errors import Overloaded
from crdtstore.http.server import Application, application
from crdtstore.http.wait import until_done
from tests.http.calling import Exchange, call, exchange, headers_for, upsert

FIND = "/api/v3/store/find"
FIND_BY_ID = "/api/v3/store/findbyid"
WRITE = "/api/v3/store/write"
ASKED = {"collection": "c", "query": "true", "id": "a"}
TURNS = 1_000_000


async def until_waiting(store: Store, count: int) -> None:
    """Turn the event loop until `count` reads wait; a read that never does fails the test."""
    for _ in range(TURNS):
        if store.stats().waiting_reads == count:
            return
        await asyncio.sleep(0)
    raise AssertionError("The read does not wait.")


def read(key: str, txn: str, path: str = FIND) -> Exchange:
    return exchange("POST", path, ASKED, headers_for(key, txn=txn))


@pytest.mark.parametrize("path", [FIND, FIND_BY_ID])
def test_a_read_is_answered_when_the_write_arrives(store: Store, app: Application, key: str, path: str) -> None:
    async def run() -> None:
        request = read(key, "2", path)
        task = asyncio.create_task(app(request.scope, request.receive, request.send))
        await until_waiting(store, 1)
        store.write([Upsert("c", {"n": 1}, id="a")])
        await until_waiting(store, 1)
        assert not request.sent, "it was answered before its transaction"
        store.write([Upsert("c", {"n": 2}, id="a")])
        await task
        answered = request.answered
        assert (answered.status, answered.json["txnId"], answered.headers["x-ditto-txn-id"]) == (200, 2, "2")
        row = answered.json["documents"][0] if path == FIND else answered.json["document"]
        assert row == {"id": "a", "fields": {"n": 2}}
        assert store.stats().waiting_reads == 0

    asyncio.run(run())


def test_one_write_wakes_every_read_that_waits_for_it(store: Store, app: Application, key: str) -> None:
    async def run() -> None:
        requests = [read(key, "1") for _ in range(20)]
        tasks = [asyncio.create_task(app(one.scope, one.receive, one.send)) for one in requests]
        await until_waiting(store, 20)
        await app(*wired(exchange("POST", WRITE, upsert("a", n=1), headers_for(key))))
        await asyncio.gather(*tasks)
        assert {one.answered.status for one in requests} == {200}

    asyncio.run(run())


def wired(request: Exchange) -> tuple[Any, Any, Any]:
    return request.scope, request.receive, request.send


def test_a_write_of_another_thread_wakes_a_read(store: Store, app: Application, key: str) -> None:
    async def run() -> None:
        request = read(key, "1")
        task = asyncio.create_task(app(*wired(request)))
        await until_waiting(store, 1)
        await asyncio.to_thread(store.write, [Upsert("c", {"n": 1}, id="a")])
        await task
        assert request.answered.json["documents"] == [{"id": "a", "fields": {"n": 1}}]

    asyncio.run(run())


def test_after_the_deadline_the_read_is_refused(store: Store, keyring: KeyRing, key: str) -> None:
    app = application(store, keyring, wait_seconds=0)
    call(app, "POST", WRITE, upsert("a", n=1), headers_for(key))
    answered = call(app, "POST", FIND, ASKED, headers_for(key, txn="2"))
    assert (answered.status, answered.code) == (404, "version-not-available")
    assert answered.json["error"]["data"] == {"asked": 2, "applied": 1, "code": "version-not-available"}
    assert answered.headers["x-ditto-txn-id"] == "1"
    assert store.stats().waiting_reads == 0


@pytest.mark.parametrize("txn", ["0", "1", "0001"])
def test_a_transaction_that_is_applied_is_not_waited_for(store: Store, app: Application, key: str, txn: str) -> None:
    call(app, "POST", WRITE, upsert("a", n=1), headers_for(key))
    assert call(app, "POST", FIND, ASKED, headers_for(key, txn=txn)).status == 200


def test_a_caller_who_leaves_leaves_nothing_behind(store: Store, app: Application, key: str) -> None:
    async def run() -> None:
        request = read(key, "1")
        task = asyncio.create_task(app(*wired(request)))
        await until_waiting(store, 1)
        request.leave()
        await task
        assert request.sent == []
        assert store.stats().waiting_reads == 0

    asyncio.run(run())


def test_a_server_that_stops_leaves_nothing_behind(store: Store, app: Application, key: str) -> None:
    async def run() -> None:
        task = asyncio.create_task(app(*wired(read(key, "1"))))
        await until_waiting(store, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert store.stats().waiting_reads == 0

    asyncio.run(run())


def test_a_server_that_is_about_to_stop_lets_reads_go_and_holds_no_more(
    store: Store, keyring: KeyRing, key: str
) -> None:
    app = application(store, keyring, wait_seconds=3_600)

    async def run() -> None:
        requests = [read(key, "1") for _ in range(2)]
        task = asyncio.create_task(app(*wired(requests[0])))
        await until_waiting(store, 1)
        app.held.let_go()
        await task
        await app(*wired(requests[1]))
        assert [request.answered.code for request in requests] == ["version-not-available"] * 2
        assert store.stats().waiting_reads == 0

    asyncio.run(run())


def test_a_wake_up_after_the_loop_has_ended_does_no_harm(
    store: Store, app: Application, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The writer may be about to call a waiter while its loop ends: the call then finds a closed loop."""
    kept = []
    notify = store.notify

    def keep(txn: int, callback: Any) -> Any:
        kept.append(callback)
        return notify(txn, callback)

    async def run() -> None:
        task = asyncio.create_task(app(*wired(read(key, "1"))))
        await until_waiting(store, 1)
        task.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "notify", keep)
        asyncio.run(run())
    kept[0]()
    assert not caplog.records


def test_only_so_many_reads_wait(store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.version.waiters.WAITERS_MAX", 1)

    async def run() -> None:
        first, second = read(key, "1"), read(key, "1")
        task = asyncio.create_task(app(*wired(first)))
        await until_waiting(store, 1)
        await app(*wired(second))
        assert (second.answered.status, second.answered.headers["retry-after"]) == (429, "1")
        store.write([Upsert("c", {"n": 1}, id="a")])
        await task
        assert first.answered.status == 200

    asyncio.run(run())


@pytest.mark.parametrize("txn", ["", "-1", "+1", "1.0", "17x", " 1", "0x1", "\u0661", str(2**63), "9" * 400])
@pytest.mark.parametrize("path", [FIND, FIND_BY_ID, WRITE])
def test_a_transaction_is_a_decimal_number(store: Store, app: Application, key: str, txn: str, path: str) -> None:
    body = {**ASKED, **upsert("a", n=1)}
    request = exchange("POST", path, body, headers_for(key))
    request.scope["headers"].append((b"x-ditto-txn-id", txn.encode()))
    asyncio.run(app(*wired(request)))
    assert (request.answered.status, store.applied) == (400, 0)


def test_the_greatest_transaction_is_a_number_too(store: Store, keyring: KeyRing, key: str) -> None:
    app = application(store, keyring, wait_seconds=0)
    answered = call(app, "POST", FIND, ASKED, headers_for(key, txn=str(limits.INT_MAX)))
    assert answered.json["error"]["data"]["asked"] == limits.INT_MAX


def test_on_a_write_the_transaction_is_a_precondition(store: Store, app: Application, key: str) -> None:
    refused = call(app, "POST", WRITE, upsert("a", n=1), headers_for(key, txn="1"))
    assert (refused.status, refused.code, store.applied) == (404, "version-not-available", 0)
    assert call(app, "POST", WRITE, upsert("a", n=1), headers_for(key, txn="0")).status == 200
    assert call(app, "POST", WRITE, upsert("a", n=2), headers_for(key, txn="1")).status == 200
    assert store.applied == 2


# --- what another thread does ---


def test_what_another_thread_did_is_given_or_raised() -> None:
    async def run(pending: Future[int]) -> int:
        asyncio.get_running_loop().run_in_executor(None, settle, pending)
        return await until_done(pending)

    def settle(pending: Future[int]) -> None:
        if pending is broken:
            pending.set_exception(Overloaded("too much"))
        else:
            pending.set_result(7)

    broken: Future[int] = Future()
    assert asyncio.run(run(Future())) == 7
    with pytest.raises(Overloaded):
        asyncio.run(run(broken))


def test_a_task_that_is_cancelled_leaves_it_on_its_way() -> None:
    pending: Future[int] = Future()

    async def run() -> None:
        task = asyncio.ensure_future(until_done(pending))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not pending.cancelled()

    asyncio.run(run())
    # The loop is closed by now.
    pending.set_result(7)
    assert pending.result() == 7
