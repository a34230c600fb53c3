"""JOIN: what nested loops over all documents would give, whatever serves it."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import msgspec
import pytest

from crdtstore import Store
from crdtstore.command.command import Upsert
from crdtstore.errors import InvalidQuery, LimitExceeded
from crdtstore.query.dql import messages
from crdtstore.statement import join
from tests.statement.selecting import make_documents, rows

Document = dict[str, Any]
KINDS: Final = ("JOIN", "LEFT JOIN", "RIGHT OUTER JOIN")
VALUES: Final = (None, 1, 1.0, 2, "a", [1], [1.0], {"x": 1}, True)


def equal(one: Any, other: Any) -> bool:
    """Whether `=` is true."""
    if one is None or other is None or isinstance(one, bool) != isinstance(other, bool):
        return False
    return bool(one == other)


def nested(kind: str, left: list[Document], right: list[Document], paths: tuple[str, str]) -> list[Any]:
    """What a join gives, by trying all pairs."""
    if kind.startswith("RIGHT"):
        return [{"l": row.get("r"), "r": row.get("l")} for row in nested("LEFT JOIN", right, left, paths[::-1])]
    found = []
    for one in left:
        pairs = [{"l": one, "r": other} for other in right if equal(one.get(paths[0], None), other.get(paths[1], None))]
        found += pairs or ([{"l": one}] if kind.startswith("LEFT") else [])
    return found


def comparable(found: list[Any]) -> list[bytes]:
    """Rows of a join that can be compared, in any order."""
    shown = ({name: document["_id"] for name, document in row.items() if document is not None} for row in found)
    return sorted(msgspec.json.encode(row, order="sorted") for row in shown)


def make_store(left: list[Document], right: list[Document]) -> Store:
    """A store of two collections, joined by the `_id` and by `v` of the second."""
    store = Store.in_memory()
    for name in ("l", "r"):
        store.indexes.create(name, ["v"])
    store.write([Upsert("l", document) for document in left])
    store.write([Upsert("r", document) for document in right])
    return store


def make_side(random: Random, count: int) -> list[Document]:
    """Documents with a value that may equal others'."""
    documents = make_documents(random, count)
    for document in documents:
        document.pop("v", None)
        if random.random() < 0.9:
            document["v"] = random.choice(VALUES)
    return documents


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 3, 256])
def test_a_join_gives_what_nested_loops_do(kind: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "CHUNK_ROWS", chunk)
    for seed in range(8):
        random = Random(seed)
        left, right = make_side(random, 15), make_side(random, 12)
        with make_store(left, right) as store:
            for paths in (("v", "v"), ("_id", "_id"), ("_id", "v"), ("v", "_id")):
                text = f"SELECT * FROM l {kind} r ON l.{paths[0]} = r.{paths[1]}"
                assert comparable(rows(store, text)) == comparable(nested(kind, left, right, paths)), (seed, text)


def test_a_condition_beside_the_equality_decides_with_it() -> None:
    random = Random(1)
    left, right = make_side(random, 20), make_side(random, 20)
    with make_store(left, right) as store:
        whole = rows(store, "SELECT l.n AS a, r.n AS b FROM l JOIN r ON l.v = r.v")
        some = rows(store, "SELECT l.n AS a, r.n AS b FROM l JOIN r ON l.v = r.v AND r.n > 0 AND l.n < r.n")
        where = rows(store, "SELECT l.n AS a, r.n AS b FROM l JOIN r ON l.v = r.v WHERE r.n > 0 AND l.n < r.n")
        expected = [row for row in whole if row["b"] > 0 and row["a"] < row["b"]]
        key = msgspec.json.encode
        assert sorted(map(key, some)) == sorted(map(key, where)) == sorted(map(key, expected))
        assert expected
        kept = rows(store, "SELECT l._id FROM l LEFT JOIN r ON l.v = r.v AND false")
        assert len(kept) == len(left)
        assert rows(store, "SELECT l._id FROM l LEFT JOIN r ON l.v = r.v WHERE r.n = 1 AND r.n = 2") == []


def test_three_sources_and_the_ids_of_their_rows() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("a", {"b": 2}, id=1), Upsert("b", {"c": 3}, id=2), Upsert("c", {"x": "y"}, id=3)])
        text = "SELECT {} FROM a x JOIN b y ON y._id = x.b LEFT JOIN c z ON z._id = y.c"
        assert rows(store, text.format("*")) == [
            {"x": {"_id": 1, "b": 2}, "y": {"_id": 2, "c": 3}, "z": {"_id": 3, "x": "y"}}
        ]
        assert rows(store, text.format("_id, z.x")) == [{"_id": {"x": 1, "y": 2, "z": 3}, "x": "y"}]
        assert rows(store, text.format("y.*, COUNT(*)").replace("y.*, ", "")) == [{"($1)": 1}]
        assert rows(store, text.format("z.*, x.b")) == [{"_id": 3, "x": "y", "b": 2}]


def test_rows_of_a_join_are_ordered_by_the_ids_in_the_end() -> None:
    with Store.in_memory() as store:
        store.indexes.create("r", ["v"])
        store.write([Upsert("l", {"v": 1}, id=number) for number in range(5)])
        store.write([Upsert("r", {"v": 1}, id=number) for number in range(5)])
        found = rows(store, "SELECT l._id AS l, r._id AS r FROM l JOIN r ON l.v = r.v ORDER BY l.v")
        assert found == [{"l": one, "r": other} for one in range(5) for other in range(5)]


@pytest.mark.parametrize(
    "condition", ["l.n = r.n", "r.v > l.v", "true", "r.v = r.n", "l.v = r.v OR true", "r.v = 1 AND l.v = 1 OR false"]
)
def test_a_join_that_nothing_serves_is_refused(condition: str) -> None:
    with make_store([], [{"_id": 1}]) as store:
        with pytest.raises(InvalidQuery) as refused:
            store.execute(f"SELECT * FROM l JOIN r ON {condition}")
        assert refused.value.data["description"] == messages.join_without_index("r")


def test_joins_are_bounded() -> None:
    text = "SELECT * FROM s0 " + " ".join(f"JOIN s{number} ON s0._id = s{number}._id" for number in range(1, 12))
    with Store.in_memory() as store, pytest.raises(LimitExceeded) as refused:
        store.execute(text)
    assert refused.value.data["limit"] == "JOINS_MAX"
