"""`crdtstore init`: a new store and the one key that opens everything in it.

Rules: a directory that holds a store already is left as it is. The key is shown once and kept nowhere.
"""

from __future__ import annotations

from pathlib import Path

import click

from crdtstore.cli.options import STORE_DEFAULT, Documented, collections_option, json_option, with_settings
from crdtstore.settings import Layers, settle


@click.command("init", cls=Documented, example="crdtstore init --store cities-data")
@collections_option(help="What the store holds, for ever; all collections without it.")
@with_settings("store")
@json_option
def command(layers: Layers, *, collections: tuple[str, ...] | None, as_json: bool) -> None:
    """Create a store and its first API key.

    The directory must not hold a store yet; without --store it is ./crdtstore-data. The key may do
    everything; it is needed to call the store through `crdtstore serve`, and cannot be shown again.
    """
    from crdtstore.auth.api_key import KeyRing
    from crdtstore.auth.permission import Permission
    from crdtstore.cli.output import print_json
    from crdtstore.crdt.scope import format_scope
    from crdtstore.errors import CallerError
    from crdtstore.storage.environment import holds_store
    from crdtstore.store import Store

    directory = settle(layers).store or STORE_DEFAULT
    path = Path(directory).resolve()
    if holds_store(path):
        raise CallerError(f"The directory {path} holds a store already; nothing was changed.", store=str(path))
    with Store.open(path, durability="sync", scope=collections) as store:
        key = KeyRing(store).create("root", Permission.full())
        origin, scope = store.origin.hex(), store.scope
    if as_json:
        print_json({"store": str(path), "origin": origin, "scope": scope, "key": key})
        return
    click.echo(f"Created a store in {path}.")
    if scope is not None:
        click.echo(f"It holds {format_scope(scope)}, and nothing else.")
    click.echo(f"API key: {key}")
    click.echo("This key may do everything. Keep it: it is not shown again.")
