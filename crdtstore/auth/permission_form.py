"""Permissions as people and programs write them: rules to read and rules to write, each for collections.

Rules: `everything` is all collections that there are and will be. Else a collection is allowed if one of its queries
is `true`, which is every document of it. Any other query is refused, since it could not be enforced: a permission that
is kept is one that holds. `qlVersion` names the language of queries, which all have this one.

Not here: what a permission allows (`permission`).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from crdtstore import limits
from crdtstore.auth.permission import NOWHERE, Collections, Permission
from crdtstore.errors import LimitExceeded, UnsupportedPermission
from crdtstore.storage.catalog import check_collection_name

EVERY_DOCUMENT: Final = "true"


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What may be done with one verb."""

    everything: bool
    queries_by_collection: dict[str, list[str]] = {}


NOTHING: Final = Rules(False)


class PermissionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A permission in JSON."""

    read: Rules = NOTHING
    write: Rules = NOTHING
    remote_query: bool = False
    ql_version: Literal[0, 1] = 0


def permission_of(form: PermissionForm) -> Permission:
    """Read a permission.

    Raises:
        UnsupportedPermission: A query that could not be enforced.
        InvalidDocument: What should name a collection cannot.
        LimitExceeded: Too many collections.
    """
    return Permission(
        read=collections_of("read", form.read),
        write=collections_of("write", form.write),
        remote_query=form.remote_query,
    )


def collections_of(verb: str, rules: Rules) -> Collections:
    """Read the collections of a verb; one without a query is not among them."""
    names = rules.queries_by_collection
    if len(names) > limits.PERMISSION_COLLECTIONS_MAX:
        maximum = limits.PERMISSION_COLLECTIONS_MAX
        message = f"A permission names at most {maximum} collections to {verb}; this one names {len(names)}."
        raise LimitExceeded(message, limit="PERMISSION_COLLECTIONS_MAX", value=len(names), maximum=maximum)
    for name, queries in names.items():
        check_collection_name(name)
        for query in queries:
            if query.strip() != EVERY_DOCUMENT:
                raise unsupported(verb, name, query)
    return None if rules.everything else frozenset(name for name, queries in names.items() if queries)


def unsupported(verb: str, collection: str, query: str) -> UnsupportedPermission:
    """Say that a query cannot be enforced."""
    message = (
        f"The permission to {verb} {collection!r} has the query {query!r:.80}; rules on documents are not enforced, "
        f"so none is kept: {EVERY_DOCUMENT!r} is the only query."
    )
    return UnsupportedPermission(message, verb=verb, collection=collection)


def form_of(permission: Permission) -> PermissionForm:
    """Write a permission down."""
    return PermissionForm(rules_of(permission.read), rules_of(permission.write), permission.remote_query)


def rules_of(collections: Collections) -> Rules:
    """Write the collections of a verb down."""
    if collections is None:
        return Rules(True)
    return Rules(False, {name: [EVERY_DOCUMENT] for name in sorted(collections)})


def sentence_of(permission: Permission) -> str:
    """Say what a permission allows."""
    scopes = {verb: where for verb in ("read", "write") if (where := permission.where(verb)) != NOWHERE}
    if len(scopes) > 1 and permission.read == permission.write:
        return f"may read and write {place(permission.read)}"
    return f"may {' and '.join(f'{verb} {place(where)}' for verb, where in scopes.items()) or 'do nothing'}"


def place(collections: Collections) -> str:
    """Say where a verb holds."""
    return "everything" if collections is None else ", ".join(sorted(collections))
