"""The network between stores: it delays, loses, repeats and reorders messages, and it is cut at times.

Rules: a message is bytes and nothing else. What becomes of it is drawn from the generator that its sender brings: each
exchange has its own, so that leaving one out of a plan changes nothing for the others. A link is cut in one direction
at a time; a full partition cuts both. A message that is under way when its link is cut is lost.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import NamedTuple

REORDER_DELAY_FACTOR = 20
"""A held-up message takes up to so many times the usual latency: others overtake it."""


class Weather(NamedTuple):
    """How bad the network is: shares of messages, and milliseconds."""

    loss: float
    duplication: float
    reorder: float
    latency: int


class Network:
    """Links between stores, by number."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.cuts: Counter[tuple[int, int]] = Counter()

    def delays(self, random: Random) -> list[int]:
        """How long each copy of a message takes; empty when it is lost."""
        weather = self.weather
        if random.random() < weather.loss:
            return []
        copies = 2 if random.random() < weather.duplication else 1
        return [self.delay(random) for _ in range(copies)]

    def delay(self, random: Random) -> int:
        """How long one copy takes, at least 1 ms."""
        usual = 1 + random.randrange(self.weather.latency)
        held = random.random() < self.weather.reorder
        return usual * random.randint(2, REORDER_DELAY_FACTOR) if held else usual

    def is_cut(self, sender: int, receiver: int) -> bool:
        """Whether nothing passes from one store to another now."""
        return self.cuts[sender, receiver] > 0

    def cut(self, links: tuple[tuple[int, int], ...]) -> None:
        """Cut links; one may be cut more than once."""
        self.cuts.update(links)

    def mend(self, links: tuple[tuple[int, int], ...]) -> None:
        """Take cuts back."""
        self.cuts.subtract(links)

    def heal(self) -> None:
        """Take every cut back."""
        self.cuts.clear()
