"""`crdtstore keys`: the API keys of a store, made, listed and revoked in its directory.

Rules: a key is shown once, or written to a file, and only its hash is kept. A key that stands in a file already can
be made known to further stores, so that one key opens all servers that keep each other equal.

Not here: what a key is (`crdtstore/auth/api_key.py`), key files (`key_file`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crdtstore.cli.options import Documented, Family, collections_option, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.auth.api_key import KeyRing, StoredKey
    from crdtstore.auth.permission import Permission


@click.group("keys", cls=Family, example="crdtstore keys list --store cities-data")
def command() -> None:
    """Make, list and revoke the API keys of a store.

    A server that has the store open must be stopped before a key is made or revoked.
    """


@command.command(
    "create",
    cls=Documented,
    example=(
        "crdtstore keys create gateway --read --write --collections cities --store cities-data\n"
        "crdtstore keys create peer --read --write --file peer.key --store cities-data"
    ),
)
@click.argument("name")
@click.option("--read", is_flag=True, help="The key may read.")
@click.option("--write", is_flag=True, help="The key may write.")
@collections_option(help="Only in these collections; without it in all, and the store as a whole.")
@click.option("--file", metavar="FILE", help="Write the key to FILE, for you alone; or take the key that is there.")
@with_settings("store")
@json_option
def create(
    layers: Layers,
    *,
    name: str,
    read: bool,
    write: bool,
    collections: tuple[str, ...] | None,
    file: str | None,
    as_json: bool,
) -> None:
    """Make a key, or make the key of a file known.

    The key is printed once and cannot be shown again, unless it goes to a FILE. NAME is what you call it. A store
    that keeps up with this one needs a key for all that it holds: a store of the collections a and b one for a and b.
    """
    from crdtstore.auth.permission import Permission
    from crdtstore.cli.output import print_json

    verbs = frozenset(verb for verb, given in (("read", read), ("write", write)) if given)
    if not verbs:
        raise click.UsageError("Say what the key may do: --read, --write or both.")
    permission = Permission(verbs, None if collections is None else frozenset(collections))
    with opened(layers, writes=True) as keyring:
        key = keep(keyring, name, permission, file)
    shown = {"file": file} if file else {"key": key}
    if as_json:
        print_json({"name": name, **described(permission), **shown})
    elif file:
        click.echo(f"The key in {file} {sentence_of(permission)}.")
    else:
        click.echo(f"API key: {key}")
        click.echo(f"It {sentence_of(permission)}. Keep it: it is not shown again.")


def keep(keyring: KeyRing, name: str, permission: Permission, file: str | None) -> str:
    """Make a key or take the one of a file.

    Raises:
        MalformedRequest: The file holds no key.
        Forbidden: The store knows this key, or another one with the same public half.
        OSError: The file cannot be read or written.
    """
    from crdtstore.auth.api_key import FIXED_PART
    from crdtstore.cli.key_file import read_key_file, write_key_file
    from crdtstore.errors import Forbidden

    if file is not None and Path(file).exists():
        key = read_key_file(file)
        if not keyring.adopt(key, name, permission):
            raise Forbidden(f"The store knows the key in {file} already; revoke it first to change what it may do.")
        return key
    key = keyring.create(name, permission)
    if file is not None:
        try:
            write_key_file(file, key)
        except OSError:
            keyring.revoke(key.partition(FIXED_PART)[0])
            raise
    return key


@command.command("list", cls=Documented, example="crdtstore keys list --store cities-data")
@with_settings("store")
@json_option
def list_(layers: Layers, *, as_json: bool) -> None:
    """Print the keys of a store, each by its first 12 characters."""
    from crdtstore.cli.output import print_json

    with opened(layers, writes=False) as keyring:
        known = list(keyring.known())
    if as_json:
        print_json([row_of(prefix, key) for prefix, key in known])
        return
    for prefix, key in known:
        made = datetime.fromtimestamp(key.created_ms / 1_000, UTC).isoformat(timespec="seconds")
        click.echo(f"{prefix}  {made}  {key.name}: {sentence_of(key.permission)}")


@command.command("revoke", cls=Documented, example="crdtstore keys revoke 4nQ8vT0aXw2Z --store cities-data")
@click.argument("prefix")
@with_settings("store")
@json_option
def revoke(layers: Layers, *, prefix: str, as_json: bool) -> None:
    """Forget a key, so that nobody is let in with it any more.

    PREFIX is the key's first 12 characters, as `crdtstore keys list` prints them.
    """
    from crdtstore.auth.api_key import FIXED_PART
    from crdtstore.cli.output import print_json
    from crdtstore.errors import NotFound

    public = prefix.partition(FIXED_PART)[0]
    with opened(layers, writes=True) as keyring:
        if not keyring.revoke(public):
            raise NotFound(f"The store knows no key that begins with {public!r}.", prefix=public)
    if as_json:
        print_json({"prefix": public})
    else:
        click.echo(f"Revoked {public}.")


@contextmanager
def opened(layers: Layers, *, writes: bool) -> Iterator[KeyRing]:
    """Open the keys of the store that the settings name."""
    from crdtstore.auth.api_key import KeyRing
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store

    with open_store(directory_of(layers), writes=writes, advice=WITHOUT_SERVER) as store:
        yield KeyRing(store)


def row_of(prefix: str, key: StoredKey) -> dict[str, Any]:
    """Write a key for a program."""
    return {"prefix": prefix, "name": key.name, **described(key.permission), "created_ms": key.created_ms}


def described(permission: Permission) -> dict[str, Any]:
    """Write a permission for a program; `collections` is null for all."""
    named = permission.collections
    return {"verbs": sorted(permission.verbs), "collections": None if named is None else sorted(named)}


def sentence_of(permission: Permission) -> str:
    """Say what a key may do."""
    named = permission.collections
    where = "everything" if named is None else ", ".join(sorted(named)) or "nothing"
    return f"may {' and '.join(sorted(permission.verbs)) or 'do nothing in'} {where}"
