"""Two stores find what differs between them by comparing sums, dividing, and comparing again.

Rules: `search` is the plain form of what stores do over a wire: the side that gives divides its ranges, the other
compares. What is found has every difference in it and nothing else, at a cost that is counted in sums: those of a
range's parts for each difference and level, and one where the stores are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import log2
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Remove, Store, Upsert
from crdtstore.crdt.entry import KeyRange
from crdtstore.crdt.identifier import encode_id
from crdtstore.limits import RANGE_DOCUMENTS_MIN, RANGE_PARTS
from crdtstore.storage.documents import id_key
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.ranges import Difference, Ranges, Sum, differing
from tests.storage.range_model import IDS, settle, small_rows
from tests.version.stores import store_on

Compare = Callable[[Ranges, Iterable[tuple[KeyRange, Sum]]], list[Difference]]

WHOLE = KeyRange("c")


class Search(NamedTuple):
    """What a search found, in the order of the keys, how many sums were told, and how often."""

    found: list[KeyRange]
    sums: int
    rounds: int


def search(ours: Ranges, theirs: Ranges, compare: Compare = differing, *, documents_min: int = 2) -> Search:
    """Find the ranges in which another store differs."""
    found: list[KeyRange] = []
    sums = rounds = 1
    differences = compare(ours, [(WHOLE, theirs.sum(WHOLE))])
    while differences:
        found += [each.range for each in differences if each.theirs.documents < documents_min]
        large = [each.range for each in differences if each.theirs.documents >= documents_min]
        told = [part for range_ in large for part in theirs.split(range_, RANGE_PARTS)]
        sums += len(told)
        rounds += bool(told)
        differences = compare(ours, told)
    return Search(sorted(found), sums, rounds)


def make_pair(ids: Iterable[object]) -> tuple[Store, Store]:
    """Two stores with the same documents."""
    stores = store_on(MemoryStorage(), 1), store_on(MemoryStorage(), 2)
    stores[0].write([Upsert("c", {"a": 0}, id=id_) for id_ in ids])
    stores[1].apply(entry.record for entry in stores[0].changes())
    return stores


def read(stores: tuple[Store, Store]) -> tuple[Ranges, Ranges]:
    """The sums of two stores, as they are now."""
    ours, theirs = (Ranges(store.storage.snapshot(), store.sequencer.catalog) for store in stores)
    return ours, theirs


def digests(store: Store) -> dict[bytes, bytes]:
    """Each document's digest by its key."""
    return {id_key(encode_id(each.id)): store.document_digest("c", each.id) for each in store.scan("c")}


def check_search(left: Store, right: Store, done: Search) -> None:
    """What was found: every difference, in ranges that each have one."""
    ours, theirs = digests(left), digests(right)
    different = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    places = [(each, [key for key in different if is_inside(key, each)]) for each in done.found]
    assert sum(len(inside) for _, inside in places) == len(different)
    assert all(inside for _, inside in places)
    assert all(before.end is not None and before.end <= after.start for before, after in pairwise(done.found))


def is_inside(key: bytes, range_: KeyRange) -> bool:
    return range_.start <= key and (range_.end is None or key < range_.end)


ids = st.lists(st.sampled_from(IDS), max_size=len(IDS), unique_by=encode_id)
changes = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["write", "remove"]), st.sampled_from(IDS)), max_size=8)


@settings(max_examples=60)
@given(ids, changes, st.booleans())
def test_a_search_finds_what_differs(
    ids: list[object],
    changes: list[tuple[int, str, object]],
    summed: bool,  # noqa: FBT001  drawn
) -> None:
    """In any stores, whether their tables follow their logs or not."""
    with small_rows():
        pair = make_pair(ids)
        for number, (side, what, id_) in enumerate(changes):
            write = Upsert("c", {"a": number}, id=id_)
            pair[side].write([write if what == "write" else Remove("c", "_id == $args.id", {"id": id_})])
            if summed:
                settle(pair[side])
        check_search(*pair, search(*read(pair)))


MANY = 4_096


@pytest.fixture(scope="module")
def pair() -> tuple[Store, Store]:
    """Two equal stores with many documents."""
    stores = make_pair([f"city {number}" for number in range(MANY)])
    for store in stores:
        settle(store)
    return stores


def test_equal_stores_need_one_sum(pair: tuple[Store, Store]) -> None:
    assert search(*read(pair)) == Search([], 1, 1)


@pytest.mark.parametrize("differences", [1, 3, 10, 40])
def test_the_cost_grows_with_the_differences(pair: tuple[Store, Store], differences: int) -> None:
    """Logarithmically with the documents; the differences lie far from each other."""
    stores = make_pair([f"city {number}" for number in range(MANY)])
    for number in range(differences):
        store = stores[number % 2]
        id_ = f"city {number * 997 % MANY}"
        store.write([Upsert("c", {"b": 1}, id=id_) if number % 3 else Remove("c", "_id == $args.id", {"id": id_})])
    for store in stores:
        settle(store)
    done = search(*read(stores), documents_min=RANGE_DOCUMENTS_MIN)
    check_search(*stores, done)
    assert len(done.found) <= differences
    assert done.sums <= 1 + 4 * differences * log2(MANY)
    assert done.rounds <= 5


def test_a_search_that_counts_only_is_found_out(pair: tuple[Store, Store]) -> None:
    """The control: documents that changed and are as many as before."""

    def count(ours: Ranges, theirs: Iterable[tuple[KeyRange, Sum]]) -> list[Difference]:
        return [each for each in differing(ours, theirs) if each.ours.documents != each.theirs.documents]

    stores = make_pair(["a", "b", "c"])
    stores[0].write([Upsert("c", {"a": 1}, id="b")])
    check_search(*stores, search(*read(stores)))
    with pytest.raises(AssertionError):
        check_search(*stores, search(*read(stores), compare=count))
