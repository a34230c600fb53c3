"""What a filter of things search means: its parsed query (`rql`) as a tree.

Rules: a property is a JSON pointer, whose first name says where it lives; `uses_of` says which operators it takes. Each
operator looks at all values that its property finds in arrays (`tree.Field`, spread). Behind `features/*` one feature
must meet the operator by itself. There are two truth values: what `not` holds is all that its query does not. A
placeholder is resolved when the tree is made; one that names no time is null, and less or greater than nothing.

Not here: reading texts (`rql`), what an operator of the tree does (`tree`), who may see what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, NoReturn, TypeAlias

from crdtstore.errors import InvalidQuery
from crdtstore.limits import DEPTH_MAX, QUERY_EXCERPT_CHARS_MAX
from crdtstore.query import rql, tree
from crdtstore.query.lexer import printable, show
from crdtstore.query.rql import In, Join, Placeholder, Present, Query
from crdtstore.query.rql_time import resolve_time
from crdtstore.query.tree import ID_PATH, RQL, Node, Operator, Path, TypeName

Fields: TypeAlias = Mapping[str, Path]
"""Where the document has what a pointer's first name says; other names are unknown."""

FIELDS: Final[Fields] = MappingProxyType(
    {
        "thingId": ID_PATH,
        "namespace": ("namespace",),
        "policyId": ("policyId",),
        "definition": ("definition",),
        "_revision": ("_revision",),
        "_created": ("_created",),
        "_modified": ("_modified",),
        "_metadata": ("_metadata",),
        "attributes": ("attributes",),
        "features": ("features",),
    }
)

Constant: TypeAlias = bool | int | float | str | None
"""A value, placeholders resolved."""

Use: TypeAlias = Literal["compare", "presence", "sort"]
"""What asks: an operator that compares, `exists` or `empty`, or an order."""

EVERY_USE: Final[frozenset[Use]] = frozenset({"compare", "presence", "sort"})
FILTERS: Final[frozenset[Use]] = frozenset({"compare", "presence"})
PRESENCE: Final[frozenset[Use]] = frozenset({"presence"})
ANY_FEATURE: Final = "*"

OPERATORS: Final[Mapping[str, Operator]] = {"eq": "==", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
PRESENT: Final[tuple[TypeName, ...]] = ("null", "boolean", "number", "string", "binary", "array", "object")
LIKE_ESCAPED: Final = str.maketrans({"\\": "\\\\"})


class Property(NamedTuple):
    """Where a property leads: a path of the document; behind a star, one of each value at `each`."""

    path: Path
    each: Path | None


def make_tree(query: Query, now_milliseconds: int, fields: Fields = FIELDS) -> Node:
    """Say what a filter means.

    Args:
        query: What `rql.parse` gives.
        now_milliseconds: What `time:now` is, since 1970 in UTC.
        fields: Where the documents have what pointers begin with.

    Raises:
        InvalidQuery: A property that there is not or that does not take its operator, a pointer with `//`, or `like`
            with what is no string; `data` has `reason` and `property`.
    """
    return Binder(now_milliseconds, fields).condition(query)


class Binder(NamedTuple):
    """What a filter is made into a tree with."""

    now_milliseconds: int
    fields: Fields

    def condition(self, query: Query) -> Node:
        """One query."""
        match query:
            case rql.Compare():
                return self.comparison(query)
            case In(name, values):
                found = find_property(name, "compare", self.fields)
                constants = list(map(self.constant, values))
                return over(found, lambda field: is_one_of(field, constants))
            case Present(op, name):
                test = is_present if op == "exists" else is_empty
                return over(find_property(name, "presence", self.fields), test)
            case Join(op, args):
                operands = tuple(map(self.condition, args))
                if op == "not":
                    return tree.Not(operands[0])
                return tree.And(operands) if op == "and" else tree.Or(operands)

    def comparison(self, query: rql.Compare) -> Node:
        """A property against a value."""
        op, value = query.op, self.constant(query.value)
        found = find_property(query.property, "compare", self.fields)
        if op in ("like", "ilike"):
            if not isinstance(query.value, str):
                message = f"In the {op} predicate only string values are allowed."
                raise InvalidQuery(message, reason="text-needed", property=query.property)
            pattern = tree.Literal(query.value.translate(LIKE_ESCAPED))
            return over(found, lambda field: tree.Call(op, (field, pattern)))
        if op == "ne":
            return over(found, lambda field: differs(field, value))
        if value is None and op in ("ge", "le"):
            named = query.value is None
            return over(found, lambda field: is_nothing(field) if named else tree.Literal(False))
        return over(found, lambda field: tree.Compare(OPERATORS[op], field, tree.Literal(value), RQL))

    def constant(self, value: rql.Value) -> Constant:
        """A value, placeholders resolved."""
        if isinstance(value, Placeholder):
            return resolve_time(value.placeholder, self.now_milliseconds)
        return value


def over(found: Property, test: Callable[[tree.Field], Node]) -> Node:
    """A test of a property: of one value of `each` where it has one."""
    # An id is no array: so it is compared, and looked up, as what it is.
    field = tree.Field(found.path, spread=found.path != ID_PATH)
    return test(field) if found.each is None else tree.Some(found.each, test(field))


# --- operators ---


def is_present(field: tree.Field) -> Node:
    """Something is there, null too."""
    return tree.IsType(field, PRESENT)


def is_nothing(field: tree.Field) -> Node:
    """Nothing is there, or null."""
    return tree.IsType(field, ("missing", "null"))


def is_empty(field: tree.Field) -> Node:
    """Nothing is there, or null, or what holds nothing; or an array that has one of these."""
    return tree.Or((is_nothing(field), tree.Contains(tree.Literal(["", [], {}]), field, RQL)))


def is_one_of(field: tree.Field, values: list[Constant]) -> Node:
    """One of the values is there; nothing is there, when null is among them."""
    found = tree.Contains(tree.Literal(values), field, RQL)
    return tree.Or((found, tree.IsType(field, ("missing",)))) if None in values else found


def differs(field: tree.Field, value: Constant) -> Node:
    """Something is there, and no value is equal."""
    return tree.And((is_present(field), tree.Not(tree.Compare("==", field, tree.Literal(value), RQL))))


# --- properties ---


def find_property(name: str, use: Use, fields: Fields = FIELDS) -> Property:
    """Where a property leads.

    Args:
        name: As it is written, with or without a slash before it.
        use: What asks. For an order `*` is a feature's id like any other.
        fields: Where the documents have what pointers begin with.

    Raises:
        InvalidQuery: There is no such property, or not for this use.
    """
    root, *rest = segments_of(name)
    path = fields.get(root)
    if path is None or use not in uses_of(root, rest, directory="/" in name[1:]):
        refuse_property(name)
    if root == "features" and rest[0] == ANY_FEATURE and use != "sort":
        return Property(tuple(rest[1:]), path)
    return Property((*path, *rest), None)


def uses_of(root: str, rest: list[str], *, directory: bool) -> frozenset[Use]:
    """What may ask for a property; nothing for a name that there is not.

    Args:
        root: The first name of the pointer.
        rest: The others.
        directory: Whether a slash stands behind the first name: `attributes/` is the whole object.
    """
    if root == "attributes":
        return EVERY_USE if directory else frozenset()
    if root == "_metadata":
        return FILTERS if rest else frozenset()
    if root != "features":
        return frozenset() if rest else EVERY_USE
    match rest:
        case [_] | [_, "properties" | "desiredProperties"]:
            return PRESENCE
        case [_, "definition"]:
            return FILTERS
        case [_, "properties" | "desiredProperties", *_]:
            return EVERY_USE
    return frozenset()


def segments_of(name: str) -> list[str]:
    """The keys of a pointer. `~0` is a tilde; `~1` stays what it is, so no key with a slash can be named.

    Raises:
        InvalidQuery: Two slashes follow each other, or there are too many keys.
    """
    if "//" in name:
        message = f"The JSON pointer {show(name)} has two slashes in a row: a key is not empty."
        raise InvalidQuery(message, reason="malformed-pointer", property=name)
    segments = name.removeprefix("/").removesuffix("/").split("/")
    if len(segments) > DEPTH_MAX:
        message = f"The JSON pointer {show(name)} has more than {DEPTH_MAX} keys (DEPTH_MAX)."
        raise InvalidQuery(message, reason="malformed-pointer", property=name)
    return [segment.replace("~0", "~") for segment in segments]


def refuse_property(name: str) -> NoReturn:
    """Refuse a property that there is not, or not for what asks."""
    message = f"Unknown property name: {printable(name[:QUERY_EXCERPT_CHARS_MAX])}"
    raise InvalidQuery(message, reason="unknown-property", property=name)
