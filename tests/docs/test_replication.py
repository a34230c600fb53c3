"""`docs/replication.md` works when it is pasted: its blocks run in order, its server beside them.

Rules: as with the README's tour. The server takes a free port and is ended by the test that started it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from crdtstore import Store
from crdtstore.cli.group import crdtstore
from crdtstore.replication.exchange import Report
from tests.docs.pages import ROOT, blocks, marked_block
from tests.docs.test_tour import ADDRESS, MARK, SECONDS_MAX, blocks_of, script_of, values_of

PAGE = (ROOT / "docs" / "replication.md").read_text(encoding="utf-8")
TOUR = PAGE.partition("\n## Two stores in five minutes\n")[2].partition("\n## ")[0]
SERVER = marked_block(TOUR, "server")


def shell(script: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """Run blocks as one session; returns what each printed."""
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout.split(MARK)[:-1]


def test_the_tour_runs(tmp_path: Path) -> None:
    script_of(tmp_path / "bin" / "crdtstore", sys.executable, "-m", "crdtstore")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRDTSTORE_")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    before, _, after = TOUR.partition(SERVER)
    assert SERVER
    assert after
    shell("".join(f"{block.script}\n" for block in blocks_of(before)), tmp_path, environment)
    command = shlex.split(SERVER.replace(ADDRESS.removeprefix("http://"), "127.0.0.1:0"))
    server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        tour = blocks_of(after)
        script = "".join(f"{block.script}\necho '{MARK}'\n" for block in tour).replace(ADDRESS, url)
        printed = shell(script, tmp_path, environment)
        key = (tmp_path / "van.key").read_text(encoding="ascii").strip()
        report = in_python(url, key, tmp_path)
    finally:
        server.terminate()
        server.communicate(timeout=SECONDS_MAX)
    assert server.returncode == 0
    assert sum(block.printed is not None for block in tour) == 2
    for block, text in zip(tour, printed, strict=True):
        assert block.printed is None or values_of(text) == block.printed, block.script
    assert printed[0].startswith("Pulled 1 transaction: ")
    assert printed[-1].strip().startswith("Equal: 1 request, ")
    assert report.pulled == 3
    with Store.open(tmp_path / "disk") as disk:
        assert disk.stats().documents == 1


def in_python(url: str, key: str, folder: Path) -> Report:
    """Run the program of the page."""
    [program] = blocks(PAGE, "py")
    names: dict[str, object] = {"key": key}
    for name in ("laptop", "disk"):
        program = program.replace(f'"{name}"', repr(str(folder / name)))
    exec(program.replace(ADDRESS, url), names)
    report = names["report"]
    assert isinstance(report, Report)
    return report


def test_every_command_that_is_only_shown_is_one() -> None:
    """Each has the options that it is shown with."""
    shown = [shlex.split(line)[1:] for block in blocks(PAGE, "text") for line in block.splitlines()]
    assert len(shown) > 6
    for words in shown:
        parse(crdtstore, words)
    with pytest.raises(click.UsageError):
        parse(crdtstore, ["peers", "release", "--store"])


def parse(command: click.Command, words: list[str]) -> None:
    """Read a command line as the program does, and do nothing; help has the names that it has there."""
    context = command.make_context("crdtstore", list(words))
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
        context = command.make_context(command.name, list(words), parent=context)
