"""`crdtstore query`: look at queries, at what they mean and how they are answered.

Rules: a tree is printed as JSON. With `--lines` each line of the input is one query, as a JSON string, and each line of
the output its tree, or `{"error": ...}` where it is refused: then the exit code is 0 all the same. `dql` is version 5
of the statement language; in `dql-v4` double quotes hold identifiers.

Not here: the languages (`crdtstore/query/`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click

from crdtstore.cli.options import QUERY_LANGUAGES, Documented, Family, arg_option, json_option, with_settings
from crdtstore.limits import FIND_LIMIT_DEFAULT, FIND_LIMIT_MAX
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.store import Store

LANGUAGES: Final = ("legacy", "rql", "rql-options", "platform", "dql", "dql-v4")

STATEMENT_PROFILES: Final = MappingProxyType({"dql": "v5", "dql-v4": "v4"})
"""The languages of statements, and the profile of each."""

Reader = Callable[[str], Any]
"""Takes a query's text and gives its tree as JSON values."""


@click.group("query", cls=Family, example="crdtstore query parse --language rql 'gt(attributes/size,3)'")
def command() -> None:
    """Look at queries: what they mean, and how they are answered."""


@command.command("parse", cls=Documented, example="crdtstore query parse 'age >= 18 && city == :city' --arg city=Oslo")
@click.argument("text", required=False)
@click.option("--language", type=click.Choice(LANGUAGES), default="legacy", show_default=True, help="What it is in.")
@click.option("--arg", "pairs", multiple=True, metavar="NAME=VALUE", help="A value for :NAME, in the legacy language.")
@click.option("--lines", is_flag=True, help="Read queries from standard input, each a JSON string on a line.")
@json_option
def parse_command(*, text: str | None, language: str, pairs: tuple[str, ...], lines: bool, as_json: bool) -> None:  # noqa: ARG001  the tree is JSON in any case
    """Print the tree of a query, or where it cannot be read."""
    from crdtstore.cli.output import print_json
    from crdtstore.cli.values import named_values

    if (text is None) != lines:
        raise click.UsageError("Give a query, or --lines and queries on standard input.")
    read = reader_of(language, named_values(pairs))
    if text is not None:
        print_json(read(text))
        return
    for line in sys.stdin:
        print_json(read_line(read, line))


def reader_of(language: str, args: Mapping[str, Value]) -> Reader:
    """What reads a language."""
    from msgspec import to_builtins

    from crdtstore.query import legacy, platform, rql, rql_options
    from crdtstore.query.dql import statement_parser

    readers: dict[str, Reader] = {
        "legacy": lambda text: to_builtins(legacy.parse(text, args)),
        "rql": lambda text: rql.as_json(rql.parse(text)),
        "rql-options": lambda text: rql_options.options_as_json(rql_options.parse_options(text)),
        "dql": lambda text: to_builtins(statement_parser.parse(text)),
        "dql-v4": lambda text: to_builtins(statement_parser.parse(text, "v4")),
        "platform": lambda text: platform.as_json(platform.parse(text)),
    }
    return readers[language]


def read_line(read: Reader, line: str) -> Any:
    """The tree of one line's query, or what is wrong with it."""
    import msgspec

    from crdtstore.errors import CallerError

    try:
        return read(msgspec.json.decode(line, type=str))
    except msgspec.MsgspecError as error:
        return {"error": {"code": "malformed-json", "message": f"The line is no JSON string: {error}.", "data": {}}}
    except CallerError as error:
        return {"error": {"code": error.code, "message": error.message, "data": error.data}}


@command.command("explain", cls=Documented, example="crdtstore query explain cities 'country == :c' --arg c=NO")
@click.argument("collection", metavar="COLLECTION|STATEMENT")
@click.argument("query", default="true")
@arg_option
@click.option("--order", metavar="PATH", multiple=True, help="As of `find`. Repeatable.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0, FIND_LIMIT_MAX),
    default=FIND_LIMIT_DEFAULT,
    show_default=True,
    help="Find at most this many.",
)
@click.option("--plan-only", is_flag=True, help="Do not run it.")
@click.option(
    "--language",
    type=click.Choice((*QUERY_LANGUAGES, *STATEMENT_PROFILES)),
    default="legacy",
    show_default=True,
    help="What the query is in; in the last two it is a statement, which names its collections itself.",
)
@with_settings("store")
@json_option
def explain_command(
    layers: Layers,
    *,
    collection: str,
    query: str,
    pairs: tuple[str, ...],
    order: tuple[str, ...],
    limit: int,
    plan_only: bool,
    language: str,
    as_json: bool,
) -> None:
    """Say how a find or a statement is answered: the index and its bounds, or a scan, and how much is read for it.

    A SELECT is run unless only its plan is asked for; other statements never are. Indexes that would make a statement
    cheaper are named at the end.
    """
    from crdtstore.cli.output import print_json
    from crdtstore.cli.target import directory_of, open_store
    from crdtstore.cli.values import named_values

    args = named_values(pairs) or None
    if language in STATEMENT_PROFILES:
        if query != "true" or order:
            raise click.UsageError("A statement says all by itself: give it alone, with --arg for its parameters.")
        with open_store(directory_of(layers), writes=False) as store:
            told = tell_statement(store, collection, args, STATEMENT_PROFILES[language], run=not plan_only)
        if as_json:
            print_json(told)
        else:
            click.echo("\n".join(lines_of_statement(told)))
        return
    with open_store(directory_of(layers), writes=False) as store:
        plan = store.explain(
            collection, query, args=args, order=order, limit=limit, language=language, run=not plan_only
        )
    if as_json:
        print_json(plan)
    else:
        click.echo("\n".join(lines_of(plan)))


def tell_statement(
    store: Store, statement: str, args: Mapping[str, Value] | None, profile: Any, *, run: bool
) -> dict[str, list[Any]]:
    """The steps of a statement, and the indexes that it lacks."""
    from crdtstore.errors import InvalidQuery
    from crdtstore.query.dql.statement import Select
    from crdtstore.query.dql.statement_parser import parse

    verb = "PROFILE" if run and isinstance(parse(statement, profile), Select) else "EXPLAIN"
    advice = store.execute(f"ADVISE {statement}", args, profile=profile).items
    try:
        steps = store.execute(f"{verb} {statement}", args, profile=profile).items
    except InvalidQuery:
        if not advice:
            raise
        steps = []  # a join that is refused until there is an index
    return {"steps": steps, "advice": advice}


def lines_of_statement(told: Mapping[str, Any]) -> Iterator[str]:
    """The steps of a statement for people, and what is advised."""
    from crdtstore.statement.explain import lines_of_steps

    yield from lines_of_steps(told["steps"])
    for row in told["advice"]:
        costs = f" It would cost {row['cost_with_index']} instead of {row['cost']}." if "cost" in row else ""
        yield f"advice   {row['statement']}"
        yield f"         {row['reason']}{costs}"


def lines_of(plan: Mapping[str, Any]) -> Iterator[str]:
    """A plan for people."""
    ways = {"ids": "look up by id", "scan": "read the collection", "none": "no such collection"}
    way = ways.get(plan["access"]) or f"read index {plan['index']['name']}"
    yield f"access    {way}{', from its end' if plan.get('descending') else ''}"
    for low, high in plan.get("bounds", []):
        yield f"bounds    from {low} to before {high}"
    yield f"filter    {plan['filter'] if plan.get('filter') else 'none: every document that is read matches'}"
    yield f"sorting   {'none: rows come in order' if plan['ordered'] else 'a bounded heap'}"
    if "examined" in plan:
        examined = plan["examined"]
        yield f"examined  {examined['rows']:,} documents, {examined['entries']:,} index entries"
        yield f"returned  {plan['returned']:,} documents"
