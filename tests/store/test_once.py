"""Requests that are to be done once: what is kept of them, for how long, and that it lives and dies with the write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Remove, Store, Update, Upsert, limits
from crdtstore.command.command import Increment
from crdtstore.errors import CallerError, IdempotencyConflict
from crdtstore.once import Once, pack, unpack
from crdtstore.storage import once as kept

ADD = Update("c", "true", [Increment("n")])


def ask(client: bytes = b"client", key: bytes = b"key", request: bytes = b"request") -> Once:
    """A request as it comes in."""
    return Once(client, key, request)


def rows(store: Store) -> dict[bytes, bytes]:
    """All that is kept of requests."""
    return dict(store.scan_settings(b"idempotency/"))


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = Store.in_memory() if request.param == "memory" else Store.open(tmp_path / "store", durability="none")
    with made as store:
        store.write([Upsert("c", {"n": 0}, id="a", value_types={"n": "counter"})])
        yield store


def amount(store: Store) -> object:
    document = store.get("c", "a")
    assert document is not None
    return document.fields["n"]


WRITES: dict[str, Callable[[Store, Once], object]] = {
    "write": lambda store, once: store.write([ADD], once=once),
    "several": lambda store, once: [store.write([ADD, Remove("d", "true")], once=once) for _ in range(3)],
    "execute": lambda store, once: store.execute("UPDATE c APPLY n PN_INCREMENT BY 1.0 RETURNING n", once=once),
    "together": lambda store, once: store.execute_together(
        ["UPDATE c APPLY n PN_INCREMENT BY 1.0", "SELECT * FROM c"], once=once
    ),
}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_done_is_done_once(store: Store, name: str) -> None:
    first = WRITES[name](store, ask())
    seen, applied = amount(store), store.applied
    again = ask()
    assert WRITES[name](store, again) == first
    assert again.repeated
    assert (amount(store), store.applied) == (seen, applied)
    WRITES[name](store, ask(key=b"other"))
    assert amount(store) != seen
    other = ask(client=b"somebody else")
    WRITES[name](store, other)
    assert not other.repeated


def test_a_part_of_a_request_that_was_done_is_not_done_again(store: Store) -> None:
    first = store.write([ADD], once=ask())
    again = ask()
    assert store.write([ADD], once=again) == first
    assert store.write([ADD], once=again) != first
    assert amount(store) == 2


def test_a_key_is_of_one_request(store: Store) -> None:
    store.write([ADD], once=ask())
    with pytest.raises(IdempotencyConflict):
        store.write([ADD], once=ask(request=b"another"))
    assert amount(store) == 1


def test_what_was_refused_is_tried_again(store: Store) -> None:
    before = rows(store)
    for _ in range(2):
        with pytest.raises(CallerError):
            store.write([Upsert("c", {"n": {1: 2}}, id="a")], once=ask())
    assert rows(store) == before
    assert store.write([ADD], once=ask()).txn == 2


def test_what_changed_nothing_is_kept_too(store: Store) -> None:
    first = store.write([Remove("nowhere", "true")], once=ask())
    again = ask()
    assert store.write([Remove("nowhere", "true")], once=again) == first
    assert again.repeated


def test_it_survives_a_restart(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.write([Upsert("c", {"n": 0}, id="a", value_types={"n": "counter"})])
        first = store.write([ADD], once=ask())
    with Store.open(tmp_path) as store:
        again = ask()
        assert store.write([ADD], once=again) == first
        assert again.repeated
        assert amount(store) == 1


def test_a_long_answer_is_remembered_and_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDEMPOTENT_ANSWER_BYTES_MAX", 4)
    store.write([ADD], once=ask())
    with pytest.raises(IdempotencyConflict):
        store.write([ADD], once=ask())
    assert amount(store) == 1


def test_many_at_a_time_are_one(store: Store) -> None:
    """Threads that retry at the same time get one answer, and one transaction."""
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(store.write([ADD], once=ask()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert amount(store) == 1


class Model:
    """What is to be kept: for each client its newest, and of all the newest."""

    def __init__(self, most: int, most_each: int) -> None:
        self.most, self.most_each = most, most_each
        self.kept: list[tuple[int, bytes, bytes]] = []
        self.number = 0

    def ask(self, client: bytes, key: bytes) -> bool:
        if any(row[1:] == (client, key) for row in self.kept):
            return True
        self.number += 1
        self.kept.append((self.number, client, key))
        mine = [row for row in self.kept if row[1] == client]
        gone = set(mine[: -self.most_each])
        self.kept = [row for row in self.kept if row not in gone and row[0] > self.number - self.most]
        return False


asks = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=60)


@settings(max_examples=40, deadline=None)
@given(asks, st.integers(1, 9), st.integers(1, 5))
def test_the_oldest_are_forgotten_first(asked: list[tuple[int, int]], most: int, most_each: int) -> None:
    with pytest.MonkeyPatch.context() as patch, Store.in_memory() as store:
        patch.setattr(limits, "IDEMPOTENT_ANSWERS_MAX", most)
        patch.setattr(limits, "IDEMPOTENT_CLIENT_MAX", most_each)
        model = Model(most, most_each)
        for client, key in asked:
            once = ask(b"%d" % client, b"%d" % key)
            store.write([Upsert("c", {"n": 1}, id="a")], once=once)
            assert once.repeated == model.ask(b"%d" % client, b"%d" % key)
            check_rows(store, model)


def check_rows(store: Store, model: Model) -> None:
    """No row is left of what is forgotten."""
    found = rows(store)
    clients = {client for _, client, _ in model.kept}
    assert sum(row.startswith(kept.ANSWERS) for row in found) == len(model.kept)
    assert sum(row.startswith(kept.ORDER) for row in found) == len(model.kept)
    assert sum(row.startswith(kept.CLIENTS) for row in found) == len(clients)


def test_a_lost_row_is_found() -> None:
    """The control of the test above: a row too many is seen."""
    with Store.in_memory() as store:
        model = Model(9, 9)
        store.write([Upsert("c", {"n": 1}, id="a")], once=ask())
        with pytest.raises(AssertionError):
            check_rows(store, model)


def test_answers_come_back_as_they_were() -> None:
    with Store.in_memory() as store:
        written = store.write([Upsert("c", {"n": 1}, id={"k": [1, 2.5]}), ADD, Remove("c", "true")])
        executed = store.execute_together(["INSERT INTO c DOCUMENTS ({'_id': 'x'})", "SELECT * FROM c"])
    assert unpack(pack(written)) == written
    assert unpack(pack(executed)) == executed


def test_a_dry_run_keeps_nothing(store: Store) -> None:
    before = rows(store)
    store.write([ADD], once=ask(), dry=True)
    assert rows(store) == before
