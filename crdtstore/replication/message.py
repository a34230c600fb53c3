"""The messages of the exchange: what one store asks another, and what it is answered.

Rules: msgpack arrays that begin with the message's number; a request goes on with the format, the scope and the
origin of the store that asks. Every field is checked when it arrives; what does not fit is `MalformedMessage`, on
either side. An error is a message too, and is raised as the same class on the other side.

    Hello   are we equal?                       -> Equal, Unequal
    Pull    what do I lack?                     -> Records, Reseed
    Push    you lack this                       -> Taken
    Open    pin a snapshot for a join           -> Opened
    Sums    how many documents in these ranges  -> Parts
    Fetch   the documents of these ranges       -> Documents
    Chain   chain digests of an origin          -> Digests
    Close   let go of the snapshot              -> Closed

Not here: what is answered (`answer`), in which order is asked (`exchange`); the blobs in them (`frame`, `snapshot`).
The format's document is `docs/exchange.md`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from crdtstore import errors
from crdtstore.crdt.scope import Scope, make_scope
from crdtstore.errors import CrdtStoreError, MalformedMessage
from crdtstore.limits import (
    ACTOR_BYTES,
    COLLECTIONS_MAX,
    DIGESTS_MAX,
    MESSAGE_BYTES_MAX,
    ORIGINS_MAX,
    RANGES_MAX,
    WAIT_SECONDS_MAX,
)
from crdtstore.storage.documents import HASH_BYTES, ID_KEY_BYTES

EXCHANGE_FORMAT: Final = 1
SHORT: Final = 2**64
"""What the lower half of a digest is a remainder of."""

Name: TypeAlias = Annotated[bytes, Meta(min_length=ACTOR_BYTES, max_length=ACTOR_BYTES)]
Natural: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Position: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Wait: TypeAlias = Annotated[float, Meta(ge=0, le=WAIT_SECONDS_MAX)]
Token: TypeAlias = Natural
Rows: TypeAlias = Annotated[tuple[tuple[Name, Position, Name, bool], ...], Meta(max_length=ORIGINS_MAX)]
"""A version vector: origin, position, chain digest, and whether all records came whole there."""

Short: TypeAlias = Annotated[int, Meta(ge=0)]
"""The lower half of a digest: enough to tell two sums apart, and what is told most often in a search."""

Key: TypeAlias = Annotated[bytes, Meta(max_length=ID_KEY_BYTES + HASH_BYTES + 1)]
"""A document's key without its collection's number, or what comes right behind one."""
Collections: TypeAlias = Annotated[tuple[str, ...], Meta(min_length=1, max_length=COLLECTIONS_MAX)]
Ranges: TypeAlias = Annotated[tuple[tuple[str, Key, Key | None], ...], Meta(max_length=RANGES_MAX)]


class Request(Struct, array_like=True, frozen=True, tag=True):
    """What every request begins with."""

    format: Natural
    collections: Collections | None
    origin: Name

    @property
    def scope(self) -> Scope:
        """The scope of the store that asks."""
        return make_scope(self.collections)


class Spoken(Struct, array_like=True, frozen=True):
    """The beginning of a request in any format."""

    number: Natural
    format: Natural


class Hello(Request, tag=1, frozen=True):
    """Are we equal: the digest of the asking store's vector, that of its documents, and how long to wait if so."""

    vector: Name
    documents: Name
    wait_seconds: Wait = 0


class Pull(Request, tag=2, frozen=True):
    """What do I lack: the asking store's vector, after how many bytes to stop (0: only compare), how long to wait."""

    rows: Rows
    bytes_max: Natural
    wait_seconds: Wait = 0


class Push(Request, tag=3, frozen=True):
    """You lack this: a frame."""

    frame: bytes


class Open(Request, tag=4, frozen=True):
    """Pin a snapshot, so that I can join it."""

    rows: Rows


class Sums(Request, tag=5, frozen=True):
    """Divide these ranges of a pinned snapshot and tell the sums of the parts."""

    token: Token
    ranges: Ranges


class Fetch(Request, tag=6, frozen=True):
    """The documents of these ranges of a pinned snapshot, in the order of the ranges and by key."""

    token: Token
    ranges: Ranges


class Chain(Request, tag=7, frozen=True):
    """The chain digests of an origin from one position to another in a pinned snapshot."""

    token: Token
    of: Name
    first: Position
    last: Position


class Close(Request, tag=8, frozen=True):
    """Let go of a pinned snapshot."""

    token: Token


class Answer(Struct, array_like=True, frozen=True, tag=True):
    """What is answered."""


class Fault(Answer, tag=0, frozen=True):
    """An error: its code, its sentence, what a program would want to read."""

    code: str
    message: str
    data: dict[str, Any]


class Equal(Answer, tag=21, frozen=True):
    """Both have applied the same transactions, and hold the same documents."""

    origin: Name


class Unequal(Answer, tag=22, frozen=True):
    """One of the two lacks something."""

    origin: Name


class Records(Answer, tag=23, frozen=True):
    """The answering store's scope and vector, a frame of what the other lacks, and whether more follows."""

    origin: Name
    collections: Collections | None
    rows: Rows
    frame: bytes
    more: bool

    @property
    def scope(self) -> Scope:
        """The scope of the answering store."""
        return make_scope(self.collections)


class Reseed(Answer, tag=24, frozen=True):
    """The log no longer reaches back: join a snapshot."""

    origin: Name
    collections: Collections | None
    rows: Rows

    @property
    def scope(self) -> Scope:
        """The scope of the answering store."""
        return make_scope(self.collections)


class Taken(Answer, tag=25, frozen=True):
    """How many entries were applied, and how many were known."""

    applied: Natural
    skipped: Natural


class Opened(Answer, tag=26, frozen=True):
    """A pinned snapshot: its token, its head, and the sum of each collection in it."""

    token: Token
    head: bytes
    sums: Annotated[tuple[tuple[str, Natural, Name], ...], Meta(max_length=COLLECTIONS_MAX)]


class Parts(Answer, tag=27, frozen=True):
    """For each range that was asked for, its parts: where each begins, and its sum."""

    parts: tuple[tuple[tuple[Key, Natural, Short], ...], ...]


class Documents(Answer, tag=28, frozen=True):
    """A block of documents, empty for none, and whether more follow."""

    block: bytes
    more: bool


class Digests(Answer, tag=29, frozen=True):
    """Chain digests, 16 bytes for each position from the first that was asked for."""

    digests: Annotated[bytes, Meta(max_length=DIGESTS_MAX * ACTOR_BYTES)]


class Closed(Answer, tag=30, frozen=True):
    """Done."""


FORMATS: Final = msgspec.msgpack.Decoder(Spoken)
REQUESTS: Final = msgspec.msgpack.Decoder(Hello | Pull | Push | Open | Sums | Fetch | Chain | Close)
ANSWERS: Final = msgspec.msgpack.Decoder(
    Fault | Equal | Unequal | Records | Reseed | Taken | Opened | Parts | Documents | Digests | Closed
)
ENCODER: Final = msgspec.msgpack.Encoder()

ERRORS: Final = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, CrdtStoreError) and "__init__" not in vars(kind)
}
"""Errors by their code, but for those that are made of other arguments."""


def encode(message: Request | Answer) -> bytes:
    """Write a message."""
    return ENCODER.encode(message)


def decode_request(data: bytes) -> Any:
    """Read a request.

    Raises:
        MalformedMessage: It is none, or of another format.
    """
    spoken = decode(FORMATS, data, "request").format
    if spoken != EXCHANGE_FORMAT:
        raise MalformedMessage(f"This store speaks format {EXCHANGE_FORMAT} of the exchange, not {spoken}.")
    return decode(REQUESTS, data, "request")


def decode_answer(data: bytes) -> Any:
    """Read an answer.

    Raises:
        MalformedMessage: It is none.
        CrdtStoreError: It is an error, of the class that it had on the other side.
    """
    answer = decode(ANSWERS, data, "answer")
    if isinstance(answer, Fault):
        raise raised(answer)
    return answer


def decode(decoder: msgspec.msgpack.Decoder[Any], data: bytes, what: str) -> Any:
    """Read a message that is not too long."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise MalformedMessage(f"A message has at most {MESSAGE_BYTES_MAX} bytes; this one has {len(data)}.")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"These bytes are no {what} of the exchange: {error}.") from None


def fault_of(error: CrdtStoreError) -> Fault:
    """An error as a message."""
    return Fault(error.code, error.message, {key: plain(value) for key, value in error.data.items()})


def plain(value: Any) -> Any:
    """A value of an error's data as msgpack has it."""
    return value if isinstance(value, str | int | float | bool | bytes | list | None) else str(value)


def raised(fault: Fault) -> CrdtStoreError:
    """The error that a message carries."""
    error = ERRORS.get(fault.code, errors.ReplicationError)(f"The other store says: {fault.message}")
    error.data.update(fault.data)
    return error
