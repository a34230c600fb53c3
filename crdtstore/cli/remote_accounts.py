"""The accounts of a store behind a server, managed by the bearer of a key that may do everything.

Rules: the methods are those of `Accounts`, and so are the errors. What adds or ends an account is sent once: nobody
knows what became of a call that got no answer.

Not here: what an account is (`crdtstore/auth`).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from crdtstore.auth.accounts import AccountList, AccountView, AddedAccount, NewAccount, RevokedAccount
from crdtstore.client.blocking import Client

ROUTE: Final = "/admin/accounts"


class RemoteAccounts:
    """The accounts of the store behind a client's server."""

    def __init__(self, client: Client) -> None:
        """Ask through a client, which stays the caller's to close."""
        self.client = client

    def add(self, asked: NewAccount) -> AddedAccount:
        """Add an account, as `AccountsHere.add`."""
        return self.client.call(ROUTE, msgspec.to_builtins(asked), AddedAccount, None, again=False)

    def list(self) -> tuple[AccountView, ...]:
        """All accounts, in the order of their names."""
        return self.client.call(ROUTE, None, AccountList, None, again=True).accounts

    def revoke(self, name: str) -> None:
        """Forget an account, as `AccountsHere.revoke`."""
        self.client.call(f"{ROUTE}/{quote(name, safe='')}", None, RevokedAccount, None, again=False, method="DELETE")
