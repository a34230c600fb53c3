"""`crdtstore delta`: two stores become equal by files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from crdtstore.crdt.actor import format_actor
from tests.cli.running import error_of, run

ROOT = Path(__file__).parents[2]
LEFT, RIGHT = ("--store", "left"), ("--store", "right")


@pytest.fixture(autouse=True)
def two_stores() -> str:
    """Two stores that wrote apart; the origin of the left one."""
    for number, name in enumerate(("left", "right")):
        with Store.open(name) as store:
            for step in range(3):
                store.write([Upsert("c", {"n": step}, id=f"{name}-{step}"), Upsert("c", {"by": number}, id="both")])
    with Store.open("left") as store:
        return format_actor(store.origin)


def digests() -> set[bytes]:
    found = set()
    for name in ("left", "right"):
        with Store.open(name) as store:
            found.add(store.digest())
    return found


def test_two_stores_become_equal(two_stores: str) -> None:
    said = run("delta", "ask", "ask", *RIGHT).stdout
    assert said == f"Asked: ask has {Path('ask').stat().st_size} bytes.\n"
    run("delta", "export", "delta", "--for", "ask", *LEFT)
    said = run("delta", "import", "delta", *RIGHT).stdout
    assert said == f"Applied 3 transactions from {two_stores}; knew 0 transactions.\n"
    run("delta", "export", "back", *RIGHT)
    told = json.loads(run("delta", "import", "back", *LEFT, "--json").stdout)
    assert (told["applied"], told["skipped"]) == (3, 3)
    assert len(digests()) == 1


def test_files_go_through_pipes() -> None:
    ask = run("delta", "ask", "-", *RIGHT).stdout_bytes
    delta = run("delta", "export", "-", "--for", "-", *LEFT, given=ask).stdout_bytes
    told = json.loads(run("delta", "import", "-", *RIGHT, "--json", given=delta).stdout)
    assert told["applied"] == 3


def test_a_store_that_is_not_there_yet_is_made() -> None:
    run("delta", "export", "delta", *LEFT)
    run("delta", "import", "delta", "--store", "new")
    with Store.open("left") as left, Store.open("new") as new:
        assert left.digest() == new.digest()


def test_asking_and_exporting_work_while_the_store_is_open() -> None:
    with Store.open("left"), Store.open("right"):
        assert elsewhere("delta", "ask", "ask", *RIGHT) == 0
        assert elsewhere("delta", "export", "delta", "--for", "ask", *LEFT) == 0
        assert elsewhere("delta", "import", "delta", *RIGHT) == 1


def elsewhere(*arguments: str) -> int:
    """Run a command in a process of its own; its exit code."""
    command = [sys.executable, "-m", "crdtstore", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False).returncode


def test_a_file_that_is_cut_short_is_said_so() -> None:
    run("delta", "export", "delta", *LEFT)
    whole = Path("delta").read_bytes()
    Path("delta").write_bytes(whole[:-1])
    error = error_of(run("delta", "import", "delta", *RIGHT, "--json", code=1))
    assert (error["code"], error["data"]) == ("damaged-file", {"byte": len(whole) - 1, "applied": 3})


def test_no_file_is_left_of_an_export_that_is_refused() -> None:
    run("delta", "ask", "ask", *RIGHT)
    with Store.open("left") as left:
        left.trim(2)
    error = error_of(run("delta", "export", "delta", "--for", "ask", *LEFT, "--json", code=1))
    assert error["code"] == "log-trimmed"
    assert "backup" in error["message"]
    assert not list(Path().glob("delta*"))
