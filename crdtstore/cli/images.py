"""`crdtstore images`: which collections of a store keep images of their changes, told or set in its directory.

Rules: without arguments the store is only read.

Not here: what is kept (`crdtstore/feed/kept.py`).
"""

from __future__ import annotations

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers


@click.command("images", cls=Documented, example="crdtstore images cities both --store cities-data")
@click.argument("collection", required=False)
@click.argument("images", required=False, type=click.Choice(["none", "new", "both"]))
@with_settings("store")
@json_option
def command(layers: Layers, *, collection: str | None, images: str | None, as_json: bool) -> None:
    """Say which collections keep images of their changes.

    With a COLLECTION and IMAGES, set that: `both` keeps each document as it was before and after a transaction, `new`
    only as it was after, `none` neither. The change feed tells them when somebody reads the past. They take room until
    the log is trimmed.

    A server that has the store open must be stopped before it is set, or asked: PUT /admin/change-images/COLLECTION.
    """
    from crdtstore.cli.output import print_columns, print_json
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store
    from crdtstore.storage.images import chosen

    if collection is not None and images is None:
        raise click.UsageError("Say which images: none, new or both.")
    with open_store(directory_of(layers), writes=collection is not None, advice=WITHOUT_SERVER) as store:
        if collection is not None and images is not None:
            store.change_images.set(collection, chosen(images))
        kept = store.change_images.all()
    if as_json:
        print_json({"collections": kept})
    elif kept:
        print_columns(sorted(kept.items()))
