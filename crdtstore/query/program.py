"""A filter is a condition that was made ready to be asked of documents."""

from __future__ import annotations

from typing import NamedTuple

from crdtstore.query.match import Predicate, compile_match
from crdtstore.query.tree import Node


class Filter(NamedTuple):
    """A condition and its test."""

    node: Node
    test: Predicate


def compile_filter(node: Node) -> Filter:
    """Make a condition ready."""
    return Filter(node, compile_match(node))
