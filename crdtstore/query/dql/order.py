"""The order of values in ORDER BY, MIN and MAX.

Rules: false < true < numbers < binary < strings < arrays < objects < null < missing; descending is the same backwards.
Objects have no order among each other. Arrays go by their first items that differ, items of two types in the order of
value keys, and then by length.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from crdtstore.crdt.value import Value
from crdtstore.query.relation import TYPES
from crdtstore.query.tree import TypeName

SortKey: TypeAlias = tuple[Any, ...]

TYPE_NAMES: Final[tuple[TypeName, ...]] = (
    *("missing", "null", "boolean", "number"),
    *("string", "binary", "array", "object"),
)
"""The order in which types are listed everywhere, which is that of value keys too."""

ASCENDING: Final[tuple[TypeName, ...]] = (
    *("boolean", "number", "binary", "string"),
    *("array", "object", "null", "missing"),
)
RANKS: Final = bytes(ASCENDING.index(name) for name in TYPE_NAMES)
"""The rank of each type, in the order of TYPE_NAMES."""


def sort_key(value: Value) -> SortKey:
    """What values are ordered by."""
    kind = TYPES[value.__class__]
    return (ASCENDING.index(kind), *inside_key(kind, value))


def item_key(value: Value) -> SortKey:
    """The same for an item of an array."""
    kind = TYPES[value.__class__]
    return (TYPE_NAMES.index(kind), *inside_key(kind, value))


def inside_key(kind: TypeName, value: Value) -> SortKey:
    """What values of one type are ordered by."""
    if kind in ("missing", "null", "object"):
        return ()
    return (tuple(map(item_key, value)),) if kind == "array" else (value,)
