"""A new epoch gives a store a new origin, so that no position of the old one is ever used twice.

Rules: a restored backup and a clone take one, a store whose last commits may be lost does, and so does a store that
meets a peer who knows more of its current origin than itself. What the old origin wrote stays in the vector, as
any other origin's. The site stays; the epoch grows, and holds the time and some noise, so that one backup that is
restored twice becomes two origins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crdtstore.crdt.actor import make_actor, site_and_epoch
from crdtstore.storage.identity import ORIGIN_KEY
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch, Snapshot

VOLATILE_KEY: Final = b"volatile"
"""A row of META while a store runs without durability: whoever opens it next takes a new epoch."""

NOISE_BITS: Final = 20
NOISE_BYTES: Final = 4


def renew_epoch(batch: Batch, head: Head, clock_milliseconds: int, noise: bytes) -> bytes:
    """Give a store the next epoch; returns its new origin.

    Args:
        batch: The group's.
        head: Where the log stands.
        clock_milliseconds: The clock's reading.
        noise: NOISE_BYTES random bytes.
    """
    site, epoch = site_and_epoch(head.origin)
    noisy = clock_milliseconds << NOISE_BITS | int.from_bytes(noise, "big") % (1 << NOISE_BITS)
    head.origin = make_actor(site, max(epoch + 1, noisy % 2**63))
    batch.put(Table.META, ORIGIN_KEY, head.origin)
    return head.origin


def was_volatile(snapshot: Snapshot) -> bool:
    """Whether a store last ran without durability."""
    return snapshot.get(Table.META, VOLATILE_KEY) is not None


def settle_epoch(batch: Batch, head: Head, clock_milliseconds: int, noise: bytes, *, volatile: bool) -> None:
    """Take a new epoch if the store last ran without durability; note whether it does now."""
    if was_volatile(batch):
        renew_epoch(batch, head, clock_milliseconds, noise)
    if volatile:
        batch.put(Table.META, VOLATILE_KEY, b"\1")
    else:
        batch.delete(Table.META, VOLATILE_KEY)
