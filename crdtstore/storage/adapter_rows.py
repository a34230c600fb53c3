"""The rows of a range, read through a cursor of the plain LMDB package some at a time, ahead or back.

Rules: a range remembers the row that was given last, and a cursor lives for one fetch only. What is read is neither
checked nor unsealed here; see `adapter`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from crdtstore.limits import KEY_BYTES_MAX

if TYPE_CHECKING:
    import lmdb

Rows: TypeAlias = list[tuple[bytes, bytes]]


class Ahead:
    """The rows from `start` to before `end`, in key order."""

    def __init__(self, start: bytes, end: bytes | None) -> None:
        """Begin with the first row."""
        self.start = start
        self.end = end
        self.passed: bytes | None = None

    def fetch(self, cursor: lmdb.Cursor[bytes], wanted: int) -> tuple[Rows, bool]:
        """Read the next rows; say whether there may be more."""
        start = self.start if self.passed is None else self.passed
        found = cursor.set_range(start) if start else cursor.first()
        if found and cursor.key() == self.passed:
            found = cursor.next()
        rows = list(islice(cursor.iternext(), wanted)) if found else []
        return rows, len(rows) == wanted

    def in_order(self, key: bytes) -> bool:
        """Whether a row may come next."""
        return key >= self.start if self.passed is None else key > self.passed

    def is_behind(self, key: bytes) -> bool:
        """Whether the range ends before a row."""
        return self.end is not None and key >= self.end


class Back(Ahead):
    """The same rows from the last one down."""

    def fetch(self, cursor: lmdb.Cursor[bytes], wanted: int) -> tuple[Rows, bool]:
        """Read the next rows; say whether there may be more."""
        end = self.end if self.passed is None else self.passed
        if not end:
            found = end is None and cursor.last()
        elif cursor.set_range(end[:KEY_BYTES_MAX]):
            # No key is longer, so what is not behind the beginning of a longer end is before it.
            found = cursor.key() < end or cursor.prev()
        else:
            found = cursor.last()
        rows = list(islice(cursor.iterprev(), wanted)) if found else []
        return rows, len(rows) == wanted

    def in_order(self, key: bytes) -> bool:
        """Whether a row may come next."""
        end = self.end if self.passed is None else self.passed
        return end is None or key < end

    def is_behind(self, key: bytes) -> bool:
        """Whether the range ends before a row."""
        return key < self.start
