"""ADVISE names the indexes that would make a statement cheaper, each as the statement that makes it.

Rules: an index that is not there is planned with as if it were, by what a sample of the documents says it would hold.
It is advised where the plan would read it, and where that costs at most WORTH of what the statement costs now; also
where a join is refused without it. Of several that would help the cheapest is named, and of those that cost the same
the one of the fewest paths. Nothing is advised that is there already.

Not here: plans and their costs (`query/plan.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.errors import InvalidQuery
from crdtstore.limits import ADVISE_DOCUMENTS_MAX, ADVISED_PATHS_MAX, INDEX_PATHS_MAX, STATISTICS_PARTS_MAX
from crdtstore.query.bounds import bounds_of, is_points
from crdtstore.query.dql.condition import parts_of
from crdtstore.query.dql.statement import CreateIndex, Insert, Remove, Select, Update
from crdtstore.query.dql.statement_print import print_statement
from crdtstore.query.plan import Plan, make_plan
from crdtstore.query.statistics import Measured, Statistics
from crdtstore.query.tree import ID_PATH, And, Field, Node, Path
from crdtstore.statement.join import both, equalities, find_equality, heads, in_order, named
from crdtstore.statement.rows import ask, ready_indexes
from crdtstore.statement.scope import alias_of
from crdtstore.statement.select import read_select
from crdtstore.statement.wanted import EVERYTHING, Wanted, wanted_of
from crdtstore.storage.documents import scan_living
from crdtstore.storage.index import WHOLE, Index
from crdtstore.storage.index_entries import HEAD_BYTES, entries_of, split_entry

if TYPE_CHECKING:
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.expression import Expression
    from crdtstore.query.dql.statement import Join, Runnable, Source
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Row
    from crdtstore.statement.view import View
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.documents import Row as StoredRow

WORTH: Final = 0.5
"""Less is within what a plan can be mistaken about."""

UNUSED: Final = 2**32 - 1
"""The number of an index that is nowhere."""

READ: Final = "Less has to be read."
JOINED: Final = "Without it the join is refused."

WORD: Final = re.compile(r"[^A-Za-z0-9]+")


class Need(NamedTuple):
    """What one source of a statement is read for."""

    collection: Collection
    node: Node
    wanted: Wanted


def advise(view: View, statement: Runnable, context: Context, budget: Budget) -> Iterator[Row]:
    """The indexes that a statement lacks, each once.

    Raises:
        InvalidQuery: As the statement itself would, but for a join that lacks an index.
    """
    made: set[tuple[str, tuple[Path, ...]]] = set()
    for row, collection, paths in advised(view, statement, context, budget):
        if (collection, paths) not in made:
            made.add((collection, paths))
            yield row


def advised(
    view: View, statement: Runnable, context: Context, budget: Budget, *, in_draft: bool = False
) -> Iterator[tuple[Row, str, tuple[Path, ...]]]:
    """The same, maybe several times: for each index its row, its collection and its paths."""
    match statement:
        case Select() if statement.joins:
            yield from advise_join(view, statement, context, budget)
        case Select(_, source):
            wanted = wanted_of(read_select(statement), context, in_draft=in_draft)
            yield from advise_source(view, source, statement.where, context, budget, wanted)
        case Update(source) | Remove(_, source):
            yield from advise_source(view, source, statement.where, context, budget)
        case Insert(_, _, Select() as select):
            yield from advised(view, select, context, budget, in_draft=True)


def advise_join(
    view: View, select: Select, context: Context, budget: Budget
) -> Iterator[tuple[Row, str, tuple[Path, ...]]]:
    """What the first source of a join lacks, and what its further ones cannot be looked up without."""
    first, joins = in_order(select)
    known = [alias_of(first)]
    pushed = both([part for part in parts_of(select.where) if heads(part) == {known[0]}])
    yield from advise_source(view, named(first), pushed, context, budget)
    for join in joins:
        yield from advise_lookup(view, join, known)
        known.append(alias_of(join.source))


def advise_lookup(view: View, join: Join, known: list[str]) -> Iterator[tuple[Row, str, tuple[Path, ...]]]:
    """The index without which a join is refused."""
    source = named(join.source)
    try:
        find_equality(view, source, join.on, known)
    except InvalidQuery:
        paths = tuple(own.path[1:] for own, _ in equalities(join.on, alias_of(source), known))
        if not paths:  # no index would help: there is nothing that a document could be looked up by
            raise
        collection = view.catalog.by_name[source.name]
        yield advice(collection, paths[:1], JOINED), source.name, (paths[0],)


def advise_source(
    view: View,
    source: Source,
    where: Expression | None,
    context: Context,
    budget: Budget,
    wanted: Wanted = EVERYTHING,
) -> Iterator[tuple[Row, str, tuple[Path, ...]]]:
    """The index that makes reading a source cheapest, if it is not there and worth it."""
    collection = view.catalog.by_name.get(source.name)
    if source.system or collection is None:
        return
    need = Need(collection, ask(source, where, (), context).node, wanted)
    there = list(ready_indexes(view, collection))
    now = plan_with(need, there)
    candidates = candidates_of(need, {each.index.paths for each in there if each.index.kind == "fields"})
    if now.access == "ids" or not candidates:
        return
    sample = list(islice(scan_living(view.snapshot, collection), ADVISE_DOCUMENTS_MAX))
    best: Plan | None = None
    for paths in candidates:
        budget.spend(len(sample))
        plan = plan_with(need, [*there, imagine(view, collection, paths, sample)])
        if plan.index is not None and plan.index.number == UNUSED and (best is None or plan.cost < best.cost):
            best = plan
    if best is not None and best.index is not None and best.cost <= now.cost * WORTH:
        paths = best.index.paths
        costs = {"cost": round(now.cost), "cost_with_index": round(best.cost)}
        yield advice(collection, paths, READ, **costs), source.name, paths


def plan_with(need: Need, indexes: list[Measured]) -> Plan:
    """The plan of a source with some indexes."""
    return make_plan(need.collection, indexes, need.node, *need.wanted)


def advice(collection: Collection, paths: tuple[Path, ...], reason: str, **costs: int) -> Row:
    """What is said of one index."""
    name = name_for(collection, paths)
    return {
        "statement": print_statement(CreateIndex(name, collection.name, paths)),
        "collection": collection.name,
        "reason": reason,
        **costs,
    }


def name_for(collection: Collection, paths: tuple[Path, ...]) -> str:
    """A name that no index of the collection has."""
    words = "_".join([collection.name, *(str(step) for path in paths for step in path)])
    name = WORD.sub("_", words).strip("_") or "advised"
    taken = {index.name for index in collection.indexes}
    return next(each for each in [name, *(f"{name}_{number}" for number in range(2, 1_000))] if each not in taken)


# --- which indexes could help ---


def candidates_of(need: Need, there: set[tuple[Path, ...]]) -> list[tuple[Path, ...]]:
    """Indexes that a condition or an order asks for, those of fewer paths first; none that is there."""
    equal: list[Path] = []
    between: list[Path] = []
    for path in islice(dict.fromkeys(paths_in(need.node)), ADVISED_PATHS_MAX):
        bounds = bounds_of(need.node, path)
        if bounds is not None and path != ID_PATH:
            (equal if is_points(bounds.ranges) else between).append(path)
    order = tuple(key.path for key in need.wanted.order.keys)
    found: list[tuple[Path, ...]] = [(path,) for path in (*equal, *between)]
    found += [(*equal, path) for path in between]
    found += [tuple(equal), order, (*(path for path in equal if path not in order), *order)]
    possible = (paths for paths in found if len(set(paths)) == len(paths) and 0 < len(paths) <= INDEX_PATHS_MAX)
    return sorted((paths for paths in dict.fromkeys(possible) if paths not in there), key=len)


def paths_in(node: Node) -> Iterator[Path]:
    """The paths that a condition is about, in the order in which it names them."""
    if isinstance(node, And):
        for operand in node.operands:
            yield from paths_in(operand)
        return
    waiting: list[object] = [node]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, Field):
            yield each.path
        elif isinstance(each, tuple):
            waiting.extend(each)
        elif hasattr(each, "__struct_fields__"):
            waiting.extend(getattr(each, name) for name in each.__struct_fields__)


# --- what an index would hold ---


def imagine(view: View, collection: Collection, paths: tuple[Path, ...], sample: list[StoredRow]) -> Measured:
    """An index that is not there, as it would be if the sample is like the rest."""
    index = Index(UNUSED, collection.number, "", "fields", paths)
    index.built = None
    columns = sorted(columns_of(view, collection, index, sample))
    share = collection.living / max(1, len(sample))
    entries, distinct = round(len(columns) * share), len(set(columns))
    if distinct * 2 > len(columns):  # most are different, and so will those be that were not looked at
        distinct = round(distinct * share)
    size = max(1, len(columns) // STATISTICS_PARTS_MAX)
    statistics = Statistics(entries, distinct, tuple(columns[size - 1 :: size]))
    index.counts[WHOLE] = entries
    return Measured(index, lambda: statistics)


def columns_of(view: View, collection: Collection, index: Index, sample: list[StoredRow]) -> Iterator[bytes]:
    """The columns of the entries that some documents would have."""
    for stored in sample:
        for key, value in entries_of(
            index, stored.id, stored.document, collection.paths, view.catalog.replicas
        ).items():
            head, _ = split_entry(key, value)
            if head[HEAD_BYTES - 1] == WHOLE:
                yield head[HEAD_BYTES:]
