"""The catalog: names are numbered, taken back, saved once, read back; counts and digests go along."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from crdtstore.crdt.actor import make_actor
from crdtstore.crdt.document import MODULUS
from crdtstore.crdt.names import FULL
from crdtstore.errors import InvalidDocument, Overloaded
from crdtstore.limits import COLLECTION_BYTES_MAX
from crdtstore.storage import catalog as module
from crdtstore.storage.catalog import Catalog, check_collection_name, names_of, number_key
from crdtstore.storage.interface import Storage
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.tables import Table
from tests.storage.engines import content


def save(catalog: Catalog, storage: Storage) -> int:
    """Save in one commit; how many rows were put."""
    puts: list[bytes] = []
    with storage.batch() as batch:
        put = batch.put

        class Counting:
            """Counts what is put."""

            def put(self, table: int, key: bytes, value: bytes) -> None:
                """Put and count."""
                puts.append(key)
                put(table, key, value)

        catalog.save(Counting())  # type: ignore[arg-type]
        batch.commit()
    return len(puts)


def load(storage: Storage) -> Catalog:
    """Read a catalog."""
    with storage.snapshot() as snapshot:
        return Catalog.load(snapshot)


def facts(catalog: Catalog) -> Any:
    """All that a catalog says."""
    return (
        [(each.number, each.name, each.documents, each.digest, each.paths.texts) for each in catalog.collections],
        {name: each.number for name, each in catalog.by_name.items()},
        catalog.replicas.texts,
        list(catalog.replicas.origin_numbers),
        catalog.digest(),
    )


def digest(number: int) -> bytes:
    """A digest's bytes."""
    return (number % MODULUS).to_bytes(16, "little")


def test_what_was_saved_is_read_back(storage: Storage) -> None:
    """Collections, paths in their order, replicas, counts and digests; by every storage."""
    catalog = Catalog()
    catalog.begin()
    for number in range(300):
        known = catalog.intern(f"c{number}")
        for path in range(number % 5):
            known.paths.intern(bytes([255 - path, 0]))
        known.count(number, digest(number - 5))
        catalog.replicas.intern(make_actor(number, 1) + make_actor(number % 7, 2))
    save(catalog, storage)
    assert facts(load(storage)) == facts(catalog)
    assert save(load(storage), storage) == 0


def test_only_what_changed_is_saved(storage: Storage) -> None:
    """A name once, a count when it moved, nothing twice."""
    catalog = Catalog()
    catalog.begin()
    known = catalog.intern("c")
    known.paths.intern(b"a\0")
    assert save(catalog, storage) == 2
    catalog.begin()
    catalog.intern("c")
    assert save(catalog, storage) == 0
    known.paths.intern(b"b\0")
    known.count(1, digest(5))
    catalog.begin()
    catalog.intern("c")
    assert save(catalog, storage) == 2
    known.count(1, digest(1))
    known.count(-1, digest(-1))
    catalog.intern("c")
    assert save(catalog, storage) == 0
    assert facts(load(storage)) == facts(catalog)


def test_a_count_wraps() -> None:
    """Digests are sums modulo 2^128; the store's is the sum of them."""
    catalog = Catalog()
    catalog.begin()
    for name in ("a", "b"):
        catalog.intern(name).count(2, digest(-1))
    assert catalog.digest() == MODULUS - 2
    catalog.intern("a").count(-2, digest(1))
    assert (catalog.by_name["a"].documents, catalog.by_name["a"].digest, catalog.digest()) == (0, 0, MODULUS - 1)
    assert names_of(catalog.collections) == ("b",)


def test_the_bound_of_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one is refused beyond it, a known one never."""
    monkeypatch.setattr(module, "COLLECTIONS_MAX", 2)
    catalog = Catalog()
    catalog.begin()
    first, _ = catalog.intern("a"), catalog.intern("b")
    with pytest.raises(Overloaded):
        catalog.intern("c")
    assert catalog.intern("a") is first
    catalog.rollback()
    assert catalog.intern("c").number == 0


def test_the_bound_of_paths() -> None:
    """Beyond it a path has no number, and the known ones keep theirs."""
    catalog = Catalog()
    catalog.begin()
    known = catalog.intern("c")
    known.paths.maximum = 2
    assert [known.paths.intern(text) for text in (b"a\0", b"b\0", b"c\0", b"a\0")] == [0, 1, FULL, 0]


@pytest.mark.parametrize("name", ["", "\0", "a\0", "x" * (COLLECTION_BYTES_MAX + 1), "\xe9" * 128, "\udc80"])
def test_names_that_are_refused(name: str) -> None:
    """And nothing is kept of them."""
    catalog = Catalog()
    catalog.begin()
    with pytest.raises(InvalidDocument):
        catalog.intern(name)
    assert (catalog.collections, catalog.by_name, catalog.dirty) == ([], {}, set())


@pytest.mark.parametrize("name", ["a", "\x01", " ", "x" * COLLECTION_BYTES_MAX, "\xe9" * 127, "\U0001f600"])
def test_names_that_are_taken(name: str) -> None:
    """Any text of the right size."""
    assert check_collection_name(name) == name


def test_number_keys_sort() -> None:
    """As their numbers do."""
    numbers = [0, 1, 255, 256, 65_535, 65_536, 2**32 - 1]
    assert sorted(map(number_key, numbers)) == list(map(number_key, numbers))
    assert number_key(1, 2) == b"\0\0\0\x01\0\0\0\x02"


texts = st.sampled_from(["a", "b", "c", "d"])
actors = st.integers(0, 5)


class Transactions(RuleBasedStateMachine):
    """Transactions that add names and are accepted, refused or cut off by a failed commit, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.storage = MemoryStorage()
        self.catalog = self.make()
        self.catalog.begin()
        self.model: tuple[dict[str, list[bytes]], list[bytes]] = ({}, [])
        self.draft = self.copy()
        self.saved = self.copy()

    def make(self) -> Catalog:
        """What is tested."""
        return Catalog()

    def copy(self) -> tuple[dict[str, list[bytes]], list[bytes]]:
        """The model's names, for taking back."""
        return {name: list(paths) for name, paths in self.model[0].items()}, list(self.model[1])

    @rule(name=texts, paths=st.lists(st.binary(min_size=1, max_size=1), max_size=3))
    def use(self, name: str, paths: list[bytes]) -> None:
        """Use a collection and some of its paths."""
        known = self.catalog.intern(name)
        ours = self.model[0].setdefault(name, [])
        for path in paths:
            known.paths.intern(path)
            ours.extend([path] * (path not in ours))

    @rule(actor=actors, origin=actors)
    def write_as(self, actor: int, origin: int) -> None:
        """Use a replica."""
        text = make_actor(actor, 1) + make_actor(origin, 2)
        self.catalog.replicas.intern(text)
        self.model[1].extend([text] * (text not in self.model[1]))

    @rule()
    def accept(self) -> None:
        """End a transaction well."""
        self.draft = self.copy()
        self.catalog.begin()

    @rule()
    def refuse(self) -> None:
        """Take a transaction back."""
        self.catalog.rollback()
        self.model = self.draft
        self.accept()

    @rule()
    def commit(self) -> None:
        """Save what was accepted."""
        self.refuse()
        save(self.catalog, self.storage)
        self.saved = self.copy()
        assert self.names(load(self.storage)) == self.saved

    @rule()
    def fail(self) -> None:
        """A group was dropped: read everything back."""
        self.catalog = load(self.storage)
        self.catalog.begin()
        self.model = self.saved
        self.saved = self.copy()
        self.draft = self.copy()

    @staticmethod
    def names(catalog: Catalog) -> tuple[dict[str, list[bytes]], list[bytes]]:
        """A catalog's names in the model's form."""
        return {each.name: list(each.paths.texts) for each in catalog.collections}, list(catalog.replicas.texts)

    @invariant()
    def names_are_the_models(self) -> None:
        """In their order, numbered densely, and found by their texts."""
        catalog = self.catalog
        assert self.names(catalog) == self.model
        assert list(self.names(catalog)[0]) == list(self.model[0])
        assert [each.number for each in catalog.collections] == list(range(len(catalog.collections)))
        assert catalog.by_name == {each.name: each for each in catalog.collections}
        for each in catalog.collections:
            assert each.paths.numbers == {text: number for number, text in enumerate(each.paths.texts)}
        replicas = catalog.replicas
        assert [replicas.origins.texts[number] for number in replicas.origin_numbers] == [
            text[16:] for text in replicas.texts
        ]


class Leaking(Catalog):
    """A planted bug: the paths of a refused transaction stay."""

    def rollback(self) -> None:
        """Take back the collections and replicas alone."""
        self.touched.clear()
        super().rollback()


class Planted(Transactions):
    """The same machine over the planted bug."""

    def make(self) -> Catalog:
        """What must be caught."""
        return Leaking()


TestTransactions = Transactions.TestCase
TestTransactions.settings = settings(max_examples=60, stateful_step_count=30)


def test_the_machine_catches_names_that_stay() -> None:
    """The state machine above fails on a planted bug."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Planted, settings=settings(max_examples=60, phases=[Phase.generate]))


def test_rows_that_stand_in_the_tables(storage: Storage) -> None:
    """A collection's row holds its name, its counts and its digest; a path's key holds both numbers."""
    catalog = Catalog()
    catalog.begin()
    known = catalog.intern("c")
    known.paths.intern(b"a\0")
    known.count(3, digest(7))
    save(catalog, storage)
    assert content(storage, Table.COLLECTIONS) == {number_key(0): known.row()}
    assert content(storage, Table.PATHS) == {number_key(0, 0): b"a\0"}
    assert msgpack.unpackb(known.row()) == ["c", 3, digest(7), 0]
