"""`Store.matching`: the documents of a find one by one, in any number of threads, at any version."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Remove, Store, Upsert
from crdtstore.errors import LimitExceeded, QuerySyntaxError, StatementTimeout, StoreClosed, VersionNotRetained
from crdtstore.limits import FIND_LIMIT_MAX

QUERIES = ("true", "n == 1", "n < 2", "n > 0 && m == 1", "_id == 3", "contains([1, 5, 'x'], _id)", "m != 1", "false")
IDS = st.integers(0, 9) | st.sampled_from(["x", "y", "2021-01-01T00:00:00Z"])
DOCUMENTS = st.dictionaries(
    IDS, st.fixed_dictionaries({}, optional={"n": st.integers(0, 3), "m": st.just(1)}), max_size=12
)


@given(DOCUMENTS, st.sampled_from(QUERIES), st.integers(0, 13), st.sampled_from([(), ("n",)]))
@settings(max_examples=80)
def test_it_gives_what_a_find_gives(
    documents: dict[int | str, dict[str, int]], query: str, limit: int, index: tuple[str, ...]
) -> None:
    with Store.in_memory() as store:
        if index:
            store.indexes.create("c", index)
        store.write([Upsert("c", dict(fields), id=id_) for id_, fields in documents.items()])
        whole = store.find("c", query)
        with store.matching("c", query, limit=limit) as found:
            assert found.txn == whole.txn
            assert list(found.documents) == list(whole.documents[:limit])
        with store.matching("c", query) as found:
            assert sorted(map(repr, found.documents)) == sorted(map(repr, whole.documents))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", durability="none") as store:
        store.write([Upsert("c", {"n": n % 5}, id=n) for n in range(1_000)])
        yield store


def test_it_is_of_one_version(store: Store) -> None:
    with store.pin() as pin:
        with store.matching("c") as found:
            next(found.documents)
            store.write([Remove("c", "true")])
            assert sum(1 for _ in found.documents) == 999
        with store.matching("c") as found:
            assert list(found.documents) == []
        for limit in (None, FIND_LIMIT_MAX):
            with store.matching("c", at=pin.txn, limit=limit) as found:
                assert (found.txn, sum(1 for _ in found.documents)) == (1, 1_000)
    with pytest.raises(VersionNotRetained), store.matching("c", at=0):
        pass


@pytest.mark.parametrize("at", [None, 1])
def test_documents_are_taken_in_several_threads(store: Store, at: int | None) -> None:
    with ThreadPoolExecutor(4) as threads, store.matching("c", "n < 2", limit=FIND_LIMIT_MAX, at=at) as found:
        taken = [threads.submit(next, found.documents).result().id for _ in range(400)]
    assert taken == [n for n in range(1_000) if n % 5 < 2]


def test_it_stops_at_its_deadline(store: Store) -> None:
    for query, limit in (("n == 9", None), ("n == 9", 5), ("true", None)):
        with pytest.raises(StatementTimeout), store.matching("c", query, limit=limit, seconds=0) as found:
            list(found.documents)


def test_nothing_is_read_behind_its_end(store: Store) -> None:
    with store.matching("c") as found:
        next(found.documents)
    with pytest.raises(StoreClosed):
        list(found.documents)


def test_what_is_asked_is_checked_first(store: Store) -> None:
    with pytest.raises(QuerySyntaxError), store.matching("c", "("):
        pass
    with pytest.raises(LimitExceeded), store.matching("c", limit=FIND_LIMIT_MAX + 1):
        pass
    with store.matching("nothing") as found:
        assert (found.txn, list(found.documents)) == (1, [])
