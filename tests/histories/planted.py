"""Planted errors: a history that is right is made wrong in one place, as a faulty server would have made it.

Rules: each function yields histories with one error, one after the other; none if the history offers no place for it.
`PLANTED` says which promise the checker finds broken, and which the witness; an error that only the logs show is
planted in a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from tests.histories.checker import check
from tests.histories.history import BASE, Effect, History, Logged, Read, Seen, Write, slots_of
from tests.histories.witness import hear

Histories = Iterator[History]

LATELY = 10
"""How many transactions are the last ones of a log."""


def ok_writes(history: History) -> list[Write]:
    """The writes that were answered, by server and transaction."""
    return sorted((write for write in history.writes if write.outcome == "ok"), key=lambda write: write[2:8:5])


def with_read(history: History, old: Read, **changes: Any) -> History:
    """A history in which one read was answered otherwise."""
    return history._replace(reads=[old._replace(**changes) if read is old else read for read in history.reads])


def with_seen(history: History, old: Read, place: str, seen: Seen) -> History:
    """A history in which one read showed something else at one place."""
    return with_read(history, old, seen={**old.seen, place: seen})


def end(history: History) -> dict[str, Any]:
    """What all servers show in the end."""
    return {place: seen for read in history.final for place, seen in read.seen.items()}


def with_end(history: History, place: str, seen: Seen) -> History:
    """A history in whose end all servers show something else at one place."""
    changed = [read._replace(seen={**read.seen, place: seen}) if place in read.seen else read for read in history.final]
    return history._replace(final=changed)


def with_log(history: History, server: int, log: list[Logged]) -> History:
    """A history in which one server has another log."""
    return history._replace(logs=[log if each == server else kept for each, kept in enumerate(history.logs)])


def effects(writes: list[Write], kind: str) -> Iterator[tuple[Write, Effect]]:
    """Yield the effects of a kind, each with its write."""
    yield from ((write, effect) for write in writes for effect in write.effects if effect.kind == kind)


def exact_reads(history: History) -> list[Read]:
    """The answered reads of one state."""
    return [read for read in history.reads if read.outcome == "ok" and read.exact]


# --- answers ---


def lost_write(history: History) -> Histories:
    """A write was answered, and no log has it."""
    for write in reversed(ok_writes(history)):
        logs = [[entry for entry in log if entry.name != write.name] for log in history.logs]
        logs = [[entry._replace(txn=at) for at, entry in enumerate(log, 1)] for log in logs]
        yield history._replace(logs=logs)


def reused_id(history: History) -> Histories:
    """Two writes were answered with one id."""
    for first, second in pairwise(ok_writes(history)):
        if first.server == second.server:
            writes = [write._replace(txn=first.txn) if write is second else write for write in history.writes]
            yield history._replace(writes=writes)


def order_of_answers(history: History) -> Histories:
    """A write that began when another one had been answered stands before it."""
    for first, second in pairwise(ok_writes(history)):
        if first.server == second.server and first.returned < second.invoked:
            swapped = {first.name: second.txn, second.name: first.txn}
            names = {first.name: second.name, second.name: first.name}
            log = [entry._replace(name=names.get(entry.name, entry.name)) for entry in history.logs[first.server]]
            writes = [write._replace(txn=swapped.get(write.name, write.txn)) for write in history.writes]
            yield with_log(history._replace(writes=writes), first.server, log)


def hole(history: History) -> Histories:
    """An id was given to no transaction."""
    for server, log in enumerate(history.logs):
        at = len(log) // 2
        yield with_log(history, server, log[:at] + [entry._replace(txn=entry.txn + 1) for entry in log[at:]])


def token_ignored(history: History) -> Histories:
    """A read did not wait for what it named."""
    for read in exact_reads(history):
        if read.after:
            yield with_read(history, read, txn=read.after - 1)


def token_refused(history: History) -> Histories:
    """A read was refused what had been answered."""
    for write, read in zip(ok_writes(history), ok_writes(history)[1:], strict=False):
        if write.server == read.server and write.returned < read.invoked and read.after is None:
            asked = Read(0, read.server, read.invoked, read.returned, write.txn, "refused", 0, False, {})
            yield history._replace(reads=[*history.reads, asked])


# --- reads ---


def thin_air(history: History) -> Histories:
    """A read saw what nobody wrote."""
    for read in exact_reads(history):
        for place in (place for place, seen in read.seen.items() if isinstance(seen, str)):
            yield with_seen(history, read, place, "nobody")


def refused_write(history: History) -> Histories:
    """A read saw a write that was refused, or that was lost before it happened."""
    logged = {entry.name for log in history.logs for entry in log}
    for write, effect in effects([write for write in history.writes if write.name not in logged], "put"):
        for read in exact_reads(history):
            if effect.place in read.seen and write.returned < read.invoked:
                yield with_seen(history, read, effect.place, write.name)


def future(history: History) -> Histories:
    """A read saw a write that had not begun."""
    in_order = sorted(ok_writes(history), key=lambda write: write.invoked)
    last = {effect.place: write for write, effect in effects(in_order, "put")}
    for read in exact_reads(history):
        for place in read.seen:
            if place in last and last[place].invoked > read.returned:
                yield with_seen(history, read, place, last[place].name)


def fractured(history: History) -> Histories:
    """A read saw a part of a transaction."""
    writes = {write.name: write for write in history.writes}
    for read in exact_reads(history):
        for name in read.seen.values():
            for effect in writes[name].effects if isinstance(name, str) else ():
                value = read.seen.get(effect.place)
                if effect.kind == "increment" and isinstance(value, int):
                    yield with_seen(history, read, effect.place, value - BASE**effect.slot)


def overwritten(history: History) -> dict[tuple[str, str], Write]:
    """(register, write) -> the put before it on the same server."""
    previous: dict[tuple[str, int], Write] = {}
    found: dict[tuple[str, str], Write] = {}
    for write, effect in effects(ok_writes(history), "put"):
        if (effect.place, write.server) in previous:
            found[effect.place, write.name] = previous[effect.place, write.server]
        previous[effect.place, write.server] = write
    return found


def torn(history: History) -> Histories:
    """A read saw one of two registers as before a transaction that wrote both, the other as after it."""
    before = overwritten(history)
    for read in exact_reads(history):
        names = [name for name in read.seen.values() if isinstance(name, str)]
        for place, name in read.seen.items():
            if isinstance(name, str) and names.count(name) > 1 and (place, name) in before:
                yield with_seen(history, read, place, before[place, name].name)


def stale(history: History) -> Histories:
    """A read after a token shows the put before the one that it named."""
    before = overwritten(history)
    for read in exact_reads(history):
        for place, name in read.seen.items():
            old = before.get((place, str(name)))
            if old and old.server == read.server and read.after and old.txn < read.after:
                yield with_seen(history, read, place, old.name)


def not_causal(history: History) -> Histories:
    """A read saw a write of another server, and not one that came before it there."""
    places = {(effect.place, effect.slot): write for write, effect in effects(ok_writes(history), "increment")}
    for read in exact_reads(history):
        for place, value in read.seen.items():
            if not isinstance(value, int):
                continue
            held = [(places[place, slot], slot) for slot in slots_of(value) if (place, slot) in places]
            for write, slot in held:
                if any(write.server == other.server != read.server and write.txn < other.txn for other, _ in held):
                    yield with_seen(history, read, place, value - BASE**slot)


def not_monotonic(history: History) -> Histories:
    """A session saw an increment, and then not any more."""
    last: dict[tuple[int, int], Read] = {}
    for read in sorted((read for read in history.reads if read.outcome == "ok"), key=lambda read: read.invoked):
        earlier = last.get((read.session, read.server))
        for place, value in earlier.seen.items() if earlier else ():
            if isinstance(value, int) and value and place in read.seen:
                now = read.seen[place]
                assert isinstance(now, int)
                yield with_seen(history, read, place, now - BASE ** max(slots_of(value)))
        last[read.session, read.server] = read


def no_convergence(history: History) -> Histories:
    """Two puts were shown in this order by one read, and in the other in the end."""
    for read in exact_reads(history):
        for write, effect in effects(ok_writes(history), "put"):
            known = write.server == read.server and write.txn <= read.txn and effect.place in read.seen
            if known and read.seen[effect.place] != write.name:
                yield with_end(history, effect.place, write.name)


# --- the end ---


def lost_increment(history: History) -> Histories:
    """An increment was answered, and is in no counter."""
    for _, effect in effects(ok_writes(history), "increment"):
        yield with_end(history, effect.place, end(history)[effect.place] - BASE**effect.slot)


def counted_twice(history: History) -> Histories:
    """An increment was counted twice."""
    for _, effect in effects(ok_writes(history), "increment"):
        yield with_end(history, effect.place, end(history)[effect.place] + BASE**effect.slot)


def resurrection(history: History) -> Histories:
    """What was removed came back."""
    for remove, effect in effects(ok_writes(history), "remove"):
        for add, added in effects(ok_writes(history), "add"):
            if added.place == effect.place and add.server == remove.server and add.txn < remove.txn:
                yield with_end(history, effect.place, end(history)[effect.place] | {add.name})


def vanished(history: History) -> Histories:
    """What was added after everything had been removed is gone."""
    removes = list(effects(history.writes, "remove"))
    for add, effect in effects(ok_writes(history), "add"):
        rivals = [remove for remove, removed in removes if removed.place == effect.place]
        if all(remove.outcome == "ok" and remove.returned < add.invoked for remove in rivals):
            yield with_end(history, effect.place, end(history)[effect.place] - {add.name})


def divergence(history: History) -> Histories:
    """The servers have met, and one shows something else."""
    for place, seen in history.final[0].seen.items():
        if isinstance(seen, str):
            changed = history.final[0]._replace(seen={**history.final[0].seen, place: None})
            yield history._replace(final=[changed, *history.final[1:]])


def other_digest(history: History) -> Histories:
    """The servers have met, and one has another digest."""
    yield history._replace(digests=["another", *history.digests[1:]])


# --- logs ---


def too_early(history: History) -> Histories:
    """A server applied a transaction before one that it observed."""
    for server, log in enumerate(history.logs):
        for at, (first, second) in enumerate(pairwise(log)):
            if second.observed.get(first.origin) == first.position and server not in {first.origin, second.origin}:
                swapped = [second._replace(txn=first.txn), first._replace(txn=second.txn)]
                yield with_log(history, server, [*log[:at], *swapped, *log[at + 2 :]])


def old_stamp(history: History) -> Histories:
    """A transaction is stamped before what its server had applied."""
    for server, log in enumerate(history.logs):
        for at, (first, second) in enumerate(pairwise(log)):
            if second.origin == server != first.origin:
                stamped = second._replace(stamp=(first.stamp[0], *second.stamp[1:]))
                yield with_log(history, server, [*log[: at + 1], stamped, *log[at + 2 :]])


def not_delivered(history: History) -> Histories:
    """The servers have met, and one lacks another's last transaction."""
    for server, log in enumerate(history.logs):
        if log[-1].origin != server:
            yield with_log(history, server, log[:-1])


def overtaken(history: History) -> Histories:
    """A read does not show what its server had just applied from another one; no client could have known that."""
    writes = {write.name: write for write in history.writes}
    for read in exact_reads(history):
        for entry in reversed(history.logs[read.server][max(read.txn - LATELY, 0) : read.txn]):
            for effect in writes[entry.name].effects if entry.origin != read.server else ():
                value = read.seen.get(effect.place)
                if effect.kind == "increment" and isinstance(value, int):
                    yield with_seen(history, read, effect.place, value - BASE**effect.slot)


class Planted(NamedTuple):
    """An error, and the promises by which it is found: by the checker, and by the witness."""

    error: Callable[[History], Histories]
    checker: str
    witness: str


PLANTED = (
    Planted(lost_write, "P1", ""),
    Planted(reused_id, "P1 P3", ""),
    Planted(order_of_answers, "P3", "P1 P6 P7"),
    Planted(hole, "P3", ""),
    Planted(token_ignored, "P4", ""),
    Planted(token_refused, "P4", ""),
    Planted(thin_air, "P2", "P4"),
    Planted(refused_write, "P2", "P4"),
    Planted(future, "P2", "P4"),
    Planted(fractured, "P5 P10", "P4"),
    Planted(torn, "P5", "P4"),
    Planted(stale, "P5", "P4"),
    Planted(not_causal, "P10", "P4"),
    Planted(not_monotonic, "P10", "P4"),
    Planted(no_convergence, "P5", "P4"),
    Planted(lost_increment, "P10", "P4"),
    Planted(counted_twice, "P10", "P4"),
    Planted(resurrection, "P9", "P4"),
    Planted(vanished, "P9", "P4"),
    Planted(divergence, "P5 P6", "P4"),
    Planted(other_digest, "P6", ""),
    Planted(too_early, "", "P7"),
    Planted(old_stamp, "", "P7"),
    Planted(not_delivered, "", "P1"),
    Planted(overtaken, "", "P4"),
)


def assert_found(planted: Planted, bad: History) -> None:
    """A planted error is found by who is to find it, and for what it is."""
    for judge, promises in ((check, planted.checker), (hear, planted.witness)):
        found = {violation.promise for violation in judge(bad)} if promises else set()
        assert not promises or found & set(promises.split()), (planted, judge, found)
