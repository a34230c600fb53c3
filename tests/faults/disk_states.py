"""What a power cut may leave of a directory, built from a record of what was written to it.

Rules: the record is the shim's (`shim.record`). A file's bytes are on disk once a flush of it began after they were
written and ended well. Of what was written since, each write may be there or not, and each sector of it by itself.
Names that changed are on disk, in their order, once their directory was flushed; of later changes any first ones are.
Files are told by inode: one that is renamed keeps its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

HEAD = struct.Struct("<IIIIQ")
SECTOR_BYTES = 512


class Event(NamedTuple):
    """A line of the record."""

    kind: str
    path: str
    second: str
    at: int
    data: bytes


def read_events(record: Path) -> Iterator[Event]:
    """The lines of a record."""
    data, at = record.read_bytes(), 0
    while at + HEAD.size <= len(data):
        kind, path, second, size, number = HEAD.unpack_from(data, at)
        at += HEAD.size
        parts = [data[at : at + path], data[at + path : at + path + second], data[at + path + second :][:size]]
        at += path + second + size
        yield Event(chr(kind), parts[0].decode(), parts[1].decode(), number, parts[2])


class File:
    """The bytes of one inode: what is on disk, and what was written since."""

    def __init__(self, data: bytes = b"") -> None:
        self.disk = bytearray(data)
        self.pending: list[tuple[int, bytes]] = []
        self.flushing: int | None = None

    def begin_flush(self) -> None:
        """All that was written before a flush began is on disk once it ended."""
        self.flushing = len(self.pending)

    def end_flush(self) -> None:
        """Bring to disk what was written before the flush began."""
        for at, piece in self.pending[: self.flushing or 0]:
            put(self.disk, at, piece)
        del self.pending[: self.flushing or 0]
        self.flushing = None


def put(data: bytearray, at: int, piece: bytes) -> None:
    """Write at a place; a gap before it holds zeros."""
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(piece)] = piece


class Disk:
    """A directory under a record that is played."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        """Begin with files that are on disk."""
        self.folder = str(folder)
        self.names = {name: File(data) for name, data in files.items()}
        self.on_disk = dict(self.names)
        self.changes: list[tuple[str, File | None]] = []

    def play(self, event: Event) -> None:
        """Do what a line of the record says."""
        name = Path(event.path).name
        if event.path == self.folder:
            self.flush_names(event.kind)
        elif event.kind == "W":
            if name not in self.names:
                self.change(name, File())
            self.names[name].pending.append((event.at, event.data))
        elif event.kind == "R":
            moved = self.names[name]
            self.change(Path(event.second).name, moved)
            self.change(name, None)
        elif event.kind == "U":
            self.change(name, None)
        elif name in self.names and event.kind == "B":
            self.names[name].begin_flush()
        elif name in self.names and event.kind == "E":
            self.names[name].end_flush()

    def change(self, name: str, file: File | None) -> None:
        """Give a name to a file, or to none."""
        self.changes.append((name, file))
        apply(self.names, name, file)

    def flush_names(self, kind: str) -> None:
        """Bring names to disk. Nobody changes one meanwhile."""
        if kind == "E":
            for name, file in self.changes:
                apply(self.on_disk, name, file)
            self.changes.clear()

    def states(self, random: Random, count: int) -> Iterator[dict[str, bytes]]:
        """Some of what a power cut now may leave: nothing of what is pending, all of it, one file's, and any part."""
        names = sorted({*self.names, *self.on_disk})
        yield self.state(random, dict.fromkeys(names, 0.0))
        yield self.state(random, dict.fromkeys(names, 1.0))
        for _ in range(count - 2):
            whole = random.choice(names)
            parts = {name: random.choice([0.0, 0.05, 0.5, 0.95, 1.0]) for name in names}
            yield self.state(random, {name: float(name == whole) for name in names} if random.random() < 0.5 else parts)

    def state(self, random: Random, parts: dict[str, float]) -> dict[str, bytes]:
        """One of them: of what is pending of each file about a part is there, and of the names as the greatest says."""
        names = dict(self.on_disk)
        for name, file in self.changes[: round(len(self.changes) * random.choice([0.0, *parts.values()]))]:
            apply(names, name, file)
        return {name: surviving(file, random, parts.get(name, 0.0)) for name, file in names.items()}


def apply(names: dict[str, File], name: str, file: File | None) -> None:
    """Change one name."""
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def surviving(file: File, random: Random, part: float) -> bytes:
    """The bytes of a file of which some pending writes are there, and some sectors of others."""
    data = bytearray(file.disk)
    for at, piece in file.pending:
        chance = random.random()
        if chance < part:
            put(data, at, piece)
        elif part and chance < part + 0.1:
            # Sectors by themselves, on their own boundaries.
            start = 0
            while start < len(piece):
                end = min(len(piece), start + SECTOR_BYTES - (at + start) % SECTOR_BYTES)
                if random.random() < 0.5:
                    put(data, at + start, piece[start:end])
                start = end
    return bytes(data)
