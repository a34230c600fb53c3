"""The merging kernel alone: records into a dict, with nothing of a store around it.

Rules: a record is checked by `core.read_head` and merged by `core.apply_changes`, the two calls that a store
makes for it; the replica's number and what its origin observed are kept as a store keeps them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from crdtstore import core
from crdtstore.crdt.vector import Reached
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.head import Head
from crdtstore.storage.tables import Table


class DictBatch:
    """A batch that is a dict: what `core.apply_changes` asks of one."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, table: int, key: bytes) -> bytes | None:
        """A document's bytes."""
        return self.rows.get(key)

    def put(self, table: int, key: bytes, value: bytes) -> None:
        """Keep a document's bytes."""
        self.rows[key] = value

    def delete(self, table: int, key: bytes) -> bool:
        """Remove a document."""
        return self.rows.pop(key, None) is not None


class Kernel:
    """Names, coverage and a batch."""

    def __init__(self, batch: Any = None) -> None:
        if core.apply_changes is None:
            raise SystemExit("The compiled core was not built: there is no kernel to measure.")
        self.batch: Any = DictBatch() if batch is None else batch
        self.catalog = Catalog()
        self.head = Head(bytes(16), self.catalog.replicas.origins)
        self.origins: dict[bytes, tuple[int, array[int], int]] = {}

    def meet(self, origin: bytes, actor: bytes, observed: dict[bytes, Reached]) -> tuple[int, array[int], int]:
        """What merging needs of an origin: its actor's replica, its coverage and its number in that."""
        replica = self.catalog.replicas.intern(actor + origin)
        coverage = self.head.coverage(origin, observed)
        number = self.catalog.replicas.origins.intern(origin)
        coverage.extend([0] * (number + 1 - len(coverage)))
        known = self.origins[origin] = replica, coverage, number
        return known

    def receive(self, records: Iterable[bytes]) -> None:
        """Check and merge records, in order."""
        read_head, apply_changes = core.read_head, core.apply_changes
        batch, catalog, origins, table = self.batch, self.catalog, self.origins, Table.DOCUMENTS
        for data in records:
            origin, _, actor, timestamp, observed = read_head(data)
            known = None if observed else origins.get(origin)
            replica, coverage, number = known or self.meet(origin, actor, observed)
            apply_changes(batch, catalog, data, replica, coverage, table)
            coverage[number] = timestamp

    def merge(self, records: Iterable[tuple[bytes, int]], origin: bytes) -> None:
        """Merge records, with their timestamps, that were checked before and come from one origin."""
        apply_changes = core.apply_changes
        batch, catalog, table = self.batch, self.catalog, Table.DOCUMENTS
        replica, coverage, number = self.origins[origin]
        for data, timestamp in records:
            apply_changes(batch, catalog, data, replica, coverage, table)
            coverage[number] = timestamp

    def digest(self) -> bytes:
        """As `Store.digest`."""
        return self.catalog.digest().to_bytes(16, "little")
