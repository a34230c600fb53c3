"""Answers that go on: how they begin, wake, beat and end.

Rules: nothing sleeps for a time; the event loop turns until something is seen, which is bounded by turns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crdtstore import limits
from crdtstore.errors import Overloaded, StoreClosed, Unauthenticated
from crdtstore.http.call import Call
from crdtstore.http.event_stream import LINES, SERVER_SENT, EventStream, Form, answer_events, message
from crdtstore.http.wait import Held

TURNS = 100_000
NEVER = 1e6


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAM_HEARTBEAT_SECONDS", NEVER)


class Numbers:
    """A source that counts: what was put and not taken yet."""

    def __init__(self) -> None:
        self.left: list[bytes] = []
        self.ended = self.closed = False
        self.wakes: list[Callable[[], None]] = []
        self.error: Exception | None = None

    def put(self, data: bytes) -> None:
        self.left.append(data)
        for wake in self.wakes:
            wake()

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wakes.append(wake)
        return lambda: self.wakes.remove(wake)

    async def take(self) -> bytes:
        if self.error is not None:
            raise self.error
        return self.left.pop(0) if self.left else b""

    def heartbeat(self) -> bytes:
        return b"beat\n"

    def farewell(self) -> bytes:
        return b"bye\n"

    def close(self) -> None:
        self.closed = True


class Asked:
    """A call with a caller who can leave."""

    def __init__(self, held: Held | None = None) -> None:
        self.gone = asyncio.Event()
        self.held = held or Held()
        self.refusal: Exception | None = None

    async def check_key(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def until_gone(self) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.gone.wait())

    def open(self, source: Numbers, form: Form = LINES) -> EventStream:
        desk = SimpleNamespace(held=self.held)
        call = cast("Call", SimpleNamespace(desk=desk, gone=self.until_gone, check_key=self.check_key))
        stream = answer_events(call, source, form).stream
        assert isinstance(stream, EventStream)
        return stream


def put_all(sources: list[Numbers]) -> None:
    for source in sources:
        source.put(b"x")


async def until(seen: Callable[[], bool]) -> None:
    for _ in range(TURNS):
        if seen():
            return
        await asyncio.sleep(0)
    raise AssertionError("It is not seen.")


def waits(stream: EventStream) -> bool:
    return stream.waiting is not None


def test_a_message_has_an_id_a_name_and_its_lines() -> None:
    assert message(b"{}") == b"data: {}\n\n"
    assert message(b"a\nb", b"x", b"7") == b"id: 7\nevent: x\ndata: a\ndata: b\n\n"


def test_it_begins_with_when_to_come_back_and_goes_on_with_what_comes() -> None:
    async def run() -> None:
        source = Numbers()
        stream = Asked().open(source, SERVER_SENT)
        assert await stream.piece() == b"retry: 2000\n\n"
        source.put(b"1")
        assert await stream.piece() == b"1"
        task = asyncio.create_task(stream.piece())
        await until(lambda: waits(stream))
        source.put(b"2")
        assert await task == b"2"
        stream.close()
        assert source.closed
        assert not source.wakes

    asyncio.run(run())


def test_a_thread_wakes_a_thousand_readers_with_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        held, sources = Held(), [Numbers() for _ in range(1_000)]
        streams = [Asked(held).open(source) for source in sources]
        tasks = [asyncio.create_task(stream.piece()) for stream in streams]
        await until(lambda: all(map(waits, streams)))
        calls: list[object] = []
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon_threadsafe

        def counted(callback: Callable[..., object], *given: Any, **more: Any) -> Any:
            calls.append(callback)
            return call_soon(callback, *given, **more)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        thread = threading.Thread(target=put_all, args=(sources,))
        thread.start()
        thread.join()
        assert await asyncio.gather(*tasks) == [b"x"] * 1_000
        assert len(calls) == 1
        for stream in streams:
            stream.close()
        assert not held.ends
        assert held.streams == 0

    asyncio.run(run())


def test_what_comes_while_the_source_is_asked_is_not_missed() -> None:
    async def run() -> None:
        source = Numbers()
        stream = Asked().open(source)
        take = source.take

        async def late() -> bytes:
            taken = await take()
            source.put(b"1")
            source.take = take  # type: ignore[method-assign]
            return taken

        source.take = late  # type: ignore[method-assign]
        assert await stream.piece() == b"1"
        stream.close()

    asyncio.run(run())


@pytest.mark.parametrize("form", [LINES, SERVER_SENT])
def test_a_silent_stream_beats(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAM_HEARTBEAT_SECONDS", 0.001)

    async def run() -> None:
        source = Numbers()
        stream = Asked().open(source, form)
        stream.first = b""
        assert await stream.piece() == b"beat\n"
        assert await stream.piece() == b"beat\n"
        source.put(b"1")
        assert await stream.piece() == b"1"
        stream.close()

    asyncio.run(run())


def endings() -> list[Any]:
    return [
        pytest.param(lambda asked, source: asked.gone.set(), b"", id="the caller leaves"),
        pytest.param(lambda asked, source: asked.held.let_go(), b"bye\n", id="the server stops"),
        pytest.param(lambda asked, source: end(source), b"", id="the source ends"),
        pytest.param(lambda asked, source: end(source, StoreClosed("gone")), b"bye\n", id="the source breaks"),
    ]


def end(source: Numbers, error: Exception | None = None) -> None:
    source.ended = error is None
    source.error = error
    for wake in source.wakes:
        wake()


@pytest.mark.parametrize(("act", "last"), endings())
def test_it_ends(act: Callable[[Asked, Numbers], None], last: bytes) -> None:
    async def run() -> None:
        asked, source = Asked(), Numbers()
        stream = asked.open(source)
        task = asyncio.create_task(stream.piece())
        await until(lambda: waits(stream))
        act(asked, source)
        assert await task == last
        assert await stream.piece() == b""
        stream.close()
        assert source.closed
        assert not asked.held.ends
        await until(stream.gone.done)

    asyncio.run(run())


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPEN_STREAMS_MAX", 1)

    async def run() -> None:
        held = Held()
        stream = Asked(held).open(Numbers())
        with pytest.raises(Overloaded, match="answers that go on"):
            Asked(held).open(Numbers())
        stream.close()
        Asked(held).open(Numbers()).close()

    asyncio.run(run())


def test_it_ends_with_the_key_and_tells_nothing_more() -> None:
    async def run() -> None:
        source, asked = Numbers(), Asked()
        stream = asked.open(source)
        task = asyncio.create_task(stream.piece())
        await until(lambda: waits(stream))
        asked.refusal = Unauthenticated("revoked")
        source.put(b"1")
        assert await task == b""
        assert await stream.piece() == b""
        assert source.left == [b"1"]
        stream.close()

    asyncio.run(run())


def test_what_there_is_waits_until_the_key_can_be_looked_at() -> None:
    async def run() -> None:
        source, asked = Numbers(), Asked()
        stream = asked.open(source)
        asked.refusal = Overloaded("too many")
        source.put(b"1")
        task = asyncio.create_task(stream.piece())
        await until(lambda: waits(stream))
        asked.refusal = None
        stream.tick()
        assert await task == b"1"
        stream.close()

    asyncio.run(run())
