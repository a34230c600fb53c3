"""The tables of a store, opened through the plain LMDB package.

Not here: what they hold (`tables`), what uses them (`adapter`).
"""

from __future__ import annotations

from typing import Any

import lmdb


def open_tables(environment: lmdb.Environment, tables: tuple[str, ...], added: int, *, read_only: bool) -> list[Any]:
    """Open the sub-databases by name. In a read transaction of one's own their handles would end with it.

    Of the last `added` ones those that are missing are made, all in one commit; read-only they are None.
    """
    first, later = tables[: len(tables) - added], tables[len(tables) - added :]
    handles: list[Any] = [environment.open_db(name.encode("ascii"), create=False) for name in first]
    try:
        return handles + [environment.open_db(name.encode("ascii"), create=False) for name in later]
    except lmdb.NotFoundError:
        if read_only:
            return handles + [None] * added
    with environment.begin(write=True) as transaction:
        return handles + [environment.open_db(name.encode("ascii"), transaction) for name in later]
