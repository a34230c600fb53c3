"""Fetching: a file that a document names and that is not here is asked of other stores, when somebody wants to read it.

Rules: others are asked one after the other for what they have themselves, so that no question goes round. What comes is
taken only as far as the token says that it is long, compared with the id, and put before anybody sees a byte of it.
Who asks for a file that is being fetched waits for the same fetch. There are at most FETCHES_MAX, and a file that
nobody had is not asked for again for FETCH_MISSED_SECONDS.

Not here: the wire (`crdtstore/client/attachments.py`).
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from crdtstore import limits
from crdtstore.errors import CrdtStoreError, Overloaded, PeerUnreachable, UnknownAttachment
from crdtstore.storage.attachments import parse_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from crdtstore.attachments.attachments import Put
    from crdtstore.attachments.incoming import Incoming

MISSED_MAX: Final = 1_024
"""Files that are remembered as had by nobody."""

logger = logging.getLogger(__name__)


class Source(Protocol):
    """Another store that may have a file; several threads may ask it."""

    def fetch(self, id: str, take: Callable[[bytes], object]) -> bool:
        """Give the bytes of a file, piece by piece; False where the other store does not have it.

        Raises:
            PeerUnreachable: It was not reached, or broke off.
            CrdtStoreError: It refuses, or `take` does.
        """


class Keeper(Protocol):
    """What files are put into."""

    def incoming(self, bytes_max: int | None = None) -> Incoming:
        """Begin a file."""

    def write(self, incoming: Incoming, piece: bytes) -> None:
        """Take the bytes that come next."""

    def keep_file(self, path: Path, id_: bytes, size: int) -> Put:
        """Put a file that is on disk."""


class Fetcher:
    """What fetches files for one store."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.sources: Sequence[Source] = ()
        """The stores that are asked, in this order."""

        self.lock = RLock()
        self.running: dict[tuple[str, int | None], Future[None]] = {}
        self.missed: dict[str, float] = {}
        self.threads: ThreadPoolExecutor | None = None

    def submit(self, id: str, length: int | None = None) -> Future[None]:
        """Fetch a file; the future is done once it is here.

        Args:
            id: The file's.
            length: How long it is, as a token says; None if no token is known.

        Raises:
            UnknownAttachment: There is nobody to ask, or nobody had it just now.
            Overloaded: Too many files are being fetched.
        """
        place = (id, length)
        with self.lock:
            if place in self.running:
                return self.running[place]
            self.check(id)
            if self.threads is None:
                self.threads = ThreadPoolExecutor(limits.FETCH_THREADS, "crdtstore-fetch")
            future = self.running[place] = self.threads.submit(self.fetch, id, length)
            future.add_done_callback(lambda _: self.forget(place))
        return future

    def check(self, id: str) -> None:
        """Refuse what would be asked in vain, or is too much."""
        missed = monotonic() - self.missed.get(id, -limits.FETCH_MISSED_SECONDS) < limits.FETCH_MISSED_SECONDS
        if not self.sources or parse_id(id) is None or missed:
            raise unknown(id)
        if len(self.running) >= limits.FETCHES_MAX:
            message = f"{limits.FETCHES_MAX} files are being fetched from other stores: that is as many as may be."
            raise Overloaded(message, limit="FETCHES_MAX", maximum=limits.FETCHES_MAX)

    def forget(self, place: tuple[str, int | None]) -> None:
        """Note that a fetch is over."""
        with self.lock:
            self.running.pop(place, None)

    def fetch(self, id: str, length: int | None) -> None:
        """Ask one store after the other.

        Raises:
            UnknownAttachment: None has it.
            PeerUnreachable: None that was reached has it, and some were not.
        """
        failed: CrdtStoreError | None = None
        for source in self.sources:
            try:
                if self.fetch_from(source, id, length):
                    return
            except CrdtStoreError as error:
                logger.warning("The attachment %s was not fetched: %s", id, error.message)
                failed = error
        if failed is not None:
            message = f"The attachment {id} is not here, and not all stores that may have it could be asked."
            raise PeerUnreachable(message, id=id) from failed
        with self.lock:
            if len(self.missed) >= MISSED_MAX:
                self.missed.clear()
            self.missed[id] = monotonic()
        raise unknown(id)

    def fetch_from(self, source: Source, id: str, length: int | None) -> bool:
        """Ask one store, and put what it gives; whether it had the file."""
        with self.keeper.incoming(length) as incoming:
            if not source.fetch(id, lambda piece: self.keeper.write(incoming, piece)):
                return False
            found = incoming.finish()
            if found != parse_id(id):
                raise PeerUnreachable(f"What came for the attachment {id} has other bytes than its id names.", id=id)
            self.keeper.keep_file(incoming.path, found, incoming.bytes)
        return True

    def close(self) -> None:
        """Begin no other fetch; those that run end by themselves."""
        with self.lock:
            self.sources = ()
            if self.threads is not None:
                self.threads.shutdown(wait=False, cancel_futures=True)


def unknown(id: str) -> UnknownAttachment:
    """Say that there is no such file."""
    return UnknownAttachment(f"There is no attachment {id!r:.60}.", id=id)
