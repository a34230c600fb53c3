"""A prepared query is read and planned once, and run often with other arguments.

Rules: it answers as `find` of the same query does. Where the columns of one index say all of it (equal, or between two
bounds, in the order of the index), running it is one look into that index: no tree, no plan. It notices when the index
goes or the names of the store were read anew, and plans again; its users see nothing of that. Arguments that such a
look cannot tell apart, such as dates, arrays and long texts, take the long way.

Not here: which ranges a condition means (`query/bounds.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdtstore import core
from crdtstore.core import value_key
from crdtstore.crdt.value import Value
from crdtstore.limits import FIND_LIMIT_DEFAULT, INDEX_COLUMN_BYTES_MAX, INT_MAX, INT_MIN
from crdtstore.query.bounds import behind
from crdtstore.query.instant import parse_instant
from crdtstore.query.language import read_order
from crdtstore.query.legacy import parse
from crdtstore.query.order import Order
from crdtstore.query.parameters import EveryName, bind_parameters, parameters_of
from crdtstore.query.relation import MIRRORED
from crdtstore.query.search import search_range_json
from crdtstore.query.tree import LEGACY, And, Compare, Field, Literal, Node, Operator, Parameter, Path
from crdtstore.storage.documents import DOCUMENTS
from crdtstore.storage.index import WHOLE, Index, read_indexes
from crdtstore.storage.index_entries import ENTRIES, part_prefix

if TYPE_CHECKING:
    from crdtstore.finding import Finding, Found
    from crdtstore.storage.catalog import Catalog, Collection

NUMBER_TAG: Final = 0x10
"""Below it are the keys of nulls and booleans, of which each is a type of its own here."""

ABOVE_ALL: Final = b"\xff"
"""Behind every column and every id."""


class Bound(NamedTuple):
    """A comparison of a column with a key that is known, or with the argument of a name."""

    operator: Operator
    constant: bytes | str


class Look(NamedTuple):
    """One look into an index: what its leading columns equal, and the bounds of the one behind them."""

    head: bytes
    equal: tuple[bytes | str, ...]
    between: tuple[Bound, ...]
    names: int
    """How many arguments there are."""

    def range(self, args: Mapping[str, Value]) -> tuple[bytes, bytes] | None:
        """The entries for arguments; None when this look cannot tell them."""
        start = self.head
        for constant in self.equal:
            key = key_of(constant, args)
            if key is None:
                return None
            start += key
        return self.between_bounds(start, args) if self.between else (start, start + ABOVE_ALL)

    def between_bounds(self, start: bytes, args: Mapping[str, Value]) -> tuple[bytes, bytes] | None:
        """The same where the next column lies between bounds, which are of one type."""
        low, high, tags = b"", ABOVE_ALL, set()
        for operator, constant in self.between:
            key = key_of(constant, args)
            if key is None:
                return None
            tags.add(key[0])
            if operator in (">", ">="):
                low = max(low, key if operator == ">=" else behind(key))
            else:
                high = min(high, key if operator == "<" else behind(key))
        if len(tags) > 1 or min(tags) < NUMBER_TAG:
            return None
        (tag,) = tags
        return start + (low or bytes([tag])), start + (high if high != ABOVE_ALL else bytes([tag + 1]))


def key_of(constant: bytes | str, args: Mapping[str, Value]) -> bytes | None:
    """A key that is known, or that of an argument; None where there is none, or it compares in another way."""
    if isinstance(constant, bytes):
        return constant
    return column_of(args[constant]) if constant in args else None


def column_of(value: Value) -> bytes | None:
    """The whole column of a scalar that compares by its value key; None for any other, or what is no value."""
    kind = value.__class__
    if kind is str:
        if parse_instant(value) is not None:
            return None
    elif kind is int:
        if not INT_MIN <= value <= INT_MAX:
            return None
    elif kind is float:
        if not isfinite(value):
            return None
    elif kind is not bool:
        return None
    try:
        key: bytes = value_key(value)
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return key if len(key) <= INDEX_COLUMN_BYTES_MAX else None


@dataclass(frozen=True, slots=True)
class ShortWay:
    """A look that answers a query of a store, for as long as the catalog and the index are what they were.

    Compiled twin: `Look` in `ext/look.pxi`.
    """

    store: Finding
    catalog: Catalog
    collection: Collection
    index: Index
    look: Look

    def is_valid(self) -> bool:
        """Whether all still is what it was."""
        return self.store.sequencer.catalog is self.catalog and self.index.built is None and not self.index.inexact

    def find_json(self, args: dict[str, Value]) -> list[bytes] | None:
        """The JSON of what the index holds for arguments; None for those that take the long way."""
        if len(args) != self.look.names or not self.is_valid():
            return None
        range_ = self.look.range(args)
        if range_ is None:
            return None
        known = (self.store.storage, self.catalog, self.collection)
        found = search_range_json(*known, ENTRIES, *range_, None, FIND_LIMIT_DEFAULT)
        # An index is marked before the commit that drops it: one that is valid still was whole in the snapshot.
        return found if self.is_valid() else None


class Finder:
    """What `Prepared.find_json` calls where there is no compiled look.

    Compiled twin: `Finder` in `ext/look.pxi`, which calls the compiled look itself.
    """

    def __init__(self, otherwise: Callable[[dict[str, Value]], list[bytes]]) -> None:
        self.otherwise = otherwise
        self.look: object = None

    def find_json(self, **args: Value) -> list[bytes]:
        """Find what the arguments ask for."""
        return self.otherwise(args)


def compiled_look(way: ShortWay) -> Any:
    """The compiled twin of a short way; None where the storage has none."""
    storage = way.store.storage
    if storage.__class__ is not core.lmdb_environment:
        return None
    sequencer, catalog = way.store.sequencer, way.catalog
    return core.Look(
        storage, DOCUMENTS, ENTRIES, sequencer, catalog, way.collection, way.index, way.look, FIND_LIMIT_DEFAULT
    )


class Prepared:
    """A query that is ready to be run; any thread may run it."""

    find_json: Callable[..., list[bytes]]
    """The fields of each document that matches, as JSON objects, up to FIND_LIMIT_DEFAULT; arguments by their names.

    Raises `InvalidValue` where an argument is missing or too much.
    """

    def __init__(self, store: Finding, collection: str, query: str, order: Sequence[str] = ()) -> None:
        self.store = store
        self.collection = collection
        self.node = parse(query, EveryName())
        self.order = read_order(order, "legacy")
        self.names = parameters_of(self.node)
        self.way: ShortWay | None = None
        self.finder = (core.Finder or Finder)(self.find_otherwise)
        self.find_json = self.finder.find_json

    def find(
        self, *, limit: int = FIND_LIMIT_DEFAULT, offset: int = 0, cursor: str | None = None, **args: Value
    ) -> Found:
        """As `Store.find`, with arguments by their names."""
        node = bind_parameters(self.node, args)
        return self.store.find(self.collection, node, order=self.order, limit=limit, offset=offset, cursor=cursor)

    def find_otherwise(self, args: dict[str, Value]) -> list[bytes]:
        """Find where no compiled look gives an answer: by the short way, planned anew if need be, or the long one."""
        way = self.way
        if way is None or not way.is_valid():
            way = self.plan(self.store.sequencer.catalog)
        found = None if way is None else way.find_json(args)
        if found is None:
            return [document.json for document in self.find(**args).documents]
        return found

    def plan(self, catalog: Catalog) -> ShortWay | None:
        """Find the index of which one look answers the query; None where there is none."""
        self.way = self.finder.look = None
        collection = catalog.by_name.get(self.collection)
        bounds = bounds_by_path(self.node)
        # The names of a store that another process writes to are behind it; a look knows no rules.
        held = self.store.storage.read_only or self.store.rules.to_read(self.collection) is not None
        if collection is None or bounds is None or held:
            return None
        with self.store.storage.snapshot() as snapshot:
            ready = {index.number for index in read_indexes(snapshot, collection.number) if index.ready}
        # The writer's own, which tells at once when it goes.
        for index in collection.indexes:
            look = look_of(index, bounds, self.order, len(self.names)) if index.ready else None
            if look is not None and index.number in ready:
                self.way = ShortWay(self.store, catalog, collection, index, look)
                self.finder.look = compiled_look(self.way)
                break
        return self.way


def bounds_by_path(node: Node) -> dict[Path, list[Bound]] | None:
    """What a query compares with constants, by path; None if that is not all that it says."""
    found: dict[Path, list[Bound]] = {}
    for part in node.operands if isinstance(node, And) else (node,):
        match part:
            case Compare(operator, Field(path, False), (Literal() | Parameter()) as constant, comparison):
                bound = bound_of(operator, constant)
            case Compare(operator, (Literal() | Parameter()) as constant, Field(path, False), comparison):
                bound = bound_of(MIRRORED[operator], constant)
            case _:
                return None
        if bound is None or operator == "!=" or comparison != LEGACY:
            return None
        found.setdefault(path, []).append(bound)
    return found


def bound_of(operator: Operator, constant: Literal | Parameter) -> Bound | None:
    """A comparison with a constant; None where its key does not say all of it."""
    if isinstance(constant, Parameter):
        return Bound(operator, constant.name)
    key = column_of(constant.value)
    return None if key is None else Bound(operator, key)


def look_of(index: Index, bounds: Mapping[Path, list[Bound]], order: Order, names: int) -> Look | None:
    """The look into an index that says all that the bounds say, and gives the order; None if there is none."""
    equal: list[bytes | str] = []
    between: tuple[Bound, ...] = ()
    for path in index.paths:
        asked = bounds.get(path, [])
        if len(asked) == 1 and asked[0].operator == "==":
            equal.append(asked[0].constant)
            continue
        if asked and all(bound.operator != "==" for bound in asked):
            between = tuple(asked)
        break
    used = len(equal) + bool(between)
    # By ids within one group, else by the columns behind those that are fixed.
    keys = tuple((path, False) for path in index.paths[len(equal) :])
    if used < len(bounds) or tuple(map(tuple, order.keys)) != keys or index.inexact:
        return None
    return Look(part_prefix(index, WHOLE), tuple(equal), between, names)
