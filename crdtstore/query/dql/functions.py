"""The functions of the statement language on plain values: a table from name to what each gives.

Rules: most functions are strict: where an argument is missing the result is MISSING, else where one is null it is null,
else where one is of another type than the function takes it is MISSING. The others are open: they see every argument as
it is. Nothing raises for a value; a pattern that is none makes the result MISSING.

Not here: how many arguments there are (`signatures`), which the parser checks; `clock` and `type`, which depend on more
than their arguments (`evaluate`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from crdtstore import core
from crdtstore.crdt.value import Number, Value, check_value
from crdtstore.errors import CallerError, InvalidValue
from crdtstore.limits import DOCUMENT_BYTES_MAX, JSON_DEPTH_MAX
from crdtstore.query.dql import date_format, dates
from crdtstore.query.dql.patterns import regular_pattern
from crdtstore.query.dql.values import bounded, flaw
from crdtstore.query.pattern import compile_pattern
from crdtstore.query.relation import TYPES, identity
from crdtstore.query.tree import MISSING, TypeName


class Strict(NamedTuple):
    """A strict function: the types of its arguments, of which the last repeats, and what it gives."""

    types: tuple[TypeName, ...]
    call: Callable[..., Value]


def call_function(name: str, arguments: tuple[Value, ...]) -> Value:
    """What a function gives for its arguments."""
    if name in OPEN:
        return OPEN[name](*arguments)
    types, call = STRICT[name]
    nothing = flaw(arguments)
    if nothing is not True:
        return nothing
    kinds = types + types[-1:] * (len(arguments) - len(types))
    if any(TYPES[value.__class__] != kind for value, kind in zip(arguments, kinds, strict=False)):
        return MISSING
    return call(*arguments)


# --- numbers ---


def floor(number: Number) -> Value:
    """The next whole number below, of the same type."""
    return number if isinstance(number, int) else float(math.floor(number))


def ceil(number: Number) -> Value:
    """The next whole number above, of the same type."""
    return number if isinstance(number, int) else float(math.ceil(number))


# --- strings ---


def concat(*texts: str) -> Value:
    """All texts, one behind the other."""
    return "".join(texts) if sum(map(len, texts)) <= DOCUMENT_BYTES_MAX else None


def regexp_like(text: str, pattern: str, flags: str = "") -> Value:
    """Whether a text holds a match of a regular expression."""
    try:
        return compile_pattern(regular_pattern(pattern, flags))(text)
    except InvalidValue:
        return MISSING


def deserialize_json(text: str) -> Value:
    """The value that a JSON text stands for."""
    try:
        data = text.encode()
        core.scan_json(data, JSON_DEPTH_MAX)
        value = msgspec.json.decode(data)
        check_value(value)
    except (CallerError, msgspec.MsgspecError, UnicodeEncodeError):
        return MISSING
    return value


# --- arrays and objects ---


def array_contains(array: Value, item: Value) -> bool:
    """Whether an array has an equal item; null equals null here, and what is no array has none."""
    if array.__class__ is not list or item is MISSING:
        return False
    wanted = identity(item, dates=False)
    return any(identity(each, dates=False) == wanted for each in array)


def object_size(value: dict[str, Value]) -> Value:
    """The bytes of an object as JSON, binary in Base64."""
    return len(msgspec.json.encode(value))


# --- what is not there ---


def coalesce(*values: Value) -> Value:
    """The first value that is neither missing nor null; null where there is none."""
    return next((value for value in values if value is not MISSING and value is not None), None)


def ifmissing(*values: Value) -> Value:
    """The first value that is not missing."""
    return next((value for value in values if value is not MISSING), MISSING)


def decode(value: Value, *pairs: Value) -> Value:
    """The result behind the first comparand that is equal, null to null; else the last argument of an even number."""
    for at in range(0, len(pairs) - 1, 2):
        comparand = pairs[at]
        if value is MISSING or comparand is MISSING:
            continue
        if identity(value, dates=False) == identity(comparand, dates=False):
            return pairs[at + 1]
    return pairs[-1] if len(pairs) % 2 else None


def is_of(*kinds: TypeName) -> Callable[[Value], bool]:
    """Make the test for types, which is true or false for everything."""
    return lambda value: TYPES[value.__class__] in kinds


# --- the tables ---

OPEN: Final[dict[str, Callable[..., Value]]] = {
    "array_contains": array_contains,
    "array_contains_null": lambda array: array_contains(array, None),
    "coalesce": coalesce,
    "decode": decode,
    "ifmissing": ifmissing,
    "is_boolean": is_of("boolean"),
    "is_number": is_of("number"),
    "is_string": is_of("string"),
    "ismissingornull": is_of("missing", "null"),
    "nvl": coalesce,
}
TEXT: Final[tuple[TypeName, ...]] = ("string",)
OBJECT: Final[tuple[TypeName, ...]] = ("object",)

STRICT: Final[dict[str, Strict]] = {
    "abs": Strict(("number",), lambda number: bounded(abs(number))),
    "array_length": Strict(("array",), len),
    "byte_length": Strict(TEXT, lambda text: len(text.encode())),
    "ceil": Strict(("number",), ceil),
    "char_length": Strict(TEXT, len),
    "character_length": Strict(TEXT, len),
    "concat": Strict(TEXT, concat),
    "contains": Strict(TEXT, lambda text, part: part in text),
    "date_add": Strict(("string", "string", "number"), dates.date_add),
    "date_cast": Strict(TEXT, date_format.date_cast),
    "date_diff": Strict(TEXT, dates.date_diff),
    "date_format": Strict(TEXT, date_format.date_format),
    "date_part": Strict(TEXT, dates.date_part),
    "date_sub": Strict(("string", "string", "number"), dates.date_sub),
    "date_trunc": Strict(TEXT, dates.date_trunc),
    "deserialize_json": Strict(TEXT, deserialize_json),
    "ends_with": Strict(TEXT, lambda text, part: text.endswith(part)),
    "floor": Strict(("number",), floor),
    "object_keys": Strict(OBJECT, list),
    "object_length": Strict(OBJECT, len),
    "object_size": Strict(OBJECT, object_size),
    "object_values": Strict(OBJECT, lambda value: list(value.values())),
    "regexp_like": Strict(TEXT, regexp_like),
    "starts_with": Strict(TEXT, lambda text, part: text.startswith(part)),
    "tz_offset": Strict(TEXT, dates.tz_offset),
}
