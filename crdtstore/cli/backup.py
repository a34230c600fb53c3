"""`crdtstore backup`: a whole, compact copy of a store at one moment, while others write to it.

Not here: how it is copied (`crdtstore/storage/backup.py`), how it is restored (`restore`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.storage.backup import Copy


@click.command(
    "backup",
    cls=Documented,
    example=(
        "crdtstore backup cities-backup --store cities-data\n"
        "crdtstore backup cities-backup --url http://127.0.0.1:8080 --key-file key\n"
        "crdtstore restore cities-backup cities-again"
    ),
)
@click.argument("destination")
@with_settings("store", "url", "key", "key_file")
@json_option
def command(layers: Layers, *, destination: str, as_json: bool) -> None:
    """Make a backup of a store while others write to it.

    DESTINATION becomes a directory with everything that the store holds at one moment, without free space; it is
    there whole, or not at all. From --store it also works while a server has the store open; a server sends all of
    its store to a key that may do everything.

    A backup can be read like a store: crdtstore find --store DESTINATION. It is not written to: crdtstore restore
    makes a store of it.
    """
    from crdtstore.cli.output import counted, print_json, size_of
    from crdtstore.cli.target import choose

    back_up = fetch if choose(layers, ("store", "url")) == "url" else back_up_directory
    copy = back_up(layers, destination, quiet=as_json)
    path = str(Path(destination).resolve())
    if as_json:
        print_json({"backup": path, "bytes": copy.bytes, "attachments": copy.attachments, **copy.moment.as_dict()})
        return
    files = f" and {counted(copy.attachments, 'attachment')}" if copy.attachments else ""
    held = f"{counted(copy.moment.documents, 'document')}{files} at transaction {copy.moment.txn:,}"
    click.echo(f"Backed up {held} to {path}: {size_of(copy.bytes)}.")


def back_up_directory(layers: Layers, destination: str, *, quiet: bool) -> Copy:
    """Copy a store's directory."""
    from crdtstore.cli.progress import progress
    from crdtstore.cli.target import directory_of
    from crdtstore.storage.backup import back_up
    from crdtstore.version.clock import steady_clock

    store = directory_of(layers)
    with progress("Backing up", total_bytes=bytes_of(store), quiet=quiet, noun=None) as advance:
        return back_up(store, destination, created=steady_clock()(), advance=lambda size: advance(0, size))


def fetch(layers: Layers, destination: str, *, quiet: bool) -> Copy:
    """Copy a server's store."""
    from crdtstore.cli.progress import progress
    from crdtstore.cli.target import open_server
    from crdtstore.client.backup import download
    from crdtstore.storage.backup import receive
    from crdtstore.version.clock import steady_clock

    remote = open_server(layers, None)
    try:
        with (
            download(remote.client) as coming,
            progress("Backing up", total_bytes=coming.size, quiet=quiet, noun=None) as advance,
        ):
            created, told = steady_clock()(), lambda size: advance(0, size)
            return receive(coming.pieces, destination, created=created, advance=told)
    finally:
        remote.close()


def bytes_of(store: str) -> int | None:
    """The size of a store's data file; None if it has none, which is told when it is opened."""
    from crdtstore.storage.environment import DATA_NAME

    path = Path(store) / DATA_NAME
    return path.stat().st_size if path.is_file() else None
