"""`crdtstore attachments`: the files that a store keeps beside its documents.

Not here: what a file is, and when one goes (`crdtstore/attachments/`).
"""

from __future__ import annotations

from typing import BinaryIO

import click

from crdtstore.cli.options import Documented, Family, json_option, with_settings
from crdtstore.limits import ATTACHMENT_GRACE_SECONDS_DEFAULT
from crdtstore.settings import Layers


@click.group("attachments", cls=Family, example="crdtstore attachments put photo.jpg --store cities-data")
def command() -> None:
    """Put, get, list and collect the files of a store.

    A file is named by what is in it, and documents refer to it by a token of its id and length. While a server has
    the store open, files are put over HTTP, and the server collects them.
    """


@command.command("put", cls=Documented, example="crdtstore attachments put photo.jpg --store cities-data")
@click.argument("file", type=click.File("rb"))
@with_settings("store")
@json_option
def put(layers: Layers, *, file: BinaryIO, as_json: bool) -> None:
    """Put FILE, or what is piped in with -, and print its id and length.

    Nothing refers to it yet: a document that does is to be written within an hour.
    """
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import directory_of, open_store

    with open_store(directory_of(layers), writes=True) as store:
        done = store.attachments.put(file)
    if as_json:
        print_json({"id": done.id, "len": done.len})
    else:
        click.echo(f"{done.id} {done.len}")


@command.command(
    "get",
    cls=Documented,
    example="crdtstore attachments get EiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJA --output photo.jpg",
)
@click.argument("id")
@click.option("--output", type=click.File("wb"), default="-", help="Where to; standard output by default.")
@with_settings("store")
def get(layers: Layers, *, id: str, output: BinaryIO) -> None:
    """Write the bytes of the file ID."""
    from shutil import copyfileobj

    from crdtstore.cli.target import directory_of, open_store

    with open_store(directory_of(layers), writes=False) as store, store.attachments.open(id) as file:
        copyfileobj(file, output)


@command.command("list", cls=Documented, example="crdtstore attachments list --store cities-data")
@with_settings("store")
@json_option
def list_(layers: Layers, *, as_json: bool) -> None:
    """Print the files that a store has: id, length, when it was put, and since when nobody refers to it."""
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import directory_of, open_store

    with open_store(directory_of(layers), writes=False) as store:
        states = list(store.attachments.list())
    if as_json:
        print_json([state._asdict() for state in states])
        return
    for state in states:
        idle = f"  idle since {moment(state.idle)}" if state.idle else ""
        click.echo(f"{state.id}  {state.len:,} bytes  put {moment(state.used)}{idle}")


def moment(milliseconds: int) -> str:
    """Write a time."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="seconds")


@command.command("collect", cls=Documented, example="crdtstore attachments collect --store cities-data")
@click.option(
    "--grace-seconds",
    type=click.FloatRange(min=0),
    default=ATTACHMENT_GRACE_SECONDS_DEFAULT,
    show_default=True,
    help="How long a file stays that no document refers to.",
)
@with_settings("store")
@json_option
def collect(layers: Layers, *, grace_seconds: float, as_json: bool) -> None:
    """Remove the files that no document refers to.

    A file goes when it was put longer ago than --grace-seconds, and as long after that was first found out: by an
    earlier run, or by a server, which looks once an hour. With 0 it goes at once.
    """
    from crdtstore.cli.output import counted, print_json, size_of
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store

    with open_store(directory_of(layers), writes=True, advice=WITHOUT_SERVER) as store:
        done = store.attachments.collect(grace_seconds)
    if as_json:
        print_json(done._asdict())
        return
    click.echo(f"Removed {counted(done.removed, 'file')}, {size_of(done.bytes)}; {counted(done.kept, 'file')} stay.")
    if done.swept:
        click.echo(f"Removed {counted(done.swept, 'file')} that a crash had left over.")


@command.command(
    "forget",
    cls=Documented,
    example="crdtstore attachments forget EiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJA --store cities-data",
)
@click.argument("id")
@with_settings("store")
@json_option
def forget(layers: Layers, *, id: str, as_json: bool) -> None:
    """Remove the file ID now, whoever refers to it.

    For one that is damaged and that nobody has any more: no backup is made while it is there.
    """
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store

    with open_store(directory_of(layers), writes=True, advice=WITHOUT_SERVER) as store:
        store.attachments.forget(id)
    if as_json:
        print_json({"id": id})
    else:
        click.echo(f"Forgot {id}.")
