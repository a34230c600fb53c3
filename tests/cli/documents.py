"""The parts of pages that come from the code: help texts in `docs/cli.md`, the table in `docs/settings.md`.

Rules: such a part is a fenced block or a table after its marker, a comment line such as `<!-- help find -->`.
`python -m tests.cli.documents`, in the project's root, writes all of them anew, new commands at the end.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import click
from click.testing import CliRunner

from crdtstore.cli.group import COMMANDS, crdtstore
from crdtstore.settings import describe, flag, variable

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 100

BLOCK = re.compile(r"^<!-- help ([\w -]+) -->\n```text\n.*?^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"^<!-- settings -->\n(?:\|.*\n)*", re.MULTILINE)


def help_of(name: str) -> str:
    """The help text of a sub-command; of the command itself by its own name."""
    arguments = ["-h"] if name == "crdtstore" else [*name.split(), "-h"]
    result = CliRunner().invoke(crdtstore, arguments, prog_name="crdtstore", terminal_width=WIDTH)
    return result.stdout


def block_of(name: str) -> str:
    """The marker and the block of a help text."""
    return f"<!-- help {name} -->\n```text\n{help_of(name)}```"


def lower(name: str) -> list[str]:
    """The commands that a command has of its own, as they are typed."""
    command = import_module(COMMANDS[name].module).command
    return [f"{name} {below}" for below in command.commands] if isinstance(command, click.Group) else []


def settings_table() -> str:
    """The marker and the table of the settings."""
    rows = [
        ("name", "flag", "variable", "takes", "default", "what it does"),
        ("---",) * 6,
        *(
            (f"`{name}`", f"`{flag(name)}`", f"`{variable(name)}`", kind, shown(default), text)
            for name, (kind, default, text) in describe().items()
        ),
    ]
    return "<!-- settings -->\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def shown(default: object) -> str:
    """Write a default as the configuration file has it."""
    if default in (None, ()):
        return ""
    return f"`{str(default).lower()}`"


def with_help(page: str) -> str:
    """Write the help texts of a page anew."""
    return BLOCK.sub(lambda block: block_of(block[1]), page)


def with_settings(page: str) -> str:
    """Write the table of settings of a page anew."""
    return TABLE.sub(lambda _: settings_table(), page)


def documented(page: str) -> list[str]:
    """Name the commands whose help a page shows."""
    return BLOCK.findall(page)


def with_all_commands(page: str) -> str:
    """Write the help texts of all commands, in their order, behind what stands before the first."""
    return page[: page.index("<!-- help ")] + "\n".join(f"{block_of(name)}\n" for name in ALL)


PAGES = {"cli.md": with_help, "settings.md": with_settings}
COMMANDS_TYPED = [typed for name in COMMANDS for typed in (name, *lower(name))]
"""All commands as they are typed, each before those of its own."""

ALL = ["crdtstore", *COMMANDS_TYPED]

if __name__ == "__main__":
    for name, anew in PAGES.items():
        path = DOCS / name
        page = anew(path.read_text(encoding="utf-8"))
        path.write_text(with_all_commands(page) if anew is with_help else page, encoding="utf-8")
