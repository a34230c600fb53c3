"""`crdtstore permissions`: why a key may read or write a document, or may not.

Not here: what a permission is (`crdtstore/auth/permission.py`), keys as a whole (`keys`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from crdtstore.cli.keys import opened, prefix_argument, public_part
from crdtstore.cli.options import Documented, Family, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.auth.explained import Decision


@click.group("permissions", cls=Family, example="crdtstore permissions explain 4nQ8vT0aXw2 notes 42 --store notes-data")
def command() -> None:
    """Say what the rules of a key decide."""


@command.command(
    "explain", cls=Documented, example="crdtstore permissions explain 4nQ8vT0aXw2 notes 42 --store notes-data"
)
@prefix_argument
@click.argument("collection")
@click.argument("id")
@with_settings("store", "url", "key", "key_file")
@json_option
def explain(layers: Layers, *, prefix: str, collection: str, id: str, as_json: bool) -> None:
    """Say whether a key may read and write a document, and which rule decides.

    PREFIX is the key's first 11 characters, as `crdtstore keys list` prints them. ID is read as JSON if it is JSON,
    else as a text. The document need not exist.
    """
    from crdtstore.auth.explained import AskedDocument
    from crdtstore.cli.output import print_columns, print_json
    from crdtstore.cli.values import json_or_text

    with opened(layers, writes=False) as keys:
        told = keys.explain_document(public_part(prefix), AskedDocument(collection, json_or_text(id)))
    if as_json:
        print_json(told)
    else:
        print_columns([*rows_of("read", told.read), *rows_of("write", told.write)])


def rows_of(verb: str, decision: Decision) -> Iterator[tuple[str, str, str]]:
    """The lines that say what was decided, and of each rule whether it holds."""
    yield verb, "allowed" if decision.allowed else "refused", decision.said
    for rule in decision.rules:
        yield "", "holds" if rule.holds else "does not", rule.query
