"""What becomes of keys: they expire, are rotated and revoked, here and elsewhere; and when they were last used."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.auth.stored_key import SETTING_PREFIX, StoredKey, decode, encode
from crdtstore.errors import CallerError, NotFound, Unauthenticated
from tests.auth.conftest import Clock, Counted

FULL = Permission.full()


def prefix_of(key: str) -> str:
    """The part of a key that is no secret."""
    return key.partition(FIXED_PART)[0]


def passes(keyring: KeyRing, key: str) -> bool:
    """Whether a key is let in, whichever way it is asked for."""

    async def ask() -> Permission:
        return await keyring.authenticate(key)

    taken = set()
    ways: tuple[Callable[[], Permission], ...] = (lambda: keyring.verify(key), lambda: asyncio.run(ask()))
    for way in ways:
        try:
            taken.add(way() is not None)
        except Unauthenticated:
            taken.add(False)
    [answer] = taken
    return answer


def old_row(**more: object) -> bytes:
    """A key as the first version stored it, with the suffix `x` * 33."""
    salt = b"s" * 16
    hashed = hashlib.scrypt(b"x" * 33, salt=salt, n=2, r=8, p=1, dklen=32)
    row = {"version": 1, "salt": salt, "n": 2, "r": 8, "p": 1, "hash": hashed, "created_ms": 5, "name": "old", **more}
    packed: bytes = msgpack.packb(row)
    return packed


@pytest.mark.parametrize(
    ("row", "permission"),
    [
        (old_row(permission=["read", "write"]), FULL),
        (old_row(permission=[], verbs=["read"], collections=["a"]), Permission(read=frozenset({"a"}))),
    ],
    ids=["all", "some"],
)
def test_keys_of_older_versions_are_taken_and_can_be_rotated(
    store: Store, keyring: KeyRing, row: bytes, permission: Permission
) -> None:
    store.write_setting(SETTING_PREFIX + b"abcdefghijkl", row)
    key = "abcdefghijkl" + FIXED_PART + "x" * 33
    assert keyring.verify(key) == permission
    [(_, stored)] = keyring.known()
    assert (stored.expires_ms, stored.description, stored.name) == (None, "", "old")
    assert keyring.verify(keyring.rotate("abcdefghijkl", old_valid_seconds=0)) == permission
    assert not passes(keyring, key)


def test_a_key_that_ends_gives_an_older_version_nothing(store: Store, keyring: KeyRing, clock: Clock) -> None:
    keyring.create("a", FULL, expires_ms=clock.wall() + 1)
    [(_, row)] = store.scan_settings(SETTING_PREFIX)
    assert msgpack.unpackb(row)["permission"] == []
    assert decode(row).permission == FULL


def test_a_key_is_taken_until_it_ends_remembered_or_not(keyring: KeyRing, clock: Clock, scrypt: Counted) -> None:
    keys = [keyring.create(name, FULL, expires_ms=clock.wall() + 10_000) for name in "ab"]
    assert passes(keyring, keys[0])
    clock.seconds += 9.9
    assert passes(keyring, keys[0])
    clock.seconds += 0.1
    scrypt.calls = 0
    assert not any(passes(keyring, key) for key in keys)
    assert scrypt.calls == 0, "what has ended costs nothing"


def test_a_key_that_has_ended_already_is_not_made(keyring: KeyRing, clock: Clock) -> None:
    for end in (0, clock.wall()):
        with pytest.raises(CallerError, match="expired already"):
            keyring.create("a", FULL, expires_ms=end)
    assert list(keyring.known()) == []


@pytest.mark.parametrize("name", ["", "two\nlines", "\x1b[2J", "x" * (limits.KEY_NAME_CHARACTERS_MAX + 1)])
def test_a_name_can_be_shown_in_a_line(keyring: KeyRing, name: str) -> None:
    with pytest.raises(CallerError, match="printable"):
        keyring.create(name, FULL)
    if name:
        with pytest.raises(CallerError, match="printable"):
            keyring.create("a", FULL, description=name * 10)


def test_for_a_while_both_the_old_and_the_new_key_are_taken(keyring: KeyRing, clock: Clock, scrypt: Counted) -> None:
    old = keyring.create("a", FULL)
    assert passes(keyring, old)
    new = keyring.rotate(prefix_of(old), old_valid_seconds=60)
    assert (prefix_of(new), new == old) == (prefix_of(old), False)
    scrypt.calls = 0
    assert passes(keyring, old)
    assert passes(keyring, new)
    assert scrypt.calls == 2, "one scrypt for each, whichever of the two it is"
    clock.seconds += 60
    assert not passes(keyring, old)
    assert passes(keyring, new)


def test_only_the_newest_old_key_is_taken(keyring: KeyRing) -> None:
    keys = [keyring.create("a", FULL)]
    keys += [keyring.rotate(prefix_of(keys[0]), old_valid_seconds=60) for _ in range(2)]
    assert [passes(keyring, key) for key in keys] == [False, True, True]
    keyring.revoke(prefix_of(keys[0]))
    assert not any(passes(keyring, key) for key in keys)


def test_an_old_key_does_not_outlive_the_end(keyring: KeyRing, clock: Clock) -> None:
    old = keyring.create("a", FULL, expires_ms=clock.wall() + 5_000)
    new = keyring.rotate(prefix_of(old), old_valid_seconds=60)
    clock.seconds += 5
    assert not passes(keyring, old)
    assert not passes(keyring, new)


def test_what_is_not_there_is_not_rotated(keyring: KeyRing) -> None:
    with pytest.raises(NotFound):
        keyring.rotate("0" * 11, old_valid_seconds=0)
    key = keyring.create("a", FULL)
    for seconds in (-1, limits.OLD_KEY_SECONDS_MAX + 1):
        with pytest.raises(CallerError, match="seconds"):
            keyring.rotate(prefix_of(key), old_valid_seconds=seconds)
    assert passes(keyring, key)


def test_what_one_ring_revokes_another_one_refuses_at_once(store: Store, keyring: KeyRing, scrypt: Counted) -> None:
    key, other = keyring.create("a", FULL), keyring.create("b", FULL)
    elsewhere = KeyRing(store)
    assert passes(elsewhere, key)
    assert passes(elsewhere, other)
    keyring.revoke(prefix_of(key))
    assert not passes(elsewhere, key)
    assert passes(elsewhere, other)


REVOKE = """
import sys
from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
with Store.open(sys.argv[1]) as store:
    assert KeyRing(store).revoke(sys.argv[2])
"""


def test_what_another_process_revokes_is_refused_at_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        key = KeyRing(store).create("a", FULL)
    with Store.open(tmp_path / "store", read_only=True) as store:
        keyring = KeyRing(store)
        assert passes(keyring, key)
        subprocess.run([sys.executable, "-c", REVOKE, tmp_path / "store", prefix_of(key)], check=True)
        assert not passes(keyring, key)


def test_a_remembered_key_is_looked_up_again_once_a_job_was_run(
    store: Store, keyring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other = keyring.create("a", FULL), keyring.create("b", FULL)
    reads: list[bytes] = []
    read = store.read_setting

    def counted(name: bytes) -> bytes | None:
        reads.append(name)
        return read(name)

    monkeypatch.setattr(store, "read_setting", counted)
    monkeypatch.setattr(keyring.uses, "due", math.inf)  # that would be a job
    assert passes(keyring, key)
    reads.clear()
    assert all(passes(keyring, key) for _ in range(10))
    store.write([Upsert("c", {"_id": "a", "n": 1})])
    assert passes(keyring, key)
    assert not reads, "documents are not keys"
    KeyRing(store).revoke(prefix_of(other))
    assert all(passes(keyring, key) for _ in range(10))
    assert reads


def test_a_job_that_fails_counts_too(store: Store, keyring: KeyRing) -> None:
    """What came of it may not be known: its rows are read again."""
    key = keyring.create("a", FULL)
    assert passes(keyring, key)
    turn = store.turn

    def fail(_batch: object, _catalog: object, _head: object) -> None:
        raise NotFound("no")

    with pytest.raises(NotFound):
        store.run(fail)
    assert store.turn is not turn
    assert passes(keyring, key)


def test_a_memory_of_another_generation_would_pass(keyring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted error: a ring that takes the generation for one that never changes."""
    key = keyring.create("a", FULL)
    monkeypatch.setattr(keyring, "generation", lambda: b"always")
    assert passes(keyring, key)
    keyring.revoke(prefix_of(key))
    assert passes(keyring, key), "the tests above would see it"


def test_the_last_use_is_written_now_and_then(
    store: Store, keyring: KeyRing, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [keyring.create(name, FULL) for name in "ab"]
    first, second = map(prefix_of, keys)

    def written() -> dict[str, int]:
        keyring.threads.submit(lambda: None).result()
        keyring.threads.submit(lambda: None).result()
        return KeyRing(store).uses.read()

    begun = clock.wall()
    writes: list[object] = []
    run = store.run

    def counted(job: Any, size: int = 0) -> Any:
        writes.append(job)
        return run(job, size)

    monkeypatch.setattr(store, "run", counted)
    assert keyring.uses.read() == {}
    for _ in range(50):
        asyncio.run(keyring.authenticate(keys[0]))
    assert (written(), len(writes)) == ({first: begun}, 1)
    clock.seconds += limits.KEY_USE_SECONDS - 1
    asyncio.run(keyring.authenticate(keys[1]))
    assert (written(), len(writes)) == ({first: begun}, 1)
    assert keyring.uses.read() == {first: begun, second: clock.wall()}
    used = clock.wall()
    clock.seconds += 1
    asyncio.run(keyring.authenticate(keys[0]))
    assert (written(), len(writes)) == ({first: clock.wall(), second: used}, 2)
    asyncio.run(keyring.authenticate(keys[0]))
    keyring.uses.write()
    assert len(writes) == 3
    keyring.uses.write()
    assert len(writes) == 3, "nothing to write"
    keyring.revoke(second)
    assert set(written()) == {first}


def test_a_use_is_not_written_of_a_key_that_is_gone(keyring: KeyRing) -> None:
    key = keyring.create("a", FULL)
    keyring.uses.note(prefix_of(key), keyring.monotonic())
    keyring.revoke(prefix_of(key))
    keyring.uses.write()
    assert keyring.uses.read() == {}


def test_who_is_refused_has_not_used_a_key(keyring: KeyRing) -> None:
    key = keyring.create("a", FULL)
    assert not passes(keyring, key[:-5] + "00000")
    assert keyring.uses.read() == {}


def test_what_cannot_be_written_is_left(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        key = KeyRing(store).create("a", FULL)
    with Store.open(tmp_path / "store", read_only=True) as store:
        keyring = KeyRing(store)
        asyncio.run(keyring.authenticate(key))
        keyring.uses.write()
    keyring.uses.note(prefix_of(key), keyring.monotonic())
    keyring.uses.write()


def test_every_change_is_noted_and_logged(keyring: KeyRing, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "crdtstore.keys")
    key = keyring.create('na"me', FULL, by="somebody")
    prefix = prefix_of(key)
    keyring.adopt("rootrootroot" + FIXED_PART + "x" * 40, "root", FULL)
    keyring.adopt("rootrootroot" + FIXED_PART + "x" * 40, "root", FULL)
    new = keyring.rotate(prefix, old_valid_seconds=1)
    keyring.revoke(prefix, by="another")
    keyring.revoke(prefix)
    noted = [(each.what, each.prefix, each.name, each.by) for each in keyring.changes()]
    assert noted == [
        ("created", prefix, 'na"me', "somebody"),
        ("adopted", "rootrootroot", "root", "here"),
        ("rotated", prefix, 'na"me', "here"),
        ("revoked", prefix, 'na"me', "another"),
    ]
    assert {each.at for each in keyring.changes()} == {"2023-11-14T22:30:00Z"}
    logged = [record.getMessage() for record in caplog.records if record.name == "crdtstore.keys"]
    assert [msgspec.json.decode(line) for line in logged] == [msgspec.to_builtins(each) for each in keyring.changes()]
    for secret in (key, new):
        assert secret.partition(FIXED_PART)[2] not in "".join(logged)


def test_changes_are_kept_so_far_back(keyring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEY_CHANGES_MAX", 3)
    for name in "abcde":
        keyring.create(name, FULL)
    assert [each.name for each in keyring.changes()] == ["c", "d", "e"]


def test_scrypt_never_runs_on_the_event_loop(keyring: KeyRing, scrypt: Counted) -> None:
    """Not for a right key, a wrong one or an old one; the planted call is seen."""
    key = keyring.create("a", FULL)
    new = keyring.rotate(prefix_of(key), old_valid_seconds=60)
    on_loop: list[bool] = []
    scrypt.during = lambda: on_loop.append(threading.get_ident() == loop_thread)
    loop_thread = threading.get_ident()

    async def run() -> None:
        for text in (key, new, key[:-3] + "000", "0" * 11 + FIXED_PART + "0" * 32):
            try:
                await keyring.authenticate(text)
            except Unauthenticated:
                continue

    asyncio.run(run())
    assert on_loop == [False] * 3
    keyring.compute(key[:-3] + "111")
    assert on_loop[3:] == [True]


def test_a_row_is_whole(keyring: KeyRing) -> None:
    stored = StoredKey(b"s" * 16, 2, 8, 1, b"h" * 32, FULL, 5, "a", "for b", 7, b"o" * 32, 6)
    assert decode(encode(stored)) == stored
