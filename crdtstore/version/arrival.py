"""Entries of another store's log arrive: their chains are checked, then they are delivered one by one.

Rules: the chain is recomputed along the entries of each origin, from the digest that is known here, and must end
where the sender's does; a frame whose chain ends elsewhere is `Divergence`, and nothing of it is applied. Then each
entry is whole or not at all; what comes before a refused one stays, so that an exchange can go on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.crdt.entry import Entry, decode_advance, is_advance, place_of
from crdtstore.crdt.vector import NOWHERE
from crdtstore.errors import CrdtStoreError, MalformedRecord, ReplicationError, RetryLater
from crdtstore.limits import RECORD_BYTES_MAX
from crdtstore.storage.log import chain_at
from crdtstore.version.delivery import deliver_all, deliver_entries, divergence

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch


class Delivered(NamedTuple):
    """How many entries were applied, how many were known, what stopped the rest, and where the log stands."""

    applied: int
    skipped: int
    error: CrdtStoreError | None
    txn: int


def deliver_frame(
    batch: Batch,
    catalog: Catalog,
    head: Head,
    entries: Sequence[Entry],
    chains: Mapping[bytes, bytes],
    clock: Callable[[], int],
) -> Delivered:
    """Apply entries up to the first that does not fit.

    Args:
        batch: The group's.
        catalog: The store's names.
        head: Where the log stands.
        entries: In the order of the sender's log.
        chains: Origin -> the sender's chain digest behind its last entry.
        clock: Milliseconds since 1970.
    """
    return counted(head, take_frame(batch, catalog, head, entries, chains, clock()))


def deliver_records(
    batch: Batch, catalog: Catalog, head: Head, records: Sequence[bytes], clock: Callable[[], int]
) -> Delivered:
    """As `deliver_frame`, for whole records of which nobody told where their chains end."""
    return counted(head, take_records(batch, catalog, head, records, clock()))


def counted(head: Head, outcomes: Iterator[bool]) -> Delivered:
    """Count entries that are applied or skipped, until one does not fit."""
    counts, stopped = [0, 0], None
    try:
        for is_applied in outcomes:
            counts[is_applied] += 1
    except (ReplicationError, RetryLater) as error:
        stopped = error
    return Delivered(counts[True], counts[False], stopped, head.txn)


def take_frame(
    batch: Batch,
    catalog: Catalog,
    head: Head,
    entries: Sequence[Entry],
    chains: Mapping[bytes, bytes],
    clock_milliseconds: int,
) -> Iterator[bool]:
    """Check entries together, then apply them one by one."""
    check_sizes([entry.data for entry in entries])
    check_chains(batch, entries, chains)
    yield from deliver_entries(batch, catalog, head, entries, clock_milliseconds)


def take_records(
    batch: Batch, catalog: Catalog, head: Head, records: Sequence[bytes], clock_milliseconds: int
) -> Iterator[bool]:
    """The same for whole records."""
    check_sizes(records)
    if head.scope is None:
        yield from deliver_all(batch, catalog, head, records, clock_milliseconds)
    else:
        yield from deliver_entries(batch, catalog, head, [Entry(record) for record in records], clock_milliseconds)


def check_sizes(entries: Sequence[bytes]) -> None:
    """Refuse what no store would have written, before anything of it is unpacked."""
    size = max(map(len, entries), default=0)
    if size > RECORD_BYTES_MAX:
        raise MalformedRecord(f"A record takes at most {RECORD_BYTES_MAX} bytes; one of {size} was given.")


def check_chains(batch: Batch, entries: Sequence[Entry], chains: Mapping[bytes, bytes]) -> None:
    """Recompute where the chain of each origin arrives.

    Raises:
        Divergence: It arrives elsewhere than the sender's: another history stands before these entries.
    """
    if not chains:
        return
    arrived: dict[bytes, tuple[int, bytes | None]] = {}
    for data, told in entries:
        origin, position = place_of(data)
        if is_advance(data):
            digest: bytes | None = decode_advance(data).digest
        elif told is not None:
            digest = told
        else:
            before = arrived[origin][1] if origin in arrived else known_chain(batch, origin, position - 1)
            digest = core.chain_digest(before, data) if before is not None else None
        arrived[origin] = position, digest
    for origin, theirs in chains.items():
        position, ours = arrived.get(origin, (0, None))
        if ours is not None and ours != theirs:
            raise divergence(origin, position, ours, theirs)


def known_chain(batch: Batch, origin: bytes, position: int) -> bytes | None:
    """The chain digest at a position, from the chain's seed on; None where it was not reached: a gap, told later."""
    return chain_at(batch, origin, position) if position else NOWHERE.digest
