"""A session is a store as one bearer of a permission sees it: what the HTTP layer holds instead of the store.

Rules: every method asks the permission before it touches the store, so that no route can forget to. The exchange
between stores is the one that needs the store itself: it gets it from `for_exchange`, for one request.

Not here: who the bearer is (`api_key`), what the permission means (`permission`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from crdtstore.auth.permission import Permission, Verb
from crdtstore.command.command import Command
from crdtstore.command.result import Written
from crdtstore.crdt.scope import Scope
from crdtstore.crdt.value import Value
from crdtstore.errors import Forbidden
from crdtstore.finding import Found
from crdtstore.query.find import Document
from crdtstore.storage.stats import Stats
from crdtstore.store import Store


@dataclass(frozen=True, slots=True)
class Session:
    """One store and one permission."""

    store: Store
    permission: Permission

    @property
    def applied(self) -> int:
        """The newest transaction that reads see; every answer says it, so it is no secret."""
        return self.store.applied

    def submit(self, commands: Sequence[Command], *, actor: bytes, after: int | None = None) -> Future[Written]:
        """Write in one transaction, as `Store.submit`.

        Raises:
            Forbidden: The permission does not cover every command, or `actor` is the store's own origin,
                whose name would let a client pass for the store.
        """
        for command in commands:
            self.permission.check("write", command.collection)
        if actor == self.store.origin:
            raise Forbidden("This client ID belongs to the store itself; choose another one.")
        return self.store.submit(commands, actor=actor, after=after)

    def find(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None = None,
        limit: int,
        offset: int = 0,
        at: int | None = None,
    ) -> Found:
        """Find documents, as `Store.find`.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.permission.check("read", collection)
        return self.store.find(collection, query, args=args, limit=limit, offset=offset, at=at)

    def get(self, collection: str, identifier: Value, *, at: int | None = None) -> Document | None:
        """Read one document, as `Store.get`.

        Raises:
            Forbidden: The permission does not cover it.
        """
        self.permission.check("read", collection)
        return self.store.get(collection, identifier, at=at)

    def notify(self, collection: str, txn: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Be told when a transaction is applied, on behalf of a read of `collection`, as `Store.notify`.

        Raises:
            Forbidden: The permission does not cover the read, so nothing may wait for it.
            Overloaded: Too many reads wait.
        """
        self.permission.check("read", collection)
        return self.store.notify(txn, callback)

    def stats(self) -> Stats:
        """Say what the store holds, as `Store.stats`: the names of all collections among it.

        Raises:
            Forbidden: The permission is not the full one.
        """
        self.permission.check_full()
        return self.store.stats()

    def for_backup(self) -> Store:
        """Give the store to copy all of it, keys and what the layers above keep in it too.

        Raises:
            Forbidden: The permission is not the full one.
        """
        self.permission.check_full()
        return self.store

    def for_exchange(self, verb: Verb, scope: Scope) -> Store:
        """Give the store to answer one request of another store.

        Args:
            verb: What the request does.
            scope: What the other store holds.

        Raises:
            Forbidden: The permission does not cover the whole of it.
        """
        self.permission.check_scope(verb, scope)
        return self.store
