"""What is known of peers: kept within a bound, released and forgotten by an operator."""

from __future__ import annotations

import pytest

from crdtstore.errors import Divergence, NotFound, Quarantined
from crdtstore.replication.peers import check_peer, forget, note_peer, quarantine, release
from crdtstore.storage import peers
from crdtstore.storage.peers import Peer, put_peer, read_peers
from crdtstore.store import Store
from tests.replication.worlds import NOW, Ticking, make, origin_of


def known(store: Store) -> list[Peer]:
    with store.storage.snapshot() as snapshot:
        return list(read_peers(snapshot))


def note(store: Store, number: int, acknowledged: int) -> None:
    with store.storage.snapshot() as snapshot:
        note_peer(store, snapshot, origin_of(number), acknowledged)


def test_noted_once_in_a_while() -> None:
    store = make(1)
    note(store, 2, 5)
    note(store, 2, 6)
    assert [peer.acknowledged for peer in known(store)] == [5]
    store.clock = Ticking(NOW + 61_000)
    note(store, 2, 6)
    assert [peer.acknowledged for peer in known(store)] == [6]


def test_a_clock_that_falls_back_does_not_stop_the_notes() -> None:
    store = make(1, start=NOW + 1_000_000)
    note(store, 2, 5)
    store.clock = Ticking(NOW)
    note(store, 2, 6)
    assert [peer.acknowledged for peer in known(store)] == [6]


def test_quarantine_lasts_until_it_is_lifted() -> None:
    store = make(1)
    quarantine(store, origin_of(2), Divergence("Two histories."))
    with store.storage.snapshot() as snapshot, pytest.raises(Quarantined, match="Two histories"):
        check_peer(snapshot, origin_of(2))
    release(store, origin_of(2))
    with store.storage.snapshot() as snapshot:
        check_peer(snapshot, origin_of(2))
    forget(store, origin_of(2))
    assert known(store) == []


@pytest.mark.parametrize("change", [release, forget])
def test_a_peer_that_was_never_met(change: type) -> None:
    with pytest.raises(NotFound):
        change(make(1), origin_of(2))


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS_MAX", 3)
    store = make(1)
    quarantine(store, origin_of(9), Divergence("Two histories."))

    def put(number: int, met: int) -> None:
        store.run(lambda batch, _catalog, _head: put_peer(batch, Peer(origin_of(number), met)))

    for number, met in [(2, NOW + 5), (3, NOW + 4), (4, NOW + 6), (5, NOW + 7)]:
        put(number, met)
    assert {peer.origin for peer in known(store)} == {origin_of(4), origin_of(5), origin_of(9)}
