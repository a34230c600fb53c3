"""`crdtstore doctor`: what is wrong around a store, and what to do.

Rules: it runs where every other command would refuse: with settings that are wrong, and on a store that cannot be
opened. So it reads the settings itself and says what is wrong with them.

Not here: the checks (`doctor_machine`, `doctor_store`); whether rows are whole (`crdtstore verify`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from crdtstore.cli.options import STORE_DEFAULT, Documented, config_option, json_option, setting_option

if TYPE_CHECKING:
    from crdtstore.cli.doctor_machine import Check

EXIT_PROBLEM: Final = 1


@click.command("doctor", cls=Documented, example="crdtstore doctor --store cities-data")
@setting_option("store")
@config_option
@json_option
def command(*, store: str | None, config: str | None, as_json: bool) -> None:
    """Say what is wrong around a store, and what to do.

    It checks versions, settings, limits of the system, disk, file system, permissions, who has the store open, readers,
    the log and what keeps it from being trimmed, peers and the clock. Nothing is changed, and a server may have the
    store open. The exit code is 1 if there is a problem; notices are no problems.
    """
    from crdtstore.cli.doctor_machine import PROBLEM
    from crdtstore.cli.output import print_json

    found = list(checks(store, config))
    if as_json:
        print_json([check.as_dict() for check in found])
    else:
        show(found)
    if any(check.state == PROBLEM for check in found):
        click.get_current_context().exit(EXIT_PROBLEM)


def checks(store: str | None, config: str | None) -> Iterator[Check]:
    """All checks, the machine's first."""
    from crdtstore.cli import doctor_machine as machine
    from crdtstore.cli.doctor_store import check_store

    yield from machine.check_versions()
    yield from machine.check_settings(os.environ, config)
    yield from machine.check_limits()
    named = store or named_store(config)
    directory = Path(named or STORE_DEFAULT)
    if not (directory / "data.mdb").exists():
        state = machine.PROBLEM if named else machine.NOTICE
        yield machine.Check("store", state, f"{directory} holds no store", "Name one: --store DIR.")
        return
    yield from machine.check_place(directory)
    yield from check_store(directory)


def named_store(config: str | None) -> str | None:
    """The directory that the configuration file or the environment names; None where these cannot be read."""
    from crdtstore.errors import CallerError
    from crdtstore.settings import read_layers

    try:
        return read_layers({}, os.environ, config).get("store")
    except (CallerError, OSError):
        return None


def show(found: list[Check]) -> None:
    """Print one line for each check, and below it what to do."""
    from crdtstore.cli.output import counted

    width = max(len(check.name) for check in found)
    for check in found:
        click.echo(f"{check.state:7}  {check.name:{width}}  {check.found}")
        if check.advice:
            click.echo(f"{'':7}  {'':{width}}  -> {check.advice}")
    counts = Counter(check.state for check in found)
    problems, notices = counted(counts["problem"], "problem"), counted(counts["notice"], "notice")
    click.echo(f"\n{problems}, {notices}, {counted(counts['ok'], 'check')} without either.")
