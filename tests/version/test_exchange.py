"""Stores that exchange their logs in any causal order end up equal, whichever way they apply records.

Rules: a history is a list of steps at three stores: a write, or a pull of some of what another store has logged.
Each history runs three times: on LMDB with the compiled loops, in memory, and on LMDB with the plain loops. What
must be equal: between the stores of one run, digests, counts, vectors and all documents; between the runs, the
stores' logs too, byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore.command.command import (
    Command,
    FieldCommand,
    Increment,
    Remove,
    ReplaceWithCounter,
    Set,
    SetAttachment,
    Update,
    Upsert,
)
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import CallerError
from crdtstore.storage.documents import scan_documents
from crdtstore.storage.environment import open_storage
from crdtstore.storage.identity import give_identity
from crdtstore.store import Store
from crdtstore.version import delivery
from crdtstore.version.writer import Inline
from tests.version.stores import facts, fresh, kept, log, now, origin_of, plain_loops

STORES = 3
WAYS = ("lmdb", "memory", "plain")


class Step(NamedTuple):
    """At store `at`: run commands as `actor`, or pull up to `most` new records of the store `source`."""

    at: int
    commands: tuple[Command, ...] = ()
    actor: int = 1
    source: int = 0
    most: int = 0


ids: st.SearchStrategy[Any] = st.sampled_from([1, 2, "s", {"k": 1}, "long" * 200 + "a", "long" * 200 + "b"])
leaves: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, -1, 2.5, "", "text", [1, "a"], {}, {"p": 1}])
names = st.sampled_from(["x", "y", "m.p", "m.q", "n"])
fields = st.dictionaries(st.sampled_from(["x", "y", "m", "n"]), leaves, max_size=3)
field_commands: st.SearchStrategy[FieldCommand] = st.one_of(
    st.tuples(names, leaves).map(lambda at: Set(*at)),
    st.tuples(names, st.sampled_from([1, -2, 0.5])).map(lambda at: Increment(*at)),
    st.tuples(names, st.sampled_from([None, 10])).map(lambda at: ReplaceWithCounter(*at)),
    names.map(lambda name: SetAttachment(name, {"id": "file", "len": 3, "metadata": {"name": "a file"}})),
)
queries = st.sampled_from(["true", "_id == 1", "x == 0", "m.p == 1", "_id == 's'"])
collections = st.sampled_from(["a", "b"])
commands: st.SearchStrategy[Command] = st.one_of(
    st.tuples(collections, fields, ids).map(lambda of: Upsert(*of)),
    ids.map(lambda id_: Upsert("a", {"n": 3}, id_, {"n": "counter"})),
    st.tuples(collections, queries, st.lists(field_commands, min_size=1, max_size=3)).map(lambda of: Update(*of)),
    st.tuples(collections, fields, ids).map(lambda of: Upsert(of[0], of[1], of[2], initial=True)),
    ids.map(lambda id_: Upsert("a", {"n": 7}, id_, {"n": "counter"}, initial=True)),
    st.tuples(collections, queries).map(lambda of: Remove(*of)),
    st.tuples(collections, queries).map(lambda of: Remove(*of)),
    st.tuples(collections, st.sampled_from(["_id == 1", "x == 0"])).map(lambda of: Remove(*of, deletes="permanent")),
)
stores = st.integers(0, STORES - 1)
writes = st.tuples(stores, st.lists(commands, min_size=1, max_size=3).map(tuple), st.integers(1, 4)).map(
    lambda of: Step(*of)
)
pulls = st.tuples(stores, stores, st.integers(1, 5)).map(lambda of: Step(of[0], source=of[1], most=of[2]))
histories = st.lists(writes | pulls, min_size=1, max_size=14)


def open_way(way: str, path: Path, number: int) -> Store:
    """A store with a fixed origin; each write commits in the caller's thread."""
    if way == "memory":
        return Store.in_memory(clock=now, origin=origin_of(number + 1))
    storage = open_storage(path / str(number), create=True, read_only=False, durable=False, map_bytes=2**26)
    give_identity(storage, origin_of(number + 1))
    return Store(storage, Inline, now)


def pull(store: Store, source: Store, count: int | None = None) -> None:
    """Apply what the source logged and this store lacks, in the source's order; then the same once more."""
    known = set(log(store))
    new = [record for record in log(source) if record not in known][:count]
    assert store.apply(new)[:2] == (len(new), 0)
    assert store.apply(new)[:2] == (0, len(new))


def play(way: str, history: Sequence[Step], path: Path) -> tuple[list[tuple[object, ...]], list[list[bytes]]]:
    """Run a history; what each store has at the end, and its log."""
    with ExitStack() as stack:
        stack.enter_context(plain_loops() if way == "plain" else nullcontext())
        opened = [stack.enter_context(open_way(way, path, number)) for number in range(STORES)]
        for step in history:
            if step.commands:
                run_commands(opened[step.at], step)
            elif step.at != step.source:
                pull(opened[step.at], opened[step.source], step.most)
        for _ in range(2):
            for at in range(STORES):
                pull(opened[at], opened[(at + 1) % STORES])
        for store in opened:
            check_catalog(store)
        return [facts(store) for store in opened], [log(store) for store in opened]


def run_commands(store: Store, step: Step) -> None:
    """Write; what contradicts itself is refused by every way alike and leaves nothing."""
    try:
        store.write(step.commands, actor=origin_of(step.actor))
    except CallerError:
        assert kept(store) == fresh(store.storage)


def check_catalog(store: Store) -> None:
    """What the catalog says is what the tables hold; the digests are those of the cells, computed anew."""
    assert kept(store) == fresh(store.storage)
    for known in store.sequencer.catalog.collections:
        with store.storage.snapshot() as snapshot:
            stored = list(scan_documents(snapshot, known))
        assert known.documents == len(stored)
        assert known.living == len(list(store.scan(known.name)))
        digests = [store.document_digest(known.name, decode_id(row.id)) for row in stored]
        assert known.digest == sum(int.from_bytes(each, "little") for each in digests) % 2**128


@settings(max_examples=40)
@given(histories)
def test_stores_that_exchanged_everything_are_equal(history: list[Step]) -> None:
    """Any history, any partial pulls: equal stores, and the same bytes whichever way."""
    with TemporaryDirectory() as directory:
        runs = []
        for way in WAYS:
            path = Path(directory) / way
            path.mkdir()
            ends, logs = play(way, history, path)
            assert all(end == ends[0] for end in ends)
            runs.append((ends, logs))
        assert runs[0] == runs[1] == runs[2]


def test_a_merge_that_forgets_what_was_observed_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A planted bug in the plain loop: a delivery that covers nothing leaves values that were replaced."""
    plain = delivery.apply_changes

    def forgetful(batch: Any, catalog: Any, data: bytes, replica: int, coverage: Any) -> None:
        plain(batch, catalog, data, replica, type(coverage)("Q", [0] * len(coverage)))

    monkeypatch.setattr(delivery, "apply_changes", forgetful)
    history = [Step(0, (Upsert("a", {"x": 1}, 1),)), Step(0, (Upsert("a", {"x": 2}, 1),))]
    ends, _ = play("plain", history, tmp_path)
    assert any(end != ends[0] for end in ends)
