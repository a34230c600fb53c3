"""A pending is the future of a job on its way to disk: one of `concurrent.futures`, made for many at a time.

Rules: what is needed for those who wait is made when the first of them comes: most pendings have nobody but the one
event loop whose request waits, and that is woken by `wake`. Who blocks has a lock of his own, hung up before he looks
whether the pending is done, so that a signal's handler that raises there keeps nobody from ending it. A pending has a
*claim*: it is run or cancelled, whichever comes first. Every step is one step of a dict, so none needs a lock; those
who ask to be called, and the functions of `concurrent.futures` that wait for several, have the base's.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures._base import (  # what its functions `wait` and `as_completed` look at
    CANCELLED,
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    PENDING,
    RUNNING,
)
from contextlib import suppress
from threading import Condition, Lock
from typing import Any, Final

DONE: Final = frozenset((CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED))

MADE_LATE: Final[dict[str, Callable[[], Any]]] = {"_condition": Condition, "_waiters": list, "_done_callbacks": list}


class Pending(Future[Any]):
    """The outcome of a job, once it is on disk."""

    _state = PENDING
    _result: Any = None
    _exception: BaseException | None = None

    hurry: Callable[[], None] | None = None
    """Called before somebody blocks on it."""

    def __init__(self) -> None:  # the base's makes what is made late here
        pass

    def __getattr__(self, name: str) -> Any:
        """Make what the base needs, the same for all threads."""
        if name not in MADE_LATE:
            raise AttributeError(name)
        return self.__dict__.setdefault(name, MADE_LATE[name]())

    def set_running_or_notify_cancel(self) -> bool:
        """Claim it for running; False where it was cancelled."""
        if self.__dict__.setdefault("claim", RUNNING) is RUNNING:
            self._state = RUNNING
            return True
        return super().set_running_or_notify_cancel()

    def cancel(self) -> bool:
        """Cancel the job, unless it runs or has run."""
        with self._condition:
            if self.__dict__.setdefault("claim", CANCELLED) is RUNNING:
                return False
        cancelled = super().cancel()
        self.release()
        self.wake_up()
        return cancelled

    def set_result(self, result: Any) -> None:
        """Give what came of it."""
        self._result = result
        self._state = FINISHED
        known = self.__dict__
        if "_condition" in known or "blocked" in known:
            self.tell()
        elif "wake" in known:
            self.wake_up()

    def set_exception(self, exception: BaseException | None) -> None:
        """Give the error that it ended with."""
        self._exception = exception
        self._state = FINISHED
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits."""
        if "_condition" in self.__dict__:
            with self._condition:
                for waiter in self._waiters:
                    (waiter.add_result if self._exception is None else waiter.add_exception)(self)
                self._condition.notify_all()
            self._invoke_callbacks()
        if "blocked" in self.__dict__:
            self.release()
        self.wake_up()

    def release(self) -> None:
        """Wake those who block."""
        for lock in tuple(self.__dict__.pop("blocked", ())):
            lock.release()

    def wake_up(self) -> None:
        """Call who waits by `when_done`, once."""
        wake = self.__dict__.pop("wake", None)
        if wake is not None:
            wake()

    def when_done(self, wake: Callable[[], None]) -> None:
        """Have one callable called once it is done, in whichever thread makes it so; a second one takes its place."""
        self.wake = wake
        if self._state in DONE:
            self.wake_up()

    def done(self) -> bool:
        """Whether nothing is waited for any more."""
        return self._state in DONE

    def result(self, timeout: float | None = None) -> Any:
        """Wait for what came of it, as the base does."""
        if self._state != FINISHED or self._exception is not None:
            error = self.exception(timeout)
            if error is not None:
                raise error
        return self._result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the error that it ended with, as the base does."""
        if self._state not in DONE:
            self.block(timeout)
        if self._state != FINISHED:
            raise CancelledError
        return self._exception

    def block(self, timeout: float | None) -> None:
        """Wait until it is done; see that it is on its way, as the caller may be the one who would hand it over."""
        lock = Lock()
        lock.acquire()
        self.__dict__.setdefault("blocked", []).append(lock)
        if self.hurry is not None:
            self.hurry()
        if self._state not in DONE and not lock.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
            self.unblock(lock)
            raise TimeoutError

    def unblock(self, lock: Lock) -> None:
        """Leave before it is done."""
        with suppress(KeyError, ValueError):
            self.__dict__["blocked"].remove(lock)
