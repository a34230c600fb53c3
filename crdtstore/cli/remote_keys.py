"""The keys of a store behind a server, managed by the bearer of a key that may do everything.

Rules: the methods are those of `Keys`, and so are the errors. What makes or ends a key is sent once: nobody knows what
became of a call that got no answer.

Not here: what a key is (`crdtstore/auth`).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from crdtstore.auth.explained import AskedDocument, ExplainedDocument
from crdtstore.auth.keys import Changes, KeyList, KeyView, MadeKey, NewKey, Revoked, Rotation
from crdtstore.auth.stored_key import Change
from crdtstore.client.blocking import Client

ROUTE: Final = "/admin/keys"


class RemoteKeys:
    """The keys of the store behind a client's server."""

    def __init__(self, client: Client) -> None:
        """Ask through a client, which stays the caller's to close."""
        self.client = client

    def create(self, asked: NewKey) -> MadeKey:
        """Make a key, as `KeysHere.create`."""
        return self.client.call(ROUTE, msgspec.to_builtins(asked), MadeKey, None, again=False)

    def list(self) -> tuple[KeyView, ...]:
        """All keys, in the order of their prefixes."""
        return self.client.call(ROUTE, None, KeyList, None, again=True).keys

    def explain(self, prefix: str) -> KeyView:
        """One key, as `KeysHere.explain`."""
        return self.client.call(route_of(prefix), None, KeyView, None, again=True)

    def explain_document(self, prefix: str, asked: AskedDocument) -> ExplainedDocument:
        """What one key may do with a document, as `KeysHere.explain_document`."""
        route, body = f"{route_of(prefix)}/explain", msgspec.to_builtins(asked)
        return self.client.call(route, body, ExplainedDocument, None, again=True)

    def rotate(self, prefix: str, asked: Rotation) -> MadeKey:
        """Give a key another suffix, as `KeysHere.rotate`."""
        return self.client.call(f"{route_of(prefix)}/rotate", msgspec.to_builtins(asked), MadeKey, None, again=False)

    def revoke(self, prefix: str) -> None:
        """Forget a key, as `KeysHere.revoke`."""
        self.client.call(route_of(prefix), None, Revoked, None, again=False, method="DELETE")

    def changes(self) -> tuple[Change, ...]:
        """What became of keys, the oldest first."""
        return self.client.call("/admin/key-changes", None, Changes, None, again=True).changes


def route_of(prefix: str) -> str:
    """The path of a key."""
    return f"{ROUTE}/{quote(prefix, safe='')}"
