"""The commands of docs/operating.md run, in the order of the page, on a small store."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from tests.cli.running import run

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(line)[1:] for block in BLOCKS for line in block.splitlines()]
TYPED = {"verify", "inspect", "doctor", "backup", "restore", "stats", "trim", "compact", "delta"}


def test_the_page_has_the_commands_of_an_operator() -> None:
    assert {command[0] for command in COMMANDS} == TYPED


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open("cities-data") as store:
        store.write([Upsert("cities", {"name": "Basel"}, id="basel")])
        store.write([Upsert("cities", {"name": "Oslo"}, id="oslo")])
    for command in COMMANDS:
        # A machine may have little room, or a file system that is not durable: that is not the page's fault.
        code = None if command[0] == "doctor" else 0
        assert run(*command, code=code).stdout or command[0] == "delta"
    with Store.open("cities-again") as again, Store.open("cities-data") as data:
        assert again.digest() == data.digest()
