"""A bell wakes the one thread that waits for it: rung from any thread, and from the handler of any signal.

Rules: who rings and who waits takes no lock in Python code. A handler that raises, as that of Ctrl-C does, therefore
leaves nothing locked and no ring half done; behind the lock of a `threading.Event` or `Condition` it can, and the
next one who rings, often the thread that commits for all, then waits for ever. What is rung for stands somewhere else
and is written first; the one who waits looks at it afterwards, so several rings may be one.

Proven in `tests/version/test_bell.py` and `tests/version/test_interrupted.py`.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Bell:
    """Rung or not."""

    def __init__(self) -> None:
        """Not rung yet."""
        self.rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake who waits, or will."""
        if self.rings.empty():
            self.rings.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it was rung since the last wait; False if it was not within `seconds`."""
        try:
            self.rings.get(timeout=None if seconds is None else max(seconds, 0))
        except Empty:
            return False
        self.quiet()
        return True

    def quiet(self) -> None:
        """Forget that it was rung."""
        while not self.rings.empty():
            self.rings.get()
