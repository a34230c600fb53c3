"""Series to test with: stores on one clock that only tests move, and a plain list that says what they must answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from crdtstore import Store
from crdtstore.timeseries.read import read_events

START: Final = 1_700_000_000_000
"""Where clocks begin: 2023-11-14T22:13:20Z."""

SERIES: Final = "s"
LATE: Final = "2100-01-01T00:00:00Z"


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    milliseconds: int = START

    def __call__(self) -> int:
        return self.milliseconds

    def forward(self, seconds: int) -> None:
        self.milliseconds += seconds * 1_000


@dataclass
class Scene:
    """Stores on one clock."""

    clock: Clock = field(default_factory=Clock)

    def store(self) -> Store:
        return Store.in_memory(clock=self.clock)

    @contextmanager
    def on_disk(self, directory: Path) -> Iterator[Store]:
        with Store.open(directory, durability="none", clock=self.clock) as store:
            yield store


def carry(giver: Store, taker: Store) -> None:
    """Bring a store all that another one has."""
    taker.apply(entry.record for entry in giver.changes())


def values(store: Store, start: str | None = None, end: str | None = LATE, **asked: Any) -> list[dict[str, Any]]:
    """What the events of a span say."""
    return [event.fields for event in read_events(store, SERIES, start, end, **asked)]


def written(seconds: int, nanoseconds: int = 0, ahead_minutes: int = 0) -> str:
    """A time so many seconds behind START, as somebody ahead of UTC writes it."""
    moment = datetime.fromtimestamp(START // 1_000, UTC) + timedelta(seconds=seconds, minutes=ahead_minutes)
    sign, offset = "-" if ahead_minutes < 0 else "+", divmod(abs(ahead_minutes), 60)
    zone = f"{sign}{offset[0]:02}:{offset[1]:02}" if ahead_minutes else "Z"
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"


def between(events: Sequence[tuple[int, int, Any]], start: int, end: int) -> list[Any]:
    """What the events from one second to before another say, by time and then as they arrived: the plain way."""
    return [value for second, _, value in sorted(events, key=lambda each: each[:2]) if start <= second < end]
