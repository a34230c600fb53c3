"""A server under test, as a case sees it: requests go to an address, answers come back.

Rules: each case starts on an empty store. A server that is given keeps what it has: there the collections of a case get
names of their own, everywhere in its requests and answers.

Not here: servers of our own (`own`).
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, Final, NamedTuple, Protocol, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from crdtstore.auth.permission import SYSTEM_PREFIX
from tests.conformance.case import Case

TIMEOUT_SECONDS: Final = 60
BOUNDARY: Final = "conformance-boundary"
CHANGES: Final = "/api/v4/store/changes?form=original"
NAMED: Final = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:COLLECTION\s+)?(\w+)", re.IGNORECASE)


class Answer(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def lines(self) -> list[Any]:
        """The body as JSON Lines."""
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]


class Target(Protocol):
    """Where a case is run."""

    variables: dict[str, Any]

    def send(self, step: Mapping[str, Any]) -> Answer:
        """Send a request."""

    def create_key(self, asked: Mapping[str, Any]) -> str | None:
        """Make a key with some permissions; None where that cannot be done."""

    def follow(self) -> AbstractContextManager[Iterator[bytes]]:
        """The events of the feed of changes from now on, each as JSON."""

    def lagging(self) -> AbstractContextManager[object]:
        """Make the feed too slow for what happens in a block; OSError where that cannot be done."""


MakeTarget: TypeAlias = "Callable[[Case], AbstractContextManager[Target]]"
"""Makes what a case is run against."""


class Remote:
    """A server at an address."""

    def __init__(self, base: str, key: str, app: str = "app") -> None:
        self.base = urlsplit(base)
        self.variables: dict[str, Any] = {"KEY": key, "APP": app, "JWT": key}
        kind = HTTPSConnection if self.base.scheme == "https" else HTTPConnection
        self.connection = kind(self.base.hostname or "", self.base.port, timeout=TIMEOUT_SECONDS)

    def send(self, step: Mapping[str, Any]) -> Answer:
        """Send a request."""
        body, content_type = body_of(step)
        headers = {"Content-Type": content_type} if content_type else {}
        path = step["path"] if step.get("absolute") else self.base.path.rstrip("/") + step["path"]
        given = {name: str(value) for name, value in step.get("headers", {}).items()}
        self.connection.request(step["method"], quote(path, safe="/?&=%:+$'@,;~()*!"), body, headers | given)
        response = self.connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def create_key(self, asked: Mapping[str, Any]) -> str | None:
        """Nobody can from here."""
        return None

    @contextmanager
    def follow(self) -> Iterator[Iterator[bytes]]:
        """The events of the feed of changes from now on, each as JSON."""
        other = Remote(self.base.geturl(), self.variables["KEY"])
        headers = {"Authorization": f"Bearer {self.variables['KEY']}", "Accept": "application/json-l"}
        try:
            other.connection.request("GET", self.base.path.rstrip("/") + CHANGES, headers=headers)
            response = other.connection.getresponse()
            if response.status != 200:
                raise OSError(f"the feed of changes answered {response.status}")
            yield (line for line in response if line.strip())
        finally:
            other.close()

    def lagging(self) -> AbstractContextManager[object]:
        """Nobody can from here."""
        raise OSError("a server that is not our own cannot be made to lag")

    def close(self) -> None:
        """End the connection."""
        self.connection.close()


def remote_target(base: str, key: str) -> MakeTarget:
    """What makes a target of a server that is given."""

    @contextmanager
    def make(case: Case) -> Iterator[Target]:
        target = Renaming(base, key, collections_of(case))
        try:
            yield target
        finally:
            target.close()

    return make


class Renaming(Remote):
    """A server whose collections are not empty: those of a case are named anew, but for those of the system.

    A document in one of the system's is about the collection or series that its id names, so that is changed too.
    """

    def __init__(self, base: str, key: str, names: frozenset[str]) -> None:
        super().__init__(base, key)
        end = secrets.token_hex(4)
        self.names = {name: f"{name}_{end}" for name in names}

    def send(self, step: Mapping[str, Any]) -> Answer:
        """Send a request with other names, and give its answer with the ones asked for."""
        answer = super().send(self.rename(step))
        return answer._replace(body=self.rename_back(answer.body))

    def rename_back(self, body: bytes) -> bytes:
        """A body with the names that were asked for."""
        for name, other in self.names.items():
            body = body.replace(other.encode(), name.encode())
        return body

    @contextmanager
    def follow(self) -> Iterator[Iterator[bytes]]:
        """The events of these collections from now on."""
        with super().follow() as events:
            yield map(self.rename_back, events)

    def rename(self, value: Any, key: str = "") -> Any:
        """The same with other names."""
        if isinstance(value, Mapping):
            is_about = str(value.get("collection", "")).startswith(SYSTEM_PREFIX)
            return {
                name: self.rename(item, "collection" if is_about and name == "id" else name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.rename(item, key) for item in value]
        if not isinstance(value, str):
            return value
        if key == "collection":
            return self.names.get(value, value)
        if key == "path":
            return "/".join(self.names.get(part, part) for part in value.split("/"))
        if key == "statement":
            return NAMED.sub(lambda found: found[0][: -len(found[1])] + self.names.get(found[1], found[1]), value)
        return value


def collections_of(case: Case) -> frozenset[str]:
    """The names of the collections that a case uses, but for those that the system gave them."""
    found: set[str] = set()

    def walk(value: Any, key: str = "") -> None:
        if isinstance(value, Mapping):
            for name, item in value.items():
                walk(item, name)
        elif isinstance(value, list):
            for item in value:
                walk(item, key)
        elif isinstance(value, str) and key == "collection":
            found.add(value)
        elif isinstance(value, str) and key == "statement":
            found.update(NAMED.findall(value))
        elif isinstance(value, str) and key == "path":
            parts = value.partition("?")[0].split("/")
            found.update(after for before, after in itertools.pairwise(parts) if before in FOLDERS and after)

    walk([*case.setup, case.request])
    return frozenset(name for name in found if not name.startswith(SYSTEM_PREFIX))


FOLDERS: Final = frozenset({"collections", "timeseries"})
"""Segments of paths behind which a name follows."""


def body_of(step: Mapping[str, Any]) -> tuple[bytes | None, str | None]:
    """The body of a request, and its type where the case does not say it."""
    if "body" in step:
        return json.dumps(step["body"]).encode(), "application/json"
    if "body_lines" in step:
        return b"".join(json.dumps(line).encode() + b"\n" for line in step["body_lines"]), "application/json-l"
    if "raw_body" in step:
        raw = step["raw_body"]
        return raw.encode() if isinstance(raw, str) else raw, "application/json"
    if "form" in step:
        return urlencode(step["form"]).encode(), "application/x-www-form-urlencoded"
    if "multipart" in step:
        return b"".join(map(part_of, step["multipart"].items())) + f"--{BOUNDARY}--\r\n".encode(), MULTIPART
    return None, None


MULTIPART: Final = f"multipart/form-data; boundary={BOUNDARY}"


def part_of(named: tuple[str, Mapping[str, Any]]) -> bytes:
    """One part of a form."""
    name, part = named
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{part["filename"]}"\r\n\r\n'
    content = b64decode(part["content_b64"]) if "content_b64" in part else bytes(part["zeros"])
    return head.encode() + content + b"\r\n"
