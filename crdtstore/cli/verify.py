"""`crdtstore verify`: every row of a store checked, without changing it.

Not here: what is checked (`crdtstore/storage/verify.py`), replaying the log (`crdtstore/version/replay.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.storage.verify_finding import Finding, Progress

EXIT_FOUND: Final = 1
PASSES: Final = 2
"""How often the file's bytes are read, about: once as pages, once as rows."""


@dataclass(slots=True)
class Checked:
    """What was checked of one table, and how long it took."""

    what: str
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0


class Tally:
    """Sums up what was checked; a thing's time ends when the next one begins."""

    def __init__(self) -> None:
        self.checked: dict[str, Checked] = {}
        self.since = time.monotonic()

    def take(self, what: str, rows: int, size: int) -> None:
        """Count rows and bytes."""
        now = time.monotonic()
        checked = self.checked.setdefault(what, Checked(what))
        checked.rows += rows
        checked.bytes += size
        checked.seconds += now - self.since
        self.since = now


@click.command("verify", cls=Documented, example="crdtstore verify --store cities-data")
@click.option("--replay", is_flag=True, help="Also apply the whole log to an empty store in memory, and compare.")
@with_settings("store")
@json_option
def command(layers: Layers, *, replay: bool, as_json: bool) -> None:
    """Check every row of a store, without changing it.

    Pages, seals, keys, document bytes, counts, digests, range sums, the log and its chains are read in one snapshot,
    also while a server has the store open. The exit code is 1 if something is wrong; each finding says who must act.
    """
    from crdtstore.cli.output import note, print_json
    from crdtstore.cli.target import directory_of

    directory = directory_of(layers)
    tally = Tally()
    with shown(directory, tally, quiet=as_json) as progress:
        found = list(findings(directory, progress))
        skipped = None
        if replay:
            more, skipped = replayed(directory, progress) if not found else ([], "something else was found first")
            found += more
    if as_json:
        checked = [asdict(each) for each in tally.checked.values()]
        print_json({"checked": checked, "findings": [each.as_dict() for each in found], "not_replayed": skipped})
    else:
        show(tally, found)
        if skipped:
            note(f"The log was not replayed: {skipped}.")
    if found:
        click.get_current_context().exit(EXIT_FOUND)


def findings(directory: str, progress: Progress) -> Iterator[Finding]:
    """What is wrong with a store."""
    from crdtstore.storage.verify import verify

    yield from verify(directory, progress)


def replayed(directory: str, progress: Progress) -> tuple[list[Finding], str | None]:
    """What replaying the log finds, or why it cannot be replayed."""
    from crdtstore.storage.environment import open_storage
    from crdtstore.version.replay import replay, why_not

    with open_storage(directory, create=False, read_only=True) as storage, storage.snapshot() as snapshot:
        reason = why_not(snapshot)
        return ([], reason) if reason else (list(replay(snapshot, progress)), None)


@contextmanager
def shown(directory: str, tally: Tally, *, quiet: bool) -> Iterator[Progress]:
    """Count what is checked, and show how far it is."""
    from crdtstore.cli.progress import progress
    from crdtstore.storage.environment import DATA_NAME

    data = Path(directory, DATA_NAME)
    total = PASSES * data.stat().st_size if data.exists() else None
    with progress("verify", total_bytes=total, quiet=quiet, noun="rows") as advance:

        def take(what: str, rows: int, size: int) -> None:
            tally.take(what, rows, size)
            advance(rows, size)

        yield take


def show(tally: Tally, found: list[Finding]) -> None:
    """Print what was checked, then what is wrong."""
    from crdtstore.cli.output import counted, size_of

    width = max(map(len, tally.checked), default=0)
    for checked in tally.checked.values():
        rows = counted(checked.rows, "row") if checked.rows else ""
        click.echo(f"{checked.what:{width}}  {rows:>16}  {checked.seconds:8.2f} s  {size_of(checked.bytes)}")
    for finding in found:
        place = f" {finding.table}" + (f" {finding.key.hex()}" if finding.key else "") if finding.table else ""
        click.echo(f"\n[{finding.code}]{place}\n  {finding.message}\n  {finding.action}")
    click.echo("\nNothing is wrong." if not found else f"\n{counted(len(found), 'finding')}.")
