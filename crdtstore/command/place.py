"""The place in a refused command that is refused: which of its parts cannot stand, wherever it stood.

Rules: the parts are checked again, one by one and by themselves, after the command was refused; so a command that holds
costs nothing, and what is said is what the same checks say. A command whose parts hold is refused as a whole.

Not here: why it is refused, which its error says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from crdtstore.command.command import Increment, Remove, ReplaceWithCounter, SetAttachment, Upsert
from crdtstore.command.upsert import check_object, check_type, field_path
from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.flatten import flatten_value
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.path import ROOT, check_path_size, decode_path, encode_key
from crdtstore.crdt.value import check_key, check_number
from crdtstore.errors import CallerError
from crdtstore.limits import DEPTH_MAX
from crdtstore.query.legacy import parse
from crdtstore.storage.catalog import check_collection_name

if TYPE_CHECKING:
    from crdtstore.command.command import Command, FieldCommand, Update
    from crdtstore.crdt.value import Value

Place: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a part, as callers write it."""

Part: TypeAlias = tuple[Place, Callable[[], object]]
"""A part and what refuses it."""


def place_in(command: Command) -> Place:
    """Where the part stands that is refused; empty where it is the command as a whole."""
    return next((place for place, check in parts_of(command) if refuses(check)), ())


def refuses(check: Callable[[], object]) -> bool:
    """Whether a check refuses what it looks at."""
    try:
        check()
    except CallerError:
        return True
    return False


def parts_of(command: Command) -> Iterator[Part]:
    """The parts of a command."""
    yield ("collection",), partial(check_collection_name, command.collection)
    if isinstance(command, Upsert):
        yield from parts_of_upsert(command)
        return
    yield ("query",), partial(parse, command.query, command.args)
    if not isinstance(command, Remove):
        yield from parts_of_update(command)


def parts_of_upsert(command: Upsert) -> Iterator[Part]:
    """Its id, its types and its fields."""
    if command.id is not msgspec.UNSET:
        yield ("id",), partial(encode_id, command.id)
    yield ("value",), partial(check_object, command.value)
    if "_id" in command.value:
        yield ("value", "_id"), partial(encode_id, command.value["_id"])
    declared: dict[bytes, str] = {}
    for path, kind in command.value_types.items():
        yield ("valueTypeOverrides", path), partial(declare, path, kind, declared)
    fields = {key: value for key, value in command.value.items() if key != "_id"}
    yield from parts_of_map(fields, ROOT, declared, ("value",), 1)


def declare(path: str, kind: str, declared: dict[bytes, str]) -> None:
    """Enter a declared type."""
    declared[field_path(path)] = check_type(path, kind)


def parts_of_map(
    fields: Mapping[str, Value], path: bytes, declared: Mapping[bytes, str], place: Place, depth: int
) -> Iterator[Part]:
    """The fields of an object, each looked at once."""
    for key, value in fields.items():
        here = (*place, key)
        yield here, partial(check_key, key)
        inside = path + encode_key(key)
        yield here, partial(check_path_size, inside)
        if isinstance(value, dict) and inside not in declared and depth <= DEPTH_MAX:
            yield from parts_of_map(value, inside, declared, here, depth + 1)
        else:
            yield here, partial(exhaust, flatten_value, value, inside, declared, depth)


def exhaust(flatten: Callable[..., Iterator[object]], *arguments: object) -> None:
    """Flatten, for what it refuses."""
    for _ in flatten(*arguments):
        pass


def parts_of_update(command: Update) -> Iterator[Part]:
    """The paths and values of its field commands."""
    for number, step in enumerate(command.commands):
        yield ("commands", number, "path"), partial(field_path, step.path)
        yield ("commands", number, "value"), partial(check_step, step)


def check_step(step: FieldCommand) -> None:
    """Refuse a value that no document could take there."""
    match step:
        case SetAttachment():
            encode_token(step.value)
        case Increment():
            check_number(step.value)
        case ReplaceWithCounter():
            check_number(0 if step.value is None else step.value)
        case _:
            path = field_path(step.path)
            exhaust(flatten_value, step.value, path, {}, len(decode_path(path)))
