"""`crdtstore accounts`: the accounts of a store, in its directory or through its server.

Rules: a password is drawn and shown once, or read from a file; never from the command line, which others can see. Only
its hash is kept.

Not here: what an account is (`crdtstore/auth/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crdtstore.cli.keys import NEVER, asked_for, managed, permission_options
from crdtstore.cli.options import Documented, Family, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.auth.accounts import Accounts, AccountView
    from crdtstore.auth.api_key import KeyRing
    from crdtstore.client.blocking import Client

name_argument = click.argument("name", metavar="NAME")


@click.group("accounts", cls=Family, example="crdtstore accounts list --store cities-data")
def command() -> None:
    """Manage the accounts of a store: names with passwords.

    They are for clients that know HTTP Basic only.
    With --store the store's directory is worked on: a server that has it open must be stopped before one is changed.
    With --url its server is asked, by a key that may do everything; what is changed holds from the next request on.
    """


@command.command(
    "add",
    cls=Documented,
    example=(
        "crdtstore accounts add alice --read --collections cities --store cities-data\n"
        "crdtstore accounts add bob --read --write --password-file bob.txt --store cities-data"
    ),
)
@name_argument
@permission_options("account")
@click.option("--description", metavar="TEXT", help="Whose or what the account is for.")
@click.option("--password-file", metavar="FILE", help="Take the password in FILE; without it one is drawn and shown.")
@with_settings("store", "url", "key", "key_file")
@json_option
def add(
    layers: Layers,
    *,
    name: str,
    read: bool,
    write: bool,
    collections: tuple[str, ...] | None,
    permissions: str | None,
    description: str | None,
    password_file: str | None,
    as_json: bool,
) -> None:
    """Add an account.

    NAME has no space and none of / + $ :. A password that is drawn is printed once and cannot be shown again. Clients
    send `Authorization: Basic` and the Base64 of NAME:PASSWORD.
    """
    from crdtstore.auth.accounts import NewAccount
    from crdtstore.cli.output import print_json

    form = asked_for(permissions, {"read": read, "write": write}, collections)
    password = None if password_file is None else read_password_file(password_file)
    with opened(layers, writes=True) as accounts:
        added = accounts.add(NewAccount(name, form, password, description))
    if as_json:
        print_json(added)
        return
    if added.password is not None:
        click.echo(f"Password: {added.password}")
    kept = "" if added.password is None else " Keep the password: it is not shown again."
    click.echo(f"The account {name} {rights_of(added)}.{kept}")


def read_password_file(path: str) -> str:
    """Read the password in a file, without the line's end.

    Raises:
        click.UsageError: The file holds something else.
        OSError: The file cannot be read.
    """
    from crdtstore.cli.exposed import warn_of_others
    from crdtstore.limits import PASSWORD_CHARACTERS_MAX

    warn_of_others(path)
    with Path(path).open("rb") as file:
        # Enough to see that it is too long; a wrong path may name a file of any size.
        data = file.read(8 * PASSWORD_CHARACTERS_MAX)
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.UsageError(f"The file {path} holds no password: it is not UTF-8.") from None


@command.command("list", cls=Documented, example="crdtstore accounts list --store cities-data")
@with_settings("store", "url", "key", "key_file")
@json_option
def list_(layers: Layers, *, as_json: bool) -> None:
    """Print the accounts of a store.

    For each: when it was made, when it was last used, as far as the store noted, and what it may do.
    """
    from crdtstore.cli.output import print_columns, print_json

    with opened(layers, writes=False) as accounts:
        known = accounts.list()
    if as_json:
        print_json(known)
    elif known:
        rows = [(each.name, each.created_at, each.last_used_at or NEVER, rights_of(each)) for each in known]
        print_columns([("name", "made", "last used", "rights"), *rows])


@command.command("revoke", cls=Documented, example="crdtstore accounts revoke alice --store cities-data")
@name_argument
@with_settings("store", "url", "key", "key_file")
@json_option
def revoke(layers: Layers, *, name: str, as_json: bool) -> None:
    """Forget an account, so that nobody is let in with it any more."""
    from crdtstore.cli.output import print_json

    with opened(layers, writes=True) as accounts:
        accounts.revoke(name)
    if as_json:
        print_json({"name": name})
    else:
        click.echo(f"Revoked {name}.")


@contextmanager
def opened(layers: Layers, *, writes: bool) -> Iterator[Accounts]:
    """Open the accounts of the store or the server that the settings name."""
    from crdtstore.auth.accounts import AccountsHere
    from crdtstore.cli.remote_accounts import RemoteAccounts

    here: Callable[[KeyRing], Accounts] = AccountsHere
    remote: Callable[[Client], Accounts] = RemoteAccounts
    with managed(layers, here, remote, writes=writes) as accounts:
        yield accounts


def rights_of(account: AccountView) -> str:
    """Say what an account may do."""
    from crdtstore.auth.permission_form import permission_of, sentence_of

    return sentence_of(permission_of(account.permissions))
