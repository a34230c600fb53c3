"""What statements need of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from crdtstore.indexes import Indexes
    from crdtstore.query.rules import Rules
    from crdtstore.statement.requests import Requests
    from crdtstore.statement.system_parameters import SystemParameters
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.draft import Draft
    from crdtstore.storage.interface import Snapshot
    from crdtstore.storage.stats import Stats
    from crdtstore.version.clock import Clock
    from crdtstore.version.retained import Retained
    from crdtstore.version.transaction import Sequenced


class Terms(NamedTuple):
    """On what terms a transaction runs: see `Store.execute`. `once` is the store's own, and only handed on."""

    actor: bytes | None = None
    after: int | None = None
    once: Any = None
    dry: bool = False


class Host(Protocol):
    """A store, as far as statements know it."""

    clock: Clock
    indexes: Indexes
    requests: Requests
    retained: Retained
    parameters: SystemParameters
    rules: Rules

    def view(self, at: int | None = None) -> AbstractContextManager[tuple[Snapshot, Catalog]]:
        """A snapshot and its names."""

    def names(self, snapshot: Snapshot) -> Catalog:
        """The names that the documents of a snapshot use."""

    def stats(self) -> Stats:
        """What the store holds."""

    def sequence(
        self,
        evaluate: Callable[[Draft], Any],
        finish: Callable[[Sequenced], Any],
        *,
        actor: bytes | None = None,
        after: int | None = None,
        once: Any = None,
        dry: bool = False,
    ) -> Future[Any]:
        """Run a transaction."""
