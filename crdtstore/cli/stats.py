"""`crdtstore stats`: what a store holds, as lines for a person or JSON for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.storage.stats import Stats


@click.command("stats", cls=Documented, example="crdtstore stats --store cities-data")
@with_settings("store", "url", "key", "key_file")
@json_option
def command(layers: Layers, *, as_json: bool) -> None:
    """Say what a store holds.

    From --store it reads the directory, also while a server has it open. A server is asked with a key that
    may do everything.
    """
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import open_target

    with open_target(layers) as target:
        place, stats = target.place, target.stats()
    if as_json:
        print_json(stats.as_dict())
        return
    rows = [("store", place), *rows_of(stats)]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:{width}}  {value}")


def readable(txns: Sequence[int]) -> str:
    """Say which versions can be read beside the newest."""
    from crdtstore.cli.output import counted

    return f"{counted(len(txns), 'version')} from {txns[0]:,} to {txns[-1]:,}" if txns else "no other version"


def rows_of(stats: Stats) -> Iterator[tuple[str, str]]:
    """Name and write the figures, in the order in which a person asks for them."""
    from crdtstore.cli.output import counted, size_of
    from crdtstore.crdt.scope import format_scope

    yield "newest transaction", f"{stats.applied:,}"
    yield "documents", f"{stats.documents:,} in {counted(len(stats.collections), 'collection')}"
    for name, documents in stats.collections.items():
        yield f"  {name}", f"{documents:,}"
    yield "holds", format_scope(stats.scope)
    yield "log begins at", f"{stats.oldest:,}"
    yield "also readable", readable(stats.retained)
    yield "size on disk", size_of(stats.bytes_on_disk)
    yield "attachments", f"{stats.attachments:,}"
    yield "paths", f"{stats.paths:,}"
    yield "authors", f"{stats.replicas:,}"
    yield "origin", stats.origin
    yield "origins known", f"{stats.origins:,}"
    yield "digest", stats.digest
    yield "core", stats.core
