"""EXPLAIN says how a statement would run, PROFILE runs it and says what each step took.

Rules: the answer has a row for each step, in the order in which they follow each other. What is said of reading is the
plan that the statement itself would get. PROFILE runs a SELECT, and drops its rows; a statement that writes runs on a
draft that is dropped, so it needs a store that can be written to and changes nothing.

Not here: what would run better (`advise`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias

from crdtstore.errors import InvalidQuery
from crdtstore.limits import SORT_FIRST_MAX
from crdtstore.query.dql.condition import parts_of
from crdtstore.query.dql.expression_print import print_expression, print_path
from crdtstore.query.dql.reach import reach_of
from crdtstore.query.dql.statement import Insert, Remove, Select, Update
from crdtstore.query.dql.statement_print import print_projections, print_sort_key, print_statement
from crdtstore.query.readable import show_key
from crdtstore.query.tree import ID_PATH
from crdtstore.statement.advise import advise
from crdtstore.statement.declared import is_declared
from crdtstore.statement.join import both, find_equality, heads, in_order, named
from crdtstore.statement.rows import ask, plan_source, ready_indexes, split_where
from crdtstore.statement.scope import alias_of
from crdtstore.statement.select import amount, make_ready, read_select, select_json
from crdtstore.statement.system import check_writable
from crdtstore.statement.view import View, view_of
from crdtstore.statement.wanted import EVERYTHING, Wanted, wanted_of
from crdtstore.storage.log import last_txn

if TYPE_CHECKING:
    from collections.abc import Callable

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.expression import Expression
    from crdtstore.query.dql.statement import Explain, Join, Runnable, Source
    from crdtstore.query.plan import Plan
    from crdtstore.statement.budget import Budget, Step
    from crdtstore.statement.host import Host
    from crdtstore.statement.mutated import Mutated
    from crdtstore.statement.rows import Row
    from crdtstore.statement.select import Steps
    from crdtstore.storage.draft import Draft

    Run: TypeAlias = Callable[[Runnable, Context, Budget, Draft], Mutated]
    """Runs a statement of a transaction on a draft."""

STEP: Final = "step"
TOTAL: Final = "total"


def explain(view: View, statement: Runnable, context: Context) -> Iterator[Row]:
    """The steps of a statement.

    Raises:
        InvalidQuery: As the statement itself would.
    """
    if isinstance(statement, Insert | Update | Remove):
        check_writable(statement.source)
    match statement:
        case Select():
            yield from select_steps(view, statement, context)
        case Insert(source, documents, select):
            if select is not None:
                yield from select_steps(view, select, context, in_draft=True)
            given: Row = {} if select is not None else {"documents": len(documents)}
            policy = "initial" if statement.initial else statement.policy
            yield {STEP: "insert", "collection": source.name, **given, "policy": policy}
        case Update(source):
            yield read_step(view, source, statement.where, context)
            paths = [*(each.path for each in statement.apply), *(each.path for each in statement.set), *statement.unset]
            yield {STEP: "update", "collection": source.name, "paths": list(map(print_path, paths))}
        case Remove(verb, source):
            yield read_step(view, source, statement.where, context)
            yield from sort_steps(statement, context)
            yield {STEP: verb, "collection": source.name}
        case _:
            yield {STEP: "define", "statement": print_statement(statement)}


# --- the steps of a SELECT ---


def select_steps(view: View, select: Select, context: Context, *, in_draft: bool = False) -> Iterator[Row]:
    """How rows are read, joined, grouped, sorted and shown."""
    steps, ordered = read_select(select), False
    if not in_draft and is_counted(steps, context):
        yield count_step(view, select, context)
    elif steps.scope.joined:
        yield from join_steps(view, select, context)
    else:
        wanted = wanted_of(steps, context, in_draft=in_draft)
        row = read_step(view, select.source, select.where, context, wanted)
        ordered = not in_draft and row.get("ordered", False)
        yield row
    yield from group_steps(steps)
    yield from sort_steps(select, context, ordered=ordered)
    yield {STEP: "show", "columns": print_projections(select.projections)}


def is_counted(steps: Steps, context: Context) -> bool:
    """Whether only the number of rows is asked for, and no row has to be read for it."""
    source, grouping = steps.select.source, steps.grouping
    if grouping is None or grouping.keys or any(each.argument for each in grouping.aggregates):
        return False
    if steps.scope.joined or source.system or source.indexes:
        return False
    return not is_declared(source, context.profile) and not ask(source, steps.select.where, (), context).tests


def count_step(view: View, select: Select, context: Context) -> Row:
    """How rows are counted."""
    if select.where is None and select.source.ids is None:
        return {STEP: "count", "collection": select.source.name, "access": "counts"}
    return {**read_step(view, select.source, select.where, context), STEP: "count"}


def group_steps(steps: Steps) -> Iterator[Row]:
    """What rows are made one of."""
    select, grouping = steps.select, steps.grouping
    if grouping is not None:
        yield {STEP: "group", "by": texts(select.group), "aggregates": texts(grouping.aggregates)}
    if select.having is not None:
        yield {STEP: "having", "condition": print_expression(select.having)}
    if steps.distinct:
        yield {STEP: "distinct"}


def sort_steps(statement: Select | Remove, context: Context, *, ordered: bool = False) -> Iterator[Row]:
    """How rows are sorted unless they come in order, and how many of them are taken."""
    limit, offset = amount(statement.limit, context), amount(statement.offset, context) or 0
    last = None if limit is None else offset + limit
    if statement.order and not ordered:
        kept = "all" if last is None or last > SORT_FIRST_MAX else last
        yield {STEP: "sort", "by": [print_sort_key(key) for key in statement.order], "kept": kept}
    if statement.limit is not None or offset:
        yield {STEP: "limit", "limit": limit, "offset": offset}


def join_steps(view: View, select: Select, context: Context) -> Iterator[Row]:
    """How further sources are looked up for the rows of the first."""
    first, joins = in_order(select)
    known = [alias_of(first)]
    pushed = both([part for part in parts_of(select.where) if heads(part) == {known[0]}])
    yield read_step(view, named(first), pushed, context)
    for join in joins:
        yield join_step(view, join, known)
        known.append(alias_of(join.source))
    rest = [part for part in parts_of(select.where) if heads(part) != {alias_of(first)}]
    if rest:
        yield {STEP: "where", "condition": " AND ".join(texts(rest))}


def join_step(view: View, join: Join, known: list[str]) -> Row:
    """How one further source is looked up."""
    source = named(join.source)
    own, _ = find_equality(view, source, join.on, known)
    row = {STEP: "join", "kind": join.kind, "collection": name_of(source), "alias": source.alias}
    collection = view.catalog.by_name.get(source.name)
    path = own.path[1:]
    if source.system or collection is None:
        row["access"] = "system" if source.system else "none"
    elif path == ID_PATH:
        row["access"] = "ids"
    else:
        serving = (each.index for each in ready_indexes(view, collection) if each.index.kind == "fields")
        names = [index.name for index in serving if index.paths[0] == path]
        row |= {"access": "index", "index": next((name for name in names if name in (source.indexes or names)), None)}
    return {**row, "on": print_expression(join.on)}


def read_step(
    view: View, source: Source, where: Expression | None, context: Context, wanted: Wanted = EVERYTHING
) -> Row:
    """How the documents of one source are read: what is asked of them as they lie, and what of their rows."""
    row: Row = {STEP: "read", "collection": name_of(source)}
    rest = split_where(source, where, context).rest
    said = [part for part in parts_of(where) if part not in rest]
    collection = view.catalog.by_name.get(source.name)
    if source.system:
        return {**row, "access": "system", "filter": None, "evaluated": print_condition(rest)}
    if collection is None:
        return {**row, "access": "none"}
    plan = plan_source(view, collection, source, ask(source, where, (), context).node, *wanted)
    filter_ = None if plan.exact else print_condition(said)
    if wanted.order.keys:
        row["ordered"] = plan.ordered
    return {**row, **plan_fields(plan), "filter": filter_, "evaluated": print_condition(rest)}


def plan_fields(plan: Plan) -> Row:
    """Where documents are looked for."""
    shown: Row = {"access": plan.access, "cost": round(plan.cost)}
    if plan.index is not None and plan.reading is not None:
        shown["index"] = plan.index.name
        shown["bounds"] = [[show_key(each.start), show_key(each.end)] for each in plan.reading.ranges]
        shown["descending"] = plan.source.descending
    return shown


def name_of(source: Source) -> str:
    """A source as it is written."""
    return f"system:{source.name}" if source.system else source.name


def texts(expressions: tuple[Expression, ...] | list[Expression]) -> list[str]:
    """Expressions as text."""
    return list(map(print_expression, expressions))


def print_condition(parts: tuple[Expression, ...] | list[Expression]) -> str | None:
    """A condition as text, None where there is none."""
    whole = both(list(parts))
    return None if whole is None else print_expression(whole)


# --- running it ---


class DroppedDraft(Exception):
    """Ends a transaction that was only tried."""


def profile_select(view: View, select: Select, context: Context, budget: Budget) -> list[Row]:
    """Run a SELECT, and say what its steps took."""
    rows = list(select_steps(view, select, context))
    begun = perf_counter()
    returned = sum(1 for _ in select_json(view, make_ready(select, context.profile), context, budget, whole=True))
    took = perf_counter() - begun
    if not budget.steps:  # a plain one, which is read and shown at once
        rows[0] |= {"rows": returned, "milliseconds": milliseconds(took)}
    return [*put_figures(rows, budget.steps), total(budget, took, returned=returned)]


def profile_writing(store: Host, statement: Runnable, context: Context, budget: Budget, run: Run) -> list[Row]:
    """Run a statement on a draft that is dropped, and say what that took."""
    rows: list[Row] = []

    def attempt(draft: Draft) -> None:
        rows.extend(explain(view_of(draft, store), statement, context))
        begun = perf_counter()
        changed = len(run(statement, context, budget, draft).ids)
        draft.changes()  # they are merged as if they were to be logged
        rows.append(total(budget, perf_counter() - begun, changed=changed))
        raise DroppedDraft

    with suppress(DroppedDraft):
        store.sequence(attempt, lambda _: None).result()
    return put_figures(rows, budget.steps)


def put_figures(rows: list[Row], steps: list[Step] | None) -> list[Row]:
    """Rows of steps, with how many rows each gave and how long it took by itself."""
    before = 0.0
    figures: dict[str, Row] = {}
    for step in steps or ():
        took, before = max(0.0, step.seconds - before), step.seconds
        figures[step.name] = {"rows": step.rows, "milliseconds": milliseconds(took)}
    return [{**row, **figures.pop(row[STEP], {})} for row in rows]


def total(budget: Budget, seconds: float, **figures: int) -> Row:
    """What all of a statement took."""
    looked = {"examined": budget.examined, "entries": budget.entries}
    return {STEP: TOTAL, **looked, **figures, "milliseconds": milliseconds(seconds)}


def milliseconds(seconds: float) -> float:
    """A time for people."""
    return round(seconds * 1_000, 3)


# --- for people ---


def lines_of_steps(rows: Iterable[Row]) -> Iterator[str]:
    """Steps as text, a line for each; what is null is left out."""
    for row in rows:
        told = ", ".join(
            f"{name} {show_fact(value)}" for name, value in row.items() if name != STEP and value is not None
        )
        yield f"{row[STEP]:<9}{told}".rstrip()


def show_fact(value: Value) -> str:
    """What is said of a step: bounds from and to, lists item by item."""
    if not isinstance(value, list):
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    if all(isinstance(each, list) for each in value):
        return " and ".join(f"from {low} to before {high}" for low, high in value) or "none"
    return ", ".join(map(str, value)) or "nothing"


# --- the answer ---


def answer(
    store: Host, statement: Explain, context: Context, budget: Budget, at: int | None, run: Run
) -> tuple[int, list[Row]]:
    """Run EXPLAIN, PROFILE or ADVISE: the version that was looked at, and the rows.

    Args:
        store: Where.
        statement: What is asked.
        context: Parameters and the clock.
        budget: What it may cost.
        at: The version that is looked at.
        run: Runs a statement of a transaction on a draft.

    Raises:
        Forbidden: Of a collection that it touches not everything is seen.
        InvalidQuery: PROFILE of what is not part of a transaction either.
        StoreReadOnly: PROFILE of a statement that writes.
    """
    inner = statement.of
    for name in sorted(reach_of(inner).reads):
        store.rules.check_unruled(name)
    if statement.verb == "profile":
        budget.steps = []
    with store.view(at) as (snapshot, catalog):
        view, txn = View(snapshot, catalog, None, store), last_txn(snapshot)
        if statement.verb == "explain":
            return txn, list(explain(view, inner, context))
        if statement.verb == "advise":
            return txn, list(advise(view, inner, context, budget))
        if isinstance(inner, Select):
            return txn, profile_select(view, inner, context, budget)
    if not isinstance(inner, Insert | Update | Remove):
        raise InvalidQuery("PROFILE runs statements that read or write documents.", reason="profile")
    return txn, profile_writing(store, inner, context, budget, run)
