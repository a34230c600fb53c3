"""`crdtstore find`: the documents that a query matches, as JSON Lines."""

from __future__ import annotations

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.limits import FIND_LIMIT_DEFAULT, FIND_LIMIT_MAX
from crdtstore.settings import Layers


@click.command(
    "find",
    cls=Documented,
    example="crdtstore find cities 'population > $args.least' --arg least=100000 --store cities-data",
)
@click.argument("collection")
@click.argument("query", default="true")
@click.option(
    "--arg",
    "pairs",
    metavar="NAME=VALUE",
    multiple=True,
    help="What $args.NAME is in the query; VALUE is JSON or a text. Repeatable.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0, FIND_LIMIT_MAX),
    help=f"Print at most this many.  [default: {FIND_LIMIT_DEFAULT}]",
)
@click.option("--offset", metavar="N", type=click.IntRange(0), default=0, help="Leave out so many before them.")
@click.option(
    "--txn",
    metavar="N",
    type=click.IntRange(0),
    help="Read at this transaction or later; a server waits for it.",
)
@with_settings("store", "url", "key", "key_file")
@json_option
def command(
    layers: Layers,
    *,
    collection: str,
    query: str,
    pairs: tuple[str, ...],
    limit: int | None,
    offset: int,
    txn: int | None,
    as_json: bool,
) -> None:
    """Print the documents that a query matches.

    One document a line, as JSON with its _id first, in the order of the ids. With --json it is one object
    with the documents and the transaction at which they were read.
    """
    from crdtstore.cli.output import line_of, note
    from crdtstore.cli.target import open_target
    from crdtstore.cli.values import named_values

    most = FIND_LIMIT_DEFAULT if limit is None else limit
    args = named_values(pairs) or None
    with open_target(layers) as target:
        found = target.find(collection, query, args=args, limit=most, offset=offset, txn=txn)
    lines = map(line_of, found.documents)
    if as_json:
        click.echo(b'{"txn":%d,"documents":[%b]}' % (found.txn, b",".join(lines)))
        return
    for line in lines:
        click.echo(line)
    if limit is None and len(found.documents) == most:
        note(f"There may be more than these {most} documents: see --limit and --offset, or export.")
