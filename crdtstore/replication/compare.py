"""Comparing two stores before anything moves: their histories, and whether they are equal.

Rules: digests are compared at the lower position of every common origin: the side that knows more of an origin
compares, so that between the two all are. Different, or not to be proved, is `Divergence`: nothing is pulled, pushed
or joined. Stores with equal vectors must hold equal documents; where they do not, one of the two is damaged or wrong,
which is `Divergence` too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from crdtstore.crdt.scope import Scope, holds
from crdtstore.errors import Divergence
from crdtstore.storage.catalog import read_counts, sum_digests
from crdtstore.storage.log import chain_at
from crdtstore.version.delivery import divergence

if TYPE_CHECKING:
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Snapshot

Rows: TypeAlias = tuple[tuple[bytes, int, bytes, bool], ...]
"""A version vector on its way: origin, position, chain digest, whether all records came whole."""


def rows_of(head: Head) -> Rows:
    """A store's vector as it is told to another."""
    return tuple(
        (origin, reached.position, reached.digest, origin not in head.partials)
        for origin, reached in sorted(head.vector.items())
    )


def documents_digest(snapshot: Snapshot, scope: Scope) -> bytes:
    """The digest of all documents of a scope: the sum of its collections'."""
    return sum_digests(row for row in read_counts(snapshot) if holds(scope, row.name))


def compare(snapshot: Snapshot, head: Head, rows: Iterable[tuple[bytes, int, bytes, bool]]) -> None:
    """Compare digests wherever this store knows at least as much of an origin as the other.

    Raises:
        Divergence: The histories differ, or it cannot be proved that they do not.
    """
    for origin, position, theirs, _ in rows:
        reached = head.reached(origin)
        if position <= reached.position:
            ours = reached.digest if position == reached.position else chain_at(snapshot, origin, position)
            if ours != theirs:
                raise divergence(origin, position, ours or b"", theirs)


def knows_more(head: Head, rows: Rows) -> bool:
    """Whether another store knows more of this store's current origin: then this one lost what it had written."""
    own = head.reached(head.origin).position
    return any(origin == head.origin and position > own for origin, position, _, _ in rows)


def unequal_documents(ours: bytes, theirs: bytes) -> Divergence:
    """The error for equal vectors with different documents."""
    message = (
        f"Both stores have applied the same transactions and hold different documents: digest {ours.hex()} here, "
        f"{theirs.hex()} there. Verify both."
    )
    return Divergence(message, origin="", position=0, ours=ours.hex(), theirs=theirs.hex())
