"""Joins of small histories: one pair in THINNED in every run, every pair and triple on demand.

`CRDTSTORE_LAWS=full` runs the large version. Without it one pair of transactions in THINNED is joined in all ways on
the plain modules (`crdtstore/crdt/join.py`), and the rest is a seeded sample, on these and on the model.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from itertools import chain, islice

import pytest
from hypothesis import given, settings

from crdtstore.crdt import join
from tests.laws.checker import Count, describe
from tests.laws.engine import Joiner
from tests.laws.histories import CLIENTS, MENU, ORIGINS, History, all_histories, sampled_histories, shuffled_histories
from tests.laws.joins import JoinLaws, JoinRun
from tests.laws.model import Model
from tests.laws.operations import Mark, Put, Remove
from tests.laws.specification import Specification
from tests.laws.test_planted_in_specification import authors_forgotten
from tests.laws.test_random_histories import histories

SEED = 20_240_301
THINNED = 5
"""No divisor of the number of operations, nor of ways to put two into a history: all of them are in some."""

ENGINES = (Model, Specification)


def test_pairs_on_the_plain_modules(counted: dict[str, Count], *, is_full: bool) -> None:
    laws = JoinLaws(Specification())
    pairs = all_histories(2) if is_full else islice(all_histories(2), None, None, THINNED)
    triples = all_histories(3) if is_full else sampled_histories(3, 200, SEED)
    counted["joins, plain modules"] = laws.check_all(chain(all_histories(1), pairs, triples))
    assert laws.count.joins >= (10_000_000 if is_full else 30_000)


def test_model(counted: dict[str, Count], *, is_full: bool) -> None:
    """The control group: an engine of version vectors agrees with the oracle, which knows none."""
    sample = 50_000 if is_full else 200
    laws = JoinLaws(Model())
    counted["joins, model"] = laws.check_all(
        chain(sampled_histories(2, sample, SEED), sampled_histories(3, sample, SEED))
    )


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_whichever_two_are_joined_first(engine: type[Joiner], counted: dict[str, Count], *, is_full: bool) -> None:
    pairs, triples = (2_000, 200) if is_full else (50, 5)
    laws = JoinLaws(engine())
    some = islice(shuffled_histories(2, MENU), pairs)
    counted[f"joins of three, {engine.name}"] = laws.check_three(chain(some, sampled_histories(3, triples, SEED)))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_longer_histories(engine: type[Joiner]) -> None:
    @given(histories())
    @settings(max_examples=80)
    def holds(history: History) -> None:
        JoinLaws(engine()).check_by(history, lambda run: JoinRun.join_some(run, random.Random(repr(history))))

    holds()


def wrongly_left_out(histories: Iterable[History]) -> Iterator[str]:
    """Where a store that was equal to another one, went on, and left the other's documents out, is wrong."""
    for history in histories:
        laws = JoinLaws(Specification())
        run = JoinRun(laws, history)
        run.write()
        for before, now, theirs in itertools.product(run.sets, repeat=3):
            was, is_now, other = (run.holding(applied) for applied in (before, now, theirs))
            if before < now and run.truth(before) == run.truth(theirs):
                is_right = run.truth(now) == run.truth(now | theirs)
                if not is_right and join.may_leave_out(was.reached, is_now.reached, other.reached):
                    yield f"{sorted(before)}, {sorted(now)} without {sorted(theirs)}: {describe(history)}"


def left_out_unasked(patch: pytest.MonkeyPatch) -> None:
    """Documents that were equal are left out, whatever has come here since."""
    patch.setattr(join, "may_leave_out", lambda compared, ours, theirs: True)


def test_what_was_equal_may_be_left_out(monkeypatch: pytest.MonkeyPatch, *, is_full: bool) -> None:
    pairs = islice(shuffled_histories(2, MENU), None if is_full else 400)
    assert list(wrongly_left_out(pairs)) == []
    left_out_unasked(monkeypatch)
    assert next(wrongly_left_out(shuffled_histories(1, MENU)), None), "the bug was not caught"


def test_the_harm_of_forgotten_author_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A remover that had told long ago what it had seen does not tell again: its snapshot has to."""
    authors_forgotten(monkeypatch)
    engine = Specification()
    author, remover, late = (engine.open(origin, 1) for origin in ORIGINS[:3])
    engine.deliver(remover, engine.originate(author, CLIENTS[0], [Put(("d", "x"), 1)]))
    engine.originate(remover, CLIENTS[1], [Mark(("e",))])
    engine.join(late, remover)
    engine.deliver(late, engine.originate(remover, CLIENTS[1], [Remove(("d",))]))
    assert engine.visible(remover) == {"e": {}}
    assert engine.visible(late) == {"d": {"x": 1}, "e": {}}


def test_diverged_vectors_are_never_joined() -> None:
    """Whoever joins has compared digests before; one who did not is stopped."""
    engine = Specification()
    one, other = engine.open(ORIGINS[0], 1), engine.open(ORIGINS[0], 1)
    for store, value in ((one, 1), (other, 2)):
        engine.originate(store, CLIENTS[0], [Put(("d", "x"), value)])
    with pytest.raises(AssertionError, match="diverged"):
        join.join_vectors(one.reached, other.reached)
