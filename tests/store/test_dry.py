"""Writes that are only tried out: the answer is that of the write, and the store is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Command, Remove, Store, Update, Upsert
from crdtstore.command.command import Increment, Set
from crdtstore.errors import CallerError, InvalidQuery

names = st.sampled_from(["a", "b", "c"])
queries = st.sampled_from(["true", "n > 2", "_id == 'a'", "nothing == 1"])
fields = st.dictionaries(names, st.one_of(st.integers(-9, 9), st.text(max_size=4), st.none()), max_size=3)
commands = st.one_of(
    st.builds(Upsert, names, fields, id=st.one_of(names, st.integers(0, 3))),
    st.builds(
        lambda name, query, path, value: Update(name, query, [Set(path, value), Increment("n")]),
        names,
        queries,
        st.sampled_from(["a", "m.x", "new"]),
        st.integers(),
    ),
    st.builds(Remove, names, queries, deletes=st.sampled_from(["observed", "permanent"])),
)
transactions = st.lists(commands, min_size=1, max_size=4)


def all_of(store: Store) -> Any:
    """Everything that a write could change."""
    stats = store.stats()
    catalog = store.sequencer.catalog
    names_known = (tuple(catalog.by_name), tuple(catalog.replicas.texts))
    paths = {name: list(known.paths.texts) for name, known in catalog.by_name.items()}
    return stats, list(store.changes()), names_known, paths, store.scan_settings(b"")


@pytest.fixture(scope="module", params=["memory", "disk"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path: Path = tmp_path_factory.mktemp("dry")
    store = Store.in_memory() if request.param == "memory" else Store.open(path / "store", durability="none")
    with store:
        yield store


@settings(max_examples=40, deadline=None)
@given(transactions)
def test_nothing_is_left_and_the_results_are_those_of_the_write(opened: Store, given_: list[Command]) -> None:
    before = all_of(opened)
    try:
        tried = opened.write(given_, dry=True)
    except CallerError as error:
        assert all_of(opened) == before
        with pytest.raises(type(error)):
            opened.write(given_)
        return
    assert all_of(opened) == before
    done = opened.write(given_)
    assert tried.results == done.results
    assert tried.warnings == done.warnings


STATEMENTS = (
    "INSERT INTO c DOCUMENTS ({'_id': 'new', 'q': 1})",
    "UPDATE c SET fresh = 1 RETURNING fresh",
    "DELETE FROM c",
    "EVICT FROM c",
    "SELECT * FROM c",
)


@pytest.mark.parametrize("text", STATEMENTS)
def test_statements_are_tried_out(text: str) -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"n": 1}, id="a")])
        before = all_of(store)
        try:
            tried = store.execute(text, dry=True)
        except CallerError as error:
            with pytest.raises(type(error)):
                store.execute(text)
            return
        assert all_of(store) == before
        together = store.execute_together([text, "SELECT COUNT(*) FROM c"], dry=True)
        assert all_of(store) == before
        done = store.execute(text)
        assert (tried.rows_json, tried.mutated) == (done.rows_json, done.mutated)
        assert together[1].rows_json == store.execute("SELECT COUNT(*) FROM c").rows_json


@pytest.mark.parametrize("text", ["CREATE INDEX i ON c (n)", "DROP INDEX i ON c", "ALTER SYSTEM SET x = 1"])
def test_what_concerns_the_store_itself_is_not_tried_out(text: str) -> None:
    with Store.in_memory() as store:
        before = all_of(store)
        with pytest.raises(InvalidQuery):
            store.execute(text, dry=True)
        assert all_of(store) == before
