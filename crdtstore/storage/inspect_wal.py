"""Looking at a write-ahead log: whether it is in use, its checkpoint, and what stands in it.

Rules: the file is read, nothing is written or locked for longer than a look takes, and a server may be at work: what is
shown may be a moment old. Frames are counted as far as they can be read. Whether one that cannot was damaged or never
finished is told by who opens the store.

Not here: the file (`wal_file`), opening after a crash (`wal_recovery`).
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crdtstore.storage import wal_file
from crdtstore.storage.backup import check_there
from crdtstore.storage.tables import TABLE_NAMES
from crdtstore.storage.wal_file import CANCEL, decode_next, decode_rows, read_header, read_segment, segment_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crdtstore.storage.wal_file import Frame, Header


def inspect_wal(directory: str | Path) -> dict[str, Any]:
    """What there is of a log; `state` alone where there is none.

    Raises:
        NotAStore: There is no store.
        Corrupted: The log has no header that counts.
        FormatTooNew: A newer version wrote it.
    """
    place = Path(directory).resolve()
    check_there(place)
    try:
        log = os.open(place / wal_file.NAME, os.O_RDONLY)
    except FileNotFoundError:
        return {"state": "none"}
    try:
        header = read_header(log)
        found = {
            "state": "in use" if is_in_use(log) else "closed" if header.closed else "left behind",
            "bytes": os.fstat(log).st_size,
            "identity": header.identity.hex(),
            "header": header.number,
            "checkpoint": header.sequence,
            "segment": header.segment,
            "segment_bytes": header.segment_bytes,
        }
        return found if header.closed else {**found, **summed(list(read_whole(log, header)))}
    finally:
        os.close(log)


def is_in_use(log: int) -> bool:
    """Whether a process writes to a log."""
    try:
        fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def read_whole(log: int, header: Header) -> Iterator[Frame]:
    """The frames behind the checkpoint, up to the first that is not whole."""
    expected = header.sequence + 1
    for segment in (header.segment, 1 - header.segment):
        data, start, at = read_segment(log, header, segment), segment_at(header, segment), 0
        while frame := decode_next(header.identity, data, at, start, expected):
            yield frame
            at += frame.place.size
            expected += 1


def summed(frames: list[Frame]) -> dict[str, Any]:
    """What frames hold: how many there are, of how many bytes, and of each table the rows that they change."""
    cancelled = {int.from_bytes(frame.content, "little") for frame in frames if frame.kind == CANCEL}
    commits = [frame for frame in frames if frame.kind != CANCEL and frame.sequence not in cancelled]
    return {
        "commits": len(commits),
        "cancelled": len(cancelled),
        "frame_bytes": sum(frame.place.size for frame in frames),
        "rows": count_rows(commits),
    }


def count_rows(commits: Iterable[Frame]) -> dict[str, dict[str, int]]:
    """By table, how many rows are put and removed."""
    found: dict[str, Counter[str]] = {}
    for frame in commits:
        for table, _, value in decode_rows(frame.content):
            name = TABLE_NAMES[table] if table < len(TABLE_NAMES) else str(table)
            found.setdefault(name, Counter(put=0, removed=0))["removed" if value is None else "put"] += 1
    return {name: dict(found[name]) for name in sorted(found)}
