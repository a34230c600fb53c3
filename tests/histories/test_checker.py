"""The checker and the witness: they accept every history that is right, and no planted error passes.

The histories are made by `model`. `test_histories` plants the same errors in what real servers did.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from tests.histories.checker import check
from tests.histories.history import (
    BASE,
    SLOTS,
    Effect,
    History,
    Logged,
    Read,
    Seen,
    Write,
    load,
    save,
    slots_of,
)
from tests.histories.lines import logged_states
from tests.histories.model import make_history
from tests.histories.planted import PLANTED, Planted, assert_found
from tests.histories.witness import hear

EVENTS = 1_500
PLANTED_EVENTS = 500
PLACES = 1
"""In how many places of each history an error is planted."""

MANY_SEEDS = pytest.param(range(100, 400), marks=pytest.mark.slow)


@cache
def history_of(seed: int, events: int = EVENTS) -> History:
    return make_history(seed, events, stores=2 + seed % 4)


@pytest.mark.parametrize("seeds", [range(7), MANY_SEEDS])
def test_no_false_alarm(seeds: range) -> None:
    events = 0
    for seed in seeds:
        history = history_of(seed)
        assert check(history) == []
        assert hear(history) == []
        events += history.size
    assert events >= len(seeds) * EVENTS


def test_one_seed_is_one_history() -> None:
    assert make_history(7, 300) == make_history(7, 300)
    assert make_history(7, 300) != make_history(8, 300)


def test_the_histories_hold_what_is_hard_to_judge() -> None:
    history = history_of(1)
    logged = logged_states(history)
    unknown = [write for write in history.writes if write.outcome == "unknown"]
    assert {write.name in logged for write in unknown} == {True, False}
    assert {read.outcome for read in history.reads} == {"ok", "refused"}
    assert {read.exact for read in history.reads} == {True, False}
    assert any(write.outcome == "refused" for write in history.writes)
    assert len(list(lost_to_rivals(history))) > 10


def lost_to_rivals(history: History) -> Iterator[Write]:
    """Yield puts over which one won that had been answered elsewhere before they began."""
    writes = {write.name: write for write in history.writes}
    last: dict[tuple[int, str], Write] = {}
    """(server, register) -> the last put there that was answered."""
    for event in history.events():
        if isinstance(event, Write):
            puts = [effect.place for effect in event.effects if effect.kind == "put" and event.outcome == "ok"]
            last.update({(event.server, place): event for place in puts})
            continue
        for place, seen in event.seen.items():
            put = last.get((event.server, place))
            if put and put.returned < event.invoked and isinstance(seen, str) and writes[seen].returned < put.invoked:
                yield put


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.error.__name__)
def test_a_planted_error_is_found(planted: Planted) -> None:
    histories = [history_of(seed, PLANTED_EVENTS) for seed in (1, 2)]
    wrong = [bad for history in histories for bad in islice(planted.error(history), PLACES)]
    assert len(wrong) >= len(histories)
    for bad in wrong:
        assert_found(planted, bad)


def test_a_kept_history_is_judged_alike(tmp_path: Path) -> None:
    history = history_of(2)
    save(history, tmp_path / "history.json")
    assert load(tmp_path / "history.json") == history


def test_a_violation_says_what_and_where() -> None:
    history = history_of(3, PLANTED_EVENTS)
    error = next(planted.error for planted in PLANTED if planted.error.__name__ == "torn")
    (violation,) = check(next(error(history)))
    assert violation.promise == "P5"
    assert "circle: server" in violation.detail


@pytest.mark.parametrize(
    ("seen", "promises"),
    [
        ({"r1": "1.0"}, []),
        ({"s1": frozenset({"2.0"})}, []),
        ({"s1": frozenset()}, ["P9"]),
        ({"r1": None}, ["P5"]),
    ],
)
def test_a_read_of_a_lower_bound_is_not_before_the_one_that_its_session_made_first(
    seen: dict[str, Seen], promises: list[str]
) -> None:
    """The first saw more than its bound says, what nobody was told of yet; the second is of another place."""
    added = frozenset({"2.0"})
    writes = [
        Write("1.0", 1, 0, 1, 2, None, "ok", 1, (Effect("put", "r1"),)),
        Write("2.0", 2, 0, 3, 9, None, "ok", 2, (Effect("add", "s1"),)),
    ]
    reads = [
        Read(1, 0, 3, 5, None, "ok", 1, False, {"s1": added}),
        Read(1, 0, 6, 7, None, "ok", 1, False, seen),
        Read(1, 0, 8, 10, None, "ok", 2, True, {"r1": "1.0", "s1": added}),
    ]
    logs = [Logged(write.txn, 0, write.txn, (write.txn, bytes(16), bytes(16)), write.name, {}) for write in writes]
    final = [Read(1, 0, 11, 12, None, "ok", 2, True, {"r1": "1.0", "s1": added})]
    found = check(History(writes, reads, [logs], final, [""]))
    assert [violation.promise for violation in found] == promises


def test_an_empty_history_keeps_every_promise() -> None:
    nothing = History([], [], [[], []], [], ["", ""])
    assert check(nothing) == hear(nothing) == []


def test_a_counter_tells_how_often_each_increment_is_in_it() -> None:
    assert slots_of(0) == {}
    assert slots_of(BASE**3 + 2 * BASE**30) == {3: 1, 30: 2}
    assert slots_of(-1) == slots_of(BASE**SLOTS) == {SLOTS: 1}


def test_every_planted_error_is_documented() -> None:
    page = Path(__file__).parents[2] / "docs" / "histories.md"
    rows = (
        page.read_text(encoding="utf-8").partition("<!-- planted: begin -->")[2].partition("<!-- planted: end -->")[0]
    )
    assert rows.splitlines()[3:] == [row_of(planted.error.__name__, planted.error.__doc__ or "") for planted in PLANTED]


def row_of(name: str, text: str) -> str:
    """The row of a planted error, made of its docstring."""
    return f"| `{name}` | {text[0].lower()}{text[1:-1]} |"
