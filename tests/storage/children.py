"""What the tests of this folder do in processes of their own, and how they start them.

Rules: every child ends by itself or when its standard input closes, and is reaped by who started it. A job
gets the engine's name and the store's directory, and prints what it saw as one JSON value.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from crdtstore.errors import Corrupted, CrdtStoreError
from crdtstore.storage import environment
from crdtstore.storage.interface import Storage
from crdtstore.storage.tables import Table
from tests.storage.engines import content, fill, open_engine

ROOT = Path(__file__).parents[2]
PAGE_BYTES = 4_096
SECONDS_MAX = 120
"""No child takes a tenth of it."""


def command(job: Callable[..., object], *arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.storage.children", job.__name__, *map(str, arguments)]


def run(job: Callable[..., object], *arguments: object) -> tuple[int, Any]:
    """Run a job to its end; return its exit code (negative: the signal that ended it) and what it printed."""
    done = subprocess.run(command(job, *arguments), cwd=ROOT, stdout=subprocess.PIPE, timeout=SECONDS_MAX, check=False)
    return done.returncode, json.loads(done.stdout or b"null")


class Child:
    """A job that is running."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def ask(self, line: bytes = b"") -> Any:
        """Send the job a line, if any, and return its next answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS_MAX)


@contextmanager
def running(job: Callable[..., object], *arguments: object) -> Iterator[Child]:
    """Run a job that waits; it is killed at the end of the block."""
    with subprocess.Popen(command(job, *arguments), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        child = Child(process)
        try:
            yield child
        finally:
            child.kill()


def answer(value: object) -> None:
    """Print a value for the parent."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def wait() -> None:
    """Wait until the parent closes the input or kills this process."""
    sys.stdin.buffer.read()


def code(call: Callable[[], object]) -> str:
    """Return the code of the error that a call raises, or "done"."""
    try:
        call()
    except CrdtStoreError as error:
        return error.code
    return "done"


# --- the jobs ---


def hold(engine: str, path: Path) -> None:
    """Open the store for writing, with a batch and a snapshot open, and wait."""
    storage = open_engine(engine, path)
    snapshot = storage.snapshot()
    batch = storage.batch()
    batch.put(Table.LOG, b"unfinished", b"1")
    answer({"count": snapshot.count(Table.LOG)})
    wait()


def hold_and_fork(engine: str, path: Path) -> None:
    """Open the store for writing, fork a child that waits, and die without closing anything."""
    storage = open_engine(engine, path)
    fill(storage, {b"a": b"1"})
    if os.fork() == 0:
        answer("forked")
        wait()
    os._exit(0)


def read_beside(engine: str, path: Path) -> None:
    """Open the store for reading and report what it holds, once for every line of input."""
    storage = open_engine(engine, path, read_only=True)
    while sys.stdin.buffer.readline():
        answer([key.decode("ascii") for key in content(storage)])


def write_logged(engine: str, path: Path) -> None:
    """Open the store with a write-ahead log, and store one row more for every line of input."""
    storage = open_engine(engine, path, logged=True)
    while sys.stdin.buffer.readline():
        fill(storage, {b"%d" % len(content(storage)): b"x"})
        answer(len(content(storage)))


def take_readers(engine: str, path: Path, count: str) -> None:
    """Open the store for reading, take reader slots and wait."""
    storage = open_engine(engine, path, read_only=True)
    snapshots = [storage.snapshot() for _ in range(int(count))]
    answer(len(snapshots))
    wait()


def storage_of(engine: str, path: Path) -> Storage:
    return open_engine(engine, path, create=False)


def read_all(engine: str, path: Path) -> None:
    """Open a store whose file was cut off, and read every row of every table."""

    def read() -> None:
        with storage_of(engine, path) as storage:
            for table in Table:
                content(storage, table)

    answer(code(read))


def read_all_unchecked(engine: str, path: Path) -> None:
    """Do so without the check before the file is mapped."""

    def unchecked(path: Path) -> int:
        """Check nothing; give the usual size of pages."""
        return 4_096

    environment.check_file = unchecked
    read_all(engine, path)


def cut_off_while_open(engine: str, path: Path) -> None:
    """Cut the file off behind the pages that are of no table, under an open store, and read on."""
    with storage_of(engine, path) as storage:
        os.truncate(path / "data.mdb", 2 * 4_096)
        answer([code(partial(content, storage, table)) for table in Table])


def cut_off_under_reads(path: Path) -> None:
    """Cut the file off under a read of many documents that has begun, and under a find that comes later."""
    from crdtstore import Store, Upsert

    class Cutting(list[int]):
        """Ids that are looked at in an open snapshot, whose file ends then."""

        def __iter__(self) -> Iterator[int]:
            os.truncate(path / "data.mdb", 2 * PAGE_BYTES)
            return super().__iter__()

    with Store.open(path, durability="none") as store:
        store.indexes.create("c", ["n"])
        store.write([Upsert("c", {"n": number, "text": "x" * 200}, id=number) for number in range(2_000)])
        find = partial(store.prepare("c", "n >= :low && n < :high").find_json, low=100, high=200)
        read = partial(store.get_many_json, "c")
        before = [len(find()), len(read(range(2_000)))]
        answer([before, [code(partial(read, Cutting(range(2_000)))), code(find)]])
        os._exit(0)


def append_rows(engine: str, path: Path) -> None:
    """Add rows to a store that others read."""
    with open_engine(engine, path) as storage:
        first = len(content(storage))
        fill(storage, {b"%06d" % number: b"value" * 10 for number in range(first, first + 700)})
        answer("done")


def damage_pages(engine: str, path: Path, seed: str) -> None:
    """Alter bytes of the pages under an open store, one place at a time, and read every row each time."""
    draw = random.Random(int(seed))
    rows = {b"key %05d" % number: draw.randbytes(draw.choice((5, 40, 300, 6_000))) for number in range(500)}
    found = {"altered": 0, "met": 0}
    with open_engine(engine, path) as storage, (path / "data.mdb").open("r+b", buffering=0) as file:
        fill(storage, rows)
        fill(storage, {b"another": b"commit"}, Table.META)
        content(storage)
        pages = file.seek(0, os.SEEK_END) // PAGE_BYTES
        for _ in range(150):
            # Most of what leads to rows stands at the beginning of a page.
            place = draw.randrange(2, pages) * PAGE_BYTES + draw.choice(
                (draw.randrange(160), draw.randrange(PAGE_BYTES))
            )
            before = os.pread(file.fileno(), 2, place)
            os.pwrite(file.fileno(), draw.choice((b"\xff\xff", b"\0\0", draw.randbytes(2), draw.randbytes(1))), place)
            outcomes = [served(storage, key, value) for key, value in rows.items()] + [served_all(storage, rows)]
            os.pwrite(file.fileno(), before, place)
            found["altered"] += outcomes.count("altered")
            found["met"] += outcomes.count("same") < len(outcomes)
        # Nothing of the damage stays behind.
        found["altered"] += content(storage) != rows
    answer(found)


def served(storage: Storage, key: bytes, value: bytes) -> str:
    """What a row is read as."""
    try:
        with storage.snapshot() as snapshot:
            given = snapshot.get(Table.LOG, key)
    except Corrupted:
        return "corrupted"
    return "same" if given == value else "absent" if given is None else "altered"


def served_all(storage: Storage, rows: dict[bytes, bytes]) -> str:
    """What all rows are read as by a scan: each as it is, or not at all."""
    given: dict[bytes, bytes] = {}
    try:
        with storage.snapshot() as snapshot:
            given.update(snapshot.scan(Table.LOG))
    except Corrupted:
        return "corrupted"
    if any(rows.get(key) != value for key, value in given.items()):
        return "altered"
    return "same" if len(given) == len(rows) else "absent"


def use_after_fork(engine: str, path: Path) -> None:
    """Use what was opened before a fork, in the child; then go on in the parent."""
    storage = open_engine(engine, path)
    fill(storage, {b"%03d" % number: b"before" for number in range(500)})
    snapshot = storage.snapshot()
    scan = snapshot.scan(Table.LOG)
    next(scan)
    batch = storage.batch()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        calls: list[Callable[[], object]] = [
            storage.snapshot,
            storage.batch,
            lambda: snapshot.get(Table.LOG, b"001"),
            lambda: snapshot.scan(Table.LOG),
            lambda: next(scan),
            lambda: batch.put(Table.LOG, b"001", b"child"),
            batch.commit,
        ]
        seen = [code(call) for call in calls]
        # None of these may touch what the parent has open.
        seen += [code(call) for call in (batch.abort, snapshot.close, storage.close)]
        seen.append(code(lambda: open_engine(engine, path)))
        seen.append(code(lambda: open_engine(engine, path, read_only=True)))
        os.write(writing, json.dumps(seen).encode("ascii"))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        seen = json.loads(pipe.read())
    os.waitpid(child, 0)
    batch.abort()
    # Without its slot in the table of readers the snapshot would lose its pages to these commits.
    for _ in range(20):
        fill(storage, {b"%03d" % number: b"after" for number in range(500)})
    answer({"child": seen, "parent": sorted({value.decode("ascii") for _, value in snapshot.scan(Table.LOG)})})
    storage.close()


def data_descriptors(path: Path) -> tuple[int, int]:
    """Find the descriptors through which LMDB writes pages, and meta pages."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        number = int(entry.name)
        try:
            same = os.path.samestat(os.fstat(number), (path / "data.mdb").stat())
        except OSError:
            continue
        if same:
            found[bool(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_DSYNC)] = number
    return found[False], found[True]


def fail_writes(engine: str, path: Path, which: str) -> None:
    """Let the writing of pages, or of the meta page, fail in a commit; then try to go on."""
    storage = open_engine(engine, path, durable=True)
    fill(storage, {b"a": b"1"})
    broken = data_descriptors(path)[which == "meta"]
    kept = os.dup(broken)
    with (path / "data.mdb").open("rb") as read_only:
        os.dup2(read_only.fileno(), broken)
    batch = storage.batch()
    batch.put(Table.LOG, b"b", b"2")
    seen = [code(batch.commit), code(lambda: batch.get(Table.LOG, b"a"))]
    os.dup2(kept, broken)
    seen.append(code(lambda: fill(storage, {b"c": b"3"})))
    storage.close()
    with storage_of(engine, path) as again:
        seen.append(code(lambda: fill(again, {b"d": b"4"})))
        answer({"seen": seen, "rows": [key.decode("ascii") for key in content(again)]})


ROWS = {b"%06d" % number: b"v%06d" % number * (1 + number % 40) for number in range(600)}


def damage_and_use(engine: str, path: Path, first: str, last: str) -> None:
    """Damage copies of a new store at random places and use them; answer how often what came of it.

    What must never come of it is a signal, or a row that was never written. A page that was put back in an
    older state is out of reach of any seal, so no row is ever overwritten here: a removed one may come back.
    """
    with open_engine(engine, path) as storage:
        fill(storage, ROWS)
        with storage.batch() as batch:
            for key in list(ROWS)[::5]:
                batch.delete(Table.LOG, key)
            batch.commit()
    original = path.joinpath("data.mdb").read_bytes()
    outcomes: dict[str, int] = {}
    for seed in range(int(first), int(last)):
        copy = path.with_name(f"damaged-{seed}")
        copy.mkdir()
        copy.joinpath("data.mdb").write_bytes(damaged(original, random.Random(seed)))
        outcome = code(partial(use, engine, copy))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        shutil.rmtree(copy)
    answer(outcomes)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Damage a data file in one place, its meta pages too."""
    altered = bytearray(data)
    pages = len(data) // 4_096
    one, other = chance.randrange(pages) * 4_096, chance.randrange(2, pages) * 4_096
    kind = chance.randrange(8)
    if kind == 0:
        altered[one : one + 4_096] = bytes(4_096)
    elif kind == 1:
        altered[one : one + 4_096] = data[other : other + 4_096]
    elif kind == 2:
        altered[one : one + 4_096] = chance.randbytes(4_096)
    else:
        # The first bytes of a page say where its rows are: there LMDB is hurt most.
        altered[one + chance.randrange(200)] ^= 1 << chance.randrange(8)
    return bytes(altered)


def use(engine: str, path: Path) -> None:
    """Read a damaged store in every way, and write to it."""
    with storage_of(engine, path) as storage:
        errors: list[CrdtStoreError] = []
        with storage.snapshot() as snapshot:
            for key, value in ROWS.items():
                try:
                    found = snapshot.get(Table.LOG, key)
                except CrdtStoreError as error:
                    errors.append(error)
                else:
                    assert found in (None, value)
        try:
            assert content(storage).items() <= ROWS.items()
            fill(storage, ROWS)
            fill(storage, {key + b"+": value for key, value in ROWS.items()})
            with storage.batch() as batch:
                for key in ROWS:
                    batch.delete(Table.LOG, key)
                batch.commit()
        except CrdtStoreError as error:
            errors.append(error)
    if errors:
        raise errors[-1]


JOBS = (
    hold,
    hold_and_fork,
    read_beside,
    write_logged,
    take_readers,
    read_all,
    read_all_unchecked,
    cut_off_under_reads,
    cut_off_while_open,
    use_after_fork,
    fail_writes,
    damage_and_use,
    append_rows,
    damage_pages,
)

if __name__ == "__main__":
    chosen: Callable[..., None] = {job.__name__: job for job in JOBS}[sys.argv[1]]
    chosen(*(Path(text) if os.sep in text else text for text in sys.argv[2:]))
