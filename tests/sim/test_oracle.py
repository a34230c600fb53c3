"""The oracle and the ledger, on scenes that can be judged by reading, and on logs that break each promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from crdtstore.command.command import Command, Increment, Remove, ReplaceWithCounter, Set, Update, Upsert
from crdtstore.crdt.actor import make_actor
from crdtstore.crdt.identifier import encode_id
from crdtstore.sim.ledger import History, Ledger
from crdtstore.sim.oracle import Instance, Oracle, visible
from crdtstore.storage.tables import Table
from crdtstore.store import Store

NOW = 1_700_000_000_000
DOCUMENT = ("c", encode_id(1))


class Broken(Exception):
    """A promise was broken."""


def complain(promise: str, what: str) -> None:
    raise Broken(promise)


class Scene:
    """Two stores that write and pull from each other, and what the ledger notes of them."""

    def __init__(self) -> None:
        self.ledger = Ledger(complain, forks=False)
        self.oracle = Oracle(self.ledger)
        self.stores = [Store.in_memory(clock=lambda: NOW, origin=make_actor(number, 1)) for number in (1, 2)]
        self.histories = [History(), History()]

    def write(self, at: int, *commands: Command) -> None:
        self.stores[at].write(commands, actor=make_actor(9, 0))
        self.look(at)

    def pull(self, at: int) -> None:
        self.stores[at].apply(entry.record for entry in self.stores[1 - at].changes())
        self.look(at)

    def look(self, at: int) -> None:
        store, history = self.stores[at], self.histories[at]
        own = {self.ledger.number_of(store.origin)}
        with store.storage.snapshot() as snapshot:
            for key, row in list(snapshot.scan(Table.LOG))[len(history.entries) :]:
                self.ledger.take(history, int.from_bytes(key, "big"), row, own, is_scoped=False)

    def shown(self, at: int) -> Any:
        expected = visible(self.oracle.state(DOCUMENT, self.histories[at].seen))
        document = self.stores[at].get("c", 1)
        assert expected == (document and document.fields)
        return expected


def updated(*commands: Any) -> Update:
    return Update("c", "_id == 1", list(commands))


def test_a_later_write_hides_an_earlier_one_and_a_removal_removes_it() -> None:
    scene = Scene()
    scene.write(0, Upsert("c", {"x": 1, "m": {"p": 1}}, 1))
    scene.write(0, updated(Set("x", 2)))
    assert scene.shown(0) == {"x": 2, "m": {"p": 1}}
    scene.write(0, Remove("c", "true"))
    assert scene.shown(0) is None


def test_a_concurrent_write_survives_a_removal() -> None:
    scene = Scene()
    scene.write(0, Upsert("c", {"x": 1, "y": 1}, 1))
    scene.pull(1)
    scene.write(0, Remove("c", "true"))
    scene.write(1, updated(Set("y", 2)))
    scene.pull(0)
    scene.pull(1)
    assert scene.shown(0) == scene.shown(1) == {"y": 2}


def test_of_two_concurrent_values_the_later_stamp_is_visible_and_both_live() -> None:
    scene = Scene()
    scene.write(0, Upsert("c", {"x": "left"}, 1))
    scene.write(1, Upsert("c", {"x": "right"}, 1))
    scene.pull(0)
    assert scene.shown(0) == {"x": "right"}
    assert sorted(scene.oracle.state(DOCUMENT, scene.histories[0].seen).values()) == ["left", "right"]


def test_each_increment_counts_once_and_a_restart_drops_what_it_observed() -> None:
    scene = Scene()
    scene.write(0, Upsert("c", {"n": 10}, 1, {"n": "counter"}))
    scene.pull(1)
    scene.write(0, updated(Increment("n", 1)))
    scene.write(0, updated(Increment("n", 2)))
    scene.write(1, updated(Increment("n", 4)))
    scene.pull(0)
    scene.pull(0)
    assert scene.shown(0) == {"n": 17}
    [instance] = scene.oracle.state(DOCUMENT, scene.histories[0].seen).values()
    assert isinstance(instance, Instance)
    assert sorted(total for _, total in instance.totals.values()) == [3, 4]
    scene.write(0, updated(ReplaceWithCounter("n", 100)))
    scene.pull(1)
    assert scene.shown(1) == {"n": 100}


def test_a_map_with_a_newer_child_hides_an_older_value() -> None:
    scene = Scene()
    scene.write(0, Upsert("c", {"m": {"p": 1}}, 1))
    scene.write(1, Upsert("c", {"x": 0}, 1))
    scene.write(1, Upsert("c", {"m": "value"}, 1))
    scene.pull(0)
    assert scene.shown(0) == {"m": "value", "x": 0}
    scene.write(0, updated(Set("m.p", 2)))
    assert scene.shown(0) == {"m": {"p": 2}, "x": 0}


# --- the ledger's own checks ---


def rows_of(store: Store) -> list[tuple[int, bytes]]:
    """A store's log, as a disk notes it."""
    with store.storage.snapshot() as snapshot:
        return [(int.from_bytes(key, "big"), row) for key, row in snapshot.scan(Table.LOG)]


def three_writes() -> tuple[Store, list[tuple[int, bytes]]]:
    """Two writes at one store and one at another that had seen them; the other's log."""
    scene = Scene()
    scene.write(0, Upsert("c", {"x": 1}, 1))
    scene.write(0, Upsert("c", {"x": 2}, 1))
    scene.pull(1)
    scene.write(1, Upsert("c", {"x": 3}, 1))
    return scene.stores[1], rows_of(scene.stores[1])


def taken(rows: Sequence[tuple[int, bytes]], *, known: Sequence[tuple[int, bytes]] = ()) -> History:
    """What a log amounts to, to a ledger that knows the transactions of another."""
    ledger = Ledger(complain, forks=False)
    origins = {ledger.number_of(make_actor(1, 1)), ledger.number_of(make_actor(2, 1))}
    for txn, row in known:
        ledger.take(HISTORIES[0] if txn == 1 else HISTORIES[-1], txn, row, origins, is_scoped=False)
        HISTORIES.append(HISTORIES[-1])
    history = History()
    for txn, row in rows:
        ledger.take(history, txn, row, set() if known else origins, is_scoped=False)
    return history


HISTORIES: list[History] = []


@pytest.fixture(autouse=True)
def _fresh_histories() -> None:
    HISTORIES[:] = [History()]


def test_a_log_amounts_to_its_vector() -> None:
    _, rows = three_writes()
    assert taken(rows).seen == {0: 2, 1: 1}


def test_a_transaction_id_that_is_left_out_is_found() -> None:
    _, rows = three_writes()
    with pytest.raises(Broken, match="dense txn ids"):
        taken([rows[0], (3, rows[1][1])])


def test_a_position_that_is_left_out_is_found() -> None:
    _, rows = three_writes()
    with pytest.raises(Broken, match="no gap"):
        taken([(1, rows[1][1])])


def test_a_record_of_nobody_is_found() -> None:
    _, rows = three_writes()
    with pytest.raises(Broken, match="every record has an author"):
        taken(rows[:2], known=rows[:1])


def test_a_record_before_what_it_had_observed_is_found() -> None:
    _, rows = three_writes()
    with pytest.raises(Broken, match="causal order"):
        taken([(1, rows[2][1])], known=rows)


def test_a_position_that_is_used_twice_is_found() -> None:
    _, rows = three_writes()
    other = Scene()
    other.write(0, Upsert("c", {"x": "other"}, 1))
    with pytest.raises(Broken, match="no position is used twice"):
        taken(rows_of(other.stores[0]), known=rows)


def test_what_is_rolled_back_is_excused_until_a_backup_brings_it_back() -> None:
    scene = Scene()
    for value in (1, 2, 3):
        scene.write(0, Upsert("c", {"x": value}, 1))
    history, ledger = scene.histories[0], scene.ledger
    assert ledger.roll_back(history, 1, {0}) == 2
    assert history.seen == {0: 1}
    assert [transaction.excused for transaction in ledger.everything()] == [False, True, True]
    ledger.found_again(0, 2)
    assert [transaction.excused for transaction in ledger.everything()] == [False, False, True]
