"""Following a peer: two threads that keep this store and another one equal, until they are stopped.

Rules: one thread pulls, and lets the other store hold its question while nothing is new there; one pushes whenever
this store's log grew. So either learns at once what the other wrote, and neither polls. After a failure a thread
pauses, longer each time, and tries again without end, whatever it was: keys are mended, quarantines are ended, cables
are plugged in. What is the matter is told when it begins and when it is over. A request on its way is broken off when
the following ends.

Not here: the wire (`client/exchange.py`), what an exchange does (`exchange`).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from crdtstore import limits
from crdtstore.bell import Bell
from crdtstore.errors import CrdtStoreError
from crdtstore.replication.exchange import Options, Report
from crdtstore.replication.remote import sync

if TYPE_CHECKING:
    from crdtstore.store import Store

PULL: Final = "pull"
PUSH: Final = "push"

logger = logging.getLogger(__name__)


class Wire(Protocol):
    """What carries messages to a peer; a thread's own."""

    def send(self, request: bytes) -> bytes:
        """Carry a message there and its answer back."""

    def abort(self) -> None:
        """Let the message on its way fail, and every later one; called by another thread."""

    def close(self) -> None:
        """Let go of the network."""


class Watcher(Protocol):
    """Who is told how it goes, by either thread."""

    def moved(self, report: Report) -> None:
        """Something was moved."""

    def failed(self, error: CrdtStoreError) -> None:
        """Something is the matter that was not before."""

    def well(self) -> None:
        """Both directions work, which they did not, or not yet."""


class Logged:
    """A watcher that writes to the log."""

    def __init__(self, name: str) -> None:
        """Watch the peer that is called so."""
        self.name = name

    def moved(self, report: Report) -> None:
        """Something was moved."""
        logger.debug("peer %s: %s", self.name, report)

    def failed(self, error: CrdtStoreError) -> None:
        """Something is the matter that was not before."""
        level = logging.WARNING if error.retryable else logging.ERROR
        logger.log(
            level, "peer %s: %s", self.name, error.message, exc_info=error.__cause__ if unforeseen(error) else None
        )

    def well(self) -> None:
        """Both directions work, which they did not, or not yet."""
        logger.info("peer %s: equal, and followed", self.name)


def unforeseen(error: CrdtStoreError) -> bool:
    """Whether an error stands for one that nobody foresaw, which is its cause."""
    return type(error) is CrdtStoreError


class Pause:
    """The time between two attempts."""

    def __init__(self, stopped: threading.Event, draw: Callable[[], float] = random.random) -> None:
        """Pause until stopped at the latest; `draw` gives numbers from 0 to 1."""
        self.stopped = stopped
        self.draw = draw
        self.seconds = 0.0

    def take(self) -> None:
        """Pause for longer than before, up to the bound."""
        self.seconds = min(max(2 * self.seconds, limits.FOLLOW_PAUSE_SECONDS_MIN), limits.FOLLOW_PAUSE_SECONDS_MAX)
        self.stopped.wait(self.seconds * (1 + self.draw()) / 2)

    def reset(self) -> None:
        """Begin anew with the next one."""
        self.seconds = 0.0


class Follower:
    """One peer that is followed."""

    def __init__(
        self,
        store: Store,
        connect: Callable[[], Wire],
        watcher: Watcher,
        *,
        directions: Sequence[str] = (PULL, PUSH),
    ) -> None:
        """Make a follower; `start` begins.

        Args:
            store: This store.
            connect: Makes a wire to the peer, one for each direction; it must bear a silence of FOLLOW_WAIT_SECONDS
                and what an answer takes. It is called at once and does not wait for the peer.
            watcher: Who is told how it goes.
            directions: PULL, PUSH or both.
        """
        self.store = store
        self.watcher = watcher
        self.wires = {direction: connect() for direction in directions}
        self.stopped = threading.Event()
        self.stirred = Bell()
        self.looked = False
        self.lock = threading.Lock()
        self.troubles = dict.fromkeys(directions, "not met yet")
        self.threads = [
            threading.Thread(target=self.run, args=(direction,), name=f"crdtstore-{direction}", daemon=True)
            for direction in directions
        ]

    def start(self) -> None:
        """Begin to follow."""
        for thread in self.threads:
            thread.start()

    def halt(self) -> None:
        """Break off what is on its way; the threads end soon after."""
        self.stopped.set()
        self.stirred.ring()
        for wire in self.wires.values():
            wire.abort()

    def run(self, direction: str) -> None:
        """Keep one direction up, whatever happens."""
        once = {PULL: self.pull, PUSH: self.push}[direction]
        pause = Pause(self.stopped)
        with closing(self.wires[direction]):
            while not self.stopped.is_set():
                try:
                    once(pause)
                except CrdtStoreError as error:
                    self.note(direction, error)
                    pause.take()
                except Exception as error:  # noqa: BLE001  # a thread that dies says nothing any more
                    self.note(direction, hidden(error))
                    pause.take()

    def pull(self, pause: Pause) -> None:
        """Take what is new there, or wait until there is."""
        known, began = self.store.applied, time.monotonic()
        # Until it is known that all is well nothing is held, so that this is known soon.
        wait = 0.0 if PULL in self.troubles else limits.FOLLOW_WAIT_SECONDS
        patient = self.looked
        report = self.exchange(PULL, Options(push=False, wait_seconds=wait, patient=patient))
        moved = bool(report.pulled or report.joined)
        # What the other store lacks, or has lost, is first given another look by the pushing; then it may hold.
        self.looked = not report.equal and not moved
        if moved or time.monotonic() - began >= wait / 2:
            pause.reset()
        elif self.store.applied == known and patient and not report.equal:
            pause.take()  # nothing came, and the question was not held
        if self.looked:
            self.stirred.ring()

    def push(self, pause: Pause) -> None:
        """Give what is new here, and wait until there is more."""
        # Before the exchange: what stirs while it runs asks for another one.
        self.stirred.quiet()
        known = self.store.applied
        self.exchange(PUSH, Options(pull=False))
        pause.reset()
        if not self.stopped.is_set():
            cancel = self.store.notify(known + 1, self.stirred.ring)
            self.stirred.wait()
            cancel()

    def exchange(self, direction: str, options: Options) -> Report:
        """Run one exchange, and tell that it worked."""
        report = sync(self.store, self.wires[direction].send, options)
        if report.pulled or report.pushed or report.joined:
            self.watcher.moved(report)
        self.note(direction, None)
        return report

    def note(self, direction: str, error: CrdtStoreError | None) -> None:
        """Tell what is new about a direction: not what fails again, nor what a stop breaks off."""
        if self.stopped.is_set():
            return
        with self.lock:
            before = set(self.troubles.values())
            self.troubles.pop(direction, None)
            if error is not None:
                self.troubles[direction] = error.code
            after = set(self.troubles.values())
        if error is not None and error.code not in before:
            self.watcher.failed(error)
        elif before and not after:
            self.watcher.well()


def hidden(error: Exception) -> CrdtStoreError:
    """Stand for an error that nobody foresaw."""
    standing = CrdtStoreError("Something went wrong in the exchange that nobody foresaw.")
    standing.__cause__ = error
    return standing


@contextmanager
def following(followers: Sequence[Follower]) -> Iterator[None]:
    """Follow peers while the block runs."""
    for follower in followers:
        follower.start()
    try:
        yield
    finally:
        for follower in followers:
            follower.halt()
        end = time.monotonic() + limits.STOP_SECONDS_MAX
        for thread in [thread for follower in followers for thread in follower.threads]:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                logger.warning("The thread %s did not end within %s seconds.", thread.name, limits.STOP_SECONDS_MAX)
