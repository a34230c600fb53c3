"""Power cuts under a write-ahead log, one state after the other: everything that a cut may leave is opened.

Rules: runs as a process of its own that the shim was loaded into: `python -m tests.faults.wal_states`. A history is a
few lives of a store, each in a forked child: it opens, with a log or once without, writes rows in random batches, makes
checkpoints, and is closed or just ends: also where a frame, or a header, is in the page cache only. The shim records
what that does to the disk. At places of the record, half of them while a store is opened, some states are built that a
power cut there may leave (`disk_states`); each is opened as anybody would. What it holds must be what a prefix of the
batches gives: all that were acknowledged, none that was not begun, none in part. Then it is written to, closed and
opened once more.

Segments are small, so that the log goes round often.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Self, TypeAlias

from crdtstore import core
from crdtstore.errors import CrdtStoreError, NotRecovered
from crdtstore.storage.environment import open_storage
from crdtstore.storage.interface import Storage
from crdtstore.storage.tables import Table
from crdtstore.storage.wal import Placed
from crdtstore.storage.wal_file import Header, encode_header, header_at, write_all
from tests.faults import planted, shim
from tests.faults.disk_states import Disk, Event, read_events
from tests.faults.forking import forked
from tests.faults.wal_segments import small_segments

Rows: TypeAlias = dict[tuple[int, bytes], bytes]
TABLES = (Table.DOCUMENTS, Table.LOG, Table.KEYS)
MAP_BYTES = 1 << 28
STATES_OF_A_PLACE = 3
BATCHES = 14
LATE = 2
LATE_BYTES = 192 * 1_024
"""Batches that come while a checkpoint is made, and segments that have room for them in any case."""


def rows_of(storage: Storage) -> Rows:
    """All rows that the histories write."""
    with storage.snapshot() as snapshot:
        return {(table, key): value for table in TABLES for key, value in snapshot.scan(table)}


def write_batch(storage: Storage, random: Random, rows: Rows) -> None:
    """One batch of a history; `rows` follow."""
    with storage.batch() as batch:
        for _ in range(random.choice((1, 2, 5, 30))):
            table, key = random.choice(TABLES), random.randbytes(1) + b"k"
            if random.random() < 0.2:
                batch.delete(table, key)
                rows.pop((table, key), None)
            else:
                value = random.randbytes(random.choice((0, 20, 300, 3_000)))
                batch.put(table, key, value)
                rows[table, key] = value
        batch.commit()


def live(path: Path, seed: str, pipe: int) -> None:
    """One life of a store; every batch is noted before it is begun and after it was acknowledged."""
    random = Random(seed)
    ends_in = random.choice(("none", "frame", "header", "header", "nothing", "nothing", "nothing"))
    logged = ends_in != "none"
    late = random.randrange(1, LATE + 1) if ends_in == "header" else 0
    if late:
        small_segments(LATE_BYTES)
    shim.note("opening")
    storage: Any = open_storage(path, create=False, read_only=False, logged=logged, map_bytes=MAP_BYTES)
    shim.note("shown")
    batches = random.randrange(1, BATCHES)
    os.write(pipe, b"%d" % (batches + late))
    for number in range(batches):
        if ends_in == "frame" and number == batches - 1:
            storage.wal.place = partial(end_before_flush, storage.wal.place)
        write_noted(storage, seed, number)
        if logged and random.random() < 0.2:
            storage.wal.checkpoint()
    if late:
        end_in_header(storage, seed, range(batches, batches + late))
    if random.random() < 0.4:
        storage.close()
    os._exit(0)


def end_before_flush(place: Callable[[bytes], Placed | None], rows: bytes) -> None:
    """Write a frame and end, as a kill does; come again where there is no room yet."""
    placed = place(rows)
    if placed is not None:
        write_all(*placed)
        os._exit(0)


def write_noted(storage: Storage, seed: str, number: int) -> None:
    """The batch of a number, noted."""
    shim.note("begun")
    write_batch(storage, Random(f"{seed}.{number}"), {})
    shim.note("done")


def end_in_header(storage: Any, seed: str, batches: range) -> None:
    """Make a checkpoint while batches are written, and end when its header is in the page cache only.

    An opening applies them to pages of the checkpoint before, which is the one that the disk names.
    """
    log = storage.wal

    class Meanwhile:
        """The storage, but writers go on while it is flushed."""

        snapshot = storage.snapshot

        def sync(self) -> None:
            """Flush it, and write meanwhile."""
            storage.sync()
            for number in batches:
                write_noted(storage, seed, number)

    def put_header(header: Header) -> None:
        write_all(log.descriptor, encode_header(header), header_at(header.number))
        os._exit(0)

    log.storage, log.put_header = Meanwhile(), put_header
    log.checkpoint(switching=True)


def make_history(folder: Path, seed: str) -> tuple[list[Event], list[Rows], dict[str, bytes]]:
    """Live some lives; the record, the rows after each batch, and the files before the first."""
    path, record = folder / "store", folder / "record"
    for each in (path, folder / "state"):
        shutil.rmtree(each, ignore_errors=True)
    record.unlink(missing_ok=True)
    rows: Rows = {}
    with open_storage(path, create=True, read_only=False, map_bytes=MAP_BYTES) as storage:
        for number in range(5):
            write_batch(storage, Random(f"{seed}.before.{number}"), rows)
    base = {"data.mdb": (path / "data.mdb").read_bytes()}
    versions = [dict(rows)]
    shim.watch(path)
    shim.record(record)
    for life in range(Random(seed).randrange(1, 4)):
        code, said = forked(partial(live, path, f"{seed}.{life}"))
        assert code == 0, (seed, life, code)
        for number in range(int(said)):
            follow(Random(f"{seed}.{life}.{number}"), rows)
            versions.append(dict(rows))
    shim.record(None)
    return list(read_events(record)), versions, base


class Twin:
    """A batch that writes nothing, for what a history must have written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def batch(self) -> Twin:
        """Itself."""
        return self

    def put(self, *_: object) -> None:
        """Nothing."""

    delete = put

    def commit(self) -> None:
        """Nothing."""


def follow(random: Random, rows: Rows) -> None:
    """Change rows as a batch did."""
    twin: Any = Twin()
    write_batch(twin, random, rows)


def wrong(folder: Path, files: dict[str, bytes], versions: list[Rows], done: int, random: Random) -> list[str]:
    """Open a state; what is wrong with it. `versions`: those that it may hold, `done` the first of them."""
    path = folder / "state"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    if random.random() < 0.1:
        with_log = "wal.log" in files
        try:
            open_storage(path, create=False, read_only=True, map_bytes=MAP_BYTES).close()
        except NotRecovered:
            if not with_log:
                return ["a store without a log is not opened to be read"]
    options: dict[str, Any] = {"create": False, "read_only": False, "durable": False, "map_bytes": MAP_BYTES}
    try:
        with open_storage(path, **options, logged=random.random() < 0.3) as one:
            rows = rows_of(one)
            if rows not in versions[done:]:
                known = versions.index(rows) if rows in versions else None
                return [f"{done} batches were acknowledged, {len(versions) - 1} begun, and {known} are there"]
            write_batch(one, Random(1), rows)
        with open_storage(path, **options) as one:
            return [] if rows_of(one) == rows else ["what was written afterwards is not there"]
    except CrdtStoreError as error:
        return [f"it cannot be opened: {error!r}"]


def choose(events: list[Event], random: Random, count: int) -> set[int]:
    """So many places of a record, half of them where a store is opened."""
    noted, opening = "", list[int]()
    for place, event in enumerate(events):
        noted = event.path if event.kind == "N" else noted
        if noted == "opening":
            opening.append(place)
    places = range(len(events))
    return {
        *random.sample(opening, min(len(opening), count // 2)),
        *random.sample(places, min(len(places), count // 2)),
    }


def look(folder: Path, seed: str, states: int, pipe: int) -> None:
    """Build and open some states of a history, at places that are chosen."""
    random = Random(f"look.{seed}")
    events, versions, base = make_history(folder, seed)
    chosen = choose(events, random, max(1, states // STATES_OF_A_PLACE))
    disk = Disk(folder / "store", base)
    seen, found, begun, done = 0, list[str](), 0, 0
    for place, event in enumerate(events):
        if event.kind == "N":
            begun += event.path == "begun"
            # What was shown must stay, acknowledged or not.
            done = begun if event.path == "shown" else done + (event.path == "done")
        else:
            disk.play(event)
        if place not in chosen:
            continue
        for files in disk.states(random, STATES_OF_A_PLACE):
            core.lmdb_environment = random.choice((COMPILED, None)) if not PLANTED else COMPILED
            found += [
                f"{seed} at {place}: {each}" for each in wrong(folder, files, versions[: begun + 1], done, random)
            ]
            seen += 1
    os.write(pipe, json.dumps({"states": seen, "wrong": len(found), "found": found[:3]}).encode())


COMPILED = core.lmdb_environment
PLANTED = "".join(sys.argv[4:])


def run(folder: Path, states: int, seed: int) -> dict[str, Any]:
    """Histories until so many states were opened; a child that LMDB ended counts as one that is wrong."""
    total: dict[str, Any] = {"states": 0, "wrong": 0, "found": []}
    number = 0
    while total["states"] < states:
        job: Callable[[int], None] = partial(look, folder, f"{seed}.{number}", min(150, states))
        code, said = forked(job)
        part = json.loads(said) if code == 0 else {"states": 1, "wrong": 1, "found": [f"ended with {code}"]}
        total = {key: total[key] + part[key] for key in total}
        number += 1
        if total["wrong"]:
            break
    return {**total, "histories": number, "found": total["found"][:5]}


if __name__ == "__main__":
    directory, wanted, start = sys.argv[1:4]
    logging.disable()
    small_segments()
    shim.hurry()
    if PLANTED:
        getattr(planted, PLANTED)()
    print(json.dumps(run(Path(directory), int(wanted), int(start))))  # noqa: T201  its answer
