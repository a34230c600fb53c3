"""Who asks too often waits: buckets against a count by hand, and what wrong keys cost an address."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.auth.rate import Buckets, network_of
from crdtstore.errors import Overloaded, Unauthenticated
from tests.auth.conftest import Clock, Counted


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 8)), max_size=60), st.integers(1, 5))
def test_in_no_span_are_there_more_than_the_bound(asked: list[tuple[str, int]], most: int) -> None:
    """A token comes back every two seconds; each name has its own."""
    buckets = Buckets(0.5, most)
    passed: dict[str, list[int]] = {"a": [], "b": []}
    now = 0
    for name, pause in asked:
        now += pause
        wait = buckets.seconds_until(name, now)
        if wait == 0:
            buckets.check(name, now, "It")
            passed[name].append(now)
            continue
        with pytest.raises(Overloaded) as refused:
            buckets.check(name, now, "It")
        assert refused.value.data["retry_after_seconds"] == pytest.approx(wait, abs=0.001)
        assert buckets.seconds_until(name, now + wait) == pytest.approx(0, abs=1e-9)
    for times in passed.values():
        for first, begin in enumerate(times):
            for last, end in enumerate(times[first:], first):
                assert last - first + 1 <= most + (end - begin) * 0.5


def test_who_asks_at_the_rate_is_never_refused() -> None:
    buckets = Buckets(2, 1)
    for turn in range(100):
        buckets.check("a", turn / 2, "It")


def test_the_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATE_NAMES_MAX", 3)
    buckets = Buckets(1, 1)
    for name in "abcd":
        buckets.check(name, 0, "It")
    assert list(buckets.left) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_network_of_the_newer_kind_is_one_caller(address: str, network: str) -> None:
    assert network_of(address) == network


def ask(keyring: KeyRing, token: str, address: str) -> str:
    """How a key is answered."""
    try:
        asyncio.run(keyring.authenticate(token, address))
    except (Unauthenticated, Overloaded) as error:
        return error.code
    return "let in"


def test_an_address_has_so_many_wrong_keys_hashed(
    keyring: KeyRing, clock: Clock, scrypt: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REFUSED_KEYS_MAX", 3)
    keyring = KeyRing(keyring.store, monotonic=clock, clock=clock.wall)
    right, other = (keyring.create(name, Permission.full()) for name in "ab")
    prefix = right.partition(FIXED_PART)[0]
    wrong = [f"{prefix}{FIXED_PART}{number:032}" for number in range(9)]
    assert ask(keyring, right, "192.0.2.1") == "let in"
    scrypt.calls = 0
    assert [ask(keyring, each, "192.0.2.1") for each in wrong[:5]] == ["unauthenticated"] * 3 + ["overloaded"] * 2
    assert scrypt.calls == 3
    assert ask(keyring, wrong[0], "192.0.2.1") == "unauthenticated", "it is remembered"
    assert ask(keyring, "0" * 11 + FIXED_PART + "0" * 32, "192.0.2.2") == "unauthenticated"
    assert ask(keyring, right, "192.0.2.1") == "let in", "it is remembered"
    assert ask(keyring, other, "192.0.2.1") == "overloaded"
    assert ask(keyring, other, "192.0.2.2") == "let in"
    clock.seconds += 1
    assert [ask(keyring, each, "192.0.2.1") for each in wrong[5:7]] == ["unauthenticated", "overloaded"]


def test_right_keys_cost_an_address_nothing(keyring: KeyRing, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFUSED_KEYS_MAX", 3)
    keyring = KeyRing(keyring.store, monotonic=clock, clock=clock.wall)
    keys = [keyring.create("a", Permission.full()) for _ in range(9)]
    assert {ask(keyring, key, "192.0.2.1") for key in keys} == {"let in"}
