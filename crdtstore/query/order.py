"""An order is how a language sorts documents: its keys, and how values of different types stand to each other.

Rules: each language ranks the types of the value model by a constant below; within a type all sort alike: booleans
false before true, numbers by value, strings by code point, binary by byte, arrays item by item. Nulls are equal, so are
objects. Documents that are equal in every key come by their ids, ascending whatever the directions of the keys.

A sort key is bytes whose order is that of the documents: for each key of the order the type's rank and the value key
without its tag (see `crdt/value_key`), cut, and inverted byte by byte where the key is descending; then the document's
id key, which makes every sort key another one.

Compiled twin: `ext/sort_key.pxi`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore import core
from crdtstore.limits import SORT_KEY_BYTES_MAX
from crdtstore.query.relation import TYPES
from crdtstore.query.tree import TYPE_NAMES, Path

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.match import Lookup

INVERTED: Final = bytes(255 - byte for byte in range(256))


def make_ranks(*groups: str) -> bytes:
    """The rank of each type, from the types in their order; those of one group, joined by a space, are equal."""
    ranks = {name: rank for rank, group in enumerate(groups) for name in group.split()}
    return bytes(ranks[name] for name in TYPE_NAMES)


LEGACY_ORDER: Final = make_ranks("missing", "null", "boolean", "number", "string", "binary", "array", "object")
"""The legacy expression language."""

RQL_ORDER: Final = make_ranks("missing null", "number", "string", "binary", "object", "array", "boolean")
"""Things search: an absent property sorts as null does."""

PLATFORM_ORDER: Final = make_ranks("missing null", "number", "string", "boolean", "binary", "array", "object")
"""The platform's query language."""

DQL_ORDER: Final = make_ranks("boolean", "number", "binary", "string", "array", "object", "null", "missing")
"""The statement language."""


class OrderKey(NamedTuple):
    """One key of an order."""

    path: Path
    descending: bool = False


class Order(NamedTuple):
    """The keys by which documents are sorted, the first that tells two apart decides; and the ranks of the types."""

    keys: tuple[OrderKey, ...]
    ranks: bytes


BY_ID: Final = Order((), LEGACY_ORDER)
"""No keys: the order of ids."""


def sort_key(order: Order, lookup: Lookup, id_key: bytes) -> bytes:
    """The bytes by which a document is sorted.

    Args:
        order: The order.
        lookup: The document.
        id_key: Its key without its collection's number: `storage/documents.id_key`.
    """
    return b"".join(key_part(order.ranks, lookup(key.path), key.descending) for key in order.keys) + id_key


def key_part(ranks: bytes, value: Value, descending: bool) -> bytes:  # noqa: FBT001  it is a value, as in OrderKey
    """What one key of an order adds to a sort key."""
    name = TYPES[value.__class__]
    key: bytes = core.value_key(value)
    rank = ranks[TYPE_NAMES.index(name)]
    part = (bytes([rank]) + (key if name == "boolean" else key[1:]))[:SORT_KEY_BYTES_MAX]
    return part.translate(INVERTED) if descending else part
