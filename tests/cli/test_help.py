"""What the help says, how quickly, and that the pages say the same."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from crdtstore import __version__
from crdtstore.cli.group import COMMANDS
from tests.cli.documents import (
    ALL,
    COMMANDS_TYPED,
    DOCS,
    PAGES,
    documented,
    help_of,
    settings_table,
    with_help,
    with_settings,
)
from tests.cli.running import error_of, run

ROOT = Path(__file__).parents[2]


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS_TYPED)
def test_every_command_has_a_help_with_an_example(name: str) -> None:
    text = run(*name.split(), "-h").stdout
    assert text == run(*name.split(), "--help").stdout
    assert "\nExample:\n  " in text
    assert f"crdtstore {name} " in text.partition("Example:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_its_help_says(name: str) -> None:
    assert import_module(COMMANDS[name].module).command.help.splitlines()[0] == COMMANDS[name].summary


def test_the_list_has_every_command() -> None:
    listed = run("-h").stdout.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == list(COMMANDS)


def test_the_version_is_the_package_s() -> None:
    assert run("--version").stdout == f"crdtstore, version {__version__}\n"


def test_a_command_that_does_not_exist_is_wrong_usage() -> None:
    assert "No such command 'destroy'" in run("destroy", code=2).stderr
    assert error_of(run("destroy", "--json", code=2))["code"] == "usage"


def test_help_imports_no_command() -> None:
    done = python(
        "import sys\n"
        "from crdtstore.cli.main import main\n"
        "sys.argv = ['crdtstore', '--help']\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, sep='\\n')\n"
    )
    imported = set(done.stdout.splitlines())
    assert "crdtstore.cli.group" in imported
    late = {
        "crdtstore.cli.target",
        "crdtstore.cli.options",
        "crdtstore.http",
        "crdtstore.auth",
        "crdtstore.store",
        "rich",
        "uvicorn",
    }
    assert imported & late == set()


@pytest.mark.parametrize("missing", ["click", "httptools"])
def test_without_the_extra_a_sentence_says_so(missing: str) -> None:
    done = python(
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from crdtstore.cli.main import main\n"
        "sys.argv = ['crdtstore', 'serve', '--listen', '127.0.0.1:0']\n"
        "main()\n"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"The command line needs {missing}: pip install 'crdtstore[server]'.\n"


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crdtstore", "--version"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == f"crdtstore, version {__version__}\n"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_code_says(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert page == PAGES[name](page), "Write the page anew: python -m tests.cli.documents"


def test_every_command_and_setting_is_on_a_page() -> None:
    assert documented((DOCS / "cli.md").read_text(encoding="utf-8")) == ALL
    assert settings_table() in (DOCS / "settings.md").read_text(encoding="utf-8")


def test_a_page_that_differs_is_found() -> None:
    page = f"# x\n\n<!-- help get -->\n```text\n{help_of('get')}```\n\nMore.\n"
    assert with_help(page) == page
    assert with_help(page.replace("Usage", "Use")) == page
    table = f"# x\n\n{settings_table()}\nMore.\n"
    assert with_settings(table) == table
    assert with_settings(table.replace("| `listen`", "| `lisen`")) == table
