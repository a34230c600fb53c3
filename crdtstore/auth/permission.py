"""A permission is what a credential may do: the collections it may read and write, and which documents of them.

Rules: `check` is the one place where an access to a collection is allowed or refused, `check_scope` asks it for every
collection of a store that another one keeps up with, `check_full` is for the store as a whole. Which documents there
are is said by `rules`, under which the store is asked (`held_store`): a collection that may not be read is empty there.
A permission is never changed, only replaced. What it does not name is refused, so a verb that a newer version stored
and this one does not know gives nothing; nor does a permission for some collections or documents give anything of them
to an older version, which knows none. The collection in which a series lies is read and written as a series alone, by
whoever it is: what has expired is hidden there, and nowhere else.

Not here: how rules are read (`rule_texts`), how permissions are written down for people and programs
(`permission_form`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, Self, TypeAlias, get_args

from crdtstore.auth.rule_texts import NO_TEXTS, RuleTexts, compile_rules
from crdtstore.crdt.scope import Scope
from crdtstore.errors import Forbidden
from crdtstore.query.rules import EVERYTHING, Rules
from crdtstore.timeseries.series import PREFIX as SERIES_PREFIX

Verb: TypeAlias = Literal["read", "write"]
Collections: TypeAlias = "frozenset[str] | None"
"""Those for which a permission has a verb; None for all that there are and will be."""

SYSTEM_PREFIX: Final = "__"
"""Collections that the store keeps for itself; their documents are read like others."""

SETTINGS: Final = frozenset({"__timeseries"})
"""Those of them that callers write, to say how the store is to treat what is theirs."""

VERBS: Final[frozenset[str]] = frozenset(get_args(Verb))
NOWHERE: Final = frozenset[str]()


@dataclass(frozen=True, kw_only=True)
class Permission:
    """What a credential may do: `read` and `write` name the collections of which it may read or write anything."""

    read: Collections = NOWHERE
    write: Collections = NOWHERE
    remote_query: bool = False
    """Whether it may run statements for peers, where it may read everything."""

    texts: RuleTexts = NO_TEXTS
    """Which documents of those collections, where it is not all."""

    kept: list[tuple[Any, Any]] = field(default_factory=list, init=False, compare=False, repr=False)
    """A store and what this permission sees of it, made once (`held_store`)."""

    @cached_property
    def rules(self) -> Rules:
        """Which documents it sees and may write, read once."""
        if self.read is None and not self.texts.write:
            return EVERYTHING
        read, write = (compile_rules(texts, self.texts.language) for texts in (self.texts.read, self.texts.write))
        return Rules(
            {name: rule.node for name, rule in read.items()},
            {name: rule.node for name, rule in write.items()},
            None if self.read is None else self.read.difference(read),
            {name: rule.fields for name, rule in read.items() if rule.fields is not None},
        )

    @classmethod
    def full(cls) -> Self:
        """Every verb on every collection."""
        return cls.of(VERBS)

    @classmethod
    def of(cls, verbs: Iterable[str], collections: Collections = None) -> Self:
        """A permission for verbs, the same collections for each; who may read everything may ask peers, too."""
        scopes: dict[str, Any] = dict.fromkeys(VERBS.intersection(verbs), collections)
        return cls(**scopes, remote_query="read" in scopes and collections is None)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a permission as `to_row` wrote it, among other names; verbs that are none give nothing."""
        if "read" in row:
            return cls.from_names(row, RuleTexts.from_row(row["rules"]) if "rules" in row else NO_TEXTS)
        if "collections" in row:
            return cls.of(row["verbs"], frozenset(row["collections"]))
        return cls.of(row["permission"])

    @classmethod
    def from_names(cls, row: Mapping[str, Any], texts: RuleTexts) -> Self:
        """Read a permission for the collections that a row names as a whole, and those that have texts."""
        verbs = {verb: named(row[verb], texts.of(verb)) for verb in VERBS}
        return cls(read=verbs["read"], write=verbs["write"], remote_query=row["remote_query"], texts=texts)

    def to_row(self) -> dict[str, Any]:
        """Write this permission as it is stored with a key.

        The first version knows no collections and reads `permission` alone: there stands what holds for all of them.
        The second knows no rules and reads `read` and `write`: there stand the collections that are allowed as a whole,
        so that it gives nothing of one with a rule.
        """
        row = {
            "permission": sorted(verb for verb in VERBS if self.where(verb) is None),
            "read": self.names_whole("read"),
            "write": self.names_whole("write"),
            "remote_query": self.remote_query,
        }
        return row if self.texts == NO_TEXTS else {**row, "rules": self.texts.to_row()}

    def names_whole(self, verb: str) -> list[str] | None:
        """The collections for which it has a verb as a whole, sorted; None for all."""
        where = self.where(verb)
        return None if where is None else sorted(where.difference(self.texts.of(verb)))

    def where(self, verb: str) -> Collections:
        """The collections for which it has a verb."""
        return self.read if verb == "read" else self.write

    def check(self, verb: Verb, collection: str) -> None:
        """Refuse `verb` on `collection` unless this permission has it, be it for some documents only.

        Raises:
            Forbidden: The permission lacks the verb or the collection, or the collection belongs to the system or to
                a series.
        """
        self.check_no_series(verb, collection)
        self.check_held(verb, collection)

    def check_no_series(self, verb: Verb, collection: str) -> None:
        """Refuse a collection in which a series lies; whatever else is read is empty to who may not read it.

        Raises:
            Forbidden: It is one.
        """
        if collection.startswith(SERIES_PREFIX):
            message = (
                f"Collection {collection!r} holds the events of a series, expired ones too: "
                "they are read and written as a series, at /api/v1/timeseries/SERIES/events."
            )
            raise Forbidden(message, verb=verb, collection=collection)

    def check_held(self, verb: Verb, collection: str) -> None:
        """The same for a store that holds a collection whole, those of series too.

        Raises:
            Forbidden: As `check`, but for series.
        """
        if verb == "write" and collection.startswith(SYSTEM_PREFIX) and collection not in SETTINGS:
            message = f"Collection {collection!r} belongs to the system: names that begin with {SYSTEM_PREFIX} do."
            raise Forbidden(message, verb=verb, collection=collection)
        where = self.read if verb == "read" else self.write
        if where is not None and collection not in where:
            message = f"This key may not {verb} the collection {collection!r}."
            raise Forbidden(message, verb=verb, collection=collection)

    def check_whole(self, verb: Verb, collection: str) -> None:
        """Refuse what concerns a collection as a whole where this permission is for some documents of it.

        Raises:
            Forbidden: It is, or it is for none.
        """
        self.check_held(verb, collection)
        if collection in self.texts.of(verb):
            message = f"This key may {verb} some documents of the collection {collection!r} only, by a rule."
            raise Forbidden(message, verb=verb, collection=collection)

    def check_scope(self, verb: Verb, scope: Scope) -> None:
        """Refuse `verb` on what another store holds, for which it asks.

        Raises:
            Forbidden: The permission lacks the verb, one of the collections, or, for the whole store, any; or it is for
                some documents only.
        """
        if scope is not None:
            for collection in scope:
                self.check_whole(verb, collection)
        elif self.where(verb) is not None:
            raise Forbidden(f"This key may not {verb} the whole store.", verb=verb)

    def check_some(self, verb: Verb) -> None:
        """Refuse what takes a verb on any collection, whichever it is.

        Raises:
            Forbidden: The permission has it on none.
        """
        where = self.where(verb)
        if where is not None and not where:
            raise Forbidden(f"This key may {verb} no collection.", verb=verb)

    def check_remote_query(self) -> None:
        """Refuse a statement for peers, which answer with whatever they hold.

        Raises:
            Forbidden: The permission does not cover it, or not reading the whole store.
        """
        self.check_scope("read", None)
        if not self.remote_query:
            raise Forbidden("This key may not run statements for peers.", verb="read")

    def check_full(self) -> None:
        """Refuse what concerns the store as a whole, unless this permission has every verb on every collection.

        Raises:
            Forbidden: The permission lacks a verb, `missing` names those that it lacks; or a collection.
        """
        missing = [verb for verb in sorted(VERBS) if self.where(verb) == NOWHERE]
        if missing or self.read is not None or self.write is not None:
            lack = f"may not {' or '.join(missing)}" if missing else "is for some collections"
            raise Forbidden(f"This takes a key that may do everything; this key {lack}.", missing=missing)


def named(names: Iterable[str] | None, further: Iterable[str] = ()) -> Collections:
    """Read the collections of a verb, and further ones."""
    return None if names is None else frozenset(names).union(further)
