"""The commands, as callers write them: upsert, update and remove, told apart by `method`.

Rules: field names are those of the HTTP API; unknown fields are refused, so that nothing a caller meant is dropped
and nothing internal can be set from outside. Commands are values: they are checked when they run.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from crdtstore.crdt.value import Value


class Upsert(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="upsert"):
    """Write the given fields of a document; fields that are not given stay.

    `id` absent: `value` may hold it as `_id`, else one is generated and returned. `value_types` declares a type
    for a path: `counter`, `attachment` for a token, or `register` for an object that is to be replaced as a whole.
    `initial`: only if no document of this id exists here, and then as INITIAL writes, which lose to every other write.
    """

    collection: str
    value: dict[str, Value]
    id: Value = msgspec.UNSET
    value_types: dict[str, str] = msgspec.field(default_factory=dict, name="valueTypeOverrides")
    initial: bool = False


class Set(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="set"):
    """Write a value at a path."""

    path: str
    value: Value = None


class SetAttachment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="setAttachment"):
    """Write an attachment's token at a path."""

    path: str
    value: Value


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


FieldCommand: TypeAlias = Set | SetAttachment | Increment | ReplaceWithCounter


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="update"):
    """Run field commands on every document that a query matches."""

    collection: str
    query: str
    commands: list[FieldCommand]
    args: dict[str, Value] | None = None


class Remove(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="remove"):
    """Remove every document that a query matches.

    `deletes`: `observed` removes what was seen, and a concurrent write survives; `permanent` buries the document, so
    that nothing that was or will be written to this id has an effect.
    """

    collection: str
    query: str
    args: dict[str, Value] | None = None
    deletes: Literal["observed", "permanent"] = "observed"


Command: TypeAlias = Upsert | Update | Remove
