"""The planted bugs: the engine broken in one rule each, which the world must notice.

Rules: a bug replaces one function of the real modules, of those that the stores of a world run. Where the compiled core
does the work, the world runs on the plain twins (`core`). What the first worlds notice is said by the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import pytest

from crdtstore import core
from crdtstore.crdt import join
from crdtstore.crdt.cell import Total
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.timestamp import from_milliseconds
from crdtstore.crdt.vector import Reached, VersionVector, is_covered, vector_digest
from crdtstore.errors import CrdtStoreError, Divergence, RecordAhead, StoreError
from crdtstore.replication import answer, compare, exchange, joining, missing, snapshot
from crdtstore.sim.conversation import Conversation
from crdtstore.sim.parameters import Parameters
from crdtstore.storage.draft import Draft
from crdtstore.storage.head import Head
from crdtstore.storage.ranges import Ranges
from crdtstore.store import Store
from crdtstore.version import arrival, delivery, transaction, trim
from crdtstore.version import join as joins
from crdtstore.version.sequencer import Job, Sequencer

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
IsObserved: TypeAlias = Callable[[Stamp], bool]


# --- durability and epochs ---


def acknowledged_before_commit(patch: pytest.MonkeyPatch) -> None:
    """Clients are told before the disk has it."""
    finish = Sequencer.finish

    def broken(self: Sequencer, batch: Any, jobs: Sequence[Job], outcomes: Sequence[Any]) -> None:
        for job, (result, refusal) in zip(jobs, outcomes, strict=True):
            if refusal is None and not job.future.done():
                job.future.set_result(result)
        later = [
            Job(job.run, type("Told", (), {"set_result": print_nothing, "set_exception": print_nothing})(), 0)
            for job in jobs
        ]
        finish(self, batch, later, outcomes)

    patch.setattr(Sequencer, "finish", broken)


def print_nothing(*_: object) -> None:
    """Take an outcome that was told before."""


def failed_commit_is_taken_for_done(patch: pytest.MonkeyPatch) -> None:
    """A commit that failed is answered as if it had not."""
    finish = Sequencer.finish

    class Deaf:
        """A batch whose commit never fails."""

        def __init__(self, batch: Any) -> None:
            self.batch = batch

        def commit(self) -> None:
            try:
                self.batch.commit()
            except StoreError:
                return

    def broken(self: Sequencer, batch: Any, jobs: Sequence[Job], outcomes: Sequence[Any]) -> None:
        finish(self, Deaf(batch), jobs, outcomes)  # type: ignore[arg-type]

    patch.setattr(Sequencer, "finish", broken)


def no_epoch_after_lost_commits(patch: pytest.MonkeyPatch) -> None:
    """A store whose last commits may be lost goes on under its old origin."""
    patch.setattr(Store, "settle_epoch", lambda store, *, volatile: None)


def no_epoch_after_restore(patch: pytest.MonkeyPatch) -> None:
    """A restored store and a clone go on under their old origin."""
    patch.setattr(Store, "renew_epoch", lambda store: store.origin)


def refused_write_leaves_its_document(patch: pytest.MonkeyPatch) -> None:
    """A transaction that is refused has put its documents already."""
    check = transaction.check_collections
    drafts: list[Draft] = []
    changes = Draft.changes

    def noted(draft: Draft) -> Any:
        drafts.append(draft)
        return changes(draft)

    def broken(head: Head, changed: Any) -> None:
        check(head, changed)
        if changed and len(changed) > 1:
            drafts[-1].put()
            raise CrdtStoreError("Refused.")

    patch.setattr(Draft, "changes", noted)
    patch.setattr(transaction, "check_collections", broken)


# --- time and order ---


def timestamps_not_strict(patch: pytest.MonkeyPatch) -> None:
    """The clock is not ahead of what was observed, only not behind."""
    patch.setattr(transaction, "next_timestamp", lambda clock, greatest: max(from_milliseconds(clock), greatest))


def own_origin_clock(patch: pytest.MonkeyPatch) -> None:
    """The clock is ahead of its own origin's log only."""
    advance = Head.advance

    def broken(head: Head, origin: bytes, *reached: Any) -> None:
        greatest = head.greatest
        advance(head, origin, *reached)
        if origin != head.origin:
            head.greatest = greatest

    patch.setattr(Head, "advance", broken)


def own_order_of_each_origin(patch: pytest.MonkeyPatch) -> None:
    """Records are given origin by origin, and taken without a look at what they depend on."""
    lacking = missing.lacking

    def broken(*known: Any) -> Iterator[missing.Line]:
        return iter(sorted(lacking(*known), key=lambda line: (line.origin, line.position)))

    patch.setattr(missing, "lacking", broken)
    patch.setattr(delivery, "check_causal", lambda *_: None)


def author_vector_forgets_relayed(patch: pytest.MonkeyPatch) -> None:
    """A record does not tell what its author had seen from other origins."""
    patch.setattr(Head, "observed_since", lambda head: {})


def receiver_decides_what_was_observed(patch: pytest.MonkeyPatch) -> None:
    """What a record observed is judged by the receiver's vector instead of its author's."""
    coverage = Head.coverage
    patch.setattr(Head, "coverage", lambda head, origin, observed: coverage(head, origin, head.vector))


# --- delivery ---


def redelivered_record_is_applied_again(patch: pytest.MonkeyPatch) -> None:
    """A record that comes twice is merged twice."""
    check_same = delivery.check_same

    def broken(batch: Any, record: Any, data: bytes, cut_digest: bytes | None) -> None:
        check_same(batch, record, data, cut_digest)
        here = calls[-1]
        delivery.apply_record(batch, here[0], here[1], record, data)

    def noted(batch: Any, catalog: Any, head: Any, *rest: Any) -> Any:
        calls.append((catalog, head))
        return deliver(batch, catalog, head, *rest)

    deliver = delivery.deliver
    calls: list[tuple[Any, Any]] = []
    patch.setattr(delivery, "deliver", noted)
    patch.setattr(delivery, "check_same", broken)


def refused_record_is_skipped(patch: pytest.MonkeyPatch) -> None:
    """A record beyond a local limit is left out, and what follows it taken."""

    def broken(batch: Any, catalog: Any, head: Head, entries: Any, clock: int) -> Iterator[bool]:
        for data, digest in entries:
            record = core.read_head(data)
            try:
                yield delivery.deliver(batch, catalog, head, data, clock, digest)
            except RecordAhead:
                before = head.reached(record.origin)
                chain = core.chain_digest(before.digest, data)
                head.advance(record.origin, Reached(record.position, record.timestamp, chain), record.observed)
                yield True

    patch.setattr(arrival, "deliver_entries", broken)


def vector_passes_a_lost_entry(patch: pytest.MonkeyPatch) -> None:
    """The last entry of a frame is claimed and not applied."""
    deliver_entries = delivery.deliver_entries

    def broken(batch: Any, catalog: Any, head: Head, entries: Any, clock: int) -> Iterator[bool]:
        *first, (data, digest) = entries
        yield from deliver_entries(batch, catalog, head, first, clock)
        record = core.read_head(data)
        before = head.reached(record.origin)
        if record.position == before.position + 1:
            chain = digest or core.chain_digest(before.digest, data)
            head.advance(record.origin, Reached(record.position, record.timestamp, chain), record.observed)
            head.txn -= 1
        yield True

    patch.setattr(arrival, "deliver_entries", broken)


# --- the exchange ---


def stale_answer_is_taken(patch: pytest.MonkeyPatch) -> None:
    """An answer counts for whatever was asked last."""
    patch.setattr(Conversation, "waits_for", lambda conversation, asked: True)


def trimmed_log_is_served(patch: pytest.MonkeyPatch) -> None:
    """A log with a hole is given to a peer that lacks what stood there."""
    for module in (answer, exchange):
        patch.setattr(module, "below_floor", lambda *_: False)


def trimming_raises_no_floor(patch: pytest.MonkeyPatch) -> None:
    """What was trimmed is forgotten without a trace."""
    raise_floor = Head.raise_floor
    in_trim = []

    def trimmed(batch: Any, head: Head, until: int) -> int:
        in_trim.append(True)
        try:
            return forget(batch, head, until)
        finally:
            in_trim.pop()

    forget = trim.trim
    patch.setattr("crdtstore.writing.trim", trimmed)
    patch.setattr(Head, "raise_floor", lambda head, *place: None if in_trim else raise_floor(head, *place))


def join_raises_no_floor(patch: pytest.MonkeyPatch) -> None:
    """Records that came as state are taken for records of the log."""
    raise_floor = Head.raise_floor
    in_join = []
    head_join = Head.join

    def broken(head: Head, *known: Any) -> None:
        in_join.append(True)
        try:
            head_join(head, *known)
        finally:
            in_join.pop()

    patch.setattr(Head, "join", broken)
    patch.setattr(Head, "raise_floor", lambda head, *place: None if in_join else raise_floor(head, *place))


def pinned_snapshot_moves_on(patch: pytest.MonkeyPatch) -> None:
    """A join is read from the newest version, not from the one whose vector was told."""
    documents_of = answer.documents_of

    def broken(store: Store, pin: Any, asked: Any) -> Iterator[Any]:
        with store.storage.snapshot() as newest:
            moved = type("Moved", (), {"ranges": Ranges(newest, store.sequencer.catalog)})
            return iter(list(documents_of(store, moved, asked)))  # type: ignore[arg-type]

    patch.setattr(answer, "documents_of", broken)


def quarantine_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """Stores that compared their histories once do not again, and exchange with a peer that diverged."""
    seen: set[bytes] = set()

    def once(view: Any, head: Head, rows: Any) -> None:
        if head.origin not in seen:
            try:
                compare.compare(view, head, rows)
            except Divergence:
                seen.add(head.origin)
                raise

    for module in (answer, exchange):
        patch.setattr(module, "check_peer", lambda *_: None)
        patch.setattr(module, "compare", once)


def histories_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Nothing looks for forks: neither in vectors, nor in chains, nor in documents."""
    for module in (answer, exchange):
        patch.setattr(module, "compare", lambda *_: None)
    patch.setattr(arrival, "check_chains", lambda *_: None)
    patch.setattr(delivery, "check_same", lambda *_: None)
    patch.setattr(delivery, "check_next", lambda *_: None)
    patch.setattr(joins, "check_history", lambda *_: None)
    for module in (answer, exchange):
        patch.setattr(
            module,
            "vector_digest",
            lambda vector: vector_digest(
                {origin: reached._replace(digest=bytes(16)) for origin, reached in vector.items()}
            ),
        )
        patch.setattr(module, "documents_digest", lambda *_: bytes(16))


# --- joins ---


def join_adopts(patch: pytest.MonkeyPatch) -> None:
    """What the snapshot has takes the place of what is here."""
    patch.setattr(joins, "join", lambda ours, theirs, our_vector, their_vector: sorted(theirs))


def join_looks_at_one_side(patch: pytest.MonkeyPatch) -> None:
    """What is only there is taken, whether it was removed here or not."""
    whole = join.join
    patch.setattr(joins, "join", lambda ours, theirs, _, their_vector: whole(ours, theirs, {}, their_vector))


def join_without_vectors(patch: pytest.MonkeyPatch) -> None:
    """A join is the union of the cells."""
    whole = join.join
    patch.setattr(joins, "join", lambda ours, theirs, _, __: whole(ours, theirs, {}, {}))


def join_adds_totals(patch: pytest.MonkeyPatch) -> None:
    """What a replica added counts for each side that knows of it."""

    def broken(ours: Iterable[Total], theirs: Iterable[Total]) -> tuple[Total, ...]:
        totals: dict[bytes, Total] = {}
        for total in (*ours, *theirs):
            known = totals.get(total.stamp.replica)
            amount = total.amount + (known.amount if known else 0)
            totals[total.stamp.replica] = Total(max(total.stamp, known.stamp) if known else total.stamp, amount)
        return tuple(sorted(totals.values()))

    patch.setattr(join, "join_totals", broken)


def join_takes_the_greater_total(patch: pytest.MonkeyPatch) -> None:
    """Of a replica's total the greater amount counts, not the later."""

    def broken(ours: Iterable[Total], theirs: Iterable[Total]) -> tuple[Total, ...]:
        greatest: dict[bytes, Total] = {}
        for total in sorted((*ours, *theirs), key=lambda total: total.amount):
            greatest[total.stamp.replica] = total
        return tuple(sorted(greatest.values()))

    patch.setattr(join, "join_totals", broken)


def totals_keep_alive_in_joins(patch: pytest.MonkeyPatch) -> None:
    """An instance with a total that the other side has not seen survives."""
    patch.setattr(join, "survives", lambda cell, vector: not is_covered(vector, cell.recency[1]))


def snapshot_lacks_an_origin(patch: pytest.MonkeyPatch) -> None:
    """The vector of a snapshot forgets one of its origins."""

    def broken(data: bytes) -> Any:
        head = snapshot.decode_head(data)
        vector: VersionVector = dict(sorted(head.vector.items())[:-1])
        return head._replace(vector=vector) if len(head.vector) > 1 else head

    patch.setattr(joining, "decode_head", broken)


def join_forgets_author_vectors(patch: pytest.MonkeyPatch) -> None:
    """After a join nobody knows what the authors of its records had seen."""
    head_join = Head.join
    patch.setattr(Head, "join", lambda head, origin, reached, _: head_join(head, origin, reached, {}))


Worlds: TypeAlias = Literal["honest", "forked", "tied"]

SHOWS: Mapping[Worlds, Callable[[Parameters], bool]] = {
    "honest": lambda world: not world.is_forked,
    "forked": lambda world: world.is_forked,
    "tied": lambda world: world.has_ties and not world.is_forked,
}
"""Which worlds are meant: without forked histories, with them, and with one client whose writes bear the same time."""


class Planted(NamedTuple):
    """A bug, the core whose stores have it, and the worlds that can show it soon."""

    plant: Plant
    core: Literal["plain", ""] = ""
    worlds: Worlds = "honest"

    def shows_in(self, world: Parameters) -> bool:
        """Whether a world is one of those that can show it soon."""
        return SHOWS[self.worlds](world)


IN_PROTOCOL: Sequence[Planted] = (
    Planted(acknowledged_before_commit),
    Planted(failed_commit_is_taken_for_done),
    Planted(no_epoch_after_lost_commits),
    Planted(no_epoch_after_restore),
    Planted(refused_write_leaves_its_document),
    Planted(timestamps_not_strict),
    Planted(own_origin_clock),
    Planted(own_order_of_each_origin),
    Planted(author_vector_forgets_relayed),
    Planted(receiver_decides_what_was_observed),
    Planted(redelivered_record_is_applied_again),
    Planted(refused_record_is_skipped),
    Planted(vector_passes_a_lost_entry),
    Planted(stale_answer_is_taken),
    Planted(trimmed_log_is_served),
    Planted(trimming_raises_no_floor),
    Planted(join_raises_no_floor),
    Planted(pinned_snapshot_moves_on),
    Planted(quarantine_is_ignored, worlds="forked"),
    Planted(histories_are_not_compared, worlds="forked"),
    Planted(join_adopts),
    Planted(join_looks_at_one_side),
    Planted(join_without_vectors),
    Planted(join_adds_totals),
    Planted(join_takes_the_greater_total),
    Planted(totals_keep_alive_in_joins),
    Planted(snapshot_lacks_an_origin),
    Planted(join_forgets_author_vectors),
)
