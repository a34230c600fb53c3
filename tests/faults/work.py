"""What a writer under faults writes, and how it is recognised afterwards.

Rules: a transaction has a name (round, thread, number), from which all of its content follows: two documents and an
increment, so that half of it can be told from the whole. Who was answered notes name and txn id, and nothing else is
needed to ask whether what was acknowledged is there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from crdtstore import Command, Increment, Store, Update, Upsert
from crdtstore.crdt.value import Value

ACKNOWLEDGEMENT: Final = struct.Struct("<IBIQ")
COUNTED: Final = "_id == 'all'"


class Name(NamedTuple):
    """Names a transaction."""

    round: int
    thread: int
    number: int

    @property
    def id(self) -> str:
        """The id of its documents."""
        return f"{self.round}.{self.thread}.{self.number}"


class Acknowledged(NamedTuple):
    """A transaction that was answered, and with which txn id."""

    name: Name
    txn: int


def fields(name: Name) -> tuple[dict[str, Value], dict[str, Value]]:
    """The two documents of a name."""
    text = "x" * Random(name.id).choice((0, 10, 100, 3_000))
    return {"round": name.round, "thread": name.thread, "number": name.number}, {"text": text, "of": name.id}


def commands(name: Name) -> list[Command]:
    """The transaction of a name."""
    mark, text = fields(name)
    return [
        Upsert("marks", mark, id=name.id),
        Upsert("texts", text, id=name.id),
        Update("sums", COUNTED, [Increment("transactions", 1)]),
    ]


def prepare(store: Store) -> None:
    """Write what every transaction counts up, in a store that does not have it yet."""
    if not store.applied:
        store.write([Upsert("sums", {"transactions": 0}, id="all", value_types={"transactions": "counter"})])


def encode(acknowledged: Acknowledged) -> bytes:
    """One line of what was answered: short enough for a pipe to take it whole."""
    return ACKNOWLEDGEMENT.pack(*acknowledged.name, acknowledged.txn)


def decode(data: bytes) -> Iterator[Acknowledged]:
    """All lines; the last may be cut off."""
    for at in range(0, len(data) - ACKNOWLEDGEMENT.size + 1, ACKNOWLEDGEMENT.size):
        *name, txn = ACKNOWLEDGEMENT.unpack_from(data, at)
        yield Acknowledged(Name(*name), txn)


def missing(store: Store, acknowledged: list[Acknowledged]) -> list[str]:
    """What was answered and is not there, or not as it was written, or not whole."""
    found = []
    for name, txn in acknowledged:
        mark, text = store.get("marks", name.id), store.get("texts", name.id)
        if mark is None or text is None or (mark.fields, text.fields) != fields(name):
            found.append(f"transaction {txn} was acknowledged, and {name.id} is {mark}")
        elif txn > store.applied:
            found.append(f"transaction {txn} was acknowledged, and the newest is {store.applied}")
    return found


def halves(store: Store) -> list[str]:
    """Transactions of which a part is missing, seen from their documents."""
    counted = store.get("sums", "all")
    transactions = counted.fields["transactions"] if counted else 0
    collections = store.stats().collections
    parts = [collections.get("marks", 0), collections.get("texts", 0), transactions]
    return [] if len(set(parts)) == 1 else [f"marks, texts and sum are {parts}: a transaction is there in part"]
