"""Range sums against sums of every document, through writes, joins, trimming and refreshes at any time.

Rules: a reader is exact in every version, whether the table follows the log or not; once a refresh has nothing left to
do, the table is a function of the documents. The planted bugs are forgotten cases of the refresh and of the reader.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from crdtstore import Remove, Store, Upsert, _core
from crdtstore.crdt.entry import Advance, KeyRange, encode_advance, encode_join
from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import Corrupted
from crdtstore.storage import log, range_refresh, range_stale, range_table, ranges
from crdtstore.storage.catalog import Catalog, Collection
from crdtstore.storage.documents import get_document, id_key, put_document
from crdtstore.storage.head import Head
from crdtstore.storage.interface import Batch, Storage
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.ranges import Difference, Ranges, Sum, differing, refresh
from crdtstore.storage.tables import Table
from crdtstore.version.trim import trim
from tests.storage.engines import content, open_engine
from tests.storage.range_model import (
    COLLECTIONS,
    EDGES,
    IDS,
    KEYS,
    Digests,
    Truth,
    check_range,
    settle,
    small_rows,
    sum_of,
    table_of,
)
from tests.version.stores import store_on

names = st.sampled_from(COLLECTIONS[:2])
some_ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=6)
edges = st.sampled_from(EDGES)
some_ranges = st.builds(KeyRange, st.sampled_from(COLLECTIONS), edges, st.none() | edges)


class Machine(RuleBasedStateMachine):
    """One store, the views of it that were kept, and the truth of each."""

    engine = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="crdtstore-"))
        self.store = store_on(open_engine(self.engine, self.directory / "store"))
        self.digests = Digests()
        self.written = 0
        self.views: list[tuple[Ranges, Truth]] = []

    def teardown(self) -> None:
        self.store.storage.close()
        shutil.rmtree(self.directory)

    @property
    def catalog(self) -> Catalog:
        return self.store.sequencer.catalog

    def look(self) -> tuple[Ranges, Truth]:
        snapshot = self.store.storage.snapshot()
        return Ranges(snapshot, self.catalog), self.digests.truth(snapshot, self.catalog)

    @rule(name=names, ids=some_ids)
    def write(self, name: str, ids: list[Any]) -> None:
        self.written += 1
        self.store.write([Upsert(name, {"a": self.written, "b": "x"}, id=id_) for id_ in ids])

    @rule(name=names, ids=some_ids)
    def remove(self, name: str, ids: list[Any]) -> None:
        self.store.write([Remove(name, "_id == $args.id", {"id": id_}) for id_ in ids])

    @rule(name=names)
    def remove_all(self, name: str) -> None:
        self.store.write([Remove(name, "true")])

    @precondition(lambda self: self.digests.known)
    @rule(data=st.data(), wide=st.booleans())
    def join(self, data: st.DataObject, *, wide: bool) -> None:
        """Documents go, come back or change without a record of each; the entry names them, or all between them."""
        name = data.draw(st.sampled_from(sorted({name for name, _, _ in self.digests.known})))
        states = sorted((id_, state) for other, id_, state in self.digests.known if other == name)
        drawn = dict(data.draw(st.lists(st.sampled_from(states), min_size=1, max_size=4)))
        changes = {id_: data.draw(st.sampled_from([b"", state])) for id_, state in drawn.items()}
        keys = [id_key(id_) for id_ in changes]
        places = [(min(keys), max(keys))] if wide else [(key, key) for key in keys]
        parts = [KeyRange(name, start, end + b"\0") for start, end in places]

        def run(batch: Batch, catalog: Catalog, head: Head) -> None:
            catalog.begin()
            collection = catalog.intern(name)
            for id_, document in changes.items():
                self.replace(batch, catalog, collection, id_, document)
            head.txn += 1
            log.append_join(batch, head.txn, encode_join(head.vector, [KeyRange("unknown here"), *parts]))

        self.store.run(run)

    def replace(self, batch: Batch, catalog: Catalog, collection: Collection, id_: bytes, after: bytes) -> None:
        """Put a state of a document, or its absence, in the place of another."""
        before = get_document(batch, collection, id_)
        put_document(batch, collection, id_, after)
        there, here = (self.digests.of(collection, catalog.replicas, id_, data) for data in (before, after))
        collection.count(bool(after) - bool(before), ((here - there) % 2**128).to_bytes(16, "little"))

    @precondition(lambda self: self.store.applied)
    @rule()
    def advance(self) -> None:
        def run(batch: Batch, _: Catalog, head: Head) -> None:
            head.txn += 1
            data = encode_advance(Advance(head.origin, 9, 9, {}, bytes(16)))
            batch.put(Table.LOG, log.txn_key(head.txn), bytes(16) + data)

        if self.store.sequencer.head.vector:
            self.store.run(run)

    @rule(entries=st.integers(1, 8))
    def trim(self, entries: int) -> None:
        until = self.store.applied - 8 + entries
        self.store.run(lambda batch, _, head: trim(batch, head, until))

    @rule(leaves_max=st.sampled_from([1, 1, 2, 3, 1_000]))
    def refresh(self, leaves_max: int) -> None:
        self.store.run(lambda batch, catalog, _: refresh(batch, catalog, leaves_max))

    @rule(reads=st.integers(1, 30))
    def refresh_in_part(self, reads: int) -> None:
        """A damaged row ends the refresh; what it has written is committed all the same."""
        read_sums, left = range_table.read_sums, iter(range(reads))

        def failing(*arguments: Any) -> Any:
            if next(left, None) is None:
                raise Corrupted("ranges", b"")
            return read_sums(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(range_refresh, "read_sums", failing)
            self.store.run(lambda batch, catalog, _: quietly(refresh, batch, catalog))

    @rule(leaves_max=st.sampled_from([1, 2, 1_000]))
    def settle(self, leaves_max: int) -> None:
        settle(self.store, leaves_max)
        reader, truth = self.look()
        assert content(self.store.storage, Table.RANGES) == table_of(truth, self.catalog)
        assert not any(reader.stale.values())
        reader.snapshot.close()

    @precondition(lambda self: len(self.views) < 3)
    @rule()
    def keep(self) -> None:
        self.views.append(self.look())

    @precondition(lambda self: self.views)
    @rule()
    def forget(self) -> None:
        self.views.pop(0)[0].snapshot.close()

    @rule(range_=some_ranges, parts=st.sampled_from([1, 2, 3, 16]))
    def ask(self, range_: KeyRange, parts: int) -> None:
        for reader, truth in self.views:
            check_range(reader, truth, range_, parts)

    @invariant()
    def a_new_reader_is_exact(self) -> None:
        reader, truth = self.look()
        for name in COLLECTIONS:
            for at in range(self.written % 5, len(KEYS), 5):
                below, above = KeyRange(name, b"", KEYS[at]), KeyRange(name, KEYS[at])
                assert (reader.sum(below), reader.sum(above)) == (sum_of(truth, below), sum_of(truth, above))
        assert dict(reader.sums()) == {KeyRange(n): sum_of(truth, KeyRange(n)) for n in truth if truth[n]}
        reader.snapshot.close()


def quietly(job: Callable[..., Any], *arguments: Any) -> None:
    """Run a job, whatever becomes of it."""
    with suppress(Corrupted):
        job(*arguments)


def run_machine(engine: str, *, examples: int, **options: Any) -> None:
    machine = type("Machine", (Machine,), {"engine": engine})
    chosen = settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck), **options)
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.parametrize(
    ("engine", "plain"), [("memory", False), ("memory", True), ("compiled", False), ("adapter", True)]
)
def test_sums_are_exact_in_every_version(engine: str, *, plain: bool) -> None:
    with small_rows(plain=plain):
        run_machine(engine, examples=5 if plain else 25)


# --- planted bugs ---


def without_the_last_change(patch: pytest.MonkeyPatch) -> None:
    """A leaf that is not marked stale: the last document of each entry."""
    changed_by = range_stale.changed_by
    patch.setattr(range_stale, "changed_by", lambda entry: list(changed_by(entry))[:-1])


def without_joins(patch: pytest.MonkeyPatch) -> None:
    """What a join changed is not read."""
    patch.setattr(range_stale, "is_join", lambda _: False)


def without_the_row_before(patch: pytest.MonkeyPatch) -> None:
    """A boundary that went is not made one with the row before it."""
    widen = range_refresh.widen

    def beside(snapshot: Any, collection: Any, level: int, interval: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        row = next(range_table.read_sums(snapshot, level, collection, interval[0] + b"\0"), None)
        first = row.start if row is not None and row.start <= interval[0] else b""
        return first, widen(snapshot, collection, level, interval)[1]

    patch.setattr(range_refresh, "widen", beside)


def without_levels(patch: pytest.MonkeyPatch) -> None:
    """Only leaves are made again."""
    patch.setattr(range_refresh, "refresh_levels", lambda *_: None)


def without_what_is_left(patch: pytest.MonkeyPatch) -> None:
    """A stop because of too many leaves forgets the others."""
    write_state = range_stale.write_state
    patch.setattr(
        range_refresh, "write_state", lambda batch, state: write_state(batch, range_stale.State(state.txn, {}))
    )


def without_the_gap(patch: pytest.MonkeyPatch) -> None:
    """A log that was trimmed is read as if it were whole."""
    patch.setattr(range_stale, "can_follow", lambda *_: True)


def without_the_overlay(patch: pytest.MonkeyPatch) -> None:
    """A reader trusts every row."""
    patch.setattr(ranges, "touches", lambda *_: False)


def with_rows_of_any_length(patch: pytest.MonkeyPatch) -> None:
    """A reader takes a row that reaches beyond the range."""
    patch.setattr(ranges, "min", lambda left, right: left, raising=False)


PLANTED: list[Callable[[pytest.MonkeyPatch], None]] = [
    without_the_last_change,
    without_joins,
    without_the_row_before,
    without_levels,
    without_what_is_left,
    without_the_gap,
    without_the_overlay,
    with_rows_of_any_length,
]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None]) -> None:
    with small_rows(), pytest.MonkeyPatch.context() as patch:
        plant(patch)
        with pytest.raises(AssertionError):
            run_machine("memory", examples=200, phases=[Phase.generate])


def check_stops(turns: int) -> None:
    """All is made anew, leaf by leaf, over rows that begin at boundaries which are gone and hold new ones."""
    store = store_on(MemoryStorage())
    random = Random(1)
    there = set(range(24))
    store.write([Upsert("c", {"a": 0}, id=number) for number in there])
    for _ in range(turns):
        settle(store)
        gone, new = random.sample(sorted(there), 8), random.sample(sorted(set(range(48)) - there), 8)
        there = there - {*gone} | {*new}
        store.write([Remove("c", "contains($args.gone, _id)", {"gone": gone})])
        store.write([Upsert("c", {"a": 1}, id=number) for number in new])
        store.run(lambda batch, _, head: trim(batch, head, head.txn - 1))
        while store.run(lambda batch, catalog, _: refresh(batch, catalog, 2)):
            check_all(store, random.sample(range(48), 2))
        check_all(store, [])


def check_all(store: Store, edges: list[int]) -> None:
    """A reader between two edges; without any, the whole table."""
    with store.storage.snapshot() as snapshot:
        catalog = store.sequencer.catalog
        reader, truth = Ranges(snapshot, catalog), Digests().truth(snapshot, catalog)
        if edges:
            first, last = (id_key(encode_id(number)) for number in sorted(edges))
            check_range(reader, truth, KeyRange("c", first, last), 1)
        else:
            assert dict(snapshot.scan(Table.RANGES)) == table_of(truth, catalog)


def test_a_stop_in_the_midst_of_a_row() -> None:
    """Also when the row of the old boundaries reaches over it, which a planted bug lets stand."""
    with small_rows(), pytest.MonkeyPatch.context() as patch:
        check_stops(20)
        patch.setattr(range_refresh, "drop_around", lambda *_: None)
        with pytest.raises(AssertionError):
            check_stops(20)


# --- what a refresh costs, and when all is made anew ---


def counted(store: Store) -> Counter[str]:
    """Refresh, and count what is written: by `put` and `delete`."""
    done: Counter[str] = Counter()

    class Counting:
        """A batch that counts."""

        def __init__(self, batch: Batch) -> None:
            self.batch = batch

        def __getattr__(self, name: str) -> Any:
            done[name] += 1
            return getattr(self.batch, name)

    store.run(lambda batch, catalog, _: refresh(Counting(batch), catalog))
    return done


def test_a_write_touches_no_sums_and_a_refresh_few() -> None:
    """A row of each level for a document that changed, some more for one that is a boundary."""
    store = store_on(MemoryStorage())
    store.write([Upsert("c", {"a": 0}, id=number) for number in range(3_000)])
    settle(store)
    before = content(store.storage, Table.RANGES)
    assert 3_000 / 20 < len(before) < 3_000 / 10
    changed = [number * 100 for number in range(10)]
    store.write([Upsert("c", {"a": 1}, id=id_) for id_ in changed])
    assert content(store.storage, Table.RANGES) == before
    done = counted(store)
    assert range_table.LEVELS < done["put"] <= 1 + range_table.LEVELS * len(changed)
    assert done["delete"] == 0
    assert done["scan"] < 10 * range_table.LEVELS * len(changed)


def test_nothing_is_written_where_nothing_changed() -> None:
    store = store_on(MemoryStorage())
    store.write([Upsert("c", {"a": 0}, id=1)])
    assert settle(store) == 1
    done = counted(store)
    assert done["put"] == done["delete"] == 0


def stale_of(store: Store) -> range_stale.Stale:
    """What a reader takes for stale now."""
    with store.storage.snapshot() as snapshot:
        return Ranges(snapshot, store.sequencer.catalog).stale


def test_what_is_stale() -> None:
    """All at first, then the documents that changed, by their keys."""
    store = store_on(MemoryStorage())
    store.write([Upsert("c", {"a": 0}, id="b")])
    assert stale_of(store) == {"c": [(b"", b"\xff")]}
    settle(store)
    assert stale_of(store) == {}
    store.write([Upsert("c", {"a": 1}, id="b"), Upsert("d", {"a": 1}, id="b")])
    assert stale_of(store) == {"c": [(b" b", b" b\0")], "d": [(b" b", b" b\0")]}


@pytest.mark.parametrize("row", [b"\x93\x02\x05\x90", b"\x93\xc0\x05\x90"])
def test_sums_of_another_format_are_made_anew(row: bytes) -> None:
    store = store_on(MemoryStorage())
    store.write([Upsert("c", {"a": 0}, id="b")])
    settle(store)
    store.run(lambda batch, *_: batch.put(Table.META, range_stale.STATE_KEY, row))
    assert stale_of(store) == {"c": [(b"", b"\xff")]}
    assert settle(store) == 1
    assert stale_of(store) == {}


def test_a_log_longer_than_the_documents_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_on(MemoryStorage())
    store.write([Upsert("c", {"a": 0}, id=number) for number in range(3)])
    settle(store)
    for number in range(5):
        store.write([Upsert("c", {"a": 1 + number}, id=1)])
    assert stale_of(store) != {"c": [(b"", b"\xff")]}
    monkeypatch.setattr(range_stale, "RANGE_LEAVES_MAX", 1)
    assert stale_of(store) == {"c": [(b"", b"\xff")]}
    settle(store)
    assert stale_of(store) == {}


def test_a_read_only_store_gives_sums(tmp_path: Path) -> None:
    """Behind the log, and without any."""
    with Store.open(tmp_path / "store", durability="none") as store:
        store.write([Upsert("c", {"a": 0}, id=number) for number in range(50)])
        settle(store)
        store.write([Upsert("c", {"a": 1}, id=7)])
        store.write([Upsert("d", {"a": 1}, id=7)])
    with Store.open(tmp_path / "store", read_only=True) as store, store.view() as (snapshot, catalog):
        reader, truth = Ranges(snapshot, catalog), Digests().truth(snapshot, catalog)
        for name in ("c", "d", "e"):
            check_range(reader, truth, KeyRange(name, KEYS[3]), 4)


def test_what_differs_is_told_with_both_sums() -> None:
    store = store_on(MemoryStorage())
    store.write([Upsert("c", {"a": 0}, id="b")])
    with store.storage.snapshot() as snapshot:
        reader = Ranges(snapshot, store.sequencer.catalog)
        first, second = KeyRange("c", b"", b" c"), KeyRange("c", b" c")
        ours = reader.sum(first)
        theirs = ours._replace(digest=ours.digest ^ 1)
        assert differing(reader, [(first, ours), (second, Sum(0, 0))]) == []
        assert differing(reader, [(first, theirs), (second, Sum(0, 0))]) == [Difference(first, ours, theirs)]
        assert reader.sums(("d",)) == []
        assert reader.sums(("c", "d")) == reader.sums() == [(KeyRange("c"), ours)]


# --- the compiled twin ---


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Storage]:
    """A store on the compiled engine with documents of every kind of id."""
    with open_engine("compiled", tmp_path / "store") as storage:
        store = store_on(storage)
        for number, name in enumerate(COLLECTIONS[:2]):
            store.write([Upsert(name, {"a": number, "b": {"c": [id_]}}, id=id_) for id_ in IDS])
        yield storage


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    range_=some_ranges,
    modulus=st.sampled_from([1, 2, 3, 16, 2**64 - 1]),
    documents_max=st.sampled_from([0, 1, 5, 1_000]),
)
def test_twins_add_up_alike(filled: Storage, range_: KeyRange, modulus: int, documents_max: int) -> None:
    with filled.snapshot() as snapshot:
        catalog = Catalog.load(snapshot)
        collection = catalog.by_name.get(range_.collection)
        if collection is None:
            return
        given = (Table.DOCUMENTS, collection, catalog.replicas, *range_table.interval_of(range_), modulus)
        compiled: Any = _core.sum_documents
        assert compiled(snapshot, *given, documents_max) == range_table.sum_plainly(snapshot, *given, documents_max)


@pytest.mark.parametrize("key", [KEYS[0], max(KEYS, key=len)], ids=["short", "long"])
def test_twins_refuse_a_damaged_document(filled: Storage, key: bytes) -> None:
    """Cut short anywhere, also within a long id, which stands before the document."""
    compiled: Any = _core.sum_documents
    with filled.batch() as batch:
        catalog = Catalog.load(batch)
        collection = catalog.by_name["one"]
        place = collection.prefix + key
        value = batch.get(Table.DOCUMENTS, place) or b""
        for cut in range(len(value)):
            batch.put(Table.DOCUMENTS, place, value[:cut])
            for add in (compiled, range_table.sum_plainly):
                with pytest.raises(Corrupted, match=r"cut short|outside its heap"):
                    add(batch, Table.DOCUMENTS, collection, catalog.replicas, key, key + b"\0", 1, 1)
        batch.abort()
