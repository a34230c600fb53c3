"""Queries of all languages through a real store, beside the oracles: which documents they find, and in which order.

Rules: a store is loaded with the documents of a world, as a collection of its own; then many queries are run over it,
each over all of it: a query over so many documents is so many pairs. A mode says in what state the store is meanwhile;
a way, what is asked of a query: what it finds in the order of ids, in another order, page by page, or how many that
is. One seed gives one sequence of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args
from unittest import mock

from crdtstore import Store
from crdtstore.command.command import Remove, Upsert
from crdtstore.indexes import Indexes
from crdtstore.query import platform, platform_tree, rql
from crdtstore.query.dql.condition import to_condition
from crdtstore.query.dql.evaluate import Context
from crdtstore.query.dql.statement_parser import parse_expression
from crdtstore.query.order import DQL_ORDER, LEGACY_ORDER, PLATFORM_ORDER, RQL_ORDER, Order, OrderKey
from crdtstore.query.rql_tree import make_tree
from crdtstore.query.tree import Node
from crdtstore.version.index_jobs import advance_index
from tests.query.oracles import dql as dql_oracle
from tests.query.oracles import legacy as legacy_oracle
from tests.query.oracles import platform as platform_oracle
from tests.query.oracles import rql as rql_oracle
from tests.query.oracles.order import OrderOracle, in_order
from tests.query.oracles.values import id_order, is_equal
from tests.query.worlds import dql, legacy
from tests.query.worlds import platform as objects
from tests.query.worlds import rql as things
from tests.query.worlds.documents import DOCUMENTS, Document, World, binary_world, key_of, make_fields, plain_world

Mode: TypeAlias = Literal["plain", "writes", "indexed", "building"]
"""Nothing but the documents; documents are written, removed and written anew between the queries; the same with
indexes that are ready; or with indexes that are built, piece by piece, and dropped meanwhile."""

Way: TypeAlias = Literal["found", "ordered", "paged", "counted"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
WAYS: Final[tuple[Way, ...]] = get_args(Way)
QUERIES: Final = 40
"""Queries of one world."""

PIECES: Final = 4
"""Pieces of indexes that are built or dropped before a query."""

Paths: TypeAlias = tuple[tuple[str, ...], ...]

PATHS: Final[Paths] = (("a",), ("b",), ("c", "d"), ("l",), ("o", "k"), ("none",))
"""What is indexed, and what orders are by; `_id` too."""


class Asked(NamedTuple):
    """What a store is asked: a text with its arguments, or a tree."""

    query: str | Node
    args: dict[str, Any] | None = None


class Language(NamedTuple):
    """How the queries of a language are made, run and judged, and how it orders."""

    name: str
    make_world: Callable[[Random], World]
    make_query: Callable[[World], Any]
    ask: Callable[[Any], Asked]
    judge: Callable[[Any, Document, frozenset[tuple[str, ...]]], bool]
    ranks: bytes
    order: OrderOracle
    paths: Paths = PATHS


def platform_node(text: str) -> Node:
    """The tree of a query of the platform."""
    return platform_tree.make_tree(
        platform.parse(text).filter, lambda _function, ids: [one for id_ in ids for one in objects.RELATED[id_]]
    )


def dql_node(text: str, parameters: dict[str, Any]) -> Node:
    """The tree of a condition of the statement language, which can say all that the worlds ask."""
    node = to_condition(parse_expression(text), Context(parameters))
    assert node is not None, text
    return node


LANGUAGES: Final = {
    language.name: language
    for language in (
        Language(
            "legacy",
            binary_world,
            legacy.make_query,
            lambda query: Asked(query.text, query.args),
            lambda query, document, rivals: legacy_oracle.Judge(document, rivals, query.args).holds(query.expression),
            LEGACY_ORDER,
            OrderOracle("missing", "null", "boolean", "number", "string", "binary", "array", "object"),
        ),
        Language(
            "rql",
            things.make_world,
            things.make_query,
            lambda query: Asked(make_tree(rql.parse(query.text), things.NOW)),
            lambda query, document, _rivals: rql_oracle.matches(query.query, document, things.TIMES),
            RQL_ORDER,
            OrderOracle("missing null", "number", "string", "object", "array", "boolean"),
            (*(("attributes", *path) for path in PATHS), ("_modified",), ("features", "lamp", "properties", "a")),
        ),
        Language(
            "platform",
            objects.make_world,
            objects.make_query,
            lambda query: Asked(platform_node(query.text)),
            lambda query, document, _rivals: platform_oracle.matches(query.expression, document, objects.RELATED),
            PLATFORM_ORDER,
            OrderOracle("missing null", "number", "string", "boolean", "array", "object"),
            (*PATHS, ("lastUpdated",), ("type",)),
        ),
        Language(
            "dql",
            plain_world,
            dql.make_query,
            lambda query: Asked(dql_node(query.text, query.parameters)),
            lambda query, document, _rivals: dql_oracle.judge(query.expression, document) is True,
            DQL_ORDER,
            OrderOracle("boolean", "number", "string", "array", "object", "null", "missing"),
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

    def expected(self, language: Language, query: Any) -> list[Document]:
        """The documents that a query finds, in the order of their ids."""
        found = [
            document
            for key, document in self.documents.items()
            if language.judge(query, document, self.rivals.get(key, frozenset()))
        ]
        return sorted(found, key=lambda document: id_order(document["_id"]))

    # --- indexes ---

    def create_indexes(self, paths: Paths, *, wait: bool) -> None:
        """Make indexes of single paths, of several together, and one of conflicts; or begin to."""
        pairs = [(one, other) for one, other in pairwise(paths) if len(one) % 2]
        for several in (*[(path,) for path in paths], *pairs):
            Indexes(self.store).create(self.collection, several, wait=wait)
        Indexes(self.store).create(self.collection, kind="conflicts", wait=wait)

    def begin_indexes(self, paths: Paths) -> None:
        """Begin to make them, without the thread that would finish them."""
        with mock.patch.object(Indexes, "start"):
            self.create_indexes(paths, wait=False)

    def go_on(self) -> None:
        """Build or drop a piece of an index; once all are ready, drop one and make it anew."""
        indexes, random = Indexes(self.store), self.world.random
        unfinished = [state for state in indexes.list(self.collection) if state.state != "ready"]
        if unfinished:
            self.store.run(partial(advance_index, number=random.choice(unfinished).number))
            return
        state = random.choice(indexes.list(self.collection))
        with mock.patch.object(Indexes, "start"):
            indexes.drop(state.name, collection=self.collection, wait=False)
            indexes.create(self.collection, state.paths, kind=state.kind, wait=False)


class Answer(NamedTuple):
    """A query, what was asked of it, what came and what must come; over how many documents, and how it was found."""

    query: Any
    way: Way
    found: list[Any]
    expected: list[Any]
    documents: int
    access: str

    @property
    def is_right(self) -> bool:
        """Whether the same ids were found in the same order, or as many."""
        return list(map(id_order, self.found)) == list(map(id_order, self.expected))


def scenes(language: Language, store: Store, mode: Mode, seed: int) -> Iterator[Scene]:
    """Worlds in a store, one after the other."""
    for number in count():
        scene = Scene(
            store, f"{language.name}{number}", language.make_world(Random(f"{language.name} {seed} {number}"))
        )
        scene.load()
        if mode == "indexed":
            scene.create_indexes(language.paths, wait=True)
        if mode == "building":
            scene.begin_indexes(language.paths)
        yield scene


def answers(language: Language, store: Store, mode: Mode, seed: int) -> Iterator[Answer]:
    """Queries and their answers, without end."""
    for scene in scenes(language, store, mode, seed):
        for _ in range(QUERIES):
            for _ in range(PIECES if mode == "building" else 0):
                scene.go_on()
            if mode == "writes" or (mode != "plain" and scene.world.random.random() < 0.3):
                scene.disturb()
            yield answer(language, scene, language.make_query(scene.world))


def answer(language: Language, scene: Scene, query: Any) -> Answer:
    """Ask a query in one of the ways."""
    random, asked = scene.world.random, language.ask(query)
    way: Way = random.choice(WAYS)
    expected = scene.expected(language, query)
    find = partial(scene.store.find, scene.collection, asked.query, args=asked.args)
    access = scene.store.explain(scene.collection, asked.query, args=asked.args, run=False)["access"]
    if way == "counted":
        counted = scene.store.count(scene.collection, asked.query, args=asked.args).count
        return Answer(query, way, [counted], [len(expected)], len(scene.documents), access)
    keys: list[OrderKey] = []
    if way != "found" and random.random() < 0.8:
        paths = random.sample((*language.paths, ("_id",)), random.randrange(1, 3))
        keys = [OrderKey(path, random.random() < 0.5) for path in paths]
    find = partial(find, order=Order(tuple(keys), language.ranks))
    if way == "paged":
        found = (pages if random.random() < 0.6 else offsets)(find, random.randrange(1, 12))
    else:
        found = [one.id for one in find().documents]
    wanted = in_order(language.order, [(key.path, key.descending) for key in keys], expected)
    return Answer(query, way, found, [document["_id"] for document in wanted], len(scene.documents), access)


def pages(find: Callable[..., Any], size: int) -> list[Any]:
    """What all pages of a find hold, one after the other, each asked for by the cursor of the one before."""
    ids: list[Any] = []
    cursor = None
    while True:
        page = find(limit=size, cursor=cursor)
        ids += [one.id for one in page.documents]
        cursor = page.cursor
        if cursor is None or len(ids) > 10 * DOCUMENTS:
            return ids


def offsets(find: Callable[..., Any], size: int) -> list[Any]:
    """The same, each page asked for by how many documents are before it."""
    ids: list[Any] = []
    while True:
        page = [one.id for one in find(limit=size, offset=len(ids)).documents]
        ids += page
        if len(page) < size or len(ids) > 10 * DOCUMENTS:
            return ids


def pairs(language: Language, store: Store, mode: Mode, seed: int, least: int) -> Iterator[Answer]:
    """Answers over at least so many pairs of a document and a query."""
    judged = 0
    for one in answers(language, store, mode, seed):
        yield one
        judged += one.documents
        if judged >= least:
            return


def open_store(place: str, folder: Path) -> Store:
    """A store in memory or on disk."""
    return Store.in_memory() if place == "memory" else Store.open(folder / "store")
