"""A window is what a live query keeps of its result: the first rows of the order, and some more behind those shown.

Rules: rows stand by their sort keys, of which each document has another one. Every matching document up to the horizon
is in the window; what matches behind it is not known. The horizon comes nearer when the window is full, and stays where
rows go; without one all that matches is known. A window that knows too little to show its rows says so, and is then
filled anew by a search.

Not here: which documents match, and what their rows are (`query`).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.query.find import Document


class Kept(NamedTuple):
    """A row: its sort key, the document's encoded id, and the document as it is shown."""

    key: bytes
    id: bytes
    document: Document


class Window:
    """The rows of one live query."""

    def __init__(self, first: int, last: int, slack: int) -> None:
        """Know nothing yet: it has to be filled.

        Args:
            first: How many rows of the order stand before those that are shown.
            last: How many stand before the end of those.
            slack: How many rows are kept behind that end, so that rows may go before a search is needed.
        """
        self.first = first
        self.last = last
        self.room = last + slack
        self.keys: list[bytes] = []
        self.rows: list[Kept] = []
        self.key_of: dict[bytes, bytes] = {}
        self.horizon: bytes | None = b""
        self.touched = True
        """Whether any row came, went or became another since this was last set to false."""

    def fill(self, rows: Sequence[Kept], *, whole: bool) -> None:
        """Take the first rows of the order, at most as many as there is room for.

        Args:
            rows: In their order.
            whole: Whether there are no others.
        """
        self.rows = list(rows)
        self.keys = [row.key for row in rows]
        self.key_of = {row.id: row.key for row in rows}
        self.horizon = None if whole else self.keys[-1] if rows else b""
        self.touched = True

    def reaches(self, key: bytes) -> bool:
        """Whether a row of this key is one to be kept."""
        return self.horizon is None or key <= self.horizon

    def put(self, row: Kept) -> None:
        """Say that a document matches, and what its row is now, which the window reaches."""
        known = self.key_of.get(row.id)
        if known == row.key:
            at = bisect_left(self.keys, row.key)
            # A row that did not change stays the same object, by which it is passed quickly.
            if self.rows[at].document.json != row.document.json:
                self.rows[at] = row
                self.touched = True
            return
        self.drop(row.id)
        self.touched = True
        at = bisect_left(self.keys, row.key)
        self.keys.insert(at, row.key)
        self.rows.insert(at, row)
        self.key_of[row.id] = row.key
        if len(self.rows) > self.room:
            self.cut()

    def cut(self) -> None:
        """Forget the last row: there is room for those before it only."""
        del self.key_of[self.rows.pop().id]
        self.keys.pop()
        self.horizon = self.keys[-1] if self.keys else b""

    def drop(self, id_: bytes) -> None:
        """Say that a document is none of the rows: it is gone, does not match, or stands behind the horizon."""
        key = self.key_of.pop(id_, None)
        if key is not None:
            at = bisect_left(self.keys, key)
            del self.keys[at], self.rows[at]
            self.touched = True

    @property
    def lacks(self) -> bool:
        """Whether rows may be missing among those that are shown."""
        return self.horizon is not None and len(self.rows) < self.last

    def shown(self) -> tuple[Kept, ...]:
        """The rows that are shown."""
        return tuple(self.rows[self.first : self.last])
