"""The history of a document: what is found by reading back is what is found by reading all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Remove, Store, Upsert
from crdtstore.crdt.entry import is_record
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.record import decode_record
from crdtstore.storage import history

ids = st.sampled_from(["a", "ab", "b", 1, 97, True, {"a": "a"}])
collections = st.sampled_from(["a", "c"])
transactions = st.lists(
    st.lists(
        st.one_of(
            st.builds(
                lambda name, id_, n: Upsert(name, {"n": n, "a": "a"}, id=id_), collections, ids, st.integers(0, 2)
            ),
            st.builds(lambda name: Remove(name, "n == 1"), collections),
        ),
        min_size=1,
        max_size=3,
    ),
    max_size=12,
)


def expected(store: Store, collection: str, id_: object) -> list[int]:
    """Every transaction whose record names the document, the newest first."""
    asked = (collection, encode_id(id_))
    entries = [entry for entry in store.changes() if is_record(entry.record)]
    named = [each.txn for each in entries if asked in [row[:2] for row in decode_record(each.record).changes]]
    return named[::-1]


def read(store: Store, collection: str, id_: object, limit: int) -> list[int]:
    """The same by the history, as many calls as it takes."""
    found: list[int] = []
    before = None
    while True:
        part = store.history(collection, id_, before=before, limit=limit)
        assert len(part.transactions) <= limit
        found += [each.txn for each in part.transactions]
        if part.whole:
            return found
        assert before is None or part.oldest < before
        before = part.oldest


@settings(max_examples=50, deadline=None)
@given(transactions, st.integers(1, 4), st.integers(1, 5))
def test_reading_back_finds_all(written: list[list[Upsert | Remove]], limit: int, entries: int) -> None:
    with pytest.MonkeyPatch.context() as patch, Store.in_memory() as store:
        patch.setattr(history, "HISTORY_ENTRIES_MAX", entries)
        for commands in written:
            store.write(commands)
        for collection in ("a", "c"):
            for id_ in ("a", "ab", 1, 97, True, {"a": "a"}):
                assert read(store, collection, id_, limit) == expected(store, collection, id_)


def test_a_join_ends_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that came by a snapshot have no transactions here: their history is not whole."""
    with Store.in_memory() as store:
        store.write([Upsert("c", {"n": 1}, id="a")])
        assert store.history("c", "a", limit=9).whole
        monkeypatch.setattr(history, "is_join", lambda entry: True)
        assert not store.history("c", "a", limit=9).whole


def test_a_missed_record_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a history that takes no record to be meant is not the expected one."""
    with Store.in_memory() as store:
        store.write([Upsert("c", {"n": 1}, id="a")])
        monkeypatch.setattr(history, "is_record", lambda entry: False)
        assert read(store, "c", "a", 1) != expected(store, "c", "a")


def test_what_another_store_wrote_is_there_too() -> None:
    with Store.in_memory() as left, Store.in_memory() as right:
        left.write([Upsert("c", {"n": 1}, id="a")])
        right.write([Upsert("d", {"n": 1}, id="x")])
        right.apply(entry.record for entry in left.changes())
        [touched] = right.history("c", "a", limit=9).transactions
        assert (touched.txn, touched.stamp.origin) == (2, left.origin)
