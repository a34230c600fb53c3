"""Who holds a key that shows some fields gets what a store gives whose documents have no others, or is refused.

Rules: the oracle is a second store with the same transactions, in which documents have the fields that are shown, and
those that are not shown lie in a collection that its key may not read; so versions, tags and statuses are equal too.
What names a hidden field is refused; what names none is not. Positive controls: documents that are not masked, and
paths that nobody checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any

import pytest

from crdtstore import Store
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules, permission_of
from crdtstore.auth.session import Session
from crdtstore.command.command import Remove, Upsert
from crdtstore.errors import Forbidden, QuerySyntaxError, UnsupportedPermission
from crdtstore.query import find, mask, rules
from crdtstore.query.rules import make_rules
from crdtstore.statement import rows
from tests.rules.test_keys import IDS, Question, Side, shape, side
from tests.rules.test_rules import Holds, make_fields

ALWAYS: Holds = lambda _id, _fields: True  # noqa: E731  like those of the table
SELECTS: dict[str, tuple[frozenset[str], Holds]] = {
    "SELECT level FROM c": (frozenset({"level"}), ALWAYS),
    "SELECT _id, level, tags FROM c WHERE owner = 'me'": (
        frozenset({"level", "tags"}),
        lambda _id, fields: fields.get("owner") == "me",
    ),
    "SELECT owner FROM c WHERE _id != 3": (
        frozenset({"owner"}),
        lambda id_, _fields: isinstance(id_, int) and id_ != 3,
    ),
    "SELECT _id FROM c WHERE public = true": (frozenset(), lambda _id, fields: fields.get("public") is True),
    "SELECT * FROM c WHERE public = true": (
        frozenset({"level", "owner", "public", "tags"}),
        lambda _id, fields: fields.get("public") is True,
    ),
}
"""A rule, the fields that it shows, and of which documents."""

ALL = frozenset({"level", "owner", "public", "tags"})


def form_of(text: str) -> PermissionForm:
    """A permission that reads by a rule, and another collection as a whole."""
    return PermissionForm(Rules(False, {"c": [text], "d": ["true"]}), ql_version=1)


def both(text: str, random: Random) -> tuple[Side, Side]:
    """The server under a rule, and the one that holds no more than that shows; with the same transactions."""
    shown, holds = SELECTS[text]
    ours = side(permission_of(form_of(text)))
    theirs = side(Permission.of({"read"}, frozenset({"c", "d"})))
    for turn in range(random.randrange(3, 12)):
        id_, fields = random.choice(IDS), {**make_fields(random), "tags": {"a": random.randrange(3)}}
        kept = {name: value for name, value in fields.items() if name in shown}
        name = "c" if holds(id_, fields) else "hidden"
        for each, where, written in ((ours, "c", fields), (theirs, name, kept)):
            each.store.write([Remove("c", f"_id == {id_!r}"), Upsert("always", {"turn": turn}, id=1)])
            each.store.write([Upsert(where, written, id=id_)])
    for each in (ours, theirs):
        each.store.write([Upsert("d", {"level": 1}, id=1)])
        for path in sorted(ALL):
            each.store.indexes.create("c", [path], name=path)
    return ours, theirs


def questions(random: Random) -> list[tuple[frozenset[str], Question]]:
    """What is asked of both, and the fields that it names."""
    execute, lines = "/api/v4/store/execute", {"accept": "application/x-ndjson"}
    asked: list[tuple[frozenset[str], Question]] = [
        (frozenset(), ("POST", "/api/v4/store/find", {"collection": "c", "query": "true"}, {})),
        (frozenset(), ("POST", "/api/v4/store/find", {"collection": "c", "query": "true"}, lines)),
        *((frozenset(), ("GET", f"/api/v5/collections/c/documents/{id_}", None, {})) for id_ in ("a", "b")),
        *((frozenset(), ("POST", "/api/v4/store/findbyid", {"collection": "c", "id": id_}, {})) for id_ in IDS),
        (frozenset(), ("GET", "/api/v1/collections", None, {})),
        (frozenset(), ("GET", "/api/v1/collections/c/documents", None, {})),
    ]
    typed = {"collection": "c", "query": "true", "serializedAs": "latestValuesAndTypes"}
    asked.append((frozenset(), ("POST", "/api/v4/store/find", typed, {})))
    for name in sorted(ALL):
        one, query = frozenset({name}), random.choice([f"{name} == 1", f"!({name} == 'me')", f"{name} > 0 || _id == 1"])
        body = {"collection": "c", "query": query, "limit": 2}
        sort = [{"property": name, "direction": random.choice(["asc", "desc"])}]
        asked += [
            (one, ("POST", "/api/v4/store/find", body, {})),
            (one, ("POST", "/api/v4/store/find", {**body, "query": "true", "sort": sort}, {})),
            (one, ("POST", "/api/v4/store/find", {**body, "query": "true", "sort": sort}, lines)),
            (one, ("POST", "/api/v4/store/count", {"collection": "c", "query": query}, {})),
            # Those of documents that are masked.
            (frozenset(), ("POST", "/api/v1/collections/c/distinct_values", {"paths": [name], "filter": "true"}, {})),
        ]
    for names, text in (
        (set(), "SELECT * FROM c ORDER BY _id"),
        (set(), "SELECT * FROM c WHERE _id != 1 ORDER BY _id LIMIT 3"),
        (set(), "SELECT count(*) AS n FROM c"),
        (set(), "SELECT d._id FROM d JOIN c ON c._id = d._id"),
        (set(), "SELECT * FROM COLLECTION c (tags MAP) ORDER BY _id"),
        ({"level"}, "SELECT * FROM c ORDER BY level, _id"),
        ({"level"}, "SELECT max(level) AS m FROM c"),
        ({"owner"}, "SELECT owner, count(*) AS n FROM c GROUP BY owner ORDER BY owner"),
        ({"owner"}, "SELECT _id FROM c WHERE owner = 'me' ORDER BY _id"),
        ({"owner", "level"}, "SELECT _id FROM c WHERE owner = 'me' AND level + 1 > 1 ORDER BY _id"),
        ({"tags"}, "SELECT tags.a AS a FROM COLLECTION c (tags MAP) WHERE tags.a >= 1 ORDER BY _id"),
        ({"level"}, "SELECT d._id FROM d JOIN c ON c.level = d.level"),
        ({"public"}, "SELECT c.* FROM c c WHERE c.public = true ORDER BY c._id"),
    ):
        asked.append((frozenset(names), ("POST", execute, {"statement": text}, {})))
        asked.append((frozenset(names), ("POST", execute, {"statement": text}, lines)))
    return asked


def differing(runs: range) -> Iterator[Any]:
    """Questions of which the answers differ, or that are refused and name no hidden field, or answered and name one."""
    for number in runs:
        random = Random(f"fields {number}")
        text = random.choice(list(SELECTS))
        shown, _ = SELECTS[text]
        ours, theirs = both(text, random)
        with ours.store, theirs.store:
            for names, (method, path, body, headers) in questions(random):
                answers = [shape(each.ask(method, path, body, **headers)) for each in (ours, theirs)]
                if answers[0][0] == 403 if names - shown else answers[0] == answers[1]:
                    continue
                yield text, method, path, body, *answers


def test_a_key_reads_nothing_but_the_fields_that_are_shown() -> None:
    assert list(islice(differing(range(5)), 3)) == []


PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "masks nothing when it is found": lambda patch: patch.setattr(find, "mask", lambda _1, _2, row, _4: row),
    "masks nothing when it is read": lambda patch: patch.setattr(rules, "mask", lambda _1, _2, row, _4: row),
    "masks nothing that is declared": lambda patch: patch.setattr(rows, "mask", lambda _1, _2, row, _4: row),
    "checks no path": lambda patch: patch.setattr(rules.Rules, "check_paths", lambda *_: None),
    "checks no path of a statement": lambda patch: patch.setattr(rows, "check_asked", lambda *_: None),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_leak_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[name](monkeypatch)
    assert any(differing(range(4)))


@pytest.fixture
def reader() -> Side:
    """The bearer of a key to whom a field is shown, who may write."""
    form = PermissionForm(Rules(False, {"c": ["SELECT a FROM c"]}), Rules(False, {"c": ["true"]}), ql_version=1)
    return side(permission_of(form))


def test_what_could_tell_of_other_fields_is_refused(reader: Side) -> None:
    with reader.store:
        reader.store.write([Upsert("c", {"a": 1, "b": 2}, id=1)])
        session = Session(reader.store, reader.keyring.verify(reader.key))
        for refused in (
            lambda: session.follow(["c"], None, "legacy", None, images=False),
            lambda: session.observe(
                "c", "true", language="legacy", args=None, order=(), limit=1, offset=0, fields=None, form="values"
            ),
            lambda: session.history("c", 1, before=None, limit=1),
            lambda: session.explain("c", "true", limit=1),
            lambda: session.for_exchange("read", ("c",)),
        ):
            with pytest.raises(Forbidden):
                refused()
        for text in ("UPDATE c SET a = 3", "DELETE FROM c", "INSERT INTO c DOCUMENTS ({'_id': 2, 'b': 1})"):
            assert reader.ask("POST", "/api/v4/store/execute", {"statement": text}).status == 403


def test_commands_write_where_some_fields_are_shown_and_choose_by_these(reader: Side) -> None:
    with reader.store:
        reader.store.write([Upsert("c", {"a": 1, "b": 2}, id=1)])

        def write(**command: Any) -> int:
            return reader.ask("POST", "/api/v4/store/write", {"commands": [{"collection": "c", **command}]}).status

        changes = [{"method": "set", "path": "b", "value": 7}]
        assert write(method="upsert", id=2, value={"b": 1}) == 200
        assert write(method="update", query="a == 1", commands=changes) == 200
        assert write(method="update", query="b == 1", commands=changes) == 403
        assert write(method="remove", query="b == 1") == 403
        assert [(each.id, each.fields) for each in reader.store.scan("c")] == [(1, {"a": 1, "b": 7}), (2, {"b": 1})]


def test_a_tag_says_nothing_of_other_fields_and_is_taken_in_a_condition(reader: Side) -> None:
    path = "/api/v5/collections/c/documents/x"
    with reader.store:
        reader.store.write([Upsert("c", {"a": 1, "b": 2}, id="x")])
        first = reader.ask("GET", path).headers["etag"]
        reader.store.write([Upsert("c", {"b": 3}, id="x")])
        assert reader.ask("GET", path).headers["etag"] == first
        reader.store.write([Upsert("c", {"a": 4}, id="x")])
        assert reader.ask("GET", path).headers["etag"] != first


@pytest.mark.parametrize(
    "texts",
    [
        ["SELECT a FROM d"],
        ["SELECT a.b FROM c"],
        ["SELECT a AS b FROM c"],
        ["SELECT upper(a) FROM c"],
        ["SELECT DISTINCT a FROM c"],
        ["SELECT a FROM c ORDER BY a"],
        ["SELECT a FROM c LIMIT 1"],
        ["SELECT a FROM c x"],
        ["SELECT a FROM c", "SELECT b FROM c"],
        ["SELECT a FROM c", "n = 1"],
        ["SELECT a FROM c WHERE n = :n"],
        ["DELETE FROM c"],
    ],
)
def test_what_shows_no_fields_of_the_collection_is_no_rule(texts: list[str]) -> None:
    with pytest.raises((UnsupportedPermission, QuerySyntaxError)):
        permission_of(PermissionForm(Rules(False, {"c": texts}), ql_version=1))


def test_who_may_write_a_document_may_write_all_of_its_fields() -> None:
    with pytest.raises(UnsupportedPermission):
        permission_of(PermissionForm(write=Rules(False, {"c": ["SELECT a FROM c"]}), ql_version=1))


def test_rules_that_show_the_same_fields_hold_where_one_does() -> None:
    texts = ["SELECT a FROM c WHERE n = 1", "SELECT a, _id FROM c WHERE n = 2"]
    shown = permission_of(PermissionForm(Rules(False, {"c": texts}), ql_version=1)).rules
    with Store.in_memory() as store:
        store.write([Upsert("c", {"a": n, "n": n}, id=n) for n in range(4)])
        assert [(each.id, each.fields) for each in store.under(shown).scan("c")] == [(1, {"a": 1}), (2, {"a": 2})]


def test_losers_of_conflicts_are_masked_with_their_field() -> None:
    shown = make_rules({"c": "true"})._replace(fields={"c": frozenset({"a"})})
    with Store.in_memory() as one, Store.in_memory() as other:
        for store, value in ((one, 1), (other, 2)):
            store.write([Upsert("c", {"a": value, "b": value}, id=1)])
        for record in other.changes():
            one.apply([record.record])
        paths = {cell.path for cell in one.under(shown).cells("c", 1)}
        assert {cell.path for cell in one.cells("c", 1)} == {b"a\0", b"b\0"}
        assert paths == {b"a\0"}
        assert list(one.under(shown).conflicts("c", 1)) == ["a"]


def test_a_root_is_shown_with_any_field() -> None:
    assert mask.is_shown(b"", frozenset())
    assert mask.is_shown(b"a\0b\0", frozenset({"a"}))
    assert not mask.is_shown(b"ab\0", frozenset({"a"}))
