"""`crdtstore index`: the indexes of a store, made, listed, finished and dropped in its directory.

Not here: what an index is (`crdtstore/indexes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from crdtstore.cli.options import Documented, Family, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.indexes import IndexState, Progress
    from crdtstore.storage.index import Kind
    from crdtstore.store import Store


@click.group("index", cls=Family, example="crdtstore index create cities name --store cities-data")
def command() -> None:
    """Make, list and drop the indexes of a store.

    A search uses an index by itself where that is faster; it finds the same without. An index is kept by every write,
    and takes room. Interrupted, making one goes on where it stood: with `crdtstore index build`, or when the store is
    served.

    A server that has the store open must be stopped before an index is made or dropped.
    """


@command.command(
    "create",
    cls=Documented,
    example=(
        "crdtstore index create cities name --store cities-data\n"
        "crdtstore index create cities address.country population --name big --store cities-data\n"
        "crdtstore index create cities --conflicts --store cities-data"
    ),
)
@click.argument("collection")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--name", help="What the index is called; made of its paths by default.")
@click.option("--conflicts", is_flag=True, help="By the paths at which more than one value lives, without PATHs.")
@with_settings("store")
@json_option
def create(
    layers: Layers, *, collection: str, paths: tuple[str, ...], name: str | None, conflicts: bool, as_json: bool
) -> None:
    """Make an index of a COLLECTION by the values at one to four PATHs.

    PATHs are written as in a query, such as address.street or tags[0]. With several, documents are found by the first,
    by the first two, and so on. Values in arrays are found by an index of one PATH.
    """
    from crdtstore.query.legacy import parse_path

    steps = [parse_path(path) for path in paths]
    with opened(layers, writes=True) as store, shown(store, collection, quiet=as_json) as progress:
        kind: Kind = "conflicts" if conflicts else "fields"
        made = store.indexes.create(collection, steps, name=name, kind=kind, progress=progress)
    tell(made, f"Made index {made.name} of {collection}: {counted_entries(made.entries)}.", as_json=as_json)


@command.command("drop", cls=Documented, example="crdtstore index drop name --collection cities --store cities-data")
@click.argument("name")
@click.option("--collection", metavar="NAME", help="Its collection, if several have an index of this name.")
@with_settings("store")
@json_option
def drop(layers: Layers, *, name: str, collection: str | None, as_json: bool) -> None:
    """Drop an index. No document is touched."""
    with opened(layers, writes=True) as store:
        dropped = store.indexes.find(name, collection)
        store.indexes.drop(name, collection=collection)
    tell(dropped, f"Dropped index {name} of {dropped.collection}.", as_json=as_json)


@command.command("list", cls=Documented, example="crdtstore index list --store cities-data")
@click.option("--collection", metavar="NAME", help="Only the indexes of this collection.")
@with_settings("store")
@json_option
def list_(layers: Layers, *, collection: str | None, as_json: bool) -> None:
    """Print the indexes of a store.

    For each: its collection, its name, its paths, and how many entries it has or how far it is.
    """
    from crdtstore.cli.output import print_columns, print_json

    with opened(layers, writes=False) as store:
        states = store.indexes.list(collection)
    if as_json:
        print_json([described(state) for state in states])
    elif states:
        print_columns([columns_of(state) for state in states])


@command.command("build", cls=Documented, example="crdtstore index build --store cities-data")
@with_settings("store")
@json_option
def build(layers: Layers, *, as_json: bool) -> None:
    """Finish what was interrupted: indexes that are half made or half dropped."""
    from crdtstore.cli.output import print_json

    with opened(layers, writes=True) as store:
        unfinished = [state for state in store.indexes.list() if state.state != "ready"]
        for state in unfinished:
            with shown(store, state.collection, quiet=as_json) as progress:
                store.indexes.finish(state.number, progress)
    if as_json:
        print_json({"finished": [described(state) for state in unfinished]})
        return
    names = ", ".join(f"{state.name} of {state.collection}" for state in unfinished)
    click.echo(f"Finished {names}." if names else "Every index is finished.")


def opened(layers: Layers, *, writes: bool) -> Store:
    """Open the store that the settings name."""
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store

    return open_store(directory_of(layers), writes=writes, advice=WITHOUT_SERVER)


@contextmanager
def shown(store: Store, collection: str, *, quiet: bool) -> Iterator[Progress]:
    """Show a progress bar while an index is built."""
    from crdtstore.cli.progress import progress

    total = store.stats().collections.get(collection)
    with progress("Indexing", total_bytes=total, quiet=quiet) as advance:
        yield stepping(advance)


def stepping(advance: Callable[[int, int], None]) -> Progress:
    """Make what is told how far it is of what is told how much more was done. Each document counts as one byte."""
    before = 0

    def progress(done: int, _of: int) -> None:
        nonlocal before
        advance(done - before, done - before)
        before = done

    return progress


def tell(state: IndexState, sentence: str, *, as_json: bool) -> None:
    """Print what was done to an index."""
    from crdtstore.cli.output import print_json

    if as_json:
        print_json(described(state))
    else:
        click.echo(sentence)


def described(state: IndexState) -> dict[str, Any]:
    """An index, for JSON."""
    fields = state._asdict()
    return {name: fields[name] for name in fields if name != "number"}


def columns_of(state: IndexState) -> tuple[str, ...]:
    """An index, for people."""
    from crdtstore.crdt.path import format_steps

    paths = ", ".join(map(format_steps, state.paths)) or state.kind
    what = f"{state.state}, {state.documents:,} of {state.of:,} documents"
    return state.collection, state.name, paths, counted_entries(state.entries) if state.state == "ready" else what


def counted_entries(number: int) -> str:
    """Write a number of entries."""
    return "1 entry" if number == 1 else f"{number:,} entries"
