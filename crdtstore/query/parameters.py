"""Parameters are the constants of a query that are known only when it runs: a tree with some is bound to their values.

Rules: a value is put in as a constant, so none can change what the rest of a query means. A parameter without a value
is refused, and so is a value without a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from crdtstore.crdt.value import Value, check_value
from crdtstore.errors import InvalidValue
from crdtstore.query.tree import ArrayLiteral, Base, Literal, Node, Parameter


class EveryName(Mapping[str, Parameter]):
    """Arguments of which each name is there, as a parameter: what a query is read with that is run later."""

    def __getitem__(self, name: str) -> Parameter:
        return Parameter(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1


def parameters_of(part: Any) -> frozenset[str]:
    """The names of a tree's parameters."""
    if isinstance(part, Parameter):
        return frozenset({part.name})
    if isinstance(part, tuple):
        return frozenset().union(*map(parameters_of, part))
    if isinstance(part, Base) and not isinstance(part, Literal):
        return parameters_of(tuple(getattr(part, name) for name in part.__struct_fields__))
    return frozenset()


def bind_parameters(node: Node, args: Mapping[str, Value]) -> Node:
    """The tree with values in place of its parameters.

    Raises:
        InvalidValue: A value is missing or too much, or is outside of the value model.
    """
    wanted = parameters_of(node)
    if wanted != args.keys():
        odd = sorted(wanted ^ args.keys())
        raise InvalidValue(f"The query has the parameters {sorted(wanted)}; {odd} do not fit.", names=odd)
    for value in args.values():
        check_value(value)
    bound: Node = put_values(node, args)
    return bound


def put_values(part: Any, args: Mapping[str, Value]) -> Any:
    """A part of a tree with its values."""
    if isinstance(part, Parameter):
        return Literal(args[part.name])
    if isinstance(part, tuple):
        return tuple(put_values(each, args) for each in part)
    if not isinstance(part, Base) or isinstance(part, Literal):
        return part
    fields = {name: put_values(getattr(part, name), args) for name in part.__struct_fields__}
    bound = msgspec.structs.replace(part, **fields)
    if isinstance(bound, ArrayLiteral) and all(isinstance(item, Literal) for item in bound.items):
        return Literal([item.value for item in bound.items if isinstance(item, Literal)])
    return bound
