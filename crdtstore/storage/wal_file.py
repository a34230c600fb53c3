"""The write-ahead log's file: two headers, two segments of frames, and what a power cut may leave of them.

Rules: numbers are little-endian. A header stands in one sector, so that no power cut can halve it; they are written in
turn, and the one with the greater number counts. It names a checkpoint: the meta page of a commit all of whose pages
are on disk, the number of the last frame that this commit holds, and the segment in which the next one stands. Frames
stand one behind the other. Numbers go on from segment to segment and are never given twice, and the checksum begins
with the identity of the log, so what an earlier round left in a segment is told from what was written last.

A frame is written only once the one before is on disk. So a power cut can damage the last one only: what cannot be read
is the end of the log, unless a later frame stands anywhere; then it was damaged afterwards, and that is `Corrupted`.

Not here: who writes (`wal`), what is done with frames after a crash (`wal_recovery`).
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore import core
from crdtstore.errors import Corrupted, FormatTooNew

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "wal.log"
"""Of the file, in the directory of a store."""

MAGIC: Final = b"CRDTWAL\0"
VERSION: Final = 1
IDENTITY_BYTES: Final = 16
META_AT: Final = 16
META_BYTES: Final = 136
"""Where LMDB's meta lies in its page, and how long it is."""

HEADER: Final = struct.Struct(f"<8sHHIQQQ{IDENTITY_BYTES}s{META_BYTES}s")
CHECKSUM: Final = struct.Struct("<I")
HEADER_PLACE_BYTES: Final = 4_096
HEADERS_BYTES: Final = 2 * HEADER_PLACE_BYTES

FRAME: Final = struct.Struct("<4sIQQII")
FRAME_MAGIC: Final = b"WALF"
FRAME_ALIGNMENT: Final = 8
ROWS: Final = 0
CANCEL: Final = 1
"""Kinds of frames: the rows of a commit, and the number of the frame before that was not committed after all."""

CANCEL_BYTES: Final = FRAME.size + 8

ROW: Final = struct.Struct("<BBHI")
PUT: Final = 0
DELETE: Final = 1


class Header(NamedTuple):
    """A checkpoint, and where the log goes on from it."""

    number: int
    sequence: int
    segment: int
    segment_bytes: int
    identity: bytes
    meta: bytes
    closed: bool = False


class Place(NamedTuple):
    """Where a frame stands in the file."""

    at: int
    size: int


class Frame(NamedTuple):
    """A frame that is whole."""

    sequence: int
    kind: int
    content: bytes
    place: Place


def write_all(descriptor: int, data: bytes, at: int) -> None:
    """Write bytes at a place; what is cut short goes on, so that the disk tells why."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        if written == 0:
            raise OSError(errno.EIO, "the write-ahead log was written in part")
        view, at = view[written:], at + written


def write_flushed(descriptor: int, data: bytes, at: int) -> int:
    """Write bytes at a place, and bring them to disk: 0; or the errno of a write, or minus that of the flush."""
    try:
        write_all(descriptor, data, at)
    except OSError as error:
        return error.errno or errno.EIO
    try:
        os.fdatasync(descriptor)
    except OSError as error:
        return -(error.errno or errno.EIO)
    return 0


# --- headers ---


def encode_header(header: Header) -> bytes:
    """Return the bytes of a header, its checksum behind them."""
    state = int(header.closed)
    number, sequence, segment, segment_bytes, identity, meta, _ = header
    data = HEADER.pack(MAGIC, VERSION, state, segment, number, sequence, segment_bytes, identity, meta)
    return data + CHECKSUM.pack(core.crc32c(data))


def header_at(number: int) -> int:
    """The place of the header of a number."""
    return number % 2 * HEADER_PLACE_BYTES


def read_header(descriptor: int) -> Header:
    """Read the header that counts.

    Raises:
        Corrupted: There is none, or one is damaged.
        FormatTooNew: A newer version wrote it.
    """
    found = [header for at in (0, 1) if (header := read_one(descriptor, header_at(at))) is not None]
    if not found:
        raise damaged("it has no header")
    return max(found, key=lambda header: header.number)


def read_one(descriptor: int, at: int) -> Header | None:
    """Read the header at a place; None where none was written yet."""
    data = os.pread(descriptor, HEADER.size + CHECKSUM.size, at)
    if not data.strip(b"\0"):
        return None
    if len(data) < HEADER.size + CHECKSUM.size or data[: len(MAGIC)] != MAGIC:
        raise damaged(f"there is no header at byte {at}")
    magic, version, state, segment, number, sequence, segment_bytes, identity, meta = HEADER.unpack_from(data)
    if version != VERSION:
        message = f"The write-ahead log has version {version}, and this version of the software reads {VERSION}."
        raise FormatTooNew(message, found=version, newest=VERSION)
    if CHECKSUM.pack(core.crc32c(data[: HEADER.size])) != data[HEADER.size :] or magic != MAGIC:
        raise damaged(f"the header at byte {at} fails its checksum")
    return Header(number, sequence, segment, segment_bytes, identity, meta, bool(state))


def damaged(why: str) -> Corrupted:
    """The error for a log that cannot be what a power cut left."""
    return Corrupted("write-ahead log", b"", f"{why}; restore a backup, or ask for help before anything is removed")


# --- frames ---


def segment_at(header: Header, segment: int) -> int:
    """Where a segment begins."""
    return HEADERS_BYTES + segment * header.segment_bytes


def padded(size: int) -> int:
    """The bytes that a frame takes with so many of content."""
    return (FRAME.size + size + FRAME_ALIGNMENT - 1) // FRAME_ALIGNMENT * FRAME_ALIGNMENT


def frame_checksum(identity: bytes, rest: bytes, content: bytes | memoryview) -> int:
    """The CRC-32C of a frame: of the log's identity, of its head behind the checksum, of its content."""
    crc: int = core.crc32c(content, core.crc32c(rest, core.crc32c(identity)))
    return crc


def encode_frame(identity: bytes, sequence: int, kind: int, content: bytes | memoryview) -> bytes:
    """Return the bytes of a frame."""
    head = FRAME.pack(FRAME_MAGIC, 0, sequence, len(content), kind, 0)
    crc = frame_checksum(identity, head[8:], content)
    filler = bytes(padded(len(content)) - FRAME.size - len(content))
    return b"".join((FRAME.pack(FRAME_MAGIC, crc, sequence, len(content), kind, 0), content, filler))


def decode_frame(identity: bytes, data: bytes, at: int, start: int) -> Frame | None:
    """Read the frame at a place of a segment's bytes; None if there is no whole one. `start`: where they begin."""
    if len(data) - at < FRAME.size:
        return None
    magic, crc, sequence, length, kind, _ = FRAME.unpack_from(data, at)
    content = data[at + FRAME.size : at + FRAME.size + length]
    if magic != FRAME_MAGIC or len(content) != length:
        return None
    if frame_checksum(identity, data[at + 8 : at + FRAME.size], content) != crc:
        return None
    return Frame(sequence, kind, content, Place(start + at, padded(length)))


def read_frames(descriptor: int, header: Header) -> list[Frame]:
    """Read the frames behind a checkpoint, those that were cancelled too.

    Raises:
        Corrupted: One was damaged: a later one is there.
    """
    frames: list[Frame] = []
    rest: list[tuple[bytes, int, int]] = []
    for segment in (header.segment, 1 - header.segment):
        data, start, at = read_segment(descriptor, header, segment), segment_at(header, segment), 0
        expected = header.sequence + len(frames) + 1
        while frame := decode_next(header.identity, data, at, start, expected):
            frames.append(frame)
            at += frame.place.size
            expected += 1
        rest.append((data, at, start))
    expected = header.sequence + len(frames) + 1
    for data, at, start in rest:
        later = find_later(header.identity, data, at, start, expected)
        if later is not None:
            raise damaged(f"frame {expected} of it is damaged, and frame {later} stands behind")
    return frames


def read_segment(descriptor: int, header: Header, segment: int) -> bytes:
    """Read a segment whole; the second may have been lengthened for one great frame."""
    start = segment_at(header, segment)
    size = header.segment_bytes if segment == 0 else max(0, os.fstat(descriptor).st_size - start)
    pieces = []
    while size > 0 and (piece := os.pread(descriptor, size, start)):
        pieces.append(piece)
        size, start = size - len(piece), start + len(piece)
    return b"".join(pieces)


def decode_next(identity: bytes, data: bytes, at: int, start: int, expected: int) -> Frame | None:
    """Read the frame at a place if it is the next one."""
    frame = decode_frame(identity, data, at, start)
    return frame if frame is not None and frame.sequence == expected else None


def find_later(identity: bytes, data: bytes, at: int, start: int, expected: int) -> int | None:
    """The number of a whole frame, from a number on, that stands behind a place of a segment; None if there is none."""
    while (at := data.find(FRAME_MAGIC, at)) >= 0:
        if len(data) - at >= FRAME.size and FRAME.unpack_from(data, at)[2] >= expected:
            frame = decode_frame(identity, data, at, start)
            if frame is not None:
                return frame.sequence
        at += 1
    return None


# --- rows ---


def encode_put(table: int, key: bytes, value: bytes) -> bytes:
    """A row that is stored, without its seal."""
    return b"".join((ROW.pack(table, PUT, len(key), len(value)), key, value))


def encode_delete(table: int, key: bytes) -> bytes:
    """A row that is removed."""
    return ROW.pack(table, DELETE, len(key), 0) + key


def decode_rows(content: bytes) -> Iterator[tuple[int, bytes, bytes | None]]:
    """The rows of a frame in order: table, key, and the value without its seal, or None where it is removed."""
    at, end = 0, len(content)
    while at < end:
        table, kind, key_bytes, value_bytes = ROW.unpack_from(content, at)
        at += ROW.size
        middle, stop = at + key_bytes, at + key_bytes + value_bytes
        yield table, content[at:middle], content[middle:stop] if kind == PUT else None
        at = stop
