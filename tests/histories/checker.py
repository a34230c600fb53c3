"""The checker: whether what clients saw can have come about on servers that keep their promises.

Rules: it judges by what clients were told. Of the logs it takes only what no client can know: whether a write
whose answer was lost has happened, and as which transaction. `witness` holds the rest of the logs against the
promises, and every read against the logs; the two share no reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.histories.causality import Causality
from tests.histories.history import History, Violation
from tests.histories.lines import check_lines


def check(history: History) -> list[Violation]:
    """Hold a history against the promises; an empty list says that it keeps them all."""
    found = [*check_lines(history), *check_end(history)]
    return found or list(Causality(history).check())


def check_end(history: History) -> Iterator[Violation]:
    """Servers that have met hold the same (P6)."""
    if len(set(history.digests)) > 1:
        yield Violation("P6", f"The servers have met, and their digests differ: {history.digests}.")
    places = {place for read in history.final for place in read.seen}
    for place in sorted(places):
        seen = {read.server: read.seen[place] for read in history.final if place in read.seen}
        if len(set(seen.values())) > 1:
            yield Violation("P6", f"The servers have met, and in {place} they show {seen}.")
