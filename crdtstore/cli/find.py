"""`crdtstore find`: the documents that a query matches, as JSON Lines."""

from __future__ import annotations

from typing import Any

import click

from crdtstore.cli.options import (
    Documented,
    arg_option,
    at_option,
    chosen_language,
    json_option,
    language_option,
    with_settings,
)
from crdtstore.limits import FIND_LIMIT_DEFAULT, FIND_LIMIT_MAX
from crdtstore.settings import Layers


@click.command(
    "find",
    cls=Documented,
    example="crdtstore find cities 'population > $args.least' --arg least=100000 --store cities-data",
)
@click.argument("collection")
@click.argument("query", default="true")
@arg_option
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0, FIND_LIMIT_MAX),
    help=f"Print at most this many.  [default: {FIND_LIMIT_DEFAULT}]",
)
@click.option("--offset", metavar="N", type=click.IntRange(0), default=0, help="Leave out so many before them.")
@click.option(
    "--order",
    metavar="PATH",
    multiple=True,
    help="Sort by this path, descending with a minus before it; ties by id. Repeatable. Needs a directory.",
)
@click.option("--cursor", metavar="TEXT", help="Go on behind the page before; see --json. Needs a directory.")
@click.option(
    "--field", "fields", metavar="PATH", multiple=True, help="Show this field only. Repeatable. Needs a directory."
)
@language_option
@click.option(
    "--txn",
    metavar="N",
    type=click.IntRange(0),
    help="Read at this transaction or later; a server waits for it.",
)
@at_option
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
    order: tuple[str, ...],
    cursor: str | None,
    fields: tuple[str, ...],
    language: str,
    txn: int | None,
    at: int | None,
    as_json: bool,
) -> None:
    """Print the documents that a query matches.

    One document a line, as JSON with its _id first, in the order of the ids. With --json it is one object with the
    documents, the transaction at which they were read, and the cursor of the next page if there is one.
    """
    import msgspec

    from crdtstore.cli.output import line_of, note
    from crdtstore.cli.target import open_target
    from crdtstore.cli.values import named_values

    most = FIND_LIMIT_DEFAULT if limit is None else limit
    args = named_values(pairs) or None
    more: dict[str, Any] = {"order": order, "cursor": cursor, "fields": fields or None}
    given = {name: value for name, value in more.items() if value} | chosen_language(language)
    with open_target(layers) as target:
        found = target.find(collection, query, args=args, limit=most, offset=offset, txn=txn, at=at, more=given)
    lines = map(line_of, found.documents)
    if as_json:
        follows = b',"cursor":%b' % msgspec.json.encode(found.cursor) if found.cursor else b""
        click.echo(b'{"txn":%d,"documents":[%b]%b}' % (found.txn, b",".join(lines), follows))
        return
    for line in lines:
        click.echo(line)
    if limit is None and len(found.documents) == most:
        note(f"There may be more than these {most} documents: see --limit, --offset and --cursor, or export.")
