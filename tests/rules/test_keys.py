"""Who holds a key with rules gets, over every route that reads documents, what a store gives that holds no others.

Rules: the oracle is a second store with the same transactions, in which what a rule hides lies in a collection that
its key may not read; so versions, tags and statuses are equal too. Cursors are sealed by each store, and count as
there or not. Positive controls: sessions that forget their rules, as a whole and in one method.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from crdtstore import Store
from crdtstore.auth import api_key, held_store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission, Verb
from crdtstore.auth.permission_form import PermissionForm, Rules, permission_of
from crdtstore.auth.session import Session
from crdtstore.command.command import Remove, Upsert
from crdtstore.errors import Forbidden, UnknownAttachment
from crdtstore.http.server import Application, application
from tests.http.calling import ACTOR, Answered, call
from tests.rules.test_rules import ORDERS, QUERIES, RULES, make_fields

ORIGIN = bytes(range(16))
TXN = "x-ditto-txn-id"


class Side(NamedTuple):
    """A server, and the key with which it is asked."""

    store: Store
    app: Application
    keyring: KeyRing
    key: str

    def ask(self, method: str, path: str, body: Any = None, **further: str) -> Answered:
        """Ask this server."""
        headers = {"authorization": f"Bearer {self.key}", "x-ditto-client-id": ACTOR, **further}
        if body is not None:
            headers["content-type"] = "application/json"
        return call(self.app, method, path, body, headers)


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)


def side(permission: Permission) -> Side:
    """A server over an empty store, and a key."""
    store = Store.in_memory(origin=ORIGIN, clock=lambda: 1_700_000_000_000, retained_seconds=1e9)
    keyring = KeyRing(store)
    key = keyring.create("reader", permission)
    return Side(store, application(store, keyring), keyring, key)


def both(rule: str, random: Random) -> tuple[Side, Side]:
    """The server under a rule, and the one that holds no more than that shows; with the same transactions."""
    form = PermissionForm(Rules(False, {"c": [rule], "d": ["true"]}), Rules(False, {"c": [rule], "d": ["true"]}))
    ours = side(permission_of(form))
    theirs = side(Permission.of({"read", "write"}, frozenset({"c", "d"})))
    for turn in range(random.randrange(3, 14)):
        id_, fields = random.choice(IDS), make_fields(random)
        shown = RULES[rule](id_, fields)
        for each, name in ((ours, "c"), (theirs, "c" if shown else "hidden")):
            # What is always written makes a transaction of each.
            each.store.write([Remove("c", f"_id == {json.dumps(id_)}"), Upsert("always", {"turn": turn}, id=1)])
            each.store.write([Upsert(name, fields, id=id_)])
    for each in (ours, theirs):
        each.store.write([Upsert("d", {"level": 1}, id=1)])
        each.store.write([Upsert("secret", {"level": 1, "owner": "me"}, id=1)])
        each.store.indexes.create("c", ["level"], name="level")
    return ours, theirs


IDS = (0, 1, 2, 3, 4, 5, "a", "b")
ABOUT_ID = ("contains([1, 2, 5], _id)", "true")
"""Rules under which the past of a document is told."""

Question = tuple[str, str, Any, dict[str, str]]


def questions(random: Random, rule: str) -> list[Question]:
    """What is asked of both, once by every route that reads documents."""
    query, order, id_ = random.choice(QUERIES), random.choice(ORDERS), random.randrange(6)
    sort = [{"property": path.removeprefix("-"), "direction": "desc" if path[0] == "-" else "asc"} for path in order]
    find = {"collection": "c", "query": query, "limit": random.randrange(1, 5), "offset": random.randrange(2)}
    lines = {"accept": "application/x-ndjson"}
    asked: list[Question] = [
        ("POST", "/api/v4/store/find", {**find, "sort": sort} if sort else find, {}),
        ("POST", "/api/v4/store/find", {**find, "serializedAs": "latestValuesAndTypes"}, {}),
        ("POST", "/api/v4/store/find", find, lines),
        ("POST", "/api/v4/store/find", {"collection": "secret", "query": "true"}, {}),
        ("POST", "/api/v4/store/count", {"collection": "c", "query": query}, {}),
        ("POST", "/api/v4/store/count", {"collection": "secret", "query": query}, {}),
        *(("POST", "/api/v4/store/findbyid", {"collection": "c", "id": id_}, {}) for id_ in IDS),
        *(("POST", "/api/v2/store/findbyid", {"collection": "c", "id": id_}, {}) for id_ in IDS),
        ("GET", "/api/v1/collections", None, {}),
        ("GET", "/api/v1/collections/c/documents", None, {}),
        ("GET", "/api/v5/collections/c/documents/a", None, {}),
        ("GET", "/api/v5/collections/c/documents/b", None, {}),
        ("GET", "/api/v4/store/changes?collection=c&since=0", None, {}),
        ("GET", f"/api/v4/store/changes?collection=c&since=0&query={quote(query)}", None, {}),
        ("POST", "/api/v1/collections/c/distinct_values", {"paths": ["level", "owner"], "filter": query}, {}),
    ]
    if rule in ABOUT_ID:
        asked.append(("GET", "/api/v5/collections/c/documents/a/history", None, {}))
    for text in (
        "SELECT * FROM c ORDER BY level, _id",
        "SELECT count(*) AS n, max(level) AS m FROM c",
        "SELECT owner, count(*) AS n FROM c GROUP BY owner ORDER BY owner",
        f"SELECT a._id, b.owner FROM c a JOIN c b ON b._id = a.level WHERE a._id > {id_} ORDER BY a._id",
        "SELECT d._id, s.level FROM d LEFT JOIN secret s ON s._id = d._id",
        "SELECT * FROM secret",
        "EXPLAIN SELECT * FROM secret",
    ):
        asked += [("POST", "/api/v4/store/execute", {"statement": text}, {})]
        asked += [("POST", "/api/v4/store/execute", {"statement": text}, lines)]
    return asked


def shape(answered: Answered) -> Any:
    """All of an answer that does not depend on the store's secret."""
    headers = {name: value for name, value in answered.headers.items() if name in {TXN, "etag", "content-type"}}
    try:
        body = json.loads(answered.body)
    except ValueError:
        return answered.status, headers, answered.body
    if isinstance(body, dict) and "nextCursor" in body:
        body["nextCursor"] = True
    return answered.status, headers, body


def differing(runs: range) -> list[Any]:
    """Questions of which the answers differ."""
    wrong: list[Any] = []
    for number in runs:
        random = Random(f"keys {number}")
        rule = random.choice(list(RULES))
        ours, theirs = both(rule, random)
        with ours.store, theirs.store:
            for method, path, body, headers in questions(random, rule):
                answers = [shape(each.ask(method, path, body, **headers)) for each in (ours, theirs)]
                if answers[0] != answers[1]:
                    wrong.append((number, rule, method, path, body, *answers))
    return wrong


def test_a_key_reads_nothing_but_what_its_rules_show() -> None:
    assert differing(range(8)) == []


def test_most_questions_are_answered() -> None:
    """Else equal refusals would be all that is compared."""
    random = Random("answered")
    ours, theirs = both("owner == 'me'", random)
    with ours.store, theirs.store:
        statuses = [
            ours.ask(method, path, body, **headers).status
            for method, path, body, headers in questions(random, "owner == 'me'")
        ]
    assert sorted(set(statuses)) in ([200, 403], [200, 403, 404])
    assert statuses.count(200) > 0.6 * len(statuses)


def test_a_cursor_belongs_to_the_rules_under_which_it_was_given() -> None:
    ours = side(permission_of(PermissionForm(Rules(False, {"c": ["level >= 1"]}))))
    with ours.store:
        ours.store.write([Upsert("c", {"level": level}, id=level) for level in range(4)])
        asked = {"collection": "c", "query": "true", "limit": 1, "sort": [{"property": "level", "direction": "desc"}]}
        cursor = ours.ask("POST", "/api/v4/store/find", asked).json["nextCursor"]
        asked["cursor"] = cursor
        assert [each["id"] for each in ours.ask("POST", "/api/v4/store/find", asked).json["documents"]] == [2]
        for rule in ("level >= 2", "true"):
            key = ours.keyring.create("other", permission_of(PermissionForm(Rules(False, {"c": [rule]}))))
            refused = ours._replace(key=key).ask("POST", "/api/v4/store/find", asked)
            assert (refused.status, refused.code) == (400, "invalid-cursor")


def test_a_write_is_held_to_the_rules_of_its_key() -> None:
    mine = Rules(False, {"c": ["owner == 'me'"]})
    ours = side(permission_of(PermissionForm(Rules(False, {"c": ["_id != 2"]}), mine)))

    def write(**command: Any) -> Answered:
        return ours.ask("POST", "/api/v4/store/write", {"commands": [{"collection": "c", **command}]})

    with ours.store:
        owners = ("me", "you", "they", "me")
        ours.store.write([Upsert("c", {"owner": owner, "n": 1}, id=id_) for id_, owner in enumerate(owners)])
        increment = [{"method": "increment", "path": "hits", "value": 1}]
        updated = write(method="update", query="n == 1", commands=increment)
        assert {name: updated.json["results"][0][name] for name in ("updated", "permissionDenied")} == {
            "updated": 2,
            "permissionDenied": 1,
        }
        given_away = write(
            method="update", query="_id == 0", commands=[{"method": "set", "path": "owner", "value": "you"}]
        )
        assert given_away.status == 403
        for id_, owner in ((1, "me"), (2, "me"), (9, "you")):
            assert write(method="upsert", id=id_, value={"owner": owner}).status == 403
        assert write(method="upsert", id=9, value={"owner": "me"}).status == 200
        removed = write(method="remove", query="true")
        assert {name: removed.json["results"][0][name] for name in ("deleted", "permissionDenied")} == {
            "deleted": 3,
            "permissionDenied": 1,
        }
        statement = {"statement": "UPDATE c SET n = 2 WHERE true"}
        assert ours.ask("POST", "/api/v4/store/execute", statement).json["mutatedDocumentIds"] == []
        assert sorted(each.id for each in ours.store.scan("c")) == [1, 2]


def test_what_is_of_a_collection_as_a_whole_is_refused_under_a_rule() -> None:
    one = Rules(False, {"c": ["n == 1"], "d": ["true"]})
    ours = side(permission_of(PermissionForm(one, one)))
    with ours.store:
        session = Session(ours.store, ours.keyring.verify(ours.key))
        verbs: tuple[Verb, Verb] = ("read", "write")
        for verb in verbs:
            assert session.for_exchange(verb, ("d",)) is ours.store
            for scope in (("c",), ("c", "d"), None):
                with pytest.raises(Forbidden):
                    session.for_exchange(verb, scope)
        for call_ in (
            lambda: session.events("c", None, None, limit=1, seconds=1.0),
            lambda: session.append_events("c", [], None, actor=None, after=None),
            lambda: session.for_attachment("a", None, None),
            lambda: session.follow(None, None, "legacy", None, images=False),
            session.check_full,
            session.stats,
            session.for_backup,
            session.as_peer,
        ):
            with pytest.raises(Forbidden):
                call_()


def test_a_file_is_read_by_who_sees_a_document_that_refers_to_it() -> None:
    ours = side(permission_of(PermissionForm(Rules(False, {"c": ["owner == 'me'"]}))))
    with ours.store:
        token = {"id": "a" * 43, "len": 3, "metadata": {}}
        for id_, owner in ((1, "me"), (2, "you")):
            declared = {"file": "attachment"}
            ours.store.write([Upsert("c", {"owner": owner, "file": token}, id=id_, value_types=declared)])
        session = Session(ours.store, ours.keyring.verify(ours.key))
        assert session.for_attachment("a" * 43, "c", 1)[1] == 3
        with pytest.raises(UnknownAttachment):
            session.for_attachment("a" * 43, "c", 2)


FORGETFUL: dict[str, Callable[..., Any]] = {
    "find": lambda self, collection, query, **further: self.whole.find(collection, query, **further),
    "find_json_lines": lambda self, collection, query, **further: self.whole.find_json_lines(
        collection, query, **further
    ),
    "count": lambda self, collection, query, **further: self.whole.count(collection, query, **further),
    "get": lambda self, collection, id_, **further: self.whole.get(collection, id_, **further),
    "get_with_digest": lambda self, collection, id_, **further: self.whole.get_with_digest(collection, id_, **further),
    "collections": lambda self: self.whole.collections(),
    "execute": lambda self, statement, parameters, **further: self.whole.execute(statement, parameters, **further),
}


@pytest.mark.parametrize("method", FORGETFUL)
def test_a_method_that_forgets_the_rules_is_found(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, method, FORGETFUL[method])
    assert differing(range(3)) != []


def test_sessions_that_forget_the_rules_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_store, "seen_of", lambda store, _permission: store)
    wrong = differing(range(3))
    assert len({path for _, _, _, path, *_ in wrong}) > 6
