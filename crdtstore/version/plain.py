"""Plain writes are transactions of upserts alone: the compiled core sequences those of a group in one call.

Rules: a plain write is a job like any other, which `sequence` can run. The core takes as many as stand behind each
other and are simply next, and leaves what they would leave one by one, but that it reads the clock once; at the first
that is not it stops before anything of that was written, and this one is run as any job.

Compiled: `ext/sequence.pxi`; its twin is `transaction`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from crdtstore import core
from crdtstore.crdt.timestamp import from_milliseconds
from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX
from crdtstore.storage import log
from crdtstore.storage.documents import DOCUMENTS

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch
    from crdtstore.version.clock import Clock


class Kinds(NamedTuple):
    """The classes of commands, results and answers, what gives ids, and what stands for an id that was not given."""

    command: type
    result: type
    written: type
    new_id: Callable[[], str]
    unset: object


class Plain:
    """A plain write, as a job that is run."""

    __slots__ = ("actor", "alone", "clock", "commands", "kinds")

    def __init__(
        self,
        commands: tuple[Any, ...],
        actor: bytes,
        alone: Callable[[Plain, Batch, Catalog, Head], Any],
        clock: Clock,
        kinds: Kinds,
    ) -> None:
        """Take commands that were checked, of an author; `alone` runs it as any transaction is run."""
        self.commands = commands
        self.actor = actor
        self.alone = alone
        self.clock = clock
        self.kinds = kinds

    def __call__(self, batch: Batch, catalog: Catalog, head: Head) -> Any:
        """Run it alone."""
        return self.alone(self, batch, catalog, head)


def sequence_plain(
    batch: Batch, catalog: Catalog, head: Head, writes: Sequence[Plain | None], start: int
) -> Sequence[Any]:
    """Run plain writes from `start` on, as far as the compiled core takes them; what they answered."""
    first = writes[start]
    if first is None or head.scope is not None or head.observed_since():
        return ()
    now = first.clock()
    latest = from_milliseconds(now + CLOCK_AHEAD_SECONDS_MAX * 1_000 + 1) - 1
    least = from_milliseconds(now)
    if not 0 <= least < latest < 1 << 63:
        return ()
    tables = (DOCUMENTS, log.LOG, log.POSITIONS)
    done: list[Any] = core.sequence_upserts(batch, catalog, head, writes, start, least, latest, tables, first.kinds)
    return done


def can_sequence(batch: Batch) -> bool:
    """Whether the compiled core takes writes of a batch."""
    return core.sequence_upserts is not None and core.Batch is not None and isinstance(batch, core.Batch)
