"""`crdtstore permissions explain`: for each verb whether a key may, and which rule decides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules, permission_of
from tests.cli.running import error_of, run

DATA = ("--store", "data")
READ = Rules(False, {"notes": ["public == true", "owner == 'ada'"], "whole": ["true"]})
WRITE = Rules(False, {"notes": ["owner == 'ada'"]})


@pytest.fixture
def prefix() -> str:
    """A key with rules; there are three notes."""
    with Store.open("data") as store:
        for id_, fields in (("plan", {"owner": "ada"}), ("news", {"public": True}), (7, {"owner": "bob"})):
            store.write([Upsert("notes", fields, id=id_)])
        return KeyRing(store).create("ada", permission_of(PermissionForm(READ, WRITE)))


def explained(key: str, collection: str, id: str) -> Any:
    """What is said in JSON."""
    return json.loads(run("permissions", "explain", key, collection, id, *DATA, "--json").stdout)


@pytest.mark.parametrize(
    ("collection", "id", "read", "write"),
    [
        ("notes", "plan", (True, "rule"), (True, "rule")),
        ("notes", "news", (True, "rule"), (False, "no-rule")),
        ("notes", "7", (False, "no-rule"), (False, "no-rule")),
        ("notes", "none", (False, "no-document"), (False, "no-document")),
        ("whole", "none", (True, "collection"), (False, "no-right")),
        ("other", "none", (False, "no-right"), (False, "no-right")),
    ],
)
def test_it_says_what_is_allowed_and_why(
    prefix: str, collection: str, id: str, read: tuple[bool, str], write: tuple[bool, str]
) -> None:
    told = explained(prefix, collection, id)
    assert [(told[verb]["allowed"], told[verb]["reason"]) for verb in ("read", "write")] == [read, write]
    assert told["prefix"] == prefix.partition(FIXED_PART)[0]


def test_it_shows_each_rule(prefix: str) -> None:
    assert explained(prefix, "notes", "plan")["read"]["rules"] == [
        {"query": "owner == 'ada'", "holds": True},
        {"query": "public == true", "holds": False},
    ]
    lines = run("permissions", "explain", prefix, "notes", "plan", *DATA).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["read", "allowed"],
        ["holds", "owner"],
        ["does", "not"],
        ["write", "allowed"],
        ["holds", "owner"],
    ]


def test_a_key_that_may_do_everything_needs_no_rule() -> None:
    with Store.open("data") as store:
        key = KeyRing(store).create("root", Permission.full())
    assert explained(key, "notes", "1")["write"]["reason"] == "everything"


@pytest.mark.usefixtures("prefix")
def test_a_key_that_is_not_known_is_told() -> None:
    told = error_of(run("permissions", "explain", "unknown", "c", "1", *DATA, "--json", code=3))
    assert told["code"] == "not-found"
