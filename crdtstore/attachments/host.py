"""What attachments need of the store that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from crdtstore.storage.identity import Entropy
    from crdtstore.storage.interface import Storage
    from crdtstore.version.clock import Clock


class Host(Protocol):
    """The store, as far as it is needed here."""

    storage: Storage
    clock: Clock
    entropy: Entropy

    def run(self, job: Callable[[Any, Any, Any], Any], size: int = 0, /) -> Any:
        """Run a job in a commit group; returns its answer when it is on disk."""

    def check_writable(self) -> None:
        """Refuse a write on a store that was opened read-only."""
