"""The parts of the built-in server: alarms, what goes out, work begun at once, answers that break off, stops."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.http.channel import Channel, Head
from crdtstore.http.server import application
from crdtstore.http.serving.alarm import Alarm
from crdtstore.http.serving.head import write_head
from crdtstore.http.serving.outflow import Outflow
from crdtstore.http.serving.server import Server
from crdtstore.http.serving.tasks import Rest, go_on
from crdtstore.http.wait import Held, until_done
from crdtstore.version.pending import Pending
from tests.http.calling import as_raw, connect, raw, until_closed

LAST = {"Connection": "close"}


class Clock:
    """A loop's clock and its timers, run by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []
        self.started = 0

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, act: Callable[[], None]) -> Timer:
        self.started += 1
        self.timers.append(Timer(self, self.now + seconds, act))
        return self.timers[-1]

    def go(self, seconds: float) -> None:
        until = self.now + seconds
        while self.timers and (timer := min(self.timers, key=lambda timer: timer.at)).at <= until:
            self.now = timer.at
            self.timers.remove(timer)
            timer.act()
        self.now = until


class Timer:
    def __init__(self, clock: Clock, at: float, act: Callable[[], None]) -> None:
        self.clock, self.at, self.act = clock, at, act

    def cancel(self) -> None:
        self.clock.timers.remove(self)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(1, 9)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("go"), st.integers(0, 9)),
    ),
    max_size=30,
)


@given(STEPS)
def test_an_alarm_rings_when_it_was_last_set_to(steps: list[tuple[str, int]]) -> None:
    clock, rung, expected = Clock(), [], []
    alarm = Alarm(cast("asyncio.AbstractEventLoop", clock))
    due: float | None = None
    for step, seconds in steps:
        if step == "set":
            alarm.set(seconds, lambda: rung.append(clock.now))
            due = clock.now + seconds
        elif step == "clear":
            alarm.clear()
            due = None
        else:
            if due is not None and due <= clock.now + seconds:
                expected.append(due)
                due = None
            clock.go(seconds)
    assert rung == expected
    assert len(clock.timers) <= 1
    alarm.end()
    assert not clock.timers


def test_an_alarm_that_is_set_for_each_request_leaves_its_timer_alone() -> None:
    clock = Clock()
    alarm = Alarm(cast("asyncio.AbstractEventLoop", clock))
    for _ in range(100):
        alarm.set(60, lambda: None)
        alarm.clear()
        clock.go(0.1)
    assert clock.started == 1


async def step_by_step(told: list[Any], futures: list[asyncio.Future[int]]) -> None:
    """Wait for each, and note what comes of it."""
    for future in futures:
        try:
            told.append(await future)
        except (ValueError, asyncio.CancelledError) as error:
            told.append(type(error))
    await asyncio.sleep(0)
    told.append("end")


@given(st.lists(st.sampled_from(["now", "later", "fails", "cancelled"]), max_size=6))
def test_work_that_is_begun_at_once_goes_on_as_any_other(kinds: list[str]) -> None:
    def run(start: Callable[[Coroutine[Any, Any, None]], Awaitable[None]]) -> list[Any]:
        async def main() -> list[Any]:
            loop = asyncio.get_running_loop()
            told: list[Any] = []
            futures: list[asyncio.Future[int]] = [loop.create_future() for _ in kinds]
            for number, (kind, future) in enumerate(zip(kinds, futures, strict=True)):
                if kind == "now":
                    future.set_result(number)
                elif kind == "later":
                    loop.call_later(0.001, future.set_result, number)
                elif kind == "fails":
                    loop.call_soon(future.set_exception, ValueError())
                else:
                    loop.call_soon(future.cancel)
            await start(step_by_step(told, futures))
            return told

        return asyncio.run(main())

    async def at_once(work: Coroutine[Any, Any, None]) -> None:
        rest = go_on(work)
        assert isinstance(rest, Rest)
        await asyncio.create_task(awaited(rest))

    async def awaited(rest: Awaitable[None]) -> None:
        await rest

    assert run(at_once) == run(lambda work: work)


def test_work_that_need_not_wait_ends_at_once() -> None:
    told: list[str] = []

    async def work() -> None:
        told.append("done")

    assert go_on(work()) is None
    assert told == ["done"]


def test_work_that_waits_for_a_write_needs_no_task() -> None:
    """The write is handed out, and the work goes on where it stopped; in a task it waits like any other."""
    told: list[object] = []

    async def work(pending: Pending) -> None:
        try:
            told.append(await until_done(pending))
        except ValueError as error:
            told.append(error)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        failed, written, task = Pending(), Pending(), Pending()
        works = [(each, work(each)) for each in (failed, written)]

        def begin_all() -> None:
            assert [go_on(coroutine) for _, coroutine in works] == [failed, written]

        loop.call_soon(begin_all)
        other = asyncio.create_task(work(task))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        error = ValueError()
        failed.set_exception(error)
        for each, number in ((written, 1), (task, 2)):
            each.set_result(number)
        loop.call_soon(lambda: told.append([go_on(coroutine) for _, coroutine in works]))
        await other
        assert sorted(told, key=repr) == sorted([error, 1, 2, [None, None]], key=repr)

    asyncio.run(main())


def test_work_that_is_cancelled_is_told() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            told.append("let go")

    async def main() -> None:
        rest = go_on(work())
        assert isinstance(rest, Rest)

        async def awaited() -> None:
            await rest

        task = asyncio.create_task(awaited())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert told == ["let go"]


def test_who_writes_waits_while_the_transport_is_full() -> None:
    class Full:
        def get_write_buffer_size(self) -> int:
            return 1

    async def main() -> None:
        outflow = Outflow(cast("asyncio.Transport", Full()), asyncio.get_running_loop())
        await outflow.until_free()
        outflow.pause()
        waiting = [asyncio.create_task(outflow.until_free()) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        outflow.resume()
        await asyncio.gather(*waiting)
        assert outflow.stall.timer is None

    asyncio.run(main())


@pytest.mark.parametrize("header", [(b"a", b"b\r\nc: d"), (b"a", b"b\x00"), (b"a b", b""), (b"", b"b"), (b"a:", b"b")])
def test_a_header_that_would_begin_another_is_not_sent(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        write_head(200, (header,), (), close=False)
    assert write_head(200, ((b"a", b"b\tc"),), ((b"d", b"1"),), close=True).endswith(
        b"d: 1\r\nconnection: close\r\n\r\n"
    )


class Sends:
    """What is served: an answer that is sent piece by piece."""

    def __init__(self, answer: Callable[[Channel], Awaitable[None]]) -> None:
        self.held = Held()
        self.answer = answer

    async def handle(self, _head: Head, channel: Channel) -> None:
        await self.answer(channel)

    def stop(self) -> None:
        pass


@contextmanager
def serving(served: Any) -> Iterator[tuple[Server, tuple[str, int]]]:
    ready = threading.Event()
    server = Server(served, "127.0.0.1", 0, on_listening=lambda _host, _port: ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert ready.wait(60)
        yield server, server.listening.getsockname()
    finally:
        server.stop()
        thread.join()


async def two_pieces(channel: Channel) -> None:
    await channel.begin(200, (), (), close=False)
    await channel.send(b"one")
    await channel.send(b"")
    await channel.send(b"two")
    await channel.end()


def sent(answer: Callable[[Channel], Awaitable[None]], request: bytes) -> bytes:
    """What comes back, without the head's lines but the first and those of framing."""
    with serving(Sends(answer)) as (_, address), connect(address) as connection:
        connection.sendall(request)
        return until_closed(connection)


def test_pieces_are_chunks_where_the_caller_knows_them() -> None:
    head, _, body = sent(two_pieces, as_raw("GET", "/", LAST)).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_pieces_end_with_the_connection_where_he_does_not() -> None:
    head, _, body = sent(two_pieces, as_raw("GET", "/", {}).replace(b"1.1", b"1.0")).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"onetwo"


def test_pieces_are_not_sent_to_head() -> None:
    assert sent(two_pieces, as_raw("HEAD", "/", LAST)).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("length", [None, 2, 4])
def test_an_answer_that_breaks_off_does_not_look_whole(length: int | None, caplog: pytest.LogCaptureFixture) -> None:
    """It fails in its midst, or is not as long as it said."""

    async def broken(channel: Channel) -> None:
        await channel.begin(200, (), () if length is None else ((b"content-length", b"%d" % length),), close=False)
        await channel.send(b"one")
        if length is None:
            raise RuntimeError
        await channel.end()

    _, _, body = sent(broken, as_raw("GET", "/", {}) * 2).partition(b"\r\n\r\n")
    assert body == {None: b"3\r\none\r\n", 2: b"", 4: b"one"}[length]
    assert "failed while it was answered" in caplog.text


def test_who_leaves_a_request_without_an_answer_ends_the_connection() -> None:
    async def nothing(_channel: Channel) -> None:
        return

    assert sent(nothing, as_raw("GET", "/", {})) == b""


def test_a_second_stop_cuts_short_the_first(capfd: pytest.CaptureFixture[str]) -> None:
    """A request whose body does not come is in progress for long."""
    came = threading.Event()

    async def waits(channel: Channel) -> None:
        came.set()
        await channel.part()

    with serving(Sends(waits)) as (server, address), connect(address) as connection:
        connection.sendall(as_raw("POST", "/", {"Content-Length": "9"}))
        assert came.wait(60)
        server.stop()
        server.stop()
        connection.settimeout(60)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert capfd.readouterr().err == ""


def test_a_server_stops_with_idle_connections_and_open_streams(store: Store, keyring: KeyRing) -> None:
    with serving(application(store, keyring)) as (_, address), connect(address), socket.socket() as other:
        other.connect(address)
        assert raw(address, as_raw("GET", "/", LAST))[0].status == 401
