"""`crdtstore watch`: what a query finds on a server, and then what becomes of it, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crdtstore.cli.options import QUERY_LANGUAGES, Documented, arg_option, json_option, with_settings
from crdtstore.limits import FIND_LIMIT_DEFAULT, FIND_LIMIT_MAX
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.client.live import Seen
    from crdtstore.query.find import Document


@click.command(
    "watch",
    cls=Documented,
    example="crdtstore watch tasks '!done' --order due --limit 10 --url http://127.0.0.1:8080 --key-file key",
)
@click.argument("collection")
@click.argument("query", default="true")
@arg_option
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0, FIND_LIMIT_MAX),
    default=FIND_LIMIT_DEFAULT,
    show_default=True,
    help="Show at most this many rows.",
)
@click.option(
    "--order",
    metavar="PATH",
    multiple=True,
    help="Sort by this path, descending with a minus before it; ties by id. Repeatable.",
)
@click.option("--field", "fields", metavar="PATH", multiple=True, help="Show this field only. Repeatable.")
@click.option("--changes", metavar="N", type=click.IntRange(0), help="Stop after so many changes.")
@click.option(
    "--language",
    type=click.Choice(QUERY_LANGUAGES),
    default="legacy",
    show_default=True,
    help="What the query is in.",
)
@with_settings("url", "key", "key_file")
@json_option
def command(
    layers: Layers,
    *,
    collection: str,
    query: str,
    pairs: tuple[str, ...],
    limit: int,
    order: tuple[str, ...],
    fields: tuple[str, ...],
    changes: int | None,
    language: str,
    as_json: bool,
) -> None:
    """Print what a query finds on a server, as it changes.

    Each row is a line: a sign, its place and the document. + is a row that came, - one that went (its place before),
    > one that moved, ~ one that is shown otherwise now. With --json each change is one object.
    """
    from crdtstore.cli.target import choose, open_server, reaching
    from crdtstore.cli.values import named_values
    from crdtstore.client.live import observe

    if choose(layers, ("url",)) is None:
        raise click.UsageError("Say which server is to be watched: --url URL with a key.")
    asked: dict[str, Any] = {"collection": collection, "query": query, "limit": limit, "language": language}
    asked["args"] = named_values(pairs) or None
    asked["sort"] = [sort_key(path) for path in order]
    asked["fields"] = fields or None
    remote = open_server(layers, None)
    rows: list[Document] = []
    try:
        with reaching(remote.place):
            for number, seen in enumerate(observe(remote.client, asked)):
                for line in [json_of(seen)] if as_json else lines_of(rows, seen):
                    click.echo(line)
                rows = seen.rows
                if number == changes:
                    return
    finally:
        remote.close()


def sort_key(path: str) -> dict[str, str]:
    """A key of an order, as the server takes it."""
    return {"property": path.removeprefix("-"), "direction": "desc" if path.startswith("-") else "asc"}


def lines_of(before: list[Document], seen: Seen) -> Iterator[bytes]:
    """What became of the rows, for people."""
    if seen.difference is None:
        yield from (line_at(b"+", place, document) for place, document in enumerate(seen.rows))
        return
    for place in seen.difference.deletions:
        yield line_at(b"-", place, before[place])
    for move in seen.difference.moves:
        yield line_at(b">", move.target, seen.rows[move.target])
    for placed in seen.difference.insertions:
        yield line_at(b"+", *placed)
    for placed in seen.difference.updates:
        yield line_at(b"~", *placed)


def line_at(sign: bytes, place: int, document: Document) -> bytes:
    """A row."""
    from crdtstore.cli.output import line_of

    return b"%b %d %b" % (sign, place, line_of(document))


def json_of(seen: Seen) -> bytes:
    """A change, for programs: the transaction and all rows."""
    from crdtstore.cli.output import line_of

    return b'{"txn":%d,"documents":[%b]}' % (seen.txn, b",".join(map(line_of, seen.rows)))
