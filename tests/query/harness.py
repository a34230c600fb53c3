"""Queries of all languages through a real store, beside the oracles: which documents they find, and in which order.

Rules: a store is loaded with the documents of a world, as a collection of its own; then many queries are run over it,
each over all of it: a query over so many documents is so many pairs. A mode says in what state the store is meanwhile.
One seed gives one sequence of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from crdtstore import Store
from crdtstore.command.command import Remove, Upsert
from crdtstore.limits import FIND_LIMIT_MAX
from crdtstore.query import platform, platform_tree, rql
from crdtstore.query.rql_tree import make_tree
from crdtstore.query.tree import Node
from tests.query.oracles import dql as dql_oracle
from tests.query.oracles import legacy as legacy_oracle
from tests.query.oracles import platform as platform_oracle
from tests.query.oracles import rql as rql_oracle
from tests.query.oracles.values import id_order, is_equal
from tests.query.worlds import dql, legacy
from tests.query.worlds import platform as objects
from tests.query.worlds import rql as things
from tests.query.worlds.documents import Document, World, binary_world, key_of, make_fields, plain_world

Mode: TypeAlias = Literal["plain", "writes"]
"""Nothing but the documents; or documents are written, removed and written anew between the queries."""

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
QUERIES: Final = 100
"""Queries of one world."""


class Language(NamedTuple):
    """How the queries of a language are made, run and judged."""

    name: str
    make_world: Callable[[Random], World]
    make_query: Callable[[World], Any]
    run: Callable[[Store, str, Any], list[Any]]
    judge: Callable[[Any, Document, frozenset[tuple[str, ...]]], bool]


def run(store: Store, collection: str, node: Node) -> list[Any]:
    """The ids of the documents that a tree finds, in the order in which they come."""
    return [found.id for found in store.find(collection, node, limit=FIND_LIMIT_MAX).documents]


def run_legacy(store: Store, collection: str, query: legacy.LegacyQuery) -> list[Any]:
    return [found.id for found in store.find(collection, query.text, args=query.args).documents]


def platform_node(text: str) -> Node:
    return platform_tree.make_tree(
        platform.parse(text).filter, lambda _function, ids: [one for id_ in ids for one in objects.RELATED[id_]]
    )


LANGUAGES: Final = {
    language.name: language
    for language in (
        Language(
            "legacy",
            binary_world,
            legacy.make_query,
            run_legacy,
            lambda query, document, rivals: legacy_oracle.Judge(document, rivals, query.args).holds(query.expression),
        ),
        Language(
            "rql",
            things.make_world,
            things.make_query,
            lambda store, collection, query: run(store, collection, make_tree(rql.parse(query.text), things.NOW)),
            lambda query, document, _rivals: rql_oracle.matches(query.query, document, things.TIMES),
        ),
        Language(
            "platform",
            objects.make_world,
            objects.make_query,
            lambda store, collection, query: run(store, collection, platform_node(query.text)),
            lambda query, document, _rivals: platform_oracle.matches(query.expression, document, objects.RELATED),
        ),
        Language(
            "dql",
            plain_world,
            dql.make_query,
            lambda store, collection, query: run(store, collection, query.node),
            lambda query, document, _rivals: dql_oracle.judge(query.expression, document) is True,
        ),
    )
}


@dataclass
class Scene:
    """A world in a store: what its documents are now."""

    store: Store
    collection: str
    world: World
    documents: dict[str, Document] = field(default_factory=dict)
    rivals: dict[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)

    def load(self) -> None:
        """Write the documents, and take in what another store wrote to them meanwhile."""
        self.store.write([self.upsert(document) for document in self.world.documents])
        if not self.world.rivals:
            return
        with Store.in_memory(clock=lambda: self.store.clock() + 1_000) as other:
            for document in self.world.documents:
                written = self.world.rivals.get(key_of(document["_id"]))
                if written:
                    other.write([Upsert(self.collection, written, id=document["_id"])])
                    self.documents[key_of(document["_id"])] |= written
                    self.rivals[key_of(document["_id"])] = frozenset((name,) for name in written)
            self.store.apply(entry.record for entry in other.changes())

    def upsert(self, document: Document) -> Upsert:
        """Say that a document is there, and how it is written."""
        self.documents[key_of(document["_id"])] = dict(document)
        fields = {name: value for name, value in document.items() if name != "_id"}
        return Upsert(self.collection, fields, id=document["_id"])

    def disturb(self) -> None:
        """Write to a document, remove one, or write it anew."""
        random = self.world.random
        document = random.choice(self.world.documents)
        key = key_of(document["_id"])
        if key in self.documents and random.random() < 0.5:
            self.remove(document["_id"])
        elif key in self.documents:
            self.write_over(document)
        else:
            fields = make_fields(random, self.world.values)
            self.store.write([self.upsert({**document, **fields})])

    def remove(self, id_: Any) -> None:
        """Remove all documents whose id equals this one: of dates, there may be two."""
        self.store.write([Remove(self.collection, "_id == $args.id", args={"id": id_})])
        for key, document in list(self.documents.items()):
            if is_equal(document["_id"], id_, dates=True):
                del self.documents[key]
                self.rivals.pop(key, None)

    def write_over(self, document: Document) -> None:
        """Replace what is no object by what is none."""
        key = key_of(document["_id"])
        flat = [name for name, value in self.documents[key].items() if not isinstance(value, dict) and name != "_id"]
        values = [value for value in self.world.values if not isinstance(value, dict)]
        written = {name: self.world.random.choice(values) for name in flat[:2]}
        self.store.write([Upsert(self.collection, written, id=document["_id"])])
        self.documents[key] |= written
        self.rivals[key] = frozenset(path for path in self.rivals.get(key, ()) if path[0] not in written)

    def expected(self, language: Language, query: Any) -> list[Any]:
        """The ids of what a query finds, in their order."""
        found = [
            document["_id"]
            for key, document in self.documents.items()
            if language.judge(query, document, self.rivals.get(key, frozenset()))
        ]
        return sorted(found, key=id_order)


class Answer(NamedTuple):
    """A query, what it found, and what it must find; over how many documents."""

    query: Any
    found: list[Any]
    expected: list[Any]
    documents: int

    @property
    def is_right(self) -> bool:
        """Whether the same ids were found in the same order."""
        return list(map(id_order, self.found)) == list(map(id_order, self.expected))


def scenes(language: Language, store: Store, seed: int) -> Iterator[Scene]:
    """Worlds in a store, one after the other."""
    for number in count():
        scene = Scene(
            store, f"{language.name}{number}", language.make_world(Random(f"{language.name} {seed} {number}"))
        )
        scene.load()
        yield scene


def answers(language: Language, store: Store, mode: Mode, seed: int) -> Iterator[Answer]:
    """Queries and their answers, without end."""
    for scene in scenes(language, store, seed):
        for _ in range(QUERIES):
            if mode == "writes":
                scene.disturb()
            query = language.make_query(scene.world)
            found = language.run(store, scene.collection, query)
            yield Answer(query, found, scene.expected(language, query), len(scene.documents))


def pairs(language: Language, store: Store, mode: Mode, seed: int, least: int) -> Iterator[Answer]:
    """Answers over at least so many pairs of a document and a query."""
    judged = 0
    for answer in answers(language, store, mode, seed):
        yield answer
        judged += answer.documents
        if judged >= least:
            return


def open_store(place: str, folder: Path) -> Store:
    """A store in memory or on disk."""
    return Store.in_memory() if place == "memory" else Store.open(folder / "store")
