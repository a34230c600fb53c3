"""All small histories: every pair, and every triple on demand, in every causal order, on every engine.

`CRDTSTORE_LAWS=full` runs the large version (more than 10^7 cases). Without it the pairs are exhaustive on
the plain modules and on the compiled core, and everything else is a seeded sample: at least 10^5 cases a run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from crdtstore.crdt import names
from crdtstore.limits import PATHS_PER_COLLECTION_MAX
from tests.laws.checker import Count, Laws
from tests.laws.conftest import use_core
from tests.laws.histories import History, all_histories, sampled_histories, shapes
from tests.laws.model import Model
from tests.laws.specification import Specification
from tests.laws.stores import Logs, make_engine

SEED = 20_240_229
CORES = ("plain", "compiled")


def samples(pairs: int, triples: int) -> Iterator[History]:
    """Samples of pairs and triples."""
    return chain(sampled_histories(2, pairs, SEED), sampled_histories(3, triples, SEED))


def test_shapes_are_counted() -> None:
    """By hand: who may have seen whom among one, two and three transactions on up to three stores."""
    assert [len(list(shapes(size))) for size in (1, 2, 3)] == [1, 3, 18]


def test_every_pair_on_the_plain_modules(counted: dict[str, Count], *, is_full: bool) -> None:
    laws = Laws(Specification())
    triples = all_histories(3) if is_full else sampled_histories(3, 1_800, SEED)
    counted["plain modules"] = laws.check_all(chain(all_histories(1), all_histories(2), triples))
    assert laws.count.cases >= (10_000_000 if is_full else 100_000)


def test_model(counted: dict[str, Count], *, is_full: bool) -> None:
    """The control group: an engine of version vectors agrees with the oracle, which knows none."""
    sample = 100_000 if is_full else 400
    counted["model"] = Laws(Model()).check_all(samples(sample, sample))


@pytest.mark.parametrize("place", ["logs", "memory", "disk"])
def test_both_cores(
    place: str, counted: dict[str, Count], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_full: bool
) -> None:
    """Plain against compiled, each against the oracle; the same to the last byte of record and digest."""
    pairs, triples = {"logs": (300, 200), "memory": (40, 20), "disk": (20, 30)}[place]
    times = 100 if is_full else 1
    traces = set()
    for core in CORES:
        with monkeypatch.context() as patch:
            use_core(core, patch)
            laws = Laws(make_engine(place, core, tmp_path))
            counted[laws.engine.name] = laws.check_all(samples(pairs * times, triples * times))
            traces.add(laws.trace.digest())
    assert len(traces) == 1


def test_a_full_dictionary_of_paths(
    counted: dict[str, Count], monkeypatch: pytest.MonkeyPatch, *, is_full: bool
) -> None:
    """Paths that have no number are kept in the document, and nobody can tell."""
    traces = set()
    for core, maximum in itertools.product(CORES, (PATHS_PER_COLLECTION_MAX, 2, 0)):
        with monkeypatch.context() as patch:
            use_core(core, patch)
            patch.setattr(names, "PATHS_PER_COLLECTION_MAX", maximum)
            laws = Laws(Logs(core))
            counted[f"{laws.engine.name}, {maximum} paths"] = laws.check_all(samples(*[2_000 if is_full else 40] * 2))
            traces.add(laws.trace.digest())
    assert len(traces) == 1


def test_the_compiled_core(counted: dict[str, Count], monkeypatch: pytest.MonkeyPatch, *, is_full: bool) -> None:
    """Every pair on the compiled core too, and more triples than the plain one has time for."""
    use_core("compiled", monkeypatch)
    triples = all_histories(3) if is_full else sampled_histories(3, 1_800, SEED + 1)
    laws = Laws(Logs("compiled"))
    counted[f"{laws.engine.name}, every pair"] = laws.check_all(chain(all_histories(1), all_histories(2), triples))
    assert laws.count.cases >= (10_000_000 if is_full else 100_000)
