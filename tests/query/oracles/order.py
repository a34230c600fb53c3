"""Orders of documents, written from the rules of the languages: types in their order, values within a type, then ids.

Rules: it shares nothing with the engine. Documents are sorted by one key after the other, from the last to the first,
each sort keeping the order of what is equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.query.oracles.values import RANKS, at, kind_of, number


class OrderOracle:
    """The order of a language: groups of types, each of which comes before the next."""

    def __init__(self, *groups: str) -> None:
        self.places = {name: place for place, group in enumerate(groups) for name in group.split()}

    def key(self, value: Any) -> Any:
        """What a value sorts by."""
        return self.places[kind_of(value)], within(value)


def within(value: Any) -> Any:
    """What a value sorts by among those of its type; nulls are equal, so are objects."""
    kind = kind_of(value)
    if kind == "number":
        return number(value)
    if kind == "array":
        # Inside an array the order of types is the same in all languages.
        return tuple([(RANKS.index(kind_of(item)), within(item)) for item in value])
    return value if kind in ("boolean", "string", "binary") else ()


def in_order(
    order: OrderOracle, keys: Sequence[tuple[tuple[str | int, ...], bool]], documents: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Documents, sorted by ids before, in an order: paths, and whether each is descending."""
    for path, descending in reversed(keys):
        documents = sorted(documents, key=lambda document: order.key(at(document, path)), reverse=descending)
    return documents
