"""A server of our own: one listener for all cases, over another store for each.

Rules: each case gets an empty store in memory and keys of its own. The server ends with the block that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from unittest.mock import patch

import msgspec

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules, permission_of
from crdtstore.auth.token import Tokens
from crdtstore.auth.token_keys import TokenKeys, draw_signing_key
from crdtstore.errors import UnsupportedPermission
from crdtstore.http.apps import App
from crdtstore.http.login.login import Login
from crdtstore.http.login.providers import Webhook
from crdtstore.http.server import Application, application
from crdtstore.limits import WAIT_SECONDS_DEFAULT
from crdtstore.version.clock import wall_milliseconds
from tests.conformance.case import Case
from tests.conformance.target import Remote
from tests.http.calling import serving
from tests.http.webhook import webhook

DAY_MILLISECONDS = 86_400_000


class Own(Remote):
    """A server whose keys can be made here."""

    def __init__(self, base: str, app: Application, store: Store, keyring: KeyRing) -> None:
        super().__init__(base, keyring.create("conformance", Permission.full()))
        assert app.tokens is not None
        full = PermissionForm(Rules(True), Rules(True))
        self.variables["JWT"] = app.tokens.sign("conformance", "app", full, 600).text
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


def verdict(asked: Mapping[str, str]) -> Mapping[str, Any]:
    """What the providers of the cases say: one as its schema has it, the other as examples do."""
    rules = {"everything": True, "queriesByCollection": {}}
    granted = {"userID": "user", "expirationSeconds": 600, "permissions": {"read": rules, "write": rules}}
    if asked["provider"] == "schema-provider":
        return {"authenticated": True, **granted}
    return {"authenticate": True, **granted} if asked["token"] != "bad" else {"authenticate": False}


@contextmanager
def logins() -> Iterator[Login]:
    """Logins with the providers of the cases."""
    with ExitStack() as stack:
        file = Path(stack.enter_context(TemporaryDirectory())) / "key.json"
        file.write_bytes(msgspec.json.encode(draw_signing_key("conformance")))
        file.chmod(0o600)
        hook = Webhook(stack.enter_context(webhook(verdict)).url, "x" * 32)
        tokens = Tokens(TokenKeys(None, file))
        stack.callback(tokens.close)
        yield Login({"my-provider": hook, "schema-provider": hook}, tokens)


@contextmanager
def own_targets() -> Iterator[MakeOwn]:
    """Start a server on a free port, and give what puts an empty store behind it for a case."""
    with Store.in_memory() as before, logins() as login:
        app = application(before, KeyRing(before), tokens=login.tokens, login=login)
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
