"""API keys: their form, what is stored of them, and when a verification is remembered or computed anew."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import threading
from collections import Counter

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import Store, limits
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import ALPHABET, FIXED_PART, SUFFIX_LENGTH, split
from crdtstore.auth.permission import Permission
from crdtstore.errors import Forbidden, MalformedRequest, Overloaded, Unauthenticated
from tests.auth.conftest import Clock, Counted

WRONG = "0" * 12 + FIXED_PART + "0" * 33
REAL = (api_key.SCRYPT_N, api_key.SCRYPT_R, api_key.SCRYPT_P)
"""What is set before the tests make it cheap."""


def prefix_of(key: str) -> str:
    """The part of a key that is no secret."""
    return key.partition(FIXED_PART)[0]


def test_a_key_has_three_parts() -> None:
    with Store.in_memory() as store:
        key = KeyRing(store).create("a", Permission.full())
    assert re.fullmatch(r"[0-9A-Za-z]{11}_cs1_[0-9A-Za-z]{32}", key)


def test_the_suffix_cannot_be_guessed() -> None:
    assert math.log2(len(ALPHABET)) * SUFFIX_LENGTH >= 190


def test_the_real_scrypt_is_costly() -> None:
    assert REAL == (2**15, 8, 1)


@pytest.mark.parametrize(("n", "r", "p"), [(2, 8, 1), (2**4, 1, 2), (2**15, 8, 1)])
def test_scrypt_is_the_one_of_the_standard_library(n: int, r: int, p: int, scrypt: Counted) -> None:
    expected = hashlib.scrypt(b"abc", salt=b"s" * 16, n=n, r=r, p=p, maxmem=2**26, dklen=32)
    assert scrypt.derive("abc", b"s" * 16, n, r, p) == expected


def test_no_two_keys_are_alike(keyring: KeyRing) -> None:
    keys = [keyring.create("a", Permission.full()) for _ in range(50)]
    for part in (0, 1):
        assert len({key.split(FIXED_PART)[part] for key in keys}) == 50


def test_a_key_is_known_and_no_other_is(keyring: KeyRing) -> None:
    reader = Permission.of(frozenset({"read"}))
    keys = {keyring.create("a", Permission.full()): Permission.full(), keyring.create("b", reader): reader}
    for key, permission in keys.items():
        assert keyring.verify(key) == permission
        assert keyring.verify(key) == permission, "remembered"
        with pytest.raises(Unauthenticated):
            keyring.verify(key[:-1] + ("a" if key[-1] != "a" else "b"))
    with pytest.raises(Unauthenticated):
        keyring.verify(WRONG)


@given(st.text(max_size=60) | st.from_regex(r"[0-9A-Za-z]{9,13}_cs1_[0-9A-Za-z]{30,40}", fullmatch=True))
def test_any_other_text_is_refused(text: str) -> None:
    with Store.in_memory() as store, pytest.raises(Unauthenticated):
        KeyRing(store).verify(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        WRONG + "é",
        WRONG + "\n",
        WRONG + " ",
        WRONG[2:],
        WRONG[:-2],
        "0" + WRONG,
        WRONG + "0" * 200,
        "é" * 12 + WRONG[12:],
    ],
)
def test_what_has_not_the_form_of_a_key_costs_nothing(keyring: KeyRing, scrypt: Counted, text: str) -> None:
    with pytest.raises(Unauthenticated):
        split(text)
    with pytest.raises(Unauthenticated):
        keyring.verify(text)
    with pytest.raises(Unauthenticated):
        asyncio.run(keyring.authenticate(text))
    assert scrypt.calls == 0


def test_the_refusal_says_nothing_about_why(keyring: KeyRing) -> None:
    key = keyring.create("a", Permission.full())
    said = set()
    for text in ("", WRONG, key[:-5] + "00000"):
        with pytest.raises(Unauthenticated) as refused:
            keyring.verify(text)
        said.add((str(refused.value), repr(refused.value.data)))
    assert len(said) == 1


def test_only_the_hash_of_the_suffix_is_stored(store: Store, keyring: KeyRing) -> None:
    key = keyring.create("name of it", Permission.full())
    prefix, suffix = key.split(FIXED_PART)
    [(row, value)] = store.scan_settings(b"api-key/")
    assert row == b"api-key/" + prefix.encode()
    assert suffix.encode() not in value
    stored = msgpack.unpackb(value)
    told = {"created_ms", "name", "description", "expires_ms", "permission", "read", "write", "remote_query"}
    assert set(stored) == told | {"version", "salt", "n", "r", "p", "hash", "old_hash", "old_until_ms"}
    assert (len(stored["salt"]), stored["name"], stored["version"]) == (16, "name of it", 2)
    assert stored["hash"] == hashlib.scrypt(suffix.encode(), salt=stored["salt"], n=2, r=8, p=1, dklen=32)


def test_a_key_is_verified_by_its_own_parameters(
    store: Store, keyring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = keyring.create("old", Permission.full())
    monkeypatch.setattr(api_key, "SCRYPT_N", 4)
    new = keyring.create("new", Permission.full())
    assert {msgpack.unpackb(value)["n"] for _, value in store.scan_settings(b"api-key/")} == {2, 4}
    for key in (old, new):
        assert KeyRing(store).verify(key) == Permission.full()


def test_a_verified_key_is_remembered_for_a_while(keyring: KeyRing, clock: Clock, scrypt: Counted) -> None:
    key = keyring.create("a", Permission.full())
    scrypt.calls = 0
    for seconds, calls in ((0, 1), (0, 1), (limits.KEY_CACHE_SECONDS - 1, 1), (1, 2), (0, 2)):
        clock.seconds += seconds
        keyring.verify(key)
        assert scrypt.calls == calls


def test_a_refused_key_is_remembered_for_a_shorter_while(keyring: KeyRing, clock: Clock, scrypt: Counted) -> None:
    wrong = keyring.create("a", Permission.full())[:-5] + "00000"
    scrypt.calls = 0
    for seconds, calls in ((0, 1), (0, 1), (limits.KEY_REFUSED_SECONDS - 1, 1), (1, 2), (0, 2)):
        clock.seconds += seconds
        with pytest.raises(Unauthenticated):
            keyring.verify(wrong)
        assert scrypt.calls == calls


def test_what_is_remembered_is_bounded_and_wrong_keys_push_out_no_right_ones(
    keyring: KeyRing, scrypt: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "KEY_CACHE_ENTRIES_MAX", 3)
    keys = [keyring.create("a", Permission.full()) for _ in range(4)]
    for key in keys[:3]:
        keyring.verify(key)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            keyring.verify(keys[0][:-5] + f"{number:05}")
    assert (len(keyring.verified), len(keyring.refused)) == (3, 3)
    scrypt.calls = 0
    keyring.verify(keys[0])
    assert scrypt.calls == 0
    keyring.verify(keys[3])
    assert (len(keyring.verified), scrypt.calls) == (3, 1)
    keyring.verify(keys[0])
    assert scrypt.calls == 2, "the oldest made room"


def test_the_memory_holds_no_key_and_differs_in_every_process(store: Store) -> None:
    key = KeyRing(store).create("a", Permission.full())
    marks = []
    for _ in range(2):
        keyring = KeyRing(store)
        keyring.verify(key)
        marks += list(keyring.verified)
        assert key.encode() not in repr(keyring.verified).encode()
    assert len(set(marks)) == 2


def test_a_revoked_key_is_refused_at_once(keyring: KeyRing) -> None:
    key = keyring.create("a", Permission.full())
    keyring.verify(key)
    assert keyring.revoke(prefix_of(key))
    with pytest.raises(Unauthenticated):
        keyring.verify(key)
    with pytest.raises(Unauthenticated):
        asyncio.run(keyring.authenticate(key))
    assert not keyring.revoke(prefix_of(key))


def test_a_key_that_is_revoked_while_it_is_verified_does_not_pass(keyring: KeyRing, scrypt: Counted) -> None:
    key = keyring.create("a", Permission.full())
    scrypt.during = lambda: keyring.revoke(prefix_of(key))
    with pytest.raises(Unauthenticated):
        keyring.verify(key)


def test_a_key_of_the_operator_is_adopted_once(store: Store, keyring: KeyRing) -> None:
    key = "rootrootroot" + FIXED_PART + "x" * 40
    assert keyring.adopt(key, "root", Permission.full())
    [before] = store.scan_settings(b"api-key/")
    assert not keyring.adopt(key, "root", Permission.full())
    assert [before] == store.scan_settings(b"api-key/")
    assert keyring.verify(key) == Permission.full()


@pytest.mark.parametrize("text", ["", "root", WRONG[:-2], WRONG + "!"])
def test_what_is_no_key_is_not_adopted(keyring: KeyRing, text: str) -> None:
    with pytest.raises(MalformedRequest):
        keyring.adopt(text, "root", Permission.full())


def test_another_key_with_a_known_prefix_is_not_adopted(keyring: KeyRing) -> None:
    key = keyring.create("a", Permission.full())
    with pytest.raises(Forbidden):
        keyring.adopt(key[:-5] + "00000", "root", Permission.full())
    assert keyring.verify(key) == Permission.full()


def test_a_remembered_key_is_answered_without_leaving_the_event_loop(keyring: KeyRing, scrypt: Counted) -> None:
    key = keyring.create("a", Permission.full())
    threads = Counter[str]()
    scrypt.during = lambda: threads.update([threading.current_thread().name])

    async def run() -> None:
        assert await keyring.authenticate(key) == Permission.full()
        coroutine = keyring.authenticate(key)
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        assert done.value.value == Permission.full()

    asyncio.run(run())
    assert len(threads) == 1
    assert threading.current_thread().name not in threads


def test_many_requests_with_one_new_key_cost_little_more_than_one(keyring: KeyRing, scrypt: Counted) -> None:
    key = keyring.create("a", Permission.full())
    scrypt.calls = 0

    async def run() -> None:
        await asyncio.gather(*[keyring.authenticate(key) for _ in range(50)])

    asyncio.run(run())
    assert scrypt.calls <= limits.SCRYPT_AT_ONCE_MAX


def test_at_most_two_keys_are_hashed_at_once(keyring: KeyRing, scrypt: Counted) -> None:
    """Two meet within scrypt, so that it is seen that they can; a third never does, in threads or not."""
    keys = [keyring.create("a", Permission.full()) for _ in range(8)]
    meeting = threading.Barrier(2, timeout=60)
    scrypt.during = meeting.wait
    scrypt.most = 0
    callers = [threading.Thread(target=keyring.verify, args=[key]) for key in keys[:4]]
    for caller in callers:
        caller.start()

    async def run() -> None:
        await asyncio.gather(*[keyring.authenticate(key) for key in keys[4:]])

    asyncio.run(run())
    for caller in callers:
        caller.join()
    assert scrypt.most == limits.SCRYPT_AT_ONCE_MAX == 2


def test_only_so_many_keys_wait(keyring: KeyRing, scrypt: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCRYPT_WAITING_MAX", 3)
    keys = [keyring.create("a", Permission.full()) for _ in range(5)]
    keyring.verify(keys[4])
    go = threading.Event()
    scrypt.during = go.wait

    async def run() -> None:
        waiting = [asyncio.create_task(keyring.authenticate(key)) for key in keys[:3]]
        await asyncio.sleep(0)
        assert keyring.waiting == 3, "each begins in one turn of the event loop"
        with pytest.raises(Overloaded):
            await keyring.authenticate(keys[3])
        assert await keyring.authenticate(keys[4]) == Permission.full(), "a remembered key need not wait"
        go.set()
        assert await asyncio.gather(*waiting) == [Permission.full()] * 3
        assert await keyring.authenticate(keys[3]) == Permission.full()

    asyncio.run(run())
    assert keyring.waiting == 0


@pytest.mark.parametrize("collections", [None, frozenset(), frozenset({"a", "b"})])
def test_keys_survive_the_process(store: Store, collections: frozenset[str] | None) -> None:
    key = KeyRing(store).create("a", Permission.of(frozenset({"read"}), collections))
    assert KeyRing(store).verify(key) == Permission.of(frozenset({"read"}), collections)


def test_keys_are_listed_without_what_is_secret(store: Store, keyring: KeyRing) -> None:
    assert list(keyring.known()) == []
    keys = {prefix_of(keyring.create(name, Permission.full())): name for name in ("a", "b", "c")}
    known = list(keyring.known())
    assert {prefix: stored.name for prefix, stored in known} == keys
    assert [prefix for prefix, _ in known] == sorted(keys)
