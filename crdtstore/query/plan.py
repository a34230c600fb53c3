"""A plan says where a query's documents are looked for: by their ids, in an index, or in the whole collection.

Rules: whatever is read is asked the condition, unless the keys that are read say all of it. Looking a document up from
an index costs LOOKUP_COST times what going on to the next document of a scan does, so an index is read where it leaves
less than about a tenth; statistics say how much it leaves. An index also serves an order when its paths go on with the
order's behind paths that are fixed to one value, and every entry of it is exact.

Not here: what a condition says about keys (`bounds`), how much lies in them (`statistics`), reading (`find`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdtstore.crdt.path import encode_path
from crdtstore.limits import INDEX_COLUMN_BYTES_MAX, PLAN_RANGES_MAX
from crdtstore.query.bounds import EVERYTHING, Bounds, Range, behind, bounds_of, intersect, is_points, type_range, union
from crdtstore.query.lookup import encode_ids
from crdtstore.query.order import Order
from crdtstore.query.point import point_ids
from crdtstore.query.readable import show_key
from crdtstore.query.source import Source
from crdtstore.query.statistics import Measured, entries_in
from crdtstore.query.tree import EVERY_DOCUMENT, TYPE_NAMES, And, Conflicted, Node, Path, TypeName
from crdtstore.storage.documents import document_key
from crdtstore.storage.index import ANY, ITEM, RIVALS, WHOLE
from crdtstore.storage.index_entries import part_prefix
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.index import Index

LOOKUP_COST: Final = 10
"""A document that is looked up costs so many of a scan: its pages are read one by one."""

RESIDUAL_SHARE: Final = 0.1
"""How much of what an index gives is taken to match the rest of a condition, where nothing is known."""


class Reading(NamedTuple):
    """What of an index a condition asks for: ranges of its columns, in the order of its entries."""

    ranges: tuple[Range, ...]
    exact: bool
    """Every entry in them is of a document that matches."""
    spread: bool
    """Entries of items count as well."""
    fixed: tuple[bytes, ...]
    """The columns of the leading paths that are fixed to one value each."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to look, and what remains to be done."""

    access: str
    """`ids`, `index` or `scan`."""
    source: Source
    index: Index | None
    reading: Reading | None
    exact: bool
    """Every document of the source matches: nothing has to be asked."""
    ordered: bool
    """The source gives documents in the order that is asked for."""
    cost: float
    """About how many documents of a scan it takes."""
    matching: float | None = None
    """About how many documents the source has that may match, where that is known of the condition."""

    def as_json(self) -> dict[str, Any]:
        """The plan for people and programs."""
        shown: dict[str, Any] = {"access": self.access, "ordered": self.ordered, "cost": round(self.cost)}
        if self.index is not None and self.reading is not None:
            shown["index"] = {"name": self.index.name, "kind": self.index.kind, "paths": list(self.index.paths)}
            shown["bounds"] = [[show_key(each.start), show_key(each.end)] for each in self.reading.ranges]
            shown["descending"] = self.source.descending
        return shown


def make_plan(
    collection: Collection, indexes: Iterable[Measured], node: Node, order: Order, wanted: int | None
) -> Plan:
    """Choose the cheapest way.

    Args:
        collection: What is searched.
        indexes: Those of the collection that are ready in the snapshot that is read; asked for only where the
            condition names no ids.
        node: The condition.
        order: Empty for the order of ids.
        wanted: How many documents are read at most; None for all.
    """
    ids = point_ids(node)
    if ids is not None:
        keys = [document_key(collection, encoded) for encoded in encode_ids(ids)]
        source = Source(Table.DOCUMENTS, tuple((key, key + b"\0") for key in keys))
        return Plan("ids", source, None, None, exact=False, ordered=not order.keys, cost=len(keys))
    plans = list(index_plans(indexes, node, order, wanted))
    matching = min((plan.matching for plan in plans if plan.matching is not None), default=None)
    everything = node == EVERY_DOCUMENT
    return min([*plans, scan(collection, order, wanted, matching, exact=everything)], key=lambda plan: plan.cost)


def scan(collection: Collection, order: Order, wanted: int | None, matching: float | None, *, exact: bool) -> Plan:
    """The whole collection; as much of it as it takes to find what is wanted, if it is known how many match."""
    end = (collection.number + 1).to_bytes(4, "big")
    source = Source(Table.DOCUMENTS, ((collection.prefix, end),))
    cost = float(max(1, collection.living))
    if exact and not order.keys and wanted is not None:
        cost = min(cost, wanted)
    elif not order.keys and wanted is not None and matching is not None:
        cost = min(cost, cost * wanted / max(1.0, matching))
    return Plan("scan", source, None, None, exact, ordered=not order.keys, cost=cost)


def index_plans(indexes: Iterable[Measured], node: Node, order: Order, wanted: int | None) -> Iterator[Plan]:
    """What each index can do."""
    whole = Reading(EVERYTHING, exact=node == EVERY_DOCUMENT, spread=False, fixed=())
    for measured in indexes:
        if measured.index.kind == "conflicts":
            yield from conflict_plans(measured, node)
            continue
        reading = read_index(measured.index, node)
        if reading is not None:
            yield filtering(measured, reading, order)
        yield from ordering(measured, reading or whole, order, wanted)


# --- reading an index for what a condition asks ---


def read_index(index: Index, node: Node) -> Reading | None:
    """The columns that a matching document can have; None when the condition tells nothing of the first path."""
    prefixes = [b""]
    fixed: list[bytes] = []
    known: list[Bounds] = []
    ranges: Sequence[Range] | None = None
    cut = False
    for path in index.paths:
        bounds = bounds_of(node, path)
        if bounds is None:
            break
        known.append(bounds)
        cut = cut or any(len(side) > INDEX_COLUMN_BYTES_MAX for each in bounds.ranges for side in each)
        # Values that differ may share a column once it is cut, and what is read twice would be found twice.
        columns = tuple(dict.fromkeys(map(cut_range, bounds.ranges)))
        if is_points(bounds.ranges) and len(prefixes) * len(columns) <= PLAN_RANGES_MAX:
            if len(columns) == 1 and len(fixed) == len(known) - 1:
                fixed.append(columns[0].start)
            prefixes = [prefix + column.start for prefix in prefixes for column in columns]
            continue
        ranges = union(Range(prefix + column.start, prefix + column.end) for prefix in prefixes for column in columns)
        break
    if not known:
        return None
    if ranges is None:
        ranges = [Range(prefix, behind(prefix)) for prefix in prefixes]
    spread = any(bounds.spread for bounds in known)
    exact = not spread and not cut and covers(node, index.paths[: len(known)])
    return Reading(tuple(ranges), exact, spread, tuple(fixed))


def cut_range(each: Range) -> Range:
    """A range of value keys as one of columns, which are cut: it then holds all that share what is left."""
    start, end = each.start[:INDEX_COLUMN_BYTES_MAX], each.end
    if len(end) > INDEX_COLUMN_BYTES_MAX:
        end = behind(end[:INDEX_COLUMN_BYTES_MAX])
    return Range(start, end)


def covers(node: Node, paths: Sequence[Path]) -> bool:
    """Whether the bounds of these paths say all of a condition."""
    if isinstance(node, And):
        return all(covers(operand, paths) for operand in node.operands)
    found = (bounds_of(node, path) for path in paths)
    return any(bounds is not None and bounds.exact and not bounds.spread for bounds in found)


def filtering(measured: Measured, reading: Reading, order: Order) -> Plan:
    """Read what a condition leaves of an index."""
    index = measured.index
    ranges = [*entry_ranges(index, WHOLE, reading.ranges)]
    if reading.spread:
        if len(index.paths) == 1:
            ranges += entry_ranges(index, ITEM, reading.ranges)
        ranges += entry_ranges(index, ANY, EVERYTHING)
    found = sum(entries_in(measured, each) for each in reading.ranges) * (1 + reading.spread)
    one_group = len(reading.ranges) == 1 and len(reading.fixed) == len(index.paths) and not index.inexact
    return Plan(
        "index",
        Source(Table.ENTRIES, tuple(ranges), repeats=reading.spread),
        index,
        reading,
        exact=reading.exact,
        ordered=one_group and not order.keys and not reading.spread,
        cost=LOOKUP_COST * found + len(ranges),
        matching=found,
    )


def entry_ranges(index: Index, part: int, ranges: Sequence[Range]) -> Iterator[tuple[bytes, bytes]]:
    """Keys of entries for ranges of columns."""
    prefix = part_prefix(index, part)
    for each in ranges:
        yield prefix + each.start, prefix + each.end


# --- reading an index for an order ---


def ordering(measured: Measured, reading: Reading, order: Order, wanted: int | None) -> Iterator[Plan]:
    """Read an index in its order, if it is the one that is asked for."""
    index = measured.index
    used = Reading(EVERYTHING, exact=False, spread=False, fixed=()) if reading.spread else reading
    ranges = serve(index, used, order)
    if ranges is None:
        return
    descending = order.keys[0].descending
    found = sum(entries_in(measured, each) for each in ranges)
    share = 1.0 if used.exact else RESIDUAL_SHARE
    examined = found if wanted is None else min(found, wanted / share)
    keys = tuple(entry_ranges(index, WHOLE, ranges))
    source = Source(Table.ENTRIES, keys[::-1] if descending else keys, descending=descending)
    used = used._replace(ranges=ranges)
    yield Plan("index", source, index, used, used.exact, ordered=True, cost=LOOKUP_COST * examined + len(ranges))


def serve(index: Index, reading: Reading, order: Order) -> tuple[Range, ...] | None:
    """The ranges of an index that, read one after the other, give an order; None where they do not."""
    paths = tuple(key.path for key in order.keys)
    if not paths or index.inexact or len({key.descending for key in order.keys}) > 1:
        return None
    if not any(index.paths[start:] == paths for start in range(len(reading.fixed) + 1)):
        return None
    if is_canonical(order):
        return reading.ranges
    # The types stand in another order: read them in that order, which only one path allows.
    fixed = len(reading.fixed) == len(index.paths)
    if fixed or len(paths) > 1 or len(set(order.ranks)) < len(order.ranks):
        return reading.ranges if fixed else None
    types = sorted(TYPE_NAMES, key=lambda name: order.ranks[TYPE_NAMES.index(name)])
    return tuple(part for name in types for part in intersect(reading.ranges, [typed(b"".join(reading.fixed), name)]))


def typed(prefix: bytes, name: TypeName) -> Range:
    """All values of a type behind columns that are fixed."""
    whole = type_range(name)
    return Range(prefix + whole.start, prefix + whole.end)


def is_canonical(order: Order) -> bool:
    """Whether an order ranks types as value keys do: then entries stand as it asks."""
    return list(order.ranks) == sorted(set(order.ranks))


# --- conflicts ---


def conflict_plans(measured: Measured, node: Node) -> Iterator[Plan]:
    """Read the documents in which values rival, where a condition asks for them."""
    index = measured.index
    path = rivals_at(node)
    if path is None:
        return
    column = encode_path(path)[:INDEX_COLUMN_BYTES_MAX]
    ranges = (Range(column, behind(column)),) if column else EVERYTHING
    entries = sum(entries_in(measured, each) for each in ranges)
    source = Source(Table.ENTRIES, tuple(entry_ranges(index, RIVALS, ranges)), repeats=True)
    reading = Reading(ranges, exact=False, spread=False, fixed=())
    yield Plan("index", source, index, reading, exact=False, ordered=False, cost=LOOKUP_COST * entries + 1)


def rivals_at(node: Node) -> tuple[str, ...] | None:
    """The path at which a condition asks for rivals, empty for any; None where it does not ask so."""
    match node:
        case Conflicted(path):
            keys = tuple(key for key in path if isinstance(key, str))
            return keys if len(keys) == len(path) else None
        case And(operands):
            found = [path for path in map(rivals_at, operands) if path is not None]
            return max(found, key=len) if found else None
    return None
