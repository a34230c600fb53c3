"""Sorting of however many rows in bounded memory: what does not fit goes to a file that has no name.

Rules: an item is a sort key and a row, packed. Up to SORT_KEPT_BYTES_MAX are kept; then they are written, sorted, as a
run, and at the end the runs are merged. Items of equal keys come in the order in which they were given. The file goes
when whoever asked stops asking, or this process ends. Where only the first few are wanted no file is needed.

File: the runs one behind the other; each item is the length of its key and of its row (u32 LE each), and then these.
"""

from __future__ import annotations

import os
import tempfile
from errno import EDQUOT, EFBIG, ENOSPC
from heapq import heappush, heapreplace, merge
from itertools import chain
from operator import itemgetter
from struct import Struct
from typing import IO, TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from crdtstore import limits
from crdtstore.errors import LimitExceeded, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Row

Item: TypeAlias = tuple[bytes, bytes]
"""What is sorted by, and a row, packed."""

Given = TypeVar("Given")

LENGTHS: Final = Struct("<II")
ITEM_BYTES: Final = 150
"""What an item takes in memory besides its bytes."""

CHUNK: Final = 1_024
"""Items between two looks at the time."""

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder().decode
by_key: Final = itemgetter(0)


def sort_rows(rows: Iterable[Row], key: Callable[[Row], bytes], budget: Budget, first: int | None) -> Iterator[Row]:
    """Rows by their sort keys.

    Args:
        rows: Objects of the value model.
        key: Gives a row's sort key.
        budget: What may be spent.
        first: How many are wanted; None for all.
    """
    if first is not None and first <= limits.SORT_FIRST_MAX:
        items = first_items(rows, key, budget, first)
    else:
        items = sort_items(((key(row), pack(row)) for row in rows), budget)
    return map(unpack, map(itemgetter(1), items))


def first_items(rows: Iterable[Row], key: Callable[[Row], bytes], budget: Budget, first: int) -> Iterator[Item]:
    """The first few rows: no more than these are kept, unless they are large."""
    if first == 0:
        return
    kept: list[tuple[Backwards, int, bytes]] = []
    size = 0
    numbered = enumerate(rows)
    for number, row in numbered:
        if number % CHUNK == 0:
            budget.spend(0)
        by = Backwards(key(row))
        if len(kept) == first and not kept[0][0] < by:
            continue
        packed = pack(row)
        size += len(by) + len(packed) + ITEM_BYTES
        if len(kept) < first:
            heappush(kept, (by, -number, packed))
        else:
            last = heapreplace(kept, (by, -number, packed))
            size -= len(last[0]) + len(last[2]) + ITEM_BYTES
        if size > limits.SORT_KEPT_BYTES_MAX:
            others = ((key(row), pack(row)) for _, row in numbered)
            yield from sort_items(chain(best_of(kept), others), budget)
            return
    yield from best_of(kept)


def best_of(kept: list[tuple[Backwards, int, bytes]]) -> Iterator[Item]:
    """What a heap keeps, from the first."""
    kept.sort(reverse=True)
    return ((bytes(by), packed) for by, _, packed in kept)


class Backwards(bytes):
    """A key that a heap holds to be the less the greater it is, so that the last of what is kept comes first."""

    __slots__ = ()

    def __lt__(self, other: bytes) -> bool:
        return bytes.__gt__(self, other)


# --- all of them ---


def sort_items(items: Iterable[Item], budget: Budget) -> Iterator[Item]:
    """Items by their keys.

    Raises:
        StoreFull: The disk has no room for what does not fit in memory.
        LimitExceeded: It would take more than SPILL_BYTES_MAX there.
    """
    spill = Spill()
    kept: list[Item] = []
    size = 0
    try:
        for number, item in enumerate(items):
            if number % CHUNK == 0:
                budget.spend(0)
            kept.append(item)
            size += len(item[0]) + len(item[1]) + ITEM_BYTES
            if size > limits.SORT_KEPT_BYTES_MAX:
                kept.sort(key=by_key)
                spill.write(kept, budget)
                kept, size = [], 0
        kept.sort(key=by_key)
        yield from paced(merge(*spill.runs(), kept, key=by_key) if spill.ends else kept, budget)
    finally:
        spill.close()


def paced(rows: Iterable[Given], budget: Budget) -> Iterator[Given]:
    """The same, with a look at the time now and then."""
    for number, row in enumerate(rows):
        if number % CHUNK == 0:
            budget.spend(0)
        yield row


class Run(NamedTuple):
    """Where a run lies in the file."""

    start: int
    end: int


class Spill:
    """The file of one sort."""

    def __init__(self) -> None:
        self.file: IO[bytes] | None = None
        self.ends: list[int] = []

    def write(self, items: list[Item], budget: Budget) -> None:
        """Write sorted items as a run."""
        try:
            if self.file is None:
                self.file = tempfile.TemporaryFile(prefix="crdtstore-spill-")  # noqa: SIM115  closed by `close`
            for at in range(0, len(items), CHUNK):
                budget.spend(0)
                part = items[at : at + CHUNK]
                self.file.write(b"".join(LENGTHS.pack(len(key), len(row)) + key + row for key, row in part))
            self.file.flush()
            self.ends.append(self.file.tell())
        except OSError as error:
            raise refuse(error) from error
        if self.ends[-1] > limits.SPILL_BYTES_MAX:
            message = (
                f"Sorting or grouping took more than {limits.SPILL_BYTES_MAX} bytes of a temporary file and was "
                "stopped; fewer fields, or a narrower condition, would help."
            )
            raise LimitExceeded(message, limit="SPILL_BYTES_MAX", value=self.ends[-1], maximum=limits.SPILL_BYTES_MAX)

    def runs(self) -> list[Iterator[Item]]:
        """The items of each run, in the order in which the runs were written."""
        if self.file is None:
            return []
        number = self.file.fileno()
        return [read_run(number, Run(*bounds)) for bounds in zip([0, *self.ends], self.ends, strict=False)]

    def close(self) -> None:
        """Let go of the file."""
        if self.file is not None:
            self.file.close()


def read_run(file: int, run: Run) -> Iterator[Item]:
    """The items of a run, a block at a time."""
    buffer, at = b"", run.start
    place = 0
    while True:
        have = len(buffer) - place
        if have >= LENGTHS.size:
            first, second = LENGTHS.unpack_from(buffer, place)
            begin = place + LENGTHS.size
            place = begin + first + second
            if place <= len(buffer):
                yield buffer[begin : begin + first], buffer[begin + first : place]
                continue
            place = begin - LENGTHS.size
        if at >= run.end:
            return
        wanted = max(limits.SPILL_BLOCK_BYTES, have)
        block = os.pread(file, min(wanted, run.end - at), at)
        if not block:
            raise StoreError("A temporary file of a sort is shorter than it was written.")
        buffer, place, at = buffer[place:] + block, 0, at + len(block)


def refuse(error: OSError) -> StoreError:
    """What a failure of the temporary file means for the caller."""
    where = tempfile.gettempdir()
    if error.errno in (ENOSPC, EDQUOT, EFBIG):
        message = f"The disk of {where} has no room for what a statement sorts: free some, or let TMPDIR name another."
        return StoreFull(message)
    return StoreError(f"A temporary file in {where} cannot be written: {error.strerror}.")
