"""Permissions and sessions: every method asks first, and what is not allowed does not reach the store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from crdtstore import Remove, Store, Update, Upsert
from crdtstore.auth.permission import VERBS, Permission
from crdtstore.auth.session import Session
from crdtstore.errors import Forbidden

ACTOR = bytes(15) + b"\x05"
EVERY = [frozenset(verbs) for size in range(3) for verbs in itertools.combinations(sorted(VERBS), size)]

USES: dict[str, tuple[str, Callable[[Session], Any]]] = {
    "upsert": ("write", lambda session: session.submit([Upsert("c", {"n": 1}, id="a")], actor=ACTOR)),
    "update": ("write", lambda session: session.submit([Update("c", "true", [])], actor=ACTOR)),
    "remove": ("write", lambda session: session.submit([Remove("c", "true")], actor=ACTOR)),
    "find": ("read", lambda session: session.find("c", "true", limit=1)),
    "get": ("read", lambda session: session.get("c", "a")),
    "notify": ("read", lambda session: session.notify("c", 9, lambda: None)),
}


class Untouchable:
    """A store that must not be asked anything but its name."""

    origin = bytes(16)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked without permission")


@pytest.mark.parametrize("verbs", EVERY, ids=lambda verbs: "+".join(sorted(verbs)) or "nothing")
@pytest.mark.parametrize("use", USES)
def test_only_what_is_permitted_reaches_the_store(use: str, verbs: frozenset[str]) -> None:
    verb, call = USES[use]
    if verb in verbs:
        with Store.in_memory() as store:
            call(Session(store, Permission(verbs)))
    else:
        with pytest.raises(Forbidden) as refused:
            call(Session(Untouchable(), Permission(verbs)))  # type: ignore[arg-type]  # a double
        assert refused.value.data == {"verb": verb, "collection": "c"}


@pytest.mark.parametrize("verbs", EVERY, ids=lambda verbs: "+".join(sorted(verbs)) or "nothing")
def test_only_who_may_do_everything_is_told_what_the_store_holds(verbs: frozenset[str]) -> None:
    if verbs == VERBS:
        with Store.in_memory() as store:
            assert Session(store, Permission(verbs)).stats() == store.stats()
    else:
        with pytest.raises(Forbidden, match="may do everything") as refused:
            Session(Untouchable(), Permission(verbs)).stats()  # type: ignore[arg-type]  # a double
        assert refused.value.data == {"missing": sorted(VERBS - verbs)}


def test_the_guard_of_this_test_works() -> None:
    with pytest.raises(AssertionError, match="find"):
        USES["find"][1](Session(Untouchable(), Permission.full()))  # type: ignore[arg-type]  # a double


def test_every_public_method_of_a_session_is_tried() -> None:
    methods = {name for name in vars(Session) if not name.startswith("_")}
    slots = {"store", "permission"}
    assert methods - slots - {"applied"} == {"submit", "find", "get", "notify", "stats"}


def test_a_session_writes_finds_and_gets() -> None:
    with Store.in_memory() as store:
        session = Session(store, Permission.full())
        written = session.submit([Upsert("c", {"n": 1}, id="a")], actor=ACTOR).result()
        assert (written.txn, session.applied) == (1, 1)
        assert [row.id for row in session.find("c", "n == 1", limit=9).documents] == ["a"]
        document = session.get("c", "a")
        assert document is not None
        assert document.fields == {"n": 1}


def test_nobody_writes_in_the_name_of_the_store() -> None:
    with Store.in_memory() as store:
        with pytest.raises(Forbidden):
            Session(store, Permission.full()).submit([Upsert("c", {}, id="a")], actor=store.origin)
        assert store.applied == 0


def test_a_permission_is_a_value() -> None:
    assert Permission.full() == Permission(VERBS)
    assert Permission.from_names(Permission.full().to_names()) == Permission.full()
    with pytest.raises(AttributeError):
        Permission.full().verbs = frozenset()  # type: ignore[misc]


def test_a_verb_that_is_not_known_gives_nothing() -> None:
    assert Permission.from_names(["read", "govern"]) == Permission(frozenset({"read"}))
