"""The options that commands share: the flags of settings, `--config` and `--json`.

Rules: a flag is made from the table of settings, so that its text and its default stand once. Its value
stays text here; it is converted where variables are, in `crdtstore/settings.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeAlias

import click

from crdtstore.errors import CallerError
from crdtstore.settings import CONFIG_DEFAULT, PREFIX, describe, flag, read_layers, variable

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


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")

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


def setting_option(name: str) -> Callable[[Function], Function]:
    """Make the flag of a setting."""
    kind, default, text = describe()[name]
    shown = f"default: {default}; " if default else ""
    help_text = f"{text}  [{shown}env: {variable(name)}]"
    if kind == "true or false":
        return click.option(flag(name), name, is_flag=True, help=help_text)
    return click.option(flag(name), name, metavar=METAVARS[name], help=help_text)


METAVARS: Final = {
    "store": "DIR",
    "url": "URL",
    "key": "KEY",
    "key_file": "FILE",
    "listen": "HOST:PORT",
    "durability": "sync|none",
    "log_level": "LEVEL",
    "host_names": "NAME,...",
    "root_key_file": "FILE",
    "wait_seconds": "SECONDS",
}
"""What a help text calls a flag's value."""
