"""The process that packs a store: it writes every row of one snapshot, in order, into a new data file, and ends.

    python pack_process.py DIRECTORY MAP_BYTES READERS_MAX NEW_DIRECTORY

Rules: rows are appended, so that pages are full; those of a store that grew in no order are little more than half
full, and a copy of its pages stays so. Rows are taken over as bytes, with their seals. A table that says that it has
more of them than can be reached is not packed: they would be lost for good. What was written is told on standard
output, a number of bytes a line. The new file is not flushed: the caller does that. Why a process, and why the plain
API: see `copy_process`.
"""

from __future__ import annotations

import errno
import sys
from itertools import islice

import lmdb

TABLES_MAX = 64
ROWS_AT_ONCE = 10_000


def main(directory: str, map_bytes: int, readers_max: int, new: str) -> int | str | None:
    """Pack; returns what went wrong, ENOSPC where the disk is full."""
    try:
        with (
            lmdb.open(
                directory,
                map_size=map_bytes,
                max_readers=readers_max,
                readonly=True,
                create=False,
                max_dbs=TABLES_MAX,
                lib_version=0,
            ) as old,
            lmdb.open(new, map_size=map_bytes, max_dbs=TABLES_MAX, lock=False, sync=False, lib_version=0) as packed,
            old.begin() as snapshot,
        ):
            for name in list(snapshot.cursor().iternext(values=False)):
                lost = pack(old, packed, snapshot, name)
                if lost:
                    return f"{lost} rows of table {name.decode()} cannot be reached; verify the store"
    except lmdb.DiskError:
        return errno.ENOSPC
    except lmdb.Error as error:
        return str(error)
    return None


def pack(old: lmdb.Environment, packed: lmdb.Environment, snapshot: lmdb.Transaction, name: bytes) -> int:
    """Write one table; returns how many of its rows could not be."""
    source, table = old.open_db(name, txn=snapshot, create=False), packed.open_db(name)
    rows, left = iter(snapshot.cursor(source)), snapshot.stat(source)["entries"]
    while some := list(islice(rows, ROWS_AT_ONCE)):
        with packed.begin(write=True) as batch:
            _, added = batch.cursor(table).putmulti(some, append=True)
        left -= added
        sys.stdout.write(f"{sum(len(key) + len(value) for key, value in some)}\n")
        sys.stdout.flush()
    return int(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
