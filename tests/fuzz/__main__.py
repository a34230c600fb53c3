"""`python -m tests.fuzz`: run targets for a count or a time; what fails is made smaller and kept.

    python -m tests.fuzz --list
    python -m tests.fuzz frame-body record-head --count 1000000
    python -m tests.fuzz --seconds 600 --seed 7
    python -m tests.fuzz --atheris frame-body -- -max_total_time=60

The last one hands the target to atheris (libFuzzer), which must be installed; what stands behind `--` is for it.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from tests.fuzz.corpus import keep, kept, shrink
from tests.fuzz.engine import Target, execute, run
from tests.fuzz.targets import TARGETS


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="List the targets and end.")
@click.option("--count", type=int, help="Cases of each target; without it those of the normal run.")
@click.option("--seconds", type=float, help="Run each target for so long instead.")
@click.option("--seed", type=int, default=0, help="Other cases for another number.")
@click.option("--keep/--no-keep", "keeps", default=True, help="Whether what fails is written into the corpus.")
@click.option("--atheris", help="Hand this target to atheris; the arguments are for libFuzzer.")
def main(
    names: tuple[str, ...],
    *,
    listed: bool,
    count: int | None,
    seconds: float | None,
    seed: int,
    keeps: bool,
    atheris: str | None,
) -> None:
    """Run fuzz targets, all of them or those that are named."""
    if listed:
        for target in TARGETS.values():
            click.echo(f"{target.name:20} {target.cases:>8} cases, {len(kept(target))} kept")
        return
    if atheris is not None:
        guided(named(atheris), names)
        return
    chosen = [named(name) for name in names] or list(TARGETS.values())
    found = [fuzz(target, count or target.cases, seed, seconds, keeps=keeps) for target in chosen]
    sys.exit(1 if any(found) else 0)


def named(name: str) -> Target:
    """The target of a name."""
    if name not in TARGETS:
        raise click.BadParameter(f"There is no target {name}; see --list.")
    return TARGETS[name]


def fuzz(target: Target, count: int, seed: int, seconds: float | None, *, keeps: bool) -> bool:
    """Run a target and tell what came of it; whether something was found."""
    done = run(target, count, seed, seconds)
    click.echo(f"{target.name:20} {done.executions:>9} cases, {done.taken} taken")
    if done.finding is None:
        return False
    finding = shrink(target, done.finding)
    click.echo(f"  {finding.what}\n  {finding.data!r:.400}")
    if keeps:
        click.echo(f"  kept as {keep(finding)}")
    return True


def guided(target: Target, arguments: tuple[str, ...]) -> None:
    """Let atheris make the cases, from the same seeds; it ends the process."""
    # By its name: it is no dependency, and only this asks for it.
    atheris: Any = import_module("atheris")

    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate([*target.seeds(), *kept(target).values()]):
            Path(folder, str(number)).write_bytes(data)
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *arguments, folder], lambda data: None if execute(target, bytes(data)) else -1)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
