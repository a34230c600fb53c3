"""A finding is one thing that verification found wrong, and a view collects them while it walks.

Rules: a finding names the table and the key where it is, says what is wrong in a sentence, and who must act and how.
Of one kind in one table only the first FINDINGS_MAX are kept, and then one that counts the rest: a table that is
damaged as a whole must not fill the memory. Nothing here reads or writes a row.

Not here: what is wrong; see the other `verify_*` modules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from crdtstore.errors import StoreError
from crdtstore.limits import FINDINGS_MAX
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.range_table import Sum
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.storage.interface import Snapshot, Storage

Progress: TypeAlias = Callable[[str, int, int], None]
"""Takes what is checked, how many rows of it are done more, and how many bytes."""

RESTORE: Final = (
    "The operator: keep a copy of the directory, then restore a backup, or make the store anew from a peer with "
    "`crdtstore sync`. Check the disk first."
)
REPORT: Final = (
    "The operator: keep a copy of the directory and report it; every seal holds, so the program wrote it so. Until "
    "then restore a backup, or make the store anew from a peer with `crdtstore sync`."
)
SUMS: Final = (
    "The operator: no document is affected, but exchange compares by these sums. Make the store anew from a peer with "
    "`crdtstore sync`, or restore a backup."
)
INDEX: Final = (
    "The operator: no document is affected. Drop the index with `crdtstore index drop` and make it anew with "
    "`crdtstore index create`."
)
ATTACHMENT: Final = (
    "The operator: no document is affected. Put the file again, take it from a backup or a peer, or forget it with "
    "`crdtstore attachments forget`; a backup waits for that."
)
STRAY: Final = "Nobody: `crdtstore attachments collect`, or the server within hours, removes it."
COMPILED: Final = "The operator: verify with the compiled core, which goes on where the plain one would be ended."

ACTIONS: Final = {
    "file": RESTORE,  # the data file cannot be mapped
    "structure": RESTORE,  # the pages contradict each other
    "unread": COMPILED,  # rows were not read, since the structure is damaged
    "pages": RESTORE,  # the rest of a table cannot be reached
    "seal": RESTORE,  # a row was altered
    "rows": RESTORE,  # a table has another number of rows than it says
    "key": REPORT,  # a key of another form
    "value": REPORT,  # a value of another form
    "names": RESTORE,  # numbers of names have a gap
    "document": REPORT,  # document bytes that nothing writes
    "counts": RESTORE,  # a collection has other documents than its row says
    "ranges": SUMS,  # a range sum is another
    "index": INDEX,  # an entry of an index is missing, too much or another
    "attachment": ATTACHMENT,  # the file of a row is missing, or holds other bytes
    "stray": STRAY,  # a file has no row
    "log-gap": RESTORE,  # txn ids have a gap
    "log": RESTORE,  # an entry does not follow from the ones before
    "positions": RESTORE,  # positions and log disagree
    "chain": RESTORE,  # a record's digest is not what its chain says
    "head": RESTORE,  # the vector is not what the log amounts to
    "replay": RESTORE,  # the log, applied anew, gives other documents
}
"""Every code, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    code: str
    table: str
    key: bytes
    message: str

    @property
    def action(self) -> str:
        """Who must act, and how."""
        return INDEX if (self.code, self.table) == ("seal", "entries") else ACTIONS[self.code]

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        parts = {"code": self.code, "table": self.table, "key": self.key.hex(), "message": self.message}
        return {**parts, "action": self.action}


@dataclass(slots=True)
class View:
    """A storage under verification: the snapshot that is read, what is known so far, and what was found."""

    storage: Storage
    progress: Progress
    snapshot: Snapshot = field(init=False)
    catalog: Catalog = field(default_factory=Catalog)
    sums: dict[str, Sum] = field(default_factory=dict)
    """What the documents of each collection add up to."""
    buried: Counter[str] = field(default_factory=Counter)
    """How many of them are graves."""
    last: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    """The last position of each origin in the table of positions, and its digest."""
    log: Any = None
    """What the log amounts to (`verify_log.LogState`)."""
    found: list[Finding] = field(default_factory=list)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.snapshot = self.storage.snapshot()

    def revive(self) -> None:
        """Take a new snapshot where LMDB gave the old one up, as it does when it meets damaged pages."""
        try:
            self.snapshot.count(Table.META)
        except StoreError:
            self.snapshot.close()
            self.snapshot = self.storage.snapshot()

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the value of a key, or None.

        Raises:
            StoreError: It is damaged, or cannot be reached.
        """
        try:
            return self.snapshot.get(table, key)
        except StoreError:
            self.revive()
            raise

    def report(self, code: str, table: str, key: bytes, message: str) -> None:
        """Take a finding down."""
        self.counted[code, table] += 1
        if self.counted[code, table] <= FINDINGS_MAX:
            self.found.append(Finding(code, table, key, message))

    def drain(self) -> Iterator[Finding]:
        """Give what was found since the last time."""
        yield from self.found
        self.found.clear()

    def rest(self) -> Iterator[Finding]:
        """Give one finding for each kind of which there were too many."""
        for (code, table), count in self.counted.items():
            if count > FINDINGS_MAX:
                yield Finding(code, table, b"", f"{count - FINDINGS_MAX:,} more of this kind are not listed.")
