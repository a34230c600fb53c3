"""Peers that speak CouchDB's API: CouchDB itself, which somebody runs, and express-pouchdb, which `pouch.js` does.

Rules: CRDTSTORE_BENCH_COUCHDB is the URL of a CouchDB on this machine, with a name and a password where it wants them;
it gets a database of its own, which is removed at the end. CRDTSTORE_BENCH_NODE is the folder where express-pouchdb was
installed (`npm install express@4 express-pouchdb pouchdb-node`). Rows of what is not there are left out, and a note
says so. A write is a `PUT` of one new document. CouchDB flushes before it answers, in groups (versions before 3 where
`delayed_commits` is off), express-pouchdb does not.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.children import ROOT
from bench.load import request_of
from bench.workloads import profile

URL = "CRDTSTORE_BENCH_COUCHDB"
FOLDER = "CRDTSTORE_BENCH_NODE"
POUCH_DATABASE = "docs"


class Database(NamedTuple):
    """A database of a CouchDB that runs on this machine."""

    port: int
    name: str
    authorization: str


def command_of_pouch(folder: str) -> list[str] | None:
    """The command that runs express-pouchdb over a folder; None where it is not installed."""
    packages, node = os.environ.get(FOLDER), shutil.which("node")
    if packages is None or node is None:
        print(f"Not installed, so left out: express-pouchdb (node, and {FOLDER}).", file=sys.stderr)
        return None
    return ["env", f"NODE_PATH={packages}/node_modules", node, str(ROOT / "bench" / "pouch.js"), folder]


@contextmanager
def database() -> Iterator[Database | None]:
    """A database of the CouchDB that is named, removed at the end; None where none is named.

    Raises:
        RuntimeError: It cannot be made.
    """
    url = os.environ.get(URL)
    if url is None:
        print(f"Not named, so left out: CouchDB ({URL}).", file=sys.stderr)
        yield None
        return
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost"} or parts.port is None:
        raise RuntimeError(f"{URL} is http://[NAME:PASSWORD@]127.0.0.1:PORT: both sides use the same machine.")
    credential = f"{parts.username}:{parts.password}".encode() if parts.username else b""
    made = Database(parts.port, f"bench-{secrets.token_hex(4)}", f"Basic {b64encode(credential).decode()}")
    ask(made, "PUT")
    try:
        yield made
    finally:
        ask(made, "DELETE")


def ask(database: Database, method: str) -> None:
    """Make or remove a database."""
    with closing(HTTPConnection("127.0.0.1", database.port)) as connection:
        connection.request(method, f"/{database.name}", headers={"Authorization": database.authorization})
        answer = connection.getresponse()
        said = answer.read()
    if answer.status not in {200, 201}:
        raise RuntimeError(f"CouchDB answered {method} with {answer.status}: {said!r:.200}")


def put_of(number: int, name: str = POUCH_DATABASE, authorization: str = "") -> bytes:
    """A write as it goes over the wire."""
    headers = [f"Authorization: {authorization}"] if authorization else []
    return request_of(f"PUT /{name}/{number} HTTP/1.1", headers, profile(number))
