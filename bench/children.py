"""Child processes of a bench: they import what this process did, and none is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
STOP_SECONDS_MAX = 30


def environment() -> dict[str, str]:
    """The environment in which a child finds the package and the benches where this process has them."""
    spec = find_spec("crdtstore")
    assert spec is not None
    assert spec.origin is not None
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (Path(spec.origin).parents[1], ROOT)))}


def crdtstore(*arguments: str) -> str:
    """Run a command of `crdtstore` to its end and return what it printed.

    Raises:
        RuntimeError: It failed.
    """
    command = [sys.executable, "-m", "crdtstore", *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"crdtstore {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


@contextmanager
def serving(store: Path, key_file: Path) -> Iterator[str]:
    """Run `crdtstore serve` on a free port, and give its URL; it is stopped at the end, whatever happens.

    Raises:
        RuntimeError: It did not begin to listen.
    """
    command = [sys.executable, "-m", "crdtstore", "serve", "--store", str(store), "--listen", "127.0.0.1:0"]
    command += ["--root-key-file", str(key_file)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            listening, _, url = server.stdout.readline().strip().rpartition(" ")
            if listening != "listening on":
                raise RuntimeError("crdtstore serve did not begin to listen; what it says stands above.")
            yield url
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                server.kill()
