"""`crdtstore count`: how many documents a query matches."""

from __future__ import annotations

import click

from crdtstore.cli.options import Documented, arg_option, json_option, language_option, with_settings
from crdtstore.settings import Layers


@click.command("count", cls=Documented, example="crdtstore count cities 'population > 100000' --store cities-data")
@click.argument("collection")
@click.argument("query", default="true")
@arg_option
@language_option
@with_settings("store")
@json_option
def command(
    layers: Layers,
    *,
    collection: str,
    query: str,
    pairs: tuple[str, ...],
    language: str,
    as_json: bool,
) -> None:
    """Print how many documents a query matches."""
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import directory_of, open_store
    from crdtstore.cli.values import named_values

    with open_store(directory_of(layers), writes=False) as store:
        counted = store.count(collection, query, args=named_values(pairs) or None, language=language)
    if as_json:
        print_json({"txn": counted.txn, "count": counted.count})
    else:
        click.echo(counted.count)
