"""When keys were last used: noted in memory with each request, written down now and then.

Rules: what is written is at most KEY_USE_SECONDS older than the last use, and costs one small transaction in that time,
which no request waits for. Noting takes no lock: a dict is copied in one step, and a note that another thread loses is
made again by the next request. What cannot be written (a store that is full, or read-only) is left.

Not here: the rows (`stored_key`), who calls (`api_key`).
"""

from __future__ import annotations

import logging
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
        self.pending: dict[str, float] = {}
        self.due = monotonic()

    def note(self, prefix: str, now: float) -> bool:
        """Note that a key is used now, by the monotonic clock; says whether it is time to write."""
        self.pending[prefix] = now
        if now < self.due:
            return False
        self.due = now + limits.KEY_USE_SECONDS
        return True

    def write(self) -> None:
        """Write what was noted since the last time."""
        noted = dict(self.pending)
        for prefix, used in noted.items():
            if self.pending.get(prefix) == used:
                self.pending.pop(prefix, None)
        if not noted or self.store.storage.read_only:
            return
        uses = self.in_milliseconds(noted)
        try:
            self.store.run(lambda batch, _catalog, _head: put_uses(batch, uses))
        except CrdtStoreError as error:
            logger.info("The last use of keys was not written: %s", error)

    def in_milliseconds(self, noted: dict[str, float]) -> dict[str, int]:
        """When keys were used, by the clock."""
        ahead = self.clock() - self.monotonic() * 1_000
        return {prefix: int(ahead + used * 1_000) for prefix, used in noted.items()}

    def read(self) -> dict[str, int]:
        """When each key was last used, as far as it is known, in milliseconds by prefix."""
        rows = self.store.scan_settings(USES_PREFIX)
        written = {key.removeprefix(USES_PREFIX).decode(): int.from_bytes(used[:NUMBER_BYTES]) for key, used in rows}
        return written | self.in_milliseconds(dict(self.pending))
