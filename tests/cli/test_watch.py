"""`crdtstore watch`: what a query finds on a server and what becomes of it; and the client that it is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from time import sleep

import pytest

from crdtstore import Remove, Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.errors import StatementTimeout
from crdtstore.http.server import application
from crdtstore.live.query import LiveQuery
from tests.cli.running import documents, error_of, run
from tests.http.calling import serving


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with Store.in_memory() as store:
        store.write([Upsert("tasks", {"due": due}, id=f"task {due}") for due in (1, 2, 3)])
        yield store


@contextmanager
def served(store: Store) -> Iterator[tuple[str, ...]]:
    keyring = KeyRing(store)
    with serving(application(store, keyring)) as (host, port):
        yield ("--url", f"http://{host}:{port}", "--key", keyring.create("a", Permission.full()))


@contextmanager
def meanwhile(store: Store, work: Callable[[], object]) -> Iterator[None]:
    """Do something once somebody was told all rows."""

    def told() -> bool:
        return any(each.seen for shared in list(store.live.queries.values()) for each in list(shared.observers))

    def wait() -> None:
        while not told():
            sleep(0)
        work()

    thread = Thread(target=wait)
    thread.start()
    yield
    thread.join()


def test_what_becomes_of_rows_is_a_line_each(store: Store) -> None:
    def work() -> None:
        store.write([Upsert("tasks", {"due": 9}, id="task 1"), Remove("tasks", "due == 2")])

    with served(store) as place, meanwhile(store, work):
        said = run(
            "watch", "tasks", "due > $args.least", "--arg", "least=0", "--order", "-due", "--changes", "1", *place
        )
    assert said.stdout.splitlines() == [
        '+ 0 {"_id":"task 3","due":3}',
        '+ 1 {"_id":"task 2","due":2}',
        '+ 2 {"_id":"task 1","due":1}',
        '- 1 {"_id":"task 2","due":2}',
        '> 0 {"_id":"task 1","due":9}',
        '~ 0 {"_id":"task 1","due":9}',
    ]


def test_a_program_is_told_all_rows(store: Store) -> None:
    with served(store) as place, meanwhile(store, lambda: store.write([Upsert("tasks", {"due": 0}, id="x")])):
        said = run(
            "watch", "tasks", "--order", "due", "--limit", "1", "--field", "due", "--changes", "1", "--json", *place
        )
    assert documents(said) == [
        {"txn": 1, "documents": [{"_id": "task 1", "due": 1}]},
        {"txn": 2, "documents": [{"_id": "x", "due": 0}]},
    ]


def test_a_query_that_breaks_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def settle(*_: object) -> bool:
        raise StatementTimeout("It took too long.")

    def work() -> None:
        monkeypatch.setattr(LiveQuery, "settle", settle)
        store.write([Upsert("tasks", {}, id="x")])

    with served(store) as place, meanwhile(store, work):
        said = run("watch", "tasks", "--json", *place, code=None)
    assert said.exit_code != 0
    assert error_of(said)["code"] == "statement-timeout"


def test_a_server_that_stops_ends_it(store: Store) -> None:
    outputs: list[str] = []
    with served(store) as place:
        watching = Thread(target=lambda: outputs.append(run("watch", "tasks", "--json", *place).stdout))
        watching.start()
        while not store.live.queries:
            sleep(0)
    watching.join()
    assert [len(json.loads(line)["documents"]) for line in outputs[0].splitlines()] in ([], [3])


def test_what_is_refused_is_said(store: Store) -> None:
    with served(store) as place:
        assert error_of(run("watch", "tasks", "=", "--json", *place, code=3))["code"] == "query-syntax"
    assert "Say which server" in run("watch", "tasks", code=2).stderr
