"""An API key is a long-lived credential: `prefix` + `_cs1_` + `suffix`, shown once and stored only as a hash.

Rules:

- The prefix (11 characters, base 62) finds the key and is no secret. The suffix (32 of them) holds 190 bits of a
  cryptographic generator; only its scrypt is stored, with the parameters that made it, so that they can be
  raised later. Guessing 190 bits is hopeless at any cost: scrypt is set to what a server can afford, since
  every wrong suffix makes it work. Keys of the first version, of 12 and 33 characters, are keys like others.
- Whatever is wrong with a key, the answer is one and the same `Unauthenticated`. An unknown prefix costs no scrypt:
  who learns from the time that a prefix is known has learnt what is no secret, and who knows no prefix cannot keep
  the server busy.
- Verified keys are remembered under a keyed hash whose own key lives and dies with this process: who steals
  the store can neither use nor test anything with it. Refused ones are remembered too, shorter and apart, so
  that a flood of wrong keys cannot push the right ones out.
- Every change of a key changes the generation in the store, and what was remembered under another one counts no
  more. It is looked at with each request, and read where a job was run since or another process may have run one: a
  key that is revoked in one process is refused in all.
- A key that was rotated has two suffixes for a while, under one salt: each request still costs one scrypt at most.
- An account's name and password are verified on the same path. Its name is known to more than its owner, so an unknown
  one costs what a wrong password does, where there are accounts at all.

Not here: what a key may do (`permission`), what is stored (`stored_key`), how it travels (`http/headers.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import msgspec

from crdtstore import limits
from crdtstore.auth.account_form import ACCOUNT, split_account
from crdtstore.auth.key_form import FIXED_PART, SUFFIX_LENGTH, check_form, draw_key, random_text, refuse
from crdtstore.auth.key_form import split as split_key
from crdtstore.auth.last_use import LastUse
from crdtstore.auth.permission import Permission
from crdtstore.auth.rate import Buckets, network_of, too_often
from crdtstore.auth.stored_key import (
    ACCOUNTS_PREFIX,
    CHANGES_PREFIX,
    GENERATION,
    SETTING_PREFIX,
    Change,
    StoredKey,
    What,
    check_text,
    decode,
    put_key,
    read_key,
    refuse_unknown,
    time_of,
    valid_until,
)
from crdtstore.errors import CallerError, Forbidden, NotFound, Overloaded
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.head import Head
from crdtstore.storage.interface import Batch
from crdtstore.store import Store
from crdtstore.version.clock import wall_milliseconds

logger = logging.getLogger("crdtstore.keys")
"""Tells what becomes of keys: one line a change, in JSON."""

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
SCRYPT_N: Final = 2**15
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
ACCOUNT_SCRYPT_P: Final = 3
"""Of passwords, which people choose: thrice the time in the same memory."""

HERE: Final = "here"
"""By whose hand a key was changed that no key changed: by who has the store's directory."""


class Remembered(NamedTuple):
    """An earlier answer about a key: the permission, or None where it was refused."""

    permission: Permission | None
    generation: bytes
    until: float
    prefix: str = ""


class KeyRing:
    """The API keys of one store, and the memory of those that were verified.

    Safe to use from several threads. `verify` computes in the caller's thread, `authenticate` never computes
    on the event loop.
    """

    def __init__(
        self,
        store: Store,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = wall_milliseconds,
    ) -> None:
        """Serve the keys of `store`.

        Args:
            store: The store.
            monotonic: The clock, in seconds, by which memories grow old.
            clock: The clock, in milliseconds since 1970, by which keys expire.
        """
        self.store = store
        self.monotonic = monotonic
        self.clock = clock
        self.hasher = hashlib.blake2b(key=os.urandom(32))
        """Of this process: copied for each key, which is cheaper than to begin with its key again."""

        self.lock = threading.Lock()
        self.verified: OrderedDict[bytes, Remembered] = OrderedDict()
        self.refused: OrderedDict[bytes, Remembered] = OrderedDict()
        self.waiting = 0
        self.hashing = threading.BoundedSemaphore(limits.SCRYPT_AT_ONCE_MAX)
        self.threads = ThreadPoolExecutor(limits.SCRYPT_AT_ONCE_MAX, "crdtstore-key")
        self.uses = LastUse(store, monotonic, clock)
        self.known_generation: tuple[object, bytes] = (None, b"")
        self.wrong = Buckets(limits.REFUSED_KEYS_PER_SECOND, limits.REFUSED_KEYS_MAX)

    # --- changes ---

    def create(
        self,
        name: str,
        permission: Permission,
        *,
        description: str = "",
        expires_ms: int | None = None,
        by: str = HERE,
    ) -> str:
        """Make a key and store its hash.

        Args:
            name: What people call the key; not a secret.
            permission: What the key may do.
            description: What it is for.
            expires_ms: When it ends, in milliseconds since 1970; None for never.
            by: The prefix of the key by which it is made, if by one.

        Returns:
            The key in plain text. It cannot be had a second time.

        Raises:
            CallerError: The name or description is none, or the key would have ended already.
        """
        prefix, suffix = split_key(draw_key())
        stored = self.make(suffix, name, permission, description, expires_ms)
        self.change("created", prefix, by, lambda _before: stored)
        return prefix + FIXED_PART + suffix

    def adopt(self, token: str, name: str, permission: Permission) -> bool:
        """Make a key that was drawn elsewhere, such as in a file of the operator, known to the store.

        Args:
            token: The key in plain text.
            name: What people call the key.
            permission: What the key may do, if it was not known.

        Returns:
            Whether it was stored; False if the store knew it already.

        Raises:
            MalformedRequest: The text is not of the form of a key.
            Forbidden: The store knows another key with this prefix.
        """
        check_form(token)
        prefix, suffix = split_key(token)
        known = self.read(prefix)
        if known is None:
            stored = self.make(suffix, name, permission, "", None)
            self.change("adopted", prefix, HERE, lambda _before: stored)
            return True
        if not hmac.compare_digest(hash_of(suffix, known), known.hash):
            raise Forbidden(f"The store knows another key with the prefix {prefix}.", prefix=prefix)
        return False

    def rotate(self, prefix: str, *, old_valid_seconds: float, by: str = HERE) -> str:
        """Give a key another suffix; the one that it has is taken for a while, too.

        Args:
            prefix: The key's.
            old_valid_seconds: How long the present suffix is taken.
            by: As in `create`.

        Returns:
            The new key in plain text. It cannot be had a second time.

        Raises:
            NotFound: There is no such key.
            CallerError: That is too long, or no time.
        """
        if not 0 <= old_valid_seconds <= limits.OLD_KEY_SECONDS_MAX:
            most = limits.OLD_KEY_SECONDS_MAX
            raise CallerError(f"The old key stays valid for 0 to {most} seconds; got {old_valid_seconds:g}.")
        suffix = random_text(SUFFIX_LENGTH)
        known = self.read(prefix) or refuse_unknown(prefix)
        # Before the transaction, in which others would wait for it. The salt stays while the key is the same.
        with self.hashing:
            hashed = hash_of(suffix, known)
        old_until_ms = self.clock() + int(old_valid_seconds * 1_000)

        def rotated(before: StoredKey | None) -> StoredKey:
            if before is None or before.salt != known.salt:
                refuse_unknown(prefix)
            return before._replace(hash=hashed, old_hash=before.hash, old_until_ms=old_until_ms)

        self.change("rotated", prefix, by, rotated)
        return prefix + FIXED_PART + suffix

    def revoke(self, prefix: str, *, by: str = HERE) -> bool:
        """Forget the key with `prefix`, at once; returns whether there was one."""

        def revoked(before: StoredKey | None) -> None:
            if before is None:
                refuse_unknown(prefix)

        try:
            self.change("revoked", prefix, by, revoked)
        except NotFound:
            return False
        return True

    def change(self, what: What, prefix: str, by: str, after: Callable[[StoredKey | None], StoredKey | None]) -> None:
        """Put what `after` makes of a key in its place, in one transaction with the note of it, and log that."""
        at = time_of(self.clock())

        def job(batch: Batch, _catalog: Catalog, _head: Head) -> Change:
            before = read_key(batch, prefix)
            stored = after(before)
            name = (stored or before or refuse_unknown(prefix)).name
            change = Change(at, what, prefix, name, by)
            put_key(batch, prefix, stored, change)
            return change

        logger.info("%s", msgspec.json.encode(self.store.run(job)).decode())

    def make(
        self,
        suffix: str,
        name: str,
        permission: Permission,
        description: str,
        expires_ms: int | None,
        p: int = SCRYPT_P,
    ) -> StoredKey:
        """What is to be kept of a new key, or of an account whose password is `suffix`."""
        now_ms = self.clock()
        check_text("name", name, 1, limits.KEY_NAME_CHARACTERS_MAX)
        check_text("description", description, 0, limits.KEY_DESCRIPTION_CHARACTERS_MAX)
        if expires_ms is not None and expires_ms <= now_ms:
            raise CallerError("A key that has expired already is of no use: give a time to come.")
        salt = os.urandom(SALT_BYTES)
        with self.hashing:
            derived = derive(suffix, salt, SCRYPT_N, SCRYPT_R, p)
        return StoredKey(salt, SCRYPT_N, SCRYPT_R, p, derived, permission, now_ms, name, description, expires_ms)

    # --- what there is ---

    def known(self) -> Iterator[tuple[str, StoredKey]]:
        """All keys, each behind its prefix, in the order of these."""
        for key, data in self.store.scan_settings(SETTING_PREFIX):
            yield key.removeprefix(SETTING_PREFIX).decode(), decode(data)

    def accounts(self) -> Iterator[tuple[str, StoredKey]]:
        """All accounts, each behind its name, in the order of these."""
        for key, data in self.store.scan_settings(ACCOUNTS_PREFIX):
            yield key.removeprefix(ACCOUNTS_PREFIX).decode(), decode(data)

    def read(self, prefix: str) -> StoredKey | None:
        """Read what the store keeps of the key with `prefix`, or of an account."""
        with self.store.storage.snapshot() as snapshot:
            return read_key(snapshot, prefix)

    def changes(self) -> list[Change]:
        """What became of keys, the oldest first, as far back as it is kept."""
        rows = self.store.scan_settings(CHANGES_PREFIX)
        return [msgspec.msgpack.decode(data, type=Change) for _, data in rows]

    # --- who asks ---

    def verify(self, token: str) -> Permission:
        """Say what the bearer of `token` may do; may take the time of one scrypt, and of others before it.

        Raises:
            Unauthenticated: The key is not known; always with the same message.
        """
        found = self.recall(self.mark(token))
        return permitted(found or self.compute(token))

    async def authenticate(self, token: str, address: str = "") -> Permission:
        """Do what `verify` does without holding up the event loop: a remembered key is answered on it.

        Args:
            token: The key.
            address: From where it comes: who sends many wrong ones has to wait before more are hashed.

        Raises:
            Unauthenticated: The key is not known; always with the same message.
            Overloaded: Too many keys wait to be hashed, or were refused.
        """
        found = self.recall(self.mark(token)) or await self.compute_apart(token, network_of(address))
        permission = permitted(found)
        self.note_use(found.prefix)
        return permission

    def recognize(self, mark: bytes) -> Permission | None:
        """Say what a key that was verified and is remembered may do, by its mark; None where it must be verified."""
        found = self.recall(mark)
        if found is None or found.permission is None:
            return None
        self.note_use(found.prefix)
        return found.permission

    def note_use(self, prefix: str) -> None:
        """Note that a key is used, and write that down if it is time to."""
        if self.uses.note(prefix, self.monotonic()):
            self.threads.submit(self.uses.write)

    async def compute_apart(self, token: str, network: str) -> Remembered:
        """Do what `compute` does in a thread, in its turn."""
        # Here already, lest what is no key at all takes a place among those that wait.
        split(token)
        seconds = self.wrong.seconds_until(network, self.monotonic())
        if seconds > 0:
            raise too_often("An address whose keys are refused", seconds, self.wrong.per_second)
        if self.waiting >= limits.SCRYPT_WAITING_MAX:
            raise Overloaded(f"{self.waiting} keys wait to be verified; no more can be taken now.")
        self.waiting += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(self.threads, self.compute, token)
        finally:
            self.waiting -= 1
        if found.permission is None and found.prefix:
            self.wrong.take(network, self.monotonic())
        return found

    def mark(self, token: str) -> bytes:
        """Hash a key, once its length is known to be sane, under the key of this process.

        It is what memories are kept by.
        """
        if len(token) > limits.ACCOUNT_CHARACTERS_MAX:
            refuse()
        hasher = self.hasher.copy()
        hasher.update(token.encode(errors="surrogatepass"))
        return hasher.digest()

    def recall(self, mark: bytes) -> Remembered | None:
        """Look up an earlier answer that still counts."""
        found = self.verified.get(mark) or self.refused.get(mark)
        if found is None or found.until <= self.monotonic() or found.generation != self.generation():
            return None
        return found

    def generation(self) -> bytes:
        """What changes in the store with each change of a key; read again once a job was run, as each change is one."""
        turn = self.store.turn
        known, generation = self.known_generation
        if known is not turn:
            generation = self.store.read_setting(GENERATION) or b""
            # Of a read-only store the writer is another process, whose jobs are not seen here.
            self.known_generation = (None if self.store.storage.read_only else turn, generation)
        return generation

    def compute(self, token: str) -> Remembered:
        """Answer from the store, and remember the answer.

        A key that changes in the meantime is looked at again: a revoked one must not pass because its
        verification had begun before.
        """
        mark = self.mark(token)
        prefix, suffix = split(token)
        while True:
            generation = self.generation()
            stored = self.read(prefix) or self.nobody(prefix)
            if stored is None or stored.has_expired(self.clock()):
                return Remembered(None, generation, 0.0)
            with self.hashing:
                # Another request with the same key may have been answered while this one waited for its turn.
                found = self.recall(mark)
                if found is not None:
                    return found
                until_ms = valid_until(hash_of(suffix, stored), stored)
            if generation == self.generation():
                return self.remember(mark, Remembered(None, generation, 0.0, prefix), stored, until_ms)

    def nobody(self, prefix: str) -> StoredKey | None:
        """What an account that is not there is taken for, so that it takes as long; nothing else is."""
        if not prefix.startswith(ACCOUNT) or not self.store.scan_settings(ACCOUNTS_PREFIX):
            return None
        salt = self.mark(prefix)[:SALT_BYTES]
        return StoredKey(salt, SCRYPT_N, SCRYPT_R, ACCOUNT_SCRYPT_P, b"", Permission(), 0, "")

    def remember(self, mark: bytes, found: Remembered, stored: StoredKey, until_ms: float) -> Remembered:
        """Keep an answer for a while, and let the oldest go beyond the bound."""
        left = (until_ms - self.clock()) / 1_000
        if left <= 0:
            memory, seconds, permission = self.refused, limits.KEY_REFUSED_SECONDS, None
        else:
            memory, seconds, permission = self.verified, min(limits.KEY_CACHE_SECONDS, left), stored.permission
        found = found._replace(permission=permission, until=self.monotonic() + seconds)
        with self.lock:
            memory.pop(mark, None)
            memory[mark] = found
            if len(memory) > limits.KEY_CACHE_ENTRIES_MAX:
                memory.popitem(last=False)
        return found


def permitted(found: Remembered) -> Permission:
    """Unwrap an answer."""
    return found.permission or refuse()


def split(token: str) -> tuple[str, str]:
    """Take a credential apart into what finds it and what is secret.

    Raises:
        Unauthenticated: It has neither the form of a key nor that of an account with its password.
    """
    return split_account(token) if ":" in token else split_key(token)


def derive(suffix: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    """Compute scrypt, in just the memory that OpenSSL takes for these parameters."""
    maxmem = 128 * r * (n + p + 2)
    return hashlib.scrypt(suffix.encode(), salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=HASH_BYTES)


def hash_of(suffix: str, stored: StoredKey) -> bytes:
    """Hash a suffix as that of a key that is kept was."""
    return derive(suffix, stored.salt, stored.n, stored.r, stored.p)
