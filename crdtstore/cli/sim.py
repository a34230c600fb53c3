"""`crdtstore sim`: play worlds of simulated stores and faults, or play one again and read what happened.

Rules: a run ends with exit code 1 when a promise was broken, and prints for each the one command that plays it again,
and a shrunk one. The replay of a broken world ends with 1 too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from crdtstore.cli.options import Documented, Family, json_option
from crdtstore.limits import WORLD_OPERATIONS_MAX, WORLD_STORES_MAX

if TYPE_CHECKING:
    from crdtstore.sim.parameters import Asked
    from crdtstore.sim.play import Outcome
    from crdtstore.sim.report import Summary

Advance: TypeAlias = Callable[["Summary"], None]

SHOWN_MAX: Final = 3
"""Broken worlds that are shrunk and shown; the others are counted."""

WORLD_OPTIONS: Final = (
    click.option("--stores", type=click.IntRange(1, WORLD_STORES_MAX), help="Stores of each world.  [default: drawn]"),
    click.option(
        "--operations",
        type=click.IntRange(1, WORLD_OPERATIONS_MAX),
        help="Operations written in each.  [default: drawn]",
    ),
    click.option("--loss", type=click.FloatRange(0, 0.9), help="Share of messages that are lost.  [default: drawn]"),
    click.option("--duplication", type=click.FloatRange(0, 1), help="Share that arrive twice.  [default: drawn]"),
    click.option("--reorder", type=click.FloatRange(0, 1), help="Share that are held up.  [default: drawn]"),
    click.option("--partitions", type=click.IntRange(0), help="Partitions in each world.  [default: drawn]"),
)


def with_world(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags that set what a seed would draw."""
    for option in reversed(WORLD_OPTIONS):
        function = option(function)
    return function


@click.group("sim", cls=Family, example="crdtstore sim run --worlds 100 --seed 1")
def command() -> None:
    """Play deterministic worlds of stores under faults.

    Networks, disks and clocks fail, processes die. One seed is one world: same seed, same events, same trace. What
    the stores must hold is worked out apart and compared.
    """


@command.command("run", cls=Documented, example="crdtstore sim run --worlds 100 --seed 1")
@click.option("--worlds", type=click.IntRange(1), default=100, show_default=True, help="How many worlds to play.")
@click.option("--seed", type=int, default=0, show_default=True, help="The first one's seed; the others follow.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default="one a processor",
    help="How many play.",
)
@with_world
@json_option
def run_command(*, worlds: int, seed: int, processes: int, as_json: bool, **asked: Any) -> None:
    """Play worlds, count what happened in them, and shrink those that broke a promise."""
    from crdtstore.cli.output import print_json
    from crdtstore.sim.parameters import Asked
    from crdtstore.sim.report import Summary, failure
    from crdtstore.sim.run import run
    from crdtstore.sim.shrink import shrink

    summary = Summary()
    with progress(worlds, quiet=as_json) as advance:
        for outcome in run(range(seed, seed + worlds), Asked(**asked), processes=min(processes, worlds)):
            summary.add(outcome)
            advance(summary)
    shown = summary.broken[:SHOWN_MAX]
    failures = [failure(outcome, shrink(outcome)) for outcome in shown]
    if as_json:
        print_json({**summary.as_dict(), "broken": len(summary.broken), "failures": failures})
    else:
        print_summary(summary, failures)
    if failures:
        sys.exit(1)


@command.command("replay", cls=Documented, example="crdtstore sim replay 7 --only 0-40,52")
@click.argument("seed", type=int)
@click.option("--only", metavar="NUMBERS", help="Play only these actions of the plan, such as 3,17-20.")
@click.option("--without", metavar="NUMBERS", help="Leave these actions out.")
@with_world
@json_option
def replay_command(*, seed: int, only: str | None, without: str | None, as_json: bool, **asked: Any) -> None:
    """Play one world and tell everything that happens in it, in order."""
    from crdtstore.sim.parameters import Asked
    from crdtstore.sim.play import play
    from crdtstore.sim.report import choose

    outcome = play(seed, Asked(**asked), choose(only, without), is_told=True)
    (print_told_json if as_json else print_told)(outcome, Asked(**asked))
    if outcome.violation is not None:
        sys.exit(1)


def print_told(outcome: Outcome, asked: Asked) -> None:
    """Tell a world line by line, and how it ended."""
    from crdtstore.sim.parameters import draw_parameters
    from crdtstore.sim.plan import make_plan
    from crdtstore.sim.report import tell

    for line in tell(outcome.told, make_plan(outcome.seed, draw_parameters(outcome.seed, asked))):
        click.echo(line)
    click.echo(f"{outcome.events:,} events, trace {outcome.trace}")
    if outcome.violation is not None:
        click.echo(f"Broken: {outcome.violation.promise}: {outcome.violation.what}", err=True)


def print_told_json(outcome: Outcome, _asked: Asked) -> None:
    """The same as JSON Lines; the last one says how it ended."""
    from crdtstore.cli.output import print_json

    for at, kind, values in outcome.told:
        print_json({"at": at, "kind": kind, "values": [repr(it) if isinstance(it, bytes) else it for it in values]})
    print_json(
        {
            "trace": outcome.trace,
            "events": outcome.events,
            "parameters": outcome.parameters._asdict(),
            "violation": None if outcome.violation is None else outcome.violation._asdict(),
        }
    )


def print_summary(summary: Summary, failures: list[dict[str, Any]]) -> None:
    """Print counts and broken promises."""
    facts = summary.as_dict()
    click.echo(f"{summary.worlds:,} worlds, {summary.events:,} events, {facts['injected']:,} faults injected")
    for title, counts in (("faults", facts["faults"]), ("what happened", facts["counts"])):
        click.echo(f"\n{title}")
        for kind, count in counts.items():
            click.echo(f"  {count:>12,}  {kind}")
    for each in failures:
        click.echo(f"\nBroken in world {each['seed']}: {each['promise']}: {each['what']}", err=True)
        click.echo(f"  {each['replay']}\n  {each['shrunk']}", err=True)
    if len(summary.broken) > len(failures):
        click.echo(f"\n{len(summary.broken) - len(failures)} more worlds broke a promise.", err=True)


@contextmanager
def progress(worlds: int, *, quiet: bool) -> Iterator[Advance]:
    """Show how far a run is, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("worlds"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[events]:,} events, {task.fields[broken]} broken"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("worlds", total=worlds, events=0, broken=0)
        yield lambda done: bar.update(task, completed=done.worlds, events=done.events, broken=len(done.broken))
