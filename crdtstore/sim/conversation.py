"""An exchange under way in the world: the engine's own generator on one side, its answering function on the other.

Rules: a request and its answer are two messages, bytes and nothing else, each under the number of its conversation and
of the request, as a connection would carry them. What is late or comes twice is told by these numbers and dropped. A
request is sent again a few times before the conversation is given up; giving up closes the generator, at any point.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from crdtstore.errors import CrdtStoreError
from crdtstore.replication.exchange import Report


@dataclass(slots=True)
class Conversation:
    """One exchange: who talks to whom, what was asked last, and how often it may be asked again.

    `states` is who both were when it began.
    """

    number: int
    starter: int
    peer: int
    talk: Generator[bytes, bytes, Report]
    random: Random
    repeats: int
    patience: int
    peer_losses: int
    begun: int
    states: tuple[object, ...] = ()
    request: bytes = b""
    asked: int = 0
    sent: int = 0
    outcome: Report | CrdtStoreError | None = None

    def begin(self) -> bytes:
        """The first request."""
        return self.ask(next(self.talk))

    def go_on(self, answer: bytes) -> bytes:
        """The next request; ends as the generator does."""
        return self.ask(self.talk.send(answer))

    def ask(self, request: bytes) -> bytes:
        """Note what is asked now."""
        self.request, self.sent = request, 0
        self.asked += 1
        return request

    def waits_for(self, asked: int) -> bool:
        """Whether the answer to a request is still needed."""
        return asked == self.asked

    def give_up(self) -> None:
        """Close it."""
        self.talk.close()

    def abandon(self) -> None:
        """Its store is gone: what the generator still tries to do finds the disk closed."""
        with suppress(CrdtStoreError):
            self.talk.close()
