"""What statements are run on: a store's directory, opened in this process, or a server.

Rules: a directory is opened to be read, so that reads work beside a running server, and anew for writes by the first
statement that changes something; from then on no other process can write. What fails leaves it open as it was. A server
answers with all rows at once, so that they are bounded.

Not here: how settings name a store or a server (`cli/target.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import inf
from typing import Any, Final, Protocol

import msgspec

from crdtstore.cli.shell.statements import writes
from crdtstore.cli.target import Remote, choose, directory_of, open_server, open_store, reaching
from crdtstore.client.blocking import SECONDS_DEFAULT
from crdtstore.crdt.value import Value
from crdtstore.errors import StoreReadOnly
from crdtstore.limits import STATEMENT_SECONDS_DEFAULT
from crdtstore.settings import Layers
from crdtstore.statement.answer import Executed
from crdtstore.statement.run import parse_kept
from crdtstore.store import Store

Parameters = Mapping[str, Value]
Row = dict[str, Any]

SAMPLE: Final = 1_000
"""Documents of a collection that are looked at to say which fields there are."""


class Database(Protocol):
    """What a shell needs."""

    @property
    def place(self) -> str:
        """The directory or the URL, as it was named."""

    def execute(self, text: str, parameters: Parameters) -> Executed:
        """Run a statement."""

    def execute_together(self, texts: Sequence[str], parameters: Parameters) -> tuple[Executed, ...]:
        """Run statements as one transaction."""

    def stream(self, text: str, parameters: Parameters) -> AbstractContextManager[Iterator[bytes]]:
        """The rows of a SELECT, as they are found."""


class Directory:
    """A store in a directory."""

    def __init__(self, place: str, *, read_only: bool = False, at: int | None = None) -> None:
        self.place = place
        self.read_only = read_only
        self.at = at
        self.store = open_store(place, writes=False)

    def execute(self, text: str, parameters: Parameters) -> Executed:
        """Run a statement, as `Store.execute`."""
        # What cannot be read must not ask for the directory: it would be refused for the wrong reason.
        parse_kept(text, "v5")
        return self.opened(writing=writes(text)).execute(text, parameters, at=self.at)

    def execute_together(self, texts: Sequence[str], parameters: Parameters) -> tuple[Executed, ...]:
        """Run statements as one transaction, as `Store.execute_together`."""
        return self.opened(writing=True).execute_together(texts, parameters)

    def stream(self, text: str, parameters: Parameters) -> AbstractContextManager[Iterator[bytes]]:
        """The rows of a SELECT, as `Store.stream`; whoever reads them slowly has all the time."""
        return self.store.stream(text, parameters, at=self.at, seconds=inf)

    def opened(self, *, writing: bool) -> Store:
        """The store, opened anew if that is needed for writing."""
        if writing and self.store.storage.read_only and not self.read_only:
            self.store.close()
            try:
                self.store = open_store(self.place, writes=True)
            except BaseException:
                self.store = open_store(self.place, writes=False)
                raise
        return self.store

    def close(self) -> None:
        """Let go of the directory."""
        self.store.close()


class Server:
    """A store behind a server."""

    def __init__(self, remote: Remote, *, read_only: bool = False, at: int | None = None) -> None:
        self.place = remote.place
        self.client = remote.client
        self.read_only = read_only
        self.at = at

    def execute(self, text: str, parameters: Parameters) -> Executed:
        """Run a statement, as `Client.execute`."""
        if self.read_only and writes(text):
            raise StoreReadOnly("This statement changes something, and --read-only was given.")
        with reaching(self.place):
            return self.client.execute(text, parameters, at=self.at)

    def execute_together(self, texts: Sequence[str], parameters: Parameters) -> tuple[Executed, ...]:
        """Run statements as one transaction, as `Client.execute_together`."""
        with reaching(self.place):
            return self.client.execute_together(texts, parameters)

    @contextmanager
    def stream(self, text: str, parameters: Parameters) -> Iterator[Iterator[bytes]]:
        """The rows of a SELECT, which come together."""
        yield iter(self.execute(text, parameters).rows_json)


@contextmanager
def open_database(layers: Layers, *, read_only: bool, at: int | None) -> Iterator[Database]:
    """Open what the settings name for statements; as `cli/target.py` does for commands."""
    if choose(layers, ("store", "url")) == "url":
        remote = open_server(layers, None, STATEMENT_SECONDS_DEFAULT + SECONDS_DEFAULT)
        try:
            yield Server(remote, read_only=read_only, at=at)
        finally:
            remote.close()
    else:
        directory = Directory(directory_of(layers), read_only=read_only, at=at)
        try:
            yield directory
        finally:
            directory.close()


# --- what every database can be asked ---


def collections(database: Database) -> dict[str, int]:
    """The collections, by name, and how many documents each has."""
    found = rows_of(database, "SELECT name, documents FROM system:collections ORDER BY name")
    return {row["name"]: row["documents"] for row in found}


def indexes(database: Database) -> list[Row]:
    """The indexes of all collections."""
    return rows_of(database, "SELECT * FROM system:indexes ORDER BY `collection`, _id")


def sample(database: Database, collection: str) -> list[Row]:
    """The first documents of a collection."""
    name = collection.replace("`", "``")
    return rows_of(database, f"SELECT * FROM `{name}` LIMIT {SAMPLE}")  # noqa: S608  it is quoted


def rows_of(database: Database, text: str) -> list[Row]:
    """The rows of a SELECT, decoded."""
    with database.stream(text, {}) as rows:
        return [msgspec.json.decode(row) for row in rows]
