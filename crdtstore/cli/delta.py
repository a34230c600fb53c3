"""`crdtstore delta`: two stores become equal by files, without a network.

Rules: `ask` and `export` only read, and work while a server has the store open. A file gets its name once it is
whole.

Not here: what stands in the files (`crdtstore/replication/delta.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import click

from crdtstore.cli.options import Documented, Family, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.cli.progress import Advance

FILE = click.Path(dir_okay=False)


@click.group(
    "delta",
    cls=Family,
    example=(
        "crdtstore delta ask ask --store right\n"
        "crdtstore delta export delta --for ask --store left\n"
        "crdtstore delta import delta --store right"
    ),
)
def command() -> None:
    """Carry what a store lacks to it in a file.

    The store that lacks something asks; the other one exports what is missing; the first imports it. Do the same the
    other way, and both are equal. Files may be carried in any order, twice, or get lost.
    """


@command.command("ask", cls=Documented, example="crdtstore delta ask ask --store right")
@click.argument("file", type=FILE)
@with_settings("store")
@json_option
def ask(layers: Layers, *, file: str, as_json: bool) -> None:
    """Write down what a store knows, for another one to export what it lacks.

    FILE is small: a line for each store that ever wrote. It is - for standard output.
    """
    from crdtstore.cli.target import directory_of, open_store
    from crdtstore.replication.delta import write_ask

    with open_store(directory_of(layers), writes=False) as store:
        size = save(write_ask(store), file)
    tell("Asked", file, size, as_json=as_json)


@command.command("export", cls=Documented, example="crdtstore delta export delta --for ask --store left")
@click.argument("file", type=FILE)
@click.option("--for", "asked", type=click.File("rb"), metavar="ASK", help="What the other store knows: its ask.")
@with_settings("store")
@json_option
def export(layers: Layers, *, file: str, asked: IO[bytes] | None, as_json: bool) -> None:
    """Write what another store lacks to a file.

    Without --for it is everything that the log holds. A log that was trimmed beyond what the other store knows cannot
    feed it: restore a backup there, or let the two sync once. FILE is - for standard output.
    """
    from crdtstore.cli.sync import advising
    from crdtstore.cli.target import directory_of, open_store
    from crdtstore.replication.delta import read_ask, write_delta

    with advising(), open_store(directory_of(layers), writes=False) as store:
        size = save(write_delta(store, None if asked is None else read_ask(asked)), file)
    tell("Exported", file, size, as_json=as_json)


@command.command("import", cls=Documented, example="crdtstore delta import delta --store right")
@click.argument("file", type=click.File("rb"))
@with_settings("store")
@json_option
def import_(layers: Layers, *, file: IO[bytes], as_json: bool) -> None:
    """Apply what another store exported.

    What is known already is skipped. A file that is cut short is applied up to there, and the command fails; what is
    missing comes with the same file, whole, or with the next one. FILE is - for standard input.

    A store that --store names and that is not there yet is made.
    """
    from crdtstore.cli.output import counted, print_json
    from crdtstore.cli.progress import progress
    from crdtstore.cli.sync import advising
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store
    from crdtstore.crdt.actor import format_actor
    from crdtstore.replication.delta import read_delta

    with (
        advising(),
        open_store(directory_of(layers), writes=True, create=True, advice=WITHOUT_SERVER) as store,
        progress("Importing", total_bytes=size_of_file(file), quiet=as_json, noun=None) as advance,
    ):
        done = read_delta(store, Watched(file, advance))
    if as_json:
        print_json({"peer": format_actor(done.origin), "applied": done.applied, "skipped": done.skipped})
        return
    applied, known = counted(done.applied, "transaction"), counted(done.skipped, "transaction")
    click.echo(f"Applied {applied} from {format_actor(done.origin)}; knew {known}.")


class Watched:
    """A file whose reading is shown."""

    def __init__(self, file: IO[bytes], advance: Advance) -> None:
        """Show how far the file was read."""
        self.file = file
        self.advance = advance

    def read(self, size: int) -> bytes:
        """Read some bytes."""
        data = self.file.read(size)
        self.advance(0, len(data))
        return data


def size_of_file(file: IO[bytes]) -> int | None:
    """The bytes of a file; None of a pipe, which does not say."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


def save(pieces: Iterator[bytes], file: str) -> int:
    """Write a file piece by piece; returns its bytes."""
    from crdtstore.cli.export import output

    size = 0
    with output(file) as stream:
        for piece in pieces:
            stream.write(piece)
            size += len(piece)
    return size


def tell(done: str, file: str, size: int, *, as_json: bool) -> None:
    """Say what was written, unless it went to standard output itself."""
    from crdtstore.cli.output import print_json, size_of

    if file == "-":
        return
    if as_json:
        print_json({"file": file, "bytes": size})
    else:
        click.echo(f"{done}: {file} has {size_of(size)}.")
