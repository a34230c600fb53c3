"""The languages by their names: what reads a query of each, and how each orders.

Rules: reading gives a condition of the one tree, so that everything behind it is the same for all languages. An order
is written as paths of the legacy language, each with a minus before it where it is descending.

Not here: the grammars themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidQuery, InvalidValue
from crdtstore.limits import ORDER_KEYS_MAX, QUERY_CACHE_MAX
from crdtstore.query import legacy, platform, platform_tree, rql
from crdtstore.query.order import LEGACY_ORDER, PLATFORM_ORDER, RQL_ORDER, Order, OrderKey
from crdtstore.query.project import check_paths
from crdtstore.query.rql_tree import make_tree
from crdtstore.query.tree import Node, Path


class Language(NamedTuple):
    """What reads a query, from its text, its arguments and the time; and the ranks of the types in an order."""

    read: Callable[[str, Mapping[str, Value] | None, int], Node]
    ranks: bytes


def read_legacy(text: str, args: Mapping[str, Value] | None, now_milliseconds: int) -> Node:  # noqa: ARG001  it has no clock
    """A query of the legacy expression language; one without arguments is kept."""
    return legacy.parse(text, args) if args else read_kept(text)


@lru_cache(maxsize=QUERY_CACHE_MAX)
def read_kept(text: str) -> Node:
    """The same without arguments."""
    return legacy.parse(text)


def read_rql(text: str, args: Mapping[str, Value] | None, now_milliseconds: int) -> Node:
    """A filter of things search, which takes no arguments."""
    if args:
        raise InvalidValue("A query in RQL takes no arguments; write the values into it.")
    return make_tree(rql.parse(text), now_milliseconds)


def read_platform(text: str, args: Mapping[str, Value] | None, now_milliseconds: int) -> Node:  # noqa: ARG001  it has no clock
    """A filter of the platform's query language; order and relations are its facade's."""
    query = platform.parse(text)
    if args or query.order:
        raise InvalidValue("A query of the platform takes neither arguments nor $orderby here; give the order apart.")
    return platform_tree.make_tree(query.filter, refuse_relation)


def refuse_relation(function: str, ids: Sequence[str]) -> NoReturn:
    """Relations between objects are kept by what serves them."""
    raise InvalidQuery(f"{function}({', '.join(ids)}) asks for a relation, which only the platform's API knows.")


LANGUAGES: Final[Mapping[str, Language]] = {
    "legacy": Language(read_legacy, LEGACY_ORDER),
    "rql": Language(read_rql, RQL_ORDER),
    "platform": Language(read_platform, PLATFORM_ORDER),
}


def language_of(name: str) -> Language:
    """A language by its name.

    Raises:
        InvalidValue: There is none of this name.
    """
    if name not in LANGUAGES:
        raise InvalidValue(f"There is no query language {name!r}; there are {', '.join(LANGUAGES)}.")
    return LANGUAGES[name]


def read_order(keys: Sequence[str], language: str) -> Order:
    """An order from paths.

    Raises:
        QuerySyntaxError: Not a path.
        InvalidValue: More than ORDER_KEYS_MAX.
    """
    if len(keys) > ORDER_KEYS_MAX:
        raise InvalidValue(f"An order has at most {ORDER_KEYS_MAX} keys; this one has {len(keys)}.")
    read = [OrderKey(legacy.parse_path(key.removeprefix("-")), key.startswith("-")) for key in keys]
    while read and read[-1] == OrderKey(("_id",)):
        # What the keys leave equal comes by id anyway.
        read.pop()
    return Order(tuple(read), language_of(language).ranks)


def read_paths(texts: Sequence[str] | None) -> tuple[Path, ...] | None:
    """The paths of a projection; None for all fields.

    Raises:
        QuerySyntaxError: Not a path.
        InvalidDocument: One that cannot be shown.
    """
    return None if texts is None else check_paths([legacy.parse_path(text) for text in texts])
