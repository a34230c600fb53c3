"""What may be delivered, what is skipped, and what stops a delivery; through every way that applies records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from crdtstore.command.command import Increment, Remove, Set, Update, Upsert
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.operation import Operation, Write
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.record import encode_operations, encode_record
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.timestamp import from_milliseconds
from crdtstore.crdt.value import encode_value
from crdtstore.crdt.vector import Reached
from crdtstore.errors import (
    CrdtStoreError,
    Divergence,
    MalformedRecord,
    NotCausal,
    Overloaded,
    PositionGap,
    RecordAhead,
)
from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX
from crdtstore.storage import catalog
from crdtstore.store import Store
from tests.version.stores import NOW, facts, fresh, kept, log, now, open_store, origin_of, plain_loops

WAYS = ("lmdb", "lmdb-plain", "memory", "memory-plain")
OTHER, THIRD = origin_of(2), origin_of(3)


@pytest.fixture(params=WAYS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store, with the compiled loops or the plain ones."""
    kind, _, plain = str(request.param).partition("-")
    with plain_loops() if plain else nullcontext(), open_store(kind, tmp_path / "store") as made:
        yield made


@pytest.fixture
def other() -> Iterator[Store]:
    """The store whose records are delivered."""
    with Store.in_memory(clock=now, origin=OTHER) as made:
        yield made


def write(value: Any, name: str = "x") -> Write:
    """A write of one field."""
    return Write(encode_path((name,)), encode_value(value))


def record(
    position: int,
    timestamp: int,
    *,
    origin: bytes = OTHER,
    observed: Mapping[bytes, Reached] | None = None,
    operation: Operation | None = None,
    collection: str = "a",
) -> bytes:
    """A record that writes one field of one document."""
    operations = encode_operations([operation or write(position)])
    stamp = Stamp(timestamp, origin, origin)
    return encode_record(stamp, position, observed or {}, [(collection, encode_id(1), operations)])


BASE = from_milliseconds(NOW)


def field(store: Store, name: str = "x") -> Any:
    """What document 1 of collection a shows at a field; None when it does not exist."""
    document = store.get("a", 1)
    return None if document is None else document.fields[name]


def refused(store: Store, records: list[bytes], error: type[CrdtStoreError], *, applied: int) -> CrdtStoreError:
    """Deliver records of which so many are applied before one is refused; memory and disk agree afterwards."""
    before = store.applied
    with pytest.raises(error) as caught:
        store.apply(records)
    assert type(caught.value) is error
    assert store.applied == before + applied
    assert kept(store) == fresh(store.storage)
    for known in store.sequencer.catalog.collections:
        assert known.documents == len(list(store.scan(known.name)))
    return caught.value


def test_records_apply_in_order(store: Store) -> None:
    """Each is applied once; the log keeps their bytes."""
    records = [record(position, BASE + position) for position in range(1, 8)]
    assert store.apply(records) == (7, 0, 7)
    assert field(store) == 7
    assert log(store) == records
    assert kept(store) == fresh(store.storage)


def test_repeated_records_are_skipped(store: Store) -> None:
    """Alone, among new ones, and twice in one delivery."""
    records = [record(position, BASE + position) for position in range(1, 6)]
    assert store.apply(records[:3]) == (3, 0, 3)
    before = facts(store)
    assert store.apply(records[:3]) == (0, 3, 3)
    assert facts(store) == before
    assert store.apply([records[1], *records, records[4], records[0]]) == (2, 6, 5)
    assert log(store) == records
    assert store.apply([]) == (0, 0, 5)


def test_a_gap(store: Store) -> None:
    """A position that is not the next stops the delivery; what came before stays."""
    records = [record(position, BASE + position) for position in (1, 2, 4, 5)]
    error = refused(store, records, PositionGap, applied=2)
    assert error.data == {"origin": OTHER.hex(), "expected": 3, "got": 4}
    assert field(store) == 2
    refused(store, [record(2, BASE, origin=THIRD)], PositionGap, applied=0)


def test_not_causal(store: Store) -> None:
    """A record that observed what was not applied here waits for it."""
    first = record(1, BASE + 1, origin=THIRD)
    with Store.in_memory(clock=now, origin=OTHER) as other:
        other.apply([first])
        other.write([Upsert("a", {"x": 10}, id=1)])
        records = log(other)
    error = refused(store, [record(1, BASE + 1, origin=origin_of(4)), records[1]], NotCausal, applied=1)
    assert error.data == {"origin": THIRD.hex(), "needs": 1, "has": 0}
    assert store.apply(records) == (2, 0, 3)
    assert field(store) == 10


def test_another_history_at_a_known_position(store: Store) -> None:
    """Same origin, same position, other bytes: never a merge, also where the position is an old one."""
    records = [record(position, BASE + position) for position in range(1, 5)]
    store.apply(records)
    for position in range(1, 5):
        forged = record(position, BASE + position, operation=write("forged"))
        error = refused(store, [forged, record(5, BASE + 5)], Divergence, applied=0)
        assert (error.data["origin"], error.data["position"]) == (OTHER.hex(), position)
        assert len({error.data["ours"], error.data["theirs"]}) == 2
    assert field(store) == 4


def test_an_author_vector_of_another_history(store: Store) -> None:
    """What a record observed has another digest here: at the newest position and at an older one."""
    records = [record(position, BASE + position) for position in range(1, 4)]
    store.apply(records)
    vector = store.sequencer.head.vector[OTHER]
    wrong = vector._replace(digest=b"\x01" * 16)
    late = record(1, BASE + 100, origin=THIRD, observed={OTHER: wrong})
    assert refused(store, [late], Divergence, applied=0).data["position"] == 3
    early = record(1, BASE + 100, origin=THIRD, observed={OTHER: Reached(2, BASE + 2, b"\x01" * 16)})
    assert refused(store, [early], Divergence, applied=0).data["position"] == 2
    right = record(1, BASE + 100, origin=THIRD, observed={OTHER: vector})
    assert store.apply([right]).applied == 1


@pytest.mark.parametrize("known", [0, 1, 3])
def test_the_own_origin_at_an_unknown_position(store: Store, known: int) -> None:
    """A store that is told of its own origin more than it knows was restored: it stops."""
    for number in range(known):
        store.write([Upsert("a", {"x": number}, id=1)])
    own = record(known + 1, BASE + known + 100, origin=store.origin)
    error = refused(store, [own, record(1, BASE + 200)], Divergence, applied=0)
    assert error.data["position"] == known + 1
    assert store.write([Upsert("a", {"y": 1}, id=1)]).txn == known + 1


def test_its_own_records_are_skipped(store: Store) -> None:
    """What comes back to the store that wrote it is known."""
    for number in range(3):
        store.write([Upsert("a", {"x": number}, id=1)])
    assert store.apply(log(store)) == (0, 3, 3)


def test_a_record_ahead_of_the_clock(store: Store) -> None:
    """It stops the delivery before it; up to the bound it is taken."""
    bound = from_milliseconds(NOW + CLOCK_AHEAD_SECONDS_MAX * 1_000)
    records = [
        record(1, BASE),
        record(2, bound),
        record(3, from_milliseconds(NOW + CLOCK_AHEAD_SECONDS_MAX * 1_000 + 1)),
        record(1, BASE, origin=THIRD),
    ]
    error = refused(store, records, RecordAhead, applied=2)
    assert error.data["position"] == 3
    assert THIRD not in store.sequencer.head.vector
    assert field(store) == 2


def test_a_record_within_the_last_millisecond_of_the_bound(store: Store) -> None:
    """The bound is one of milliseconds: the counter within the last one does not matter, in either core."""
    last = from_milliseconds(NOW + CLOCK_AHEAD_SECONDS_MAX * 1_000) + 0xFFFF
    assert store.apply([record(1, BASE), record(2, last)]) == (2, 0, 2)


def test_timestamps_must_increase(store: Store) -> None:
    """Along an origin's log, and beyond what was observed."""
    store.apply([record(1, BASE + 5)])
    vector = store.sequencer.head.vector[OTHER]
    refused(store, [record(2, BASE + 5)], MalformedRecord, applied=0)
    refused(store, [record(2, BASE + 4)], MalformedRecord, applied=0)
    refused(store, [record(1, BASE + 5, origin=THIRD, observed={OTHER: vector})], MalformedRecord, applied=0)
    refused(store, [record(2, BASE + 9, observed={OTHER: vector})], MalformedRecord, applied=0)


MALFORMED = {
    "empty": b"",
    "text": b"not a record",
    "cut": record(2, BASE + 2)[:-1],
    "longer": record(2, BASE + 2) + b"\0",
    "version": record(2, BASE + 2).replace(b"\x97\x01", b"\x97\x02", 1),
    "position 0": record(2, BASE + 2).replace(OTHER + b"\x02", OTHER + b"\x00", 1),
    "wide integer": record(2, BASE + 2).replace(OTHER + b"\x02", OTHER + b"\xcc\x02", 1),
    "path": record(2, BASE + 2, operation=Write(b"x", encode_value(1))),
    "collection": record(2, BASE + 2, collection="a\0b"),
    "no change": encode_record(Stamp(BASE + 2, OTHER, OTHER), 2, {}, []),
    "id": encode_record(Stamp(BASE + 2, OTHER, OTHER), 2, {}, [("a", b"\x99", encode_operations([write(1)]))]),
    "twice": encode_record(
        Stamp(BASE + 2, OTHER, OTHER), 2, {}, [("a", encode_id(1), encode_operations([write(1)]))] * 2
    ),
}


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_malformed_records(store: Store, name: str) -> None:
    """The records before stay, nothing after is applied, and no name of it is left."""
    refused(store, [record(1, BASE + 1), MALFORMED[name], record(3, BASE + 3)], MalformedRecord, applied=1)
    assert field(store) == 1
    assert store.apply([record(2, BASE + 2)]).applied == 1


def test_every_cut_of_a_record_is_malformed(store: Store, other: Store) -> None:
    """No prefix of a real record is one."""
    other.write([Upsert("a", {"x": {"y": [1, {"z": None}]}, "s": "text"}, id={"k": 1}), Upsert("b", {}, id=2.5)])
    (whole,) = log(other)
    for end in range(len(whole)):
        with pytest.raises(MalformedRecord):
            store.apply([whole[:end]])
    assert store.applied == 0
    assert store.apply([whole]).applied == 1


def test_a_local_limit_stops_the_delivery(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that this store has no room for is not skipped: it can be applied later, whole."""
    monkeypatch.setattr(catalog, "COLLECTIONS_MAX", 1)
    records = [record(1, BASE + 1), record(2, BASE + 2, collection="b"), record(3, BASE + 3)]
    refused(store, records, Overloaded, applied=1)
    assert store.collections() == ("a",)
    monkeypatch.setattr(catalog, "COLLECTIONS_MAX", 2)
    assert store.apply(records) == (2, 1, 3)
    assert store.collections() == ("a", "b")


def test_counters_removals_and_conflicts_arrive(store: Store, other: Store) -> None:
    """A delivery of every kind of operation gives the state that its origin has."""
    store.write([Upsert("a", {"x": "mine"}, id=1)])
    other.write([Upsert("a", {"x": "theirs", "m": {}, "n": 5}, id=1, value_types={"n": "counter"})])
    other.write([Update("a", "_id == 1", [Increment("n", 2), Increment("new", 1.5), Set("m.k", [1, 2])])])
    other.write([Upsert("a", {"gone": 1}, id=2), Upsert("b", {"k": 1}, id="s")])
    other.write([Remove("a", "_id == 2")])
    assert store.apply(log(other)).applied == 4
    other.apply(log(store))
    assert facts(store) == facts(other)
    (rivals,) = store.conflicts("a", 1).values()
    assert {rival.value for rival in rivals} == {"mine", "theirs"}
    assert [rival.visible for rival in rivals] == [True, False]
    assert store.get("a", 2) is None


def test_waiters_hear_of_deliveries(store: Store) -> None:
    """Also of one that was stopped half way."""
    called: list[int] = []
    store.notify(2, lambda: called.append(2))
    store.notify(3, lambda: called.append(3))
    refused(store, [record(1, BASE + 1), record(2, BASE + 2), b"?"], MalformedRecord, applied=2)
    assert store.wait(2, 60) == 2
    assert called == [2]


def test_what_was_delivered_survives_reopening(tmp_path: Path, other: Store) -> None:
    """Vectors and author vectors too: the next record goes on from there."""
    with open_store("lmdb", tmp_path / "store") as store:
        for number in range(3):
            other.write([Upsert("a", {"x": number}, id=number)])
        store.apply(log(other))
        store.write([Upsert("a", {"x": "later"}, id=1)])
        before = facts(store), kept(store)
    other.apply(log_of(tmp_path))
    other.write([Update("a", "true", [Set("y", 1)])])
    with open_store("lmdb", tmp_path / "store") as store:
        assert (facts(store), kept(store)) == before
        assert store.apply(log(other)) == (1, 4, 5)
        assert facts(store) == facts(other)


def log_of(path: Path) -> list[bytes]:
    """The records of a store that is closed."""
    with open_store("lmdb", path / "store") as store:
        return log(store)
