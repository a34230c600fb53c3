"""Plain writes that the core sequences in a row leave what they leave one by one: answers, errors, every row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from crdtstore import Store, Upsert, _core, core
from crdtstore.command.command import Command
from crdtstore.command.execute import check_commands
from crdtstore.errors import CrdtStoreError
from crdtstore.version.plain import Plain
from crdtstore.version.sequencer import Job
from crdtstore.writing import KINDS, run_alone
from tests.core.staging import ACTORS, NOW, ORIGIN, rows, transaction, twins
from tests.laws.conftest import use_core

SEEDS = 3
GROUPS = 20

real: Any = _core.sequence_upserts


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    use_core("compiled", monkeypatch)


def with_ids(commands: Sequence[Command]) -> list[Command]:
    """The same commands, each with an id: those that are made are others each time."""
    return [
        msgspec.structs.replace(command, id=number)
        if isinstance(command, Upsert) and command.id is msgspec.UNSET and "_id" not in command.value
        else command
        for number, command in enumerate(commands, 1_000)
    ]


def group(random: Random) -> list[tuple[list[Command], bytes]]:
    """Transactions of one commit group, and their authors."""
    lists = [transaction(random)[0][: random.choice((1, 1, 1, 3))] for _ in range(random.choice((1, 2, 5, 12)))]
    authors = [random.choice(ACTORS) if random.random() < 0.9 else random.randbytes(16) for _ in lists]
    return [(with_ids(commands), author) for commands, author in zip(lists, authors, strict=True)]


def commit(store: Store, writes: Sequence[tuple[list[Command], bytes]]) -> list[str]:
    """Commit a group; what came of each of its transactions."""
    jobs = [
        Job(Plain(check_commands(commands), actor, run_alone, lambda: NOW, KINDS), Future(), 0)
        for commands, actor in writes
    ]
    store.sequencer.commit_group(jobs)
    return [outcome(job.future) for job in jobs]


def outcome(future: Future[Any]) -> str:
    """An answer or an error, comparable."""
    error = future.exception(0)
    if error is None:
        return repr(future.result(0))
    return f"{type(error).__name__} {error} {getattr(error, 'data', '')}"


def differences(folder: Path, random: Random, patch: pytest.MonkeyPatch, run: Callable[..., Any] = real) -> list[str]:
    """Commit the same groups on two stores, one of them without the core's run; says what differs first."""
    with twins(folder) as both:
        for number in range(GROUPS):
            writes = group(random)
            done = []
            for store in both:
                with patch.context() as inner:
                    inner.setattr(core, "sequence_upserts", run if store is both.staged else None)
                    done.append(commit(store, writes))
            if done[0] != done[1]:
                return [f"group {number}: {done[0]} is not {done[1]}"]
            if rows(both.staged) != rows(both.plain):
                return [f"group {number}: the rows differ"]
    return []


@pytest.mark.parametrize("seed", range(SEEDS))
def test_in_a_row_and_one_by_one_agree(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def counting(*given: Any) -> Any:
        done = real(*given)
        taken.append(len(done))
        return done

    assert differences(tmp_path, Random(seed), monkeypatch, counting) == []
    # Both ways were gone.
    assert max(taken) > 1
    assert sum(taken) > 20
    assert taken.count(0) > 2


def later(*given: Any) -> Any:
    """Stamps are too late."""
    return real(*given[:5], given[5] + (1 << 40), given[6] + (1 << 40), *given[7:])


def backwards(*given: Any) -> Any:
    """The last comes first."""
    return real(*given[:3], [*given[3][: given[4]], *given[3][: given[4] - 1 : -1]], *given[4:])


def by_the_store(*given: Any) -> Any:
    """Nobody is the author."""
    writes = [each and Plain(each.commands, ORIGIN, each.alone, each.clock, each.kinds) for each in given[3]]
    return real(*given[:3], writes, *given[4:])


def forgetful(*given: Any) -> Any:
    """The head stays where it was."""
    head = given[2]
    before = head.txn
    done = real(*given)
    head.txn = before
    return done


@pytest.mark.parametrize("planted", [later, backwards, by_the_store, forgetful])
def test_planted_bugs_are_found(planted: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = (differences(tmp_path / str(seed), Random(seed), monkeypatch, planted) for seed in range(SEEDS))
    assert any(found)


def test_what_the_core_leaves_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is behind, a first transaction, an author or a collection that is new, something observed."""
    with twins(tmp_path) as (store, _):
        taken: list[int] = []

        def counting(*given: Any) -> Any:
            done = real(*given)
            taken.append(len(done))
            return done

        monkeypatch.setattr(core, "sequence_upserts", counting)

        def one(collection: str, actor: bytes) -> tuple[list[Command], bytes]:
            return [Upsert(collection, {"x": len(taken)}, id=1)], actor

        first, second = ACTORS
        commit(store, [one("c", first), one("c", first), one("c", second), one("c", second), one("n", second)])
        # The first one, and the ones of a new author and collection, ran alone.
        assert taken == [0, 1, 1]
        taken.clear()
        done = store.sequencer.head.greatest
        store.sequencer.head.greatest = NOW + 10**9 << 16
        commit(store, [one("c", first)])
        assert taken == [0]
        store.sequencer.head.greatest = done


def test_an_id_is_made_where_none_is_given(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        store.write([Upsert("c", {"x": 1})])
        futures = [store.submit([Upsert("c", {"x": number})]) for number in range(5)]
        ids = {future.result(60).results[0][0] for future in futures}
        assert len(ids) == 5
        assert all(store.get("c", id_) is not None for id_ in ids)


def test_a_refused_write_is_alone(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        store.write([Upsert("c", {"x": 1}, id=0)])
        bad: Any = [[]]
        futures = [store.submit([Upsert("c", {"x": 1}, id=bad if number == 2 else number)]) for number in range(5)]
        assert isinstance(futures[2].exception(60), CrdtStoreError)
        assert [future.result(60).txn for number, future in enumerate(futures) if number != 2] == [2, 3, 4, 5]
