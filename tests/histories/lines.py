"""The line of each server: transaction ids against time, against tokens and against the server's own log.

Rules:

- Ids are 1, 2, 3 and so on, each names one transaction, and none is used again, whatever happens to the process.
- Whoever asks after something was answered sees at least that; a write comes behind it.
- Who names a transaction gets it or a refusal, and a refusal only of what was not there.

Not here: what reads saw (`causality`), what the logs say about each other (`witness`).
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.histories.history import Event, History, Read, Violation, Write


def check_lines(history: History) -> Iterator[Violation]:
    """Find broken promises about ids; nothing else can be judged while there are any."""
    yield from check_logs(history)
    yield from check_answers(history)
    yield from check_real_time(history)
    yield from check_tokens(history)


def check_logs(history: History) -> Iterator[Violation]:
    """Ids are dense, and each log has each write once (P3)."""
    made = {write.name for write in history.writes}
    for server, log in enumerate(history.logs):
        gap = next((entry.txn for at, entry in enumerate(log, 1) if entry.txn != at), None)
        if gap is not None:
            yield Violation("P3", f"The log of server {server} is not dense at transaction {gap}.")
        if len({entry.name for entry in log}) != len(log):
            yield Violation("P3", f"The log of server {server} has a write twice.")
        for entry in log:
            if entry.name not in made:
                yield Violation("P2", f"The log of server {server} has what nobody wrote: {entry}.")


def logged_states(history: History) -> dict[str, tuple[int, int]]:
    """Where each write stands in the log of the server that ordered it: name -> (server, txn)."""
    return {
        entry.name: (server, entry.txn)
        for server, log in enumerate(history.logs)
        for entry in log
        if entry.origin == server
    }


def check_answers(history: History) -> Iterator[Violation]:
    """What was answered is in the log under that id (P1, P3), and what was refused is not (P2)."""
    states = logged_states(history)
    taken: dict[tuple[int, int], str] = {}
    for write in history.writes:
        state = states.get(write.name)
        if write.outcome == "refused" and state is not None:
            yield Violation("P2", f"It was refused, and is in the log as {state}: {write}.")
        if write.outcome != "ok":
            continue
        if state != (write.server, write.txn):
            yield Violation("P1", f"It was answered, and the log has it as {state}: {write}.")
        other = taken.setdefault((write.server, write.txn), write.name)
        if other != write.name:
            yield Violation("P3", f"Its id was given to {other} as well: {write}.")


def floors(history: History) -> Iterator[tuple[Event, int]]:
    """Yield the events as they were asked, each with the greatest id that its server had answered before."""
    events = history.events()
    ended = iter(sorted(events, key=lambda event: event.returned))
    greatest = [0] * len(history.logs)
    past = next(ended, None)
    for event in events:
        while past is not None and past.returned < event.invoked:
            if past.outcome == "ok":
                greatest[past.server] = max(greatest[past.server], past.txn)
            past = next(ended, None)
        yield event, greatest[event.server]


def answered(history: History) -> Iterator[tuple[Event, int]]:
    """Yield those that were answered with a transaction."""
    yield from ((event, floor) for event, floor in floors(history) if event.outcome == "ok")


def check_real_time(history: History) -> Iterator[Violation]:
    """A write comes behind everything that was answered before it began (P3), and an exact read reflects it (P4)."""
    for event, floor in answered(history):
        if isinstance(event, Write) and event.txn <= floor:
            yield Violation("P3", f"Transaction {floor} had been answered before it began: {event}.")
        elif isinstance(event, Read) and event.exact and event.txn < floor:
            yield Violation("P4", f"Transaction {floor} had been answered before it began: {event}.")


def check_tokens(history: History) -> Iterator[Violation]:
    """Who names a transaction gets it; a refusal says that it was not there (P4)."""
    for event, floor in floors(history):
        if event.after is not None and event.outcome == "ok" and event.txn < event.after:
            yield Violation("P4", f"It names a transaction that the answer does not reach: {event}.")
        if event.after is not None and event.outcome == "refused" and event.after <= floor:
            yield Violation("P4", f"Transaction {floor} had been answered before, and it was refused: {event}.")
