"""A scope is what a store holds of the world: everything, or a fixed list of collections.

Rules: a store has one scope, given when it is made and never changed, because its version vector is valid for
exactly that scope: it claims only what the store holds in it. None is the whole store; a list is sorted, and not
empty. A store of a narrower scope is given *cut* records (without the changes outside) and *advances* (where a
record has nothing inside); a store of a wider scope takes only origins whose records it gets whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Scope: TypeAlias = tuple[str, ...] | None

WHOLE: Scope = None


def make_scope(collections: Iterable[str] | None) -> Scope:
    """The scope of a list of collections; None for the whole store."""
    return None if collections is None else tuple(sorted(set(collections)))


def holds(scope: Scope, collection: str) -> bool:
    """Whether a scope has a collection."""
    return scope is None or collection in scope


def includes(outer: Scope, inner: Scope) -> bool:
    """Whether all that `inner` has is in `outer`."""
    return outer is None or (inner is not None and set(inner) <= set(outer))


def format_scope(scope: Scope) -> str:
    """For people."""
    return "the whole store" if scope is None else ", ".join(scope)
