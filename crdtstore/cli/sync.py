"""`crdtstore sync`: make a store and another one equal, once or without end.

Rules: the other one is a server's URL, or a directory that this process opens too. What was moved goes to standard
output; with `--follow` one line for each exchange that moved something. Then failures that may pass are told and
tried again, others end the command; of a divergence it is said what to do.

Not here: the exchange (`crdtstore/replication/`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from crdtstore.cli.options import Documented, json_option, with_settings
from crdtstore.errors import CrdtStoreError, Divergence, Quarantined
from crdtstore.settings import Layers

if TYPE_CHECKING:
    from crdtstore.replication.exchange import Options, Report
    from crdtstore.store import Store

ADVICE: Final = (
    "Nothing more is exchanged between the two. If one of them was damaged, or restored from a copy, make it anew and "
    "sync it with the other one; if both are right, release the peer on both sides: see crdtstore peers -h."
)
"""What an operator can do about two histories."""


@click.command(
    "sync",
    cls=Documented,
    example=(
        "crdtstore sync http://127.0.0.1:8080 --key-file key --store cities-data\n"
        "crdtstore sync /media/disk/cities-data --push --store cities-data"
    ),
)
@click.argument("peer")
@click.option("--pull", is_flag=True, help="Only take what PEER has.")
@click.option("--push", is_flag=True, help="Only give to PEER.")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C: what either writes is moved at once.")
@with_settings("store", "key", "key_file")
@json_option
def command(layers: Layers, *, peer: str, pull: bool, push: bool, follow: bool, as_json: bool) -> None:
    """Make a store and another one equal.

    PEER is the URL of a server, or the directory of a store that no server has open. Either takes what it lacks of
    the other; with --pull or --push only one of them does. What was moved stays when the command is interrupted, and
    the next one goes on from there.

    A store that --store names and that is not there yet is made: it becomes a copy of PEER.
    """
    from crdtstore.cli.target import WITHOUT_SERVER, directory_of, open_store
    from crdtstore.replication.exchange import Options

    if pull and push:
        raise click.UsageError("Only one of --pull and --push can be given; without either both are done.")
    if follow and not is_url(peer):
        raise click.UsageError("Only a server can be followed: one process at a time opens a directory.")
    options = Options(pull=not push, push=not pull)
    directory = directory_of(layers)
    with advising(), open_store(directory, writes=True, create=True, advice=WITHOUT_SERVER) as store:
        if follow:
            follow_server(store, peer, layers, options, as_json=as_json)
        else:
            tell(sync_once(store, peer, layers, options), as_json=as_json)


def is_url(peer: str) -> bool:
    """Whether a peer is a server."""
    return "://" in peer


@contextmanager
def advising() -> Iterator[None]:
    """Say of a divergence what to do."""
    try:
        yield
    except (Divergence, Quarantined) as error:
        error.message = f"{error.message} {ADVICE}"
        raise


def sync_once(store: Store, peer: str, layers: Layers, options: Options) -> Report:
    """Run one exchange."""
    from crdtstore.cli.target import WITHOUT_SERVER, client_of_peer, key_of, open_store
    from crdtstore.replication import local, remote

    if is_url(peer):
        with client_of_peer(peer, key_of(layers)) as client:
            return remote.sync(store, client.send, options)
    with open_store(peer, writes=options.push, advice=WITHOUT_SERVER) as other:
        return local.sync(store, other, options)


def tell(report: Report, *, as_json: bool) -> None:
    """Print what an exchange did."""
    from crdtstore.cli.output import print_json

    if as_json:
        print_json(report.as_dict())
    else:
        click.echo(sentence_of(report))


def sentence_of(report: Report) -> str:
    """Say what an exchange did."""
    from crdtstore.cli.output import counted, size_of

    moved = [
        f"pulled {counted(report.pulled, 'transaction')}" if report.pulled else "",
        f"joined {counted(report.joined, 'document')}" if report.joined else "",
        f"pushed {counted(report.pushed, 'transaction')}" if report.pushed else "",
    ]
    what = ", ".join(filter(None, moved)) or ("equal" if report.equal else "nothing to move")
    cost = f"{counted(report.requests, 'request')}, {size_of(report.sent)} out, {size_of(report.received)} in"
    return f"{what[0].upper()}{what[1:]}: {cost}."


class Printed:
    """A watcher that prints, and is done with the first failure that will not pass."""

    def __init__(self, peer: str, *, as_json: bool) -> None:
        """Watch a peer."""
        self.peer = peer
        self.as_json = as_json
        self.error: CrdtStoreError | None = None
        self.done = threading.Event()

    def moved(self, report: Report) -> None:
        """Something was moved."""
        tell(report, as_json=self.as_json)

    def failed(self, error: CrdtStoreError) -> None:
        """Something is the matter that was not before."""
        from crdtstore.cli.output import note

        if error.retryable:
            note(f"{error.message} Trying again.")
        else:
            self.error = error
            self.done.set()

    def well(self) -> None:
        """Both directions work, which they did not, or not yet."""
        from crdtstore.cli.output import note

        note(f"Following {self.peer}; Ctrl-C ends it.")


def follow_server(store: Store, peer: str, layers: Layers, options: Options, *, as_json: bool) -> None:
    """Follow a server until a signal comes."""
    from crdtstore.cli.target import client_of_peer, key_of
    from crdtstore.limits import FOLLOW_WAIT_SECONDS
    from crdtstore.replication.follow import PULL, PUSH, Follower, following

    watcher = Printed(peer, as_json=as_json)
    directions = [name for name, wanted in ((PULL, options.pull), (PUSH, options.push)) if wanted]
    connect = partial(client_of_peer, peer, key_of(layers), FOLLOW_WAIT_SECONDS)
    follower = Follower(store, connect, watcher, directions=directions)
    with interruptible(), following([follower]):
        watcher.done.wait()
    if watcher.error is not None:
        raise watcher.error


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the block, and nothing else."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(err=True)  # closes the line in which the terminal shows ^C
    finally:
        signal.signal(signal.SIGTERM, before)
