"""`crdtstore import`: documents of a JSON file, upserted in transactions of a bounded size.

Rules: a batch is one transaction, all or nothing. Batches are sent ahead of their answers, so that the
store can commit several with one flush; at the first that fails no more are sent. What was written before
stays: an import that was repaired is simply run again.

Not here: how the input is read (`reader`).
"""

from __future__ import annotations

import os
from typing import BinaryIO

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.limits import COMMANDS_MAX, IMPORT_BATCH_DOCUMENTS_DEFAULT
from crdtstore.settings import Layers


@click.command(
    "import",
    cls=Documented,
    example="crdtstore import cities cities.jsonl --id-field code --store cities-data",
)
@click.argument("collection")
@click.argument("file", type=click.File("rb"))
@click.option("--id-field", metavar="NAME", default="_id", help="Field that becomes the _id.  [default: _id]")
@click.option("--counter", "counters", metavar="PATH", multiple=True, help="Start a counter here; repeatable.")
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, COMMANDS_MAX),
    default=IMPORT_BATCH_DOCUMENTS_DEFAULT,
    show_default=True,
    help="Documents of one transaction.",
)
@click.option("--actor", metavar="BASE64", help="Author of the writes: 16 bytes in Base64.")
@with_settings("store", "url", "key", "key_file")
@json_option
def command(
    layers: Layers,
    *,
    collection: str,
    file: BinaryIO,
    id_field: str,
    counters: tuple[str, ...],
    batch: int,
    actor: str | None,
    as_json: bool,
) -> None:
    """Write the documents of a JSON file to a collection.

    FILE holds JSON Lines (an object on each line) or one JSON array of objects; - is standard input. Each
    object is written as the document that its _id names: given fields are set, others stay. Numbers at a
    --counter path start a counter, which increments then add to.

    If a document is refused, nothing of its batch is written and the import stops; run it again when the
    line is repaired.
    """
    from time import monotonic

    from crdtstore.cli.batches import Form, batches_of, send
    from crdtstore.cli.output import counted, print_json
    from crdtstore.cli.progress import progress
    from crdtstore.cli.target import open_target

    for path in counters:
        check_path(path)
    form = Form(collection, id_field, dict.fromkeys(counters, "counter"))
    begun = monotonic()
    with (
        open_target(layers, writes=True, actor=actor) as target,
        progress(f"Importing {collection}", total_bytes=size_of_file(file), quiet=as_json) as advance,
    ):
        sent = send(target, batches_of(file, form, batch), advance)
    seconds = monotonic() - begun
    if as_json:
        print_json({**sent._asdict(), "seconds": seconds})
        return
    click.echo(
        f"Imported {counted(sent.documents, 'document')} into {collection} in "
        f"{counted(sent.transactions, 'transaction')} ({seconds:.1f} s); newest transaction: {sent.txn}."
    )


def check_path(path: str) -> None:
    """Refuse a path that no field can have, before it is taken for the fault of a line."""
    from crdtstore.command.upsert import field_path
    from crdtstore.errors import CallerError

    try:
        field_path(path)
    except CallerError as error:
        raise click.UsageError(f"--counter {path} is not the path of a field: {error.message}") from None


def size_of_file(file: BinaryIO) -> int | None:
    """The size of an input; None where it is a pipe or a terminal."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None
