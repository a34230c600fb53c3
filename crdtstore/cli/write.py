"""`crdtstore write`: commands from a file or a pipe, run as one transaction.

Rules: the input is the body of a write request, or JSON Lines with a command each; which of the two, its
first line says. Either way all commands are one transaction: all or nothing.
"""

from __future__ import annotations

from typing import BinaryIO

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers


@click.command(
    "write",
    cls=Documented,
    example=(
        """echo '{"method":"upsert","collection":"cities","id":"basel","value":{"name":"Basel"}}' |\n"""
        "  crdtstore write --store cities-data"
    ),
)
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--actor", metavar="BASE64", help="Author of the write: 16 bytes in Base64.")
@with_settings("store", "url", "key", "key_file")
@json_option
def command(layers: Layers, *, file: BinaryIO, actor: str | None, as_json: bool) -> None:
    """Run commands (upsert, update, remove) as one transaction.

    FILE holds {"commands": [...]} or one command on each line; - or none is standard input. All commands are
    applied, or none. The answer names the transaction, for find --txn.
    """
    from crdtstore.cli.output import described, note, print_json, sentence_of
    from crdtstore.cli.target import open_target
    from crdtstore.command.parse import parse_commands

    if file.isatty():
        note("Reading commands from the terminal; end them with Ctrl-D.")
    commands = parse_commands(request_body(file))
    with open_target(layers, writes=True, actor=actor) as target:
        written = target.submit(commands).result()
    if as_json:
        results = [described(result) for result in written.results]
        print_json({"txn": written.txn, "results": results, "warnings": written.warnings})
        return
    click.echo(f"txn {written.txn}")
    for result in written.results:
        click.echo(sentence_of(result))
    for warning in written.warnings:
        note(f"Warning: {warning}")


def request_body(file: BinaryIO) -> bytes:
    """Read the input as the body of a write request.

    Raises:
        MalformedJson: It is not strict JSON; names the line.
        LimitExceeded: It is longer than a request may be.
    """
    from crdtstore import core
    from crdtstore.cli.reader import scan_line, too_long
    from crdtstore.limits import BODY_BYTES_MAX, JSON_DEPTH_MAX

    data = file.read(BODY_BYTES_MAX + 1)
    if len(data) > BODY_BYTES_MAX:
        raise too_long("The input", len(data))
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    if not lines or not is_command(lines[0][1]):
        core.scan_json(data, JSON_DEPTH_MAX)
        return data
    for number, line in lines:
        scan_line(line, number)
    return b'{"commands":[%b]}' % b",".join(line for _, line in lines)


def is_command(line: bytes) -> bool:
    """Say whether a line is a whole command: what else begins so is a request over several lines."""
    import msgspec

    try:
        value = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return isinstance(value, dict) and "method" in value
