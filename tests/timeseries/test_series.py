"""A span of a series is what a plain list of its events says, and reading it reads nothing else."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Removed, Store
from crdtstore.errors import InvalidDocument, InvalidValue, LimitExceeded, StatementTimeout
from crdtstore.limits import COLLECTION_BYTES_MAX, COMMANDS_MAX
from crdtstore.query.search import search_json
from crdtstore.timeseries import read
from crdtstore.timeseries.append import append_events
from crdtstore.timeseries.read import count_events, read_events
from crdtstore.timeseries.remove import remove_events
from crdtstore.timeseries.series import Span
from tests.timeseries.scene import LATE, SERIES, Scene, between, carry, values, written

SECONDS = st.integers(-20, 20)
BATCHES = st.lists(st.lists(st.tuples(SECONDS, st.sampled_from([0, 1, 999_999_999])), max_size=8), max_size=5)
EARLY = "0000-01-01T00:00:00Z"


def append_batches(store: Store, batches: list[list[tuple[int, int]]]) -> list[tuple[int, int, int]]:
    """Append events that are numbered, and return them."""
    numbers = count()
    listed = [[(second, nano, next(numbers)) for second, nano in batch] for batch in batches]
    for batch in listed:
        append_events(
            store, SERIES, [{"_time": written(second, nano, n % 7 * 30 - 90), "n": n} for second, nano, n in batch]
        )
    return [event for batch in listed for event in batch]


def check_span(store: Store, events: list[tuple[int, int, int]], start: int, end: int) -> None:
    """Compare a span with the plain way."""
    asked = (written(start), written(end))
    expected = between(events, start, end)
    assert [each["n"] for each in values(store, *asked)] == expected
    assert count_events(store, SERIES, *asked) == len(expected)
    assert [each["n"] for each in values(store, *asked, query="n >= 3", limit=2)] == [n for n in expected if n >= 3][:2]
    assert [each["n"] for each in values(store, *asked, order=["-n"])] == sorted(expected, reverse=True)


@given(BATCHES, SECONDS, SECONDS)
def test_a_span_is_what_a_plain_list_says(batches: list[list[tuple[int, int]]], start: int, end: int) -> None:
    store = Scene().store()
    check_span(store, append_batches(store, batches), start, end)


@settings(max_examples=5)
@given(BATCHES, SECONDS, SECONDS)
def test_on_disk_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, int]]], start: int, end: int
) -> None:
    with Scene().on_disk(tmp_path_factory.mktemp("store")) as store:
        check_span(store, append_batches(store, batches), start, end)


def test_control_an_end_that_belongs_to_its_span_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Span.keys
    monkeypatch.setattr(
        Span, "keys", lambda span, collection: (keys(span, collection)[0], keys(span, collection)[1] + b"\xff")
    )
    store = Scene().store()
    events = append_batches(store, [[(1, 0), (2, 0)]])
    with pytest.raises(AssertionError):
        check_span(store, events, 1, 2)


@given(BATCHES, SECONDS, SECONDS)
def test_a_removal_leaves_what_is_outside_of_its_span(
    batches: list[list[tuple[int, int]]], start: int, end: int
) -> None:
    store = Scene().store()
    events = append_batches(store, batches)
    before = store.applied
    if start >= end:
        with pytest.raises(InvalidValue, match="not earlier than end"):
            remove_events(store, SERIES, written(start), written(end))
        return
    gone = remove_events(store, SERIES, written(start), written(end))
    kept = between(events, -99, start) + between(events, end, 99)
    assert [each["n"] for each in values(store)] == kept
    assert gone.results == (Removed(len(events) - len(kept)),)
    assert gone.txn == before + (len(events) > len(kept)), "one transaction"
    other = Scene().store()
    carry(store, other)
    assert store.digest() == other.digest()


@given(BATCHES, BATCHES)
def test_two_stores_that_exchange_their_events_read_the_same(
    here: list[list[tuple[int, int]]], there: list[list[tuple[int, int]]]
) -> None:
    scene = Scene()
    one, other = scene.store(), scene.store()
    append_batches(one, here)
    append_batches(other, there)
    carry(one, other)
    carry(other, one)
    assert one.digest() == other.digest()
    assert list(read_events(one, SERIES, EARLY, LATE)) == list(read_events(other, SERIES, EARLY, LATE))
    assert len(values(one)) == sum(map(len, here + there)), "no event takes the place of another"


def test_a_span_reads_only_what_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examined = []

    def watched(*asked: Any) -> Any:
        found = search_json(*asked)
        examined.append(found[1].rows)
        return found

    monkeypatch.setattr(read, "search_json", watched)
    with Scene().on_disk(tmp_path / "store") as store:
        append_events(store, SERIES, [{"_time": written(second)} for second in range(5_000)])
        assert len(values(store, written(1_000), written(1_003))) == 3
        assert sum(examined) == 3
        examined.clear()
        assert len(values(store, written(0), written(4_999), limit=600)) == 600
        assert sum(examined) <= 600


def test_times_are_kept_as_they_were_given_and_what_is_there_is_shown() -> None:
    store = Scene().store()
    event = {"_time": "2021-04-20T14:34:56.123456789+02:00", "temp": {"value": 30, "units": "celsius"}}
    append_events(store, SERIES, [event])
    [found] = read_events(store, SERIES)
    assert found.fields == event
    assert found.moment == "2021-04-20T12:34:56.123456789Z"


def test_a_span_is_from_1970_up_to_now() -> None:
    store = Scene().store()
    times = ["1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00Z", written(-1), written(0), written(1)]
    append_events(store, SERIES, [{"_time": time} for time in times])
    assert [event["_time"] for event in values(store, None, None)] == times[1:3]
    assert [event["_time"] for event in values(store, "", "")] == times[1:3]
    assert remove_events(store, SERIES).results == (Removed(2),)


def test_series_are_apart_and_one_that_does_not_exist_is_empty() -> None:
    store = Scene().store()
    append_events(store, "a", [{"_time": written(0), "n": 1}])
    append_events(store, "a:b", [{"_time": written(0), "n": 2}])
    assert [event.fields["n"] for event in read_events(store, "a", end=LATE)] == [1]
    assert [event.fields["n"] for event in read_events(store, "a:b", end=LATE)] == [2]
    assert list(read_events(store, "b", end=LATE)) == []
    assert remove_events(store, "b").results == (Removed(0),)


def test_all_events_of_one_call_are_one_transaction() -> None:
    store = Scene().store()
    done = append_events(store, SERIES, [{"_time": written(second)} for second in range(3)])
    assert (done.txn, store.applied, len(done.results)) == (1, 1, 3)


@pytest.mark.parametrize(
    ("event", "place"),
    [
        ({"a": 1}, "$[1]._time"),
        ({"_time": "soon"}, "$[1]._time"),
        ({"_time": 5}, "$[1]._time"),
        ({"_time": "2021-01-01T00:00:00Z", "_expiration": "later"}, "$[1]._expiration"),
        ({"_time": "2021-01-01T00:00:00Z", "_expiration": None}, "$[1]._expiration"),
        ({"_time": "2021-01-01T00:00:00Z", "_id": 1}, "$[1]._id"),
    ],
)
def test_a_bad_event_is_named_and_nothing_is_written(event: dict[str, Any], place: str) -> None:
    store = Scene().store()
    with pytest.raises(InvalidValue) as refused:
        append_events(store, SERIES, [{"_time": written(0)}, event])
    assert refused.value.data["path"] == place
    assert store.applied == 0


def test_too_many_events_are_refused() -> None:
    with pytest.raises(LimitExceeded, match=str(COMMANDS_MAX)):
        append_events(Scene().store(), SERIES, [{"_time": written(0)}] * (COMMANDS_MAX + 1))


@pytest.mark.parametrize("series", ["", "x" * COLLECTION_BYTES_MAX])
def test_a_series_has_an_id_that_fits(series: str) -> None:
    with pytest.raises(InvalidDocument):
        append_events(Scene().store(), series, [{"_time": written(0)}])


def test_reading_ends_at_its_deadline() -> None:
    store = Scene().store()
    append_events(store, SERIES, [{"_time": written(0)}])
    with pytest.raises(StatementTimeout):
        values(store, seconds=-1.0)


def test_what_is_wrong_with_a_question_is_told_before_anything_is_read() -> None:
    store = Scene().store()
    with pytest.raises(InvalidValue, match="limit"):
        read_events(store, SERIES, limit=-1)
    with pytest.raises(InvalidValue, match="start"):
        read_events(store, SERIES, "x")
