"""The commands of a write request, read from JSON: what is understood, what is refused, and where it says it is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from crdtstore.command import parse
from crdtstore.command.command import Increment, Remove, ReplaceWithCounter, Set, Update, Upsert
from crdtstore.command.parse import parse_commands
from crdtstore.errors import LimitExceeded, MalformedRequest


def body(*commands: Any, **beside: Any) -> bytes:
    """A write request."""
    return json.dumps({"commands": commands, **beside}).encode()


UPSERT = {"method": "upsert", "collection": "c", "value": {"a": 1}}
UPDATE = {"method": "update", "collection": "c", "query": "true", "commands": []}
REMOVE = {"method": "remove", "collection": "c", "query": "true"}


def test_every_command() -> None:
    """Each verb with all its fields, in order."""
    steps = [
        {"method": "set", "path": "a.b", "value": [1, None]},
        {"method": "set", "path": "a"},
        {"method": "increment", "path": "n", "value": -2.5},
        {"method": "increment", "path": "n"},
        {"method": "replaceWithCounter", "path": "n"},
        {"method": "replaceWithCounter", "path": "n", "value": 3},
    ]
    commands = parse_commands(
        body(
            {**UPSERT, "id": {"k": 1}, "valueTypeOverrides": {"a": "counter"}},
            UPSERT,
            {**UPDATE, "args": {"x": 1}, "commands": steps},
            {**REMOVE, "args": {"x": None}},
            REMOVE,
        )
    )
    assert commands == (
        Upsert("c", {"a": 1}, {"k": 1}, {"a": "counter"}),
        Upsert("c", {"a": 1}),
        Update(
            "c",
            "true",
            [
                Set("a.b", [1, None]),
                Set("a", None),
                Increment("n", -2.5),
                Increment("n", 1),
                ReplaceWithCounter("n", None),
                ReplaceWithCounter("n", 3),
            ],
            {"x": 1},
        ),
        Remove("c", "true", {"x": None}),
        Remove("c", "true"),
    )
    first, second = commands[:2]
    assert isinstance(first, Upsert)
    assert isinstance(second, Upsert)
    assert second.id is msgspec.UNSET


def test_an_id_of_null_is_not_an_absent_one() -> None:
    """It is kept, so that it can be refused rather than replaced by a new id."""
    (command,) = parse_commands(body({**UPSERT, "id": None}))
    assert isinstance(command, Upsert)
    assert command.id is None


def test_unknown_fields_beside_the_commands_are_tolerated() -> None:
    """Clients send them."""
    assert len(parse_commands(body(UPSERT, clientVersion=3, more={"a": []}))) == 1


@pytest.mark.parametrize(
    ("request_body", "place", "reason"),
    [
        (body(UPSERT, {**UPSERT, "extra": 1}), "$.commands[1]", "unknown field `extra`"),
        (body({**UPDATE, "extra": 1}), "$.commands[0]", "unknown field `extra`"),
        (body({**REMOVE, "value": 1}), "$.commands[0]", "unknown field `value`"),
        (body({**UPSERT, "types": {}}), "$.commands[0]", "unknown field `types`"),
        (
            body({**UPDATE, "commands": [{"method": "set", "path": "a", "x": 1}]}),
            "$.commands[0].commands[0]",
            "unknown field `x`",
        ),
        (body({**UPSERT, "method": "insert"}), "$.commands[0].method", "insert"),
        (body({"collection": "c", "value": {}}), "$.commands[0]", "method"),
        (body({"method": "upsert", "collection": "c"}), "$.commands[0]", "value"),
        (body({**UPSERT, "collection": 5}), "$.commands[0].collection", "str"),
        (body({**UPSERT, "value": [1]}), "$.commands[0].value", "object"),
        (body({**UPSERT, "value": None}), "$.commands[0].value", "object"),
        (body({**UPSERT, "valueTypeOverrides": {"a": 1}}), "$.commands[0].valueTypeOverrides[...]", "str"),
        (body({**UPDATE, "query": None}), "$.commands[0].query", "str"),
        (body({**UPDATE, "args": []}), "$.commands[0].args", "object"),
        (body({**UPDATE, "commands": [{"method": "add", "path": "a"}]}), "$.commands[0].commands[0].method", "add"),
        (body({**UPDATE, "commands": [{"method": "set"}]}), "$.commands[0].commands[0]", "path"),
        (body(5), "$.commands[0]", "object"),
        (b'{"commands": {}}', "$.commands", "array"),
        (b"{}", "", "commands"),
        (b"[]", "", "object"),
        (b"null", "", "object"),
    ],
)
def test_the_message_names_the_place(request_body: bytes, place: str, reason: str) -> None:
    """What is not understood is refused with its JSON path and the reason, in one sentence."""
    with pytest.raises(MalformedRequest) as refused:
        parse_commands(request_body)
    message = refused.value.message
    assert message.startswith("The write request is not understood: ")
    assert place in message
    assert reason in message
    assert message.endswith(".")


@pytest.mark.parametrize("request_body", [b"", b"{", b'{"commands": [}', b"\xff", b'{"commands": []} x'])
def test_what_is_not_json(request_body: bytes) -> None:
    """The request's scan refuses it before; this refuses it too."""
    with pytest.raises(MalformedRequest):
        parse_commands(request_body)


def test_the_number_of_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the bound, not beyond."""
    monkeypatch.setattr(parse, "COMMANDS_MAX", 2)
    assert parse_commands(body()) == ()
    assert len(parse_commands(body(UPSERT, UPSERT))) == 2
    with pytest.raises(LimitExceeded) as refused:
        parse_commands(body(UPSERT, UPSERT, UPSERT))
    assert refused.value.data == {"limit": "COMMANDS_MAX", "value": 3, "maximum": 2}
