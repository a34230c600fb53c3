"""The simulated network and the machines' clocks."""

from __future__ import annotations

from random import Random

from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX
from crdtstore.sim.clock import START_MILLISECONDS, WallClock, WorldTime
from crdtstore.sim.network import Network, Weather

MESSAGES = 20_000


def shares(weather: Weather) -> tuple[float, float, float]:
    """Which shares of messages were lost, came twice and were held up."""
    network, random = Network(weather), Random(1)
    sent = [network.delays(random) for _ in range(MESSAGES)]
    copies = [delay for delays in sent for delay in delays]
    lost = sum(not delays for delays in sent) / MESSAGES
    doubled = sum(len(delays) == 2 for delays in sent) / MESSAGES
    return lost, doubled, sum(delay > weather.latency for delay in copies) / max(1, len(copies))


def test_good_weather_delivers_everything_once_and_in_time() -> None:
    assert shares(Weather(0.0, 0.0, 0.0, 10)) == (0.0, 0.0, 0.0)


def test_bad_weather_is_as_bad_as_it_says() -> None:
    lost, doubled, held = shares(Weather(0.3, 0.2, 0.1, 10))
    assert 0.28 < lost < 0.32
    assert 0.12 < doubled < 0.16
    assert 0.03 < held < 0.1


def test_a_cut_goes_one_way_and_is_counted() -> None:
    network = Network(Weather(0.0, 0.0, 0.0, 1))
    network.cut(((0, 1),))
    network.cut(((0, 1), (1, 0)))
    network.mend(((0, 1), (1, 0)))
    assert network.is_cut(0, 1)
    assert not network.is_cut(1, 0)
    network.heal()
    assert not network.is_cut(0, 1)


def test_a_running_store_follows_its_clock_but_not_its_leaps() -> None:
    time = WorldTime()
    wall = WallClock(time, skew=-50, grain=100)
    read = wall.start()
    time.now = 1_234
    assert read() == START_MILLISECONDS + 1_100
    wall.skew += 2_000 * CLOCK_AHEAD_SECONDS_MAX
    assert read() < START_MILLISECONDS + 2_000
    assert wall.start()() > START_MILLISECONDS + 2_000 * CLOCK_AHEAD_SECONDS_MAX
    wall.skew -= 4_000 * CLOCK_AHEAD_SECONDS_MAX
    assert read() < START_MILLISECONDS
