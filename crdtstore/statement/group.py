"""Grouping: rows become one row for each group, with what they were grouped by and what aggregates made of them.

Rules: values are grouped as `=` takes them for equal; null is a group, so is MISSING. Groups come in the order of their
keys. Without keys there is one group, even of no rows. The row of a group has names that no path can begin with, one
for each key and each aggregate, and its own key (`KEY`). Of values that are equal and not the same (1 and 1.0) a group
shows the one whose bytes are least, so that the order of rows does not matter.

Groups are kept up to SORT_KEPT_BYTES_MAX. Rows of others are sorted by their keys, in a file if need be, and each of
these groups is made when its rows come. Aggregates that keep values (MEDIAN, DISTINCT) keep AGGREGATED_VALUES_MAX
together.
"""

from __future__ import annotations

from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdtstore import limits
from crdtstore.errors import LimitExceeded
from crdtstore.query.dql.aggregates import Accumulator, Distinct, Median, make_accumulator
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.dql.expression import Aggregate, Expression, Literal
from crdtstore.query.tree import MISSING
from crdtstore.statement.keys import group_key
from crdtstore.statement.sort import CHUNK, Item, paced, pack, sort_items, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Context, Evaluator
    from crdtstore.query.tree import Path
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Row

KEY: Final = "\0key"
"""The name of a group's own key in its row."""

ONE: Final = Literal(1)
GROUP_BYTES: Final = 250
"""What a group takes in memory besides its key, and each aggregate of it again."""


class Grouping(NamedTuple):
    """What rows are grouped by, and what is made of each group."""

    keys: tuple[Expression, ...]
    aggregates: tuple[Aggregate, ...] = ()

    def places(self) -> dict[Expression, Path]:
        """Where in the row of a group each of them stands."""
        return {value: (name_of(number),) for number, value in enumerate((*self.keys, *self.aggregates))}


class Compiled(NamedTuple):
    """The same, ready to run."""

    keys: tuple[Evaluator, ...]
    arguments: tuple[Evaluator, ...]
    aggregates: tuple[Aggregate, ...]


class Group:
    """One group while its rows come."""

    __slots__ = ("accumulators", "values")

    def __init__(self, values: list[Value], aggregates: tuple[Aggregate, ...]) -> None:
        self.values = values
        self.accumulators: list[Accumulator] = [make_accumulator(aggregate) for aggregate in aggregates]


def name_of(number: int) -> str:
    """The name of a key or an aggregate in the row of a group."""
    return f"\0{number}"


def compile_grouping(grouping: Grouping, context: Context) -> Compiled:
    """Make it ready to run."""
    arguments = (ONE if aggregate.argument is None else aggregate.argument for aggregate in grouping.aggregates)
    return Compiled(
        tuple(compile_expression(key, context) for key in grouping.keys),
        tuple(compile_expression(argument, context) for argument in arguments),
        grouping.aggregates,
    )


def group_rows(rows: Iterable[Row], grouping: Compiled, budget: Budget) -> Iterator[Row]:
    """One row for each group, in the order of their keys.

    Raises:
        LimitExceeded: Aggregates keep more than AGGREGATED_VALUES_MAX values.
        StoreFull: The disk has no room for what does not fit in memory.
    """
    table = Table(grouping)
    later = sort_items(table.take(rows, budget), budget)
    # Sorting takes all rows before it gives one, so the table is complete then.
    first = next(later, None)
    kept = sorted(table.groups.items(), key=itemgetter(0))
    made: Iterator[tuple[bytes, Row]] = ((key, group_row(key, group)) for key, group in kept)
    if first is not None:
        made = merge(made, table.regroup(first, later, budget), key=itemgetter(0))
    yield from paced(map(itemgetter(1), made), budget)


class Table:
    """The groups that are kept in memory."""

    def __init__(self, grouping: Compiled) -> None:
        self.grouping = grouping
        # Without keys there is one group, whatever comes.
        self.groups: dict[bytes, Group] = {} if grouping.keys else {b"": Group([], grouping.aggregates)}
        self.keeping = [
            number
            for number, aggregate in enumerate(grouping.aggregates)
            if aggregate.distinct or aggregate.function == "median"
        ]
        self.values = 0
        """How many values aggregates keep."""
        self.size = 0
        """About how many bytes the groups take."""

    def take(self, rows: Iterable[Row], budget: Budget) -> Iterator[Item]:
        """Put rows into their groups; gives those, packed, of groups that have no room."""
        keys, arguments = self.grouping.keys, self.grouping.arguments
        for number, row in enumerate(rows):
            if number % CHUNK == 0:
                budget.spend(0)
            values = [get(row) for get in keys]
            key = group_key(values)
            taken = [get(row) for get in arguments]
            group = self.groups.get(key) or self.open(key, values)
            if group is None:
                yield key, pack([give(values), give(taken)])
            else:
                self.add(group, values, taken)

    def open(self, key: bytes, values: list[Value]) -> Group | None:
        """A new group, if there is room for one."""
        if self.size > limits.SORT_KEPT_BYTES_MAX:
            return None
        self.size += len(key) + GROUP_BYTES * (1 + len(self.grouping.aggregates))
        group = self.groups[key] = Group(values, self.grouping.aggregates)
        return group

    def add(self, group: Group, values: list[Value], taken: list[Value]) -> None:
        """Put a row into its group."""
        settle(group.values, values)
        for number in self.keeping:
            self.values -= kept_values(group.accumulators[number])
        for accumulator, value in zip(group.accumulators, taken, strict=True):
            accumulator.add(value)
        if self.keeping:
            self.values += sum(kept_values(group.accumulators[number]) for number in self.keeping)
            check_values(self.values)

    def regroup(self, first: Item, later: Iterator[Item], budget: Budget) -> Iterator[tuple[bytes, Row]]:
        """Make the groups whose rows come sorted, one after the other."""
        item: Item | None = first
        while item is not None:
            key, packed = item
            budget.spend(0)
            group = Group(receive(unpack(packed)[0]), self.grouping.aggregates)
            before = self.values
            while item is not None and item[0] == key:
                values, taken = unpack(item[1])
                self.add(group, receive(values), receive(taken))
                item = next(later, None)
            self.values = before
            yield key, group_row(key, group)


def group_row(key: bytes, group: Group) -> Row:
    """The row of a group."""
    values = [*group.values, *(accumulator.result() for accumulator in group.accumulators)]
    row: Row = {name_of(number): value for number, value in enumerate(values) if value is not MISSING}
    row[KEY] = key
    return row


def tie(row: Row) -> bytes:
    """What decides between groups that an order leaves equal."""
    key: bytes = row[KEY]
    return key


def settle(kept: list[Value], values: list[Value]) -> None:
    """Of equal values keep the one whose bytes are least."""
    for number, value in enumerate(values):
        other = kept[number]
        if value is not other and value.__class__ in (int, float, list, dict):
            kept[number] = min(other, value, key=pack)


def kept_values(accumulator: Accumulator) -> int:
    """How many values an aggregate keeps."""
    inner = accumulator.inner if isinstance(accumulator, Distinct) else accumulator
    own = len(accumulator.seen) if isinstance(accumulator, Distinct) else 0
    return own + (len(inner.numbers) if isinstance(inner, Median) else 0)


def check_values(values: int) -> None:
    """Refuse to keep more.

    Raises:
        LimitExceeded: More than AGGREGATED_VALUES_MAX.
    """
    maximum = limits.AGGREGATED_VALUES_MAX
    if values > maximum:
        message = f"MEDIAN and DISTINCT keep at most {maximum} values of a statement; a narrower condition would help."
        raise LimitExceeded(message, limit="AGGREGATED_VALUES_MAX", value=values, maximum=maximum)


def give(values: list[Value]) -> list[Value]:
    """Values as they are packed: what is missing is an empty list around nothing."""
    return [[] if value is MISSING else [value] for value in values]


def receive(packed: list[Any]) -> list[Value]:
    """The same back."""
    return [each[0] if each else MISSING for each in packed]
