"""The menu: what sessions write and read, drawn at random.

Rules: registers are few and hot, so that puts meet. Sets and counters have SLOTS slots, and nobody gets one twice;
those that are used up make room for new ones, and are still read. Sets with odd numbers are never removed. Every write
puts or adds something, so that its name stands in its record. Threads may draw at the same time.

Not here: how a place is written in a request (`workload`).
"""

from __future__ import annotations

import threading
from random import Random

from tests.histories.history import SLOTS, Effect

REGISTERS = 4
OPEN = 3
"""Sets and counters that are open at the same time."""


class Menu:
    """Places, and what is left of them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lock = threading.Lock()
        self.used: dict[str, list[int]] = {"c": [0] * OPEN, "s": [0] * OPEN}
        """Kind -> how many slots each of its documents has given away."""

    def take(self, kind: str) -> tuple[str, int]:
        """Take a slot of an open document; returns both."""
        used = self.used[kind]
        number = self.random.choice([number for number, slots in enumerate(used) if slots < SLOTS])
        used[number] += 1
        if used[number] == SLOTS:
            used.append(0)
        return f"{kind}{number}", used[number] - 1

    def effects(self) -> tuple[Effect, ...]:
        """Draw what a write does."""
        with self.lock:
            drawn = self.random.choices(("put", "puts", "increment", "add", "remove", "all"), (3, 2, 4, 3, 1, 2))[0]
            effects: list[Effect] = []
            if drawn in {"increment", "all"}:
                document, slot = self.take("c")
                effects += [Effect("put", f"{document}/by"), Effect("increment", f"{document}/n", slot)]
            if drawn in {"add", "all"}:
                effects.append(Effect("add", *self.take("s")))
            if drawn == "remove":
                effects.append(Effect("remove", f"s{self.recent_number('s') // 2 * 2}"))
            puts = {"puts": 2, "increment": 0, "add": 0}.get(drawn, 1)
            registers = self.random.sample(range(REGISTERS), puts)
            return (*effects, *(Effect("put", f"r{register}") for register in registers))

    def recent_number(self, kind: str) -> int:
        """Draw one of the documents that are open or were lately."""
        count = len(self.used[kind])
        return self.random.randrange(max(count - 2 * OPEN, 0), count)

    def recent(self, kind: str) -> str:
        """Draw a document of those that are open or were lately."""
        return f"{kind}{self.recent_number(kind)}"

    def documents(self) -> list[str]:
        """Draw what a read looks at."""
        with self.lock:
            drawn = {f"r{register}" for register in self.random.sample(range(REGISTERS), 2)}
            drawn |= {self.recent("c"), self.recent("s")}
            drawn |= {f"{kind}{self.random.randrange(len(used))}" for kind, used in self.used.items()}
            return self.random.sample(sorted(drawn), self.random.randint(1, len(drawn)))

    def all(self) -> list[str]:
        """All documents that there may be."""
        made = [f"{kind}{number}" for kind, used in self.used.items() for number in range(len(used))]
        return [*(f"r{register}" for register in range(REGISTERS)), *made]


def places_of(document: str) -> tuple[str, ...]:
    """The places in a document."""
    return (f"{document}/by", f"{document}/n") if document[0] == "c" else (document,)
