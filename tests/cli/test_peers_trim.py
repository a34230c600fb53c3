"""`crdtstore peers` and `crdtstore trim`: what is known of other stores, and what the log is kept for."""

from __future__ import annotations

import json
import time

import pytest

from crdtstore import Store, Upsert, format_actor
from crdtstore.storage.peers import Peer, put_peer, read_peers
from tests.cli.running import error_of, run

DATA = ("--store", "data")
ORIGIN = bytes(range(16))
NAMES = [format_actor(ORIGIN), ORIGIN.hex()]


@pytest.fixture(autouse=True)
def ten_transactions() -> None:
    """A store of ten transactions that met a peer just now, which has four of them."""
    with Store.open("data") as store:
        for number in range(10):
            store.write([Upsert("c", {"n": number}, id=number)])
        know(store, Peer(ORIGIN, time.time_ns() // 1_000_000, 4))


def know(store: Store, peer: Peer) -> None:
    store.run(lambda batch, _catalog, _head: put_peer(batch, peer))


def known() -> list[Peer]:
    with Store.open("data") as store, store.storage.snapshot() as snapshot:
        return list(read_peers(snapshot))


def oldest() -> int:
    with Store.open("data") as store:
        return store.stats().oldest


# --- peers ---


def test_peers_are_listed() -> None:
    said = run("peers", "list", *DATA).stdout
    assert said.startswith(f"{format_actor(ORIGIN)}  met 20")
    assert said.endswith("  has everything up to 4\n")
    [row] = json.loads(run("peers", "list", *DATA, "--json").stdout)
    assert (row["origin"], row["acknowledged"], row["divergence"]) == (format_actor(ORIGIN), 4, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_peer_is_released_from_quarantine(name: str) -> None:
    with Store.open("data") as store:
        know(store, Peer(ORIGIN, 1, 4, "Two histories."))
    assert "in quarantine: Two histories." in run("peers", "list", *DATA).stdout
    assert run("peers", "release", name, *DATA).stdout == f"Released {format_actor(ORIGIN)}.\n"
    assert known() == [Peer(ORIGIN, 1, 4)]


@pytest.mark.parametrize("name", NAMES)
def test_a_peer_is_forgotten(name: str) -> None:
    assert json.loads(run("peers", "forget", name, *DATA, "--json").stdout) == {"origin": format_actor(ORIGIN)}
    assert known() == []


@pytest.mark.parametrize("action", ["release", "forget"])
def test_a_peer_that_was_never_met_is_no_peer(action: str) -> None:
    assert error_of(run("peers", action, "00" * 16, *DATA, "--json", code=3))["code"] == "not-found"


@pytest.mark.parametrize("name", ["", "abc", "00" * 15, "00" * 17, ORIGIN.hex().upper()])
def test_what_is_no_origin_is_wrong_usage(name: str) -> None:
    assert "16 bytes in Base64 or hex" in run("peers", "release", name, *DATA, code=2).stderr


def test_a_store_that_is_open_elsewhere_is_not_changed() -> None:
    with Store.open("data"):
        assert "stop it first" in run("peers", "forget", NAMES[0], *DATA, code=1).stderr
        assert "stop it first" in run("trim", "--log-keep-transactions", "1", *DATA, code=1).stderr
    assert (len(known()), oldest()) == (1, 1)


# --- trim ---


def test_what_is_kept_must_be_said() -> None:
    assert "Say what is kept" in run("trim", *DATA, code=2).stderr


def test_entries_that_a_peer_lacks_are_kept() -> None:
    result = run("trim", "--log-keep-transactions", "3", *DATA)
    assert result.stdout == "Forgot 4 transactions; the log then begins at 5.\n"
    assert result.stderr == "3 transactions more stay for peers that lack them: see crdtstore peers list.\n"
    assert oldest() == 5


def test_a_peer_that_is_gone_or_forgotten_is_not_waited_for() -> None:
    assert oldest() == 1
    with Store.open("data") as store:
        know(store, Peer(ORIGIN, time.time_ns() // 1_000_000 - 2 * 86_400_000, 4))
    run("trim", "--log-keep-transactions", "5", "--peer-gone-days", "3", *DATA)
    assert oldest() == 5
    run("trim", "--log-keep-transactions", "5", "--peer-gone-days", "1", *DATA)
    assert oldest() == 6
    run("peers", "forget", NAMES[0], *DATA)
    run("trim", "--log-keep-transactions", "0", *DATA)
    assert oldest() == 10


def test_a_dry_run_only_says_so() -> None:
    arguments = ("trim", "--log-keep-transactions", "3", "--dry-run", *DATA)
    assert json.loads(run(*arguments, "--json").stdout) == {"forgotten": 4, "oldest": 5, "waiting_for_peers": 3}
    assert run(*arguments).stdout == "Would forget 4 transactions; the log then begins at 5.\n"
    assert oldest() == 1


def test_the_age_counts_too_and_young_entries_stay() -> None:
    assert run("trim", "--log-keep-days", "1", *DATA).stdout.startswith("Forgot 0 transactions;")
    assert run("trim", "--log-keep-days", "0", *DATA).stdout.startswith("Forgot 4 transactions;")


def test_a_store_that_was_trimmed_says_where_its_log_begins() -> None:
    run("trim", "--log-keep-transactions", "6", *DATA)
    assert "log begins at       5\n" in run("stats", *DATA).stdout
