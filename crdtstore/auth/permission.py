"""A permission is what a credential may do: verbs, and the collections for which it has them; asked through its checks.

Rules: `check` is the one place where an access to a collection is allowed or refused, `check_scope` asks it for every
collection of a store that another one keeps up with, `check_full` is for the store as a whole. A permission is never
changed, only replaced. What it does not name is refused, so a verb that a newer version stored and this one does not
know gives nothing; nor does a permission for some collections give anything to an older version, which knows none.
The collection in which a series lies is read and written as a series alone, by whoever it is: what has expired is
hidden there, and nowhere else.

Not here: permissions by document. They come behind the same methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from crdtstore.crdt.scope import Scope
from crdtstore.errors import Forbidden
from crdtstore.timeseries.series import PREFIX as SERIES_PREFIX

Verb: TypeAlias = Literal["read", "write"]
Row: TypeAlias = "dict[str, list[str]]"
"""A permission as it is stored with a key: lists of names."""

SYSTEM_PREFIX: Final = "__"
"""Collections that the store keeps for itself; their documents are read like others."""

SETTINGS: Final = frozenset({"__timeseries"})
"""Those of them that callers write, to say how the store is to treat what is theirs."""

VERBS: Final[frozenset[str]] = frozenset(get_args(Verb))


@dataclass(frozen=True, slots=True)
class Permission:
    """What a credential may do; `collections` is None for all that there are and will be."""

    verbs: frozenset[str]
    collections: frozenset[str] | None = None

    @classmethod
    def full(cls) -> Permission:
        """Every verb on every collection."""
        return cls(VERBS)

    @classmethod
    def from_row(cls, row: Mapping[str, Sequence[str]]) -> Permission:
        """Read a permission as `to_row` wrote it, among other names; verbs that are none give nothing."""
        if "collections" in row:
            return cls(VERBS.intersection(row["verbs"]), frozenset(row["collections"]))
        return cls(VERBS.intersection(row["permission"]))

    def to_row(self) -> Row:
        """Write this permission as it is stored with a key.

        A version that knows no collections reads `permission` alone: there it stays empty where some are named.
        """
        if self.collections is None:
            return {"permission": sorted(self.verbs)}
        return {"permission": [], "verbs": sorted(self.verbs), "collections": sorted(self.collections)}

    def check(self, verb: Verb, collection: str) -> None:
        """Refuse `verb` on `collection` unless this permission has it.

        Raises:
            Forbidden: The permission lacks the verb or the collection, or the collection belongs to the system or to
                a series.
        """
        if collection.startswith(SERIES_PREFIX):
            message = (
                f"Collection {collection!r} holds the events of a series, expired ones too: "
                "they are read and written as a series, at /api/v1/timeseries/SERIES/events."
            )
            raise Forbidden(message, verb=verb, collection=collection)
        self.check_held(verb, collection)

    def check_held(self, verb: Verb, collection: str) -> None:
        """The same for a store that holds a collection whole, those of series too.

        Raises:
            Forbidden: As `check`, but for series.
        """
        if verb == "write" and collection.startswith(SYSTEM_PREFIX) and collection not in SETTINGS:
            message = f"Collection {collection!r} belongs to the system: names that begin with {SYSTEM_PREFIX} do."
            raise Forbidden(message, verb=verb, collection=collection)
        if verb not in self.verbs or (self.collections is not None and collection not in self.collections):
            message = f"This key may not {verb} the collection {collection!r}."
            raise Forbidden(message, verb=verb, collection=collection)

    def check_scope(self, verb: Verb, scope: Scope) -> None:
        """Refuse `verb` on what another store holds, for which it asks.

        Raises:
            Forbidden: The permission lacks the verb, one of the collections, or, for the whole store, any.
        """
        if scope is not None:
            for collection in scope:
                self.check_held(verb, collection)
        elif verb not in self.verbs or self.collections is not None:
            raise Forbidden(f"This key may not {verb} the whole store.", verb=verb)

    def check_some(self, verb: Verb) -> None:
        """Refuse what takes a verb on any collection, whichever it is.

        Raises:
            Forbidden: The permission has it on none.
        """
        if verb not in self.verbs or (self.collections is not None and not self.collections):
            raise Forbidden(f"This key may {verb} no collection.", verb=verb)

    def check_full(self) -> None:
        """Refuse what concerns the store as a whole, unless this permission has every verb on every collection.

        Raises:
            Forbidden: The permission lacks a verb, `missing` names those that it lacks; or a collection.
        """
        missing = sorted(VERBS - self.verbs)
        if missing or self.collections is not None:
            lack = f"may not {' or '.join(missing)}" if missing else "is for some collections"
            raise Forbidden(f"This takes a key that may do everything; this key {lack}.", missing=missing)
