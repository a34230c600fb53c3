"""The options that commands share: the flags of settings, `--config` and `--json`.

Rules: a flag is made from the table of settings, so that its text and its default stand once. Its value
stays text here; it is converted where variables are, in `crdtstore/settings.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final, TypeAlias

import click

from crdtstore.errors import CallerError
from crdtstore.settings import CONFIG_DEFAULT, LIST, PREFIX, describe, flag, read_layers, variable

Function: TypeAlias = Callable[..., None]

STORE_DEFAULT: Final = "crdtstore-data"
"""The store's directory if no setting names one."""


class Documented(click.Command):
    """A command whose help ends with an example, shown as it is typed."""

    def __init__(self, *args: Any, example: str, **others: Any) -> None:
        super().__init__(*args, **others)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the example."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Family(Documented, click.Group):
    """A command that has commands of its own, listed in the order in which they are written."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the commands."""
        return list(self.commands)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")

arg_option = click.option(
    "--arg",
    "pairs",
    metavar="NAME=VALUE",
    multiple=True,
    help="What $args.NAME is in the query; VALUE is JSON or a text. Repeatable.",
)

at_option = click.option(
    "--at",
    metavar="TXN",
    type=click.IntRange(0),
    help="Read the version of this transaction: the newest, or one that the server retains.",
)

config_option = click.option(
    "--config",
    metavar="FILE",
    envvar=f"{PREFIX}CONFIG",
    help=f"Configuration file in TOML.  [default: {CONFIG_DEFAULT}, if it exists]",
)


def with_settings(*names: str) -> Callable[[Function], Function]:
    """Give a command the flags of some settings, and `--config`.

    The command is called with `layers`: what flags, environment and file say about all settings.
    """

    def decorate(function: Function) -> Function:
        @wraps(function)
        def run(**parameters: Any) -> None:
            flags = {name: parameters.pop(name) for name in names}
            config = parameters.pop("config")
            try:
                layers = read_layers(flags, os.environ, config)
            except CallerError as error:
                raise click.UsageError(error.message) from None
            function(layers=layers, **parameters)

        decorated: Function = config_option(run)
        for name in reversed(names):
            decorated = setting_option(name)(decorated)
        return decorated

    return decorate


def named_collections(_context: object, _parameter: object, value: str | None) -> tuple[str, ...] | None:
    """Read names of collections, separated by commas; None for all."""
    if value is None:
        return None
    names = tuple(value.split(","))
    if not all(names):
        raise click.BadParameter(f"names of collections stand between commas, without space; got {value!r}.")
    return names


collections_option = partial(click.option, "--collections", metavar="NAME,...", callback=named_collections)
"""Names of collections; takes the help's text."""


def setting_option(name: str) -> Callable[[Function], Function]:
    """Make the flag of a setting."""
    kind, default, text = describe()[name]
    shown = "repeatable; " if kind == LIST else f"default: {default}; " if default else ""
    help_text = f"{text}  [{shown}env: {variable(name)}]"
    if kind == "true or false":
        return click.option(flag(name), name, is_flag=True, help=help_text)
    return click.option(flag(name), name, metavar=METAVARS[name], multiple=kind == LIST, help=help_text)


METAVARS: Final = {
    "store": "DIR",
    "url": "URL",
    "key": "KEY",
    "key_file": "FILE",
    "app": "ID=DIR",
    "apps": "DIR",
    "listen": "HOST:PORT",
    "server": "builtin|uvicorn",
    "durability": "sync|wal|none",
    "log_level": "LEVEL",
    "key_requests_per_second": "N",
    "address_requests_per_second": "N",
    "tls_certificate_file": "FILE",
    "tls_key_file": "FILE",
    "host_names": "NAME,...",
    "token_keys_file": "FILE",
    "token_signing_key_file": "FILE",
    "token_issuer": "TEXT",
    "token_seconds_max": "SECONDS",
    "login_file": "FILE",
    "root_key_file": "FILE",
    "wait_seconds": "SECONDS",
    "error_form": "both|error|message",
    "retained_seconds": "SECONDS",
    "allow_origins": "ORIGIN",
    "peers": "URL",
    "peer_key_file": "FILE",
    "log_keep_days": "DAYS",
    "log_keep_transactions": "N",
    "peer_gone_days": "DAYS",
}
"""What a help text calls a flag's value."""


QUERY_LANGUAGES: Final = ("legacy", "rql", "platform")
"""Those that a collection can be searched in; the engine's are `query/language.py`, which `--help` does not load."""

language_option = click.option(
    "--language",
    type=click.Choice(QUERY_LANGUAGES),
    default="legacy",
    show_default=True,
    help="What the query is in; any other than legacy needs a directory.",
)


def chosen_language(language: str) -> dict[str, str]:
    """The language, where it is not the default one."""
    return {} if language == "legacy" else {"language": language}
