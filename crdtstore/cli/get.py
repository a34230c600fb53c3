"""`crdtstore get`: one document, by its id."""

from __future__ import annotations

import click

from crdtstore.cli.options import Documented, at_option, with_settings
from crdtstore.settings import Layers


@click.command("get", cls=Documented, example="crdtstore get cities basel --store cities-data")
@click.argument("collection")
@click.argument("id")
@at_option
@with_settings("store", "url", "key", "key_file")
@click.option("--json", is_flag=True, expose_value=False, help="Print errors as JSON, as the document is.")
def command(layers: Layers, *, collection: str, id: str, at: int | None) -> None:
    """Print one document by its _id.

    ID is read as JSON if it is JSON, else as a text: 42 is a number, '"42"' and basel are texts. A document
    that does not exist is an error.
    """
    from crdtstore.cli.output import line_of
    from crdtstore.cli.target import open_target
    from crdtstore.cli.values import json_or_text
    from crdtstore.errors import NotFound

    identifier = json_or_text(id)
    with open_target(layers) as target:
        document = target.get(collection, identifier, at=at)
    if document is None:
        message = f"The collection {collection} has no document with the _id {identifier!r}."
        raise NotFound(message, collection=collection, id=identifier)
    click.echo(line_of(document))
