"""Accounts: names with passwords are let in as keys are, by the same path, and refused in the same way."""

from __future__ import annotations

import asyncio
import unicodedata
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import Store
from crdtstore.auth.accounts import AccountsHere, NewAccount
from crdtstore.auth.api_key import ACCOUNT_SCRYPT_P, KeyRing
from crdtstore.auth.credential import Caller, authenticate, read_credential
from crdtstore.auth.key_form import FIXED_PART, REFUSAL
from crdtstore.auth.permission import Permission
from crdtstore.auth.permission_form import PermissionForm, Rules
from crdtstore.auth.stored_key import ACCOUNTS_PREFIX, SETTING_PREFIX
from crdtstore.errors import CallerError, NotFound, Overloaded, Unauthenticated
from tests.auth.conftest import Clock, Counted

FORM = PermissionForm(read=Rules(True))
PASSWORD = "correct horse"


@pytest.fixture
def accounts(keyring: KeyRing) -> AccountsHere:
    return AccountsHere(keyring, "somebody")


def basic(text: str) -> bytes:
    return b"Basic " + b64encode(text.encode())


def ask(keyring: KeyRing, header: bytes) -> Caller:
    async def run() -> Caller:
        return await authenticate(keyring, read_credential(header), "192.0.2.1")

    return asyncio.run(run())


def refused(keyring: KeyRing, header: bytes) -> bool:
    try:
        ask(keyring, header)
    except Unauthenticated as error:
        said = error.message
    else:
        return False
    assert said == REFUSAL
    return True


def test_an_account_is_let_in_by_name_and_password(keyring: KeyRing, accounts: AccountsHere) -> None:
    added = accounts.add(NewAccount("alice", FORM, PASSWORD, "of the office"))
    assert (added.name, added.password, added.description) == ("alice", None, "of the office")
    assert ask(keyring, basic(f"alice:{PASSWORD}")) == Caller(Permission(read=None), "account:alice")
    assert ask(keyring, b"bAsIc  " + b64encode(f"alice:{PASSWORD}".encode())).who == "account:alice"
    [view] = accounts.list()
    assert (view.name, view.permissions.read.everything, view.last_used_at) == ("alice", True, "2023-11-14T22:30:00Z")


def test_a_password_is_drawn_where_none_is_given(keyring: KeyRing, accounts: AccountsHere) -> None:
    drawn = {accounts.add(NewAccount(name, FORM)).password for name in ("a", "b")}
    assert len(drawn) == 2
    assert {len(str(password)) for password in drawn} == {32}
    assert sum(not refused(keyring, basic(f"a:{password}")) for password in drawn) == 1


@pytest.mark.parametrize(
    "text",
    [
        "alice",
        "alice:",
        ":" + PASSWORD,
        f"alice:{PASSWORD} ",
        f"Alice:{PASSWORD}",
        f"t/alice:{PASSWORD}",
        f"bob:{PASSWORD}",
    ],
)
def test_anything_else_is_refused_in_one_way(keyring: KeyRing, accounts: AccountsHere, text: str) -> None:
    accounts.add(NewAccount("alice", FORM, PASSWORD))
    assert refused(keyring, basic(text))
    assert refused(keyring, b"Bearer " + text.encode())
    assert refused(keyring, b"Basic " + text.encode())


def test_no_key_is_taken_for_an_account_or_the_other_way(keyring: KeyRing, accounts: AccountsHere) -> None:
    key = keyring.create("k", Permission.full())
    accounts.add(NewAccount("alice", FORM, PASSWORD))
    prefix, suffix = key.split(FIXED_PART)
    for text in (key, f"{prefix}:{suffix}", f"account:alice:{PASSWORD}"):
        assert refused(keyring, basic(text))
    assert refused(keyring, f"Bearer alice:{PASSWORD}".encode())
    assert not refused(keyring, b"Bearer " + key.encode())


def test_an_unknown_name_costs_what_a_wrong_password_does(
    keyring: KeyRing, accounts: AccountsHere, scrypt: Counted
) -> None:
    assert refused(keyring, basic("bob:" + PASSWORD))
    assert scrypt.calls == 0, "a store without accounts computes nothing for strangers"
    accounts.add(NewAccount("alice", FORM, PASSWORD))
    scrypt.calls = 0
    for name in ("alice", "bob"):
        assert refused(keyring, basic(f"{name}:wrong password"))
    assert scrypt.calls == 2
    for name in ("alice", "bob"):
        assert refused(keyring, basic(f"{name}:wrong password"))
    assert scrypt.calls == 2, "both are remembered"


def test_the_hash_of_a_password_is_dearer_than_that_of_a_key(
    store: Store, keyring: KeyRing, accounts: AccountsHere
) -> None:
    accounts.add(NewAccount("alice", FORM, PASSWORD))
    [(_, stored)] = keyring.accounts()
    assert stored.p == ACCOUNT_SCRYPT_P
    assert (len(store.scan_settings(ACCOUNTS_PREFIX)), len(store.scan_settings(SETTING_PREFIX))) == (1, 0)


def test_a_revoked_account_is_refused_at_once(store: Store, keyring: KeyRing, accounts: AccountsHere) -> None:
    elsewhere = KeyRing(store)
    accounts.add(NewAccount("alice", FORM, PASSWORD))
    assert not refused(elsewhere, basic(f"alice:{PASSWORD}"))
    accounts.revoke("alice")
    assert refused(elsewhere, basic(f"alice:{PASSWORD}"))
    with pytest.raises(NotFound, match="alice"):
        accounts.revoke("alice")
    noted = [(each.what, each.prefix, each.name, each.by) for each in keyring.changes()]
    assert noted == [(what, "account:alice", "alice", "somebody") for what in ("created", "revoked")]


def test_a_name_is_taken_once(keyring: KeyRing, accounts: AccountsHere) -> None:
    accounts.add(NewAccount("alice", FORM, PASSWORD))
    with pytest.raises(CallerError, match="revoke it first"):
        accounts.add(NewAccount("alice", FORM, "another password"))
    assert not refused(keyring, basic(f"alice:{PASSWORD}"))


@pytest.mark.parametrize(
    ("name", "password"),
    [(name, PASSWORD) for name in ("", "a b", "a/b", "a:b", "a+b", "a$b", "a\n", "x" * 65, "e\u0301")]
    + [("a", password) for password in ("", "short12", "two\nlines", "x" * 257, "e\u0301" * 8)],
)
def test_what_cannot_be_sent_is_not_added(accounts: AccountsHere, name: str, password: str) -> None:
    with pytest.raises(CallerError) as refusal:
        accounts.add(NewAccount(name, FORM, password))
    assert not password or password not in refusal.value.message
    assert accounts.list() == ()


def test_many_wrong_passwords_of_an_address_have_to_wait(
    keyring: KeyRing, accounts: AccountsHere, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring.wrong, "most", 3)
    accounts.add(NewAccount("alice", FORM, PASSWORD))
    for number in range(3):
        assert refused(keyring, basic(f"bob:wrong password {number}"))
    with pytest.raises(Overloaded):
        ask(keyring, basic(f"alice:{PASSWORD}"))
    clock.seconds += 1
    assert not refused(keyring, basic(f"alice:{PASSWORD}"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_is_sent_in_another_form_of_unicode_is_the_same(text: str) -> None:
    forms = [unicodedata.normalize(form, f"alice:{text}") for form in ("NFC", "NFD")]
    assert len({read_credential(basic(form)).text for form in forms}) == 1


def test_nothing_prints_a_password() -> None:
    asked = NewAccount("alice", FORM, PASSWORD)
    assert PASSWORD not in repr(asked) + repr(read_credential(basic(f"alice:{PASSWORD}")))
