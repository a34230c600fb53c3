"""A statement is run here: text to statement, statement to what it does, and that to an answer.

Rules: one statement, or several together in one transaction; each of those sees what the ones before it did. The clock
is read once for all of it. Statements that were read before are kept, a bounded number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from crdtstore.crdt.json_output import write_json
from crdtstore.crdt.value import check_value
from crdtstore.errors import CallerError, InvalidQuery, InvalidValue, LimitExceeded
from crdtstore.limits import STATEMENT_KEPT_BYTES_MAX, STATEMENTS_KEPT_MAX
from crdtstore.query.dql.evaluate import Context
from crdtstore.query.dql.expression import Expression, Parameter, children
from crdtstore.query.dql.statement import (
    AlterSystem,
    CreateIndex,
    DropIndex,
    Explain,
    Insert,
    Remove,
    Select,
    Show,
    Update,
)
from crdtstore.query.dql.statement_parser import parse
from crdtstore.statement.answer import Executed
from crdtstore.statement.budget import Budget, check_rows
from crdtstore.statement.define import define
from crdtstore.statement.explain import answer
from crdtstore.statement.faults import show_place
from crdtstore.statement.insert import insert
from crdtstore.statement.mutated import Mutated
from crdtstore.statement.remove import remove
from crdtstore.statement.select import Ready, make_ready, select_json, select_rows
from crdtstore.statement.system import check_writable
from crdtstore.statement.update import update
from crdtstore.statement.view import View, view_of
from crdtstore.storage.log import last_txn

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.dql.statement import Statement
    from crdtstore.statement.host import Host, Terms
    from crdtstore.storage.draft import Draft
    from crdtstore.version.transaction import Sequenced

T = TypeVar("T")


def execute(
    store: Host,
    text: str,
    parameters: Mapping[str, Value] | None,
    *,
    profile: Profile,
    terms: Terms,
    at: int | None,
    seconds: float | None,
) -> Executed:
    """Run one statement; see `Store.execute`."""
    statement = parse_kept(text, profile)
    check_parameters([statement], parameters)
    context, budget = context_of(store, parameters, profile), budget_of(store, seconds)
    request = store.requests.begin(text, budget, context.clock())
    try:
        match statement:
            case Select():
                ready = ready_of(text, statement, profile, context.profile)
                with store.view(at) as (snapshot, catalog):
                    view = View(snapshot, catalog, None, store)
                    with closing(select_json(view, ready, context, budget, whole=True)) as rows:
                        return Executed(last_txn(snapshot), keep_rows(rows))
            case Insert() | Update() | Remove():
                return transact(store, [statement], context, budget, terms)[0]
            case CreateIndex() | DropIndex() | AlterSystem() | Show():
                if terms.dry and not isinstance(statement, Show):
                    raise InvalidQuery("What concerns the store itself is not tried out: only writes to documents are.")
                return define(store, statement, context, budget, terms.after)
            case Explain():
                txn, told = answer(store, statement, context, budget, at, partial(run_one, store))
                return Executed(txn, tuple(map(write_json, told)))
    except CallerError as error:
        show_place(error, text, profile)
        raise
    finally:
        store.requests.end(request)


def execute_together(
    store: Host,
    texts: Sequence[str],
    parameters: Mapping[str, Value] | None,
    *,
    profile: Profile,
    terms: Terms,
    seconds: float | None,
) -> tuple[Executed, ...]:
    """Run statements as one transaction; see `Store.execute_together`."""
    statements = [parse_kept(text, profile) for text in texts]
    check_parameters(statements, parameters)
    context, budget = context_of(store, parameters, profile), budget_of(store, seconds)
    request = store.requests.begin("; ".join(texts), budget, context.clock())
    try:
        return transact(store, statements, context, budget, terms)
    finally:
        store.requests.end(request)


class Streamed(NamedTuple):
    """The rows of a SELECT, each as JSON, while they are found, and the version at which they are read."""

    txn: int
    rows: Iterator[bytes]


@contextmanager
def stream(
    store: Host,
    text: str,
    parameters: Mapping[str, Value] | None,
    *,
    profile: Profile,
    at: int | None,
    seconds: float | None,
) -> Iterator[Streamed]:
    """The rows of one SELECT as they are found; see `Store.stream`. They may be taken in any thread."""
    statement = parse_kept(text, profile)
    if not isinstance(statement, Select):
        raise InvalidQuery("Only the rows of a SELECT are read as a stream.")
    check_parameters([statement], parameters)
    context, budget = context_of(store, parameters, profile), budget_of(store, seconds)
    request = store.requests.begin(text, budget, context.clock())
    try:
        ready = ready_of(text, statement, profile, context.profile)
        with store.retained.holding(at) as version:
            view = View(version.snapshot, store.names(version.snapshot), None, store)
            with closing(select_json(view, ready, context, budget, whole=False)) as rows:
                yield Streamed(version.txn, rows if at is None else version.in_turns(rows))
    finally:
        store.requests.end(request)


def parse_kept(text: str, profile: Profile) -> Statement:
    """A statement, read once, unless its text is long: then it is read each time."""
    return kept(text, profile) if len(text) <= STATEMENT_KEPT_BYTES_MAX else parse(text, profile)


kept = lru_cache(maxsize=STATEMENTS_KEPT_MAX)(parse)


def budget_of(store: Host, seconds: float | None) -> Budget:
    """What a statement may cost; unless its caller says otherwise, as much time as the store does."""
    chosen = store.parameters.chosen()
    return Budget(chosen.seconds if seconds is None else seconds, chosen.examined_max)


def ready_of(text: str, select: Select, written: Profile, profile: Profile) -> Ready:
    """A SELECT, made ready for the profile that it runs with: once, unless its text is long."""
    short = len(text) <= STATEMENT_KEPT_BYTES_MAX
    return ready_kept(text, written, profile) if short else make_ready(select, profile)


@lru_cache(maxsize=STATEMENTS_KEPT_MAX)
def ready_kept(text: str, written: Profile, profile: Profile) -> Ready:
    """The same by its text and the profile that it is written in."""
    select: Any = kept(text, written)
    return make_ready(select, profile)


def check_parameters(statements: Sequence[Statement], parameters: Mapping[str, Value] | None) -> None:
    """Refuse parameters that no document could hold, where they are only read; what is set is checked by who does.

    Raises:
        InvalidValue: A parameter is none of the value model.
    """
    if not parameters:
        return
    for name in set().union(*(read_names(statement, parameters) for statement in statements)) & set(parameters):
        try:
            check_value(parameters[name])
        except (InvalidValue, LimitExceeded) as error:
            raise InvalidValue(f"Parameter {name}: {error.message}", parameter=name) from None


def read_names(statement: Statement, names: Iterable[str]) -> set[str]:
    """Those of the names of parameters with which a statement compares or computes."""
    match statement:
        case Insert(select=None) | CreateIndex() | DropIndex() | AlterSystem() | Show():
            return set()
        case Update(source=source, where=where):
            listed = () if source.ids is None else source.ids.items
            named = set() if source.ids is None or source.ids.parameter is None else {source.ids.parameter}
            return named.union(*map(parameter_names, (*listed, *(() if where is None else (where,)))))
    return set(names)


def parameter_names(expression: Expression) -> set[str]:
    """The parameters in an expression."""
    if isinstance(expression, Parameter):
        return {expression.name}
    return set().union(*map(parameter_names, children(expression)))


def context_of(store: Host, parameters: Mapping[str, Value] | None, profile: Profile) -> Context:
    """What all expressions of a statement depend on: one time for all of them."""
    now = store.clock()
    return Context(parameters or {}, lambda: now, store.parameters.chosen().profile(profile), store.rules)


def keep_rows(rows: Iterator[T]) -> tuple[T, ...]:
    """All rows of an answer, which are not too many."""
    kept = []
    for row in rows:
        kept.append(row)
        check_rows(len(kept))
    return tuple(kept)


# --- what writes ---


def transact(
    store: Host,
    statements: Sequence[Statement],
    context: Context,
    budget: Budget,
    terms: Terms,
) -> tuple[Executed, ...]:
    """Run statements on one draft, all or none."""
    evaluate = partial(run_on_draft, store, statements, context, budget)
    answers: tuple[Executed, ...] = store.sequence(evaluate, executed, **terms._asdict()).result()
    return answers


def run_on_draft(
    store: Host, statements: Sequence[Statement], context: Context, budget: Budget, draft: Draft
) -> list[Mutated]:
    """Run each statement; each sees what the ones before it did."""
    return [run_one(store, statement, context, budget, draft) for statement in statements]


def run_one(store: Host, statement: Statement, context: Context, budget: Budget, draft: Draft) -> Mutated:
    """Run one statement of a transaction."""
    if isinstance(statement, Insert | Update | Remove):
        check_writable(statement.source)
        context.rules.check_all_fields(statement.source.name)
    match statement:
        case Select():
            return Mutated(
                (), keep_rows(select_rows(view_of(draft, store), statement, context, budget)), is_mutation=False
            )
        case Insert():
            return insert(statement, draft, context, budget, store)
        case Update():
            return update(statement, draft, context, budget)
        case Remove():
            return remove(statement, draft, context, budget)
    raise InvalidQuery("Only SELECT, INSERT, UPDATE and DELETE run in a transaction.")


def executed(done: Sequenced) -> tuple[Executed, ...]:
    """What the statements of a transaction answer."""
    results: Any = done.answer
    return tuple(
        Executed(done.txn, tuple(map(write_json, result.rows)), result.ids, done.warnings, result.is_mutation)
        for result in results
    )
