"""What a permission allows and refuses, for collections, for scopes and for the store; and how it is stored.

Rules: what a permission should allow is written down here once more, by enumeration of small worlds, apart from the
code that decides.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.auth.permission import VERBS, Permission, Verb
from crdtstore.crdt.scope import Scope
from crdtstore.errors import Forbidden

WORLD = ("a", "b", "c")
VERB_SETS = [frozenset(verbs) for size in range(3) for verbs in itertools.combinations(sorted(VERBS), size)]
COLLECTION_SETS = [None, *(frozenset(some) for size in range(3) for some in itertools.combinations(WORLD, size))]
SCOPES: list[Scope] = [None, *(some for size in range(1, 4) for some in itertools.combinations(WORLD, size))]
PERMISSIONS = [Permission(verbs, some) for verbs in VERB_SETS for some in COLLECTION_SETS]
NAMES = st.text(max_size=6)
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
        named = permission.collections is None or collection in permission.collections
        assert allows_collection(permission, verb, collection) == (verb in permission.verbs and named)


@pytest.mark.parametrize("permission", PERMISSIONS, ids=range(len(PERMISSIONS)))
def test_a_scope_needs_all_of_its_collections_and_the_whole_store_all_there_will_be(permission: Permission) -> None:
    for verb, scope in itertools.product(BOTH, SCOPES):
        if scope is None:
            expected = verb in permission.verbs and permission.collections is None
        else:
            expected = all(allows_collection(permission, verb, collection) for collection in scope)
        assert allows(permission, verb, scope) == expected


def test_system_collections_are_not_written() -> None:
    """Names with the system's prefix are read, never written, whatever the permission."""
    for permission in (Permission.full(), Permission(VERBS, frozenset({"__meta", "_meta"}))):
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
        Permission(VERBS - {verb}).check_full()
    assert refused.value.data == {"missing": [verb]}


def test_a_permission_for_some_collections_is_not_full() -> None:
    with pytest.raises(Forbidden, match="for some collections"):
        Permission(VERBS, frozenset(WORLD)).check_full()


@given(st.sets(st.sampled_from(sorted(VERBS))), st.none() | st.frozensets(NAMES, max_size=4))
def test_a_permission_is_read_as_it_was_written(verbs: set[str], collections: frozenset[str] | None) -> None:
    permission = Permission(frozenset(verbs), collections)
    assert Permission.from_row({**permission.to_row(), "name": ["other"]}) == permission


@given(st.sets(st.sampled_from(sorted(VERBS))))
def test_a_permission_of_an_earlier_version_is_one_for_all_collections(verbs: set[str]) -> None:
    assert Permission.from_row({"permission": sorted(verbs)}) == Permission(frozenset(verbs))


@given(st.sets(st.sampled_from(sorted(VERBS))), st.frozensets(NAMES, max_size=4))
def test_an_earlier_version_takes_a_permission_for_some_collections_for_none(
    verbs: set[str], collections: frozenset[str]
) -> None:
    """It reads `permission` alone, and would let the key into all collections."""
    assert Permission(frozenset(verbs), collections).to_row()["permission"] == []


def test_a_verb_that_is_not_known_gives_nothing() -> None:
    assert Permission.from_row({"permission": ["read", "govern"]}) == Permission(frozenset({"read"}))
    row = {"permission": [], "verbs": ["read", "govern"], "collections": ["a"]}
    assert Permission.from_row(row) == Permission(frozenset({"read"}), frozenset({"a"}))


def test_a_permission_is_a_value() -> None:
    assert Permission.full() == Permission(VERBS)
    with pytest.raises(AttributeError):
        Permission.full().verbs = frozenset()  # type: ignore[misc]
