"""What may stand at a place of a body where only some words may, for the error that names another one.

Rules: it is read from the type that the body is decoded as, so it is never behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from msgspec import inspect

STEP: Final = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")


def choices_of(kind: Any, path: str) -> tuple[str, ...]:
    """The words that may stand at a path of a body of this type; none where other values may.

    Args:
        kind: The type.
        path: As errors of msgspec name it: `$.commands[0].method`.
    """
    places = [shape_of(kind)]
    for step in STEP.finditer(path):
        places = [lower for place in places for lower in below(place, step[1])]
    words = [word for place in places for kind_ in each_of(place) for word in words_of(kind_)]
    return tuple(dict.fromkeys(words))


@cache
def shape_of(kind: Any) -> inspect.Type:
    """The parts of a type; there are as many as endpoints."""
    return inspect.type_info(kind)


def each_of(place: inspect.Type) -> tuple[inspect.Type, ...]:
    """The types that a type is made of."""
    return place.types if isinstance(place, inspect.UnionType) else (place,)


def below(place: inspect.Type, name: str | None) -> Iterator[inspect.Type]:
    """The types of what stands in a value: under a name, or as an item."""
    for kind in each_of(place):
        if isinstance(kind, inspect.StructType):
            yield from (field.type for field in kind.fields if field.encode_name == name)
            if kind.tag_field == name:
                yield inspect.LiteralType((kind.tag,))
        elif isinstance(kind, inspect.DictType):
            yield kind.value_type
        elif isinstance(kind, inspect.ListType) and name is None:
            yield kind.item_type


def words_of(kind: inspect.Type) -> tuple[str, ...]:
    """The words that a type allows, if it allows nothing else."""
    return tuple(map(str, kind.values)) if isinstance(kind, inspect.LiteralType) else ()
