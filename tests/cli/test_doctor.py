"""`crdtstore doctor`: each state that can be provoked, and that it runs where every other command refuses."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crdtstore import Store, Upsert, core, make_actor
from crdtstore.cli import doctor_machine as machine
from crdtstore.cli import doctor_store
from crdtstore.limits import CONNECTIONS_MAX, DISK_FREE_BYTES_MIN
from crdtstore.storage.peers import Peer, put_peer
from crdtstore.storage.tables import Table
from tests.cli.running import run
from tests.storage.index_histories import create
from tests.storage.verified import plant

DATA = ("--store", "data")
ORIGIN = make_actor(9, 1)
DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000


class Usage(NamedTuple):
    """What `shutil.disk_usage` gives."""

    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of one transaction, on a machine of which the tests know everything."""
    with Store.open("data") as store:
        store.write([Upsert("c", {"n": 1}, id=1)])
    Path("data").chmod(0o700)
    mount("ext4")
    monkeypatch.setattr(machine, "MOUNTS", Path("mounts"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    limit(monkeypatch, CONNECTIONS_MAX * 2)


def mount(kind: str, options: str = "rw,relatime") -> None:
    """Say in which file system the store lies."""
    root = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    Path("mounts").write_text(f"{root}22 21 0:9 / {Path.cwd()} {options} shared:1 - {kind} source rw\n")


def limit(monkeypatch: pytest.MonkeyPatch, files: int, space: int = resource.RLIM_INFINITY) -> None:
    """Say what the system allows."""
    limits = {resource.RLIMIT_NOFILE: (files, files), resource.RLIMIT_AS: (space, space)}
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits[which])


def examine(*arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """The checks by name; of several with one name the last."""
    rows = json.loads(run("doctor", *(arguments or DATA), "--json", code=code).stdout)
    return {row["name"]: row for row in rows}


def state(name: str, *, code: int = 0) -> tuple[str, str]:
    """How a check is, and what was found; a check that is not ok says what to do."""
    row = examine(code=code)[name]
    assert bool(row["advice"]) == (row["state"] != "ok")
    return row["state"], row["found"]


def change(job: Callable[[Store], object]) -> None:
    with Store.open("data") as store:
        job(store)


def meet(peer: Peer) -> None:
    change(lambda store: store.run(lambda batch, _catalog, _head: put_peer(batch, peer)))


def test_a_machine_that_is_well() -> None:
    found = examine()
    expected = {"core": "ok" if core.lmdb_environment else "notice"}
    assert {name: row["state"] for name, row in found.items()} == dict.fromkeys(found, "ok") | expected
    said = run("doctor", *DATA).stdout
    assert said.startswith("ok       versions ")
    assert "0 problems" in said


def test_the_plain_core_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "CORE", "plain")
    assert state("core")[0] == "notice"
    monkeypatch.setenv("CRDTSTORE_CORE", "plain")
    assert "CRDTSTORE_CORE says so" in state("core")[1]


# --- settings ---


def test_a_variable_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRDTSTORE_WAIT_SECOND", "3")
    row = examine()["settings"]
    assert (row["state"], "Did you mean CRDTSTORE_WAIT_SECONDS?" in row["advice"]) == ("notice", True)
    monkeypatch.delenv("CRDTSTORE_WAIT_SECOND")
    monkeypatch.setenv("CRDTSTORE_CONFIG", "")
    assert state("settings")[0] == "ok"


def test_a_value_that_is_refused_does_not_stop_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRDTSTORE_WAIT_SECONDS", "-1")
    assert state("settings", code=1) == (
        "problem",
        "The setting CRDTSTORE_WAIT_SECONDS takes a number from 0 to 3600; got '-1'.",
    )
    assert examine(code=1)["log"]["state"] == "ok"
    run("stats", *DATA, code=2)


def test_a_configuration_file_that_is_refused() -> None:
    Path("crdtstore.toml").write_text("wait_second = 3\n")
    assert "There is no setting wait_second" in state("settings", code=1)[1]
    assert examine(*DATA, "--config", "missing.toml", code=1)["settings"]["found"].startswith("missing.toml: ")


# --- the machine ---


@pytest.mark.parametrize(("files", "expected"), [(64, "problem"), (1_024, "notice"), (10_000, "ok"), (-1, "ok")])
def test_descriptors(files: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, files)
    assert state("descriptors", code=int(expected == "problem"))[0] == expected


def test_address_space(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 10_000, 2**30)
    assert examine(code=1)["address space"]["state"] == "problem"


@pytest.mark.parametrize(
    ("free", "size", "expected"),
    [
        (DISK_FREE_BYTES_MIN - 1, 0, "problem"),
        (DISK_FREE_BYTES_MIN, DISK_FREE_BYTES_MIN + 1, "notice"),
        (DISK_FREE_BYTES_MIN, 0, "ok"),
    ],
)
def test_free_space(free: int, size: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, free))
    os.truncate("data/data.mdb", max(size, Path("data/data.mdb").stat().st_size))
    assert state("disk", code=int(expected == "problem"))[0] == expected


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("xfs", "rw", "ok"),
        ("tmpfs", "rw", "problem"),
        ("nfs4", "rw", "problem"),
        ("fuse.sshfs", "rw", "problem"),
        ("overlay", "rw", "notice"),
        ("ext4", "ro,relatime", "problem"),
    ],
)
def test_file_systems(kind: str, options: str, expected: str) -> None:
    mount(kind, options)
    found = state("file system", code=int(expected == "problem"))
    assert (found[0], kind in found[1]) == (expected, True)


def test_a_system_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MOUNTS", Path("nowhere"))
    monkeypatch.setattr(doctor_store, "LOCKS", Path("nowhere"))
    assert state("file system") == ("ok", "unknown to this system")
    assert state("writer")[0] == "ok"


def test_others_who_may_enter() -> None:
    Path("data").chmod(0o750)
    assert state("permissions")[0] == "notice"


def test_another_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert "this is user 12345" in state("permissions")[1]
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert state("permissions", code=1)[0] == "problem"


# --- the store ---


def test_no_store() -> None:
    assert examine("--store", "nothing", code=1)["store"]["state"] == "problem"
    assert examine("--config", "/dev/null")["store"]["state"] == "notice"


def test_who_has_the_store_open() -> None:
    assert state("writer") == ("ok", "nobody has the store open for writing")
    program = "import sys; from crdtstore import Store; s = Store.open('data'); print(flush=True); sys.stdin.read()"
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holding:
        assert holding.stdout is not None
        holding.stdout.readline()
        found = state("writer")[1]
        holding.communicate(timeout=60)
    assert found.startswith(f"process {holding.pid} has the store open for writing since 20")
    assert state("writer") == ("ok", "nobody has the store open for writing")


READER = "import lmdb, os, sys; e = lmdb.open('data', readonly=True, max_dbs=20, lib_version=0); t = e.begin(); "


def test_readers_of_processes_that_are_gone() -> None:
    """One process dies without giving its slot back, while another keeps the table of readers."""
    hold = READER + "print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holding:
        assert holding.stdout is not None
        holding.stdout.readline()
        assert state("readers") == ("ok", "1")
        with subprocess.Popen([sys.executable, "-c", READER + "os.kill(os.getpid(), 9)"]) as dying:
            dying.wait(60)
        found = state("readers")
        after = state("readers")
        holding.communicate(timeout=60)
    assert found == ("notice", f"2, of which some belong to processes that are gone: {dying.pid}")
    assert after == ("ok", "1")


def test_a_full_map() -> None:
    assert doctor_store.check_map(2**40).state == "problem"


def test_a_store_that_runs_without_durability() -> None:
    Store.open("data", durability="none").close()
    assert state("durability")[0] == "notice"
    Store.open("data").close()
    assert state("durability")[0] == "ok"


@pytest.mark.parametrize(("ahead_ms", "expected"), [(0, "ok"), (200_000, "notice"), (900_000, "problem")])
def test_the_clock(ahead_ms: int, expected: str) -> None:
    stamped = time.time_ns() // 1_000_000 + ahead_ms
    with Store.open("data", clock=lambda: stamped) as store:
        store.write([Upsert("c", {"n": 2}, id=2)])
    # The clock goes on meanwhile: far less than the distances between the states.
    assert state("clock", code=int(expected == "problem"))[0] == expected


def test_indexes() -> None:
    with Store.open("data") as store:
        create(store, (("n",),))
        store.write([Upsert("cities", {"n": 2}, id=2)])
    assert state("indexes") == ("ok", "1, each of them finished")
    with Store.open("data") as store:
        create(store, (("name",),))
    assert state("indexes") == ("notice", "name: half made or half dropped")


def test_attachments() -> None:
    with Store.open("data") as store:
        store.attachments.put([b"hello"])
    assert state("attachments") == ("ok", "1 of 5 bytes, and 0 without a row")
    Path("data/attachments", f"{'0' * 64}-{'0' * 16}").write_bytes(b"left over")
    assert state("attachments") == ("notice", "1 of 5 bytes, and 1 without a row")


def test_peers() -> None:
    meet(Peer(ORIGIN, NOW_MS, 0))
    assert state("peers") == ("ok", "1 known, none in quarantine, none silent while the log waits for it")
    meet(Peer(ORIGIN, NOW_MS - 3 * DAY_MS, 0))
    assert "was not met for 3.0 days; 1 transaction waits for it" in state("peers")[1]
    meet(Peer(ORIGIN, NOW_MS - 3 * DAY_MS, 1))
    assert state("peers")[0] == "ok"
    meet(Peer(ORIGIN, NOW_MS, 1, "Two histories."))
    assert state("peers", code=1)[0] == "problem"


def test_a_store_that_cannot_be_opened() -> None:
    plant(Path("data"), Table.META, b"format", b"nothing that has a seal", sealed=False)
    assert "damaged" in state("store", code=1)[1]
    os.truncate("data/data.mdb", 3 * 4_096)
    assert examine(code=1)["store"]["state"] == "problem"


def test_what_to_do_stands_below_what_is_wrong() -> None:
    mount("tmpfs")
    said = run("doctor", *DATA, code=1).stdout
    assert "problem  file system    tmpfs, in memory\n" in said
    assert "-> Move the store to a disk" in said
    assert "1 problem, " in said
