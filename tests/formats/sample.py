"""What the kept files hold: two stores that write, disagree, meet, trim and join, with every kind of operation.

Rules: clocks and names are fixed, so that the same code makes the same records. When a kind of operation is added, it
is added here for the next version of the formats; what was kept before stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

from crdtstore import Increment, Remove, ReplaceWithCounter, Set, SetAttachment, Store, Update, Upsert
from crdtstore.crdt.value import Value
from crdtstore.replication.answer import Later, answer
from crdtstore.replication.exchange import exchange
from crdtstore.replication.pins import Pins

CLIENT = bytes(range(16))
TOKEN: Value = {"id": "k9", "len": 261_322, "metadata": {"name": "basel.png"}}

Talk = list[tuple[bytes, bytes]]
"""The requests of one exchange, each with its answer."""


def clock_of(start: int) -> Any:
    """A clock that goes on by a second each time."""
    times = count(start, 1_000)
    return lambda: next(times)


def entropy() -> Any:
    """Bytes that are the same in every run."""
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def write_here(store: Store) -> None:
    """What the first store writes."""
    store.write([Upsert("cities", {"name": "Basel", "visits": 1, "at": {"lat": 47.5}}, id="basel")], actor=CLIENT)
    counted = {"n": 5, "tags": ["a", None, True, 2**62, -1.5], "raw": b"\x00\xff"}
    store.write([Upsert("cities", counted, id=7, value_types={"n": "counter"})])
    store.write([Upsert("other", {"text": "ä€😀" * 20, "empty": {}}, id={"b": 1, "a": [2]})])
    store.write([Update("cities", "_id == 7", [Increment("n", 3), Set("deep.er.path", {"x": 1})])])
    store.write([Update("cities", "_id == 'basel'", [ReplaceWithCounter("visits", 10)])])
    store.write([Upsert("cities", {"gone": 1}, id=True), Upsert("cities", {"gone": 2}, id=2.5)])
    store.write([Remove("cities", "_id == true")])
    store.write([Update("cities", "_id == 7", [SetAttachment("image", TOKEN)])])
    store.write([Upsert("cities", {"name": "Bern", "n": 2}, id="bern", value_types={"n": "counter"}, initial=True)])
    store.write([Upsert("other", {"secret": 1}, id="buried")])
    store.write([Remove("other", "_id == 'buried'", deletes="permanent")])


def write_there(store: Store) -> None:
    """What the second store writes, without having seen any of it."""
    store.write([Upsert("cities", {"name": "Bâle", "visits": 2}, id="basel")])
    store.write([Upsert("cities", {"n": 1}, id=7, value_types={"n": "counter"})], actor=CLIENT)
    store.write([Update("cities", "_id == 7", [Increment("n", 0.5)])])
    store.write([Upsert("cities", {"name": "Berne", "n": 5}, id="bern", value_types={"n": "counter"}, initial=True)])
    store.write([Upsert("other", {"secret": 2}, id="buried")])


def talk(store: Store, other: Store) -> Talk:
    """One exchange that `store` starts, as its bytes."""
    said: Talk = []
    conversation = exchange(store)
    with closing(Pins()) as pins:
        request = next(conversation)
        while True:
            given = answer(other, request, pins)
            assert not isinstance(given, Later)
            said.append((request, given))
            try:
                request = conversation.send(given)
            except StopIteration:
                return said


def contents(store: Store) -> dict[str, Any]:
    """What a reader sees, as JSON values, and the digest of everything."""
    return {
        "applied": store.applied,
        "digest": store.digest().hex(),
        "documents": {name: [shown(one) for one in store.scan(name)] for name in store.collections()},
        "siblings": {name: dict(siblings(store, name)) for name in store.collections()},
    }


def shown(document: Any) -> str:
    """A document as text; `repr` tells bytes, integers and doubles apart."""
    return repr((document.id, document.fields))


def siblings(store: Store, collection: str) -> Iterator[tuple[str, str]]:
    """The paths with more than one value, and the values."""
    for document in store.scan(collection):
        found = store.conflicts(collection, document.id)
        if found:
            yield repr(document.id), repr({path: [one.value for one in values] for path, values in found.items()})
