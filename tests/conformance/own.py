"""A server of our own: one listener for all cases, over another store for each.

Rules: each case gets an empty store in memory and keys of its own. The server ends with the block that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias
from unittest.mock import patch

import msgspec

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, permission_of
from crdtstore.errors import UnsupportedPermission
from crdtstore.http.apps import App
from crdtstore.http.server import Application, application
from crdtstore.limits import WAIT_SECONDS_DEFAULT
from crdtstore.version.clock import wall_milliseconds
from tests.conformance.case import Case
from tests.conformance.target import Remote
from tests.http.calling import serving

DAY_MILLISECONDS = 86_400_000


class Own(Remote):
    """A server whose keys can be made here."""

    def __init__(self, base: str, app: Application, store: Store, keyring: KeyRing) -> None:
        super().__init__(base, keyring.create("conformance", Permission.full()))
        self.app = app
        self.store = store
        self.keyring = keyring

    def create_key(self, asked: Mapping[str, Any]) -> str | None:
        """As far as permissions go yet; a key that ended already was made a day ago."""
        try:
            permission = permission_of(msgspec.convert(asked["permissions"], PermissionForm))
        except UnsupportedPermission:
            return None
        seconds = asked.get("expires_in_s")
        if seconds is None:
            return self.keyring.create("limited", permission)
        end_ms = wall_milliseconds() + int(seconds * 1_000)
        return KeyRing(self.store, clock=lambda: end_ms - DAY_MILLISECONDS).create(
            "limited", permission, expires_ms=end_ms
        )

    def lagging(self) -> AbstractContextManager[object]:
        """Bound a round of the feed so that any is too large."""
        return patch("crdtstore.feed.feed.FEED_ROUND_BYTES_MAX", -1)


MakeOwn: TypeAlias = "Callable[[Case], AbstractContextManager[Own]]"
"""Puts an empty store behind our server for a case."""


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
