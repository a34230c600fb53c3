"""The README's tour works when it is pasted: its shell blocks run against the server that it starts first.

Rules: the blocks run as one shell session in an empty folder; what a block prints is compared with the `json`
block behind it, as JSON values in any order, because one of them runs in the background. The server takes a
free port and is ended by the fixture that started it. Where there is no curl, a stand-in does what the tour
asks of it; where there is one, the stand-in is run on demand.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.docs.pages import ROOT, marked_block

README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = README.partition("\n## A tour\n")[2].partition("\n## ")[0]
BLOCK = re.compile(r"^```sh\n(?P<script>.*?)^```$(?:\n\n```json\n(?P<printed>.*?)^```$)?", re.MULTILINE | re.DOTALL)
PROGRAM = ".venv/bin/crdtstore"
ADDRESS = "http://127.0.0.1:8080"
MARK = "-- end of block --"
SECONDS_MAX = 500

STAND_IN = """
import sys
from urllib.request import Request, urlopen

words = sys.argv[1:]
[url] = [word for word in words if word.startswith("http://")]
options = [word for word in words if word not in (url, "--silent")]
headers = [value.split(": ", 1) for name, value in zip(options[::2], options[1::2]) if name == "--header"]
[data] = [value for name, value in zip(options[::2], options[1::2]) if name == "--data"]
with urlopen(Request(url, data.encode(), dict(headers))) as answer:
    sys.stdout.buffer.write(answer.read() + b"\\n")
"""


class Block(NamedTuple):
    """A block of the tour, and what it prints; None where the page does not say."""

    script: str
    printed: list[Any] | None


def blocks_of(tour: str) -> list[Block]:
    """Return the shell blocks of a tour, in order."""
    return [
        Block(found["script"], None if found["printed"] is None else values_of(found["printed"]))
        for found in BLOCK.finditer(tour)
    ]


def values_of(text: str) -> list[Any]:
    """Read JSON values that follow each other, in an order that does not depend on theirs."""
    decoder, values = json.JSONDecoder(), []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:]
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True))


def script_of(path: Path, *command: str) -> None:
    """Make a script that calls a command."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def serve_arguments() -> list[str]:
    """The arguments with which the README's first command calls the program, after all that installs it."""
    words = shlex.split(marked_block(README, "serve-command").replace("\\\n", " "))
    return words[words.index(PROGRAM) + 1 :]


@pytest.fixture
def environment() -> dict[str, str]:
    """What the program finds in its environment: this checkout, and no settings from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRDTSTORE_")}
    core = {"CRDTSTORE_CORE": os.environ["CRDTSTORE_CORE"]} if "CRDTSTORE_CORE" in os.environ else {}
    return {**kept, **core, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def address(tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    """The URL of a server that the README's command starts, on a free port."""
    script_of(tmp_path / PROGRAM, sys.executable, "-m", "crdtstore")
    (tmp_path / ".tour").mkdir()
    server = subprocess.Popen(
        [tmp_path / PROGRAM, *serve_arguments(), "--listen", "127.0.0.1:0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        listening, _, url = server.stdout.readline().strip().rpartition(" ")
        assert listening == "listening on"
        yield url
    finally:
        server.terminate()
        try:
            server.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    assert server.returncode == 0


@pytest.mark.parametrize(
    "curl",
    [shutil.which("curl"), pytest.param("stand-in", marks=pytest.mark.slow)] if shutil.which("curl") else ["stand-in"],
)
def test_the_tour_runs(curl: str, address: str, tmp_path: Path, environment: dict[str, str]) -> None:
    if curl == "stand-in":
        script_of(tmp_path / "bin" / "curl", sys.executable, "-c", STAND_IN)
        environment = {**environment, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{environment['PATH']}"}
    tour = blocks_of(TOUR)
    script = "".join(f"{block.script}\necho; echo '{MARK}'\n" for block in tour).replace(ADDRESS, address)
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    printed = done.stdout.split(MARK)[:-1]
    assert len(printed) == len(tour)
    for block, text in zip(tour, printed, strict=True):
        assert block.printed is None or values_of(text) == block.printed, block.script


def test_the_tour_is_read_as_it_stands() -> None:
    tour = blocks_of(TOUR)
    assert len(tour) == TOUR.count("```sh\n")
    assert sum(block.printed is not None for block in tour) == TOUR.count("```json\n")
    assert serve_arguments()[0] == "serve"
    assert blocks_of('```sh\nx\n```\n\n```json\n{"b": 1}\n{"a": 1}\n```\n\n```sh\ny\n```\n') == [
        Block("x\n", [{"a": 1}, {"b": 1}]),
        Block("y\n", None),
    ]
