"""The statements that run now on one open store: what each is, since when, and what it has cost so far.

Rules: a statement is noted when it begins and forgotten when it ends, however it ends; so there are never more than
callers. Its text is shown cut.
"""

from __future__ import annotations

from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from crdtstore.statement.budget import Budget


class Request(NamedTuple):
    """One statement that runs: its text, what it may cost, and when it began."""

    text: str
    budget: Budget
    started: int
    """Milliseconds since 1970, by the store's clock."""

    @property
    def seconds(self) -> float:
        """For how long it has run."""
        return monotonic() - (self.budget.deadline - self.budget.seconds)


class Requests:
    """Those of one store; any thread may begin, end and list."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.running: dict[int, Request] = {}

    def begin(self, text: str, budget: Budget, started: int) -> int:
        """Note a statement; the number by which it is ended."""
        number = next(self.numbers)
        self.running[number] = Request(text, budget, started)
        return number

    def end(self, number: int) -> None:
        """Forget a statement."""
        self.running.pop(number, None)

    def list(self) -> list[tuple[int, Request]]:
        """What runs now, in the order in which it began."""
        return sorted(self.running.copy().items())
