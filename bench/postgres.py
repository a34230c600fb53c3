"""A PostgreSQL server of a bench's own: a cluster in a temporary folder, stopped at the end."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

USER = "postgres"
"""The server refuses to run as root; then it runs as this user."""

START_SECONDS_MAX = 60


def is_installed() -> bool:
    """Whether a server can be run here."""
    return all(map(shutil.which, ("initdb", "pg_ctl", "psql"))) and (os.geteuid() != 0 or user_exists())


def user_exists() -> bool:
    """Whether there is a user that the server can run as."""
    return USER in {entry.pw_name for entry in pwd.getpwall()}


class Server:
    """A server that is running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = self.query("SHOW server_version").split()[0]

    def query(self, text: str) -> str:
        """Run a statement and return what it printed."""
        command = ["psql", "-h", str(self.folder), "-d", "postgres", "-X", "-A", "-t", "-q", "-c", text]
        return run_as_user(command).strip()

    def load(self, documents: int, make: Callable[[int], dict[str, Any]], folder: Path) -> None:
        """Fill the table `people`."""
        lines = folder / "people.json"
        with lines.open("w") as file:
            for number in range(documents):
                file.write(f"{number}\t{json.dumps(make(number))}\n")
        folder.chmod(0o755)
        self.query("CREATE TABLE people (id integer PRIMARY KEY, j jsonb)")
        self.query(f"\\copy people FROM '{lines}'")
        self.query("VACUUM ANALYZE people")

    def count(self, text: str) -> int:
        """How many rows a query gives."""
        return int(self.query(f"SELECT count(*) FROM ({text}) AS found"))

    def execution_microseconds(self, text: str) -> float:
        """How long executing takes, by the server's own count; on one core, as the other sides."""
        plan = self.query(f"SET max_parallel_workers_per_gather = 0; EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {text}")
        return float(json.loads(plan)[0]["Execution Time"]) * 1_000


@contextmanager
def running() -> Iterator[Server]:
    """Run a server; it is stopped whatever happens."""
    with TemporaryDirectory(prefix="crdtstore-bench-postgres-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        data = folder / "data"
        run_as_user(["initdb", "-D", str(data), "--no-sync", "-A", "trust", "-U", USER])
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c shared_buffers=256MB"
        wait = ["-w", "-t", str(START_SECONDS_MAX)]
        run_as_user(["pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), *wait, "start"])
        try:
            yield Server(folder)
        finally:
            run_as_user(["pg_ctl", "-D", str(data), "-m", "immediate", *wait, "stop"])


def run_as_user(command: Sequence[str]) -> str:
    """Run a command of PostgreSQL; as its user where this process is root's.

    Raises:
        RuntimeError: It failed.
    """
    environment = {**os.environ, "PGUSER": USER}
    as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        printed, errors = Path(folder) / "out", Path(folder) / "err"
        with printed.open("wb") as out, errors.open("wb") as err:
            # Not pipes: the server keeps those open that its starter had.
            done = subprocess.run([*as_user, *command], stdout=out, stderr=err, env=environment, cwd="/", check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {errors.read_text()}")
        return printed.read_text()
