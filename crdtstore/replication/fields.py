"""The fields of an entry: what a frame takes apart into columns and puts together again.

Rules: the fields of a record, whole or cut, and of an advance are the same; what tells them apart is how many changes
and digests they have. Putting together makes the canonical bytes, and checks them as strictly as any record that
arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from crdtstore import core
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.entry import RECORD_HEAD, Entry, decode_advance, is_advance
from crdtstore.crdt.record import RECORD_VERSION, array_head
from crdtstore.crdt.value import decode_value, pack
from crdtstore.errors import MalformedMessage

HEAD: Final = bytes([RECORD_HEAD])


class Fields(NamedTuple):
    """An entry taken apart.

    `digests` is a chain digest for each position of an advance, the one of a cut record, or empty for a whole one.
    `changes` is empty for an advance; where an entry is put together, it holds encoded changes.
    """

    origin: bytes
    position: int
    actor: bytes
    timestamp: int
    observed: Sequence[Sequence[Any]]
    changes: Sequence[Any]
    digests: bytes

    @property
    def steps(self) -> int:
        """By how many positions the entry takes its origin on."""
        return 1 if self.changes else len(self.digests) // CHAIN_DIGEST_BYTES

    @property
    def digest(self) -> bytes | None:
        """The chain digest at its position, where it is told."""
        return self.digests[-CHAIN_DIGEST_BYTES:] or None


def take_apart(entry: Entry) -> Fields:
    """The fields of an entry of an own log."""
    if is_advance(entry.data):
        _, origin, position, timestamp, observed, digests = decode_value(entry.data)
        return Fields(origin, position, origin, timestamp, observed, (), digests)
    return Fields._make([*decode_value(entry.data)[1:], entry.digest or b""])


def put_together(fields: Fields) -> Entry:
    """The entry of some fields.

    Raises:
        MalformedRecord: The fields are not those of a canonical entry.
        MalformedMessage: They are of neither kind.
    """
    origin, position, actor, timestamp, observed, changes, digests = fields
    if not changes:
        data = pack([RECORD_VERSION, origin, position, timestamp, observed, digests])
        decode_advance(data)
        return Entry(data)
    if len(digests) > CHAIN_DIGEST_BYTES:
        raise MalformedMessage("A cut record comes with one chain digest.")
    head = pack([RECORD_VERSION, origin, position, actor, timestamp, observed])
    data = HEAD + head[1:] + array_head(len(changes)) + b"".join(changes)
    core.read_head(data)
    return Entry(data, digests or None)
