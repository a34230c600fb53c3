"""`crdtstore distinct`: the different values that documents have at a path."""

from __future__ import annotations

import click

from crdtstore.cli.options import Documented, arg_option, json_option, language_option, with_settings
from crdtstore.settings import Layers


@click.command("distinct", cls=Documented, example="crdtstore distinct cities country --store cities-data")
@click.argument("collection")
@click.argument("path")
@click.argument("query", default="true")
@arg_option
@language_option
@with_settings("store")
@json_option
def command(
    layers: Layers,
    *,
    collection: str,
    path: str,
    query: str,
    pairs: tuple[str, ...],
    language: str,
    as_json: bool,
) -> None:
    """Print the different values that documents have at a path.

    Those of the documents that the query matches, sorted, one a line.
    """
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import directory_of, open_store
    from crdtstore.cli.values import named_values

    args = named_values(pairs) or None
    with open_store(directory_of(layers), writes=False) as store:
        found = store.distinct(collection, path, query, args=args, language=language)
    if as_json:
        print_json({"txn": found.txn, "values": found.values})
        return
    for value in found.values:
        print_json(value)
