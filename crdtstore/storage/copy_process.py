"""The process that copies a store: it writes a compact copy of one snapshot to its standard output, and ends.

    python copy_process.py DIRECTORY MAP_BYTES READERS_MAX

Rules: it opens the store read-only and through the plain API of LMDB, whichever engine the caller uses: one
environment is opened through one API only, and this process opens no other. It needs nothing of the package, so
that it starts at once. Whoever stops reading ends it. On a damaged file LMDB may end the process, which is why it
is one of its own.

Not here: who calls it, and what becomes of the copy; see `backup`.
"""

from __future__ import annotations

import sys

import lmdb


def main(directory: str, map_bytes: int, readers_max: int) -> str | None:
    """Copy; returns what went wrong."""
    try:
        with lmdb.open(
            directory, map_size=map_bytes, max_readers=readers_max, readonly=True, create=False, lib_version=0
        ) as environment:
            environment.copyfd(sys.stdout.fileno(), compact=True)
    except lmdb.Error as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
