"""The store that `crdtstore serve` opens: with a write-ahead log, unless that is asked otherwise or cannot be made.

Rules: what a server promises does not depend on which of the two it gets, `wal` or `sync`. Who asks for `wal` gets that
or an error.

Not here: the stores of several apps (`serve_apps`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from crdtstore.errors import StoreError, StoreFull

if TYPE_CHECKING:
    from crdtstore.settings import Settings
    from crdtstore.store import Store

logger = logging.getLogger(__name__)


def open_served(directory: Path, settings: Settings) -> Store:
    """Open the store to serve.

    Raises:
        StoreError: It cannot be opened, or not with the durability that was asked for.
    """
    from crdtstore.store import Store

    seconds = settings.retained_seconds
    if settings.durability is not None:
        return Store.open(directory, durability=settings.durability, retained_seconds=seconds)
    try:
        return Store.open(directory, durability="wal", retained_seconds=seconds)
    except StoreError as error:
        if type(error) not in {StoreError, StoreFull}:  # the others say that there is no store to be opened
            raise
        refused = error
    store = Store.open(directory, durability="sync", retained_seconds=seconds)
    logger.warning(
        "The write-ahead log cannot be made, so each commit flushes the store itself, as with --durability sync: what "
        "is answered is on disk all the same, and writes are slower. Make room for the log and start again, or give "
        "--durability sync. %s",
        refused,
    )
    return store
