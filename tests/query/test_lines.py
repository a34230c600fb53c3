"""Lines of a find: the same documents in the same order as its pages, whatever number, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import Remove, Store, Upsert, limits
from crdtstore.crdt.json_output import write_json
from crdtstore.errors import CrdtStoreError, InvalidCursor, InvalidDocument, StatementTimeout, VersionNotRetained
from crdtstore.query import lines
from crdtstore.query.search_lines import search_keys

COUNT = 400
QUERIES = ("true", "n > 3", "n == 2", "n > 90", "contains(['a', 'b'], kind)", "_id == 'x7'", "n < 5 && kind == 'a'")
ORDERS: tuple[tuple[str, ...], ...] = ((), ("n",), ("-n",), ("kind", "n"), ("-kind", "n"), ("none",))


def fill(store: Store) -> None:
    """Write documents with ties, long ids and ids of all kinds, and remove some."""
    random = Random(1)
    ids: list[Any] = [*range(COUNT // 2), *(f"x{number}" for number in range(COUNT // 2 - 3))]
    ids += [1.5, {"k": "é", "at": [1, True]}, "l" * 900]
    for first in range(0, len(ids), 100):
        store.write(
            [
                Upsert("c", {"n": random.randrange(9), "kind": random.choice("abc"), "text": "é\n" * 9}, id=id_)
                for id_ in ids[first : first + 100]
            ]
        )
    store.write([Remove("c", "n == 8")])


@pytest.fixture(params=["memory", "lmdb", "indexed"], scope="module")
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The same documents in a plain store, in a compiled one, and with indexes."""
    folder = tmp_path_factory.mktemp("lines")
    kind = request.param
    with Store.in_memory() if kind == "memory" else Store.open(folder / "store", durability="none") as store:
        fill(store)
        if kind == "indexed":
            store.indexes.create("c", ["n"])
            store.indexes.create("c", ["kind", "n"])
        yield store


def read(store: Store, query: str, **more: Any) -> bytes:
    """All lines of a query."""
    with store.find_json_lines("c", query, **more) as found:
        assert found.txn == store.applied
        pieces = list(found.pieces)
    assert all(piece.endswith(b"\n") for piece in pieces)
    return b"".join(pieces)


def paged(store: Store, query: str, order: tuple[str, ...], **more: Any) -> bytes:
    """The lines that pages of finds would be."""
    joined, cursor = bytearray(), None
    while True:
        page = store.find("c", query, order=order, limit=70, cursor=cursor, **more)
        for each in page.documents:
            joined += b'{"id":%b,"fields":%b}\n' % (write_json(each.id), each.json)
        cursor = page.cursor
        if cursor is None:
            return bytes(joined)


@pytest.mark.parametrize("bounds", [(64 * 1_024, 100_000), (100, 100_000), (1_000, 64), (1, 1)])
def test_lines_are_pages_joined(store: Store, monkeypatch: pytest.MonkeyPatch, bounds: tuple[int, int]) -> None:
    monkeypatch.setattr(limits, "LINES_PIECE_BYTES", bounds[0])
    monkeypatch.setattr(limits, "SORTED_DOCUMENTS_MAX", bounds[1])
    monkeypatch.setattr(lines, "LOOKED_UP", 7 if bounds[0] == 100 else 1_000)
    ways = product(QUERIES, ORDERS) if bounds[1] > 1 else [("n == 2", ("n",)), ("_id == 'x7'", ())]
    for query, order in ways:
        assert read(store, query, order=order) == paged(store, query, order), (query, order)


def test_a_limit_and_an_offset_hold(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SORTED_DOCUMENTS_MAX", 50)
    for query, order in product(("true", "n > 3"), ORDERS):
        every = read(store, query, order=order).splitlines()
        for offset, limit in ((0, 0), (0, 1), (3, 120), (60, 1), (1_000, 5), (0, 10**9), (2**70, 2**70)):
            some = read(store, query, order=order, limit=limit, offset=offset).splitlines()
            assert some == every[offset : offset + limit], (query, order, offset, limit)


def test_lines_go_on_behind_a_page(store: Store) -> None:
    for query, order in product(("true", "n > 3"), ORDERS):
        every = read(store, query, order=order).splitlines()
        cursor = store.find("c", query, order=order, limit=60).cursor
        assert read(store, query, order=order, cursor=cursor).splitlines() == every[60:], (query, order)
    cursor = store.find("c", "true", limit=5).cursor
    with pytest.raises(InvalidCursor), store.find_json_lines("c", "n > 1", cursor=cursor):
        pass


@pytest.mark.parametrize("form", ["types", "full"])
def test_lines_have_the_form_that_is_asked_for(store: Store, form: Any) -> None:
    for order in ((), ("-n",)):
        assert read(store, "n > 6", order=order, form=form) == paged(store, "n > 6", order, form=form)
        every = read(store, "n > 6", order=order, form=form).splitlines()
        assert read(store, "n > 6", order=order, form=form, offset=2, limit=3).splitlines() == every[2:5]


def test_nothing_is_no_line(store: Store) -> None:
    assert read(store, "n > 1000") == b""
    with store.find_json_lines("none") as found:
        assert list(found.pieces) == []


def test_what_is_wrong_is_told_before_there_are_lines(store: Store) -> None:
    wrong: list[tuple[dict[str, Any], type[CrdtStoreError]]] = [
        ({"limit": -1}, InvalidDocument),
        ({"offset": -1}, InvalidDocument),
        ({"cursor": "x"}, InvalidCursor),
        ({"at": 1}, VersionNotRetained),
    ]
    for more, error in wrong:
        with pytest.raises(error), store.find_json_lines("c", **more):
            pass


def test_lines_end_at_the_deadline(store: Store) -> None:
    for order in ((), ("n",)):
        with (
            store.find_json_lines("c", "true", order=order, seconds=-1.0) as found,
            pytest.raises(StatementTimeout),
        ):
            list(found.pieces)


def test_lines_are_of_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LINES_PIECE_BYTES", 100)
    with Store.open(tmp_path / "store", durability="none") as store:
        store.write([Upsert("c", {"n": 1}, id=number) for number in range(100)])
        for at in (None, 1):
            with store.pin() as pin, store.find_json_lines("c", at=at and pin.txn) as found:
                first = next(found.pieces)
                store.write([Upsert("c", {"n": 2}, id=99)])
                every = b"".join([first, *found.pieces]).splitlines()
            assert len(every) == 100
            assert json.loads(every[-1]) == {"id": 99, "fields": {"n": 1 if at is None else 2}}
            assert found.txn == store.applied - 1


def test_the_harness_finds_an_order_that_begins_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(*arguments: Any) -> Any:
        found, _, *more = search_keys(*arguments)
        return found, None, *more

    monkeypatch.setattr(limits, "SORTED_DOCUMENTS_MAX", 64)
    monkeypatch.setattr(lines, "search_keys", forget)
    once = paged(store, "n > 3", ("none",))
    with store.find_json_lines("c", "n > 3", order=("none",), limit=200) as found:
        assert b"".join(found.pieces) != once
