"""A staged transaction leaves what its commands leave one by one: answers, errors, and every row of the store."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import Store, Upsert, _core, core
from tests.core.staging import differences
from tests.laws.conftest import use_core

SEQUENCES = 8
TRANSACTIONS = 60

real: Any = _core.stage_upserts


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    use_core("compiled", monkeypatch)


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_staged_and_one_by_one_agree(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = []

    def counting(*given: Any) -> Any:
        staged.append(real(*given))
        return staged[-1]

    monkeypatch.setattr(core, "stage_upserts", counting)
    assert differences(tmp_path, Random(seed), TRANSACTIONS, monkeypatch) == []
    # Both ways were gone.
    assert 5 < sum(each is not None for each in staged) < len(staged) - 5


def later(*given: Any) -> Any:
    """Stamps are one too late."""
    return real(*given[:7], given[7] + 1, *given[8:])


def backwards(*given: Any) -> Any:
    """Commands run in the wrong order: answers and numbers of paths are not theirs."""
    return real(*given[:2], given[2][::-1], *given[3:])


def blind(*given: Any) -> Any:
    """Nothing was observed: what is overwritten stays beside the new value."""
    return real(*given[:9], array("Q"), *given[10:])


def last_wins(*given: Any) -> Any:
    """Of several commands on one document only the last one counts."""
    ids = {repr((each.collection, each.id)): each for each in given[2] if hasattr(each, "value")}
    return real(*given[:2], tuple(ids.values()), *given[3:])


def untyped(*given: Any) -> Any:
    """Declared types and INITIAL are forgotten."""
    plain = tuple(
        given[3](each.collection, each.value, each.id) if hasattr(each, "value") else each for each in given[2]
    )
    return real(*given[:2], plain, *given[3:])


@pytest.mark.parametrize("planted", [later, backwards, blind, last_wins, untyped])
def test_planted_bugs_are_found(planted: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "stage_upserts", planted)
    seeds = (differences(tmp_path / str(seed), Random(seed), TRANSACTIONS, monkeypatch) for seed in range(SEQUENCES))
    assert any(seeds)


def test_an_object_is_not_taken_for_one_that_was_remembered_before(tmp_path: Path) -> None:
    """Of many objects that differ few are remembered, and each leaves its own order of paths."""
    with Store.open(tmp_path / "store", durability="none") as store:

        def others(first: int, count: int) -> None:
            for number in range(first, first + count):
                store.write([Upsert("c", {f"{number} z": 1, f"{number} y": 2, f"{number} x": 3}, id=number)])

        for phase in range(8):
            others(100 * phase, 16 + phase)
            for time in range(2):
                store.write([Upsert("c", {"only": phase}, id=f"{phase} {time}")])
                found = store.get("c", f"{phase} {time}")
                assert found is not None
                assert found.fields == {"only": phase}
                others(100 * phase + 50, 1)
