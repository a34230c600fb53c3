"""Sending batches: how many are on their way, and what is said and done when one fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from crdtstore import Command, Document, Found, Stats, Upsert, Written
from crdtstore.cli.batches import Batch, Sent, send
from crdtstore.crdt.value import Value
from crdtstore.errors import CrdtStoreError, InvalidId, MalformedRequest, Overloaded, StoreFenced
from crdtstore.limits import IMPORT_BATCHES_MAX


class Held:
    """A target that answers in the order of the test: each future is done by hand."""

    place = "nowhere"

    def __init__(self) -> None:
        self.futures: list[Future[Written]] = []

    def submit(self, commands: Sequence[Command]) -> Future[Written]:
        self.futures.append(Future())
        return self.futures[-1]

    def find(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None,
        limit: int,
        offset: int,
        txn: int | None,
        at: int | None = None,
        more: Mapping[str, Any] = {},
    ) -> Found:
        return Found(0, ())

    def get(self, collection: str, identifier: Value, *, at: int | None = None) -> Document | None:
        return None

    def documents(self, collection: str) -> Iterator[Document]:
        return iter(())

    def stats(self) -> Stats:
        raise AssertionError("a target of batches is only written to")


def batch(number: int) -> Batch:
    """Make a batch of two documents, on lines of their own."""
    commands = [Upsert("c", {}, id=2 * number), Upsert("c", {}, id=2 * number + 1)]
    return Batch(commands, [2 * number + 1, 2 * number + 2], 10)


class Late(Future[Written]):
    """Is done as soon as somebody waits for it, and not before."""

    def result(self, timeout: float | None = None) -> Written:
        self.set_result(Written(1, ()))
        return super().result(timeout)


class Slow(Held):
    """A target that answers as late as it can, and counts what is on its way."""

    most = 0

    def submit(self, commands: Sequence[Command]) -> Future[Written]:
        self.futures.append(Late())
        self.most = max(self.most, sum(not future.done() for future in self.futures))
        return self.futures[-1]


def test_all_are_sent_some_at_a_time() -> None:
    target, advanced = Slow(), []
    count = 3 * IMPORT_BATCHES_MAX + 1
    sent = send(target, map(batch, range(count)), lambda *done: advanced.append(done))
    assert sent == Sent(2 * count, count, 1)
    assert advanced == [(2, 10)] * count
    assert target.most == IMPORT_BATCHES_MAX


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InvalidId("No."),
            "Lines 3 to 4: No. Nothing of its batch was written. Written in all: 4 documents.",
        ),
        (Overloaded("No."), "No. Written for certain: 4 documents."),
        (StoreFenced("No."), "No. Written for certain: 4 documents."),
    ],
)
def test_after_a_failure_what_was_not_begun_is_withdrawn(error: CrdtStoreError, said: str) -> None:
    target = Held()

    def failing() -> Iterator[Batch]:
        yield from map(batch, range(4))
        first, second, third, fourth = target.futures
        third.set_running_or_notify_cancel()
        third.set_result(Written(2, ()))
        first.set_result(Written(1, ()))
        second.set_exception(error)
        # The last one waits in the store's queue, where its withdrawal is seen when its turn comes.
        fourth.add_done_callback(lambda future: future.set_running_or_notify_cancel())

    with pytest.raises(type(error)) as raised:
        send(target, failing(), lambda *_: None)
    assert raised.value.message == said
    assert raised.value.data["documents"] == 4
    assert target.futures[3].cancelled()


def test_what_was_read_before_a_bad_line_is_written() -> None:
    target = Held()

    def reading() -> Iterator[Batch]:
        yield from map(batch, range(3))
        for txn, future in enumerate(target.futures, 1):
            future.set_result(Written(txn, ()))
        raise MalformedRequest("Line 7 holds no document.", line=7)

    with pytest.raises(MalformedRequest, match=r"Line 7 .* Written in all: 6 documents\."):
        send(target, reading(), lambda *_: None)


def test_a_network_that_fails_leaves_one_batch_unknown() -> None:
    target = Held()

    def failing() -> Iterator[Batch]:
        yield from map(batch, range(2))
        target.futures[0].set_result(Written(1, ()))
        target.futures[1].set_exception(ConnectionError("The server was not reached: it is gone."))

    with pytest.raises(OSError, match=r"it is gone\. Written for certain: 2 documents\."):
        send(target, failing(), lambda *_: None)
