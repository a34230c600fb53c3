"""Moments sort as times do, and say exactly what was given."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import InvalidValue
from crdtstore.query.instant import parse_instant
from crdtstore.timeseries.moment import MOMENT_BYTES, moment_at, read_moment, write_date

TIMES = st.tuples(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda time: time.replace(microsecond=0)),  # noqa: DTZ001  UTC is meant
    st.integers(0, 999_999_999),
    st.integers(-23 * 60, 23 * 60),
)


def spell(time: tuple[datetime, int, int]) -> str:
    """Write a time as somebody so many minutes ahead of UTC does."""
    utc, nanoseconds, ahead = time
    sign, offset = "-" if ahead < 0 else "+", divmod(abs(ahead), 60)
    local = (utc + timedelta(minutes=ahead)).isoformat()
    return f"{local}.{nanoseconds:09}{sign}{offset[0]:02}:{offset[1]:02}"


@given(TIMES)
def test_a_moment_is_the_instant_that_was_written(time: tuple[datetime, int, int]) -> None:
    moment = read_moment(spell(time), "t")
    assert parse_instant(moment) == parse_instant(spell(time))
    assert len(moment) == MOMENT_BYTES
    assert read_moment(moment, "t") == moment


@given(TIMES, TIMES)
def test_moments_sort_as_times_do(one: tuple[datetime, int, int], other: tuple[datetime, int, int]) -> None:
    assert (read_moment(spell(one), "t") < read_moment(spell(other), "t")) == (one[:2] < other[:2])


@given(st.dates())
def test_every_date_is_written_as_it_is(day: date) -> None:
    assert write_date(day.toordinal() - date(1, 1, 1).toordinal() + 366) == day.isoformat()


@given(st.integers(0, 4_000_000_000_000))
def test_a_clock_gives_its_moment(milliseconds: int) -> None:
    second, rest = divmod(milliseconds, 1_000)
    time = datetime.fromtimestamp(second, UTC).replace(tzinfo=None)
    assert moment_at(milliseconds) == f"{time.isoformat()}.{rest:03}000000Z"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        # As it is documented: "JSON dates: missing fraction = 0 ns, missing offset = UTC."
        ("2021-01-01T00:00:00Z", "2021-01-01T00:00:00.000000000Z"),
        ("2021-01-01T00:00:00", "2021-01-01T00:00:00.000000000Z"),
        ("2021-01-01T00:00:00.25", "2021-01-01T00:00:00.250000000Z"),
        ("2021-04-20T12:34:56.123456789Z", "2021-04-20T12:34:56.123456789Z"),
        ("2021-04-20t12:34:56.1234567890000z", "2021-04-20T12:34:56.123456789Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.500000000Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000000Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_what_is_read(text: str, moment: str) -> None:
    assert read_moment(text, "t") == moment


def test_a_leap_second_lies_between_its_neighbours() -> None:
    times = ["2016-12-31T23:59:59.999999999Z", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"]
    assert sorted(read_moment(time, "t") for time in times) == [read_moment(time, "t") for time in times]


@pytest.mark.parametrize(
    "given",
    [
        None,
        0,
        "",
        "yesterday",
        "2021-01-01",
        "2021-02-30T00:00:00Z",
        "2021-01-01 00:00:00Z",
        "2021-01-01T00:00:60Z",
        "2021-01-01T00:00:00.1234567891Z",
        "0000-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2021-01-01T00:00:00ZZ",
    ],
)
def test_what_is_no_time_is_refused_with_its_place(given: object) -> None:
    with pytest.raises(InvalidValue, match=r"^start is ") as refused:
        read_moment(given, "start")
    assert refused.value.data["path"] == "start"
