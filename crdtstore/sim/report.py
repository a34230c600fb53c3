"""What came of worlds, for people and programs: counts, promises broken, the commands that play them again.

Rules: a command names everything that a world needs: its seed and what was asked for. Actions are written as ranges,
such as `3,17-20`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.limits import WORLD_OPERATIONS_MAX
from crdtstore.sim.parameters import Asked
from crdtstore.sim.plan import Action
from crdtstore.sim.play import Chosen, Outcome, Told

COMMAND: Final = "crdtstore sim replay"

SENTENCES: Final = {
    "start": "store {0} starts, under origin {1}",
    "write": "store {0}: client {2} writes (action {1})",
    "acknowledged": "store {0}: client {1} is told that its write is transaction {2}",
    "refused": "store {0}: client {1} is refused: {2}",
    "commit": "store {0}: the slow disk commits what waits, {1} writes among it",
    "read": "store {0}: client {1} reads at transaction {2}: {3}",
    "void": "action {0}, {1}, makes no sense now",
    "exchange": "store {1} starts exchange {0} with store {2} (pull {3}, push {4}, wait {5} s)",
    "request": "exchange {0}: request {1}, {2} bytes",
    "answer": "exchange {0}: answer to request {1}, {2} bytes",
    "hold": "exchange {0}: the answer is held until transaction {1}",
    "late answer": "exchange {0}: the answer to request {1} comes too late",
    "done": "exchange {0} is done (equal {1}; {2} pulled, {3} pushed, {4} documents joined)",
    "refusal": "exchange {0} ends: {1}",
    "given up": "exchange {0} is given up at request {1}",
    "cut off": "a message from store {0} to store {1} is lost: the link was cut",
    "nobody there": "a message to store {0} is lost: it is down",
    "partition": "action {0} cuts the links {1}",
    "one-way": "action {0} cuts, in one direction, the links {1}",
    "mend": "{0} links are mended",
    "clock": "the clock of store {0} jumps by {1} ms",
    "crash": "store {0} loses its power, and {1} transactions of its own",
    "crash-in-commit": "store {0} loses its power in a commit, and {1} transactions of its own",
    "crash-at-start": "store {0} loses its power while it starts, and {1} transactions of its own",
    "reopen": "store {0} stops: a commit failed, its outcome is unknown",
    "disk": "store {0}: {1} commits from now one will go wrong: {2}",
    "disk error": "store {0}: the disk fails what it was doing: {1}",
    "trim": "store {0} forgets {1} entries of its log",
    "backup": "store {0} is backed up, with {1} entries of its log",
    "restore": "store {0} is restored from its backup; {1} transactions of its own are gone",
    "silent-restore": "store {0} is restored and nobody is told; {1} transactions of its own are gone",
    "leave": "store {0} leaves for good, with {1} transactions of its own",
    "inspect": "action {0}: all stores are inspected",
    "round": "the world settles, round {0}",
}
"""How each kind of note reads."""


@dataclass(slots=True)
class Summary:
    """What came of many worlds."""

    worlds: int = 0
    forked: int = 0
    events: int = 0
    actions: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one world."""
        self.worlds += 1
        self.forked += outcome.parameters.is_forked
        self.events += outcome.events
        self.actions += outcome.actions
        self.counts.update(outcome.counts)
        self.faults.update(outcome.faults)
        if outcome.violation is not None:
            self.broken.append(outcome)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; promises broken are added by who has shrunk them."""
        return {
            "worlds": self.worlds,
            "forked_worlds": self.forked,
            "events": self.events,
            "actions": self.actions,
            "injected": sum(self.faults.values()),
            "counts": dict(sorted(self.counts.items())),
            "faults": dict(sorted(self.faults.items())),
        }


def failure(outcome: Outcome, shrunk: Outcome | None) -> dict[str, Any]:
    """A broken promise for JSON, with the commands that show it."""
    assert outcome.violation is not None
    return {
        "seed": outcome.seed,
        "promise": outcome.violation.promise,
        "what": outcome.violation.what,
        "at_milliseconds": outcome.violation.at,
        "event": outcome.violation.event,
        "trace": outcome.trace,
        "replay": replay_command(outcome),
        "shrunk": None if shrunk is None else replay_command(shrunk),
        "shrunk_actions": None if shrunk is None else shrunk.actions,
    }


def replay_command(outcome: Outcome) -> str:
    """The one command that plays a world again."""
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in set_values(outcome.asked)]
    if outcome.chosen.only is not None:
        flags.append(f"--only {format_numbers(outcome.chosen.only)}")
    if outcome.chosen.without:
        flags.append(f"--without {format_numbers(outcome.chosen.without)}")
    return " ".join([COMMAND, str(outcome.seed), *flags])


def set_values(asked: Asked) -> Iterator[tuple[str, float]]:
    """What was asked for, by name."""
    for name, value in asked._asdict().items():
        if value is not None:
            yield name, value


def format_numbers(numbers: Iterable[int]) -> str:
    """Write numbers as ranges; `none` when there are none."""
    ordered = sorted(numbers)
    if not ordered:
        return "none"
    breaks = [at for at, (left, right) in enumerate(pairwise(ordered), 1) if right != left + 1]
    runs = [ordered[start:end] for start, end in pairwise([0, *breaks, len(ordered)])]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def parse_numbers(text: str) -> frozenset[int]:
    """Read numbers that `format_numbers` wrote.

    Raises:
        InvalidValue: Something else.
    """
    numbers: set[int] = set()
    try:
        for part in text.split(",") if text != "none" else ():
            first, dash, last = part.partition("-")
            end = int(last if dash else first)
            check_number(end)
            numbers.update(range(int(first), end + 1))
    except ValueError:
        raise InvalidValue(f"{text!r:.60} is no list of actions such as 3,17-20.") from None
    return frozenset(numbers)


def check_number(number: int) -> None:
    """Refuse a number that no action can have: a range up to it would fill the memory."""
    if number > WORLD_OPERATIONS_MAX:
        message = f"No world has an action {number}; the bound is {WORLD_OPERATIONS_MAX}."
        raise LimitExceeded(message, limit="WORLD_OPERATIONS_MAX", value=number, maximum=WORLD_OPERATIONS_MAX)


def tell(told: Told, plan: Sequence[Action]) -> Iterator[str]:
    """A world's notes as lines for people; what clients write is told in full."""
    steps = {action.number: action.data[1] for action in plan if action.kind == "write"}
    for at, kind, values in told:
        sentence = SENTENCES.get(kind, kind + " {}").format(*values)
        written = f": {'; '.join(map(repr, steps[values[1]]))}" if kind == "write" and values[1] in steps else ""
        yield f"{at:>10,} ms  {sentence}{written}"


def choose(only: str | None, without: str | None) -> Chosen:
    """Which actions are played, from what was typed."""
    return Chosen(None if only is None else parse_numbers(only), parse_numbers(without or "none"))
