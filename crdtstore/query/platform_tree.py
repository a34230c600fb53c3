"""What a query of the platform means: its expression (`platform`) as a tree.

Rules: a property is looked for in all items of arrays on its way and at its end (`tree.Field`, spread). A star makes
`eq` a pattern that ignores case. A number without suffix is equal to its own text too, but less or greater than numbers
only. `ne` wants something to be there. A property whose last name is `date` compares as a date; of the two dates that
every object has that name is no field. `has` knows custom properties only. Two truth values.

Not here: reading texts (`platform`), which objects stand in a relation: the caller resolves them to ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidQuery
from crdtstore.limits import ORDER_KEYS_MAX
from crdtstore.query import platform, tree
from crdtstore.query.instant import parse_instant
from crdtstore.query.lexer import show
from crdtstore.query.order import PLATFORM_ORDER, Order, OrderKey
from crdtstore.query.platform import Compare, Function, Has, Join, Names, Not, Number, Related, Text
from crdtstore.query.tree import ID_PATH, PLATFORM, PLATFORM_DATES, Node, Operator, Path, TypeName

Fields: TypeAlias = Mapping[str, Path]
"""Where the document has a property that does not live under its own name."""

Resolver: TypeAlias = Callable[[Function, Sequence[str]], Sequence[Value]]
"""The ids of the objects that stand in a relation to one of these."""

FIELDS: Final[Fields] = MappingProxyType({"id": ID_PATH})
STANDARD: Final = frozenset(
    {
        *("id", "type", "name", "self", "lastUpdated", "owner", "creationTime", "supportedMeasurements", "externalIds"),
        *("childDevices", "childAssets", "childAdditions"),
    }
)
"""Properties that every object may have; `has` asks for others."""

DATES: Final = frozenset({"creationTime", "lastUpdated"})
PRESENT: Final[tuple[TypeName, ...]] = ("null", "boolean", "number", "string", "binary", "array", "object")
OPERATORS: Final[Mapping[str, Operator]] = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
LITERAL: Final = str.maketrans({"\\": "\\\\", "?": "\\?"})
DATE: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(?:([Zz])|[ +]([0-9]{2}):?([0-9]{2})|(-[0-9]{2}):?([0-9]{2}))?)?"
)


class Property(NamedTuple):
    """Where a property leads, and how it compares."""

    field: tree.Field
    is_date: bool
    is_standard_date: bool


def make_tree(expression: platform.Expression | None, resolve: Resolver, fields: Fields = FIELDS) -> Node:
    """Say what a filter means.

    Args:
        expression: What `platform.parse` gives as the filter; None finds everything.
        resolve: Tells which objects stand in a relation.
        fields: Where documents have properties that do not live under their own names.

    Raises:
        InvalidQuery: A date that cannot be read; `data` has `reason` and `property`.
    """
    match expression:
        case None:
            return tree.Literal(True)
        case Join(op, args):
            operands = tuple([make_tree(arg, resolve, fields) for arg in args])
            return tree.And(operands) if op == "and" else tree.Or(operands)
        case Not(arg):
            return tree.Not(make_tree(arg, resolve, fields))
        case Has(paths):
            held = tuple([is_held(names, fields) for names in paths])
            return held[0] if len(held) == 1 else tree.Or(held)
        case Related(op, ids):
            return tree.Contains(tree.Literal(list(resolve(op, ids))), tree.Field(ID_PATH), PLATFORM)
        case Compare(op, names, value):
            return comparison(op, names, value, fields)


def is_held(names: Names, fields: Fields) -> Node:
    """A custom property is there."""
    if names[0] in STANDARD:
        return tree.Literal(False)
    return tree.IsType(tree.Field(path_of(names, fields), spread=True), PRESENT)


def comparison(op: platform.Operator, names: Names, value: platform.Value, fields: Fields) -> Node:
    """A property against a value."""
    found = find_property(names, fields)
    if found.is_date and isinstance(value, Text):
        value = Text(date_text(value.text, names, must=found.is_standard_date))
    if op == "eq":
        return equals(found, value)
    if op == "ne":
        return tree.And((tree.IsType(found.field, PRESENT), tree.Not(equals(found, value, absent=False))))
    rules = PLATFORM_DATES if found.is_date else PLATFORM
    return tree.Compare(OPERATORS[op], found.field, tree.Literal(constant(value)), rules)


def equals(found: Property, value: platform.Value, *, absent: bool = True) -> Node:
    """A property has a value; null is there, or, if `absent`, nothing is."""
    rules = PLATFORM_DATES if found.is_date else PLATFORM
    if value is None and absent:
        return tree.IsType(found.field, ("missing", "null"))
    if isinstance(value, Number) and value.text is not None:
        return tree.Contains(tree.Literal([value.number, value.text]), found.field, rules)
    if isinstance(value, Text) and "*" in value.text:
        return tree.Call("ilike", (found.field, tree.Literal(value.text.translate(LITERAL))))
    return tree.Compare("==", found.field, tree.Literal(constant(value)), rules)


def constant(value: platform.Value) -> Value:
    """The value itself."""
    if isinstance(value, Text):
        return value.text
    return value.number if isinstance(value, Number) else value


def find_property(names: Names, fields: Fields) -> Property:
    """Where a property leads."""
    is_date = len(names) > 1 and names[-1] == "date"
    standard = is_date and len(names) == 2 and names[0] in DATES
    path = path_of(names[:-1] if standard else names, fields)
    # An id is no array: so it is compared, and looked up, as what it is.
    return Property(tree.Field(path, spread=path != ID_PATH), is_date, standard)


def make_order(keys: tuple[platform.Key, ...], fields: Fields = FIELDS) -> Order:
    """The order that a query asks for. Dates sort as text does.

    Args:
        keys: What `platform.parse` gives as the order.
        fields: As above.

    Raises:
        InvalidQuery: More than ORDER_KEYS_MAX; `data` has `reason` and the first `property` too many.
    """
    read = tuple([OrderKey(find_property(key.path, fields).field.path, key.descending) for key in keys])
    if len(read) > ORDER_KEYS_MAX:
        message = f"An order has at most {ORDER_KEYS_MAX} keys; this one has {len(read)}."
        raise InvalidQuery(message, reason="order", property=".".join(keys[ORDER_KEYS_MAX].path))
    return Order(read, PLATFORM_ORDER)


def path_of(names: Names, fields: Fields) -> Path:
    """The path of a property."""
    return (*fields.get(names[0], names[:1]), *names[1:])


def date_text(text: str, names: Names, *, must: bool) -> str:
    """A date of a query as the date-time that it stands for: midnight without a time, UTC without a zone.

    Raises:
        InvalidQuery: It cannot be read, and must be.
    """
    found = DATE.fullmatch(text)
    if found is not None:
        day, minute, second, zulu, ahead, minutes, behind, others = found.groups()
        zone = f"+{ahead}:{minutes}" if ahead else f"{behind}:{others}" if behind else zulu or "Z"
        written = f"{day}T{minute or '00:00'}{second or ':00'}{zone}"
        if parse_instant(written) is not None:
            return written
    if not must:
        return text
    name = ".".join(names)
    message = f"The date {show(text)} of {show(name)} cannot be read: write it as 2024-05-31T12:00:00Z."
    raise InvalidQuery(message, reason="date", property=name)
