"""What a command works on: a store's directory, opened in this process, or a server's URL.

Rules: both have the same methods, so that a command does not know which it has. A directory is opened
read-only to read, so that reads work beside a running server. Where neither is named, the directory
STORE_DEFAULT is taken if it exists. Over HTTP, writes without an actor have one that is made from the
public half of the key: one author a key, whoever runs the command.

Not here: how settings are read (`options`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import click
import msgspec

from crdtstore.auth.key_form import FIXED_PART
from crdtstore.cli.exposed import warn_of_others
from crdtstore.cli.key_file import check_key, read_key_file
from crdtstore.cli.options import STORE_DEFAULT
from crdtstore.cli.output import note
from crdtstore.client.blocking import SECONDS_DEFAULT, Client
from crdtstore.client.exchange import PeerClient
from crdtstore.command.command import Command
from crdtstore.command.result import Written
from crdtstore.crdt.actor import parse_actor
from crdtstore.crdt.value import Value
from crdtstore.errors import CallerError, StoreLocked
from crdtstore.finding import Found
from crdtstore.limits import ACTOR_BYTES, FIND_LIMIT_DEFAULT
from crdtstore.query.find import Document
from crdtstore.settings import Layers, settle, strongest
from crdtstore.storage.stats import Stats
from crdtstore.store import Store

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

PAGE: Final = FIND_LIMIT_DEFAULT
"""Documents of one request where a whole collection is read."""


class Target(Protocol):
    """A store, here or behind a server."""

    @property
    def place(self) -> str:
        """The directory or the URL, as it was named."""

    def submit(self, commands: Sequence[Command]) -> Future[Written]:
        """Begin a transaction; the future is done once it is on disk."""

    def find(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None,
        limit: int,
        offset: int,
        txn: int | None,
        at: int | None = None,
        more: Mapping[str, Any] = NOTHING,
    ) -> Found:
        """Find documents, at least as new as `txn`, or `at` a version; `more` is what only a directory can be asked."""

    def get(self, collection: str, identifier: Value, *, at: int | None = None) -> Document | None:
        """Read one document, `at` a version or the newest."""

    def documents(self, collection: str) -> Iterator[Document]:
        """Read all documents of a collection, in the order of their ids."""

    def stats(self) -> Stats:
        """Say what the store holds."""


@dataclass(frozen=True, slots=True)
class Local:
    """A store that this process opened."""

    place: str
    store: Store
    actor: bytes | None

    def submit(self, commands: Sequence[Command]) -> Future[Written]:
        """Begin a transaction, as `Store.submit`."""
        return self.store.submit(commands, actor=self.actor)

    def find(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None,
        limit: int,
        offset: int,
        txn: int | None,
        at: int | None = None,
        more: Mapping[str, Any] = NOTHING,
    ) -> Found:
        """Find documents, as `Store.find`; a transaction that is not there yet is not waited for."""
        if txn is not None:
            self.store.wait(txn, 0)
        return self.store.find(collection, query, args=args, limit=limit, offset=offset, at=at, **more)

    def get(self, collection: str, identifier: Value, *, at: int | None = None) -> Document | None:
        """Read one document, as `Store.get`."""
        return self.store.get(collection, identifier, at=at)

    def documents(self, collection: str) -> Iterator[Document]:
        """Read a collection at one version."""
        return self.store.scan(collection)

    def stats(self) -> Stats:
        """Say what the store holds, as `Store.stats`."""
        return self.store.stats()


@dataclass(frozen=True, slots=True)
class Remote:
    """A server. Writes go out in a thread, one after the other; the next is prepared meanwhile."""

    place: str
    client: Client
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "crdtstore-client"))

    def submit(self, commands: Sequence[Command]) -> Future[Written]:
        """Begin a transaction."""
        return self.thread.submit(self.write, commands)

    def write(self, commands: Sequence[Command]) -> Written:
        """Run a transaction."""
        with reaching(self.place):
            return self.client.write([msgspec.to_builtins(command) for command in commands])

    def find(
        self,
        collection: str,
        query: str,
        *,
        args: Mapping[str, Value] | None,
        limit: int,
        offset: int,
        txn: int | None,
        at: int | None = None,
        more: Mapping[str, Any] = NOTHING,
    ) -> Found:
        """Find documents; the server waits for `txn`."""
        if more:
            options = ", ".join(f"--{name.removesuffix('s')}" for name in more)
            raise click.UsageError(f"{options}: only a store's directory can be asked so; give --store DIR.")
        with reaching(self.place):
            return self.client.find(collection, query, args=args, limit=limit, offset=offset, after=txn, at=at)

    def get(self, collection: str, identifier: Value, *, at: int | None = None) -> Document | None:
        """Read one document."""
        with reaching(self.place):
            return self.client.get(collection, identifier, at=at)

    def documents(self, collection: str) -> Iterator[Document]:
        """Read a collection page by page, and say so if it may have changed between two."""
        first = found = self.find(collection, "true", args=None, limit=PAGE, offset=0, txn=None)
        offset = 0
        while found.documents:
            yield from found.documents
            offset += len(found.documents)
            found = self.find(collection, "true", args=None, limit=PAGE, offset=offset, txn=None)
        if found.txn != first.txn:
            note(
                f"The store went from transaction {first.txn} to {found.txn} meanwhile: documents may be "
                "missing or doubled. With --store all are read at one version."
            )

    def stats(self) -> Stats:
        """Say what the store holds; the server tells only keys that may do everything."""
        with reaching(self.place):
            return self.client.stats()

    def close(self) -> None:
        """End the thread and the connection; writes that were not sent are not sent any more."""
        self.thread.shutdown(cancel_futures=True)
        self.client.close()


@contextmanager
def open_target(layers: Layers, *, writes: bool = False, actor: str | None = None) -> Iterator[Target]:
    """Open what the settings name.

    Args:
        layers: The settings.
        writes: Whether the command writes.
        actor: The author of its writes, in Base64.

    Raises:
        click.UsageError: The settings name no store or server, or both.
        MalformedClientId: `actor` is not the Base64 of 16 bytes.
    """
    author = None if actor is None else parse_actor(actor)
    if choose(layers, ("store", "url")) == "url":
        remote = open_server(layers, author)
        try:
            yield remote
        finally:
            remote.close()
    else:
        directory = directory_of(layers)
        with open_store(directory, writes=writes) as store:
            yield Local(directory, store, author)


def choose(layers: Layers, names: Sequence[str]) -> str | None:
    """Choose one of the settings that exclude each other, as `strongest`; two of them are wrong usage."""
    try:
        return strongest(layers, names)
    except CallerError as error:
        raise click.UsageError(error.message) from None


def directory_of(layers: Layers) -> str:
    """The store's directory."""
    named = settle(layers).store
    if named is None and not Path(STORE_DEFAULT).is_dir():
        raise click.UsageError(
            "Say where the store is: --store DIR, or --url URL with a key. "
            f"(Without either, the directory {STORE_DEFAULT} is used; there is none here.)"
        )
    return named or STORE_DEFAULT


THROUGH_SERVER: Final = "write through it: --url URL with a key"
WITHOUT_SERVER: Final = "stop it first"


def open_store(directory: str, *, writes: bool, create: bool = False, advice: str = THROUGH_SERVER) -> Store:
    """Open a store, which exists unless it may be made; `advice` is for the case that a server has it."""
    warn_of_others(directory)
    try:
        # A command ends soon: a log would take longer to make than it saves, and be left behind by one that is killed.
        return Store.open(directory, create=create, read_only=not writes, durability="sync")
    except StoreLocked as error:
        raise StoreLocked(f"{error.message} If that is a server, {advice}.", **error.data) from None


def open_server(layers: Layers, actor: bytes | None, seconds: float = SECONDS_DEFAULT) -> Remote:
    """Make a client of the server that the settings name; the network may be silent for so long."""
    url, key = str(settle(layers).url), key_of(layers)
    try:
        return Remote(url, Client(url, key, actor or actor_of(key), seconds=seconds))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def key_of(layers: Layers) -> str:
    """The API key that the settings name.

    Raises:
        click.UsageError: They name none, or two.
        MalformedRequest: It is none.
    """
    settings = settle(layers)
    chosen = choose(layers, ("key", "key_file"))
    if chosen is None:
        raise click.UsageError("A server asks for an API key: give --key-file FILE, --key KEY or CRDTSTORE_KEY.")
    if chosen == "key_file":
        return read_key_file(str(settings.key_file))
    return check_key(str(settings.key), "The setting key")


def client_of_peer(url: str, key: str, held_seconds: float = 0.0) -> PeerClient:
    """Make a client of another store's server, which may hold an answer for so long."""
    try:
        return PeerClient(url, key, seconds=SECONDS_DEFAULT + held_seconds)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def actor_of(key: str) -> bytes:
    """Make the author of writes that name none: the same one for a key wherever it is used."""
    public = key.partition(FIXED_PART)[0].encode()
    return hashlib.blake2b(public, digest_size=ACTOR_BYTES, person=b"crdtstore-cli").digest()


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Say in a sentence what the network did.

    Raises:
        ConnectionError: It failed.
    """
    try:
        yield
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConnectionError(f"The server {url} was not reached: {reason.rstrip('.')}.") from error
