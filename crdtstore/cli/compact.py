"""`crdtstore compact`: write a store's data file anew without its free pages.

Not here: how (`crdtstore/storage/compact.py`).
"""

from __future__ import annotations

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers


@click.command("compact", cls=Documented, example="crdtstore compact --store cities-data")
@with_settings("store")
@json_option
def command(layers: Layers, *, as_json: bool) -> None:
    """Give the disk back what a store no longer uses.

    The data file is written anew without free pages, and takes the place of the old one; until then the disk holds
    both. Nobody may have the store open: stop its server first. Interrupted at any moment, it leaves the store as it
    was, or compact.

    A store uses its free pages again when it grows. Compact it after much was trimmed or removed.
    """
    from crdtstore.cli.backup import bytes_of
    from crdtstore.cli.output import print_json, size_of
    from crdtstore.cli.progress import progress
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of
    from crdtstore.errors import StoreLocked
    from crdtstore.storage.compact import compact

    store = directory_of(layers)
    try:
        with progress("Compacting", total_bytes=bytes_of(store), quiet=as_json, noun=None) as advance:
            done = compact(store, advance=lambda size: advance(0, size))
    except StoreLocked as error:
        raise StoreLocked(f"{error.message} If that is a server, {WITHOUT_SERVER}.", **error.data) from None
    if as_json:
        print_json({"bytes_before": done.before, "bytes_after": done.after})
        return
    click.echo(f"Compacted {store}: {size_of(done.before)} before, {size_of(done.after)} now.")
