"""Statements that run together are one transaction; one that is stopped leaves nothing, and others go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.crdt.fold import Fold
from crdtstore.errors import (
    CallerError,
    DocumentBuried,
    IdConflict,
    InvalidQuery,
    InvalidValue,
    LimitExceeded,
    StatementTimeout,
    TypeConflict,
    VersionNotAvailable,
)
from crdtstore.statement import budget
from tests.statement.scene import make_store, rows

if TYPE_CHECKING:
    from pathlib import Path

TEN = {"all": [{"_id": n, "n": n} for n in range(10)]}
INSERT = "INSERT INTO c DOCUMENTS (:all)"
STATEMENTS = (
    "INSERT INTO c DOCUMENTS (:more)",
    "INSERT INTO COLLECTION c (k COUNTER) DOCUMENTS (:more)",
    "INSERT INTO c DOCUMENTS (:all) ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
    "INSERT INTO d SELECT * FROM c",
    "UPDATE c SET m.x = n + 1, s = 'a' UNSET n",
    "UPDATE c APPLY k INCREMENT BY 1 WHERE n < 8",
    "DELETE FROM c WHERE n > 1",
    "TOMBSTONE FROM c ORDER BY n DESC LIMIT 5",
)
PARAMETERS = {"all": [{"_id": n, "n": n + 1} for n in range(10)], "more": [{"_id": n, "k": n} for n in range(10, 16)]}


def with_ten() -> Store:
    store = make_store()
    store.execute(INSERT, TEN)
    return store


def test_each_sees_those_before_it() -> None:
    store = with_ten()
    done = store.execute_together(
        [
            "UPDATE c SET n = n * 10 WHERE n >= 8",
            "SELECT _id FROM c WHERE n >= 8 ORDER BY _id",
            "INSERT INTO c DOCUMENTS ({'_id': 10, 'n': 8})",
            "UPDATE c SET seen = true WHERE n = 8",
            "DELETE FROM c WHERE n < 8",
            "SELECT * FROM c ORDER BY _id",
        ]
    )
    assert [each.mutated for each in done] == [(8, 9), (), (10,), (10,), tuple(range(8)), ()]
    assert done[1].items == [{"_id": 8}, {"_id": 9}]
    left = [{"_id": 8, "n": 80}, {"_id": 9, "n": 90}, {"_id": 10, "n": 8, "seen": True}]
    assert done[-1].items == rows(store) == left
    assert {each.txn for each in done} == {2}
    assert store.applied == 2


def test_unset_and_set_replace_together() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'm': {'a': 1, 'b': 2}})")
    store.execute_together(["UPDATE c UNSET m", "UPDATE c SET m = {'c': 3}"])
    assert rows(store) == [{"_id": 1, "m": {"c": 3}}]


def test_a_deleted_document_may_be_inserted_again_together() -> None:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'a': 1})")
    store.execute_together(["DELETE FROM c", "INSERT INTO c DOCUMENTS ({'_id': 1, 'b': 1})"])
    assert rows(store) == [{"_id": 1, "b": 1}]


def test_what_was_written_and_taken_back_leaves_no_record() -> None:
    store = make_store()
    done = store.execute_together(["INSERT INTO c DOCUMENTS ({'_id': 1})", "DELETE FROM c"])
    assert [each.mutated for each in done] == [(1,), (1,)]
    assert store.applied == 0


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ("INSERT INTO c DOCUMENTS ({'_id': 0})", IdConflict),
        ("INSERT INTO c DOCUMENTS ({'_id': 20})", IdConflict),
        ("INSERT INTO c DOCUMENTS ({'_id': 30})", DocumentBuried),
        ("UPDATE c SET n = {'a': 1} WHERE _id = 1", TypeConflict),
        ("UPDATE c APPLY m INCREMENT BY 1", InvalidValue),
        ("CREATE INDEX i ON c (n)", InvalidQuery),
        ("EVICT FROM c", InvalidQuery),
    ],
)
def test_one_that_is_refused_refuses_all(last: str, error: type[CallerError]) -> None:
    store = with_ten()
    before = store.digest(), store.applied
    texts = [
        "INSERT INTO c DOCUMENTS ({'_id': 20, 'm': {'a': 1}}), ({'_id': 30})",
        "TOMBSTONE FROM c USE IDS 30",
        "UPDATE c SET n = 5 WHERE _id = 1",
        "DELETE FROM c WHERE n = 9",
    ]
    with pytest.raises(error):
        store.execute_together([*texts, last])
    assert (store.digest(), store.applied) == before
    assert [each.mutated for each in store.execute_together(texts)] == [(20, 30), (30,), (1,), (9,)]


def test_a_transaction_that_is_not_there_is_waited_for_by_nobody() -> None:
    store = with_ten()
    with pytest.raises(VersionNotAvailable):
        store.execute("DELETE FROM c", after=2)
    assert store.execute("DELETE FROM c", after=1).txn == 2


@pytest.mark.parametrize("first", STATEMENTS)
def test_a_store_on_disk_does_the_same(first: str, tmp_path: Path) -> None:
    # There plain inserts are made ready at once, and taken apart again when another statement asks for them.
    for number, second in enumerate(STATEMENTS):
        with Store.open(tmp_path / str(number), durability="none") as on_disk, make_store() as in_memory:
            texts = ["INSERT INTO d DOCUMENTS (:all)", first, second]
            assert outcome(on_disk, texts) == outcome(in_memory, texts)


def outcome(store: Store, texts: list[str]) -> Any:
    """What statements together answer and leave, or how they are refused."""
    store.execute(INSERT, TEN)
    try:
        done = [each.mutated for each in store.execute_together(texts, PARAMETERS)]
    except CallerError as error:
        return type(error), error.data.get("document"), rows(store)
    return done, rows(store), rows(store, "d")


# --- stopped half way ---


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_deadline_leaves_all_or_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = with_ten()
    whole.execute(text, PARAMETERS)
    stopped = 0
    for ticks in count():
        store = with_ten()
        before = store.digest()
        hands = count()
        monkeypatch.setattr(budget, "monotonic", lambda hands=hands: float(next(hands)))
        try:
            store.execute(text, PARAMETERS, seconds=ticks + 0.5)
        except StatementTimeout:
            stopped += 1
            assert (store.digest(), store.applied) == (before, 1)
        else:
            assert store.digest() == whole.digest()
            break
        finally:
            monkeypatch.undo()
        store.execute("UPDATE c SET other = 1 WHERE _id = 0")
        assert store.applied == 2
    assert stopped > 0


@pytest.mark.parametrize("text", STATEMENTS)
@pytest.mark.parametrize("error", [InvalidValue("injected"), RuntimeError("injected")], ids=["typed", "untyped"])
def test_a_fault_in_any_write_leaves_nothing(text: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = 0
    for place in count():
        store = with_ten()
        before = store.digest()
        calls = count()

        def fail(calls: count[int] = calls, place: int = place) -> None:
            if next(calls) == place:
                raise error

        for name in ("write", "write_all", "remove", "bury", "increment"):
            inject(monkeypatch, name, fail)
        try:
            store.execute(text, PARAMETERS)
            break
        except type(error):
            failed += 1
            assert (store.digest(), store.applied) == (before, 1)
        finally:
            monkeypatch.undo()
        store.execute("UPDATE c SET other = 1 WHERE _id = 0")
    assert failed >= 5


def inject(monkeypatch: pytest.MonkeyPatch, name: str, fail: Any) -> None:
    """Let a method of folds fail before it does anything."""
    real = getattr(Fold, name)

    def method(self: Fold, *arguments: Any) -> Any:
        fail()
        return real(self, *arguments)

    monkeypatch.setattr(Fold, name, method)


def test_documents_looked_at_are_bounded() -> None:
    store = with_ten()
    store.execute("ALTER SYSTEM SET STATEMENT_EXAMINED_MAX = 9")
    for text in ("UPDATE c SET n = 1 WHERE n = 100", "DELETE FROM c WHERE n = 100", "INSERT INTO d SELECT * FROM c"):
        with pytest.raises(LimitExceeded):
            store.execute(text)
    assert store.applied == 1
    store.execute("ALTER SYSTEM SET STATEMENT_EXAMINED_MAX = 10")
    assert store.execute("UPDATE c SET n = 1 WHERE n = 9").mutated == (9,)


def test_other_writers_go_on(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store, ThreadPoolExecutor(6) as pool:

        def stopped(number: int) -> int:
            with pytest.raises(StatementTimeout):
                store.execute("UPDATE c SET bad = :n", {"n": number}, seconds=0)
            return 0

        def refused(number: int) -> int:
            with pytest.raises(InvalidValue):
                store.execute("INSERT INTO c DOCUMENTS (:d), ({'bad': :n})", {"d": {"_id": -number - 1}, "n": 2**63})
            return 0

        def written(number: int) -> int:
            store.write([Upsert("c", {"n": 1}, id=number)])
            return 1

        def stated(number: int) -> int:
            return len(store.execute("INSERT INTO c DOCUMENTS ({'_id': :n, 'n': 1})", {"n": number}).mutated)

        written(-(10**6))
        kinds = (stopped, refused, written, stated)
        done = [pool.submit(kinds[number % 4], number) for number in range(80)]
        assert sum(each.result() for each in done) == 40
        assert store.execute("SELECT COUNT(*) AS n, SUM(n) AS sum, COUNT(bad) AS bad FROM c").items == [
            {"n": 41, "sum": 41, "bad": 0}
        ]
        assert store.applied == 41


def test_concurrent_statements_lose_no_increment(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store, ThreadPoolExecutor(4) as pool:
        store.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 0})")
        texts = ["UPDATE c SET n = n + 1", "UPDATE c APPLY k INCREMENT BY 1"] * 20
        list(pool.map(store.execute, texts))
        assert rows(store) == [{"_id": 1, "k": 20, "n": 20}]
