"""`crdtstore restore`: a backup becomes a store again, with an origin of its own.

Not here: how (`crdtstore/version/restore.py`).
"""

from __future__ import annotations

from pathlib import Path

import click

from crdtstore.cli.options import Documented, json_option


@click.command("restore", cls=Documented, example="crdtstore restore cities-backup cities-again")
@click.argument("backup")
@click.argument("destination")
@json_option
def command(*, backup: str, destination: str, as_json: bool) -> None:
    """Make a store of a backup.

    DESTINATION must not hold a store yet; it is there whole, or not at all. The backup stays as it is, and can be
    restored again: each time becomes a store of its own, which exchanges with all others.

    The store has what the backup has, API keys too. What was written after the backup was made comes back from the
    stores that have it: crdtstore sync.
    """
    from crdtstore.cli.backup import bytes_of
    from crdtstore.cli.output import counted, print_json
    from crdtstore.cli.progress import progress
    from crdtstore.crdt.actor import format_actor
    from crdtstore.version.restore import restore

    with progress("Restoring", total_bytes=bytes_of(backup), quiet=as_json, noun=None) as advance:
        restored = restore(backup, destination, advance=lambda size: advance(0, size))
    path, moment = str(Path(destination).resolve()), restored.backup.moment
    if as_json:
        print_json({**moment.as_dict(), "store": path, "origin": restored.origin.hex(), "before": moment.origin.hex()})
        return
    click.echo(f"Restored {counted(moment.documents, 'document')} at transaction {moment.txn:,} to {path}.")
    click.echo(f"Its origin is {format_actor(restored.origin)}; before it was {format_actor(moment.origin)}.")
