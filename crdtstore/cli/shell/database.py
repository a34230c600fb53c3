"""What statements are run on: a store's directory, opened in this process.

Rules: the directory is opened to be read, so that reads work beside a running server, and anew for writes by the first
statement that changes something; from then on no other process can write. What fails leaves it open as it was.

Not here: servers, which take no statements yet. One that does has the same methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from math import inf
from typing import Final, Protocol

from crdtstore.cli.shell.statements import writes
from crdtstore.cli.target import WITHOUT_SERVER, open_store
from crdtstore.crdt.value import Value
from crdtstore.indexes import IndexState
from crdtstore.statement.answer import Executed
from crdtstore.store import Store

Parameters = Mapping[str, Value]

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

    def collections(self) -> Mapping[str, int]:
        """The collections, and how many documents each has."""

    def indexes(self) -> Sequence[IndexState]:
        """The indexes of all collections."""

    def sample(self, collection: str) -> Sequence[Mapping[str, Value]]:
        """The fields of some documents."""


class Directory:
    """A store in a directory."""

    def __init__(self, place: str, *, read_only: bool = False, at: int | None = None) -> None:
        self.place = place
        self.read_only = read_only
        self.at = at
        self.store = open_store(place, writes=False)

    def execute(self, text: str, parameters: Parameters) -> Executed:
        """Run a statement, as `Store.execute`."""
        return self.opened(writing=writes(text)).execute(text, parameters, at=self.at)

    def execute_together(self, texts: Sequence[str], parameters: Parameters) -> tuple[Executed, ...]:
        """Run statements as one transaction, as `Store.execute_together`."""
        return self.opened(writing=True).execute_together(texts, parameters)

    def stream(self, text: str, parameters: Parameters) -> AbstractContextManager[Iterator[bytes]]:
        """The rows of a SELECT, as `Store.stream`; whoever reads them slowly has all the time."""
        return self.store.stream(text, parameters, at=self.at, seconds=inf)

    def collections(self) -> Mapping[str, int]:
        """The collections, by name."""
        return dict(sorted(self.store.stats().collections.items()))

    def indexes(self) -> Sequence[IndexState]:
        """The indexes, as `Store.indexes.list`."""
        return self.store.indexes.list()

    def sample(self, collection: str) -> Sequence[Mapping[str, Value]]:
        """The fields of the first documents, by their ids."""
        documents = islice(self.store.scan(collection), SAMPLE)
        return [{"_id": document.id, **document.fields} for document in documents]

    def opened(self, *, writing: bool) -> Store:
        """The store, opened anew if that is needed for writing."""
        if writing and self.store.storage.read_only and not self.read_only:
            self.store.close()
            try:
                self.store = open_store(self.place, writes=True, advice=WITHOUT_SERVER)
            except BaseException:
                self.store = open_store(self.place, writes=False)
                raise
        return self.store

    def close(self) -> None:
        """Let go of the directory."""
        self.store.close()


@contextmanager
def open_directory(place: str, *, read_only: bool, at: int | None) -> Iterator[Directory]:
    """Open a store's directory for statements."""
    directory = Directory(place, read_only=read_only, at=at)
    try:
        yield directory
    finally:
        directory.close()
