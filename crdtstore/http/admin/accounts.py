"""/admin/accounts: the accounts of the store, managed by who may do everything.

Rules: as those of /admin/keys: an endpoint asks `call.accounts` first, which refuses all others, and works in a thread.
A password that was drawn is answered once.

Not here: what is asked and told of accounts (`crdtstore/auth/accounts.py`).
"""

from __future__ import annotations

from typing import Final

from crdtstore.auth.accounts import AccountList, AddedAccount, NewAccount, RevokedAccount
from crdtstore.errors import NotFound, UnsupportedPermission
from crdtstore.http.admin.keys import told
from crdtstore.http.call import Call
from crdtstore.http.described import Described
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import Route

EXAMPLE: Final = {
    "name": "alice",
    "permissions": {"read": {"everything": False, "queriesByCollection": {"cities": ["true"]}}},
}


async def all_accounts(call: Call) -> Answer:
    """List the accounts, or add one."""
    accounts = call.accounts
    if call.request.method == "GET":
        return await told(call, lambda: AccountList(accounts.list()))
    asked = await call.decode(NewAccount)
    return await told(call, lambda: accounts.add(asked))


async def revoke(call: Call) -> Answer:
    """Forget an account, so that nobody is let in with it any more."""
    accounts, name = call.accounts, call.parameters["name"]
    await call.in_thread(lambda: accounts.revoke(name))
    return Answer(200, encode(RevokedAccount(name)))


ACCOUNT_ROUTES: Final = (
    Route(
        "/admin/accounts",
        ("GET", "POST"),
        all_accounts,
        takes_body=False,
        described={
            "GET": Described(gives=AccountList, summary="Answer with what is known of every account."),
            "POST": Described(
                NewAccount, AddedAccount, errors=(UnsupportedPermission,), example=EXAMPLE, summary="Add an account."
            ),
        },
    ),
    Route(
        "/admin/accounts/{name}",
        ("DELETE",),
        revoke,
        takes_body=False,
        described=Described(gives=RevokedAccount, errors=(NotFound,)),
    ),
)
