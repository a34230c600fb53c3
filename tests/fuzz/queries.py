"""Targets of the query languages that searches have: filters and options of things search, queries of the platform."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from crdtstore.errors import InvalidQuery, QuerySyntaxError
from crdtstore.query import platform, platform_tree, rql, rql_options, rql_tree
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.tree import Node
from tests.fuzz.engine import Target
from tests.fuzz.seeds import different
from tests.query.worlds import platform as objects
from tests.query.worlds import rql as things

FEATURES = {"lamp": {"properties": {"a": 1}, "definition": ["a:b:1"]}, "fan": None}
DOCUMENT = {"_id": "a", "a": [1, 2.5, "x", None], "attributes": {"a": {"b": [{"k": "A"}]}}, "features": FEATURES}

RQL_PIECES = [
    b"(",
    b")",
    b",",
    b"'",
    b'"',
    b"\\u002c",
    b"\\ud800",
    b"and(",
    b"not(",
    b"in(",
    b"like(",
    b"empty(",
    b"null",
]
RQL_PIECES += [
    b"features/*/",
    b"attributes/",
    b"//",
    b"~0",
    b"time:now-1d[w]",
    b"time:now+9999y",
    b"-0",
    b"1.50",
    b"\xff",
    b"*",
]
OPTION_PIECES = [
    b"sort(",
    b"size(",
    b"limit(",
    b"cursor(",
    b"+",
    b"-",
    b",",
    b")",
    b"200",
    b"0",
    b"thingId",
    b"attributes/a",
    b"\\",
]
PLATFORM_PIECES = [
    b"$filter=",
    b"$orderby=",
    b"+$orderby=",
    b"(",
    b")",
    b"'",
    b"''",
    b"\\(",
    b"\\",
    b",",
    b".",
    b" and ",
    b" or ",
]
PLATFORM_PIECES += [
    b"not ",
    b" eq ",
    b" gt ",
    b"has(",
    b"hasany(",
    b"bygroupid(",
    b"null",
    b"1.5f",
    b"lastUpdated.date",
    b"\xff",
]
OPTIONS = ["sort(+thingId,-attributes/a)", "size(20),cursor(aZ_-09)", "limit(0,5),sort(-_modified)", "sort(+a\\u002c)"]
ORDERS = ["$orderby=a desc,b.c", "$filter=a eq 1+$orderby=a asc", "$filter=", "bygroupid(12,'13') $orderby=name"]
PLATFORM_TEXTS = ["lastUpdated.date gt '2024-05-31'", "creationTime.date eq 2024-05-31T12:00:00.5+02:00", *ORDERS]


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def judged(node: Node) -> bool | None:
    """What a tree makes of a document: true or false in these languages."""
    verdict = compile_match(node)(lookup_in(DOCUMENT))
    assert verdict in (True, False)
    return verdict


@cache
def rql_seeds() -> list[bytes]:
    """Filters of some worlds."""
    worlds = [things.make_world(Random(number)) for number in range(20)]
    return different([things.make_query(world).text.encode() for world in worlds for _ in range(20)], 400)


@cache
def platform_seeds() -> list[bytes]:
    """Queries of some worlds."""
    worlds = [objects.make_world(Random(number)) for number in range(20)]
    texts = [objects.make_query(world).text for world in worlds for _ in range(20)]
    return different([text.encode() for text in (*PLATFORM_TEXTS, *texts)], 400)


def read_rql(data: bytes) -> tuple[rql.Query, Node]:
    """A filter, and its tree."""
    query = rql.parse(text_of(data))
    return query, rql_tree.make_tree(query, things.NOW)


def check_rql(_data: bytes, taken: tuple[rql.Query, Node]) -> None:
    query, node = taken
    judged(node)
    same = repr(rql.parse(rql.print_rql(query))) == repr(query)
    assert same


def check_options(_data: bytes, taken: tuple[rql_options.Option, ...]) -> None:
    same = rql_options.parse_options(rql_options.print_options(taken)) == taken
    assert same


def read_platform(data: bytes) -> tuple[platform.Query, Node]:
    """A query, and its filter's tree."""
    query = platform.parse(text_of(data))
    return query, platform_tree.make_tree(query.filter, lambda _function, ids: list(ids))


def check_platform(_data: bytes, taken: tuple[platform.Query, Node]) -> None:
    query, node = taken
    judged(node)
    same = platform.parse(objects.write(Random(0), query, spare=0.0)) == query
    assert same


REFUSED: tuple[type[Exception], ...] = (QuerySyntaxError, InvalidQuery)


def query_target(name: str, take: Any, seeds: Any, check: Any, pieces: list[bytes]) -> Target:
    return Target(name, take, REFUSED, seeds, check, form="text", fragments=pieces)


TARGETS = [
    query_target("query-rql", lambda data: read_rql(data), rql_seeds, check_rql, RQL_PIECES),
    query_target(
        "query-rql-options",
        lambda data: rql_options.parse_options(text_of(data)),
        lambda: [text.encode() for text in OPTIONS],
        check_options,
        OPTION_PIECES,
    ),
    query_target("query-platform", lambda data: read_platform(data), platform_seeds, check_platform, PLATFORM_PIECES),
]
