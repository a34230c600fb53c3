"""`crdtstore peers`: what a store knows of the others that it met; releasing and forgetting them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from crdtstore.cli.options import Documented, Family, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.storage.peers import Peer
    from crdtstore.store import Store

HEX_FORM: Final = re.compile("[0-9a-f]{32}")


@click.group("peers", cls=Family, example="crdtstore peers list --store cities-data")
def command() -> None:
    """Say which other stores a store met; release or forget one.

    A peer is named by its origin: 16 bytes in Base64, or in hex as `crdtstore stats` prints its own. A server that
    has the store open must be stopped before a peer is released or forgotten.
    """


@command.command("list", cls=Documented, example="crdtstore peers list --store cities-data")
@with_settings("store")
@json_option
def list_(layers: Layers, *, as_json: bool) -> None:
    """Print the peers that a store met.

    For each: when it was last met, up to which transaction of this store it has everything, and whether it is in
    quarantine.
    """
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import directory_of, open_store
    from crdtstore.storage.peers import read_peers

    with open_store(directory_of(layers), writes=False) as store, store.storage.snapshot() as snapshot:
        peers = list(read_peers(snapshot))
    if as_json:
        print_json([peer.as_dict() for peer in peers])
        return
    for peer in peers:
        click.echo(line_of(peer))


def line_of(peer: Peer) -> str:
    """Write what is known of a peer."""
    from crdtstore.crdt.actor import format_actor

    met = datetime.fromtimestamp(peer.met / 1_000, UTC).isoformat(timespec="seconds")
    state = f"in quarantine: {peer.divergence}" if peer.divergence else f"has everything up to {peer.acknowledged:,}"
    return f"{format_actor(peer.origin)}  met {met}  {state}"


@command.command("release", cls=Documented, example="crdtstore peers release AAAAAAAAAAUAAAAAAAAAAQ== --store data")
@click.argument("peer")
@with_settings("store")
@json_option
def release(layers: Layers, *, peer: str, as_json: bool) -> None:
    """Take a peer out of quarantine.

    Do so when its divergence is mended: it was a false alarm, or the other store was made anew under its origin. The
    next exchange compares both again. The other store may have to release this one too.
    """
    from crdtstore.replication.peers import release

    change(layers, peer, release, "Released", as_json=as_json)


@command.command("forget", cls=Documented, example="crdtstore peers forget AAAAAAAAAAUAAAAAAAAAAQ== --store data")
@click.argument("peer")
@with_settings("store")
@json_option
def forget(layers: Layers, *, peer: str, as_json: bool) -> None:
    """Forget a peer that will not return.

    The log is kept for it no longer. When it returns all the same, it is met anew, and given a snapshot if the log no
    longer reaches back.
    """
    from crdtstore.replication.peers import forget

    change(layers, peer, forget, "Forgot", as_json=as_json)


def change(layers: Layers, peer: str, work: Callable[[Store, bytes], None], done: str, *, as_json: bool) -> None:
    """Change what is known of a peer, and say so."""
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store
    from crdtstore.crdt.actor import format_actor

    origin = origin_of(peer)
    with open_store(directory_of(layers), writes=True, advice=WITHOUT_SERVER) as store:
        work(store, origin)
    if as_json:
        print_json({"origin": format_actor(origin)})
    else:
        click.echo(f"{done} {format_actor(origin)}.")


def origin_of(text: str) -> bytes:
    """Read an origin: Base64 or hex, which differ in length."""
    from crdtstore.crdt.actor import parse_actor
    from crdtstore.errors import MalformedClientId

    if HEX_FORM.fullmatch(text):
        return bytes.fromhex(text)
    try:
        return parse_actor(text)
    except MalformedClientId:
        raise click.UsageError(f"A peer is named by its origin, 16 bytes in Base64 or hex; got {text!r}.") from None
