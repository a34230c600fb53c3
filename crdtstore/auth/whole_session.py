"""A session, as far as it is about the store as a whole: what shows or moves all of it takes all of the permission.

Rules: as `session`. The exchange between stores is what needs the store itself: it gets it from `for_exchange`, for
one request; so does a backup.
"""

from __future__ import annotations

from crdtstore.auth.held_store import HeldStore
from crdtstore.auth.permission import Verb
from crdtstore.crdt.scope import Scope
from crdtstore.feed.kept import KeptImages
from crdtstore.storage.stats import Stats
from crdtstore.store import Store


class WholeSession(HeldStore, frozen=True, eq=False):
    """One store and one permission."""

    def check_full(self) -> None:
        """Refuse what concerns the store as a whole, its keys among it, as `Permission.check_full`.

        Raises:
            Forbidden: The permission is not the full one.
        """
        self.permission.check_full()

    def stats(self) -> Stats:
        """Say what the store holds, as `Store.stats`: the names of all collections among it.

        Raises:
            Forbidden: The permission is not the full one.
        """
        self.permission.check_full()
        return self.whole.stats()

    def change_images(self) -> KeptImages:
        """Give what says which images of changes are kept.

        Raises:
            Forbidden: The permission is not the full one.
        """
        self.permission.check_full()
        return self.whole.change_images

    def for_backup(self) -> Store:
        """Give the store to copy all of it, keys and what the layers above keep in it too.

        Raises:
            Forbidden: The permission is not the full one.
        """
        self.permission.check_full()
        return self.whole

    def for_exchange(self, verb: Verb, scope: Scope) -> Store:
        """Give the store to answer one request of another store.

        Args:
            verb: What the request does.
            scope: What the other store holds.

        Raises:
            Forbidden: The permission does not cover the whole of it.
        """
        self.permission.check_scope(verb, scope)
        return self.whole
