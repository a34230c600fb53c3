"""Planted leaks: each is one that a route or a session could have, and the matrix sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from crdtstore.auth import api_key
from crdtstore.auth.permission import Permission
from crdtstore.auth.session import Session
from crdtstore.errors import Forbidden
from crdtstore.http.routes import find_route
from tests.matrix.oracle import MINE, THEIRS
from tests.matrix.run import Matrix

FIND = Session.find
COUNT = Session.count
GET = Session.get
FOLLOW = Session.follow
CHECK = Permission.check


@pytest.fixture
def matrix() -> Iterator[Matrix]:
    made = Matrix()
    try:
        yield made
    finally:
        made.close()


def unchecked_find(self: Session, collection: str, query: str, **more: Any) -> Any:
    """A route that forgets to ask."""
    return self.whole.find(collection, query, **more)


def count_of_everything(self: Session, collection: str, query: str, **more: Any) -> Any:
    """A count that counts what is hidden, too."""
    counted = COUNT(self, collection, query, **more)
    return replace(counted, count=counted.count + sum(self.whole.count(each, "true").count for each in (MINE, THEIRS)))


def find_by_cursor(self: Session, collection: str, query: str, **more: Any) -> Any:
    """A page that ends where the page of another collection does."""
    found = FIND(self, collection, query, **more)
    hidden = self.whole.find(THEIRS, "true", limit=1).documents
    return found._replace(documents=found.documents[: 1 + len(hidden)])


def sorted_by_others(self: Session, collection: str, query: str, **more: Any) -> Any:
    """An order that depends on what is hidden."""
    found = FIND(self, collection, query, **more)
    return found._replace(documents=found.documents[::-1]) if THEIRS in self.whole.collections() else found


def refused_rather(self: Session, collection: str, identifier: Any, **more: Any) -> Any:
    """Who may not see a document is told that it is there."""
    found = GET(self, collection, identifier, **more)
    if found is None and self.whole.get(collection, identifier) is not None:
        raise Forbidden("This key may not read that document.")
    return found


def first_command_only(self: Session, commands: Any, **more: Any) -> Any:
    """Of several commands one is looked at."""
    self.permission.check("write", commands[0].collection)
    return self.whole.submit(commands, **more)


def whole_submit(self: Session, commands: Any, **more: Any) -> Any:
    """A write that is not held to the rules."""
    for command in commands:
        self.permission.check("write", command.collection)
    return self.whole.submit(commands, **more)


def files_for_all(self: Session, *_: Any) -> Any:
    """Files, whoever asks."""
    return self.whole.attachments, None


def collections_of_all(self: Session) -> Any:
    """A listing of everything."""
    return self.whole.collections()


def follow_everything(self: Session, collections: Any, *given: Any, **more: Any) -> Any:
    """A feed of more collections than were asked for."""
    return FOLLOW(self, collections and (*collections, THEIRS), *given, **more)


LEAKS = {
    "a route that forgets to ask": (Session, "find", unchecked_find, "POST", "/api/v4/store/find"),
    "a count of what is hidden": (Session, "count", count_of_everything, "POST", "/api/v4/store/count"),
    "a page that others end": (Session, "find", find_by_cursor, "POST", "/api/v4/store/find"),
    "an order that others make": (Session, "find", sorted_by_others, "POST", "/api/v4/store/find"),
    "refused rather than missing": (Session, "get", refused_rather, "POST", "/api/v4/store/findbyid"),
    "one command of several": (Session, "submit", first_command_only, "POST", "/api/v4/store/write"),
    "a listing of everything": (Session, "collections", collections_of_all, "GET", "/api/v1/collections"),
    "files for everybody": (Session, "for_attachment", files_for_all, "GET", "/api/v4/attachments/x"),
    "keys for everybody": (Permission, "check_full", lambda _: None, "GET", "/admin/keys"),
    "keys that are guessed": (api_key, "valid_until", lambda *_: math.inf, "GET", "/txn"),
    "reading is writing": (
        Permission,
        "check",
        lambda self, _verb, collection: CHECK(self, "read", collection),
        "POST",
        "/api/v4/store/write",
    ),
    "a write that needs no rule": (Session, "submit", whole_submit, "POST", "/api/v4/store/write"),
    "the exchange of everything": (Permission, "check_scope", lambda *_: None, "POST", "/api/replication/v1"),
    "a feed of everything": (Permission, "check_scope", lambda *_: None, "GET", "/api/v4/store/changes"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_seen(matrix: Matrix, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    owner, method_name, planted, method, path = LEAKS[name]
    found = find_route(path)
    assert found is not None
    monkeypatch.setattr(owner, method_name, planted)
    assert list(matrix.problems(found.route, method)), "nobody would know"
