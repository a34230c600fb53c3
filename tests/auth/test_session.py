"""Permissions and sessions: every method asks first, and what is not allowed does not reach the store."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Remove, Store, Update, Upsert
from crdtstore.auth.permission import VERBS, Permission, Verb
from crdtstore.auth.session import Session
from crdtstore.crdt.scope import Scope
from crdtstore.errors import Forbidden

ACTOR = bytes(15) + b"\x05"
EVERY = [frozenset(verbs) for size in range(3) for verbs in itertools.combinations(sorted(VERBS), size)]

TIMED = {"_time": "2021-01-01T00:00:00Z"}
OBSERVED: dict[str, Any] = {
    "language": "legacy",
    "args": None,
    "order": (),
    "limit": 1,
    "offset": 0,
    "fields": None,
    "form": "values",
}
RUN: dict[str, Any] = {"profile": "v5", "actor": None, "after": None, "seconds": 60.0}

USES: dict[str, tuple[str, Callable[[Session, str], Any]]] = {
    "upsert": ("write", lambda session, name: session.submit([Upsert(name, {"n": 1}, id="a")], actor=ACTOR)),
    "update": ("write", lambda session, name: session.submit([Update(name, "true", [])], actor=ACTOR)),
    "remove": ("write", lambda session, name: session.submit([Remove(name, "true")], actor=ACTOR)),
    "find": ("read", lambda session, name: session.find(name, "true", limit=1)),
    "get": ("read", lambda session, name: session.get(name, "a")),
    "get_json": ("read", lambda session, name: session.get_json(name, "a")),
    "get_with_digest": ("read", lambda session, name: session.get_with_digest(name, "a")),
    "history": ("read", lambda session, name: session.history(name, "a", before=None, limit=1)),
    "find_json_lines": ("read", lambda session, name: session.find_json_lines(name, "true", seconds=1.0)),
    "stream": (
        "read",
        lambda session, name: session.stream(f"SELECT * FROM `{name}`", None, profile="v5", at=None, seconds=None),
    ),
    "matching": ("read", lambda session, name: session.matching(name, "true", seconds=1.0)),
    "follow": ("read", lambda session, name: session.follow([name], None, "legacy", None, images=False).close()),
    "observe": ("read", lambda session, name: session.observe(name, "true", **OBSERVED).close()),
    "submit_each": ("write", lambda session, name: session.submit_each([Upsert(name, {"n": 1}, id="a")], actor=ACTOR)),
    "count": ("read", lambda session, name: session.count(name, "true")),
    "explain": ("read", lambda session, name: session.explain(name, "true", limit=1)),
    "execute": ("read", lambda session, name: session.execute(f"SELECT * FROM `{name}`", None, **RUN, at=None)),
    "execute_together": (
        "read",
        lambda session, name: session.execute_together([f"SELECT * FROM `{name}`"], None, **RUN),
    ),
    "notify": ("read", lambda session, name: session.notify([name], 9, lambda: None)),
    "append_events": (
        "write",
        lambda session, name: session.append_events(name, [TIMED], None, actor=ACTOR, after=None),
    ),
    "remove_events": ("write", lambda session, name: session.remove_events(name, None, None, actor=ACTOR, after=None)),
    "events": ("read", lambda session, name: session.events(name, None, None, limit=1, seconds=60.0)),
    "span_of_events": ("read", lambda session, name: session.span_of_events(name, None, None, query="", order=())),
    "for_exchange of a reader": ("read", lambda session, name: session.for_exchange("read", (name,))),
    "for_exchange of a writer": ("write", lambda session, name: session.for_exchange("write", (name,))),
}


NOTHING_FOUND: dict[str, Callable[[Any], bool]] = {
    "find": lambda found: found.documents == (),
    "get": lambda found: found is None,
    "get_json": lambda found: found is None,
    "get_with_digest": lambda found: found[:2] == (None, bytes(16)),
    "find_json_lines": lambda lines: read(lines, "pieces") == [],
    "stream": lambda streamed: read(streamed, "rows") == [],
    "matching": lambda matching: read(matching, "documents") == [],
    "count": lambda counted: counted.count == 0,
    "execute": lambda executed: executed.rows_json == (),
    "execute_together": lambda executed: executed[0].rows_json == (),
    "notify": lambda _: True,
}
"""What is read of a collection as if it were empty by who may not read it; all else is refused."""


def read(given: Any, name: str) -> list[Any]:
    """What is made while a block runs."""
    with given as found:
        return list(getattr(found, name))


class Untouchable:
    """A store that must not be asked anything but its name."""

    origin = bytes(16)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked without permission")


@pytest.mark.parametrize("verbs", EVERY, ids=lambda verbs: "+".join(sorted(verbs)) or "nothing")
@pytest.mark.parametrize("use", USES)
def test_only_what_is_permitted_reaches_the_store(use: str, verbs: frozenset[str]) -> None:
    verb, call = USES[use]
    if verb in verbs or use in NOTHING_FOUND:
        with Store.in_memory() as store:
            store.write([Upsert("c", {"n": 1}, id="a")])
            given = call(Session(store, Permission.of(verbs)), "c")
            if use in NOTHING_FOUND and use != "notify":
                assert NOTHING_FOUND[use](given) == (verb not in verbs)
    else:
        with pytest.raises(Forbidden) as refused:
            call(Session(Untouchable(), Permission.of(verbs)), "c")  # type: ignore[arg-type]  # a double
        assert refused.value.data == {"verb": verb, "collection": "c"}


@pytest.mark.parametrize("use", USES)
def test_where_a_series_lies_is_no_collection_of_anybody(use: str) -> None:
    """Expired events lie there too. A store that holds it gets all of it, and hides them itself."""
    verb, call = USES[use]
    if use == "for_exchange of a reader":
        with Store.in_memory() as store:
            assert call(Session(store, Permission.full()), "__series:s") is store
        return
    with pytest.raises(Forbidden) as refused:
        call(Session(Untouchable(), Permission.full()), "__series:s")  # type: ignore[arg-type]  # a double
    assert refused.value.data == {"verb": verb, "collection": "__series:s"}


@pytest.mark.parametrize("verbs", EVERY, ids=lambda verbs: "+".join(sorted(verbs)) or "nothing")
def test_only_who_may_do_everything_is_told_what_the_store_holds(verbs: frozenset[str]) -> None:
    if verbs == VERBS:
        with Store.in_memory() as store:
            session = Session(store, Permission.of(verbs))
            assert session.stats() == store.stats()
            assert session.for_backup() is store
            assert session.change_images() is store.change_images
            session.check_full()
    else:
        session = Session(Untouchable(), Permission.of(verbs))  # type: ignore[arg-type]  # a double
        for call in (session.stats, session.for_backup, session.change_images, session.check_full):
            with pytest.raises(Forbidden, match="may do everything") as refused:
                call()
            assert refused.value.data == {"missing": sorted(VERBS - verbs)}


@pytest.mark.parametrize("verbs", EVERY, ids=lambda verbs: "+".join(sorted(verbs)) or "nothing")
def test_files_are_put_by_who_writes_and_read_by_who_reads(verbs: frozenset[str]) -> None:
    calls: dict[str, Callable[[Session], Any]] = {
        "write": lambda session: session.for_putting(),
        "read": lambda session: session.for_attachment("a", None, None),
    }
    for verb, call in calls.items():
        if verb in verbs:
            with Store.in_memory() as store:
                given = call(Session(store, Permission.of(verbs)))
                assert given in (store.attachments, (store.attachments, None))
        else:
            with pytest.raises(Forbidden):
                call(Session(Untouchable(), Permission.of(verbs)))  # type: ignore[arg-type]  # a double


def test_the_guard_of_this_test_works() -> None:
    with pytest.raises(AssertionError, match="find"):
        USES["find"][1](Session(Untouchable(), Permission.full()), "c")  # type: ignore[arg-type]  # a double


def test_every_public_method_of_a_session_is_tried() -> None:
    methods = {name for name in dir(Session) if not name.startswith("_")}
    slots = {"store", "whole", "permission", "once"}
    submitted = {"upsert", "update", "remove"}
    tried = {use.partition(" ")[0] for use in USES if use not in submitted}
    tried |= {"for_putting", "for_attachment", "check_full", "is_for", "change_images", "check_series"}
    tried |= {"submit", "stats", "for_backup", "reach", "check_author", "collections", "may_read", "as_peer"}
    assert methods - slots - {"applied", "oldest_readable"} == tried


def test_a_session_writes_finds_and_gets() -> None:
    with Store.in_memory() as store:
        session = Session(store, Permission.full())
        written = session.submit([Upsert("c", {"n": 1}, id="a")], actor=ACTOR).result()
        assert (written.txn, session.applied) == (1, 1)
        assert [row.id for row in session.find("c", "n == 1", limit=9).documents] == ["a"]
        document = session.get("c", "a")
        assert document is not None
        assert document.fields == {"n": 1}


READ, WRITE = frozenset({"read"}), frozenset({"write"})

STATEMENTS: dict[str, dict[str, frozenset[str]]] = {
    "SELECT * FROM c": {"c": READ},
    "SELECT * FROM c JOIN d ON c._id = d._id LEFT JOIN e ON c._id = e._id": {"c": READ, "d": READ, "e": READ},
    "INSERT INTO c DOCUMENTS ({'_id': 1})": {"c": READ | WRITE},
    "INSERT INTO c SELECT * FROM d": {"c": READ | WRITE, "d": READ},
    "UPDATE c SET a = 1": {"c": READ | WRITE},
    "DELETE FROM c": {"c": READ | WRITE},
    "TOMBSTONE FROM c": {"c": READ | WRITE},
    "EVICT FROM c": {"c": READ | WRITE},
    "SELECT * FROM system:dual": {},
    "EXPLAIN SELECT * FROM c": {"c": READ},
    "PROFILE DELETE FROM c": {"c": READ | WRITE},
}
"""What a statement needs, by collection; of what it only reads, and may not be read, there is nothing."""

WHOLE = (
    "SELECT * FROM system:indexes",
    "SELECT * FROM c JOIN system:indexes i ON c._id = i._id",
    "CREATE INDEX i ON c (a)",
    "DROP INDEX i ON c",
    "SHOW DQL_STRICT_MODE",
    "ALTER SYSTEM SET DQL_STRICT_MODE = true",
    "EXPLAIN CREATE INDEX i ON c (a)",
)
"""Statements that take a permission for everything."""


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_needs_exactly_what_it_touches(text: str) -> None:
    needed = STATEMENTS[text]
    verbs = frozenset().union(*needed.values()) if needed else frozenset()
    Session(Untouchable(), Permission.of(verbs, frozenset(needed))).reach([text], "v5")  # type: ignore[arg-type]
    for collection, some in needed.items():
        for lack in (
            Permission.of(verbs, frozenset(needed) - {collection}),
            *(Permission.of(verbs - {verb}) for verb in some),
        ):
            lacking = any(lacks(lack, each, verb) for each, all_ in needed.items() if all_ >= WRITE for verb in all_)
            with pytest.raises(Forbidden) if lacking else nullcontext():
                Session(Untouchable(), lack).reach(["SELECT * FROM system:dual", text], "v5")  # type: ignore[arg-type]


def lacks(permission: Permission, collection: str, verb: str) -> bool:
    """Whether a permission is not for a verb on a collection."""
    where = permission.where(verb)
    return where is not None and collection not in where


@pytest.mark.parametrize("text", WHOLE)
def test_what_concerns_the_store_needs_everything(text: str) -> None:
    Session(Untouchable(), Permission.full()).reach([text], "v5")  # type: ignore[arg-type]
    for lack in (Permission.of(READ), Permission.of(VERBS, frozenset({"c"}))):
        with pytest.raises(Forbidden):
            Session(Untouchable(), lack).reach([text], "v5")  # type: ignore[arg-type]


def test_nobody_writes_in_the_name_of_the_store() -> None:
    with Store.in_memory() as store:
        with pytest.raises(Forbidden):
            Session(store, Permission.full()).submit([Upsert("c", {}, id="a")], actor=store.origin)
        assert store.applied == 0


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("scope", [None, ("c",), ("c", "d")])
def test_another_store_gets_at_this_one_with_the_right_permission_only(verb: Verb, scope: Scope) -> None:
    just_enough = Permission.of(frozenset({verb}), None if scope is None else frozenset(scope))
    with Store.in_memory() as store:
        assert Session(store, just_enough).for_exchange(verb, scope) is store
    too_little = [
        Permission.of(VERBS - {verb}),
        Permission.of(VERBS, frozenset()),
        Permission.of(VERBS, frozenset(scope[:-1] if scope else ["c"])),
    ]
    for permission in too_little:
        with pytest.raises(Forbidden) as refused:
            Session(Untouchable(), permission).for_exchange(verb, scope)  # type: ignore[arg-type]  # a double
        assert refused.value.data["verb"] == verb


def test_no_route_takes_the_store_past_the_session() -> None:
    """What `for_exchange` gives is the one way to it; the positive control is a line that has another."""
    way = re.compile(r"session\.(store|whole)\b|\bsession\.permission\b")
    sources = sorted((Path(__file__).parents[2] / "crdtstore" / "http").rglob("*.py"))
    assert len(sources) > 10
    assert [path.name for path in sources if way.search(path.read_text(encoding="utf-8"))] == []
    assert way.search("found = call.session.store.find()")
    assert way.search("found = call.session.whole.find()")
