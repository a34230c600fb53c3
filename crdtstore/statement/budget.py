"""A budget bounds what a statement may cost: how long it takes, and how many documents it looks at and answers.

Rules: whatever loops over documents or rows spends from it, a chunk at a time. A statement that has spent it all ends
with an error; what it read is dropped, what it wrote is not applied.
"""

from __future__ import annotations

from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from crdtstore.errors import LimitExceeded, StatementTimeout
from crdtstore.limits import STATEMENT_EXAMINED_MAX, STATEMENT_ROWS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator


class Budget:
    """What one statement has left."""

    def __init__(self, seconds: float, examined_max: int = STATEMENT_EXAMINED_MAX) -> None:
        self.seconds = seconds
        self.deadline = monotonic() + seconds
        """Of the monotonic clock."""
        self.examined_max = examined_max
        self.examined = 0
        self.entries = 0
        self.steps: list[Step] | None = None
        """What its steps gave, of a statement that is profiled."""

    def seconds_left(self) -> float:
        """How much of its time is left; 0 where none is."""
        return max(0.0, self.deadline - monotonic())

    def watch(self, step: str, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows that a step of the statement gives, counted and timed if it is profiled."""
        if self.steps is None:
            return rows
        noted = Step(step)
        self.steps.append(noted)
        return noted.follow(rows)

    def spend(self, documents: int, entries: int = 0) -> None:
        """Note that so many documents were looked at, and so many entries of an index read for that.

        Raises:
            LimitExceeded: The statement has looked at more than it may.
            StatementTimeout: Its time is over.
        """
        self.examined += documents
        self.entries += entries
        if self.examined > self.examined_max:
            message = (
                f"The statement looked at more than {self.examined_max} documents and was stopped; "
                "an index or a narrower condition would help."
            )
            raise LimitExceeded(message, limit="STATEMENT_EXAMINED_MAX", value=self.examined, maximum=self.examined_max)
        if monotonic() > self.deadline:
            raise StatementTimeout(f"The statement was stopped after {self.seconds:g} s.", seconds=self.seconds)


class Step:
    """How many rows a step gave, and how long it and the steps before it took."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self.seconds = 0.0

    def follow(self, rows: Iterator[Any]) -> Iterator[Any]:
        """The rows of the step."""
        while True:
            begun = perf_counter()
            try:
                row = next(rows)
            except StopIteration:
                return
            finally:
                self.seconds += perf_counter() - begun
            self.rows += 1
            yield row


def check_rows(rows: int) -> None:
    """Refuse an answer of more rows than are kept at once.

    Raises:
        LimitExceeded: More than STATEMENT_ROWS_MAX.
    """
    if rows > STATEMENT_ROWS_MAX:
        message = f"An answer holds at most {STATEMENT_ROWS_MAX} rows; a LIMIT, or reading it as a stream, helps."
        raise LimitExceeded(message, limit="STATEMENT_ROWS_MAX", value=rows, maximum=STATEMENT_ROWS_MAX)
