"""A permission is what a credential may do: a frozen set of verbs, asked through its checks.

Rules: `check` is the one place where an access to a collection is allowed or refused, `check_full` that for the
store as a whole; a permission is never changed, only replaced. What it does not name is refused, so a verb that
a newer version stored and this one does not know gives nothing.

Not here: permissions by collection and by document. They come behind the same methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from crdtstore.errors import Forbidden

Verb: TypeAlias = Literal["read", "write"]

SYSTEM_PREFIX: Final = "__"
"""Collections that the store keeps for itself; their documents are read like others."""

VERBS: Final[frozenset[str]] = frozenset(get_args(Verb))


@dataclass(frozen=True, slots=True)
class Permission:
    """What a credential may do."""

    verbs: frozenset[str]

    @classmethod
    def full(cls) -> Permission:
        """Every verb on every collection."""
        return cls(VERBS)

    @classmethod
    def from_names(cls, names: list[str]) -> Permission:
        """Read a permission as `to_names` wrote it; names that are no verb give nothing."""
        return cls(VERBS.intersection(names))

    def to_names(self) -> list[str]:
        """Write this permission as it is stored with a key."""
        return sorted(self.verbs)

    def check(self, verb: Verb, collection: str) -> None:
        """Refuse `verb` on `collection` unless this permission has it.

        Raises:
            Forbidden: The permission lacks the verb, or the collection belongs to the system.
        """
        if verb == "write" and collection.startswith(SYSTEM_PREFIX):
            message = f"Collection {collection!r} belongs to the system: names that begin with {SYSTEM_PREFIX} do."
            raise Forbidden(message, verb=verb, collection=collection)
        if verb not in self.verbs:
            message = f"This key may not {verb} the collection {collection!r}."
            raise Forbidden(message, verb=verb, collection=collection)

    def check_full(self) -> None:
        """Refuse what concerns the store as a whole, unless this permission has every verb.

        Raises:
            Forbidden: The permission lacks a verb; `missing` names those that it lacks.
        """
        missing = sorted(VERBS - self.verbs)
        if missing:
            message = f"This takes a key that may do everything; this key may not {' or '.join(missing)}."
            raise Forbidden(message, missing=missing)
