"""A series as it lies in a store: the collection of its events, and the ids that they have.

Rules: the collection of a series is named `__series:` and its id; names that begin with `__` are not written by
commands over HTTP. An event's id is its moment, and behind it what no other event has: the timestamp of the
transaction that appended it, its number in there, and a part of the origin's hash, all in base32hex, which sorts as
numbers do. So events come by time, those of one time as they arrived, and a range of times is a range of ids. An id
is short enough to stand in an index as it is.

Not here: what an event holds (`event`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.crdt.identifier import STRING_TAG
from crdtstore.errors import InvalidValue
from crdtstore.timeseries.moment import EPOCH, MOMENT_BYTES, read_moment

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.draft import Draft

PREFIX: Final = "__series:"
SETTINGS: Final = "__timeseries"
"""The collection in which each series may have a document, by its id, that says what holds for all its events."""

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
TIMESTAMP_DIGITS: Final = 13
NUMBER_DIGITS: Final = 4
ORIGIN_DIGITS: Final = 16
ORIGIN_BYTES: Final = 10
ID_BYTES: Final = MOMENT_BYTES + TIMESTAMP_DIGITS + NUMBER_DIGITS + ORIGIN_DIGITS


class Span(NamedTuple):
    """The moments from the first to before the second."""

    start: str
    end: str

    def keys(self, collection: Collection) -> tuple[bytes, bytes]:
        """The keys of the events of these moments."""
        prefix = collection.prefix + STRING_TAG
        return prefix + self.start.encode(), prefix + self.end.encode()


def read_span(start: str | None, end: str | None, now: str) -> Span:
    """The span that is asked for: from 1970 and up to now, where nothing is said or what is said is empty."""
    return Span(read_moment(start, "start") if start else EPOCH, read_moment(end, "end") if end else now)


def collection_of(series: str) -> str:
    """The name of the collection of a series.

    Raises:
        InvalidValue: The id is empty.
    """
    if not series:
        raise InvalidValue("The id of a series is not empty.", path="series")
    return PREFIX + series


def event_ids(draft: Draft, moments: list[str]) -> list[str]:
    """The ids of the events that a transaction appends, by their moments."""
    stamp = draft.stamp
    hashed = blake2b(stamp.origin, digest_size=ORIGIN_BYTES).digest()
    arrival, origin = base32(stamp.timestamp, TIMESTAMP_DIGITS), base32(int.from_bytes(hashed), ORIGIN_DIGITS)
    return [f"{moment}{arrival}{base32(number, NUMBER_DIGITS)}{origin}" for number, moment in enumerate(moments)]


def base32(number: int, digits: int) -> str:
    """A number in so many digits of base32hex."""
    return "".join(DIGITS[number >> 5 * place & 31] for place in reversed(range(digits)))
