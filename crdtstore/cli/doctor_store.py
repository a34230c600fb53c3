"""What `crdtstore doctor` checks of a store: who has it open, its readers, map, log, peers, clock and format.

Rules: nothing is changed, and a server may have the store open. Who holds the lock is read from `/proc/locks`, never
tried: a server that starts at that moment must not be turned away. Readers are read before the store is opened here,
since opening clears the slots of dead processes.

Not here: whether its rows are whole (`crdtstore verify`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb
import msgpack

from crdtstore.cli.doctor_machine import NOTICE, OK, PROBLEM, Check
from crdtstore.cli.output import counted
from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.names import Names
from crdtstore.crdt.timestamp import format_timestamp, to_milliseconds
from crdtstore.errors import CrdtStoreError, NotRecovered
from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX, MAP_BYTES_DEFAULT, PEER_SILENT_SECONDS, REPLICAS_MAX
from crdtstore.storage.attachment_files import folder_of, name_of, names_in
from crdtstore.storage.attachments import read_attachments
from crdtstore.storage.environment import DATA_NAME, open_storage
from crdtstore.storage.head import Head
from crdtstore.storage.index import read_indexes
from crdtstore.storage.lock import LOCK_NAME
from crdtstore.storage.log import first_txn, last_txn
from crdtstore.storage.peers import Peer, read_peers
from crdtstore.storage.stored_format import FORMAT, FORMAT_KEY
from crdtstore.storage.tables import Table
from crdtstore.storage.wal import KEY as WAL_KEY
from crdtstore.version.epoch import was_volatile

if TYPE_CHECKING:
    from crdtstore.storage.interface import Snapshot, Storage

LOCKS: Final = Path("/proc/locks")
MAP_PART_MAX: Final = 0.8
"""Of the map: beyond it the store is near what it can ever hold."""


def check_store(directory: Path) -> Iterator[Check]:
    """Everything that can be said of the store in a directory."""
    yield check_lock(directory)
    yield from check_readers(directory)
    yield check_map((directory / DATA_NAME).stat().st_size)
    try:
        with open_storage(directory, create=False, read_only=True) as storage, storage.snapshot() as snapshot:
            yield check_format(snapshot)
            yield check_durability(snapshot)
            yield check_clock(snapshot, time.time_ns() // 1_000_000)
            yield check_log(snapshot)
            yield from check_peers(snapshot, time.time_ns() // 1_000_000)
            yield check_indexes(snapshot)
            yield check_attachments(storage, snapshot)
    except NotRecovered as error:
        yield Check("store", NOTICE, error.message, "Start the server, or open it otherwise for writing.")
    except CrdtStoreError as error:
        yield Check("store", PROBLEM, error.message, "See what is damaged: crdtstore verify. Then restore a backup.")


# --- who has it open ---


def check_lock(directory: Path) -> Check:
    """Which process has the store open for writing."""
    file = directory / LOCK_NAME
    named = file.read_text(encoding="ascii", errors="replace").split() if file.exists() else []
    pid = holder_of(file)
    if pid is not None:
        since = f" since {named[1]}" if named[:1] == [str(pid)] and len(named) > 1 else ""
        return Check("writer", OK, f"process {pid or 'of another namespace'} has the store open for writing{since}")
    return Check("writer", OK, "nobody has the store open for writing")


def holder_of(file: Path) -> int | None:
    """The process that holds the lock of a file; 0 for one that cannot be seen from here, None if nobody does."""
    if not LOCKS.exists() or not file.exists():
        return None
    inode = file.stat().st_ino
    for line in LOCKS.read_text(encoding="ascii").splitlines():
        fields = line.split()
        if "->" not in fields and fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == str(inode):
            return max(0, int(fields[4]))
    return None


def is_alive(pid: int) -> bool:
    """Whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def check_readers(directory: Path) -> Iterator[Check]:
    """Slots of readers: those of dead processes keep pages from being used again until somebody opens the store."""
    if not (directory / "lock.mdb").exists():
        yield Check("readers", OK, "none")
        return
    try:
        with lmdb.open(str(directory), readonly=True, create=False, lib_version=0) as environment:
            lines = environment.readers().splitlines()
    except lmdb.Error as error:
        yield Check("readers", PROBLEM, f"LMDB cannot open the file: {error}", "See what is damaged: crdtstore verify.")
        return
    pids = [int(fields[0]) for fields in map(str.split, lines) if fields and fields[0].isdigit()]
    dead = sorted({pid for pid in pids if not is_alive(pid)})
    if dead:
        found = f"{len(pids)}, of which some belong to processes that are gone: {', '.join(map(str, dead))}"
        yield Check("readers", NOTICE, found, "Whoever opens the store clears them, as this check just did.")
    else:
        yield Check("readers", OK, f"{len(pids)}")


def check_map(size: int) -> Check:
    """The data file's size, against that of the map: a store cannot grow beyond it."""
    found = f"the data file has {size:,} bytes of {MAP_BYTES_DEFAULT:,}"
    if size > MAP_BYTES_DEFAULT * MAP_PART_MAX:
        return Check("map", PROBLEM, found, "Trim the log, or divide the store: it cannot grow beyond.")
    return Check("map", OK, found)


def check_attachments(storage: Storage, snapshot: Snapshot) -> Check:
    """The files beside the data file: how many, of how many bytes, and how many lie there without a row."""
    folder = folder_of(storage)
    rows = {name_of(each): each.length for each in read_attachments(snapshot)}
    left = sum(1 for name in names_in(folder) if name not in rows)
    found = f"{len(rows):,} of {sum(rows.values()):,} bytes, and {left:,} without a row"
    if left:
        return Check("attachments", NOTICE, found, "They are on their way, or the next collection removes them.")
    return Check("attachments", OK, found)


# --- what it says of itself ---


def check_format(snapshot: Snapshot) -> Check:
    """The number of the stored format, and who created the store."""
    record = msgpack.unpackb(snapshot.get(Table.META, FORMAT_KEY) or b"\x80")
    found = f"{record.get('format')}, made by {record.get('created_by')}; this version reads up to {FORMAT}"
    return Check("format", OK, found)


def check_durability(snapshot: Snapshot) -> Check:
    """Whether the store runs, or last ran, without flushing."""
    if was_volatile(snapshot):
        advice = "Run it with --durability sync: a power cut may destroy it. Its next opening takes a new epoch."
        return Check("durability", NOTICE, "none: the store runs or last ran without bringing commits to disk", advice)
    if snapshot.get(Table.META, WAL_KEY) is not None:
        return Check("durability", OK, "wal: what was answered is on disk, by a write-ahead log")
    return Check("durability", OK, "sync: what was answered is on disk")


def check_clock(snapshot: Snapshot, now_ms: int) -> Check:
    """This machine's clock, against the newest timestamp in the store."""
    newest = Head.load(snapshot, Names((), REPLICAS_MAX)).greatest
    if not newest:
        return Check("clock", OK, "the store has no transaction to compare with")
    behind = (to_milliseconds(newest) - now_ms) / 1_000
    if behind > CLOCK_AHEAD_SECONDS_MAX:
        advice = f"Set this machine's clock: writes are refused beyond {CLOCK_AHEAD_SECONDS_MAX} s."
        return Check("clock", PROBLEM, f"{behind:,.0f} s behind the store's newest transaction", advice)
    if behind > 1:
        advice = "Check this machine's clock, and those of its peers."
        return Check("clock", NOTICE, f"{behind:,.0f} s behind the store's newest transaction", advice)
    return Check("clock", OK, f"not behind the newest transaction, of {format_timestamp(newest)}")


def check_log(snapshot: Snapshot) -> Check:
    """How long the log is."""
    first, newest = first_txn(snapshot), last_txn(snapshot)
    count = newest - first + 1 if newest else 0
    return Check("log", OK, f"{count:,} transactions, from {first:,} to {newest:,}")


def check_indexes(snapshot: Snapshot) -> Check:
    """Indexes that are half made or half dropped."""
    indexes = read_indexes(snapshot)
    unfinished = [index.name for index in indexes if not index.ready]
    if unfinished:
        advice = "A server finishes them; without one: crdtstore index build"
        return Check("indexes", NOTICE, f"{', '.join(unfinished)}: half made or half dropped", advice)
    return Check("indexes", OK, f"{len(indexes):,}, each of them finished")


def check_peers(snapshot: Snapshot, now_ms: int) -> Iterator[Check]:
    """Peers that keep the log from being trimmed, and those that diverged."""
    newest, count, named = last_txn(snapshot), 0, False
    for peer in read_peers(snapshot):
        count += 1
        found = check_peer(peer, newest, now_ms)
        named = named or found is not None
        if found is not None:
            yield found
    if not named:
        yield Check("peers", OK, f"{count:,} known, none in quarantine, none silent while the log waits for it")


def check_peer(peer: Peer, newest: int, now_ms: int) -> Check | None:
    """One peer; None if there is nothing to say."""
    name = format_actor(peer.origin)
    if peer.divergence:
        advice = f"Find which of both is right, make the other anew, then: crdtstore peers release {name}"
        return Check("peers", PROBLEM, f"{name} is in quarantine: {peer.divergence}", advice)
    silent = (now_ms - peer.met) / 1_000
    if peer.acknowledged < newest and silent > PEER_SILENT_SECONDS:
        lacking = newest - peer.acknowledged
        waiting = f"{counted(lacking, 'transaction')} wait{'s' if lacking == 1 else ''} for it"
        advice = f"Let it exchange, or, if it will not return: crdtstore peers forget {name}"
        return Check("peers", NOTICE, f"{name} was not met for {silent / 86_400:,.1f} days; {waiting}", advice)
    return None
