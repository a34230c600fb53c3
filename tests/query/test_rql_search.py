"""Options of things search: published sorts through a real store, pages, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from crdtstore import Store
from crdtstore.command.command import Upsert
from crdtstore.errors import InvalidQuery
from crdtstore.limits import ORDER_KEYS_MAX, SEARCH_SIZE_DEFAULT, SEARCH_SIZE_MAX
from crdtstore.query import rql
from crdtstore.query.order import RQL_ORDER, Order, OrderKey
from crdtstore.query.rql_options import parse_options
from crdtstore.query.rql_search import SearchOptions, search_options
from crdtstore.query.rql_tree import make_tree
from tests.query.test_rql_tree import FOUND, NOW, THINGS

SORTED = [case for case in FOUND if "option" in case]


def options(text: str) -> SearchOptions:
    return search_options(parse_options(text))


@pytest.mark.parametrize("case", SORTED, ids=lambda case: case["name"])
def test_a_sort_gives_things_in_its_order(case: dict[str, Any]) -> None:
    documents = [document for name, document in THINGS if name == case["things"]]
    order = options(case["option"]).order
    assert order is not None
    with Store.in_memory() as store:
        store.write([Upsert("things", document) for document in documents])
        found = store.find("things", make_tree(rql.parse(case["filter"]), NOW), order=order).documents
    assert [document.id for document in found] == case["ids"]


def test_the_cases_are_many() -> None:
    assert len(SORTED) > 10


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("sort(+thingId)", ()),
        ("sort(-thingId)", (OrderKey(("_id",), descending=True),)),
        ("sort(-thingId,+attributes/a)", (OrderKey(("_id",), descending=True),)),
        ("sort(+attributes/a,+thingId,-_modified)", (OrderKey(("attributes", "a")),)),
        ("sort(+attributes/a),sort(-/attributes/b)", (OrderKey(("attributes", "b"), descending=True),)),
        ("sort(+features/*/properties/p)", (OrderKey(("features", "*", "properties", "p")),)),
    ],
)
def test_keys_of_an_order(text: str, keys: tuple[OrderKey, ...]) -> None:
    assert options(text).order == Order(keys, RQL_ORDER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size(1)", (None, 1, None, None, True)),
        (f"size({SEARCH_SIZE_MAX})", (None, SEARCH_SIZE_MAX, None, None, True)),
        ("limit(0,5)", (None, 5, 0, None, False)),
        ("limit(7,0)", (None, 0, 7, None, False)),
        ("cursor(abc)", (None, SEARCH_SIZE_DEFAULT, None, "abc", False)),
        ("cursor(abc),size(3)", (None, 3, None, "abc", True)),
        ("size(3),limit(2,4)", (None, 4, 2, None, True)),
    ],
)
def test_pages(text: str, expected: tuple[Any, ...]) -> None:
    assert options(text) == expected
    assert search_options(()) == (None, SEARCH_SIZE_DEFAULT, None, None, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size(0)", "The option 'size' must be a positive integer."),
        ("size(201)", "Parameter <size> must be less than or equal to <200> but it was <201>!"),
        ("limit(0,201)", "Parameter <limit> must be less than or equal to <200> but it was <201>!"),
        ("limit(-1,5)", "Parameter <skip> must be greater than or equal to <0> but it was <-1>!"),
        ("limit(0,-5)", "Parameter <limit> must be greater than or equal to <0> but it was <-5>!"),
        ("size(1),size(2)", "There may not be more than 1 'size' option."),
        ("cursor(a),cursor(b)", "There may not be more than 1 'cursor' option."),
        ("cursor(a),limit(0,5)", "The options 'cursor' and 'limit' must not be used together."),
        (f"sort({','.join(['+attributes/a'] * (ORDER_KEYS_MAX + 1))})", f"at most {ORDER_KEYS_MAX} are allowed."),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        options(text)
    assert refused.value.message.endswith(message)
    assert refused.value.data == {"reason": "option"}


@pytest.mark.parametrize("name", ["foo", "attributes", "features/f", "features/f/definition", "_metadata/a", ""])
def test_what_nothing_is_sorted_by(name: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        options(f"sort(+{name})")
    assert refused.value.data == {"reason": "unknown-property", "property": name}
