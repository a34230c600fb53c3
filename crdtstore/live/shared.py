"""A live query and who observes it: whoever asks for the same of the same collection shares it.

Rules: what is new is there before anybody is woken. It ends for all observers at once, and is then no longer shared.

Not here: which queries there are (`queries`), how an observer reads (`observation`).
"""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, ParamSpec

from crdtstore.errors import CrdtStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from crdtstore.live.observation import Observation
    from crdtstore.live.query import LiveQuery

P = ParamSpec("P")

logger = logging.getLogger(__name__)


class Shared:
    """One live query and its observers."""

    def __init__(self, key: bytes, query: LiveQuery) -> None:
        """Nobody observes it, and it was not run yet."""
        self.key = key
        self.query = query
        self.observers: set[Observation] = set()
        self.starting = Lock()
        """Held by who runs it first; others who ask for the same wait there."""
        self.follows = False
        """Whether it is in every round."""
        self.ended = False
        self.error: CrdtStoreError | None = None
        """What it ended at, if it broke."""

    def advance(self, step: Callable[P, bool], *given: P.args, **named: P.kwargs) -> None:
        """Do what may give another result, and wake everybody if it did; what breaks ends the query, and no other."""
        if self.ended:
            return
        try:
            changed = step(*given, **named)
        except CrdtStoreError as error:
            logger.error("A live query ended: %s", error)  # noqa: TRY400  the sentence says it
            self.end(error)
            return
        if changed:
            for observation in self.observers:
                if not observation.rung:
                    observation.wake()

    def end(self, error: CrdtStoreError | None) -> None:
        """Tell everybody that nothing comes any more, and why if it broke."""
        self.ended = True
        self.error = error
        for observation in tuple(self.observers):
            observation.end(error)
