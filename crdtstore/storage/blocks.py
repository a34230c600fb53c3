"""Blocks: how a long stream is written so that its reader knows whether it came whole.

    8 bytes that say what it is ‖ block ‖ block ‖ … ‖ end block

    block: u8 kind ‖ u32 length ‖ payload ‖ u32 CRC-32C of (u32 number ‖ kind ‖ length ‖ payload)

Rules: all numbers are little-endian; blocks are numbered from 0. The payload of the end block is how many blocks and
bytes came before it and the digest of all their payloads; nothing follows it. A block is checked before it is given,
so what came before a damage was right; only the end block says that it was everything. One block is in memory.

Not here: what the payloads are (`replication/delta.py`, `http/admin/backup.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, NoReturn, Protocol

from crdtstore import core
from crdtstore.errors import DamagedFile
from crdtstore.limits import BLOCK_BYTES_MAX

MAGIC_BYTES: Final = 8
DIGEST_BYTES: Final = 16
PAYLOAD, END = 1, 2
HEAD: Final = struct.Struct("<BI")
NUMBER: Final = struct.Struct("<I")
TOTAL: Final = struct.Struct("<QQ")


class Source(Protocol):
    """What is read from: gives up to so many bytes, and none at its end."""

    def read(self, size: int, /) -> bytes:
        """Read some bytes."""


def write_blocks(magic: bytes, payloads: Iterable[bytes]) -> Iterator[bytes]:
    """Write payloads as blocks.

    Args:
        magic: MAGIC_BYTES that say what the stream is.
        payloads: At most BLOCK_BYTES_MAX bytes each.

    Yields:
        The stream, piece by piece.
    """
    assert len(magic) == MAGIC_BYTES, "What a stream is takes so many bytes to say."
    yield magic
    number = size = 0
    digest = blake2b(digest_size=DIGEST_BYTES)
    for payload in payloads:
        yield block(number, PAYLOAD, payload)
        digest.update(payload)
        number, size = number + 1, size + len(payload)
    yield block(number, END, TOTAL.pack(number, size) + digest.digest())


def block(number: int, kind: int, payload: bytes) -> bytes:
    """Write one block."""
    assert len(payload) <= BLOCK_BYTES_MAX, "No reader takes a longer block."
    head = HEAD.pack(kind, len(payload))
    return b"".join((head, payload, NUMBER.pack(checksum(number, head, payload))))


def checksum(number: int, head: bytes, payload: bytes) -> int:
    """The checksum of a block at its place."""
    return core.crc32c(payload, core.crc32c(NUMBER.pack(number) + head))  # type: ignore[no-any-return]


class BlockReader:
    """Reads a stream of blocks, and knows at which byte it is."""

    def __init__(self, source: Source) -> None:
        """Read from a source."""
        self.source = source
        self.at = 0

    def payloads(self, magic: bytes, *others: bytes) -> Iterator[bytes]:
        """Give the payloads, each once it was checked, and end only where the stream does.

        Args:
            magic: What the stream must be.
            others: What else it may be.

        Raises:
            DamagedFile: It is something else, cut short or altered.
        """
        if self.source_bytes(MAGIC_BYTES) not in (magic, *others):
            self.refuse(f"does not begin with {magic.decode('ascii')!r}")
        number = size = 0
        digest = blake2b(digest_size=DIGEST_BYTES)
        while True:
            kind, payload = self.block(number)
            if kind == END:
                break
            digest.update(payload)
            number, size = number + 1, size + len(payload)
            yield payload
        if payload != TOTAL.pack(number, size) + digest.digest() or self.source.read(1):
            self.refuse("does not end as its end block says")

    def block(self, number: int) -> tuple[int, bytes]:
        """Read and check the block that comes next."""
        head = self.source_bytes(HEAD.size)
        kind, length = HEAD.unpack(head)
        if kind not in (PAYLOAD, END) or length > BLOCK_BYTES_MAX:
            self.refuse("has no block where one must be")
        payload = self.source_bytes(length)
        (told,) = NUMBER.unpack(self.source_bytes(NUMBER.size))
        if told != checksum(number, head, payload):
            self.refuse(f"is altered in block {number}")
        return kind, payload

    def source_bytes(self, size: int) -> bytes:
        """Read so many bytes."""
        pieces = []
        missing = size
        while missing:
            piece = self.source.read(missing)
            if not piece:
                self.refuse("is cut short")
            pieces.append(piece)
            missing -= len(piece)
            self.at += len(piece)
        return b"".join(pieces)

    def refuse(self, reason: str) -> NoReturn:
        """Say what is the matter with the stream, and where."""
        raise DamagedFile(f"The file {reason}: it is damaged up to byte {self.at}.", byte=self.at)
