"""`crdtstore trim`: forget the oldest entries of a store's log; documents stay as they are.

Not here: how far a log may be trimmed (`crdtstore/replication/retention.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.settings import Layers, Settings, settle

if TYPE_CHECKING:
    from crdtstore.replication.retention import Policy
    from crdtstore.store import Store

DAY_SECONDS: Final = 86_400
NOBODY: Final = -1.0
"""A time after which every peer counts as gone."""


@click.command("trim", cls=Documented, example="crdtstore trim --log-keep-days 30 --store cities-data")
@click.option("--dry-run", is_flag=True, help="Only say what would be forgotten.")
@with_settings("store", "log_keep_days", "log_keep_transactions", "peer_gone_days")
@json_option
def command(layers: Layers, *, dry_run: bool, as_json: bool) -> None:
    """Forget the oldest entries of a store's log.

    Documents stay as they are. An entry is forgotten when it is older than --log-keep-days, or when
    --log-keep-transactions newer ones are there. Entries that a peer lacks are kept until it was away for
    --peer-gone-days; a peer that comes back later is given a snapshot instead.
    """
    from crdtstore.cli.output import counted, note, print_json
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store

    policy = policy_of(settle(layers))
    if policy is None:
        raise click.UsageError("Say what is kept: --log-keep-days, --log-keep-transactions or both.")
    with open_store(directory_of(layers), writes=not dry_run, advice=WITHOUT_SERVER) as store:
        until, waiting = forgettable(store, policy)
        oldest = store.stats().oldest
        forgotten = max(0, until + 1 - oldest) if dry_run else store.trim(until)
    if as_json:
        print_json({"forgotten": forgotten, "oldest": oldest + forgotten, "waiting_for_peers": waiting})
        return
    what = "Would forget" if dry_run else "Forgot"
    click.echo(f"{what} {counted(forgotten, 'transaction')}; the log then begins at {oldest + forgotten:,}.")
    if waiting:
        note(f"{counted(waiting, 'transaction')} more stay for peers that lack them: see crdtstore peers list.")


def policy_of(settings: Settings) -> Policy | None:
    """What the settings say about the log; None if it is not to be trimmed."""
    from crdtstore.replication.retention import Policy

    days = settings.log_keep_days
    if days is None and settings.log_keep_transactions is None:
        return None
    keep_seconds = None if days is None else days * DAY_SECONDS
    return Policy(keep_seconds, settings.log_keep_transactions, settings.peer_gone_days * DAY_SECONDS)


def forgettable(store: Store, policy: Policy) -> tuple[int, int]:
    """The last txn id that may be forgotten, and how many more could be, if no peer lacked them."""
    from crdtstore.replication.retention import trim_until

    with store.storage.snapshot() as snapshot:
        now = store.clock()
        until = trim_until(snapshot, policy, now)
        return until, trim_until(snapshot, policy._replace(gone_seconds=NOBODY), now) - until
