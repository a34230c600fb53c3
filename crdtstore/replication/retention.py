"""How far the log may be trimmed: what it is kept for, and the thread that does it in a server.

Rules: an entry goes when it is older than a log is kept, or when enough newer ones are there; what is not bounded is
kept. An entry that a peer has not acknowledged stays, unless the peer was not met for so long that it counts as gone:
it is given a snapshot when it returns. The log is trimmed from its beginning, so an old entry behind a young one
stays with it. An entry's age is that of its transaction, wherever it was written; a join's that of its newest one.

Not here: forgetting entries (`version/trim.py`), what is known of peers (`peers`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from crdtstore import limits
from crdtstore.crdt.entry import decode_join, is_join, is_record
from crdtstore.crdt.timestamp import to_milliseconds
from crdtstore.crdt.vector import greatest_timestamp
from crdtstore.errors import CrdtStoreError
from crdtstore.storage.log import first_txn, last_txn, read_entries
from crdtstore.storage.peers import read_peers

if TYPE_CHECKING:
    from crdtstore.storage.interface import Snapshot
    from crdtstore.store import Store

POSITION_AT = 20
"""Where the position stands in a record or advance, behind heads, format and origin."""

HEAD_BYTES = 64
"""Enough of a record to read its timestamp: a record may be large."""

logger = logging.getLogger(__name__)


class Policy(NamedTuple):
    """For how long the log is kept, in seconds, how many transactions of it, and after how long a peer is gone."""

    keep_seconds: float | None = None
    keep_transactions: int | None = None
    gone_seconds: float = limits.PEER_GONE_SECONDS_DEFAULT


def trim_until(snapshot: Snapshot, policy: Policy, now_ms: int) -> int:
    """The last txn id that may be forgotten; less than the log's first where none may.

    Args:
        snapshot: Of the store.
        policy: What is kept.
        now_ms: The time, in milliseconds since 1970.
    """
    first, newest = first_txn(snapshot), last_txn(snapshot)
    # The newest entry stays: it says which txn id comes next.
    allowed = min([newest - 1, *acknowledged(snapshot, policy, now_ms)])
    counted = newest - policy.keep_transactions if policy.keep_transactions is not None else 0
    if policy.keep_seconds is None or counted >= allowed:
        return max(first - 1, min(counted, allowed))
    aged = last_older(snapshot, first, allowed, now_ms - round(policy.keep_seconds * 1_000))
    return max(first - 1, min(max(counted, aged), allowed))


def acknowledged(snapshot: Snapshot, policy: Policy, now_ms: int) -> Iterator[int]:
    """Up to which txn id each peer that is not gone has everything."""
    for peer in read_peers(snapshot):
        if now_ms - peer.met <= policy.gone_seconds * 1_000:
            yield peer.acknowledged


def last_older(snapshot: Snapshot, first: int, last: int, before_ms: int) -> int:
    """The last txn id before the first entry that is not older than a time; at most `last`."""
    for entry in read_entries(snapshot, first - 1, max(0, last + 1 - first)):
        if made_ms(entry.record) >= before_ms:
            return entry.txn - 1
    return last


def made_ms(data: bytes) -> int:
    """When an entry's transaction was made, in milliseconds since 1970."""
    if is_join(data):
        return to_milliseconds(greatest_timestamp(decode_join(data)[0]))
    unpacker = msgpack.Unpacker(max_buffer_size=HEAD_BYTES)
    unpacker.feed(data[POSITION_AT : POSITION_AT + HEAD_BYTES])
    unpacker.skip()
    if is_record(data):
        unpacker.skip()  # the actor
    return to_milliseconds(unpacker.unpack())


def trim_log(store: Store, policy: Policy) -> int:
    """Forget what need not be kept; returns how many entries."""
    with store.storage.snapshot() as snapshot:
        until = trim_until(snapshot, policy, store.clock())
    return store.trim(until)


@contextmanager
def trimming(store: Store, policy: Policy) -> Iterator[None]:
    """Trim a store's log, at once and then every TRIM_SECONDS, in a thread of its own while the block runs."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            try:
                logger.info("%d log entries were trimmed", trim_log(store, policy))
            except CrdtStoreError as error:
                logger.warning("The log was not trimmed: %s", error.message)
            stopped.wait(limits.TRIM_SECONDS)

    # A store may be closed while it is trimmed: what is left to do is done the next time.
    thread = threading.Thread(target=run, name="crdtstore-trim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(limits.STOP_SECONDS_MAX)
