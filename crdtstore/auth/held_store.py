"""What a session is made of: a store as a permission sees it, and the request that is to be done once.

Rules: as `session`. Whatever reads or writes documents asks `store`, which is held to the rules of the permission;
`whole` is for what the permission's checks cover without any rule.
"""

from __future__ import annotations

import msgspec

from crdtstore.auth.permission import Permission
from crdtstore.errors import Forbidden
from crdtstore.once import Once
from crdtstore.query.rules import EVERYTHING
from crdtstore.store import Store


class HeldStore(msgspec.Struct, frozen=True, eq=False):
    """One store and one permission."""

    whole: Store
    permission: Permission
    once: Once | None = None
    """The request, if it is to be done once."""

    @property
    def store(self) -> Store:
        """The store, as far as the permission sees it."""
        return self.whole if self.permission.rules is EVERYTHING else seen_of(self.whole, self.permission)

    def is_for(self, permission: Permission) -> bool:
        """Whether this is what a permission sees."""
        return permission == self.permission

    def check_author(self, actor: bytes | None) -> None:
        """Refuse an author who would pass for the store.

        Raises:
            Forbidden: It is the store's own origin.
        """
        if actor == self.whole.origin:
            raise Forbidden("This client ID belongs to the store itself; choose another one.")

    def may_read(self, collection: str) -> bool:
        """Whether the permission covers reading a collection, or some of its documents."""
        try:
            self.permission.check("read", collection)
        except Forbidden:
            return False
        return True


def seen_of(store: Store, permission: Permission) -> Store:
    """What a permission sees of a store: made once for the store that it is used with, since a request is short."""
    held: Store
    for whole, held in permission.kept:
        if whole is store:
            return held
    made = store.under(permission.rules)
    permission.kept[:] = [(store, made)]
    return made
