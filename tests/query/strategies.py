"""Values, and trees as the legacy grammar gives them, made by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from crdtstore.query import tree
from crdtstore.query.tree import LEGACY, Node
from tests.query.pairs import OPERATORS, PATTERNS, SCALARS, array_of

scalars = st.sampled_from(SCALARS)


def deepen(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Arrays and objects of what there is."""
    return st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("a", "d")), inner, max_size=2)


values = st.recursive(scalars | st.sampled_from((b"", b"a", b"ab")), deepen, max_leaves=4)
"""Values of documents and of arguments."""

written_values = st.recursive(
    scalars | st.text(max_size=4) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
"""Constants that the legacy language can write."""

names = st.sampled_from(("a", "b", "true", "null", "contains", "_id")) | st.text(max_size=3)
written_paths = (
    st.lists(names | st.integers(0, 9), min_size=1, max_size=4)
    .map(tuple)
    .filter(
        # `[0]` by itself is an array; no text gives the field.
        lambda path: len(path) > 1 or isinstance(path[0], str)
    )
)
"""Paths that the legacy language can write."""


def grow(inner: SearchStrategy[Node]) -> SearchStrategy[Node]:
    """Every kind of node over what there is."""
    conditions = inner.map(tree.condition)
    several = st.lists(conditions, min_size=2, max_size=3).map(tuple)
    patterns = st.sampled_from(PATTERNS).map(tree.Literal)
    functions = st.sampled_from(("starts_with", "ends_with"))
    return st.one_of(
        st.builds(tree.Compare, st.sampled_from(OPERATORS), inner, inner, st.just(LEGACY)),
        several.map(tree.And),
        several.map(tree.Or),
        conditions.map(tree.Not),
        st.builds(tree.Contains, inner, inner, st.just(LEGACY)),
        st.builds(tree.Call, functions, st.tuples(inner, inner)),
        st.builds(tree.Call, st.just("regex"), st.tuples(inner, patterns)),
        st.lists(inner, max_size=3).map(array_of),
    )


written_queries = st.recursive(
    written_paths.map(tree.Field)
    | written_values.map(tree.Literal)
    | (st.just(()) | written_paths).map(tree.Conflicted),
    grow,
    max_leaves=6,
).map(tree.condition)
"""Every kind of tree that the legacy grammar gives, printable as it stands."""
