"""Statements and expressions of DQL, made by hypothesis: every kind of node, printable as it stands."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from crdtstore.limits import INT_MAX, INT_MIN
from crdtstore.query.dql import expression as ex
from crdtstore.query.dql import statement as sm
from crdtstore.query.dql.expression import Expression
from crdtstore.query.dql.signatures import AGGREGATES, FUNCTIONS

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NAMES = st.sampled_from(("a", "b", "_id", "date", "select", "List")) | TEXTS.filter(bool)
WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
NUMBERS = st.integers(INT_MIN, INT_MAX) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
SEGMENTS = NAMES | st.just("") | st.integers(0, 9)
PATHS = st.builds(lambda name, rest: (name, *rest), NAMES, st.lists(SEGMENTS, max_size=3))
KEYS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
LEAVES = st.one_of(
    st.builds(ex.Literal, SCALARS),
    st.builds(ex.Field, PATHS),
    st.builds(ex.Parameter, WORDS),
    st.just(ex.Missing()),
)


def is_looked_in(expression: Expression) -> bool:
    """Whether an expression can stand behind IN as it is: no operator, no negative number."""
    if isinstance(expression, ex.Literal):
        return not str(expression.value).startswith("-") or isinstance(expression.value, str)
    return isinstance(expression, ex.Field | ex.Parameter | ex.Array | ex.Object | ex.Case | ex.Call | ex.Quantified)


def looked_in(inner: SearchStrategy[Expression]) -> SearchStrategy[Expression]:
    """What stands behind IN; an operator as the one item of a list."""
    return inner.map(lambda each: each if is_looked_in(each) else ex.Array((each,)))


def calls(inner: SearchStrategy[Expression]) -> SearchStrategy[Expression]:
    """Functions with as many arguments as they take."""

    def call(name: str) -> SearchStrategy[Expression]:
        least, most = FUNCTIONS[name]
        arguments = st.lists(inner, min_size=least, max_size=least + 2 if most is None else most)
        return st.builds(ex.Call, st.just(name), arguments.map(tuple))

    return st.sampled_from(sorted(FUNCTIONS)).flatmap(call)


def grow(inner: SearchStrategy[Expression]) -> SearchStrategy[Expression]:
    """Every kind of node over what there is."""
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    pair = st.tuples(inner, inner)
    binary: Any = st.sampled_from(("+", "-", "*", "/", "%", "<<", ">>", "||"))
    compare: Any = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
    optional = st.none() | inner
    return st.one_of(
        st.builds(ex.Array, st.lists(inner, max_size=3).map(tuple)),
        st.builds(ex.Object, st.dictionaries(TEXTS, inner, max_size=2).map(lambda found: tuple(found.items()))),
        st.builds(ex.Negate, inner),
        st.builds(ex.Binary, binary, inner, inner),
        st.builds(ex.Compare, compare, inner, inner),
        st.builds(ex.Logic, st.sampled_from(("and", "or", "xor")), several).filter(is_flat),
        st.builds(ex.Not, inner),
        st.builds(ex.In, inner, looked_in(inner)),
        st.builds(ex.Between, inner, inner, inner),
        st.builds(ex.Like, st.sampled_from(("like", "ilike", "similar")), inner, inner),
        st.builds(ex.Is, inner, st.sampled_from(("null", "missing"))),
        st.builds(ex.Case, optional, st.lists(pair, min_size=1, max_size=2).map(tuple), optional),
        st.builds(ex.Quantified, st.sampled_from(("any", "every")), NAMES, looked_in(inner), inner),
        calls(inner),
    )


def is_flat(expression: ex.Logic) -> bool:
    """Whether no first operand is joined by the same word, as the parser makes one of both."""
    first = expression.operands[0]
    return not (isinstance(first, ex.Logic) and first.operator == expression.operator)


GROWN = st.recursive(LEAVES, grow, max_leaves=8)


@st.composite
def expressions(draw: st.DrawFn) -> Expression:
    """Any expression; by a function, so that nobody writes out what it is made of."""
    return draw(GROWN)


EXPRESSIONS = expressions()
AGGREGATED = st.builds(ex.Aggregate, st.sampled_from(sorted(AGGREGATES)), EXPRESSIONS, st.booleans())
VALUES = EXPRESSIONS | AGGREGATED | st.just(ex.Aggregate("count"))
CONDITIONS = st.none() | EXPRESSIONS
ALIASES = st.none() | NAMES

DECLARATIONS: SearchStrategy[sm.Declaration] = st.recursive(
    st.builds(sm.Declaration, NAMES, st.sampled_from(("register", "attachment", "counter", "pn_counter", "map"))),
    lambda inner: st.builds(sm.Declaration, NAMES, st.just("map"), st.lists(inner, max_size=2).map(tuple)),
    max_leaves=3,
)
ID_VALUES = st.builds(ex.Literal, NUMBERS | TEXTS) | st.builds(ex.Parameter, WORDS)
IDS = st.builds(sm.Ids, st.lists(ID_VALUES, min_size=1, max_size=2).map(tuple)) | st.builds(
    lambda name: sm.Ids(parameter=name), WORDS
)
SOURCES = st.builds(
    sm.Source,
    NAMES,
    st.just(False),
    st.lists(DECLARATIONS, max_size=2).map(tuple),
    ALIASES,
    st.none() | IDS,
    st.lists(TEXTS, max_size=2).map(tuple),
    st.none() | TEXTS,
) | st.builds(sm.Source, WORDS, st.just(True), st.just(()), ALIASES)
PLAIN_SOURCES = st.builds(sm.Source, NAMES, st.just(False), st.lists(DECLARATIONS, max_size=1).map(tuple), ALIASES)
WITHOUT = st.builds(sm.Without, PATHS)
PROJECTIONS = st.one_of(
    st.lists(WITHOUT | st.builds(sm.Column, VALUES, ALIASES) | st.builds(sm.All, NAMES), min_size=1, max_size=3),
    st.lists(WITHOUT, max_size=2).map(lambda found: [sm.All(), *found]),
).map(tuple)
RETURNED = st.just(()) | PROJECTIONS
ORDERS = st.lists(st.builds(sm.SortKey, VALUES, st.booleans()), max_size=2).map(tuple)
JOINS = st.builds(
    lambda found, kind: tuple(
        [sm.Join(kind, *each) if number == 0 else sm.Join("left", *each) for number, each in enumerate(found)]
    ),
    st.lists(st.tuples(SOURCES, EXPRESSIONS), max_size=2),
    st.sampled_from(("inner", "left", "right")),
)
GROUPS = st.lists(EXPRESSIONS, max_size=2).map(tuple)
SELECTS = st.builds(
    sm.Select,
    PROJECTIONS,
    SOURCES,
    st.booleans(),
    JOINS,
    CONDITIONS,
    GROUPS,
    st.none() | VALUES,
    ORDERS,
    CONDITIONS,
    CONDITIONS,
)
POLICIES = st.sampled_from(("fail", "nothing", "update", "update_local_diff"))
DOCUMENTS = st.lists(EXPRESSIONS, min_size=1, max_size=2).map(tuple)
INSERTS = st.one_of(
    st.builds(sm.Insert, PLAIN_SOURCES, DOCUMENTS, st.none(), st.just(False), POLICIES, RETURNED),
    st.builds(sm.Insert, PLAIN_SOURCES, DOCUMENTS, st.none(), st.just(True), st.just("fail"), RETURNED),
    st.builds(sm.Insert, PLAIN_SOURCES, st.just(()), SELECTS, st.just(False), POLICIES, RETURNED),
)


def updates(paths: list[tuple[str, ...]]) -> SearchStrategy[sm.Update]:
    """Statements that change these paths, each in a way of its own."""
    applied = st.one_of(
        st.tuples(st.sampled_from(("increment", "pn_increment")), EXPRESSIONS),
        st.tuples(st.just("restart"), CONDITIONS),
    )
    change = st.tuples(st.just("apply"), applied) | st.tuples(st.just("set"), CONDITIONS) | st.just(("unset", None))

    def update(source: sm.Source, changes: list[Any], where: Any, returned: Any) -> sm.Update:
        apply = [sm.Apply(path, *how) for path, (word, how) in zip(paths, changes, strict=True) if word == "apply"]
        both = zip(paths, changes, strict=True)
        assigned = [sm.Assignment(path, how) for path, (word, how) in both if word == "set"]
        unset = [path for path, (word, _) in zip(paths, changes, strict=True) if word == "unset"]
        return sm.Update(source, tuple(apply), tuple(assigned), tuple(unset), where, returned)

    changes = st.lists(change, min_size=len(paths), max_size=len(paths))
    return st.builds(update, SOURCES, changes, CONDITIONS, RETURNED)


UPDATES = st.lists(KEYS.filter(lambda path: path[0] != "_id"), min_size=1, max_size=3, unique=True).flatmap(updates)
REMOVES = st.builds(
    sm.Remove,
    st.sampled_from(("delete", "evict", "tombstone")),
    SOURCES,
    CONDITIONS,
    ORDERS,
    CONDITIONS,
    CONDITIONS,
    RETURNED,
)
SETTINGS = st.lists(WORDS, min_size=1, max_size=2).map(".".join)
RUNNABLE: SearchStrategy[sm.Runnable] = st.one_of(
    SELECTS,
    INSERTS,
    UPDATES,
    REMOVES,
    st.builds(sm.CreateIndex, NAMES, NAMES, st.lists(PATHS, min_size=1, max_size=3).map(tuple), st.booleans()),
    st.builds(sm.DropIndex, NAMES, NAMES, st.booleans()),
    st.builds(sm.AlterSystem, SETTINGS, EXPRESSIONS),
    st.builds(sm.Show, SETTINGS),
)
WRITTEN: SearchStrategy[sm.Statement] = RUNNABLE | st.builds(
    sm.Explain, st.sampled_from(("explain", "profile", "advise")), RUNNABLE
)


@st.composite
def statements(draw: st.DrawFn) -> sm.Statement:
    """Any statement."""
    return draw(WRITTEN)


STATEMENTS = statements()
