"""When keys were last used: noted in memory with each request, written down now and then.

Rules: what is written is at most KEY_USE_SECONDS older than the last use, and costs one small transaction in that time,
which no request waits for. What cannot be written (a store that is full, or read-only) is left.

Not here: the rows (`stored_key`), who calls (`api_key`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from crdtstore import limits
from crdtstore.auth.stored_key import NUMBER_BYTES, USES_PREFIX, put_uses
from crdtstore.errors import CrdtStoreError
from crdtstore.store import Store

logger = logging.getLogger(__name__)


class LastUse:
    """The uses of the keys of one store since they were written."""

    def __init__(self, store: Store, monotonic: Callable[[], float], clock: Callable[[], int]) -> None:
        """Note uses by `monotonic`, in seconds, and write them by `clock`, in milliseconds since 1970."""
        self.store = store
        self.monotonic = monotonic
        self.clock = clock
        self.lock = threading.Lock()
        self.pending: dict[str, float] = {}
        self.due = monotonic()

    def note(self, prefix: str) -> bool:
        """Note that a key is used now; says whether it is time to write."""
        now = self.monotonic()
        with self.lock:
            self.pending[prefix] = now
            if now < self.due:
                return False
            self.due = now + limits.KEY_USE_SECONDS
            return True

    def write(self) -> None:
        """Write what was noted since the last time."""
        with self.lock:
            uses = self.in_milliseconds()
            self.pending.clear()
        if not uses or self.store.storage.read_only:
            return
        try:
            self.store.run(lambda batch, _catalog, _head: put_uses(batch, uses))
        except CrdtStoreError as error:
            logger.info("The last use of keys was not written: %s", error)

    def in_milliseconds(self) -> dict[str, int]:
        """The uses that were noted, by the clock."""
        ahead = self.clock() - self.monotonic() * 1_000
        return {prefix: int(ahead + used * 1_000) for prefix, used in self.pending.items()}

    def read(self) -> dict[str, int]:
        """When each key was last used, as far as it is known, in milliseconds by prefix."""
        rows = self.store.scan_settings(USES_PREFIX)
        written = {key.removeprefix(USES_PREFIX).decode(): int.from_bytes(used[:NUMBER_BYTES]) for key, used in rows}
        with self.lock:
            return written | self.in_milliseconds()
