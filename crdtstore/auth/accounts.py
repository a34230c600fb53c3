"""The accounts of a store as they are managed, by command line and HTTP alike: added, listed, revoked.

Rules: an account is a name, the scrypt of a password, and a permission. What goes in and out is the same wherever it is
asked for, so a type here is what stands in JSON. A password that was drawn here comes out once; one that was chosen
never does, and none is printed with the value that holds it.

Not here: who may manage accounts (`http/call.py`), how one is verified (`api_key`).
"""

from __future__ import annotations

from typing import Final, NoReturn, Protocol

import msgspec

from crdtstore.auth.account_form import ACCOUNT, check_account
from crdtstore.auth.api_key import ACCOUNT_SCRYPT_P, HERE, KeyRing
from crdtstore.auth.key_form import random_text
from crdtstore.auth.permission_form import PermissionForm, form_of, permission_of
from crdtstore.auth.stored_key import StoredKey, time_of
from crdtstore.errors import CallerError, NotFound

DRAWN_CHARACTERS: Final = 32
"""Of a password that is drawn: as many random ones as a key has."""


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An account that is to be added."""

    name: str
    permissions: PermissionForm
    password: str | None = None
    """None for one that is drawn."""

    description: str | None = None

    def __repr__(self) -> str:
        """Nothing of its password."""
        return f"NewAccount({self.name!r})"


class AccountView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is told of an account."""

    name: str
    description: str
    permissions: PermissionForm
    created_at: str
    last_used_at: str | None
    """At most a minute too old."""


class AddedAccount(AccountView, frozen=True, kw_only=True, rename="camel"):
    """An account that was just added, with its password where that was drawn; it is told once."""

    password: str | None

    def __repr__(self) -> str:
        """Nothing of its password."""
        return f"AddedAccount({self.name!r})"


class AccountList(msgspec.Struct, frozen=True):
    """All accounts of a store."""

    accounts: tuple[AccountView, ...]


class RevokedAccount(msgspec.Struct, frozen=True):
    """Which account is no more."""

    name: str


class Accounts(Protocol):
    """The accounts of a store, here or behind a server."""

    def add(self, asked: NewAccount) -> AddedAccount:
        """Add an account."""

    def list(self) -> tuple[AccountView, ...]:
        """All accounts."""

    def revoke(self, name: str) -> None:
        """Forget an account."""


class AccountsHere:
    """The accounts of a store of this process, in the hands of one who may do everything."""

    def __init__(self, keyring: KeyRing, by: str = HERE) -> None:
        """Manage the accounts of a ring, by the hand of `by`."""
        self.keyring = keyring
        self.by = by

    def add(self, asked: NewAccount) -> AddedAccount:
        """Add an account.

        Raises:
            UnsupportedPermission: Its permission could not be enforced.
            CallerError: There is one of this name, or something else is wrong with it.
        """
        password = random_text(DRAWN_CHARACTERS) if asked.password is None else asked.password
        check_account(asked.name, password)
        permission, description = permission_of(asked.permissions), asked.description or ""
        stored = self.keyring.make(password, asked.name, permission, description, None, ACCOUNT_SCRYPT_P)

        def added(before: StoredKey | None) -> StoredKey:
            if before is not None:
                raise CallerError(f"There is an account {asked.name!r} already: revoke it first.", name=asked.name)
            return stored

        self.keyring.change("created", ACCOUNT + asked.name, self.by, added)
        view = self.view(asked.name, stored, None)
        told = {name: getattr(view, name) for name in view.__struct_fields__}
        return AddedAccount(password=None if asked.password is not None else password, **told)

    def list(self) -> tuple[AccountView, ...]:
        """All accounts, in the order of their names."""
        uses = self.keyring.uses.read()
        return tuple(self.view(name, stored, uses.get(ACCOUNT + name)) for name, stored in self.keyring.accounts())

    def revoke(self, name: str) -> None:
        """Forget an account, so that nobody is let in with it any more.

        Raises:
            NotFound: There is none of this name.
        """
        if not self.keyring.revoke(ACCOUNT + name, by=self.by):
            refuse_unknown_account(name)

    def view(self, name: str, stored: StoredKey, used_ms: int | None) -> AccountView:
        """What is told of an account."""
        return AccountView(
            name=name,
            description=stored.description,
            permissions=form_of(stored.permission),
            created_at=time_of(stored.created_ms),
            last_used_at=None if used_ms is None else time_of(used_ms),
        )


def refuse_unknown_account(name: str) -> NoReturn:
    """Say that there is no such account.

    Raises:
        NotFound: It is so.
    """
    raise NotFound(f"The store knows no account {name!r:.80}.", name=name[:80])
