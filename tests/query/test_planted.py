"""Faults that are planted in the grammars' trees, in the evaluator and in what reads documents are found.

Rules: each is looked for with the pairs of the normal run, by the oracle of one language. A fault takes the place of
one name of one module; what answers otherwise, or raises, is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from crdtstore import Store, core
from crdtstore.crdt import spread
from crdtstore.crdt.field import step_into
from crdtstore.query import (
    bounds,
    find,
    language,
    legacy,
    lookup,
    match,
    order,
    pattern,
    plan,
    platform,
    platform_tree,
    relation,
    rql_tree,
    source,
    tree,
)
from crdtstore.query.dql import condition
from crdtstore.query.tree import RQL, Node
from crdtstore.storage import draft, index_build
from crdtstore.storage.index import WHOLE, Index
from tests.query.harness import LANGUAGES, Language, Mode, pairs
from tests.query.test_oracles import PAIRS, SHARES


class Fault(NamedTuple):
    """A fault: whose oracle finds it, where it is planted, and what makes it of what stands there."""

    language: str
    what: str
    place: Any
    name: str
    spoil: Callable[[Any], Any]
    mode: Mode = "plain"


def constantly(value: Any) -> Callable[[Any], Any]:
    """Whatever it was, it is this now."""
    return lambda _original: value


def without_presence(field: tree.Field, value: Any) -> Node:
    return tree.Not(tree.Compare("==", field, tree.Literal(value), RQL))


def without_spread(found: rql_tree.Property, test: Callable[[tree.Field], Node]) -> Node:
    inside = test(tree.Field(found.path))
    return inside if found.each is None else tree.Some(found.each, inside)


def every_feature(original: Any) -> Any:
    def over(found: rql_tree.Property, test: Callable[[tree.Field], Node]) -> Node:
        return tree.Not(original(found, lambda field: tree.Not(test(field)))) if found.each else original(found, test)

    return over


def into_nested_arrays(original: Any) -> Any:
    def spread_in(value: Any, path: Any) -> Iterator[Any]:
        yield from original(value, path)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, list):
                    yield from spread_in(item, path)

    return spread_in


def not_into_arrays(value: Any, path: Any) -> Iterator[Any]:
    for key in path:
        value = step_into(value, key)
    if value is not tree.MISSING:
        yield value
        yield from value if isinstance(value, list) else ()


def rounded(original: Any) -> Any:
    def read_field(*arguments: Any) -> Any:
        value = original(*arguments)
        return float(value) if type(value) is int else value

    return read_field


def lowered(original: Any) -> Any:
    def compile_like(text: str, *, folded: bool) -> Callable[[str], bool]:
        fits: Callable[[str], bool] = original(text.lower() if folded else text, folded=False)
        return lambda value: fits(value.lower() if folded else value)

    return compile_like


def without_doubled_quotes(original: Any) -> Any:
    return lambda parser: original(parser).replace("'", "''")


def without_text(original: Any) -> Any:
    return lambda *arguments: platform.Number(original(*arguments).number, None)


def far_reaching_not(original: Any) -> Any:
    def negation(parser: platform.Parser, depth: int) -> platform.Expression:
        if parser.take_word("not"):
            return platform.Not(parser.conjunction(depth + 1))
        found: platform.Expression = original(parser, depth)
        return found

    return negation


def is_there(index: Index) -> bool:
    return not index.dropping


def one_less(original: Any) -> Any:
    def search_count(*arguments: Any) -> Any:
        found, examined = original(*arguments)
        return max(0, found - 1), examined

    return search_count


def from_the_start(original: Any) -> Any:
    return lambda plan_, collection, _position: original(plan_, collection, None)


def repeated(original: Any) -> Any:
    return lambda snapshot, collection, source, tally: original(
        snapshot, collection, source._replace(repeats=False), tally
    )


def last_dropped(original: Any) -> Any:
    return lambda *arguments: iter(list(original(*arguments))[:-1])


def reversed_rows(original: Any) -> Any:
    return lambda *arguments: iter(list(original(*arguments))[::-1])


def first_only(original: Any) -> Any:
    return lambda node: (ids := original(node)) and ids[:1]


FAULTS = [
    Fault("rql", "ne holds where nothing is", rql_tree, "differs", constantly(without_presence)),
    Fault(
        "rql",
        "ge null holds of null only",
        rql_tree,
        "is_nothing",
        constantly(lambda field: tree.IsType(field, ("null",))),
    ),
    Fault("rql", "empty arrays are full", rql_tree, "is_empty", constantly(rql_tree.is_nothing)),
    Fault(
        "rql",
        "null is not in a list",
        rql_tree,
        "is_one_of",
        constantly(lambda field, values: tree.Contains(tree.Literal(values), field, RQL)),
    ),
    Fault("rql", "a backslash escapes", rql_tree, "LIKE_ESCAPED", constantly({})),
    Fault("rql", "arrays are not searched", rql_tree, "over", constantly(without_spread)),
    Fault("rql", "every feature must meet it", rql_tree, "over", every_feature),
    Fault("rql", "a tilde stays escaped", rql_tree, "segments_of", constantly(lambda name: name.strip("/").split("/"))),
    Fault("rql", "ge is gt", rql_tree, "OPERATORS", lambda original: {**original, "ge": ">"}),
    Fault("rql", "the time is not known", rql_tree, "resolve_time", constantly(lambda _text, _now: None)),
    Fault("rql", "arrays in arrays are searched", spread, "spread_in", into_nested_arrays),
    Fault("rql", "arrays on the way are not searched", spread, "spread_in", constantly(not_into_arrays)),
    Fault("rql", "a number is never an index", spread, "index_of", constantly(lambda _key: None)),
    Fault("rql", "lower case is all that folding is", match, "compile_like", lowered),
    Fault(
        "rql",
        "a question mark stands for itself",
        pattern,
        "like_parts",
        lambda original: lambda text: original(text.replace("?", "\\?")),
    ),
    Fault("dql", "unknown is false in or", match, "any_of", constantly(any)),
    Fault(
        "dql",
        "what is not known is not so",
        match,
        "compile_not",
        constantly(lambda test: lambda document: test(document) is not True),
    ),
    Fault("dql", "a pattern is taken as it is", condition, "like_pattern", constantly(lambda text: text)),
    Fault("dql", "null is in a list with null", match, "is_plain", constantly(lambda _rules: True)),
    Fault(
        "dql", "values of two types differ", relation, "MIXED", lambda original: {**original, ("unknown", True): True}
    ),
    Fault(
        "dql",
        "what is no text does not fit",
        match,
        "compile_call",
        lambda original: lambda node: original(tree.Call(node.function, node.arguments)),
    ),
    Fault("platform", "standard properties are held", platform_tree, "STANDARD", constantly(frozenset())),
    Fault("platform", "dates are fields", platform_tree, "DATES", constantly(frozenset())),
    Fault("platform", "dates are text", platform_tree, "PLATFORM_DATES", constantly(tree.PLATFORM)),
    Fault("platform", "a day is no date", platform_tree, "date_text", constantly(lambda text, _names, **_rule: text)),
    Fault("platform", "a backslash escapes", platform_tree, "LITERAL", constantly({})),
    Fault("platform", "le is lt", platform_tree, "OPERATORS", lambda original: {**original, "le": "<"}),
    Fault("platform", "a number is no text", platform.Parser, "number", without_text),
    Fault("platform", "ids are not known by", platform_tree, "path_of", constantly(lambda names, _fields: names)),
    Fault("platform", "null is held by nothing", platform_tree, "PRESENT", lambda original: original[1:]),
    Fault("platform", "a quote ends a text", platform.Parser, "string", without_doubled_quotes),
    Fault("platform", "not is all that follows", platform.Parser, "negation", far_reaching_not),
    Fault("legacy", "dates are text", relation, "parse_instant", constantly(lambda _text: None)),
    Fault("legacy", "dates are text beside a constant", match, "parse_instant", constantly(lambda _text: None)),
    Fault("legacy", "missing is not null", relation, "null_if_missing", constantly(lambda value: value)),
    Fault(
        "legacy",
        "an empty text is true",
        match,
        "is_true",
        constantly(lambda value: value is not tree.MISSING and value not in (None, False, 0)),
    ),
    Fault("legacy", "null is false", legacy, "CONSTANTS", lambda original: {**original, "null": False}),
    Fault(
        "legacy",
        "a text ends where it begins",
        legacy,
        "FUNCTIONS",
        lambda original: {**original, "ends_with": "starts_with"},
    ),
    Fault("legacy", "one id is looked up", plan, "point_ids", first_only),
    Fault("legacy", "the last row is forgotten", source, "read_documents", last_dropped),
    Fault("legacy", "rows come backwards", source, "read_documents", reversed_rows),
    Fault(
        "legacy", "an id has no parts", lookup, "walk", constantly(lambda value, path: tree.MISSING if path else value)
    ),
    Fault("legacy", "integers are rounded", core, "read_field", rounded),
    Fault("legacy", "nothing is conflicted", lookup, "conflicts", constantly(lambda _cells: {})),
    Fault("rql", "descending is ascending", order, "INVERTED", constantly(bytes(range(256)))),
    Fault("dql", "a count stops early", find, "search_count", one_less),
    Fault("legacy", "keys say everything", plan, "covers", constantly(lambda _node, _paths: True), "indexed"),
    Fault("legacy", "columns are never cut", plan, "cut_range", constantly(lambda each: each), "indexed"),
    Fault("rql", "items have no entries", plan, "ITEM", constantly(WHOLE), "indexed"),
    Fault("rql", "several paths have no items", plan, "ANY", constantly(9), "indexed"),
    Fault("dql", "types stand as in an index", plan, "is_canonical", constantly(lambda _order: True), "indexed"),
    Fault("dql", "what is not so is known", bounds, "is_two_valued", constantly(lambda _node: True), "indexed"),
    Fault("legacy", "a date is its text", bounds, "parse_instant", constantly(lambda _text: None), "indexed"),
    Fault("platform", "a page begins where the last one did", find, "sources_behind", from_the_start, "indexed"),
    Fault("platform", "a write forgets the indexes", draft, "change_entries", constantly(lambda *_: None), "indexed"),
    Fault("rql", "documents are found twice", source, "read_indexed", repeated, "indexed"),
    Fault("legacy", "what is built is not kept up", Index, "covers", constantly(lambda *_: False), "building"),
    Fault("dql", "what is being built is used", Index, "ready", constantly(property(is_there)), "building"),
]


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plain twins judge documents, none of what was made before is kept, and what a fault made is forgotten."""
    monkeypatch.setattr(core, "Program", None)
    monkeypatch.setattr(plan, "LOOKUP_COST", 0)
    monkeypatch.setattr(index_build, "INDEX_BUILD_DOCUMENTS", 7)
    for kept in KEPT:
        kept.cache_clear()
    yield
    for kept in KEPT:
        kept.cache_clear()


KEPT = (find.kept_filter, language.read_kept)


@pytest.mark.usefixtures("plainly")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.language}: {fault.what}")
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault.place, fault.name, fault.spoil(getattr(fault.place, fault.name)))
    assert is_found(LANGUAGES[fault.language], fault.mode)


def is_found(judged: Language, mode: Mode) -> bool:
    """Whether one of the pairs is judged otherwise, or cannot be judged."""
    with Store.in_memory() as store:
        try:
            return not all(answer.is_right for answer in pairs(judged, store, mode, 0, int(SHARES[mode] * PAIRS)))
        except Exception:  # noqa: BLE001  any error shows the fault
            return True


@pytest.mark.usefixtures("plainly")
def test_the_plain_twins_have_none() -> None:
    assert not is_found(LANGUAGES["dql"], "indexed")
