"""Stores for tests of SELECT: random documents of few values, so that conditions hit and groups grow.

Rules: one seed gives one world. `plain` is a store without indexes, `indexed` the same documents with some.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final, NamedTuple

from crdtstore import Store
from crdtstore.command.command import Upsert

COLLECTION: Final = "things"
VALUES: Final[tuple[Any, ...]] = (
    *(None, False, True, 0, 1, 1.0, 2, -7, 2.5, 2**53 + 1),
    *("", "a", "ab", "ä", [], [1, "a"], [1.0, "a"], {"x": 1}, {"x": 1, "y": []}),
)
INDEXES: Final = ("a", "b", "o.x")


class World(NamedTuple):
    """Documents, in a store with indexes and in one without."""

    documents: list[dict[str, Any]]
    plain: Store
    indexed: Store


def make_documents(random: Random, count: int) -> list[dict[str, Any]]:
    """Some documents, with their `_id` first."""
    return [make_document(random, number) for number in range(count)]


def make_document(random: Random, number: int) -> dict[str, Any]:
    """One document; each field may be missing."""
    document: dict[str, Any] = {"_id": random.choice((number, f"id{number}", {"n": number}))}
    for name in ("a", "b", "c"):
        if random.random() < 0.8:
            document[name] = random.choice(VALUES)
    if random.random() < 0.7:
        document["o"] = {"x": random.choice(VALUES), "n": random.randrange(4)}
    document["n"] = random.randrange(-50, 50)
    return document


@contextmanager
def open_world(seed: int, count: int = 60) -> Iterator[World]:
    """A world."""
    documents = make_documents(Random(seed), count)
    with Store.in_memory() as plain, Store.in_memory() as indexed:
        for path in INDEXES:
            indexed.indexes.create(COLLECTION, [path], name=path)
        for store in (plain, indexed):
            store.write([Upsert(COLLECTION, document) for document in documents])
        yield World(documents, plain, indexed)


def rows(store: Store, text: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of a statement."""
    return store.execute(text, parameters).items
