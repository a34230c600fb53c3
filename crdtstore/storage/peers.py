"""What a store wrote down of the peers that it met: a row for each.

Not here: when a row is written and what it keeps a store from doing (`replication/peers.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec

from crdtstore.crdt.actor import format_actor
from crdtstore.limits import PEERS_MAX
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from crdtstore.storage.interface import Batch, Snapshot


@dataclass(frozen=True, slots=True)
class Peer:
    """Another store as this one knows it.

    `acknowledged` is the last txn id of this store's log up to which the peer has everything; `met` is when, in
    milliseconds since 1970; `divergence` says why it is quarantined, and is empty otherwise.
    """

    origin: bytes
    met: int = 0
    acknowledged: int = 0
    divergence: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "origin": format_actor(self.origin)}


ROWS = msgspec.msgpack.Decoder(tuple[int, int, str])


def read_peer(snapshot: Snapshot, origin: bytes) -> Peer:
    """What is known of one peer."""
    row = snapshot.get(Table.PEERS, origin)
    return Peer(origin) if row is None else Peer(origin, *decode_row(ROWS, Table.PEERS, origin, row))


def read_peers(snapshot: Snapshot) -> Iterator[Peer]:
    """All peers that were met."""
    for origin, row in snapshot.scan(Table.PEERS):
        yield Peer(origin, *decode_row(ROWS, Table.PEERS, origin, row))


def put_peer(batch: Batch, peer: Peer) -> None:
    """Write down what is known of a peer; the one that was not met for longest makes room where there are too many."""
    if batch.get(Table.PEERS, peer.origin) is None and batch.count(Table.PEERS) >= PEERS_MAX:
        oldest = min(read_peers(batch), key=lambda known: (bool(known.divergence), known.met))
        batch.delete(Table.PEERS, oldest.origin)
    batch.put(Table.PEERS, peer.origin, msgpack.packb([peer.met, peer.acknowledged, peer.divergence]))
