"""The cases, and the requests that are too long to stand in the file: it names those in words, and here they are made.

Rules: the file is kept as it came, but for names of others. A case is run here, or `elsewhere.toml` says why not.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

from crdtstore import limits
from crdtstore.crdt.actor import format_actor

FOLDER: Final = Path(__file__).parent
CASES: Final[dict[str, dict[str, Any]]] = {
    row["id"]: row for row in map(json.loads, (FOLDER / "cases.jsonl").read_text(encoding="utf-8").splitlines())
}
LISTED: Final[dict[str, dict[str, str]]] = tomllib.loads((FOLDER / "elsewhere.toml").read_text(encoding="utf-8"))
NOT_RUN: Final = {**LISTED["elsewhere"], **LISTED["absent"]}
FAILS: Final = LISTED["fails"]

PATHS: Final = {"query-cursor-forged": "/api/v4/store/find"}
"""Where a case speaks of what an older version of the API takes no notice of: pages."""


def write(value: str, collection: str = "p") -> bytes:
    """The body of a write of one document, whose value is given as JSON."""
    return b'{"commands":[{"method":"upsert","collection":"%b","value":%b}]}' % (collection.encode(), value.encode())


def document(**fields: Any) -> bytes:
    """The same with a value that Python writes."""
    return write(json.dumps({"_id": "a", **fields}))


def raw_text(data: bytes) -> bytes:
    """A write of a text of these bytes."""
    return document(x="HERE").replace(b"HERE", data)


def lines() -> bytes:
    """Five commands as lines, the third cut off."""
    one = [json.dumps({"method": "upsert", "collection": "p", "value": {"_id": str(n)}}) for n in range(5)]
    return "\n".join([*one[:2], one[2][:-9], *one[3:]]).encode()


def commands(number: int) -> bytes:
    """So many upserts."""
    one = [{"method": "upsert", "collection": "p", "value": {"_id": str(each)}} for each in range(number)]
    return json.dumps({"commands": one}).encode()


def increments() -> bytes:
    """A counter that goes beyond 64 bits."""
    declared = {"method": "upsert", "collection": "p", "value": {"_id": "a", "n": limits.INT_MAX}}
    step = {"method": "increment", "path": "n", "value": limits.INT_MAX}
    update = {"method": "update", "collection": "p", "query": "true", "commands": [step, step]}
    return json.dumps({"commands": [{**declared, "valueTypes": {"n": "counter"}}, update]}).encode()


def query(text: str) -> bytes:
    """A find."""
    return json.dumps({"collection": "p", "query": text}).encode()


def nested(depth: int) -> Any:
    """Maps in maps."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def colliding(number: int) -> dict[str, int]:
    """Names that one short, unkeyed hash (FNV-1a, the low 6 bits) puts into one place."""
    found: dict[str, int] = {}
    for each in count():
        name, value = f"k{each}", 0x811C9DC5
        for byte in name.encode():
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
        if value & 0x3F == 0:
            found[name] = 1
            if len(found) == number:
                return found
    raise AssertionError


def long_ids() -> bytes:
    """Two ids that are the same for a thousand bytes."""
    both = [{"method": "upsert", "collection": "p", "value": {"_id": "a" * 1000 + end}} for end in "12"]
    return json.dumps({"commands": both}).encode()


BODIES: Final[dict[str, Callable[[], bytes]]] = {
    "json-int-4400-digits": lambda: write('{"_id":"a","x":%s}' % ("9" * 4400)),
    "json-cesu8": lambda: raw_text(b"\xed\xa0\x80"),
    "json-invalid-utf8": lambda: raw_text(b"\xff"),
    "json-overlong-utf8": lambda: raw_text(b"\xc0\x80"),
    "json-utf16-body": lambda: document().decode().encode("utf-16"),
    "json-depth-64": lambda: document(x=nested(limits.DEPTH_MAX - 1)),
    "json-depth-1e5": lambda: write('{"_id":"a","x":%s}' % ("[" * 100_000 + "]" * 100_000)),
    "json-wide-1e5-keys": lambda: document(**{f"k{each}": 1 for each in range(100_000)}),
    "json-hash-flood": lambda: document(**colliding(1_000)),
    "jsonl-one-bad-line": lines,
    "id-511": lambda: write('{"_id":"%s"}' % ("a" * 511)),
    "id-1024": lambda: write('{"_id":"%s"}' % ("a" * 1024)),
    "id-1025": lambda: write('{"_id":"%s"}' % ("a" * 1025)),
    "id-long-common-prefix": long_ids,
    "collection-256": lambda: write('{"_id":"a"}', "c" * 256),
    "value-16MiB+1": lambda: document(x="x" * (16 << 20)),
    "txn-10^5-commands": lambda: commands(100_001),
    "client-id-server-site": document,
    "counter-overflow": increments,
    "http-gzip-bomb": lambda: b"\x1f\x8b" + bytes(1 << 20),
    "query-depth-10^4": lambda: query("not(" * 10_000),
    "query-in-10^5": lambda: query(f"_id in {list(range(100_000))}"),
    "query-cursor-forged": lambda: b"",
}
"""What `body_gen` says in words."""

HEAD: Final = (
    b"Authorization: Bearer KEY\r\nX-DITTO-CLIENT-ID: AAAAAAAAAAUAAAAAAAAAAA==\r\nContent-Type: application/json\r\n"
)
POST: Final = b"POST /api/v3/store/write HTTP/1.1\r\nHost: localhost\r\n" + HEAD
GET: Final = b"GET /txn HTTP/1.1\r\nHost: localhost\r\n" + HEAD

RAW: Final[dict[str, bytes]] = {
    "body-over-limit-CL": POST + b"Content-Length: 10737418240\r\n\r\n",
    "http-cl-te": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "http-dup-cl-differ": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "http-te-xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "http-two-hosts": GET + b"Host: evil.example\r\n\r\n",
    "http-0.9": b"GET /a\r\n\r\n",
    "http-header-1MiB": GET + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "http-1000-headers": GET + b"".join(b"X-%d: a\r\n" % each for each in range(1000)) + b"\r\n",
    "http-64k-target": b"GET /" + b"a" * 65_500 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "http-absolute-form": b"GET http://evil/api/v3 HTTP/1.1\r\nHost: localhost\r\n" + HEAD + b"\r\n",
    "http-pipeline-100": (GET + b"\r\n") * 99 + GET + b"Connection: close\r\n\r\n",
    "auth-two-headers": GET + b"Authorization: Bearer other\r\nConnection: close\r\n\r\n",
}
"""What `raw` says in words: bytes for a connection; KEY stands for the key."""

ACTOR: Final = format_actor((5).to_bytes(8) + bytes(8))
