"""Real servers, over real sockets, killed and cut off from each other, keep their promises.

The rounds of the default run record 10^4 events together. `-m slow` records as many as the environment variable
CRDTSTORE_HISTORY_EVENTS says, 10^5 without it, in rounds of 10^5 that differ in their seed and number of servers.
"""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from itertools import count, islice
from pathlib import Path
from random import Random

import pytest

from tests.histories.cluster import Cluster
from tests.histories.faults import Undo, cut, cut_one_way, heal, isolate, kill, lose, reset, restart
from tests.histories.history import History, load
from tests.histories.namespaces import laid, why_absent
from tests.histories.planted import PLANTED, Planted, assert_found
from tests.histories.rounds import Count, run_round

PROXIED_EVENTS, CABLED_EVENTS, RECORDED_EVENTS, ALONE_EVENTS = 7_000, 1_500, 900, 600

ROUND_EVENTS = 100_000
LONG_EVENTS = int(os.environ.get("CRDTSTORE_HISTORY_EVENTS", ROUND_EVENTS))

PLACES = 2
"""In how many places of a history an error is planted."""

Counted = dict[str, Count]


def test_servers_that_are_killed_and_cut_off_keep_their_promises(tmp_path: Path, counted: Counted) -> None:
    done = counted["three servers"] = run_round(tmp_path, seed=1, servers=3, events=PROXIED_EVENTS).done
    assert done.events >= PROXIED_EVENTS
    assert done.transactions >= PROXIED_EVENTS
    assert done.rivals >= PROXIED_EVENTS // 100
    assert done.kills == 9
    assert min(done.unknown, done.refused, done.held, done.broken) > 0


def test_servers_that_the_kernel_cuts_off_keep_their_promises(tmp_path: Path, counted: Counted) -> None:
    """Where there are no network namespaces the run says why, and the proxy does the cutting."""
    absent = why_absent()
    faults = (cut, kill, cut_one_way, kill, isolate, kill)
    with nullcontext() if absent else laid(servers=3) as network:
        done = run_round(tmp_path, 2, servers=3, events=CABLED_EVENTS, faults=faults, network=network).done
    counted[f"network namespaces are absent ({absent}), the proxy cut" if absent else "network namespaces"] = done
    assert done.events >= CABLED_EVENTS
    assert done.kills == 3
    assert done.rivals > 0


def test_one_server_that_is_killed_keeps_its_promises(tmp_path: Path, counted: Counted) -> None:
    faults = (restart, reset, restart, lose, restart)
    done = counted["one server"] = run_round(tmp_path, seed=1, servers=1, events=ALONE_EVENTS, faults=faults).done
    assert done.events >= ALONE_EVENTS
    assert done.kills == 3
    assert min(done.unknown, done.broken) > 0


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_the_promises_hold_for_long(tmp_path: Path, counted: Counted) -> None:
    done = Count()
    for seed in count(2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        events = min(ROUND_EVENTS, LONG_EVENTS - done.events)
        done += run_round(folder, seed, servers=2 + seed % 4, events=events).done
        counted["for long"] = done
        shutil.rmtree(folder)
        if done.events >= LONG_EVENTS:
            return


# --- positive controls ---


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, counted: Counted) -> History:
    """What real servers did."""
    folder = tmp_path_factory.mktemp("recorded")
    history, done = run_round(folder, 3, servers=3, events=RECORDED_EVENTS, faults=(kill, cut, lose, restart))
    counted["for positive controls"] = done
    return history


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.error.__name__)
def test_an_error_planted_in_what_servers_did_is_found(planted: Planted, recorded: History) -> None:
    wrong = [*islice(planted.error(recorded), PLACES)]
    assert wrong
    for bad in wrong:
        assert_found(planted, bad)


def test_a_server_that_forgets_is_found(tmp_path: Path) -> None:
    """An old copy of its directory is put in its place: transactions are lost, and their ids used again."""
    directory, copy = tmp_path / "store-0", tmp_path / "copy"

    def remember(cluster: Cluster, random: Random) -> Undo:
        start = kill(cluster, random)
        shutil.copytree(directory, copy)
        start()
        return lambda: heal(())

    def forget(cluster: Cluster, random: Random) -> Undo:
        start = kill(cluster, random)
        shutil.rmtree(directory)
        shutil.copytree(copy, directory)
        start()
        return lambda: heal(())

    with pytest.raises(AssertionError, match="P1: It was answered"):
        run_round(tmp_path, seed=1, servers=1, events=ALONE_EVENTS, faults=(remember, restart, forget))
    assert load(tmp_path / "history.json").size >= ALONE_EVENTS


def test_a_fault_that_fails_ends_the_round(tmp_path: Path) -> None:
    def fail(cluster: Cluster, random: Random) -> Undo:
        raise LookupError(cluster.servers[0].process)

    with pytest.raises(LookupError) as raised:
        run_round(tmp_path, seed=1, servers=1, events=ALONE_EVENTS, faults=(fail,))
    assert raised.value.args[0].poll() is not None
