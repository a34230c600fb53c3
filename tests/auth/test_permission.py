"""What a permission allows and refuses, for collections, for scopes and for the store; and how it is stored.

Rules: what a permission should allow is written down here once more, by enumeration of small worlds, apart from the
code that decides.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.auth.permission import VERBS, Collections, Permission, Verb
from crdtstore.crdt.scope import Scope
from crdtstore.errors import Forbidden

WORLD = ("a", "b", "c")
COLLECTION_SETS = [None, *(frozenset(some) for size in range(3) for some in itertools.combinations(WORLD, size))]
SCOPES: list[Scope] = [None, *(some for size in range(1, 4) for some in itertools.combinations(WORLD, size))]
PERMISSIONS = [Permission(read=read, write=write) for read in COLLECTION_SETS for write in COLLECTION_SETS]
NAMES = st.text(max_size=6)
SCOPED = st.none() | st.frozensets(NAMES, max_size=4)
BOTH: tuple[Verb, ...] = ("read", "write")


def allows(permission: Permission, verb: Verb, scope: Scope) -> bool:
    """Whether the check lets a scope pass, or does not say what it refuses."""
    try:
        permission.check_scope(verb, scope)
    except Forbidden as refused:
        return refused.data["verb"] != verb
    return True


def allows_collection(permission: Permission, verb: Verb, collection: str) -> bool:
    """Whether the check lets a collection pass, or does not say what it refuses."""
    try:
        permission.check(verb, collection)
    except Forbidden as refused:
        return refused.data != {"verb": verb, "collection": collection}
    return True


@pytest.mark.parametrize("permission", PERMISSIONS, ids=range(len(PERMISSIONS)))
def test_a_collection_needs_the_verb_and_the_collection(permission: Permission) -> None:
    for verb, collection in itertools.product(BOTH, WORLD):
        where = {"read": permission.read, "write": permission.write}[verb]
        assert allows_collection(permission, verb, collection) == (where is None or collection in where)


@pytest.mark.parametrize("permission", PERMISSIONS, ids=range(len(PERMISSIONS)))
def test_a_scope_needs_all_of_its_collections_and_the_whole_store_all_there_will_be(permission: Permission) -> None:
    for verb, scope in itertools.product(BOTH, SCOPES):
        if scope is None:
            expected = {"read": permission.read, "write": permission.write}[verb] is None
        else:
            expected = all(allows_collection(permission, verb, collection) for collection in scope)
        assert allows(permission, verb, scope) == expected


def test_system_collections_are_not_written() -> None:
    """Names with the system's prefix are read, never written, whatever the permission."""
    for permission in (Permission.full(), Permission.of(VERBS, frozenset({"__meta", "_meta"}))):
        with pytest.raises(Forbidden, match="system"):
            permission.check("write", "__meta")
        with pytest.raises(Forbidden, match="system"):
            permission.check_scope("write", ("__meta", "_meta"))
        permission.check("read", "__meta")
        permission.check("write", "_meta")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_permission_that_lacks_one_verb_is_not_full(verb: str) -> None:
    Permission.full().check_full()
    with pytest.raises(Forbidden, match=f"may not {verb}") as refused:
        Permission.of(VERBS - {verb}).check_full()
    assert refused.value.data == {"missing": [verb]}


def test_a_permission_for_some_collections_is_not_full() -> None:
    with pytest.raises(Forbidden, match="for some collections"):
        Permission.of(VERBS, frozenset(WORLD)).check_full()


@given(SCOPED, SCOPED, st.booleans())
def test_a_permission_is_read_as_it_was_written(read: Collections, write: Collections, asks: bool) -> None:  # noqa: FBT001
    permission = Permission(read=read, write=write, remote_query=asks)
    assert Permission.from_row({**permission.to_row(), "name": ["other"]}) == permission


@given(SCOPED, SCOPED)
def test_an_earlier_version_finds_no_right_that_is_not_there(read: Collections, write: Collections) -> None:
    """The first reads `permission` alone, the second `collections` if it is there: both for all collections."""
    row = Permission(read=read, write=write).to_row()
    assert set(row["permission"]) == {verb for verb, where in (("read", read), ("write", write)) if where is None}
    assert "collections" not in row


@given(st.sets(st.sampled_from(sorted(VERBS))))
def test_a_permission_of_an_earlier_version_is_one_for_all_collections(verbs: set[str]) -> None:
    assert Permission.from_row({"permission": sorted(verbs)}) == Permission.of(frozenset(verbs))


@given(st.sets(st.sampled_from(sorted(VERBS))), st.frozensets(NAMES, max_size=4))
def test_a_permission_of_the_second_version_is_one_for_its_collections(verbs: set[str], names: frozenset[str]) -> None:
    row = {"permission": [], "verbs": sorted(verbs), "collections": sorted(names)}
    assert Permission.from_row(row) == Permission.of(verbs, names)


def test_to_ask_peers_takes_the_right_and_all_reading() -> None:
    for permission in (
        Permission.full(),
        Permission.of({"read"}),
        Permission(read=None, remote_query=True),
    ):
        permission.check_remote_query()
    for permission in (Permission(read=None, write=None), Permission(read=frozenset({"a"}), remote_query=True)):
        with pytest.raises(Forbidden):
            permission.check_remote_query()


def test_a_verb_that_is_not_known_gives_nothing() -> None:
    assert Permission.from_row({"permission": ["read", "govern"]}) == Permission.of(frozenset({"read"}))
    row = {"permission": [], "verbs": ["read", "govern"], "collections": ["a"]}
    assert Permission.from_row(row) == Permission.of(frozenset({"read"}), frozenset({"a"}))


def test_a_permission_is_a_value() -> None:
    assert Permission.full() == Permission.of(VERBS)
    with pytest.raises(AttributeError):
        Permission.full().read = frozenset()  # type: ignore[misc]
