"""A server of our own: one listener for all cases, over another store for each.

Rules: each case gets an empty store in memory and keys of its own. The server ends with the block that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias
from unittest.mock import patch

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.apps import App
from crdtstore.http.server import Application, application
from crdtstore.limits import WAIT_SECONDS_DEFAULT
from tests.conformance.case import Case
from tests.conformance.target import Remote
from tests.http.calling import serving


class Own(Remote):
    """A server whose keys can be made here."""

    def __init__(self, base: str, app: Application, store: Store, keyring: KeyRing) -> None:
        super().__init__(base, keyring.create("conformance", Permission.full()))
        self.app = app
        self.store = store
        self.keyring = keyring

    def create_key(self, asked: Mapping[str, Any]) -> str | None:
        """As far as permissions go yet."""
        permission = None if asked.get("expires_in_s") else permission_of(asked["permissions"])
        return None if permission is None else self.keyring.create("limited", permission)

    def lagging(self) -> AbstractContextManager[object]:
        """Bound a round of the feed so that any is too large."""
        return patch("crdtstore.feed.feed.FEED_ROUND_BYTES_MAX", -1)


MakeOwn: TypeAlias = "Callable[[Case], AbstractContextManager[Own]]"
"""Puts an empty store behind our server for a case."""


def permission_of(asked: Mapping[str, Any]) -> Permission | None:
    """What is asked for: some verbs, for all collections or for some as a whole; None for anything else."""
    scopes: dict[str, frozenset[str] | None] = {}
    for verb in ("read", "write"):
        rules = asked[verb]["queriesByCollection"]
        if any(rule != ["true"] for rule in rules.values()):
            return None
        if asked[verb]["everything"] or rules:
            scopes[verb] = None if asked[verb]["everything"] else frozenset(rules)
    different = set(scopes.values())
    return None if len(different) > 1 else Permission(frozenset(scopes), *different)


@contextmanager
def own_targets() -> Iterator[MakeOwn]:
    """Start a server on a free port, and give what puts an empty store behind it for a case."""
    with Store.in_memory() as before:
        app = application(before, KeyRing(before))
        first = app.apps.only
        with serving(app) as (host, port):

            @contextmanager
            def make(case: Case) -> Iterator[Own]:
                with Store.in_memory() as store:
                    keyring = KeyRing(store)
                    app.apps.only = App(store, keyring)
                    app.wait_seconds = WAIT_SECONDS_DEFAULT
                    target = Own(f"http://{host}:{port}", app, store, keyring)
                    try:
                        yield target
                    finally:
                        target.close()
                        app.apps.only = first

            yield make
