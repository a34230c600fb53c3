"""The commands, as callers write them: upsert, update and remove, told apart by `method`.

Rules: field names are those of the HTTP API; unknown fields are refused, so that nothing a caller meant is dropped
and nothing internal can be set from outside. Commands are values: they are checked when they run.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from crdtstore.crdt.value import Value


class Upsert(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="upsert"):
    """Write the given fields of a document; fields that are not given stay.

    `id` absent: `value` may hold it as `_id`, else one is generated and returned. `value_types` declares a type
    for a path: `counter`, or `register` for an object that is to be replaced as a whole.
    """

    collection: str
    value: dict[str, Value]
    id: Value = msgspec.UNSET
    value_types: dict[str, str] = msgspec.field(default_factory=dict, name="valueTypeOverrides")


class Set(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="set"):
    """Write a value at a path."""

    path: str
    value: Value = None


class Increment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="increment"):
    """Add to the counter at a path; creates one where nothing is."""

    path: str
    value: Value = 1


class ReplaceWithCounter(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="replaceWithCounter"
):
    """Start a counter at a path, at the given value."""

    path: str
    value: Value = None


FieldCommand: TypeAlias = Set | Increment | ReplaceWithCounter


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="update"):
    """Run field commands on every document that a query matches."""

    collection: str
    query: str
    commands: list[FieldCommand]
    args: dict[str, Value] | None = None


class Remove(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="remove"):
    """Remove every document that a query matches."""

    collection: str
    query: str
    args: dict[str, Value] | None = None


Command: TypeAlias = Upsert | Update | Remove
