"""Events expire when they said, are hidden at once, and are removed by the store that appended them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import Store, Upsert
from crdtstore.errors import InvalidValue
from crdtstore.limits import EVENT_TTL_SECONDS_MAX, EXPIRED_EVENTS_MAX
from crdtstore.query.tree import EVERY_DOCUMENT
from crdtstore.storage.tables import Table
from crdtstore.timeseries import read
from crdtstore.timeseries.append import append_events
from crdtstore.timeseries.expiry import ROWS, endings, seconds_between
from crdtstore.timeseries.moment import moment_at
from crdtstore.timeseries.read import count_events, read_events
from crdtstore.timeseries.remove import remove_events
from tests.timeseries.scene import LATE, SERIES, START, Scene, carry, values, written

LIVES = st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=12)


def stored(store: Store) -> int:
    """How many events lie in the store, expired ones too."""
    return store.count(f"__series:{SERIES}").count


def noted(store: Store) -> int:
    """How many events are noted to expire."""
    with store.storage.snapshot() as snapshot:
        return len(list(endings(snapshot, "~")))


def append_living(store: Store, lives: list[int | None], name: str = "") -> None:
    """Append events that live so many seconds, or for ever, from START on."""
    ends = [{} if life is None else {"_expiration": written(life)} for life in lives]
    append_events(
        store, SERIES, [{"_time": written(0), "n": f"{name}{number}", **end} for number, end in enumerate(ends)]
    )


def check_hidden(store: Store, lives: list[int | None], elapsed: int) -> None:
    """Every read shows those events that live longer, and no others."""
    living = [str(number) for number, life in enumerate(lives) if life is None or life > elapsed]
    assert sorted(event["n"] for event in values(store)) == sorted(living)
    assert sorted(event["n"] for event in values(store, order=["n"])) == sorted(living)
    assert count_events(store, SERIES, end=LATE) == len(living)


@given(LIVES, st.integers(0, 25))
def test_expired_events_are_hidden_at_once_and_removed_by_a_sweep(lives: list[int | None], elapsed: int) -> None:
    scene = Scene()
    store = scene.store()
    append_living(store, lives)
    scene.clock.forward(elapsed)
    check_hidden(store, lives, elapsed)
    assert stored(store) == len(lives)
    expired = [life for life in lives if life is not None and life <= elapsed]
    assert store.expiry.sweep() == len(expired)
    assert stored(store) == len(lives) - len(expired)
    assert noted(store) == len([life for life in lives if life is not None]) - len(expired)
    check_hidden(store, lives, elapsed)


def test_control_events_that_are_not_hidden_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "alive", lambda now: EVERY_DOCUMENT)
    scene = Scene()
    store = scene.store()
    append_living(store, [1])
    scene.clock.forward(1)
    with pytest.raises(AssertionError):
        check_hidden(store, [1], 1)


@given(LIVES, LIVES, st.integers(0, 25), st.booleans())
def test_two_stores_expire_alike_and_each_removes_its_own(
    here: list[int | None],
    there: list[int | None],
    elapsed: int,
    other_first: bool,  # noqa: FBT001  hypothesis gives it
) -> None:
    scene = Scene()
    one, other = scene.store(), scene.store()
    append_living(one, here, "one")
    append_living(other, there, "other")
    carry(one, other)
    carry(other, one)
    scene.clock.forward(elapsed)
    assert list(read_events(one, SERIES, end=LATE)) == list(read_events(other, SERIES, end=LATE))
    for store, lives in ((other, there), (one, here)) if other_first else ((one, here), (other, there)):
        own = len([life for life in lives if life is not None and life <= elapsed])
        before = stored(store)
        assert store.expiry.sweep() == own
        assert stored(store) == before - own
    carry(one, other)
    carry(other, one)
    assert one.digest() == other.digest()
    assert stored(one) == count_events(one, SERIES, end=LATE)


def expiration_of(store: Store) -> str | None:
    """When the newest event expires, as it is stored."""
    return values(store, order=["-n"])[0].get("_expiration")


# "TTL precedence: `_expiration` in the event > header `X-EVENT-TTL-SECONDS` > document in collection `__timeseries`
# with `_id` = series and numeric `default_ttl_seconds`. In the last two cases `_expiration` is added to the stored
# event."
@pytest.mark.parametrize("default", [None, 3_600, 3_600.5])
@pytest.mark.parametrize("ttl", [None, 60])
@pytest.mark.parametrize("said", [None, "2023-11-14T23:00:00+00:30"])
def test_what_says_when_an_event_expires(default: float | None, ttl: int | None, said: str | None) -> None:
    store = Scene().store()
    if default is not None:
        store.write([Upsert("__timeseries", {"default_ttl_seconds": default}, id=SERIES)])
        store.write([Upsert("__timeseries", {"default_ttl_seconds": 5}, id="another")])
    append_events(store, SERIES, [{"_time": written(0), **({} if said is None else {"_expiration": said})}], ttl)
    expected = None if default is None else moment_at(START + 3_600_000)
    expected = expected if ttl is None else moment_at(START + 60_000)
    expected = expected if said is None else "2023-11-14T22:30:00.000000000Z"
    assert expiration_of(store) == expected
    assert noted(store) == (expected is not None)


@pytest.mark.parametrize("default", ["3600", True, None, -1, {"a": 1}])
def test_a_default_that_is_no_number_of_seconds_says_nothing(default: Any) -> None:
    store = Scene().store()
    store.write([Upsert("__timeseries", {"default_ttl_seconds": default}, id=SERIES)])
    append_events(store, SERIES, [{"_time": written(0)}])
    assert expiration_of(store) is None


@pytest.mark.parametrize("ttl", [-1, EVENT_TTL_SECONDS_MAX + 1, True, 1.5])
def test_a_ttl_is_a_number_of_seconds(ttl: Any) -> None:
    with pytest.raises(InvalidValue, match="ttl_seconds"):
        append_events(Scene().store(), SERIES, [{"_time": written(0)}], ttl)


def test_a_refused_transaction_notes_nothing() -> None:
    store = Scene().store()
    with pytest.raises(InvalidValue):
        append_events(store, SERIES, [{"_time": written(0), "n": float("nan")}], 5)
    assert noted(store) == 0


def test_a_sweep_takes_several_transactions_of_a_bounded_size() -> None:
    scene = Scene()
    store = scene.store()
    events = [{"_time": written(0)}] * (EXPIRED_EVENTS_MAX + 1)
    append_events(store, SERIES, events, 1)
    scene.clock.forward(1)
    before = store.applied
    assert store.expiry.sweep() == len(events)
    assert store.applied == before + 2
    assert store.expiry.sweep() == 0
    assert store.applied == before + 2, "a sweep that finds nothing is no transaction"


def test_what_was_removed_before_it_expires_is_forgotten() -> None:
    scene = Scene()
    store = scene.store()
    append_events(store, SERIES, [{"_time": written(0)}], 1)
    remove_events(store, SERIES, end=LATE)
    scene.clock.forward(1)
    assert store.expiry.sweep() == 0
    assert noted(store) == 0


def test_expiry_survives_the_store_being_closed(tmp_path: Path) -> None:
    scene = Scene()
    with scene.on_disk(tmp_path / "store") as store:
        append_events(store, SERIES, [{"_time": written(0)}], 5)
    scene.clock.forward(5)
    with scene.on_disk(tmp_path / "store") as store:
        assert values(store) == []
        assert store.expiry.sweep() == 1


def test_the_background_removes_what_has_expired_and_what_is_appended_so(tmp_path: Path) -> None:
    scene = Scene()
    with scene.on_disk(tmp_path / "store") as store:
        append_events(store, SERIES, [{"_time": written(0)}], 0)
        store.expiry.start()
        store.expiry.start()
        store.wait(2, 60)
        append_events(store, SERIES, [{"_time": written(0)}], 3_600)
        append_events(store, SERIES, [{"_time": written(0)}], 0)
        store.wait(5, 60)
        assert stored(store) == 1
        thread = store.expiry.thread
    assert thread is not None
    assert not thread.is_alive()


def test_it_sleeps_until_the_next_one_ends() -> None:
    now = moment_at(START)
    assert 60 <= seconds_between(now, moment_at(START + 60_000)) <= 61
    assert seconds_between(now, moment_at(START - 60_000)) == 0
    assert seconds_between(now, "~") > 60


def test_rows_of_expiry_are_no_rows_of_others() -> None:
    store = Scene().store()
    append_events(store, SERIES, [{"_time": written(0)}], 5)
    with store.storage.snapshot() as snapshot:
        assert all(key.startswith(ROWS) for key, _ in snapshot.scan(Table.KEYS))
