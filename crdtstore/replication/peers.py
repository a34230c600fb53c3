"""What a store knows of its peers: how far each is, when it was last met, and whether it diverged.

Rules: a peer is named by its origin, since addresses change. How far a peer is keeps the log from being trimmed
beyond it. A peer with which a divergence was found is quarantined: nothing is exchanged with it until an operator
releases it, over restarts too. What is known is written down when it changed, but not for every exchange.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crdtstore.crdt.actor import format_actor
from crdtstore.errors import Divergence, NotFound, Quarantined
from crdtstore.limits import PEER_SAVE_SECONDS
from crdtstore.storage.peers import put_peer, read_peer
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.storage.interface import Batch, Snapshot
    from crdtstore.store import Store


def check_peer(snapshot: Snapshot, origin: bytes) -> None:
    """Refuse a peer that is quarantined.

    Raises:
        Quarantined: It diverged before; `data` has `peer` and `divergence`.
    """
    peer = read_peer(snapshot, origin)
    if peer.divergence:
        message = f"Peer {format_actor(origin)} diverged and is in quarantine until it is released: {peer.divergence}"
        raise Quarantined(message, peer=format_actor(origin), divergence=peer.divergence)


def note_peer(store: Store, snapshot: Snapshot, origin: bytes, acknowledged: int) -> None:
    """Note how far a peer is, and that it was met; on disk at most once in PEER_SAVE_SECONDS."""
    peer, now = read_peer(snapshot, origin), store.clock()
    if store.storage.read_only or (peer.met and abs(now - peer.met) < PEER_SAVE_SECONDS * 1_000):
        return
    store.run(lambda batch, _catalog, _head: put_peer(batch, replace(peer, met=now, acknowledged=acknowledged)))


def quarantine(store: Store, origin: bytes, error: Divergence) -> None:
    """Exchange nothing more with a peer."""
    if store.storage.read_only:
        return

    def run(batch: Batch, _catalog: object, _head: object) -> None:
        put_peer(batch, replace(read_peer(batch, origin), met=store.clock(), divergence=error.message))

    store.run(run)


def release(store: Store, origin: bytes) -> None:
    """Take a peer out of quarantine.

    Raises:
        NotFound: This peer was never met.
    """
    change_peer(store, origin, lambda batch, peer: put_peer(batch, replace(peer, divergence="")))


def forget(store: Store, origin: bytes) -> None:
    """Forget a peer: the log no longer waits for it.

    Raises:
        NotFound: This peer was never met.
    """
    change_peer(store, origin, lambda batch, peer: batch.delete(Table.PEERS, peer.origin))


def change_peer(store: Store, origin: bytes, change: Any) -> None:
    """Change what is known of a peer that was met."""

    def run(batch: Batch, _catalog: object, _head: object) -> bool:
        known = batch.get(Table.PEERS, origin) is not None
        if known:
            change(batch, read_peer(batch, origin))
        return known

    if not store.run(run):
        raise NotFound(f"This store never met a peer {format_actor(origin)}.")
