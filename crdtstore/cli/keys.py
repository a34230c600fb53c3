"""`crdtstore keys`: the API keys of a store, in its directory or through its server.

Rules: a key is shown once, or written to a file, and only its hash is kept. A key that stands in a file already can
be made known to further stores, so that one key opens all servers that keep each other equal: in their directories,
since no server is told a key.

Not here: what a key is (`crdtstore/auth/`), key files (`key_file`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from crdtstore.cli.options import Documented, Family, Function, collections_option, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from datetime import datetime

    from crdtstore.auth.api_key import KeyRing
    from crdtstore.auth.keys import Keys, KeyView, MadeKey
    from crdtstore.auth.permission_form import PermissionForm
    from crdtstore.client.blocking import Client

Managed = TypeVar("Managed")
"""What is managed: keys, or accounts."""

NEVER: Final = "never"
UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}

prefix_argument = click.argument("prefix", metavar="PREFIX")
file_option = click.option("--file", metavar="FILE", help="Write the key to FILE, for you alone.")


def permission_options(what: str) -> Callable[[Function], Function]:
    """The options that say what a key, or an account, may do: `asked_for` reads them."""
    options = (
        click.option("--read", is_flag=True, help=f"The {what} may read."),
        click.option("--write", is_flag=True, help=f"The {what} may write."),
        collections_option(help="Only in these collections; without it in all, and the store as a whole."),
        click.option("--permissions", metavar="JSON", help=f"What the {what} may do, in place of these three."),
    )

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.group("keys", cls=Family, example="crdtstore keys list --store cities-data")
def command() -> None:
    """Manage the API keys of a store.

    With --store the store's directory is worked on: a server that has it open must be stopped before a key is changed.
    With --url its server is asked, by a key that may do everything; what is changed holds from the next request on.
    """


@command.command(
    "create",
    cls=Documented,
    example=(
        "crdtstore keys create gateway --read --write --collections cities --store cities-data\n"
        "crdtstore keys create report --read --expires 90d --url https://store.example.org --key-file root.key\n"
        "crdtstore keys create peer --read --write --file peer.key --store cities-data"
    ),
)
@click.argument("name")
@permission_options("key")
@click.option("--description", metavar="TEXT", help="What the key is for.")
@click.option("--expires", metavar="WHEN", help="When it ends: in 90d, 12h, 30m, or a time, 2027-01-31T00:00:00Z.")
@click.option("--file", metavar="FILE", help="Write the key to FILE, for you alone; or take the key that is there.")
@with_settings("store", "url", "key", "key_file")
@json_option
def create(
    layers: Layers,
    *,
    name: str,
    read: bool,
    write: bool,
    collections: tuple[str, ...] | None,
    permissions: str | None,
    description: str | None,
    expires: str | None,
    file: str | None,
    as_json: bool,
) -> None:
    """Make a key, or make the key of a file known.

    The key is printed once and cannot be shown again, unless it goes to a FILE. NAME is what you call it. A store
    that keeps up with this one needs a key for all that it holds: a store of the collections a and b one for a and b.

    --permissions takes the JSON of the HTTP API, which can name other collections to read than to write.
    """
    from crdtstore.auth.keys import NewKey

    form = asked_for(permissions, {"read": read, "write": write}, collections)
    with opened(layers, writes=True) as keys:
        if file is not None and Path(file).exists():
            adopt(keys, NewKey(name, form, description, end_of(expires)), file, as_json=as_json)
            return
        made = keys.create(NewKey(name, form, description, end_of(expires)))
        kept = keep(keys, made, file)
    show(kept, file, as_json=as_json)


def asked_for(text: str | None, verbs: dict[str, bool], collections: tuple[str, ...] | None) -> PermissionForm:
    """Read what a key is to be allowed.

    Raises:
        click.UsageError: Nothing, or two things that contradict each other.
    """
    import msgspec

    from crdtstore.auth.permission import Permission
    from crdtstore.auth.permission_form import PermissionForm, form_of

    chosen = [verb for verb, is_given in verbs.items() if is_given]
    if text is None:
        if not chosen:
            raise click.UsageError("Say what the key may do: --read, --write or both.")
        return form_of(Permission.of(chosen, None if collections is None else frozenset(collections)))
    if chosen or collections is not None:
        raise click.UsageError("--permissions says all that the key may do: leave --read, --write, --collections out.")
    try:
        return msgspec.json.decode(text, type=PermissionForm)
    except msgspec.MsgspecError as error:
        raise click.UsageError(f"--permissions is no permission: {error}.") from None


def end_of(text: str | None) -> datetime | None:
    """Read when a key ends: a time, or so many days, hours, minutes or seconds from now.

    Raises:
        click.UsageError: It is neither.
    """
    from datetime import UTC, datetime, timedelta

    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    try:
        if unit in UNITS and number.isascii() and number.isdigit():
            return datetime.now(UTC) + timedelta(seconds=int(number) * UNITS[unit])
        end = datetime.fromisoformat(text)
        if end.tzinfo is not None:
            return end
    except (ValueError, OverflowError):
        pass
    raise click.UsageError(f"--expires takes 90d, 12h, 30m, or a time as 2027-01-31T00:00:00Z; got {text!r}.")


def adopt(keys: Keys, asked: Any, file: str, *, as_json: bool) -> None:
    """Make the key of a file known.

    Raises:
        click.UsageError: That is asked of a server, or with more than this can.
        MalformedRequest: The file holds no key.
        Forbidden: The store knows this key, or another one with the same public half.
    """
    from crdtstore.auth.keys import KeysHere
    from crdtstore.auth.permission_form import permission_of
    from crdtstore.cli.key_file import read_key_file
    from crdtstore.errors import Forbidden

    if not isinstance(keys, KeysHere):
        raise click.UsageError(f"The file {file} is there already, and no server is told a key: use --store.")
    if asked.expires_at is not None or asked.description:
        raise click.UsageError("A key that is in a file already is known by its name alone, and does not end.")
    key = read_key_file(file)
    if not keys.keyring.adopt(key, asked.name, permission_of(asked.permissions)):
        raise Forbidden(f"The store knows the key in {file} already; revoke it first to change what it may do.")
    show(keys.made(key), file, as_json=as_json)


def keep(keys: Keys, made: MadeKey, file: str | None) -> MadeKey:
    """Write a new key to a file, where one is named; a key that cannot be written is not kept.

    Raises:
        OSError: The file cannot be written.
    """
    from crdtstore.cli.key_file import write_key_file

    if file is not None:
        try:
            write_key_file(file, made.key)
        except OSError:
            keys.revoke(made.prefix)
            raise
    return made


def show(made: MadeKey, file: str | None, *, as_json: bool) -> None:
    """Print a key, or where it is."""
    import msgspec

    from crdtstore.cli.output import print_json

    if as_json:
        told = msgspec.to_builtins(made)
        if file is not None:
            told = {"file": file, **{name: value for name, value in told.items() if name != "key"}}
        print_json(told)
    elif file is not None:
        click.echo(f"The key in {file} {rights_of(made)}.")
    else:
        click.echo(f"API key: {made.key}")
        click.echo(f"It {rights_of(made)}. Keep it: it is not shown again.")


@command.command("list", cls=Documented, example="crdtstore keys list --store cities-data")
@with_settings("store", "url", "key", "key_file")
@json_option
def list_(layers: Layers, *, as_json: bool) -> None:
    """Print the keys of a store, each by its first 11 characters.

    For each: when it was made, when it ends, when it was last used, as far as the store noted, and what it may do.
    """
    from crdtstore.cli.output import print_columns, print_json

    with opened(layers, writes=False) as keys:
        known = keys.list()
    if as_json:
        print_json(known)
    elif known:
        head = ("prefix", "made", "ends", "last used", "name", "rights")
        rows = [
            (key.prefix, key.created_at, key.expires_at or NEVER, key.last_used_at or NEVER, key.name, rights_of(key))
            for key in known
        ]
        print_columns([head, *rows])


@command.command("explain", cls=Documented, example="crdtstore keys explain 4nQ8vT0aXw2 --store cities-data")
@prefix_argument
@with_settings("store", "url", "key", "key_file")
@json_option
def explain(layers: Layers, *, prefix: str, as_json: bool) -> None:
    """Say what a key may do, and what is known of it.

    PREFIX is the key's first 11 characters, as `crdtstore keys list` prints them.
    """
    from crdtstore.cli.output import print_columns, print_json

    with opened(layers, writes=False) as keys:
        key = keys.explain(public_part(prefix))
    if as_json:
        print_json(key)
    else:
        print_columns([(what, text) for what, text in lines_of(key).items() if text])


@command.command(
    "rotate",
    cls=Documented,
    example="crdtstore keys rotate 4nQ8vT0aXw2 --old-valid-seconds 86400 --url https://store.example.org",
)
@prefix_argument
@click.option(
    "--old-valid-seconds", metavar="SECONDS", type=float, help="How long the old key is taken, too.  [default: 3600]"
)
@file_option
@with_settings("store", "url", "key", "key_file")
@json_option
def rotate(layers: Layers, *, prefix: str, old_valid_seconds: float | None, file: str | None, as_json: bool) -> None:
    """Put a new key in the place of one, with the same rights and PREFIX.

    The old key is taken for a while, so that its bearers can be given the new one.
    """
    from crdtstore.auth.keys import Rotation
    from crdtstore.cli.key_file import write_key_file

    if file is not None and Path(file).exists():
        raise click.UsageError(f"The file {file} is there already; the new key goes to a new one.")
    asked = Rotation() if old_valid_seconds is None else Rotation(old_valid_seconds)
    with opened(layers, writes=True) as keys:
        made = keys.rotate(public_part(prefix), asked)
    if file is not None:
        try:
            write_key_file(file, made.key)
        except OSError:
            # It is the key now, and can be had from nowhere else.
            show(made, None, as_json=as_json)
            raise
    show(made, file, as_json=as_json)
    if made.old_valid_until is not None and not as_json:
        click.echo(f"The old key is taken until {made.old_valid_until}.")


@command.command("revoke", cls=Documented, example="crdtstore keys revoke 4nQ8vT0aXw2 --store cities-data")
@prefix_argument
@with_settings("store", "url", "key", "key_file")
@json_option
def revoke(layers: Layers, *, prefix: str, as_json: bool) -> None:
    """Forget a key, so that nobody is let in with it any more.

    PREFIX is the key's first 11 characters, as `crdtstore keys list` prints them.
    """
    from crdtstore.cli.output import print_json

    public = public_part(prefix)
    with opened(layers, writes=True) as keys:
        keys.revoke(public)
    if as_json:
        print_json({"prefix": public})
    else:
        click.echo(f"Revoked {public}.")


@command.command("changes", cls=Documented, example="crdtstore keys changes --store cities-data")
@with_settings("store", "url", "key", "key_file")
@json_option
def changes(layers: Layers, *, as_json: bool) -> None:
    """Print what became of keys, the oldest first: the last 1,000 changes.

    For each: when, what, the key and its name, and the key by which it was done; or here, in the store's directory.
    """
    from crdtstore.cli.output import print_columns, print_json

    with opened(layers, writes=False) as keys:
        noted = keys.changes()
    if as_json:
        print_json(noted)
    elif noted:
        print_columns([(each.at, each.what, each.prefix, each.name, f"by {each.by}") for each in noted])


@contextmanager
def opened(layers: Layers, *, writes: bool) -> Iterator[Keys]:
    """Open the keys of the store or the server that the settings name."""
    from crdtstore.auth.keys import KeysHere
    from crdtstore.cli.remote_keys import RemoteKeys

    here: Callable[[KeyRing], Keys] = KeysHere
    remote: Callable[[Client], Keys] = RemoteKeys
    with managed(layers, here, remote, writes=writes) as keys:
        yield keys


@contextmanager
def managed(
    layers: Layers, here: Callable[[KeyRing], Managed], remote: Callable[[Client], Managed], *, writes: bool
) -> Iterator[Managed]:
    """Open what is managed of the store or the server that the settings name: `here`, or behind that."""
    from crdtstore.auth.api_key import KeyRing
    from crdtstore.cli.target import WITHOUT_SERVER, choose, directory_of, open_server, open_store, reaching

    if choose(layers, ("store", "url")) == "url":
        server = open_server(layers, None)
        try:
            with reaching(server.place):
                yield remote(server.client)
        finally:
            server.close()
    else:
        with open_store(directory_of(layers), writes=writes, advice=WITHOUT_SERVER) as store:
            yield here(KeyRing(store))


def public_part(text: str) -> str:
    """The part of a key that is no secret, of the whole key too."""
    from crdtstore.auth.key_form import FIXED_PART

    return text.partition(FIXED_PART)[0]


def rights_of(key: KeyView) -> str:
    """Say what a key may do."""
    from crdtstore.auth.permission_form import permission_of, sentence_of

    return sentence_of(permission_of(key.permissions))


def lines_of(key: KeyView) -> dict[str, str]:
    """Say all that is known of a key."""
    asks = "may run statements for peers, where it may read everything" if key.permissions.remote_query else ""
    return {
        "prefix": key.prefix,
        "name": key.name,
        "for": key.description,
        "rights": rights_of(key),
        "peers": asks,
        "made": key.created_at,
        "ends": key.expires_at or NEVER,
        "last used": key.last_used_at or NEVER,
        "old key": f"taken until {key.old_valid_until}" if key.old_valid_until else "",
    }
