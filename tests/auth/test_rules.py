"""Rules in a permission: what is taken and refused, how it is stored, and that an older program gets no more of it."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.auth import rule_texts
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules, form_of, permission_of, sentence_of
from crdtstore.auth.rule_texts import RuleTexts
from crdtstore.auth.session import Session
from crdtstore.auth.stored_key import StoredKey, decode, encode
from crdtstore.errors import CallerError, LimitExceeded, MalformedRequest, QuerySyntaxError, UnsupportedPermission
from crdtstore.query.rules import EVERYTHING


def ruled(*queries: str, collection: str = "c", **further: Any) -> PermissionForm:
    """A permission to read and write what one of some queries matches."""
    rules = Rules(False, {collection: list(queries), "whole": ["true"], "none": []})
    return PermissionForm(rules, rules, **further)


TAKEN: dict[str, tuple[PermissionForm, set[int]]] = {
    "legacy": (ruled("n > 1 && owner == 'me'"), {2}),
    "legacy, any of two": (ruled("n == 0", "owner == 'you'"), {0, 1, 3}),
    "legacy, of the id": (ruled("_id == 1 || _id == 2"), {1, 2}),
    "legacy, a regular expression": (ruled("regex(owner, '^m')"), {0, 2}),
    "dql": (ruled("n > 1 AND owner = 'me'", ql_version=1), {2}),
    "dql by name": (ruled("n > 1 AND owner = 'me'", language="dql"), {2}),
    "dql by both": (ruled("owner LIKE 'y%'", language="dql", ql_version=1), {1, 3}),
    "dql, what is not there": (ruled("missing = 1 OR n IN [1, 3]", ql_version=1), {1, 3}),
    "rql": (ruled('and(gt(attributes/n,1),eq(attributes/owner,"me"))', language="rql"), {2}),
    "all": (ruled("n == 0", " true "), {0, 1, 2, 3}),
    "nothing": (ruled("false"), set()),
    "a value as a condition": (ruled("n"), {1, 2, 3}),
}


def fields(number: int) -> dict[str, Any]:
    """Those of a document."""
    return {"n": number, "owner": ("me", "you")[number % 2]}


@pytest.mark.parametrize("case", TAKEN)
def test_a_rule_shows_what_its_language_says(case: str) -> None:
    form, shown = TAKEN[case]
    with Store.in_memory() as store:
        store.write([Upsert("c", {**fields(n), "attributes": fields(n)}, id=n) for n in range(4)])
        session = Session(store, permission_of(form))
        assert {each.id for each in session.find("c", "true", limit=9).documents} == shown
        assert [each for each in range(4) if session.get("c", each) is not None] == sorted(shown)


@pytest.mark.parametrize("case", TAKEN)
def test_a_permission_with_rules_is_what_its_form_and_its_row_say(case: str) -> None:
    permission = permission_of(TAKEN[case][0])
    assert permission_of(form_of(permission)) == permission
    assert hash(permission) == hash(permission_of(TAKEN[case][0]))
    stored = StoredKey(b"s", 1, 1, 1, b"h", permission, 0, "name")
    assert decode(encode(stored)).permission == permission


@pytest.mark.parametrize(
    ("form", "error", "said"),
    [
        (ruled("n =="), QuerySyntaxError, "'n =='"),
        (ruled("n == 1 ORDER BY n", ql_version=1), QuerySyntaxError, "ORDER"),
        (ruled("n == 1 && m == 1", ql_version=1), QuerySyntaxError, "&&"),
        (ruled("n == $args.n"), QuerySyntaxError, "no argument"),
        (ruled("n = :n", ql_version=1), UnsupportedPermission, "could not be enforced"),
        (ruled("n + 1 = 2", ql_version=1), UnsupportedPermission, "computes more"),
        (ruled("gt(_modified,time:now)", language="rql"), UnsupportedPermission, "may not depend on the time"),
        (ruled("SELECT n FROM c WHERE n = 1", ql_version=1), UnsupportedPermission, "all of its fields"),
        (ruled("n < clock()", ql_version=1), UnsupportedPermission, "may not depend on the time"),
        (ruled("n == 1", ql_version=1, language="legacy"), MalformedRequest, "give one of them"),
        (ruled("n == 1" + " " * limits.PERMISSION_QUERY_CHARACTERS_MAX), LimitExceeded, "4096"),
        (ruled(*(f"n == {n}" for n in range(limits.PERMISSION_QUERIES_MAX + 1))), LimitExceeded, "257"),
    ],
)
def test_what_could_not_be_enforced_is_refused(form: PermissionForm, error: type[CallerError], said: str) -> None:
    with pytest.raises(error) as refused:
        permission_of(form)
    assert said in refused.value.message
    if error is QuerySyntaxError:
        assert {"line", "column", "verb", "collection"} <= refused.value.data.keys()


def test_as_many_queries_as_may_be_are_enforced() -> None:
    permission = permission_of(ruled(*(f"n == {n}" for n in range(limits.PERMISSION_QUERIES_MAX))))
    with Store.in_memory() as store:
        store.write([Upsert("c", {"n": n}, id=n) for n in (3, 1_000)])
        assert Session(store, permission).count("c", "true").count == 1


def test_what_shows_everything_needs_no_rule() -> None:
    everything = PermissionForm(Rules(True), Rules(True))
    assert permission_of(everything).rules is EVERYTHING
    assert Permission.full().rules is EVERYTHING
    with Store.in_memory() as store:
        session = Session(store, Permission.full())
        assert session.store is store
        limited = Session(store, Permission.of({"read"}, frozenset({"c"})))
        assert limited.store is limited.store is not store


def older(row: dict[str, Any]) -> Permission:
    """What the version before rules made of a row."""
    read, write = (None if row[verb] is None else frozenset(row[verb]) for verb in ("read", "write"))
    return Permission(read=read, write=write, remote_query=row["remote_query"])


def oldest(row: dict[str, Any]) -> Permission:
    """What the first version made of one."""
    return Permission.of(row["permission"])


MORE = {**TAKEN, "everything to read": (PermissionForm(Rules(True), ruled("n == 1").write), set[int]())}


@pytest.mark.parametrize("case", MORE)
def test_an_older_program_gives_no_more_than_a_row_says(case: str) -> None:
    permission = permission_of(MORE[case][0])
    row = msgpack.unpackb(msgpack.packb(permission.to_row()))
    for read in (older, oldest):
        assert gives_too_much(read(row), permission) == []


def gives_too_much(read: Permission, permission: Permission) -> list[tuple[str, str]]:
    """Where one permission allows a collection as a whole that another does not."""
    names = ("c", "whole", "none", "other")
    return [
        (verb, name)
        for verb in ("read", "write")
        for name in names
        if is_whole(read, verb, name) and not is_whole(permission, verb, name)
    ]


def is_whole(permission: Permission, verb: str, name: str) -> bool:
    """Whether it allows a collection as a whole."""
    where = permission.where(verb)
    return where is None or (name in where and name not in permission.texts.of(verb))


def test_a_row_that_names_too_much_is_found() -> None:
    permission = permission_of(ruled("n == 1"))
    row = {**permission.to_row(), "read": ["c", "whole"]}
    assert gives_too_much(older(row), permission) == [("read", "c")]


@pytest.mark.parametrize(
    "rules",
    [
        {"language": "none", "read": {"c": ["n = 1"]}, "write": {}},
        {"language": "dql", "read": {"c": [["n = 1"]]}, "write": {}},
        {"language": "dql", "read": {"c": ["n ==== 1"]}, "write": {"c": ["PATH OF(n)"]}},
        "rules",
        None,
    ],
)
def test_rules_of_a_later_version_give_nothing(rules: Any) -> None:
    row = {**permission_of(ruled("n == 1")).to_row(), "rules": rules}
    permission = Permission.from_row(row)
    with Store.in_memory() as store:
        store.write([Upsert(name, {"n": 1}, id=1) for name in ("c", "whole")])
        session = Session(store, permission)
        assert [session.count(name, "true").count for name in ("c", "whole")] == [0, 1]
        with pytest.raises(CallerError):
            session.submit([Upsert("c", {"n": 1}, id=1)], actor=None).result()


def test_a_row_from_before_reads_as_it_did() -> None:
    row = {"permission": ["read"], "read": None, "write": ["c"], "remote_query": True}
    assert Permission.from_row(row) == Permission(read=None, write=frozenset({"c"}), remote_query=True)
    assert Permission.from_row(row).to_row() == row


def test_rules_are_said() -> None:
    assert sentence_of(permission_of(ruled("n == 1", "m == 1"))) == (
        "may read and write c where m == 1 or n == 1, whole"
    )
    shown = PermissionForm(Rules(False, {"c": ["SELECT n FROM c"]}), ql_version=1)
    assert sentence_of(permission_of(shown)) == "may read c by SELECT n FROM c"


def test_a_text_is_read_once_for_a_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    permission = permission_of(ruled("n == 1"))
    reads: list[str] = []
    whole = rule_texts.read_rule

    def read_rule(text: str, language: rule_texts.Language, collection: str) -> rule_texts.Rule:
        reads.append(text)
        return whole(text, language, collection)

    monkeypatch.setattr(rule_texts, "read_rule", read_rule)
    with Store.in_memory() as store:
        for _ in range(3):
            Session(store, permission).count("c", "true")
    assert reads == ["n == 1", "n == 1"]


def test_equal_texts_are_equal_in_any_order() -> None:
    assert permission_of(ruled("n == 1", "m == 1", "n == 1")) == permission_of(ruled("m == 1", "n == 1"))
    assert permission_of(ruled("true", ql_version=1)).texts == RuleTexts()


def test_an_answer_that_goes_on_ends_where_a_rule_changes() -> None:
    with Store.in_memory() as store:
        session = Session(store, permission_of(ruled("n == 1")))
        assert session.is_for(permission_of(ruled("n == 1")))
        for form in (ruled("n == 2"), ruled("true"), ruled("n = 1", ql_version=1), PermissionForm()):
            assert not session.is_for(permission_of(form))
