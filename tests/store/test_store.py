"""The store as its users see it: what survives closing, what the log gives, what a read is one view of."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import msgspec
import pytest

from crdtstore import reading as reading_module
from crdtstore.command.command import Increment, Remove, Set, Update, Upsert
from crdtstore.crdt.record import decode_record
from crdtstore.errors import (
    InvalidDocument,
    InvalidId,
    LimitExceeded,
    MalformedClientId,
    QuerySyntaxError,
    StoreClosed,
    StoreLocked,
)
from crdtstore.limits import FIND_LIMIT_MAX
from crdtstore.store import Store
from tests.version.stores import KINDS, facts, fresh, kept, log, now, open_store, origin_of

IDS: list[Any] = [
    False,
    True,
    -5,
    0,
    1,
    1.5,
    2**63 - 1,
    1e300,
    "A",
    "a",
    "a\0",
    "a\0b",
    "ab",
    "\xe9",
    {"k": [1, None]},
    {"l": "x"},
]
"""Ids of all kinds, in their order."""


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store, on disk and in memory."""
    with open_store(request.param, tmp_path / "store") as made:
        yield made


def conflict(store: Store) -> None:
    """Two concurrent writes of document 1 and one of its fields that is not in conflict."""
    with Store.in_memory(clock=now, origin=origin_of(99)) as other:
        other.write([Upsert("c", {"x": "theirs", "y": 1}, id=1)], actor=origin_of(50))
        store.write([Upsert("c", {"x": "mine"}, id=1)], actor=origin_of(40))
        store.apply(log(other))


# --- opening and closing ---


def test_reopening_keeps_everything(tmp_path: Path) -> None:
    """Txn, digest, vector, names, conflicts, settings; the next write goes on from there."""
    path = tmp_path / "store"
    with Store.open(path, clock=now) as store:
        conflict(store)
        store.write([Upsert("d", {"n": 1, "m": {}}, id_, {"n": "counter"}) for id_ in IDS])
        store.write([Update("d", "true", [Increment("n", 1)]), Remove("d", "_id == 1")])
        store.write_setting(b"key", b"value")
        before = (facts(store), kept(store), store.conflicts("c", 1), store.origin, store.applied, log(store))
    for _ in range(2):
        with Store.open(path, clock=now) as store:
            after = (facts(store), kept(store), store.conflicts("c", 1), store.origin, store.applied, log(store))
            assert after == before
            assert store.read_setting(b"key") == b"value"
    with Store.open(path, clock=now) as store:
        assert store.write([Upsert("c", {"x": "after"}, id=1)]).txn == before[4] + 1
        assert store.conflicts("c", 1) == {}


def test_a_store_that_ran_without_durability_takes_a_new_epoch(tmp_path: Path) -> None:
    """Its last commits may be lost, so no position of its origin may be used again; what is there stays."""
    origins: list[bytes] = []
    for durability in ("sync", "none", "none", "sync", "sync"):
        with Store.open(tmp_path / "store", clock=now, durability=durability) as store:
            store.write([Upsert("c", {"x": len(origins)}, id=1)])
            origins.append(store.origin)
            assert store.applied == len(origins)
    assert origins[0] == origins[1]
    assert len({*origins[1:4]}) == 3
    assert origins[3] == origins[4]
    assert {origin[:8] for origin in origins} == {origins[0][:8]}


def test_a_closed_store(tmp_path: Path) -> None:
    """It refuses every call; closing it again does nothing; it can be opened again."""
    store = open_store("lmdb", tmp_path / "store")
    store.write([Upsert("c", {"x": 1}, id=1)])
    with pytest.raises(StoreLocked):
        open_store("lmdb", tmp_path / "store")
    store.close()
    store.close()
    for call in (
        lambda: store.get("c", 1),
        lambda: store.get_json("c", 1),
        lambda: store.find("c"),
        lambda: list(store.scan("c")),
        lambda: list(store.changes()),
        lambda: store.write([]),
        lambda: store.apply([]),
        store.digest,
        store.stats,
    ):
        with pytest.raises(StoreClosed):
            call()
    with open_store("lmdb", tmp_path / "store") as again:
        assert again.applied == 1


def test_two_stores_have_two_origins() -> None:
    """Unless it is given."""
    with Store.in_memory() as first, Store.in_memory() as second, Store.in_memory(origin=origin_of(3)) as third:
        assert first.origin != second.origin
        assert third.origin == origin_of(3)
        third.write([Upsert("c", {}, id=1)])
        record = decode_record(log(third)[0])
        assert (record.actor, record.origin, record.position) == (third.origin, third.origin, 1)


@pytest.mark.parametrize("actor", [b"", b"short", b"x" * 17, "x" * 16, 5])
def test_an_actor_has_sixteen_bytes(store: Store, actor: Any) -> None:
    """No other store could read the records of another one."""
    with pytest.raises(MalformedClientId):
        store.write([Upsert("c", {"x": 1}, id=1)], actor=actor)
    assert (store.applied, store.stats().replicas) == (0, 0)


# --- the log ---


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_changes_across_pages(store: Store, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """Every `since` and `limit` gives its part of the log, however many snapshots that takes."""
    monkeypatch.setattr(reading_module, "CHANGES_ENTRIES_MAX", page)
    for number in range(7):
        store.write([Upsert("c", {"x": number}, id=number)])
    whole = list(store.changes())
    assert [entry.txn for entry in whole] == list(range(1, 8))
    for since in range(9):
        assert list(store.changes(since)) == whole[since:]
        for limit in range(9):
            assert list(store.changes(since, limit)) == whole[since : since + limit]


def test_changes_go_on_with_what_is_written_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The iterator ends at what is applied when it gets there."""
    monkeypatch.setattr(reading_module, "CHANGES_ENTRIES_MAX", 2)
    for number in range(4):
        store.write([Upsert("c", {"x": number}, id=number)])
    entries = store.changes()
    first = next(entries)
    store.write([Upsert("c", {"x": 9}, id=9)])
    assert [first.txn, *(entry.txn for entry in entries)] == [1, 2, 3, 4, 5]


def test_applying_is_idempotent(store: Store) -> None:
    """The same delivery twice, and one's own log."""
    with Store.in_memory(clock=now, origin=origin_of(99)) as other:
        for number in range(4):
            other.write([Upsert("c", {"x": number}, id=1), Upsert("c", {}, id=number + 5)])
        assert store.apply(entry.record for entry in other.changes()) == (4, 0, 4)
        before = facts(store), kept(store)
        assert store.apply(log(other)) == (0, 4, 4)
        assert store.apply(log(store)) == (0, 4, 4)
        assert (facts(store), kept(store)) == before
        assert facts(store) == facts(other)


def test_four_actors_at_two_stores() -> None:
    """Logs exchanged in any order of three partial pulls each way: equal digests and equal documents."""
    ends = set()
    for order in permutations(range(4)):
        with Store.in_memory(clock=now, origin=origin_of(1)) as left, Store.in_memory(origin=origin_of(2)) as right:
            right.clock = now
            for turn, actor in enumerate(order):
                at, to = (left, right) if turn % 2 else (right, left)
                author = origin_of(10 + actor)
                at.write([Upsert("c", {"x": actor, f"f{actor}": {}}, id=1)], actor=author)
                to.write([Update("c", "true", [Increment("n", actor)]), Upsert("c", {}, id=actor)], actor=author)
                to.apply(log(at)[: turn + 1])
                if turn == 2:
                    to.write([Remove("c", "_id == 1")], actor=author)
            exchange(left, right)
            assert facts(left) == facts(right)
            assert len(left.sequencer.head.vector) == 2
            ends.add(left.digest())
    assert len(ends) > 1


def exchange(left: Store, right: Store) -> None:
    """Both ways, until neither has anything new."""
    left.apply(log(right))
    right.apply(log(left))
    assert left.apply(log(right)).applied == right.apply(log(left)).applied == 0


# --- conflicts and digests ---


def test_conflicts_are_readable(store: Store) -> None:
    """Every value with its author, the visible one first; the greatest stamp is visible; a write resolves it."""
    conflict(store)
    assert list(store.conflicts("c", 1)) == ["x"]
    first, second = store.conflicts("c", 1)["x"]
    document = store.get("c", 1)
    assert document is not None
    assert document.fields == {"x": first.value, "y": 1}
    assert (first.visible, second.visible) == (True, False)
    assert {first.value: first.actor, second.value: second.actor} == {"mine": origin_of(40), "theirs": origin_of(50)}
    stamps = [(rival.timestamp, rival.actor, rival.origin) for rival in (first, second)]
    assert stamps[0] > stamps[1]
    assert store.conflicts("c", 2) == store.conflicts("none", 1) == {}
    store.write([Update("c", "true", [Set("x", "resolved")])])
    assert store.conflicts("c", 1) == {}


def test_document_digests_sum_to_the_stores(store: Store) -> None:
    """Also with conflicts, counters and long ids; a document that does not exist counts nothing."""
    conflict(store)
    ids = [*IDS, "long" * 200]
    store.write([Upsert("d", {"n": 1, "m": {}}, id_, {"n": "counter"}) for id_ in ids])
    store.write([Update("d", "_id > 0", [Increment("n", 1)])], actor=origin_of(7))
    digests = [store.document_digest("d", id_) for id_ in ids] + [store.document_digest("c", 1)]
    assert len(set(digests)) == len(digests)
    assert sum(int.from_bytes(each, "little") for each in digests) % 2**128 == int.from_bytes(store.digest(), "little")
    assert store.document_digest("d", "none") == store.document_digest("none", 1) == bytes(16)


# --- reading ---


def test_ids_of_all_kinds(store: Store) -> None:
    """Each is found by itself, and all of them in their order, however they are read."""
    for id_ in reversed(IDS):
        store.write([Upsert("c", {"v": id_}, id=id_)])
    found = store.find("c").documents
    assert [document.id for document in found] == IDS
    assert [document.fields["v"] for document in found] == IDS
    assert [type(document.id) for document in found] == [type(id_) for id_ in IDS]
    assert list(store.scan("c")) == list(found)
    assert [store.get("c", id_) for id_ in IDS] == list(found)
    assert store.get_many_json("c", IDS) == [document.json for document in found]
    assert [store.get_json("c", id_) for id_ in IDS] == [document.json for document in found]
    for id_ in IDS:
        assert [document.id for document in store.find("c", "_id == $args.id", args={"id": id_}).documents] == [id_]


def test_numbers_that_are_equal_are_one_id(store: Store) -> None:
    """1 and 1.0, 0 and -0.0; not 1 and true, not 1 and "1"."""
    store.write([Upsert("c", {"v": str(id_)}, id=id_) for id_ in (1, "1", True, -0.0)])
    assert [store.get_json("c", id_) for id_ in (1.0, "1", True, 0, False)] == [
        b'{"v":"1"}',
        b'{"v":"1"}',
        b'{"v":"True"}',
        b'{"v":"-0.0"}',
        None,
    ]


LONG = [
    prefix + middle + end
    for prefix in ("a" * 470, "b" * 900)
    for middle in ("", "0" * 8, "1" * 100)
    for end in ("", "x", "y", "\xe9" * 10)
]


def test_long_ids(store: Store) -> None:
    """Beyond what a key holds, with common prefixes: each its own document; sorted by what the key keeps of them."""
    ids = [*LONG, "c" * 1_024, "c" * 1_023, "c" * 475, "c" * 476, "c" * 477, "c"]
    store.write([Upsert("c", {"v": id_}, id=id_) for id_ in ids])
    assert store.stats().documents == len(ids)
    for id_ in ids:
        document = store.get("c", id_)
        assert document is not None
        assert (document.id, document.fields) == (id_, {"v": id_})
    read = [document.id for document in store.scan("c")]
    assert sorted(read, key=str) == sorted(ids)
    prefixes = [str(id_).encode()[:475] for id_ in read]
    assert prefixes == sorted(prefixes)
    assert [document.id for document in store.find("c").documents] == read
    assert store.get_many_json("c", ids) == [msgspec.json.encode({"v": id_}) for id_ in ids]
    assert store.get("c", "a" * 480) is None
    store.write([Remove("c", "_id == $args.id", {"id": id_}) for id_ in LONG])
    assert {document.id for document in store.scan("c")} == set(ids) - set(LONG)
    assert kept(store) == fresh(store.storage)
    with pytest.raises(InvalidId):
        store.get("c", "c" * 1_025)


def test_a_document_is_got_as_it_is_scanned(store: Store) -> None:
    """Whatever its id: some are found and printed by the core, others are decoded on the way."""
    ids: list[Any] = [1, True, False, 1.5, -7, 2**63 - 1, "1", "a\0b", "é" * 400, {"k": 1}, "gone"]
    store.write([Upsert("c", {"n": number}, id=id_) for number, id_ in enumerate(ids)])
    store.write([Remove("c", "_id == 'gone'")])
    scanned = list(store.scan("c"))
    assert len(scanned) == len(ids) - 1
    for document in scanned:
        for at in (None, store.applied):
            found = store.get("c", document.id, at=at)
            assert found == document
            assert found is not None
            assert type(found.id) is type(document.id)
    assert store.get("c", "gone") is None
    assert store.get("none", 1) is None


def test_get_many_is_get(store: Store) -> None:
    """In the order asked for, repeated and missing ids too; of a collection that does not exist, nothing."""
    store.write([Upsert("c", {"v": number, "t": '\u2028"\\'}, id=number) for number in range(5)])
    asked = [3, 9, 0, 3, "none", 4.0]
    assert store.get_many_json("c", asked) == [store.get_json("c", id_) for id_ in asked]
    documents = [store.get("c", id_) for id_ in asked]
    assert store.get_many_json("c", asked) == [document and document.json for document in documents]
    assert store.get_many_json("none", asked) == [None] * 6
    assert store.get_many_json("c", []) == []
    assert store.get_json("none", 1) is None
    with pytest.raises(InvalidId):
        store.get_many_json("c", [1, None])


def test_get_many_is_get_of_thousands(store: Store) -> None:
    """Whatever stands between: what is not there any more, ids that the core leaves alone, documents of many pages."""
    random = Random(11)
    ids: list[Any] = [*range(2_000), *map(str, range(300)), *(number + 0.5 for number in range(50))]
    for start in range(0, len(ids), 500):
        texts = (random.choice(("", "x" * 70, "y" * 9_000)) if random.random() < 0.1 else "z" for _ in range(500))
        store.write([Upsert("c", {"t": t}, id=id_) for id_, t in zip(ids[start : start + 500], texts, strict=False)])
    store.write([Remove("c", f"_id == {id_}") for id_ in range(0, 2_000, 97)])
    for asked in (ids, random.choices([*ids, -1, "none", 3_000], k=2_000), sorted(range(2_000), key=str)):
        assert store.get_many_json("c", asked) == [store.get_json("c", id_) for id_ in asked]


def test_finding(store: Store) -> None:
    """Pages, bounds, the version that was read; a collection that does not exist is empty."""
    store.write([Upsert("c", {"v": number % 3}, id=number) for number in range(10)])
    assert store.find("none") == (1, (), None)
    everything = store.find("c").documents
    for limit in (0, 1, 4, 20):
        for offset in (0, 1, 9, 10, 30):
            page = store.find("c", limit=limit, offset=offset)
            assert page[:2] == (1, everything[offset : offset + limit])
    assert [document.id for document in store.find("c", "v == 1", limit=2, offset=1).documents] == [4, 7]
    ids = "_id == 7 || _id == 1 || _id == 4 || _id == 1"
    assert [document.id for document in store.find("c", ids, limit=2, offset=1).documents] == [4, 7]
    with pytest.raises(LimitExceeded):
        store.find("c", limit=FIND_LIMIT_MAX + 1)
    for bounds in ({"limit": -1}, {"offset": -1}):
        with pytest.raises(InvalidDocument):
            store.find("c", **bounds)  # type: ignore[arg-type]
    with pytest.raises(QuerySyntaxError):
        store.find("none", "==")


def test_a_scan_is_one_view(store: Store) -> None:
    """What is written while it is read is not seen by it; the names it needs stay readable."""
    store.write([Upsert("c", {"v": 1}, id=number) for number in range(300)])
    scan = store.scan("c")
    first = next(scan)
    store.write([Update("c", "true", [Set("v", 2), Set("fresh", 1)]), Remove("c", "_id > 290")], actor=origin_of(8))
    rest = list(scan)
    assert [document.fields for document in [first, *rest]] == [{"v": 1}] * 300
    assert len(list(store.scan("c"))) == 291
    assert list(store.scan("none")) == []


def test_settings_rows(store: Store) -> None:
    """Small rows of the layers above: durable, by prefix, no transaction of the log."""
    for key in (b"a", b"b/1", b"b/2", b"b0", b"c"):
        store.write_setting(key, key * 2)
    assert store.scan_settings(b"b/") == [(b"b/1", b"b/1b/1"), (b"b/2", b"b/2b/2")]
    store.write_setting(b"b/1", None)
    store.write_setting(b"none", None)
    assert (store.read_setting(b"b/1"), store.read_setting(b"a")) == (None, b"aa")
    assert len(store.scan_settings(b"")) == 4
    assert (store.applied, store.digest()) == (0, bytes(16))


def test_stats(store: Store) -> None:
    """Counted by collection; those that are empty now are not listed."""
    store.write([Upsert("c", {"a": 1, "b": 2}, id=1), Upsert("d", {"a": 1}, id=1)], actor=origin_of(6))
    store.write([Remove("d", "true"), Upsert("c", {}, id=2)])
    stats = store.stats().as_dict()
    assert stats["collections"] == {"c": 2}
    assert (stats["documents"], stats["applied"], stats["replicas"], stats["origins"]) == (2, 2, 2, 1)
    assert stats["digest"] == store.digest().hex()
    assert stats["origin"] == store.origin.hex()
    assert not stats["read_only"]


# --- threads ---


def test_readers_see_whole_transactions(store: Store) -> None:
    """Two documents that are always written together are always read together, by every way of reading."""
    rounds, done = 150, Event()
    torn: list[Any] = []
    reads = [0, 0, 0]

    def pairs(kind: int) -> tuple[Any, Any]:
        if kind == 0:
            found = store.find("c").documents
            return found[0].fields["v"], found[1].fields["v"]
        if kind == 1:
            left, right = (msgspec.json.decode(printed or b"{}")["v"] for printed in store.get_many_json("c", [1, 2]))
            return left, right
        first, second = (document.fields["v"] for document in store.scan("c"))
        return first, second

    def read(kind: int) -> None:
        newest = -1
        while not done.is_set() or not reads[kind]:
            left, right = pairs(kind)
            if left != right or left < newest:
                torn.append((kind, left, right, newest))
            newest = left
            reads[kind] += 1

    store.write([Upsert("c", {"v": 0}, id=1), Upsert("c", {"v": 0}, id=2)])
    readers = [Thread(target=read, args=(kind,)) for kind in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, rounds):
            value = {"v": number, f"p{number % 20}": number}
            store.write([Upsert("c", value, id=1), Upsert("c", value, id=2)], actor=origin_of(number % 7 + 1))
    finally:
        done.set()
        for reader in readers:
            reader.join(60)
    assert torn == []
    assert all(reads)
    assert kept(store) == fresh(store.storage)


def test_a_version_that_was_answered_can_be_read(store: Store) -> None:
    """Threads that write read their own write at once, at the version they were told."""
    failures: list[Any] = []

    def work(thread: int) -> None:
        for number in range(30):
            written = store.write([Upsert("c", {"v": number}, id=thread)])
            found = store.find("c", "_id == $args.id", args={"id": thread})
            if found.txn < written.txn or found.documents[0].fields["v"] != number or store.applied < written.txn:
                failures.append((thread, number))

    threads = [Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert store.applied == 120
