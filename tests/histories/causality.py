"""The causal order of a history, and whether every read fits into it.

Rules:

- A *state* is a server at a transaction: one that a write made, or one that a read saw. The states of a server are
  a chain, since each holds all before it. A read whose transaction is a lower bound only has a state of its own
  beside the chain, before what its session asks of that server next.
- What a read saw was made before the state that it was read from. This and the chains are the *causal order*.
- The *clock* of a state says how far each server's own writes are known there. Servers deliver in causal order,
  so a state shows everything below its clock: every increment, every add that nothing may have removed, and of a
  register the last put or a rival of it.
- "A register shows the last put that is known" would be wrong: a concurrent put may win. But then it wins
  everywhere, so what is shown comes behind all puts below the clock. These *rivalries* and the causal order
  together must have no cycle: that is causal convergence.

Not here: sessions that change servers are promised nothing across them, so nothing of it is checked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from tests.histories.history import Event, History, Read, Seen, Violation, Write, slots_of
from tests.histories.lines import answered, logged_states

State = int
"""The number of a state."""


class Causality:
    """The states of one history, each with those right before it."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.servers = range(len(history.logs))
        self.write_of = {write.name: write for write in history.writes}
        self.slot_of = slot_table(history)
        self.before: list[set[State]] = []
        self.clocks: list[list[int]] = []
        """State -> server -> the transaction up to which that server's own writes are known."""
        self.titles: list[str] = []
        self.chains: list[tuple[list[int], list[State]]] = [([], []) for _ in self.servers]
        """Server -> the transactions of its states, and the states."""
        self.happened = logged_states(history)
        """A write that happened -> (server, txn)."""
        self.state_of: dict[str, State] = {}
        """A write that happened -> the state that it made."""

    def check(self) -> Iterator[Violation]:
        """Find what does not fit; a read of what is not there ends the search, since it has no place in an order."""
        self.build_chains()
        reads = self.build_reads()
        unfounded = [violation for read, state in reads for violation in self.link_seen(read, state)]
        yield from unfounded
        try:
            order = self.sort()
        except CycleError as error:
            yield Violation("P5", f"Causes run in a circle: {self.describe(error)}.")
            return
        if unfounded:
            return
        self.set_clocks(order)
        knowledge = Knowledge(self)
        for read, state in reads:
            for place, seen in read.seen.items():
                yield from knowledge.check_seen(read, state, place, seen)
        try:
            self.sort()
        except CycleError as error:
            yield Violation("P5", f"Causes and rivals run in a circle: {self.describe(error)}.")

    # --- states ---

    def new_state(self, title: str, before: Iterable[State]) -> State:
        """Add a state."""
        self.titles.append(title)
        self.before.append(set(before))
        self.clocks.append([0 for _ in self.servers])
        return len(self.before) - 1

    def build_chains(self) -> None:
        """Make the states of each server: what its own writes made, and what exact reads saw."""
        exact = {(read.server, read.txn) for read in self.history.reads if read.outcome == "ok" and read.exact}
        for server, txn in sorted(exact | set(self.happened.values())):
            txns, states = self.chains[server]
            state = self.new_state(f"server {server} at {txn}", states[-1:])
            self.clocks[state][server] = txn
            txns.append(txn)
            states.append(state)
        self.state_of = {name: self.floor_state(*place)[0] for name, place in self.happened.items()}

    def floor_state(self, server: int, txn: int) -> list[State]:
        """The last state of a server up to a transaction, if there is one."""
        txns, states = self.chains[server]
        at = bisect_right(txns, txn)
        return states[max(at - 1, 0) : at]

    def build_reads(self) -> list[tuple[Read, State]]:
        """Give each answered read its state: on the chain, beside it, or at the end of all chains."""
        reads: list[tuple[Read, State]] = []
        beside: dict[tuple[int, int], list[tuple[int, State]]] = defaultdict(list)
        """(session, server) -> its reads beside the chain: the place in `reads`, and the state that it is behind."""
        for event, floor in answered(self.history):
            earlier = beside[event.session, event.server]
            floor_states = self.floor_state(event.server, max(event.txn, floor, self.own_seen(event)))
            if isinstance(event, Read) and not event.exact:
                title = f"session {event.session} on server {event.server} from {event.txn}"
                state = self.new_state(title, (*floor_states, *(reads[at][1] for at, _ in earlier[-1:])))
                # Behind what the session's read before it was behind, too: a server goes on only.
                behind = max((*floor_states, *(behind for _, behind in earlier[-1:])), default=-1)
                earlier.append((len(reads), behind))
                reads.append((event, state))
                continue
            state = floor_states[0]
            for at, behind in earlier:
                # Not before and not after it: such a read saw that very state.
                if behind == state:
                    reads[at] = (reads[at][0], state)
                else:
                    self.before[state].add(reads[at][1])
            earlier.clear()
            if isinstance(event, Read):
                reads.append((event, state))
        ends = [states[-1] for _, states in self.chains if states]
        return reads + [(read, self.new_state(f"the end on server {read.server}", ends)) for read in self.history.final]

    def own_seen(self, event: Event) -> int:
        """The last transaction of the read's own server that it saw, if it may be behind the one that it names."""
        if isinstance(event, Write) or event.exact:
            return 0
        names = (name for place, seen in event.seen.items() for name in self.names_in(place, seen))
        states = (self.happened.get(name, (event.server, 0)) for name in names)
        return max((txn for server, txn in states if server == event.server), default=0)

    def link_seen(self, read: Read, state: State) -> Iterator[Violation]:
        """Put what a read saw before its state; what cannot have been seen is a violation (P2)."""
        for place, seen in read.seen.items():
            for name in self.names_in(place, seen):
                write = self.write_of.get(name)
                if write is None or not any(effect.place == place for effect in write.effects):
                    yield Violation("P2", f"Nobody wrote {name!r} to {place}: {read}.")
                elif name not in self.happened or write.invoked > read.returned:
                    yield Violation("P2", f"What had not happened was seen in {place}, {write}: {read}.")
                elif self.state_of[name] != state:
                    self.before[state].add(self.state_of[name])

    def names_in(self, place: str, seen: Seen) -> Iterable[str]:
        """The writes that a read saw at a place."""
        if isinstance(seen, int):
            return [self.slot_of.get((place, slot), f"slot {slot}") for slot in slots_of(seen)]
        return [seen] if isinstance(seen, str) else seen or ()

    # --- order ---

    def sort(self) -> list[State]:
        """The states in an order that has each behind those before it.

        Raises:
            CycleError: There is none.
        """
        return list(TopologicalSorter(dict(enumerate(self.before))).static_order())

    def describe(self, error: CycleError) -> str:
        """A circle for people, each state behind the one before it."""
        circle: list[State] = error.args[1]
        return " < ".join(self.titles[state] for state in circle)

    def set_clocks(self, order: list[State]) -> None:
        """Let each state know what those before it knew."""
        for state in order:
            known = (self.clocks[each] for each in (state, *self.before[state]))
            self.clocks[state] = [max(times) for times in zip(*known, strict=True)]


class Knowledge:
    """What each state knows, and so must show."""

    def __init__(self, causality: Causality) -> None:
        self.causality = causality
        self.clocks = causality.clocks
        self.happened = causality.happened
        self.writers: dict[tuple[str, str], list[Write]] = defaultdict(list)
        """(kind, place) -> the writes that happened with such an effect there."""
        self.puts: dict[tuple[str, int], list[int]] = defaultdict(list)
        """(register, server) -> the transactions of its puts, sorted."""
        for name, (server, txn) in sorted(self.happened.items(), key=lambda item: item[1]):
            for effect in causality.write_of[name].effects:
                self.writers[effect.kind, effect.place].append(causality.write_of[name])
                if effect.kind == "put":
                    self.puts[effect.place, server].append(txn)

    def knows(self, state: State, write: Write) -> bool:
        """Whether a write is below the clock of a state."""
        server, txn = self.happened[write.name]
        return self.clocks[state][server] >= txn

    def check_seen(self, read: Read, state: State, place: str, seen: Seen) -> Iterator[Violation]:
        """Whether a read shows what its state knows."""
        if isinstance(seen, int):
            yield from self.check_counter(read, state, place, seen)
        elif isinstance(seen, frozenset):
            yield from self.check_set(read, state, place, seen)
        else:
            yield from self.check_register(read, state, place, seen)

    def check_counter(self, read: Read, state: State, place: str, value: int) -> Iterator[Violation]:
        """Each increment that is known is counted once (P10)."""
        counts = slots_of(value)
        if any(count > 1 for count in counts.values()):
            yield Violation("P10", f"An increment of {place} was counted more than once: {read}.")
        seen = set(self.causality.names_in(place, value))
        for write in self.writers["increment", place]:
            if write.name not in seen and self.knows(state, write):
                yield Violation("P10", f"An increment of {place} is missing, {write}: {read}.")

    def check_set(self, read: Read, state: State, place: str, seen: frozenset[str]) -> Iterator[Violation]:
        """What was removed stays away, and what was added stays unless it may have been removed (P9)."""
        removes = self.writers["remove", place]
        for add in self.writers["add", place]:
            made = self.causality.state_of[add.name]
            for remove in removes if add.name in seen else ():
                if self.knows(self.causality.state_of[remove.name], add) and self.knows(state, remove):
                    yield Violation("P9", f"In {place} {add.name} was removed by {remove.name} and is back: {read}.")
            missing = add.name not in seen and self.knows(state, add)
            if missing and not any(self.may_have_removed(remove, add, made, read) for remove in removes):
                yield Violation("P9", f"In {place} {add.name} is missing, and nothing removed it: {read}.")

    def may_have_removed(self, remove: Write, add: Write, made: State, read: Read) -> bool:
        """Whether a remove may be the reason that a read does not show an add: it knew it, and is known."""
        server, txn = self.happened[remove.name]
        if self.knows(made, remove) or (remove.outcome == "ok" and remove.returned < add.invoked):
            return False
        if read.exact and server == read.server and txn > read.txn:
            return False
        return remove.invoked < read.returned

    def check_register(self, read: Read, state: State, place: str, seen: str | None) -> Iterator[Violation]:
        """What is shown comes behind every other put that is known; the order of all is judged at the end (P5)."""
        winner = None if seen is None else self.causality.state_of[seen]
        for server in self.causality.servers:
            # Earlier puts on the same server come before the last one anyway.
            txns = self.puts[place, server]
            at = bisect_right(txns, self.clocks[state][server])
            if at and winner is None:
                yield Violation("P5", f"Server {server} wrote {place} in {txns[at - 1]}, and it is empty: {read}.")
            elif at and winner is not None:
                rival = self.causality.floor_state(server, txns[at - 1])[0]
                if rival != winner:
                    self.causality.before[winner].add(rival)


def slot_table(history: History) -> dict[tuple[str, int], str]:
    """Who has which slot: (counter, slot) -> write."""
    return {
        (effect.place, effect.slot): write.name
        for write in history.writes
        for effect in write.effects
        if effect.kind == "increment"
    }
