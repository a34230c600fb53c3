"""An API key is a long-lived credential: `prefix` + `_cs1_` + `suffix`, shown once and stored only as a hash.

Rules:

- The prefix (12 characters, base 62) finds the key and is no secret. The suffix holds 192 bits of a
  cryptographic generator; only its scrypt is stored, with the parameters that made it, so that they can be
  raised later. Guessing 192 bits is hopeless at any cost: scrypt is set to what a server can afford, since
  every wrong suffix makes it work.
- Whatever is wrong with a key, the answer is one and the same `Unauthenticated`.
- Verified keys are remembered under a keyed hash whose own key lives and dies with this process: who steals
  the store can neither use nor test anything with it. Refused ones are remembered too, shorter and apart, so
  that a flood of wrong keys cannot push the right ones out.
- Every change of a key raises the generation, and what an older generation remembered counts no more.

Not here: what a key may do (`permission`), how it travels (`http/headers.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import string
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, NoReturn

import msgpack
import msgspec

from crdtstore import limits
from crdtstore.auth.permission import Permission
from crdtstore.errors import Corrupted, Forbidden, MalformedRequest, Overloaded, Unauthenticated
from crdtstore.store import Store

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
FIXED_PART: Final = "_cs1_"
PREFIX_LENGTH: Final = 12
SUFFIX_BITS: Final = 192
SUFFIX_LENGTH: Final = 33
"""The fewest base-62 digits that hold 192 bits."""

FORM: Final = re.compile(rf"([0-9A-Za-z]{{{PREFIX_LENGTH}}}){FIXED_PART}([0-9A-Za-z]{{{SUFFIX_LENGTH},}})")

SETTING_PREFIX: Final = b"api-key/"
STORED_VERSION: Final = 1
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
SCRYPT_N: Final = 2**15
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1

REFUSAL: Final = "The credential is missing or not known: send `Authorization: Bearer <API key>`."
"""Said for a missing header, another scheme, an unknown prefix and a wrong suffix alike."""


class PermissionNames(msgspec.Struct):
    """What a stored permission must be made of, where it is there."""

    permission: list[str] = []
    verbs: list[str] = []
    collections: list[str] = []


NAMES: Final = msgspec.msgpack.Decoder(PermissionNames)


class StoredKey(NamedTuple):
    """What is kept of a key: everything but the key."""

    salt: bytes
    n: int
    r: int
    p: int
    hash: bytes
    permission: Permission
    created_ms: int
    name: str


class Remembered(NamedTuple):
    """An earlier answer: the permission, or None where the key was refused."""

    permission: Permission | None
    generation: int
    until: float


class KeyRing:
    """The API keys of one store, and the memory of those that were verified.

    Safe to use from several threads. `verify` computes in the caller's thread, `authenticate` never computes
    on the event loop.
    """

    def __init__(self, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Serve the keys of `store`; `monotonic` is the clock, in seconds, by which memories grow old."""
        self.store = store
        self.monotonic = monotonic
        self.process_key = os.urandom(32)
        self.lock = threading.Lock()
        self.generation = 0
        self.verified: OrderedDict[bytes, Remembered] = OrderedDict()
        self.refused: OrderedDict[bytes, Remembered] = OrderedDict()
        self.waiting = 0
        self.hashing = threading.BoundedSemaphore(limits.SCRYPT_AT_ONCE_MAX)
        self.threads = ThreadPoolExecutor(limits.SCRYPT_AT_ONCE_MAX, "crdtstore-key")

    def create(self, name: str, permission: Permission) -> str:
        """Make a key and store its hash.

        Args:
            name: What people call the key; not a secret.
            permission: What the key may do.

        Returns:
            The key in plain text. It cannot be had a second time.
        """
        key = draw_key()
        prefix, suffix = split(key)
        self.keep(prefix, suffix, name, permission)
        return key

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
        prefix, suffix = split(token)
        known = self.read(prefix)
        if known is None:
            self.keep(prefix, suffix, name, permission)
            return True
        if not same_suffix(suffix, known):
            raise Forbidden(f"The store knows another key with the prefix {prefix}.", prefix=prefix)
        return False

    def revoke(self, prefix: str) -> bool:
        """Forget the key with `prefix`, at once; returns whether there was one."""
        known = self.read(prefix) is not None
        self.store.write_setting(SETTING_PREFIX + prefix.encode(), None)
        self.invalidate()
        return known

    def known(self) -> Iterator[tuple[str, StoredKey]]:
        """All keys, each behind its prefix, in the order of these."""
        for key, data in self.store.scan_settings(SETTING_PREFIX):
            yield key.removeprefix(SETTING_PREFIX).decode(), decode(data)

    def invalidate(self) -> None:
        """Let nothing that was remembered before count any more."""
        with self.lock:
            self.generation += 1
            self.verified.clear()
            self.refused.clear()

    def verify(self, token: str) -> Permission:
        """Say what the bearer of `token` may do; may take the time of one scrypt, and of others before it.

        Raises:
            Unauthenticated: The key is not known; always with the same message.
        """
        found = self.recall(self.mark(token))
        return permitted(found or self.compute(token))

    async def authenticate(self, token: str) -> Permission:
        """Do what `verify` does without holding up the event loop: a remembered key is answered on it.

        Raises:
            Unauthenticated: The key is not known; always with the same message.
            Overloaded: Too many keys wait to be hashed.
        """
        found = self.recall(self.mark(token))
        if found is None:
            # Here already, lest what is no key at all takes a place among those that wait.
            split(token)
            if self.waiting >= limits.SCRYPT_WAITING_MAX:
                raise Overloaded(f"{self.waiting} keys wait to be verified; no more can be taken now.")
            self.waiting += 1
            try:
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self.threads, self.compute, token)
            finally:
                self.waiting -= 1
        return permitted(found)

    def mark(self, token: str) -> bytes:
        """Hash a key, once its length is known to be sane, under the key of this process.

        It is what memories are kept by.
        """
        if len(token) > limits.API_KEY_BYTES_MAX:
            refuse()
        return hashlib.blake2b(token.encode(errors="surrogatepass"), key=self.process_key).digest()

    def recall(self, mark: bytes) -> Remembered | None:
        """Look up an earlier answer that still counts."""
        found = self.verified.get(mark) or self.refused.get(mark)
        if found is None or found.generation != self.generation or found.until <= self.monotonic():
            return None
        return found

    def compute(self, token: str) -> Remembered:
        """Answer from the store, and remember the answer.

        A key that changes in the meantime is looked at again: a revoked one must not pass because its
        verification had begun before.
        """
        mark = self.mark(token)
        prefix, suffix = split(token)
        while True:
            generation = self.generation
            stored = self.read(prefix)
            if stored is None:
                return Remembered(None, generation, 0.0)
            with self.hashing:
                # Another request with the same key may have been answered while this one waited for its turn.
                found = self.recall(mark)
                if found is not None:
                    return found
                matches = same_suffix(suffix, stored)
            if generation == self.generation:
                return self.remember(mark, stored.permission if matches else None, generation)

    def remember(self, mark: bytes, permission: Permission | None, generation: int) -> Remembered:
        """Keep an answer for a while, and let the oldest go beyond the bound."""
        if permission is None:
            memory, seconds = self.refused, limits.KEY_REFUSED_SECONDS
        else:
            memory, seconds = self.verified, limits.KEY_CACHE_SECONDS
        found = Remembered(permission, generation, self.monotonic() + seconds)
        with self.lock:
            memory.pop(mark, None)
            memory[mark] = found
            if len(memory) > limits.KEY_CACHE_ENTRIES_MAX:
                memory.popitem(last=False)
        return found

    def keep(self, prefix: str, suffix: str, name: str, permission: Permission) -> None:
        """Store the hash of a new key."""
        salt = os.urandom(SALT_BYTES)
        derived = derive(suffix, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
        created_ms = time.time_ns() // 1_000_000
        stored = StoredKey(salt, SCRYPT_N, SCRYPT_R, SCRYPT_P, derived, permission, created_ms, name)
        self.store.write_setting(SETTING_PREFIX + prefix.encode(), encode(stored))
        self.invalidate()

    def read(self, prefix: str) -> StoredKey | None:
        """Read what the store keeps of the key with `prefix`."""
        data = self.store.read_setting(SETTING_PREFIX + prefix.encode())
        return None if data is None else decode(data)


def draw_key() -> str:
    """Draw a key, which no store knows yet."""
    return random_text(PREFIX_LENGTH) + FIXED_PART + base62(secrets.randbits(SUFFIX_BITS))


def split(token: str) -> tuple[str, str]:
    """Take a key apart into prefix and suffix.

    Raises:
        Unauthenticated: It has not the form of a key.
    """
    match = FORM.fullmatch(token) if len(token) <= limits.API_KEY_BYTES_MAX else None
    return (match[1], match[2]) if match else refuse()


def check_form(token: str) -> None:
    """Refuse what is no key, where an operator brings one.

    Raises:
        MalformedRequest: It has not the form of a key.
    """
    try:
        split(token)
    except Unauthenticated:
        message = f"A key is 12 letters or digits, `{FIXED_PART}` and at least 33 more."
        raise MalformedRequest(message) from None


def refuse() -> NoReturn:
    """Refuse a key, in the one way in which keys are refused."""
    raise Unauthenticated(REFUSAL)


def permitted(found: Remembered) -> Permission:
    """Unwrap an answer."""
    return found.permission or refuse()


def random_text(length: int) -> str:
    """Draw `length` characters of the alphabet."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def base62(number: int) -> str:
    """Write a number of 192 bits in base 62, always in 33 digits."""
    digits = []
    for _ in range(SUFFIX_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def derive(suffix: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    """Compute scrypt, in just the memory that OpenSSL takes for these parameters."""
    maxmem = 128 * r * (n + p + 2)
    return hashlib.scrypt(suffix.encode("ascii"), salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=HASH_BYTES)


def same_suffix(suffix: str, stored: StoredKey) -> bool:
    """Compare a suffix with what is kept of the right one, in constant time."""
    derived = derive(suffix, stored.salt, stored.n, stored.r, stored.p)
    return hmac.compare_digest(derived, stored.hash)


def encode(stored: StoredKey) -> bytes:
    """Write a key as it is stored."""
    row: dict[str, Any] = stored._asdict()
    row |= {"version": STORED_VERSION, **stored.permission.to_row()}
    packed: bytes = msgpack.packb(row)
    return packed


def decode(data: bytes) -> StoredKey:
    """Read a key as `encode` wrote it.

    Raises:
        Corrupted: The bytes are no key.
    """
    try:
        NAMES.decode(data)
        row: dict[str, Any] = msgpack.unpackb(data)
        row["permission"] = Permission.from_row(row)
        return msgspec.convert([row[field] for field in StoredKey._fields], StoredKey)
    except (ValueError, TypeError, LookupError, RecursionError, msgspec.MsgspecError) as error:
        raise Corrupted("keys", SETTING_PREFIX, f"a row is no API key: {error}") from None
