"""Verification walks a store and says what is wrong with it, without changing it.

    for finding in verify("cities-data"):
        print(finding.code, finding.table, finding.message, finding.action)

Rules: everything is read in one snapshot, so it works beside a process that writes; pages which that one replaces
meanwhile are not used again until the walk ends. Damage is a finding and never ends the walk: a row that is altered is
passed over, a table that cannot be followed is left for the next one. A data file that must not be mapped is not, and
where LMDB's own structure is damaged the rows are read through the compiled core only, which goes on where LMDB would
end the process. Only what forbids to open a store at all (it is none, a newer version wrote it) is raised.

Not here: applying the whole log anew (`version/replay.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb.verify

from crdtstore import core
from crdtstore.errors import Corrupted, FormatTooNew, NotRecovered, StoreError, StoreLocked
from crdtstore.storage.environment import DATA_NAME, check_file, open_storage, read_meta
from crdtstore.storage.tables import Table, table_name
from crdtstore.storage.verify_attachments import check_attachments
from crdtstore.storage.verify_documents import check_counts, check_documents, check_ranges
from crdtstore.storage.verify_finding import Finding, Progress, View
from crdtstore.storage.verify_indexes import check_entries, check_indexes
from crdtstore.storage.verify_log import check_head, check_log, check_positions
from crdtstore.storage.verify_rows import (
    check_collections,
    check_images,
    check_keys,
    check_meta,
    check_paths,
    check_peers,
    check_replicas,
)
from crdtstore.storage.wal_recovery import check_recovered

if TYPE_CHECKING:
    from crdtstore.storage.interface import Storage

STRUCTURE_ATTEMPTS: Final = 3
"""How often the structure is read anew when a commit came meanwhile: the meta pages may have been half of each."""

META_ATTEMPTS: Final = 10
"""How often the meta pages are read anew: a process that commits at this moment may be between the two readings."""

walk_pages: Final[Callable[[str, bool], list[str]]] = lmdb.verify.verify
"""LMDB's own walk, in plain Python; it takes whether the path is a directory's."""

CHECKS: Final[tuple[Callable[[View], None], ...]] = (
    check_meta,
    check_collections,
    check_paths,
    check_replicas,
    check_documents,
    check_counts,
    check_log,
    check_positions,
    check_head,
    check_ranges,
    check_indexes,
    check_entries,
    check_keys,
    check_peers,
    check_images,
    check_attachments,
)
"""In an order in which each finds what it needs: names before documents, the log before its positions."""


def no_progress(_what: str, _rows: int, _size: int) -> None:
    """Show nothing."""


def verify(directory: str | os.PathLike[str], progress: Progress = no_progress) -> Iterator[Finding]:
    """Verify the store in a directory, file and rows.

    Args:
        directory: The store's; a process may have it open, but not this one.
        progress: Told how far it is.

    Returns:
        What is wrong, as it is found; nothing for a store that is whole.

    Raises:
        NotAStore: The directory holds no store.
        FormatTooNew: A newer version wrote it.
        NotRecovered: It was not closed, and its write-ahead log was not applied yet.
        StoreLocked: This process has the store open: use `verify_storage`.
    """
    path = Path(directory) / DATA_NAME
    try:
        if path.exists():
            check_recovered(path.parent)
            check_file(path)
    except Corrupted as error:
        yield Finding("file", error.table, error.key, error.message)
        return
    try:
        storage = open_storage(directory, create=False, read_only=True)
    except (FormatTooNew, NotRecovered, StoreLocked):
        raise
    except StoreError as error:
        structure = list(check_structure(path, progress)) if path.exists() else []
        if not structure and not isinstance(error, Corrupted):
            raise
        yield Finding("file", "", b"", f"The store cannot be opened: {error.message}")
        yield from structure
        return
    with storage, storage.snapshot():
        yield from check_metas(path)
        damaged = False
        for finding in check_structure(path, progress):
            damaged = True
            yield finding
        if damaged and core.lmdb_environment is None:
            yield Finding("unread", "", b"", "The rows were not read: LMDB might end this process on damaged pages.")
            return
        yield from verify_storage(storage, progress)


def verify_storage(storage: Storage, progress: Progress = no_progress) -> Iterator[Finding]:
    """Verify every row of a storage, in memory or on disk, that is open in this process; as `verify`."""
    view = View(storage, progress)
    try:
        for check in CHECKS:
            view.revive()
            try:
                check(view)
            except Corrupted as error:
                view.report("pages", error.table, error.key, error.message)
            yield from view.drain()
        yield from view.rest()
    finally:
        view.snapshot.close()


def check_metas(path: Path) -> Iterator[Finding]:
    """LMDB's two meta pages: each commit writes the other one, so their numbers follow each other.

    Where they do not, the wrong one may have been taken for the newest, and the last commit is undone without a trace.
    """
    for _ in range(META_ATTEMPTS):
        one, other = meta_txns(path)
        if abs(one - other) <= 1:
            return
    message = f"The meta pages are of commits {one:,} and {other:,}, which do not follow each other."
    yield Finding("file", "", b"", f"{message} The last commit may be undone.")


def check_structure(path: Path, progress: Progress) -> Iterator[Finding]:
    """LMDB's pages: each reached once, in order, of the right kind; free ones free.

    The caller's snapshot keeps a writer from using the pages again that are read here. The file is opened beside
    LMDB: its locks are on another file in the format that is pinned, so closing this one drops none.
    """
    problems: list[str] = []
    for _ in range(STRUCTURE_ATTEMPTS):
        before = newest_txn(path)
        try:
            problems = walk_pages(str(path), False)
        except (lmdb.verify.VerifyError, OSError) as error:
            problems = [str(error)]
        if not problems or newest_txn(path) == before:
            break
    progress("structure", 0, path.stat().st_size)
    for problem in problems:
        yield Finding("structure", table_of(problem), b"", f"The data file's pages: {problem}.")


def newest_txn(path: Path) -> int:
    """The number of LMDB's newest commit."""
    return max(meta_txns(path))


def meta_txns(path: Path) -> tuple[int, int]:
    """The commits of the two meta pages."""
    with path.open("rb") as file:
        first = read_meta(file.fileno(), 0)
        return first.txn, read_meta(file.fileno(), first.page_bytes).txn


def table_of(problem: str) -> str:
    """The table that a problem of the structure names; empty where it is of the whole file."""
    names = [table_name(table) for table in Table]
    return next((name for name in names if f"/{name} " in problem), "")
