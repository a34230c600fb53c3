"""A compiled look into an index gives what the plain one does, for any arguments."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from crdtstore import Store, Upsert, core
from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import Corrupted, StoreClosed
from crdtstore.limits import INDEX_COLUMN_BYTES_MAX
from crdtstore.prepared import Bound, Look, ShortWay, column_of, compiled_look
from crdtstore.query.tree import Operator
from crdtstore.storage.documents import DOCUMENTS, document_key
from crdtstore.storage.index import WHOLE
from crdtstore.storage.index_entries import part_prefix

COLLECTION = "things"
LONGEST = INDEX_COLUMN_BYTES_MAX - 2
DATES = ("2022-04-29T00:55:31Z", "2022-04-29t02:55:31.50+02:00", "2016-12-31T23:59:60Z", "2022-02-30T00:00:00Z")
TEXTS = ("", "a", "ab", "b", "\x00", "\x01b", "a\x00", "é", "漢字", "\U0010ffff", "x" * LONGEST, "é" * (LONGEST // 2))
NUMBERS = (0, -1, 1, 1.0, -0.0, 0.5, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 1.5e300, 5e-324, 255, 65_535)
OTHERS = (True, False, None, ["a"], {"a": 1}, b"a")
STRANGE = (2**63, -(2**63) - 1, 2**200, float("nan"), float("inf"), "\ud800", "x" * (LONGEST + 1), object())
STORED = (*DATES, *TEXTS, *NUMBERS, *OTHERS)
ASKED = (*STORED, *STRANGE)
OPERATORS: tuple[Operator, ...] = (">", ">=", "<", "<=")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("looks") / "store", durability="none") as opened:
        fields = [{"a": a, "b": b} for a, b in product(STORED, TEXTS[:4] + NUMBERS[:4])]
        opened.write([Upsert(COLLECTION, one, id=number) for number, one in enumerate(fields)])
        opened.indexes.create(COLLECTION, ["a", "b"])
        yield opened


class Sequencer:
    """One whose catalog is another one after so many looks at it."""

    def __init__(self, catalogs: Iterator[Any]) -> None:
        self.catalogs = catalogs

    @property
    def catalog(self) -> Any:
        """The next one."""
        return next(self.catalogs, None)


def head_of(store: Store) -> bytes:
    """What the entries of the index begin with."""
    return part_prefix(store.sequencer.catalog.by_name[COLLECTION].indexes[0], WHOLE)


def both(store: Store, look: Look) -> tuple[Any, Any]:
    """The compiled way and the plain one."""
    catalog = store.sequencer.catalog
    collection = catalog.by_name[COLLECTION]
    way = ShortWay(store, catalog, collection, collection.indexes[0], look)
    return (compiled_look(way) or way).find_json, way.find_json


def looks(store: Store) -> Iterator[Look]:
    """Looks of every form: constants and arguments, with bounds of the next column and without."""
    head = head_of(store)
    known = column_of("ab")
    assert known is not None
    heads: tuple[tuple[tuple[str | bytes, ...], int], ...] = (((), 0), (("one",), 1), ((known,), 0))
    for equal, names in heads:
        yield Look(head, equal, (), names)
    for (equal, names), operator in product(heads, OPERATORS):
        yield Look(head, equal, (Bound(operator, "low"),), names + 1)
        for other in OPERATORS:
            yield Look(head, equal, (Bound(operator, "low"), Bound(other, "high")), names + 2)
            yield Look(head, equal, (Bound(operator, known), Bound(other, "low")), names + 1)


def differences(store: Store, seed: int, runs: int) -> tuple[list[Any], int, int]:
    """Where the two ways differ, how often there is an answer, and how many documents it has in all."""
    random = Random(seed)
    wrong, answers, documents = [], 0, 0
    for look in looks(store):
        compiled, plain = both(store, look)
        for _ in range(runs):
            names = random.sample(["one", "low", "high"], random.choice((look.names, look.names, random.randrange(4))))
            kind = random.choice((ASKED, TEXTS, NUMBERS))
            args = {name: random.choice(kind) for name in names}
            expected = plain(args)
            if compiled(args) != expected:
                wrong.append((look, args))
            answers += expected is not None
            documents += len(expected or ())
    return wrong, answers, documents


def test_looks_are_alike_for_any_arguments(store: Store) -> None:
    assert core.lmdb_environment is None or store.storage.__class__ is core.lmdb_environment
    wrong, answers, documents = differences(store, 1, 40)
    assert wrong == []
    assert answers > 300
    assert documents > 3_000


def test_every_value_is_found_by_itself(store: Store) -> None:
    compiled, plain = both(store, Look(head_of(store), ("one",), (), 1))
    for value in ASKED:
        found = compiled({"one": value})
        assert found == plain({"one": value})
        assert (found is None) == (column_of(value) is None)
        assert found is None or found


def test_a_planted_bug_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.prepared.behind", lambda key: key)
    assert differences(store, 1, 40)[0] != [] or core.CORE == "plain"


@pytest.mark.parametrize("reads", [0, 1])
def test_what_was_found_while_the_catalog_changed_is_not_given(store: Store, reads: int) -> None:
    catalog = store.sequencer.catalog
    collection = catalog.by_name[COLLECTION]
    sequencer = Sequencer(iter(()))
    changing: Any = SimpleNamespace(storage=store.storage, sequencer=sequencer)
    way = ShortWay(changing, catalog, collection, collection.indexes[0], Look(head_of(store), ("one",), (), 1))
    for find in (way.find_json, (compiled_look(way) or way).find_json):
        sequencer.catalogs = iter([catalog] * reads)
        assert find({"one": "a"}) is None
        sequencer.catalogs = iter([catalog] * (reads + 2))
        assert find({"one": "a"})


@pytest.mark.parametrize(("name", "value"), [("built", b""), ("inexact", 1)])
def test_an_index_that_is_not_whole_is_not_looked_into(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    ways = both(store, Look(head_of(store), ("one",), (), 1))
    assert all(find({"one": "a"}) for find in ways)
    monkeypatch.setattr(store.sequencer.catalog.by_name[COLLECTION].indexes[0], name, value)
    assert [find({"one": "a"}) for find in ways] == [None, None]


def test_arguments_that_do_not_fit_are_left_to_the_long_way(store: Store) -> None:
    for find in both(store, Look(head_of(store), ("one",), (), 1)):
        assert find({}) is None
        assert find({"other": 1}) is None
        assert find({"one": 1, "other": 1}) is None


def test_threads_look_at_once(store: Store) -> None:
    some, _ = both(store, Look(head_of(store), (), (Bound(">=", "low"),), 1))
    every, _ = both(store, Look(head_of(store), (), (), 0))
    looks = [(some, {"low": low}) for low in (0, "a", "b", 2**53)] + [(every, {})]
    expected = [find(args) for find, args in looks]
    wrong: list[Any] = []

    def run() -> None:
        for _ in range(30):
            wrong.extend(args for (find, args), found in zip(looks, expected, strict=True) if find(args) != found)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    # Beyond the first rows the GIL is given away.
    assert len(expected[-1] or ()) > 256


def test_a_look_ends_its_first_part_after_many_bytes(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        store.write([Upsert(COLLECTION, {"a": number, "text": "x" * 40_000}, id=number) for number in range(20)])
        store.indexes.create(COLLECTION, ["a"])
        compiled, plain = both(store, Look(head_of(store), (), (Bound(">=", "low"),), 1))
        for low in (0, 13, 14, 19):
            assert compiled({"low": low}) == plain({"low": low})
            assert len(compiled({"low": low})) == 20 - low


def test_a_look_goes_on_after_damage_and_ends_with_its_store(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        store.write([Upsert(COLLECTION, {"a": number}, id=number) for number in range(40)])
        store.indexes.create(COLLECTION, ["a"])
        ways = both(store, Look(head_of(store), ("one",), (), 1))
        with store.storage.batch() as batch:
            key = document_key(store.sequencer.catalog.by_name[COLLECTION], encode_id(7))
            batch.delete(DOCUMENTS, key)
            batch.commit()
        # From the second look on the trees of the commit are known.
        for find, _ in product(ways, range(3)):
            with pytest.raises(Corrupted) as raised:
                find({"one": 7})
            assert raised.value.data["key"] == key.hex()
            assert find({"one": 8}) == [b'{"a":8}']
    for find in ways:
        with pytest.raises(StoreClosed):
            find({"one": 8})


def test_a_kept_reader_gives_the_newest_commit_and_keeps_no_pages(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        store.write([Upsert(COLLECTION, {"a": 0, "text": "x" * 50_000}, id=1)])
        store.indexes.create(COLLECTION, ["a"])
        find = store.prepare(COLLECTION, "a >= $args.least").find_json
        sizes = []
        for number in range(1, 200):
            store.write([Upsert(COLLECTION, {"a": number, "text": str(number % 10) * 50_000}, id=1)])
            assert [len(find(least=least)) for least in (number, number, number + 1)] == [1, 1, 0]
            if number % 20 == 0:
                store.trim(store.applied)
                sizes.append(store.storage.bytes_on_disk())
        assert sizes[-1] == sizes[2]
        with store.storage.snapshot():
            for number in range(60):
                store.write([Upsert(COLLECTION, {"text": str(number % 10) * 50_000}, id=1)])
                store.trim(store.applied)
        assert store.storage.bytes_on_disk() > sizes[-1]
