"""What a store keeps of API keys and accounts: all but the secrets, in rows; and what became of them, in others.

Rules:

- A key's row is whole: an older version reads of it what it knows, and finds no right there that the key has not. So
  a key that expires gives it nothing.
- Every change of a key and the change of the generation are one transaction: whoever reads the generation after it
  knows that what he remembers is out of date, in whichever process.
- The time of the last use stands apart, since it is written in passing. It goes with the key.
- What became of keys is kept in order, the newest KEY_CHANGES_MAX.
- An account is a key whose secret people choose. It is named by `account:` and its name where a key is by its prefix,
  and lies apart, where an older version sees nothing.

Not here: how a key is verified (`api_key`).
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeAlias

import msgpack
import msgspec

from crdtstore import limits
from crdtstore.auth.account_form import ACCOUNT, NAME_FORM
from crdtstore.auth.key_form import PREFIX_FORM
from crdtstore.auth.permission import Permission
from crdtstore.errors import CallerError, Corrupted, NotFound
from crdtstore.storage.interface import Batch, Snapshot
from crdtstore.storage.tables import Table

SETTING_PREFIX: Final = b"api-key/"
ACCOUNTS_PREFIX: Final = b"account/"
USES_PREFIX: Final = b"api-key-used/"
CHANGES_PREFIX: Final = b"api-key-change/"
GENERATION: Final = b"api-key-generation"
NUMBER_BYTES: Final = 8
STORED_VERSION: Final = 2

What: TypeAlias = Literal["created", "adopted", "rotated", "revoked"]


class PermissionNames(msgspec.Struct):
    """What a stored permission must be made of, where it is there."""

    permission: list[str] = []
    verbs: list[str] = []
    collections: list[str] = []
    read: list[str] | None = None
    write: list[str] | None = None
    remote_query: bool = False


NAMES: Final = msgspec.msgpack.Decoder(PermissionNames)


class StoredKey(NamedTuple):
    """What is kept of a key or an account: everything but its secret. Times are in milliseconds since 1970."""

    salt: bytes
    n: int
    r: int
    p: int
    hash: bytes
    permission: Permission
    created_ms: int
    name: str
    description: str = ""
    expires_ms: int | None = None
    old_hash: bytes | None = None
    """Of the suffix before the last rotation, under the same salt."""

    old_until_ms: int = 0
    """Until when that is taken, too."""

    def has_expired(self, now_ms: int) -> bool:
        """Whether it is not taken any more."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a key: when, by whose hand, and what it was called."""

    at: str
    what: What
    prefix: str
    name: str
    by: str


def encode(stored: StoredKey) -> bytes:
    """Write a key as it is stored."""
    row: dict[str, Any] = stored._asdict()
    row |= {"version": STORED_VERSION, **stored.permission.to_row()}
    if stored.expires_ms is not None:
        row["permission"] = []
    packed: bytes = msgpack.packb(row)
    return packed


def decode(data: bytes) -> StoredKey:
    """Read a key as `encode` wrote it, in this version or the first.

    Raises:
        Corrupted: The bytes are no key.
    """
    try:
        NAMES.decode(data)
        row: dict[str, Any] = msgpack.unpackb(data)
        row["permission"] = Permission.from_row(row)
        known = [row[field] for field in StoredKey._fields if field not in StoredKey._field_defaults]
        later = [row.get(field, default) for field, default in StoredKey._field_defaults.items()]
        return msgspec.convert([*known, *later], StoredKey)
    except (ValueError, TypeError, LookupError, RecursionError, msgspec.MsgspecError) as error:
        raise Corrupted("keys", SETTING_PREFIX, f"a row is no API key: {error}") from None


def row_of(prefix: str) -> bytes | None:
    """Where a key or an account is kept; None for what can be neither."""
    if PREFIX_FORM.fullmatch(prefix) is not None:
        return SETTING_PREFIX + prefix.encode()
    name = prefix.removeprefix(ACCOUNT)
    is_account = name != prefix and NAME_FORM.fullmatch(name) is not None
    return ACCOUNTS_PREFIX + name.encode() if is_account else None


def read_key(snapshot: Snapshot, prefix: str) -> StoredKey | None:
    """What is kept of the key with this prefix, if there is such a key."""
    row = row_of(prefix)
    data = None if row is None else snapshot.get(Table.KEYS, row)
    return None if data is None else decode(data)


def put_key(batch: Batch, prefix: str, stored: StoredKey | None, change: Change) -> None:
    """Keep a key, or forget it; from then on nothing counts that was remembered of any."""
    row = row_of(prefix) or refuse_unknown(prefix)
    if stored is None:
        batch.delete(Table.KEYS, row)
        batch.delete(Table.KEYS, USES_PREFIX + prefix.encode())
    else:
        batch.put(Table.KEYS, row, encode(stored))
    generation = batch.get(Table.KEYS, GENERATION) or b""
    batch.put(Table.KEYS, GENERATION, number_after(generation))
    append_change(batch, change)


def append_change(batch: Batch, change: Change) -> None:
    """Note what became of a key, and forget the oldest of too many."""
    rows = [key for key, _ in rows_below(batch, CHANGES_PREFIX)]
    newest = rows[-1].removeprefix(CHANGES_PREFIX) if rows else b""
    batch.put(Table.KEYS, CHANGES_PREFIX + number_after(newest), msgspec.msgpack.encode(change))
    for row in rows[: len(rows) + 1 - limits.KEY_CHANGES_MAX]:
        batch.delete(Table.KEYS, row)


def number_after(data: bytes) -> bytes:
    """The number behind one, in bytes that sort as numbers do."""
    return (int.from_bytes(data) + 1).to_bytes(NUMBER_BYTES)


def put_uses(batch: Batch, uses: dict[str, int]) -> None:
    """Keep when keys were used, in milliseconds by prefix; of those that are still known."""
    for prefix, used_ms in uses.items():
        row = row_of(prefix)
        if row is not None and batch.get(Table.KEYS, row) is not None:
            batch.put(Table.KEYS, USES_PREFIX + prefix.encode(), used_ms.to_bytes(NUMBER_BYTES))


def rows_below(snapshot: Snapshot, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The rows whose keys begin so."""
    for key, value in snapshot.scan(Table.KEYS, prefix):
        if not key.startswith(prefix):
            return
        yield key, value


def refuse_unknown(prefix: str) -> NoReturn:
    """Say that there is no such key.

    Raises:
        NotFound: It is so.
    """
    raise NotFound(f"The store knows no key that begins with {prefix!r:.40}.", prefix=prefix[:40])


def time_of(milliseconds: int) -> str:
    """Write a time, in milliseconds since 1970, to the second."""
    return datetime.fromtimestamp(milliseconds // 1_000, UTC).isoformat().replace("+00:00", "Z")


def valid_until(derived: bytes, stored: StoredKey) -> float:
    """Until when a suffix is taken, by its hash, compared in constant time; 0 for one that is not."""
    end = math.inf if stored.expires_ms is None else stored.expires_ms
    is_old = stored.old_hash is not None and hmac.compare_digest(derived, stored.old_hash)
    if hmac.compare_digest(derived, stored.hash):
        return end
    return min(end, stored.old_until_ms) if is_old else 0


def check_text(what: str, text: str, least: int, most: int) -> None:
    """Refuse a name or description that could not be shown in a line.

    Raises:
        CallerError: It is too short or long, or not printable.
    """
    if not least <= len(text) <= most or not text.isprintable():
        raise CallerError(f"A key's {what} has {least} to {most} printable characters; this has {len(text)}.")
