"""What time series need of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from crdtstore.crdt.value import Value
    from crdtstore.once import Once
    from crdtstore.query.tree import Node
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.draft import Draft
    from crdtstore.storage.interface import Snapshot, Storage
    from crdtstore.timeseries.expiry import Expiry
    from crdtstore.version.clock import Clock
    from crdtstore.version.transaction import Sequenced


class Host(Protocol):
    """A store, as far as time series know it."""

    clock: Clock
    storage: Storage
    expiry: Expiry

    def names(self, snapshot: Snapshot) -> Catalog:
        """The names that a snapshot's documents use."""

    def read_condition(
        self, collection: str, query: str | Node, language: str, args: Mapping[str, Value] | None
    ) -> Node:
        """A query's condition."""

    def sequence(
        self,
        evaluate: Callable[[Draft], Any],
        finish: Callable[[Sequenced], Any],
        *,
        actor: bytes | None = None,
        after: int | None = None,
        once: Once | None = None,
    ) -> Future[Any]:
        """Run a transaction."""
