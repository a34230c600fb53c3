"""What the options of things search ask for: its parsed options (`rql_options`), checked, with the order as paths.

Rules: of several sorts the last counts; what stands behind `thingId` in it says nothing, since no two things share one.
A page has a size, or with `limit` an offset and a size; a cursor goes with a size only. Each of `size`, `limit` and
`cursor` stands once.

Not here: reading texts (`rql_options`), what a cursor holds, what an answer carries.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn, TypeVar

from crdtstore.errors import InvalidQuery
from crdtstore.limits import ORDER_KEYS_MAX, SEARCH_SIZE_DEFAULT, SEARCH_SIZE_MAX
from crdtstore.query.order import RQL_ORDER, Order, OrderKey
from crdtstore.query.rql_options import Cursor, Limit, Option, Size, Sort
from crdtstore.query.rql_tree import FIELDS, Fields, find_property
from crdtstore.query.tree import ID_PATH

Kind = TypeVar("Kind", Cursor, Limit, Size)


class SearchOptions(NamedTuple):
    """What a search is asked besides its filter."""

    order: Order | None
    """None where no order is asked for: then things come by their ids."""
    size: int
    """Things of a page."""
    skip: int | None
    """Things before it, where `limit` says so."""
    cursor: str | None
    sized: bool
    """Whether `size` says how large a page is."""


def search_options(options: tuple[Option, ...], fields: Fields = FIELDS) -> SearchOptions:
    """Check options and find their properties.

    Args:
        options: What `rql_options.parse_options` gives; nothing where none were given.
        fields: Where the documents have what pointers begin with.

    Raises:
        InvalidQuery: A number out of bounds, options that do not go together, too many keys, a property that is none
            or that nothing is sorted by; `data` has `reason`.
    """
    sorts = [option for option in options if isinstance(option, Sort)]
    size, limit, cursor = single(options, Size), single(options, Limit), single(options, Cursor)
    if cursor is not None and limit is not None:
        refuse("The options 'cursor' and 'limit' must not be used together.")
    if size is not None and size.size < 1:
        refuse("The option 'size' must be a positive integer.")
    skip, asked = limit.limit if limit else (None, size.size if size else SEARCH_SIZE_DEFAULT)
    check_bounds("skip", skip or 0, None)
    check_bounds("limit" if limit else "size", asked, SEARCH_SIZE_MAX)
    order = read_order(sorts[-1], fields) if sorts else None
    return SearchOptions(order, asked, skip, cursor.cursor if cursor else None, sized=size is not None)


def single(options: tuple[Option, ...], kind: type[Kind]) -> Kind | None:
    """The one option of a kind."""
    found = [option for option in options if isinstance(option, kind)]
    if len(found) > 1:
        refuse(f"There may not be more than 1 '{kind.__name__.lower()}' option.")
    return found[0] if found else None


def check_bounds(name: str, value: int, maximum: int | None) -> None:
    """Refuse a number below zero or beyond its maximum."""
    if value < 0:
        refuse(f"Parameter <{name}> must be greater than or equal to <0> but it was <{value}>!")
    if maximum is not None and value > maximum:
        refuse(f"Parameter <{name}> must be less than or equal to <{maximum}> but it was <{value}>!")


def read_order(sort: Sort, fields: Fields) -> Order:
    """The order that a sort asks for."""
    keys: list[OrderKey] = []
    for sign, name in sort.sort:
        found = find_property(name, "sort", fields)
        keys.append(OrderKey(found.path, descending=sign == "-"))
        if found.path == ID_PATH:
            break
    if keys[-1] == OrderKey(ID_PATH):
        # What the keys leave equal comes by id anyway.
        keys.pop()
    if len(keys) > ORDER_KEYS_MAX:
        refuse(f"The option 'sort' has {len(keys)} keys; at most {ORDER_KEYS_MAX} are allowed.")
    return Order(tuple(keys), RQL_ORDER)


def refuse(message: str) -> NoReturn:
    """Refuse options that can be read."""
    raise InvalidQuery(message, reason="option")
