"""Operations on the attachments of one store, run in turns: each stops before every job and every change on the disk.

Rules: one operation runs at a time, in a thread of its own, and only while it has its turn; whose turn comes next is
drawn. So a seed is one interleaving, always the same. A crash ends all operations where they stand, and a new store
goes on with the same rows and files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any
from unittest.mock import patch

TURN_SECONDS = 30


class Crashed(BaseException):
    """The process of an operation has ended."""


class Operation(Thread):
    """One operation: it runs while it has its turn."""

    def __init__(self, name: str, work: Callable[[], Any]) -> None:
        super().__init__(name=name, daemon=True)
        self.work = work
        self.turn, self.stopped = Event(), Event()
        self.crashed = self.done = False
        self.result: Any = None

    def run(self) -> None:
        """Run in turns."""
        try:
            self.wait()
            self.result = self.work()
        except Crashed:
            pass
        except Exception as error:  # noqa: BLE001  it is the result
            self.result = error
        self.done = True
        self.stopped.set()

    def wait(self) -> None:
        """End the turn, and wait for the next one."""
        self.stopped.set()
        assert self.turn.wait(TURN_SECONDS), "Nobody gave a turn."
        self.turn.clear()
        if self.crashed:
            raise Crashed

    def step(self) -> None:
        """Give it one turn."""
        self.stopped.clear()
        self.turn.set()
        assert self.stopped.wait(TURN_SECONDS), f"{self.name} does not end its turn."

    def crash(self) -> None:
        """End it where it stands."""
        while not self.done:
            self.crashed = True
            self.step()
        self.join()


def begin(name: str, work: Callable[[], Any]) -> Operation:
    """Begin an operation; it has done nothing yet."""
    operation = Operation(name, work)
    operation.start()
    assert operation.stopped.wait(TURN_SECONDS)
    return operation


def pause() -> None:
    """A place where an operation can be stopped."""
    thread = current_thread()
    if isinstance(thread, Operation):
        thread.wait()


def pausing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with a stop before it."""

    def run(*arguments: Any, **named: Any) -> Any:
        pause()
        return function(*arguments, **named)

    return run


@contextmanager
def pausing_files() -> Iterator[None]:
    """Stop before each change of names on the disk; nothing is flushed, since no power is cut here."""
    with (
        patch.object(Path, "rename", pausing(Path.rename)),
        patch.object(Path, "unlink", pausing(Path.unlink)),
        patch("os.fsync", lambda _: None),
    ):
        yield
