"""A plain SELECT is answered as a find is: its documents are printed as they lie, with the `_id` before their fields.

Rules: plain is `SELECT *` of one collection whose whole condition the shared tree can say, in an order of fields or in
none. What does not depend on parameters is read once and kept with the text. Rows are those that the steps of `select`
would give, in the same order; where all of them would have to be sorted and nobody keeps them whole, those do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core, limits
from crdtstore.query import tree
from crdtstore.query.dql.condition import join_all, parts_of, to_condition
from crdtstore.query.dql.evaluate import Context, constant
from crdtstore.query.dql.expression import (
    Between,
    Call,
    Compare,
    Expression,
    Field,
    In,
    Literal,
    Logic,
    Not,
    Parameter,
    children,
)
from crdtstore.query.dql.statement import All
from crdtstore.query.find import filter_of
from crdtstore.query.order import Order
from crdtstore.query.parameters import parameters_of, put_values
from crdtstore.query.plan import make_plan
from crdtstore.query.search import search_json, search_top
from crdtstore.query.tree import Node
from crdtstore.statement.declared import is_declared
from crdtstore.statement.rows import order_of, ready_indexes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.dql.statement import Select, SortKey
    from crdtstore.query.tree import Path
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.view import View


class Plain(NamedTuple):
    """What a plain SELECT asks, but for its parameters."""

    collection: str
    node: Node
    parameters: tuple[Parameter, ...]
    order: Order


# --- reading a statement ---


def read_plain(select: Select, order: tuple[SortKey, ...], profile: Profile) -> Plain | None:
    """What a SELECT asks if it is plain.

    Args:
        select: The statement.
        order: Its order, of the rows of its source.
        profile: That of the statement.
    """
    source = select.source
    if source.system or source.ids or source.indexes or is_declared(source, profile) or not shows_all(select):
        return None
    node, by = read_condition(select.where, source.alias, profile), order_of(order)
    if node is None or by is None:
        return None
    parameters = tuple(Parameter(name) for name in sorted(parameters_of(node)))
    return Plain(source.name, node, parameters, by)


def shows_all(select: Select) -> bool:
    """Whether every row is a whole document."""
    is_star = len(select.projections) == 1 and isinstance(select.projections[0], All)
    return is_star and not (select.joins or select.group or select.having or select.distinct)


def read_condition(where: Expression | None, alias: str | None, profile: Profile) -> Node | None:
    """A condition with its parameters in it; None where it has to be read anew with their values."""
    said = [read_part(part, alias, profile) for part in parts_of(where)]
    nodes = [node for node in said if node is not None]
    return None if len(nodes) < len(said) else join_all([node for node in nodes if node != tree.EVERY_DOCUMENT])


def read_part(part: Expression, alias: str | None, profile: Profile) -> Node | None:
    """The same for a part of one."""
    if not depends_on_call(part):
        return to_condition(part, Context({}, profile=profile), alias)
    match part:
        case Logic("and" | "or" as connective, operands):
            said = [read_part(operand, alias, profile) for operand in operands]
            nodes = tuple(node for node in said if node is not None)
            if len(nodes) < len(said):
                return None
            return tree.And(nodes) if connective == "and" else tree.Or(nodes)
        case Not(operand):
            node = read_part(operand, alias, profile)
            return None if node is None else tree.Not(node)
    return read_comparison(part, alias)


def depends_on_call(expression: Expression) -> bool:
    """Whether its value is known only when the statement runs: it has parameters, or asks the clock."""
    if isinstance(expression, Parameter) or (isinstance(expression, Call) and expression.function == "clock"):
        return True
    parts: Iterable[Expression] = children(expression)
    return any(map(depends_on_call, parts))


def read_comparison(part: Expression, alias: str | None) -> Node | None:
    """A comparison of a field with parameters and constants."""
    match part:
        case Compare(operator, left, right):
            pair = read_pair(left, right, alias)
            return None if pair is None else tree.Compare(operator, *pair, tree.DQL)
        case In(item, array):
            pair = read_pair(array, item, alias)
            return None if pair is None else tree.Contains(*pair, tree.DQL)
        case Between(operand, least, greatest):
            low = read_comparison(Compare("<=", least, operand), alias)
            high = read_comparison(Compare("<=", operand, greatest), alias)
            return None if low is None or high is None else tree.And((low, high))
    return None


def read_pair(left: Expression, right: Expression, alias: str | None) -> tuple[Node, Node] | None:
    """Two values of which one is a field."""
    one, other = read_value(left, alias), read_value(right, alias)
    if one is None or other is None or not (isinstance(one, tree.Field) or isinstance(other, tree.Field)):
        return None
    return one, other


def read_value(expression: Expression, alias: str | None) -> Node | None:
    """A field, a parameter or a constant."""
    match expression:
        case Parameter(name):
            return tree.Parameter(name)
        case Literal(value):
            return tree.Literal(value)
        case Field(path):
            own: Path = path[1:] if path[0] == alias else path
            return tree.Field(own) if own else None
    return None


# --- running it ---


def find_plain(
    view: View, plain: Plain, context: Context, budget: Budget, window: tuple[int, int | None], *, whole: bool
) -> Iterator[bytes] | None:
    """The rows of a plain SELECT as JSON, None where sorting them takes more than a find may.

    Args:
        view: What is read.
        plain: What is asked.
        context: Parameters.
        budget: What may be spent.
        window: How many rows are skipped, and how many are wanted; None for all.
        whole: Whether the rows are kept until the last is there, which bounds how many there are.
    """
    skip, wanted = window
    if view.draft is not None or plain.collection in context.rules.fields:
        return None
    if not whole and (wanted is None or skip + wanted > limits.SORT_FIRST_MAX):
        return None
    values = {parameter.name: constant(parameter, context) for parameter in plain.parameters}
    collection = view.catalog.by_name.get(plain.collection)
    if collection is None or wanted == 0:
        return iter(())
    node = context.rules.seen(plain.collection, put_values(plain.node, values) if values else plain.node)
    wanted = min(limits.STATEMENT_ROWS_MAX + 1, limits.STATEMENT_ROWS_MAX + 1 if wanted is None else wanted)
    snapshot, catalog, deadline = view.snapshot, view.catalog, budget.deadline
    plan = make_plan(collection, ready_indexes(view, collection), node, plain.order, skip + wanted)
    filter_ = None if plan.exact else filter_of(node)
    # Without an order rows come as they are found.
    if plan.ordered or not plain.order.keys:
        found, examined = search_json(snapshot, catalog, collection, plan.source, filter_, skip, wanted, deadline)
        rows = (core.whole_json(id_, json) for id_, json in found)
    elif skip + wanted > 2 * limits.STATEMENT_ROWS_MAX:
        return None
    else:
        best, _, examined = search_top(
            snapshot, catalog, collection, plan.source, filter_, plain.order, skip + wanted, None, skip, deadline
        )
        rows = (core.whole_json(id_, json) for _, id_, json in best)
    budget.spend(examined.rows, examined.entries)
    return rows
