"""Instants: what is a date-time of RFC 3339, and when it is."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.query.instant import parse_instant

YEAR_0_TO_1 = 366 * 86_400


@given(st.datetimes(), st.integers(-1439, 1439))
def test_it_counts_seconds_as_the_calendar_does(at: datetime, offset: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    found = parse_instant(at.replace(tzinfo=zone).isoformat())
    assert found is not None
    since = at - datetime(1, 1, 1) - timedelta(minutes=offset)  # noqa: DTZ001 -- offsets are subtracted by hand.
    assert found.second == since // timedelta(seconds=1) + YEAR_0_TO_1
    assert float("0." + (found.fraction or "0")) == pytest.approx(at.microsecond / 1e6, abs=1e-9)


FRACTIONS = ("", ".0", ".5", ".49", ".500", ".50000000000000000001")


@given(st.datetimes(), st.datetimes(), st.sampled_from(FRACTIONS))
def test_it_orders_as_the_calendar_does(one: datetime, other: datetime, fraction: str) -> None:
    first = parse_instant(one.replace(microsecond=0).isoformat() + fraction + "Z")
    second = parse_instant(other.replace(microsecond=0).isoformat() + fraction + "Z")
    assert first is not None
    assert second is not None
    assert (first < second) == (one.replace(microsecond=0) < other.replace(microsecond=0))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2022-04-29T00:55:31.859Z", "2022-04-29T02:55:31.859+02:00"),
        ("2022-04-29T00:55:31.859Z", "2022-04-28t23:55:31.85900-01:00"),
        ("2022-04-29T00:00:00Z", "2022-04-29T00:00:00.000-00:00"),
        ("2022-01-01T00:30:00+01:00", "2021-12-31T23:30:00z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00"),
        ("0000-01-01T00:00:00+00:01", "0000-01-01T01:00:00+01:01"),
    ],
)
def test_other_spellings_are_one_instant(one: str, other: str) -> None:
    assert parse_instant(one) == parse_instant(other) is not None


def test_a_leap_second_lies_between_its_neighbours() -> None:
    texts = ["16-12-31T23:59:59.9Z", "16-12-31T23:59:60Z", "16-12-31T23:59:60.1Z", "17-01-01T00:00:00Z"]
    instants = [parse_instant("20" + text) for text in texts]
    assert None not in instants
    assert all(one < other for one, other in pairwise(instants) if one and other)


def test_more_digits_than_any_clock_has() -> None:
    one, other = (parse_instant(f"2022-04-29T00:00:00.{'1' * 1_000}{last}Z") for last in "12")
    assert one is not None
    assert other is not None
    assert one < other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022-04-29",
        "2022-04-29T00:55:31",
        "2022-04-29 00:55:31Z",
        "2022-04-29T00:55Z",
        "2022-04-29T00:55:31.Z",
        "2022-04-29T00:55:31+02",
        "2022-04-29T00:55:31+0200",
        "2022-04-29T24:00:00Z",
        "2022-04-29T00:60:00Z",
        "2022-04-29T00:00:61Z",
        "2022-04-29T00:00:60Z",
        "2022-04-29T23:59:60Z",
        "2022-04-30T23:59:60+01:00",
        "2022-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2022-00-01T00:00:00Z",
        "2022-13-01T00:00:00Z",
        "2022-01-00T00:00:00Z",
        "2022-01-32T00:00:00Z",
        "2022-01-01T00:00:00+24:00",
        "2022-01-01T00:00:00+00:60",
        "22022-01-01T00:00:00Z",
        "-2022-01-01T00:00:00Z",
        "2022-01-01T00:00:00Z\n",
        " 2022-01-01T00:00:00Z",
        "\u0662022-01-01T00:00:00Z",
    ],
)
def test_what_is_no_instant(text: str) -> None:
    assert parse_instant(text) is None


@pytest.mark.parametrize(
    "text",
    ["0000-02-29T00:00:00Z", "2000-02-29T23:59:60Z", "9999-12-31T23:59:60-23:59", "2022-06-30T23:59:60Z"],
)
def test_the_edges_of_the_calendar(text: str) -> None:
    assert (parse_instant(text) is None) == (text == "9999-12-31T23:59:60-23:59")
