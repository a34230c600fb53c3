"""Targets of texts from callers: JSON, commands, JSON Lines, queries, ids and paths, keys and headers."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from crdtstore import _core, core
from crdtstore.auth import key_form
from crdtstore.auth.credential import Credential
from crdtstore.cli import reader
from crdtstore.command import parse
from crdtstore.crdt import actor, identifier, json_scan, path
from crdtstore.errors import (
    CallerError,
    InvalidDocument,
    InvalidId,
    LimitExceeded,
    MalformedClientId,
    MalformedJson,
    MalformedRequest,
    QuerySyntaxError,
    RetryLater,
    Unauthenticated,
)
from crdtstore.http import headers, request
from crdtstore.http.channel import Head
from crdtstore.limits import JSON_DEPTH_MAX
from crdtstore.query import legacy
from crdtstore.query.legacy_print import print_legacy
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.store import Store
from tests.core.json_texts import DEPTH, FLAWED, SCALARS, STRINGS, make_text, refusal, spoil_text
from tests.core.test_record import ids
from tests.fuzz.engine import Target
from tests.fuzz.seeds import collect, different
from tests.fuzz.twins import both
from tests.query import strategies

# --- JSON ---

JSON_PIECES = (*SCALARS, *STRINGS, *FLAWED, b"[", b'{"a":', b"]", b"}", b',"a":1', b'"_id":')


COMMAND_PIECES = (
    *SCALARS,
    *STRINGS,
    b'"$args.a"',
    b'"counter"',
    b'"register"',
    b'"set"',
    b'"increment"',
    b'"a.b[0]"',
    b"{}",
)


def scan(side: Any) -> Callable[[bytes], Any]:
    """Scan, and tell everything that a refused caller is told."""
    return lambda data: refusal(side.scan_json, data, DEPTH)


@cache
def json_seeds() -> list[bytes]:
    return different([make(number) for number in range(200) for make in (make_text, spoil_text)], 400)


COMMANDS = [
    {"method": "upsert", "collection": "c", "value": {"_id": "a", "x": 1, "y": {"z": [1, None, "t"]}}},
    {"method": "upsert", "collection": "c", "id": 7, "value": {"n": 2.5}, "valueTypeOverrides": {"n": "counter"}},
    {
        "method": "upsert",
        "collection": "d",
        "value": {"_id": {"k": True}, "o": {}},
        "valueTypeOverrides": {"o": "register"},
    },
    {
        "method": "update",
        "collection": "c",
        "query": "x == 1 || y.z[0] == $args.a",
        "args": {"a": [1, "b"]},
        "commands": [
            {"method": "set", "path": "x", "value": {"deep": [{}]}},
            {"method": "increment", "path": "n", "value": 3},
            {"method": "replaceWithCounter", "path": "m", "value": 1},
        ],
    },
    {"method": "remove", "collection": "c", "query": "_id == 'a'"},
]


@cache
def command_seeds() -> list[bytes]:
    parts = [*([command] for command in COMMANDS), COMMANDS, COMMANDS[1:4], []]
    return [msgspec.json.encode({"commands": part}) for part in parts]


def commands_of(data: bytes) -> Any:
    """What a write request goes through before it is run."""
    core.scan_json(data, JSON_DEPTH_MAX)
    return parse.parse_commands(data)


def check_commands(_data: bytes, taken: Any) -> None:
    again = parse.parse_commands(msgspec.json.encode({"commands": taken}))
    same = msgspec.json.encode(again) == msgspec.json.encode(taken)
    assert same


def written(data: bytes) -> Store:
    """Run the commands on a store in memory; a refusal leaves no trace."""
    commands = commands_of(data)
    store = Store.in_memory(origin=bytes(15) + b"\1")
    try:
        store.write(commands)
    except CallerError:
        assert not store.applied and not store.collections()  # noqa: PT018
        store.close()
        raise
    return store


def check_written(_data: bytes, store: Store) -> None:
    """What was written can be read, and as JSON it is strict."""
    with store:
        for collection in store.collections():
            for document in store.scan(collection):
                printed = store.get_json(collection, document.id)
                assert printed is not None
                core.scan_json(printed, JSON_DEPTH_MAX)


@cache
def line_seeds() -> list[bytes]:
    lines = b'{"_id": 1, "a": "x"}\n\n{"_id": 2}\r\n  {"_id": {"k": [1]}, "b": null}\n{"_id": "last"}'
    return [
        lines,
        b"\n" + lines,
        b"[" + lines.replace(b"}\n", b"},\n").replace(b"}\r", b"},\r") + b"]",
        b" [{},\n {}]\n",
        b"",
    ]


def check_lines(data: bytes, taken: list[reader.Line]) -> None:
    """Lines come in their order, are there, and are no larger than the input."""
    numbers = [line.number for line in taken]
    assert numbers == sorted(numbers)
    assert not numbers or numbers[-1] <= data.count(b"\n") + 1
    assert sum(line.bytes for line in taken) <= len(data)


# --- queries ---

QUERY_PIECES = [
    b"(",
    b")",
    b"[",
    b"]",
    b"!",
    b"&&",
    b"||",
    b"==",
    b"'",
    b'"',
    b"\\u",
    b"\\ud800",
    b"$args",
    b":",
    b".",
    b",",
]
QUERY_PIECES += [
    b"regex(",
    b"contains(",
    b"true",
    b"null",
    b"9223372036854775808",
    b"1e400",
    b"-0",
    b"a.b",
    b"[0]",
    b"\xff",
]
DOCUMENT = {"_id": "a", "a": {"b": [1, 2.5, "x", None]}, "x": 1, "t": "text", "d": "2024-01-01T00:00:00Z"}
ARGS = {"a": 1, "b": "x", "c": [1, "2"]}


@cache
def query_seeds() -> list[bytes]:
    made = [print_legacy(tree).encode() for tree in collect(strategies.written_queries, 150)]
    more = [
        "a == $args.a && b != :b",
        "startsWith(t, 'te') || regex(t, '^t.*(x|y)$')",
        'a.b[2] == "x"',
        "['k']['l'] < 3",
    ]
    return different([*made, *(text.encode() for text in more)], 400)


def parse_query(data: bytes) -> Any:
    return legacy.parse(data.decode("utf-8", "replace"), ARGS)


def check_query(_data: bytes, node: Any) -> None:
    """The tree can be run, and the text that is printed of it gives it again."""
    assert compile_match(node)(lookup_in(DOCUMENT)) in {True, False}
    again = legacy.parse(print_legacy(node))
    same = again == node
    assert same, print_legacy(node)


def check_path(_data: bytes, taken: tuple[str | int, ...]) -> None:
    assert taken
    assert all(type(segment) in {str, int} for segment in taken)


# --- ids, paths, keys, headers ---


@cache
def id_seeds() -> list[bytes]:
    return different([identifier.encode_id(id_) for id_ in collect(ids, 200)], 400)


def check_id(data: bytes, taken: Any) -> None:
    assert identifier.encode_id(taken) == data


def path_of(data: bytes) -> tuple[str, ...]:
    """The keys of bytes that are a path."""
    if not path.is_path(data):
        raise InvalidDocument("No path.")
    return path.decode_path(data)


def check_encoded_path(data: bytes, taken: tuple[str, ...]) -> None:
    assert path.encode_path(taken) == data
    assert all(data.startswith(above) for above in path.ancestors(data))
    path.format_path(data)


HEADERS = [b"host: localhost:8080", b"content-type: application/json; charset=utf-8", b"content-length: 12"]
HEADERS += [
    b"authorization: Bearer ABCDEFGHIJKL_cs1_" + b"x" * 33,
    b"x-ditto-txn-id: 42",
    b"content-type: application/json",
]
HEADERS += [
    b"x-ditto-client-id: AAAAAAAAAAEAAAAAAAAAAQ==",
    b"transfer-encoding: chunked",
    b"content-encoding: identity",
]
HEADERS += [b"host: [::1]:1", b"host: 127.0.0.1", b"content-type: application/msgpack", b"accept: */*"]
HEADERS += [
    b'content-type: application/json;charset="UTF8"',
    b"content-length: 00000000000000000",
    b"authorization: bearer  t",
    b"x-crdtstore-at: 41",
]


def header_seeds() -> list[bytes]:
    chosen = [
        (0, 1, 2, 3, 4, 6),
        (0, 1, 3, 4, 16),
        (0, 5),
        (9, 5, 8, 15),
        (10, 13, 7, 12),
        (0, 5, 14, 4),
        (9, 1, 6),
        (0, 1, 3),
    ]
    return [b"\n".join(HEADERS[at] for at in places) for places in chosen]


def read_request(data: bytes) -> Any:
    """A head of these lines, and everything that is read of it."""
    pairs = [line.partition(b": ")[::2] for line in data.split(b"\n")]
    fields = [(name.lower(), value) for name, value in pairs]
    head = request.read_head(Head("POST", b"/x", b"", "1.1", fields), "::", None)
    read = [headers.credential_of, headers.actor_of, headers.txn_of, headers.at_of]
    answers: list[Any] = []
    for one in read:
        try:
            answers.append(one(head))
        except CallerError as error:
            answers.append(type(error))
    request.check_announced(head.headers, (request.JSON,))
    return head.has_body, answers


def check_request(_data: bytes, taken: Any) -> None:
    _, (credential, author, *txns) = taken
    assert credential is Unauthenticated or isinstance(credential, Credential)
    assert author in (None, MalformedClientId) or len(author) == 16
    assert all(txn in (None, MalformedRequest) or 0 <= txn < 2**63 for txn in txns)


def key_seeds() -> list[bytes]:
    return [b"ABCDEFGHIJKL_cs1_" + b"x" * 33, b"0123456789ab_cs1_" + b"Z" * 80]


def text_target(name: str, take: Callable[[str], Any], allowed: type[Exception], seeds: Any, check: Any) -> Target:
    """A target that takes text of any characters, those that a header can carry."""
    return Target(name, lambda data: take(data.decode("latin-1")), (allowed,), seeds, check)


MALFORMED = (MalformedJson, MalformedRequest, LimitExceeded)
TARGETS = [
    Target("json-scan", both(scan(_core), scan(json_scan)), (), json_seeds, form="text", fragments=JSON_PIECES),
    Target(
        "json-commands", commands_of, MALFORMED, command_seeds, check_commands, form="text", fragments=COMMAND_PIECES
    ),
    Target(
        "json-write",
        written,
        (CallerError, RetryLater),
        command_seeds,
        check_written,
        form="text",
        fragments=COMMAND_PIECES,
    ),
    Target(
        "json-lines",
        lambda data: list(reader.read_documents(io.BytesIO(data))),
        MALFORMED,
        line_seeds,
        check_lines,
        form="text",
        fragments=JSON_PIECES,
    ),
    Target(
        "query",
        parse_query,
        (QuerySyntaxError, LimitExceeded, InvalidDocument),
        query_seeds,
        check_query,
        form="text",
        fragments=QUERY_PIECES,
    ),
    Target(
        "query-path",
        lambda data: legacy.parse_path(data.decode("utf-8", "replace")),
        (QuerySyntaxError,),
        lambda: [b"a.b[0]", b"work['street-line'].x", b'a["\\u00e9"][12].true', b"_id"],
        check_path,
        form="text",
        fragments=QUERY_PIECES,
    ),
    Target("id", lambda data: identifier.decode_id(data), (InvalidId,), id_seeds, check_id),
    Target(
        "path",
        path_of,
        (InvalidDocument,),
        lambda: [path.encode_path(keys) for keys in [(), ("a",), ("\x00", "\x01b", ""), ("\xe9", "k" * 40) * 3]],
        check_encoded_path,
    ),
    text_target("api-key", lambda text: key_form.split(text), Unauthenticated, key_seeds, lambda _data, _taken: None),
    text_target(
        "client-id",
        lambda text: actor.parse_actor(text),
        MalformedClientId,
        lambda: [actor.format_actor(bytes(range(at, at + 16))).encode() for at in (0, 100, 240)],
        lambda data, taken: assert_same(actor.format_actor(taken).encode(), data),
    ),
    Target("headers", read_request, (CallerError,), header_seeds, check_request, form="text", fragments=HEADERS),
]


def assert_same(one: bytes, other: bytes) -> None:
    assert one == other
