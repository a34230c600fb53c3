"""Opening a directory so that what is committed lasts: by a write-ahead log, unless that is asked otherwise.

Rules: what a store promises does not depend on which of the two it gets, `wal` or `sync`. So where nothing is asked and
no log can be made, it goes on with `sync`, and that is logged; who asks for `wal` gets it or an error.

Not here: opening itself (`environment`), the log (`wal`).
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from crdtstore.errors import StoreError, StoreFull
from crdtstore.storage.environment import open_storage

if TYPE_CHECKING:
    from os import PathLike

    from crdtstore.storage.interface import Storage

logger = logging.getLogger(__name__)

Durability: TypeAlias = Literal["sync", "wal", "none"]

REFUSALS: Final = frozenset({StoreError, StoreFull})
"""Errors that may be the log's; all others say that there is no store to be opened."""


def open_lasting(path: str | PathLike[str], durability: Durability | None, *, create: bool, read_only: bool) -> Storage:
    """Open the store in a directory, as `open_storage` does.

    Raises:
        StoreError: It cannot be opened, or not with the durability that was asked for.
    """
    opening = partial(open_storage, path, create=create, read_only=read_only)
    if durability is not None or read_only:
        return opening(durable=durability != "none", logged=durability == "wal")
    try:
        return opening(logged=True)
    except StoreError as error:
        if type(error) not in REFUSALS:
            raise
        refused = error
    storage = opening()
    logger.warning(
        "The write-ahead log cannot be made, so each commit flushes the store itself, as with durability sync: what is "
        "answered is on disk all the same, and writes are slower. Make room for the log and open the store again, or "
        "ask for sync. %s",
        refused,
    )
    return storage
