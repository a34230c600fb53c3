"""Faults that are planted in live queries: each is found by the histories of the normal run, long before they end.

Rules: a fault takes the place of one name of one class or module. Rows that a find would not give, or what raises,
is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from crdtstore.live import difference, follow, query
from crdtstore.live.difference import Difference
from crdtstore.live.follow import Follower
from crdtstore.live.query import LiveQuery, Result
from crdtstore.live.window import Kept, Window
from crdtstore.query.order import sort_key
from tests.live.histories import histories
from tests.query.harness import LANGUAGES

HISTORIES_MAX = 2_500
"""Within so many each must be found: a quarter of those of a normal run."""


SEED = 4
"""By chance its histories come sooner to the rarer faults than those of others do."""


class Fault(NamedTuple):
    """A fault: where it is planted, and what makes it of what stands there."""

    what: str
    place: Any
    name: str
    spoil: Callable[[Any], Any]


def constantly(value: Any) -> Callable[[Any], Any]:
    """Whatever it was, it is this now."""
    return lambda _original: value


def with_backward_ties(original: Any) -> Any:
    return lambda order, lookup, id_key: sort_key(order, lookup, bytes(255 - byte for byte in id_key))


def with_fixed_horizon(original: Any) -> Any:
    def cut(window: Window) -> None:
        kept = window.horizon
        original(window)
        window.horizon = kept

    return cut


def that_keeps_places(original: Any) -> Any:
    def put(window: Window, row: Kept) -> None:
        known = window.key_of.get(row.id)
        original(window, row if known is None else row._replace(key=known))

    return put


def that_overlooks_same_keys(original: Any) -> Any:
    def put(window: Window, row: Kept) -> None:
        if window.key_of.get(row.id) != row.key:
            original(window, row)

    return put


def that_hides_what_it_does(original: Any) -> Any:
    def put(window: Window, row: Kept) -> None:
        touched = window.touched
        original(window, row)
        window.touched = touched

    return put


def that_forgets_to_drop(original: Any) -> Any:
    def put(window: Window, row: Kept) -> None:
        known = window.key_of.pop(row.id, None)
        original(window, row)
        if known is not None and row.id not in window.key_of:
            window.key_of[row.id] = known

    return put


def of_living_only(original: Any) -> Any:
    return lambda live, catalog, documents: original(live, catalog, [each for each in documents if each[1]])


def without_filter(original: Any) -> Any:
    def judge(live: LiveQuery, catalog: Any, documents: Any) -> bool:
        known = [each for each in documents if each[0] in live.window.key_of or not each[1]]
        return bool(original(live, catalog, known))

    return judge


def of_log_only(original: Any) -> Any:
    return lambda *told: original(*told)._replace(anything=False)


def that_takes_all(original: Any) -> Any:
    return lambda window, rows, whole: original(window, rows, whole=True)


def without_projection(original: Any) -> Any:
    return lambda catalog, collection, row, asked: original(catalog, collection, row, replace(asked, paths=None))


def with_old_changes(original: Any) -> Any:
    def publish(live: LiveQuery, txn: int) -> bool:
        before = live.result
        done: bool = original(live, txn)
        if done and before is not None and live.result is not None:
            live.result = live.result._replace(changes=before.changes)
        return done

    return publish


def of_one_round_only(original: Any) -> Any:
    def change_from(result: Result, seen: Result | None, txn: int) -> Any:
        made = original(result, seen, txn)
        if made is not None and seen is not None and result.number - seen.number > 1:
            made.difference = made.difference._replace(deletions=())
        return made

    return change_from


def part_of(**changes: Any) -> Callable[[Any], Any]:
    """A difference of which something is left out."""
    return lambda original: lambda old, new: original(old, new)._replace(**changes)


def that_updates_what_stays(original: Any) -> Any:
    def spoilt(old: Any, new: Any) -> Difference:
        made: Difference = original(old, new)
        moved = {move.target for move in made.moves}
        return made._replace(updates=tuple(each for each in made.updates if each.place not in moved))

    return spoilt


def with_places_of_old_rows(original: Any) -> Any:
    return lambda old, new: original(old, new)._replace(
        insertions=tuple(each._replace(place=max(0, each.place - 1)) for each in original(old, new).insertions)
    )


FAULTS = (
    Fault("ties come by id backwards", query, "sort_key", with_backward_ties),
    Fault("what stands behind the horizon is taken in", Window, "reaches", constantly(lambda _window, _key: True)),
    Fault("the horizon stays when a row is cut off", Window, "cut", with_fixed_horizon),
    Fault("every search is taken to give all", Window, "fill", that_takes_all),
    Fault("a window that knows too little is not filled", Window, "lacks", constantly(property(lambda _window: False))),
    Fault("a row keeps its place when its key changes", Window, "put", that_keeps_places),
    Fault("a row whose key is the same is not updated", Window, "put", that_overlooks_same_keys),
    Fault("a row that moves is not dropped first", Window, "put", that_forgets_to_drop),
    Fault("a row that does not match any more stays", Window, "drop", constantly(lambda _window, _id: None)),
    Fault("rows of removed documents stay", LiveQuery, "judge", of_living_only),
    Fault("documents that begin to match are overlooked", LiveQuery, "judge", without_filter),
    Fault("an offset is not heeded", Window, "shown", constantly(lambda window: tuple(window.rows[: window.last]))),
    Fault("a joined snapshot is not heeded", follow, "changed", of_log_only),
    Fault("a query goes on where the log was trimmed", query, "first_txn", constantly(lambda _snapshot: 0)),
    Fault("a trimmed round is taken for an empty one", follow, "touched_in", of_log_only),
    Fault("a changed document is shown whole", query, "show_as", without_projection),
    Fault("what a query missed until it follows is lost", Follower, "begin", constantly(lambda *_: None)),
    Fault("a query does not catch up", LiveQuery, "catch_up", constantly(lambda *_: False)),
    Fault("a query is put back by an older round", LiveQuery, "is_behind", constantly(lambda *_: True)),
    Fault("who comes late is told an earlier difference", LiveQuery, "publish", with_old_changes),
    Fault("who comes late is told too little", Result, "change_from", of_one_round_only),
    Fault("a row that is another is taken for the same", Window, "put", that_hides_what_it_does),
    Fault("moves are left out", query, "difference", part_of(moves=())),
    Fault("updates are left out", query, "difference", part_of(updates=())),
    Fault("moved rows are not updated", query, "difference", that_updates_what_stays),
    Fault("insertions stand one too early", query, "difference", with_places_of_old_rows),
    Fault("rows that move are taken for those that stay", difference, "fewest_moves", constantly(lambda _stayed: [])),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault.place, fault.name, fault.spoil(getattr(fault.place, fault.name)))
    assert is_found(), f"No history tells that {fault.what}."


def is_found() -> bool:
    """Whether any history goes wrong."""
    try:
        return any(not outcome.right for outcome in histories(tuple(LANGUAGES), SEED, HISTORIES_MAX))
    except Exception:  # noqa: BLE001  whatever it is, it was found
        return True
