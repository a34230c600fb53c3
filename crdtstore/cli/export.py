"""`crdtstore export`: a whole collection as JSON Lines.

Rules: documents are written as they are read, so a collection of any size takes little memory. A file
gets its name once it is whole; an interrupted export leaves none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers

STEP: Final = 1_000
"""Documents between two changes of the progress bar: each costs as much as a document."""


@click.command("export", cls=Documented, example="crdtstore export cities cities.jsonl --store cities-data")
@click.argument("collection")
@click.argument("file", type=click.Path(dir_okay=False), default="-")
@with_settings("store", "url", "key", "key_file")
@json_option
def command(layers: Layers, *, collection: str, file: str, as_json: bool) -> None:
    """Print all documents of a collection as JSON Lines.

    One document a line, its _id first, in the order of the ids; to FILE, or to standard output. From
    --store all documents are of one version; from a server they are read page by page.

    `crdtstore import` reads the result. Counters become numbers: name them there with --counter.
    """
    from crdtstore.cli.output import counted, line_of, print_json
    from crdtstore.cli.progress import progress
    from crdtstore.cli.target import open_target

    documents = 0
    with (
        open_target(layers) as target,
        output(file) as stream,
        progress(f"Exporting {collection}", total_bytes=None, quiet=as_json or file == "-") as advance,
    ):
        for documents, document in enumerate(target.documents(collection), 1):  # the last is the count
            stream.write(line_of(document) + b"\n")
            if documents % STEP == 0:
                advance(STEP, 0)
    if file == "-":
        return
    if as_json:
        print_json({"documents": documents, "file": file})
    else:
        click.echo(f"Exported {counted(documents, 'document')} of {collection} to {file}.")


@contextmanager
def output(file: str) -> Iterator[BinaryIO]:
    """Open where the lines go; a file is on disk and has its name when the block ends well."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = Path(f"{file}.partial")
    try:
        with unfinished.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
