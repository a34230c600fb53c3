"""The command `crdtstore` itself: which sub-commands there are, and how an error ends any of them.

Rules:

- A sub-command's module is imported when it is called or its own help is asked for.
- Exit codes: 0 done, 1 the machine or the store failed, 2 wrong usage, 3 refused, 4 try again later, 5 two stores
  diverged, 130 interrupted.
- An error is one sentence on standard error; with `--json` it is one object
  `{"error": {"code", "message", "data"}}`.

Not here: what a sub-command does (the module that `COMMANDS` names).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple, NoReturn

import click
import msgspec

from crdtstore._version import __version__
from crdtstore.errors import CallerError, CrdtStoreError, Divergence, Quarantined

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_REFUSED: Final = 3
EXIT_RETRY: Final = 4
EXIT_DIVERGED: Final = 5
EXIT_INTERRUPTED: Final = 130

SYSTEM: Final = "system"
"""The code of an error that the operating system or the network reported."""

AS_JSON: Final = "crdtstore.as_json"
"""Under this name the context knows whether errors are printed as JSON."""


class Entry(NamedTuple):
    """A sub-command: its module, and the first sentence of its help."""

    module: str
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "init": Entry("crdtstore.cli.init", "Create a store and its first API key."),
    "serve": Entry("crdtstore.cli.serve", "Serve a store over HTTP."),
    "write": Entry("crdtstore.cli.write", "Run commands (upsert, update, remove) as one transaction."),
    "find": Entry("crdtstore.cli.find", "Print the documents that a query matches."),
    "watch": Entry("crdtstore.cli.watch", "Print what a query finds on a server, as it changes."),
    "sql": Entry("crdtstore.cli.sql", "Run statements, or open a shell for them."),
    "count": Entry("crdtstore.cli.count", "Print how many documents a query matches."),
    "distinct": Entry("crdtstore.cli.distinct", "Print the different values that documents have at a path."),
    "index": Entry("crdtstore.cli.index", "Make, list and drop the indexes of a store."),
    "get": Entry("crdtstore.cli.get", "Print one document by its _id."),
    "import": Entry("crdtstore.cli.import_", "Write the documents of a JSON file to a collection."),
    "export": Entry("crdtstore.cli.export", "Print all documents of a collection as JSON Lines."),
    "stats": Entry("crdtstore.cli.stats", "Say what a store holds."),
    "sync": Entry("crdtstore.cli.sync", "Make a store and another one equal."),
    "peers": Entry("crdtstore.cli.peers", "Say which other stores a store met; release or forget one."),
    "trim": Entry("crdtstore.cli.trim", "Forget the oldest entries of a store's log."),
    "attachments": Entry("crdtstore.cli.attachments", "Put, get, list and collect the files of a store."),
    "images": Entry("crdtstore.cli.images", "Say which collections keep images of their changes."),
    "keys": Entry("crdtstore.cli.keys", "Manage the API keys of a store."),
    "permissions": Entry("crdtstore.cli.permissions", "Say what the rules of a key decide."),
    "accounts": Entry("crdtstore.cli.accounts", "Manage the accounts of a store: names with passwords."),
    "tokens": Entry("crdtstore.cli.tokens", "Make and show the keys that sign access tokens."),
    "verify": Entry("crdtstore.cli.verify", "Check every row of a store, without changing it."),
    "inspect": Entry("crdtstore.cli.inspect", "Show how documents, transactions and rows are stored."),
    "doctor": Entry("crdtstore.cli.doctor", "Say what is wrong around a store, and what to do."),
    "backup": Entry("crdtstore.cli.backup", "Make a backup of a store while others write to it."),
    "restore": Entry("crdtstore.cli.restore", "Make a store of a backup."),
    "compact": Entry("crdtstore.cli.compact", "Give the disk back what a store no longer uses."),
    "delta": Entry("crdtstore.cli.delta", "Carry what a store lacks to it in a file."),
    "query": Entry("crdtstore.cli.query", "Look at queries: what they mean, and how they are answered."),
    "sim": Entry("crdtstore.cli.sim", "Play deterministic worlds of stores under faults."),
}


class Commands(click.Group):
    """A group that imports its sub-commands late and ends their errors."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Name the sub-commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a sub-command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = import_module(entry.module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the sub-commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for `--json` before anything can fail."""
        ctx.meta[AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command and end its errors."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)  # closes the line in which the terminal shows ^C
            ctx.exit(EXIT_INTERRUPTED)
        except CrdtStoreError as error:
            fail(ctx, exit_code_of(error), error.code, error.message, error.data)
        except click.ClickException as error:
            if not ctx.meta[AS_JSON]:
                raise
            fail(ctx, error.exit_code, code_of(error), error.format_message(), {})
        except OSError as error:
            # Whoever read our output is gone: nobody is left to tell, and click ends it silently.
            if error.errno == errno.EPIPE:
                raise
            fail(ctx, EXIT_FAILED, SYSTEM, sentence(error), {"errno": error.errno})


def fail(ctx: click.Context, exit_code: int, code: str, message: str, data: Mapping[str, Any]) -> NoReturn:
    """Print an error and exit."""
    body = {"error": {"code": code, "message": message, "data": data}}
    click.echo(encode(body) if ctx.meta[AS_JSON] else f"Error: {message}", err=True)
    ctx.exit(exit_code)


def exit_code_of(error: CrdtStoreError) -> int:
    """Say who must act, by the exit code."""
    if isinstance(error, Divergence | Quarantined):
        return EXIT_DIVERGED
    if error.retryable:
        return EXIT_RETRY
    return EXIT_REFUSED if isinstance(error, CallerError) else EXIT_FAILED


def code_of(error: click.ClickException) -> str:
    """Name an error that click raised, or a command in click's words."""
    return "usage" if isinstance(error, click.UsageError) else SYSTEM


def sentence(error: OSError) -> str:
    """Say what the operating system or the network refused."""
    what = (error.strerror or str(error)).rstrip(".")
    return f"{error.filename}: {what}." if error.filename else f"{what}."


def encode(value: Any) -> bytes:
    """Write a value as JSON; what JSON does not have is written as its text."""
    return msgspec.json.encode(value, enc_hook=str)


@click.group(
    "crdtstore",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="crdtstore")
def crdtstore() -> None:
    """Keep JSON documents whose fields merge.

    A store is a directory. Work on it with --store DIR, or serve it and work on it with --url URL: the
    commands are the same. `crdtstore serve` makes a store and shows how to call it.

    Each command has an example in its help: crdtstore find -h.
    """
