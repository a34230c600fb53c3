"""Differences: what they lead to, and how little they say."""

from __future__ import annotations

from itertools import combinations
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from crdtstore.live.difference import NONE, Difference, Move, Placed, apply, difference
from crdtstore.live.window import Kept
from crdtstore.query.find import Document


def rows_of(places: list[tuple[int, int]]) -> list[Kept]:
    """Rows of documents that are named by a number, with a value."""
    return [Kept(b"", b"%d" % name, Document(name, b'{"a":%d}' % value)) for name, value in places]


def documents(rows: list[Kept]) -> list[Document]:
    return [row.document for row in rows]


def longest_run(places: list[int]) -> int:
    """How many of some numbers rise at most, by trying all choices of them."""
    return max(
        size
        for size in range(len(places) + 1)
        for chosen in combinations(places, size)
        if list(chosen) == sorted(chosen)
    )


rows = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), max_size=8, unique_by=lambda each: each[0]).map(
    rows_of
)


@given(rows, rows)
def test_a_difference_leads_from_the_old_rows_to_the_new_ones(old: list[Kept], new: list[Kept]) -> None:
    assert apply(documents(old), difference(old, new)) == documents(new)


@given(rows, rows)
def test_a_difference_says_no_more_than_it_must(old: list[Kept], new: list[Kept]) -> None:
    made = difference(old, new)
    before, after = {row.id: row.document for row in old}, {row.id: row.document for row in new}
    assert [old[place].id for place in made.deletions] == [row.id for row in old if row.id not in after]
    assert [new[each.place].id for each in made.insertions] == [row.id for row in new if row.id not in before]
    assert [new[each.place].id for each in made.updates] == [
        row.id for row in new if row.id in before and before[row.id] != row.document
    ]
    stayed = [[row.id for row in old].index(row.id) for row in new if row.id in before]
    assert len(made.moves) == len(stayed) - longest_run(stayed)


@given(rows)
def test_what_is_the_same_makes_no_difference(some: list[Kept]) -> None:
    assert difference(some, list(some)) == NONE
    assert apply(documents(some), NONE) == documents(some)


def test_a_difference_of_many_rows_leads_to_them_too() -> None:
    random = Random(0)
    names = list(range(3_000))
    old = rows_of([(name, 0) for name in names])
    random.shuffle(names)
    new = rows_of([(name, random.randrange(2)) for name in names[500:] + list(range(3_000, 3_500))])
    assert apply(documents(old), difference(old, new)) == documents(new)


def test_places_are_of_the_old_rows_or_of_the_new_ones() -> None:
    old = rows_of([(1, 0), (2, 0), (3, 0), (4, 0)])
    new = rows_of([(3, 0), (5, 0), (2, 1), (4, 0)])
    assert difference(old, new) == Difference(
        deletions=(0,),
        insertions=(Placed(1, Document(5, b'{"a":0}')),),
        updates=(Placed(2, Document(2, b'{"a":1}')),),
        moves=(Move(2, 0),),
    )
