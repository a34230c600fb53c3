"""A store under rules answers as one that holds nothing but the documents that are seen, and lets no other be changed.

Rules: the oracle is a second store, filled with copies of those documents that a rule in plain Python shows. What is
asked is asked of both. What may be written is decided by the same plain rules, before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import Store
from crdtstore.command.command import Command, Increment, Remove, Set, Update, Upsert
from crdtstore.command.condition import Condition
from crdtstore.command.result import Removed, Updated
from crdtstore.errors import CrdtStoreError, Forbidden, PreconditionFailed
from crdtstore.query import rules as module
from crdtstore.query.legacy import parse
from crdtstore.query.rules import Rules
from tests.version.pasts import KINDS, engine

Fields = dict[str, Any]
Holds = Callable[[Any, Fields], bool]

RULES: dict[str, Holds] = {
    "owner == 'me'": lambda _id, fields: fields.get("owner") == "me",
    "owner == 'me' || public == true": lambda _id, fields: fields.get("owner") == "me" or fields.get("public") is True,
    "_id != 3 && !(level > 2)": lambda id_, fields: id_ != 3 and not is_above(fields.get("level"), 2),
    "contains([1, 2, 5], _id)": lambda id_, _fields: id_ in {1, 2, 5},
    "false": lambda _id, _fields: False,
    "true": lambda _id, _fields: True,
}
QUERIES = ("true", "owner == 'me'", "level >= 1", "public == true || level < 2", "_id == 3", "!(owner == 'you')")
ORDERS: tuple[list[str], ...] = ([], ["level"], ["-owner", "level"])
PATHS = ("owner", "level", "public")


def is_above(value: Any, bound: int) -> bool:
    """Compare as the legacy language does: numbers with numbers."""
    return isinstance(value, int) and value > bound


def make_fields(random: Random) -> Fields:
    """Some fields."""
    values: Mapping[str, tuple[Any, ...]] = {
        "owner": ("me", "you"),
        "level": (0, 1, 2, 3),
        "public": (True, False),
    }
    return {name: random.choice(choices) for name, choices in values.items() if random.random() < 0.8}


@contextmanager
def filled(kind: str, path: Path, random: Random) -> Iterator[tuple[Store, dict[Any, Fields]]]:
    """A store with documents, maybe with indexes, and what is in it."""
    documents = {id_: make_fields(random) for id_ in range(random.randrange(1, 12))}
    with engine(kind), Store.in_memory() if kind == "memory" else Store.open(path, durability="none") as store:
        store.write([Upsert("c", fields, id=id_) for id_, fields in documents.items()])
        store.write([Upsert("other", {"owner": "you"}, id=1)])
        for field in ("level", "owner"):
            if random.random() < 0.5:
                store.indexes.create("c", [field], name=field)
        yield store, documents


def answers(store: Store, random: Random) -> list[Any]:
    """Everything that is read, asked once."""
    query, order, limit = random.choice(QUERIES), random.choice(ORDERS), random.randrange(1, 6)
    page = store.find("c", query, order=order, limit=limit)
    following = None if page.cursor is None else store.find("c", query, order=order, limit=limit, cursor=page.cursor)
    id_, path = random.randrange(12), random.choice(PATHS)
    document, _, _ = store.get_with_digest("c", id_)
    with store.matching("c", query) as matching:
        found = sorted((each.id, each.json) for each in matching.documents)
    with store.find_json_lines("c", query, order=order) as lines:
        text = b"".join(lines.pieces)
    return [
        [(each.id, each.fields) for each in page.documents],
        page.cursor is None,
        None if following is None else [each.id for each in following.documents],
        store.count("c", query).count,
        store.distinct("c", path, query).values,
        None if (one := store.get("c", id_)) is None else one.fields,
        None if document is None else document.fields,
        store.get_json("c", id_),
        store.get_many_json("c", list(range(12))),
        [each.id for each in store.scan("c")],
        bool(store.cells("c", id_)),
        store.document_digest("c", id_) == bytes(16),
        found,
        text,
        store.prepare("c", "level == $args.n").find_json(n=1),
        *statements(store, random),
    ]


def statements(store: Store, random: Random) -> list[Any]:
    """The same in statements."""
    level, id_ = random.randrange(4), random.randrange(12)
    texts = (
        "SELECT * FROM c ORDER BY _id",
        f"SELECT * FROM c WHERE level >= {level} ORDER BY level, _id LIMIT 3",
        f"SELECT * FROM c WHERE _id = {id_}",
        "SELECT count(*) AS n FROM c",
        f"SELECT count(*) AS n FROM c WHERE level > {level}",
        "SELECT owner, count(*) AS n, max(level) AS m FROM c GROUP BY owner ORDER BY owner",
        "SELECT DISTINCT level FROM c ORDER BY level",
        f"SELECT level FROM c USE IDS '{id_}', '1'",
        "SELECT a._id, b.level FROM c a JOIN c b ON b._id = a.level ORDER BY a._id",
    )
    text = random.choice(texts)
    with store.stream("SELECT * FROM c") as rows:
        streamed = sorted(rows)
    return [text, store.execute(text).rows_json, streamed]


def wrongly_read(kind: str, path: Path, runs: range) -> list[Any]:
    """Questions whose answers differ from the oracle's."""
    wrong: list[Any] = []
    for number in runs:
        random = Random(f"{number} {kind}")
        rule = random.choice(list(RULES))
        with filled(kind, path / str(number), random) as (store, documents), Store.in_memory() as oracle:
            oracle.write([Upsert("c", fields, id=id_) for id_, fields in documents.items() if RULES[rule](id_, fields)])
            held = store.under(Rules({"c": parse(rule)}))
            for turn in range(4):
                asked = f"{number} {turn} {kind}"
                ours, theirs = answers(held, Random(asked)), answers(oracle, Random(asked))
                if ours != theirs:
                    wrong += [(asked, rule, each) for each in zip(ours, theirs, strict=True) if each[0] != each[1]]
            assert held.find("other").documents == store.find("other").documents
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_a_rule_shows_is_read(kind: str, tmp_path: Path) -> None:
    assert wrongly_read(kind, tmp_path, range(40)) == []


def make_commands(random: Random) -> list[Command]:
    """One to three commands on documents that may be seen or not."""
    return [make_command(random) for _ in range(random.randrange(1, 4))]


def make_command(random: Random) -> Command:
    """One of them."""
    kind, query = random.randrange(4), random.choice(QUERIES)
    if kind == 0:
        return Upsert("c", make_fields(random), id=random.randrange(12))
    if kind == 1:
        return Update("c", query, [Set("owner", random.choice(("me", "you")))])
    if kind == 2:
        return Update("c", query, [Increment("hits")])
    return Remove("c", query)


def contents(store: Store) -> dict[Any, Fields]:
    """Every document."""
    return {each.id: each.fields for each in store.scan("c")}


def wrongly_written(kind: str, path: Path, runs: range) -> tuple[list[Any], int, int]:
    """Writes under rules that changed what they might not, or were refused though they might; accepted, refused."""
    wrong: list[Any] = []
    accepted = refused = 0
    for number in runs:
        random = Random(f"write {number} {kind}")
        seen, written = random.choice(list(RULES)), random.choice(list(RULES))
        with filled(kind, path / f"w{number}", random) as (store, before):
            held = store.under(Rules({"c": parse(seen)}, {"c": parse(written)}))
            commands = make_commands(random)
            given_ids = {command.id for command in commands if isinstance(command, Upsert)}
            try:
                held.write(commands)
            except Forbidden:
                refused += 1
                if contents(store) != before:
                    wrong.append((number, "half applied"))
                # Conditions leave out what may not be written: only what is named, or made so, can be refused.
                if not given_ids and not any(isinstance(command, Update) for command in commands):
                    wrong.append((number, "refused"))
                continue
            accepted += 1
            after = contents(store)
            for id_ in before.keys() | after.keys():
                if before.get(id_) == after.get(id_):
                    continue
                allowed = all(RULES[written](id_, state[id_]) for state in (before, after) if id_ in state)
                named = id_ in given_ids or RULES[seen](id_, before.get(id_, {}))
                if not allowed or not named:
                    wrong.append((number, id_, seen, written, before.get(id_), after.get(id_)))
    return wrong, accepted, refused


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_a_rule_allows_is_written(kind: str, tmp_path: Path) -> None:
    wrong, accepted, refused = wrongly_written(kind, tmp_path, range(100))
    assert wrong == []
    assert accepted > 20
    assert refused > 20


@pytest.mark.parametrize(
    ("statement", "is_refused"),
    [
        ("INSERT INTO c DOCUMENTS ({'_id': 9, 'owner': 'me'})", False),
        ("INSERT INTO c DOCUMENTS ({'_id': 9, 'owner': 'you'})", True),
        ("INSERT INTO c DOCUMENTS ({'_id': 2, 'owner': 'me'}) ON ID CONFLICT DO UPDATE", True),
        ("UPDATE c SET owner = 'you' WHERE _id = 1", True),
        ("UPDATE c SET level = 5", False),
        ("DELETE FROM c", False),
        ("INSERT INTO c SELECT * FROM c ON ID CONFLICT DO UPDATE", False),
    ],
)
def test_statements_are_held_to_rules(statement: str, *, is_refused: bool) -> None:
    mine = {"c": parse("owner == 'me'")}
    with Store.in_memory() as store:
        store.write([Upsert("c", {"owner": "me"}, id=1), Upsert("c", {"owner": "you"}, id=2)])
        held = store.under(Rules(mine, mine))
        before = contents(store)
        if is_refused:
            with pytest.raises(Forbidden, match="a rule does not hold of it"):
                held.execute(statement)
            assert contents(store) == before
        else:
            held.execute(statement)
        assert contents(store)[2] == {"owner": "you"}


def test_what_an_insert_meets_and_is_not_seen_stays_untold() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"owner": owner, "secret": 7}, id=owner) for owner in ("me", "you")])
        held = store.under(Rules({"c": parse("owner == 'me'")}))
        text = "INSERT INTO c DOCUMENTS ({'_id': :id, 'n': 1}) ON ID CONFLICT DO UPDATE RETURNING *"
        assert [len(held.execute(text, {"id": id_}).rows_json) for id_ in ("me", "you", "new")] == [1, 0, 0]
        text = "INSERT INTO c DOCUMENTS ({'_id': :id, 'secret': 7}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF"
        assert held.execute(text, {"id": "me"}).mutated == ()
        with pytest.raises(Forbidden):
            held.execute(text, {"id": "you"})


def test_a_document_that_is_not_seen_counts_as_absent_in_conditions() -> None:
    mine = {"c": parse("owner == 'me'")}
    with Store.in_memory() as store:
        store.write([Upsert("c", {"owner": "you"}, id=2)])
        held = store.under(Rules(mine, mine))
        with pytest.raises(PreconditionFailed):
            held.write([Upsert("c", {"owner": "me"}, id=2)], conditions=[Condition("c", 2, holds=True)])
        with pytest.raises(Forbidden):
            held.write([Upsert("c", {"owner": "me"}, id=2)], conditions=[Condition("c", 2, holds=False)])


def test_what_is_of_the_whole_store_is_refused() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"owner": "you"}, id=2)])
        held = store.under(Rules({"c": parse("owner == 'me'")}))
        for ask in (held.digest, lambda: next(held.changes()), lambda: held.history("c", 2, limit=1)):
            with pytest.raises(Forbidden):
                ask()


def test_the_past_of_a_document_is_told_where_the_rule_is_about_its_id() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"owner": "you"}, id=id_) for id_ in (1, 2)])
        store.write([Remove("c", "_id == 1")])
        held = store.under(Rules({"c": parse("_id == 1")}))
        whole = store.history("c", 1, limit=9)
        assert len(whole.transactions) == 2
        assert held.history("c", 1, limit=9) == whole
        assert held.history("c", 2, limit=1) == store.history("c", "none", limit=1)


def test_plans_are_told_of_collections_that_are_seen_whole() -> None:
    with Store.in_memory() as store:
        store.write([Upsert(name, {"owner": "you"}, id=2) for name in ("c", "d", "e")])
        held = store.under(Rules({"c": parse("owner == 'me'")}, whole=frozenset({"d"})))
        assert held.explain("d") == store.explain("d")
        assert held.execute("EXPLAIN SELECT * FROM d").rows_json == store.execute("EXPLAIN SELECT * FROM d").rows_json
        for name in ("c", "e"):
            for verb in ("EXPLAIN", "PROFILE", "ADVISE"):
                with pytest.raises(Forbidden):
                    held.execute(f"{verb} SELECT * FROM {name}")
            with pytest.raises(Forbidden):
                held.explain(name)


def test_a_collection_that_is_not_seen_is_empty() -> None:
    with Store.in_memory() as store:
        store.write([Upsert(name, {"owner": "you"}, id=2) for name in ("c", "d", "e")])
        held = store.under(Rules({"c": parse("owner == 'me'")}, whole=frozenset({"d"})))
        assert held.collections() == ("d",)
        assert [held.count(name).count for name in ("c", "d", "e")] == [0, 1, 0]
        assert held.get("e", 2) is None
        assert held.write([Update("e", "true", [Set("n", 1)])]).results == (Updated(0, 0),)
        store.write([Upsert("c", {"owner": "me"}, id=3)])
        assert held.collections() == ("c", "d")


def test_documents_that_are_seen_and_may_not_be_written_are_counted() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"owner": owner, "n": 1}, id=id_) for id_, owner in enumerate(("me", "you", "they"))])
        held = store.under(Rules({"c": parse("_id != 2")}, {"c": parse("owner == 'me'")}))
        assert held.write([Update("c", "n == 1", [Set("n", 2)])]).results == (Updated(1, 0, 1),)
        assert held.write([Upsert("c", {"owner": "me"}, id=9), Remove("c", "true")]).results[1] == Removed(2, 1)
        assert sorted(contents(store)) == [1, 2]


def without(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A planted bug: rules of a kind that are forgotten."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        match name:
            case "conditions":
                monkeypatch.setattr(Rules, "seen", lambda _self, _collection, node: node)
            case "documents by id":
                monkeypatch.setattr(Rules, "shows", lambda *_: True)
            case "before":
                monkeypatch.setattr(module, "is_grave", lambda _: True)
            case "the draft":
                monkeypatch.setattr("crdtstore.writing.check_draft", lambda _: None)
            case "what an update selects":
                monkeypatch.setattr(Rules, "to_write", lambda _self, _collection: None)

    return plant


@pytest.mark.parametrize("name", ["conditions", "documents by id"])
def test_a_rule_that_is_forgotten_in_reading_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without(name)(monkeypatch)
    assert wrongly_read("memory", tmp_path, range(20)) != []


@pytest.mark.parametrize("name", ["before", "the draft", "what an update selects"])
def test_a_rule_that_is_forgotten_in_writing_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without(name)(monkeypatch)
    try:
        wrong, _, _ = wrongly_written("memory", tmp_path, range(100))
    except CrdtStoreError as error:
        wrong = [error]
    assert wrong != []


def test_a_held_store_shares_everything(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        held = store.under(Rules({"c": parse("true")}))
        txn = held.write([Upsert("c", {"owner": "me"}, id=1)]).txn
        assert (store.applied, held.applied) == (txn, txn)
        with closing(store.pin()) as pin:
            assert held.count("c", at=pin.txn).count == 1
