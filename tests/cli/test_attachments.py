"""`crdtstore attachments`: files put, got, listed, collected and forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crdtstore import Store
from tests.cli.running import error_of, run

DATA = ("--store", "data")
ID = "EiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJA"


@pytest.fixture(autouse=True)
def a_file() -> None:
    """A store with one file."""
    Store.open("data").close()
    Path("hello.txt").write_bytes(b"hello")
    assert run("attachments", "put", "hello.txt", *DATA).stdout == f"{ID} 5\n"


def test_a_file_is_put_and_got() -> None:
    assert json.loads(run("attachments", "put", "-", *DATA, "--json", given=b"hello").stdout) == {"id": ID, "len": 5}
    assert run("attachments", "get", ID, *DATA).stdout_bytes == b"hello"
    run("attachments", "get", ID, "--output", "again.txt", *DATA)
    assert Path("again.txt").read_bytes() == b"hello"
    assert "no attachment 'x'" in run("attachments", "get", "x", *DATA, code=3).stderr


def test_files_are_listed() -> None:
    [state] = json.loads(run("attachments", "list", *DATA, "--json").stdout)
    assert (state["id"], state["len"], state["idle"]) == (ID, 5, 0)
    assert run("attachments", "list", *DATA).stdout.startswith(f"{ID}  5 bytes  put 20")


def test_files_are_collected() -> None:
    assert run("attachments", "collect", *DATA).stdout == "Removed 0 files, 0 bytes; 1 file stay.\n"
    done = json.loads(run("attachments", "collect", "--grace-seconds", "0", *DATA, "--json").stdout)
    assert done == {"removed": 1, "bytes": 5, "kept": 0, "swept": 0}


def test_a_file_is_forgotten() -> None:
    assert run("attachments", "forget", ID, *DATA).stdout == f"Forgot {ID}.\n"
    assert error_of(run("attachments", "forget", ID, *DATA, "--json", code=3))["code"] == "unknown-attachment"
