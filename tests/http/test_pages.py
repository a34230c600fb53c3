"""Pages of a find: `cursor` in the request and `nextCursor` in the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crdtstore import Remove, Store, Upsert
from crdtstore.http.server import Application
from tests.http.calling import Answered, call, headers_for

VERSIONS = ("v4", "v5")
SORTS: tuple[list[dict[str, str]], ...] = ([], [{"property": "n", "direction": "desc"}])


def ask(app: Application, key: str, version: str = "v5", at: int | None = None, **asked: Any) -> Answered:
    """Find."""
    headers = headers_for(key) | ({} if at is None else {"x-crdtstore-at": str(at)})
    return call(app, "POST", f"/api/{version}/store/find", {"collection": "c", "query": "true", **asked}, headers)


def pages(
    app: Application, key: str, between: Callable[[], None] = lambda: None, **asked: Any
) -> Iterator[tuple[int, list[Any]]]:
    """Follow the cursors to the end; the transaction and the ids of each page."""
    cursor: dict[str, Any] = {}
    while True:
        answered = ask(app, key, **asked, **cursor)
        assert answered.status == 200, answered.json
        yield answered.json["txnId"], [row["id"] for row in answered.json["documents"]]
        if "nextCursor" not in answered.json:
            return
        cursor = {"cursor": answered.json["nextCursor"]}
        between()


def fill(store: Store, documents: int = 17) -> None:
    """Documents, of which several have an equal field."""
    store.write([Upsert("c", {"n": number % 4}, id=number) for number in range(documents)])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sort", SORTS, ids=["by id", "sorted"])
@pytest.mark.parametrize("limit", [1, 5, 17, 18])
def test_pages_are_the_whole(store: Store, app: Application, key: str, version: str, sort: Any, limit: int) -> None:
    fill(store)
    whole = [row["id"] for row in ask(app, key, version, sort=sort).json["documents"]]
    got = [ids for _, ids in pages(app, key, version=version, sort=sort, limit=limit)]
    assert [each for ids in got for each in ids] == whole
    assert [len(ids) for ids in got[:-1]] == [limit] * (len(got) - 1)


@pytest.mark.parametrize("sort", SORTS, ids=["by id", "sorted"])
def test_pages_at_a_version_do_not_see_what_comes_later(store: Store, app: Application, key: str, sort: Any) -> None:
    fill(store)
    whole = [row["id"] for row in ask(app, key, sort=sort).json["documents"]]
    numbers = iter(range(100))

    def disturb() -> None:
        number = next(numbers)
        store.write([Upsert("c", {"n": 9}, id=number), Upsert("c", {"n": 9}, id=1_000 + number)])
        store.write([Remove("c", "_id == $args.id", args={"id": 16 - number})])

    with store.pin() as pin:
        got = list(pages(app, key, disturb, sort=sort, limit=3, at=pin.txn))
    assert {txn for txn, _ in got} == {1}
    assert [each for _, ids in got for each in ids] == whole
    # What was there all along, and does not move, is on exactly one page of the newest version too.
    assert [row["id"] for row in ask(app, key, sort=sort).json["documents"]] != whole


def test_a_cursor_belongs_to_its_query_and_order(store: Store, app: Application, key: str) -> None:
    fill(store)
    cursor = ask(app, key, limit=3).json["nextCursor"]
    wrong: list[dict[str, Any]] = [
        {"query": "n > 1"},
        {"collection": "d"},
        {"sort": SORTS[1]},
        {"cursor": cursor[:-1]},
        {"cursor": ""},
        {"cursor": "é"},
        {"cursor": "A" * 100_000},
    ]
    for each in wrong:
        answered = ask(app, key, **{"cursor": cursor, **each})
        assert (answered.status, answered.code) == (400, "invalid-cursor"), each
    assert ask(app, key, cursor=5).code == "malformed-request"


def test_older_versions_know_no_cursor(store: Store, app: Application, key: str) -> None:
    fill(store)
    answered = ask(app, key, "v3", limit=3, cursor=7)
    assert answered.status == 200
    assert "nextCursor" not in answered.json
