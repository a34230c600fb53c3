"""Who a store is: its origin and its scope, in the table META.

Rules: both are given in one commit when a store is made. The scope never changes; the origin does when a new epoch
begins (`version/epoch.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgpack
import msgspec

from crdtstore.crdt.scope import Scope, format_scope
from crdtstore.errors import ScopeMismatch
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from crdtstore.storage.interface import Snapshot, Storage

Entropy: TypeAlias = Callable[[int], bytes]
"""Gives so many random bytes."""

ORIGIN_KEY: Final = b"origin"
SCOPE_KEY: Final = b"scope"

SCOPES: Final = msgspec.msgpack.Decoder(tuple[str, ...])

SITE_BYTES: Final = 8
FIRST_EPOCH: Final = 1


def new_origin(entropy: Entropy) -> bytes:
    """A random site, epoch 1."""
    return entropy(SITE_BYTES) + FIRST_EPOCH.to_bytes(SITE_BYTES, "big")


def give_identity(storage: Storage, origin: bytes, scope: Scope = None) -> None:
    """Give a new store its origin and its scope; one that has an origin keeps both."""
    with storage.snapshot() as snapshot:
        if snapshot.get(Table.META, ORIGIN_KEY) is not None:
            return
    batch = storage.batch()
    try:
        batch.put(Table.META, ORIGIN_KEY, origin)
        if scope is not None:
            batch.put(Table.META, SCOPE_KEY, msgpack.packb(scope))
        batch.commit()
    except BaseException:
        batch.abort()
        raise


def read_origin(snapshot: Snapshot) -> bytes:
    """The origin of a store; empty before it was given one."""
    return snapshot.get(Table.META, ORIGIN_KEY) or b""


def read_scope(snapshot: Snapshot) -> Scope:
    """The scope of a store."""
    row = snapshot.get(Table.META, SCOPE_KEY)
    return None if row is None else decode_row(SCOPES, Table.META, SCOPE_KEY, row)


def check_scope(storage: Storage, scope: Scope) -> None:
    """Refuse to open a store for a scope that it was not made for; None asks for nothing.

    Raises:
        ScopeMismatch: It holds other collections.
    """
    with storage.snapshot() as snapshot:
        held = read_scope(snapshot)
    if scope is not None and scope != held:
        raise ScopeMismatch(f"This store was made for {format_scope(held)}, not for {format_scope(scope)}.")
