"""What a get, a find and a durable write over HTTP take of the system: calls, bytes that are written, and flushes.

    python -m bench.budget             count, and compare with the page
    python -m bench.budget --write     count, and write the tables of the page anew

Rules: strace watches a process of its own; what is counted lies between two lines that this process prints. A get and a
find are calls in the process, a write is a request of one connection to the built-in server, so each is a group of its
own. A page of the database has 4,096 bytes. Counts do not depend on the machine's load; times do, and are only printed.

Not here: how instructions are counted (`instructions`), how fast any of it is beside others (`served`, `finds`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time_ns
from typing import NamedTuple

from bench.children import ROOT, environment
from bench.growth import fill, open_store
from bench.instructions import REFERENCE
from bench.load import drive
from bench.served import command_of, running, writes
from bench.workloads import COLLECTION
from crdtstore.storage.environment import DATA_NAME

PAGE = ROOT / "docs" / "internals" / "performance.md"
BEGIN, END = "<!-- counts -->\n", "<!-- /counts -->\n"
FIRST, LAST = "<!-- instructions -->\n", "<!-- /instructions -->\n"

PAGE_BYTES = 4_096
DOCUMENTS = 2_000
TIMES = 400
TOLERANCE = 0.05
TOLERANCE_LEAST = 0.1
"""How trees split, and so how many pages a write touches, depends on ids that are drawn, such as the store's own."""

READS = ("get", "find")
WRITES = {"write, durability=wal": "store", "write, durability=sync": "sync"}
"""What is counted, by the kind of server that does it."""

INSTRUCTED = {
    "merge": "merge one field into one document, in the core",
    "apply": "apply one record of one operation, 110 a call",
    "get": "get by id, as JSON",
    "find": "find by an index, a prepared query, as JSON",
    "write": "write one field, a transaction of its own, without a flush and without HTTP",
}
"""The cases of `instructions`."""

TIMED = {
    "hello": "a request that is greeted",
    "off": "a write that is answered before it reaches the store",
    "sync": "a write, durability=sync",
    "store": "a write, durability=wal",
}

WRITTEN = frozenset({"pwrite64", "pwritev", "pwritev2", "write", "writev"})
WAITS = frozenset({"futex", "epoll_pwait", "epoll_pwait2", "epoll_wait", "clock_nanosleep", "sched_yield"})
"""How often a thread waits depends on what else the machine does: these are not among the calls."""

FLUSHES = frozenset({"fdatasync", "fsync", "msync", "sync_file_range"})

STARTED = re.compile(r"^(\d+) +(\w+)\((?:(\d+)<([^>]*)>)?")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")
GIVEN = re.compile(r"= (\d+)$")


class Cost(NamedTuple):
    """What one operation takes of the system."""

    calls: float
    """Without those that wait."""

    flushes: float
    pages: float
    """Of the database."""

    log_bytes: float
    """Written to other files."""

    names: Counter[str]
    """Which calls, of all operations together."""


# --- in a child ---


def read(what: str, folder: Path) -> Callable[[int], object]:
    """How a document is read; it must be there."""
    store = open_store(folder)
    if what == "get":
        return lambda number: store.get_json(COLLECTION, number)
    find = store.prepare(COLLECTION, "email == $args.email").find_json
    return lambda number: find(email=f"jane{number}@example.com")


def run_reads(what: str, folder: Path) -> None:
    """Read once to warm up, then between two lines."""
    run = read(what, folder)
    for number in range(TIMES):
        assert run(number)
    for _ in range(2):
        os.write(1, b"%d\n" % process_time_ns())
        for number in range(TIMES):
            run(number)


# --- around it ---


def watched(out: Path) -> list[str]:
    """What stands before a command whose calls of the system are written down."""
    return ["strace", "-f", "-y", "-qq", "-s", "0", "-o", str(out)]


def run_child(what: str, folder: Path, under: Sequence[str] = ()) -> float:
    """Read in a process of its own; the microseconds of the CPU that a read takes."""
    command = [*under, sys.executable, "-m", "bench.budget", "--child", what, str(folder / "reads")]
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=True)
    begun, ended = map(int, done.stdout.split())
    return (ended - begun) / TIMES / 1_000


def run_server(kind: str, folder: Path, under: Sequence[str] = ()) -> float:
    """Write new documents over HTTP; the microseconds of the CPU that a write takes."""
    # Watched, every commit is slow.
    with running([*under, *command_of(kind, str(folder)), "quick"]) as server:
        drive(server.port, writes(server, 0, TIMES), 1)
        begun = server.cpu_ns()
        drive(server.port, writes(server, 1, TIMES), 1)
        return (server.cpu_ns() - begun) / TIMES / 1_000


def cost_of_read(what: str, folder: Path) -> Cost:
    """What a read takes."""
    out = folder / f"{what}.calls"
    run_child(what, folder, watched(out))
    return counted(between(out.read_text(encoding="utf-8"), 0))


def cost_of_write(kind: str, folder: Path) -> Cost:
    """What a write over HTTP takes, of a new document."""
    out = folder / f"{kind}.calls"
    run_server(kind, folder, watched(out))
    return counted(between(out.read_text(encoding="utf-8"), 1))


def between(lines: str, first: int) -> list[str]:
    """The lines from the one of this number that the child printed to the next one."""
    every = lines.splitlines()
    marks = [at for at, line in enumerate(every) if re.match(r"^\d+ +write\(1<pipe", line)]
    return every[marks[first] + 1 : marks[first + 1]]


def counted(lines: Sequence[str]) -> Cost:
    """Add up calls, and what they wrote where."""
    names: Counter[str] = Counter()
    written: Counter[str] = Counter()
    for name, path, given in calls(lines):
        names[name] += 1
        if name in WRITTEN and path.startswith("/"):
            written["pages" if Path(path).name == DATA_NAME else "log"] += given
    flushes = sum(names[name] for name in FLUSHES)
    done = sum(count for name, count in names.items() if name not in WAITS)
    flushes = sum(names[name] for name in FLUSHES)
    pages = written["pages"] / PAGE_BYTES
    return Cost(done / TIMES, flushes / TIMES, pages / TIMES, written["log"] / TIMES, names)


def calls(lines: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Each call: its name, the path of its file, and the number that it gave; 0 of one that gave none."""
    begun: dict[str, tuple[str, str]] = {}
    for line in lines:
        given = GIVEN.search(line)
        if found := STARTED.match(line):
            process, name, _, path = found.groups()
            if line.endswith("<unfinished ...>"):
                begun[process] = name, path or ""
            else:
                yield name, path or "", int(given[1]) if given else 0
        elif found := RESUMED.match(line):
            name, path = begun.pop(found[1], (found[2], ""))
            yield name, path, int(given[1]) if given else 0


def measure() -> dict[str, Cost]:
    """What each of them takes."""
    with TemporaryDirectory(prefix="crdtstore-bench-") as name:
        folder = Path(name)
        fill(folder / "reads", DOCUMENTS)
        costs = {what: cost_of_read(what, folder) for what in READS}
        return costs | {what: cost_of_write(kind, folder) for what, kind in WRITES.items()}


def times() -> Iterator[str]:
    """Where the time goes, for people: each line does what the one before it of its kind does, and more."""
    with TemporaryDirectory(prefix="crdtstore-bench-") as name:
        folder = Path(name)
        fill(folder / "reads", DOCUMENTS)
        for what in READS:
            yield f"{what}: {run_child(what, folder):.1f} µs of the CPU"
        for kind, what in TIMED.items():
            yield f"{what}: {run_server(kind, folder):.0f} µs of the server's CPU"


# --- the page ---


def table(costs: Mapping[str, Cost]) -> str:
    """The counts as the page has them, and which calls the writes make."""
    head = "| | calls of the system | flushes | pages of the database | bytes of other files |\n|---|---|---|---|---|\n"
    rows = [
        f"| {what} | {cost.calls:.1f} | {cost.flushes:.2f} | {cost.pages:.1f} | {cost.log_bytes:,.0f} |\n"
        for what, cost in costs.items()
    ]
    return head + "".join(rows)


def instructions_table() -> str:
    """The committed counts of instructions as the page has them, of the first toolchain that has any."""
    counts = next(iter(json.loads(REFERENCE.read_text(encoding="utf-8")).values()))
    rows = [f"| {what} | {counts[case]:,.0f} |\n" for case, what in INSTRUCTED.items()]
    return "| operation | instructions |\n|---|---|\n" + "".join(rows)


def put(page: str, begin: str, between_marks: str, end: str) -> str:
    """The page with something else between two marks."""
    before, _, rest = page.partition(begin)
    return before + begin + between_marks + end + rest.partition(end)[2]


def by_name(cost: Cost) -> str:
    """Which calls an operation makes, most of them first; those that come once in twenty or less are left out."""
    shares = [(count / TIMES, name) for name, count in cost.names.most_common()]
    return ", ".join(f"{share:.1f} {name}" for share, name in shares if share >= 0.05)


def read_table(page: str) -> dict[str, tuple[float, ...]]:
    """The counts that the page has."""
    rows = page.partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {what: tuple(float(number.replace(",", "")) for number in numbers) for what, *numbers in cells}


def differences(costs: Mapping[str, Cost], page: str) -> Iterator[str]:
    """Say what the page says otherwise, beyond the tolerance."""
    shown = read_table(page)
    for what, cost in costs.items():
        for name, said in zip(Cost._fields, shown[what], strict=False):
            measured = getattr(cost, name)
            if abs(measured - said) > max(TOLERANCE * said, TOLERANCE_LEAST):
                yield f"{what}: {name} is {measured:.2f}, the page says {said:g}"


def main(arguments: Sequence[str]) -> None:
    """Run as a command."""
    if arguments[:1] == ["--child"]:
        run_reads(arguments[1], Path(arguments[2]))
        os._exit(0)
    costs = measure()
    print(table(costs), end="")
    print(*(f"{what}: {by_name(cost)}" for what, cost in costs.items()), *times(), sep="\n")
    if arguments == ["--write"]:
        page = put(PAGE.read_text(encoding="utf-8"), BEGIN, table(costs), END)
        PAGE.write_text(put(page, FIRST, instructions_table(), LAST), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
