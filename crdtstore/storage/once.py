"""What is kept of requests that are to be done once: who asked for what under which key, and what was answered.

    idempotency/answer/CLIENT/KEY   [number, digest of the request, answer or nil]
    idempotency/order/NUMBER        [client, key]
    idempotency/client/CLIENT       [number, ...]

Rules: an answer is kept in the batch of its transaction, so that one is on disk exactly if the other is. Numbers count
up for ever. A client has IDEMPOTENT_CLIENT_MAX answers and a store IDEMPOTENT_ANSWERS_MAX: the oldest go first. Of an
answer beyond IDEMPOTENT_ANSWER_BYTES_MAX only that it was given is kept. Names of rows are text.

Not here: what an answer is, who a client is (`http/`). Nothing of this is replicated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from crdtstore import limits
from crdtstore.errors import IdempotencyConflict
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from crdtstore.storage.interface import Batch, Snapshot

ANSWERS: Final = b"idempotency/answer/"
ORDER: Final = b"idempotency/order/"
BEHIND_ORDER: Final = b"idempotency/order0"
CLIENTS: Final = b"idempotency/client/"


class Asked(NamedTuple):
    """One transaction that is to be done once: 16 bytes each for who asks, under which key, and for what."""

    client: bytes
    key: bytes
    request: bytes


class Kept(NamedTuple):
    """What is kept of one: its number, what was asked, and the answer, None if that was too long."""

    number: int
    request: bytes
    answer: bytes | None


KEPT: Final = msgspec.msgpack.Decoder(Kept)
OWNER: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes])
NUMBERS: Final = msgspec.msgpack.Decoder(list[int])


def recall(snapshot: Snapshot, asked: Asked) -> bytes | None:
    """The answer that was given before; None where nothing was.

    Raises:
        IdempotencyConflict: Something else was asked under this key, or the answer was too long to be kept.
    """
    row = answer_key(asked.client, asked.key)
    data = snapshot.get(Table.KEYS, row)
    if data is None:
        return None
    kept = decode_row(KEPT, Table.KEYS, row, data)
    if kept.request != asked.request:
        raise IdempotencyConflict(
            "This Idempotency-Key was used for another request; take a new key for a new request."
        )
    if kept.answer is None:
        raise IdempotencyConflict(
            "This request was done before; its answer was too long to be kept, so read what it did."
        )
    return kept.answer


def keep(batch: Batch, asked: Asked, answer: bytes) -> None:
    """Keep an answer, and forget the oldest ones that are too many."""
    newest = last_number(batch)
    number = newest + 1
    kept = Kept(number, asked.request, answer if len(answer) <= limits.IDEMPOTENT_ANSWER_BYTES_MAX else None)
    put(batch, answer_key(asked.client, asked.key), kept)
    put(batch, order_key(number), (asked.client, asked.key))
    numbers = [*numbers_of(batch, asked.client), number]
    for old in numbers[: -limits.IDEMPOTENT_CLIENT_MAX]:
        forget(batch, old)
    put(batch, client_key(asked.client), numbers[-limits.IDEMPOTENT_CLIENT_MAX :])
    forget_oldest(batch, number - limits.IDEMPOTENT_ANSWERS_MAX)


def forget_oldest(batch: Batch, until: int) -> None:
    """Forget all answers up to a number."""
    if until <= 0:
        return
    rows = list(batch.scan(Table.KEYS, ORDER, order_key(until + 1)))
    for row, data in rows:
        client, _ = decode_row(OWNER, Table.KEYS, row, data)
        number = int(row[len(ORDER) :], 16)
        left = [each for each in numbers_of(batch, client) if each != number]
        forget(batch, number)
        if left:
            put(batch, client_key(client), left)
        else:
            batch.delete(Table.KEYS, client_key(client))


def forget(batch: Batch, number: int) -> None:
    """Forget one answer, but for its place in its client's list."""
    row = order_key(number)
    data = batch.get(Table.KEYS, row)
    if data is not None:
        batch.delete(Table.KEYS, answer_key(*decode_row(OWNER, Table.KEYS, row, data)))
        batch.delete(Table.KEYS, row)


def last_number(snapshot: Snapshot) -> int:
    """The number of the newest answer; 0 where none was given."""
    newest = next(iter(snapshot.scan_back(Table.KEYS, ORDER, BEHIND_ORDER)), None)
    return 0 if newest is None else int(newest[0][len(ORDER) :], 16)


def numbers_of(snapshot: Snapshot, client: bytes) -> list[int]:
    """The numbers of a client's answers, the oldest first."""
    row = client_key(client)
    data = snapshot.get(Table.KEYS, row)
    return [] if data is None else decode_row(NUMBERS, Table.KEYS, row, data)


def put(batch: Batch, row: bytes, value: object) -> None:
    """Write a row."""
    batch.put(Table.KEYS, row, msgspec.msgpack.encode(value))


def answer_key(client: bytes, key: bytes) -> bytes:
    """The row of an answer."""
    return ANSWERS + client.hex().encode() + b"/" + key.hex().encode()


def order_key(number: int) -> bytes:
    """The row that says whose a number is; these sort."""
    return ORDER + b"%016x" % number


def client_key(client: bytes) -> bytes:
    """The row of a client's numbers."""
    return CLIENTS + client.hex().encode()
