"""What the laws drive: any engine that sequences, applies and shows transactions.

Rules: the laws know an engine only through these protocols. Records are opaque to them; a store is whatever
the engine makes of one. The model of this folder and the adapters over the real stores keep it alike. `Joiner`
is for engines that can also join what two stores hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from tests.laws.operations import Operation, Stamp, Value

Store: TypeAlias = Any
Record: TypeAlias = Any


class Refused(Exception):
    """The engine refused a record."""


class NotCausal(Refused):
    """The engine refused a record that depends on one which was not applied."""


class TypeConflict(Exception):
    """The engine refused a transaction that comes to two types at one path."""


class Engine(Protocol):
    """An engine under the laws."""

    name: str

    def open(self, origin: bytes, clock: int) -> Store:
        """An empty store whose clock stands still at a millisecond."""

    def close(self, store: Store) -> None:
        """Let go of a store."""

    def originate(self, store: Store, actor: bytes, operations: Sequence[Operation]) -> Record | None:
        """Sequence a transaction at a store and give the record that goes to others.

        None says that the transaction changed nothing, so that there is nothing to tell.

        Raises:
            TypeConflict: Two types at one path.
        """

    def deliver(self, store: Store, record: Record) -> bool:
        """Apply a record; False if it was already known.

        Raises:
            NotCausal: The store lacks what the record depends on; nothing was changed.
            Refused: The record cannot be right.
        """

    def deliver_all(self, store: Store, records: Sequence[Record]) -> None:
        """Apply records that are due, in one go.

        Raises:
            Refused: One of them cannot be right.
        """

    def stamp(self, record: Record) -> Stamp:
        """The stamp that a record carries."""

    def canonical(self, store: Store) -> bytes:
        """The canonical state in the notation of `operations.spell`."""

    def visible(self, store: Store) -> dict[str, Value]:
        """The documents that a reader sees."""

    def digest(self, store: Store) -> bytes:
        """The store's digest: equal exactly for equal states."""


class Joiner(Engine, Protocol):
    """An engine whose stores can be joined."""

    def copy(self, store: Store) -> Store:
        """Another store that holds and knows the same."""

    def join(self, store: Store, other: Store) -> None:
        """Join into a store what another one holds and knows, which stays as it is."""

    def knowledge(self, store: Store) -> object:
        """How far each origin is known, and what else decides about later records; equal where these are."""
