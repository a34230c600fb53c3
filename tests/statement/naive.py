"""The naive interpreter of statements: worlds are dicts, and nothing is fast.

Written from the language's description and docs/query-dql-values.md, it shares no code with the engine. Programs are
the dataclasses here and in `naive_select`, expressions the tuples of `naive_expressions`.

Rules: a statement either changes a world, or raises Refused and leaves it as it was. What engines may choose is said in
the answer: rows of one rank in any order, and of equal documents any.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from crdtstore.query.tree import MISSING
from tests.query.oracles.values import at, id_order, is_equal, kind_of
from tests.statement.naive_answers import difference, exactly
from tests.statement.naive_checks import check_select
from tests.statement.naive_documents import NEVER, Node, Time
from tests.statement.naive_expressions import Expression, Refused, Row, Scope, evaluate, is_true
from tests.statement.naive_select import Projection, Ranked, Select, SortKey, Source, identity, one_source, select

Keys: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Insert:
    """INSERT: of expressions, or of the rows of a SELECT."""

    source: Source
    documents: tuple[Expression, ...] = ()
    select: Select | None = None
    initial: bool = False
    policy: Literal["fail", "nothing", "update", "update_local_diff"] = "fail"
    returning: tuple[Projection, ...] = ()


@dataclass(frozen=True)
class Update:
    """UPDATE: `apply` is (path, "increment" | "restart", expression | None)."""

    source: Source
    apply: tuple[tuple[Keys, str, Expression | None], ...] = ()
    set: tuple[tuple[Keys, Expression], ...] = ()
    unset: tuple[Keys, ...] = ()
    where: Expression | None = None
    returning: tuple[Projection, ...] = ()


@dataclass(frozen=True)
class Delete:
    """DELETE, or TOMBSTONE, which uses up the ids."""

    source: Source
    buries: bool = False
    where: Expression | None = None
    order: tuple[SortKey, ...] = ()
    limit: Expression | None = None
    offset: Expression | None = None
    returning: tuple[Projection, ...] = ()


Statement: TypeAlias = Select | Insert | Update | Delete


@dataclass
class Stored:
    """A document: its id and what was written to it."""

    id: Any
    node: Node = field(default_factory=Node)
    seen: Row | None = None

    @cached_property
    def order(self) -> Any:
        """What documents are sorted by."""
        return id_order(self.id)

    def copy(self) -> Stored:
        """The same, to be written to."""
        return Stored(self.id, self.node.copy())

    def document(self) -> Row:
        """What a reader sees of it."""
        if self.seen is None:
            self.seen = {"_id": self.id, **self.node.fields()}
        return self.seen


@dataclass
class World:
    """Collections of documents, the paths of their indexes that serve, and how many statements there were."""

    collections: dict[str, dict[Hashable, Stored]] = field(default_factory=dict)
    indexed: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    buried: dict[str, frozenset[Hashable]] = field(default_factory=dict)
    statements: int = 0

    def documents(self, collection: str) -> list[Row]:
        """The documents of a collection, in the order of their ids."""
        found = sorted(self.collections.get(collection, {}).values(), key=lambda stored: stored.order)
        return [stored.document() for stored in found]

    def read(self, source: Source, scope: Scope) -> list[Row]:
        """The documents of a source."""
        if source.ids is None:
            return self.documents(source.collection)
        if source.ids[:1] == ("list",):
            wanted = evaluate(("parameter", source.ids[1]), {}, scope)
        else:
            wanted = [evaluate(each, {}, scope) for each in source.ids]
        return [
            document
            for document in self.documents(source.collection)
            if any(is_equal(document["_id"], each, dates=False) for each in wanted)
        ]


@dataclass(frozen=True)
class Answer:
    """What a statement gives: rows, and of a writing one the ids."""

    rows: Ranked
    ids: tuple[Any, ...] = ()


ID_KINDS = ("string", "number", "object", "boolean")
NOTHING = Ranked([], [], 0, 0)


def execute(world: World, statement: Statement, parameters: Row, chosen: tuple[Any, ...] | None = None) -> Answer:
    """Run a statement.

    Args:
        world: What it reads and changes.
        statement: The program.
        parameters: Values by name.
        chosen: The ids that an engine changed, where it may choose among documents of one rank.
    """
    scope = Scope(parameters)
    if isinstance(statement, Select):
        check_select(statement, world.indexed)
        sources = [statement.source, *[join.source for join in statement.joins]]
        return Answer(select(statement, [world.read(source, scope) for source in sources], parameters))
    world.statements += 1
    before = copy.copy(world.collections.get(statement.source.collection, {}))
    try:
        ids, documents = written(world, statement, scope, chosen)
        answer = Answer(returned(statement, documents, parameters), tuple(ids))
    except Refused:
        world.collections[statement.source.collection] = before
        raise
    if isinstance(statement, Delete) and statement.buries:
        bury(world, statement.source.collection, ids)
    return answer


def written(
    world: World, statement: Insert | Update | Delete, scope: Scope, chosen: tuple[Any, ...] | None
) -> tuple[list[Any], list[Row]]:
    """The ids of the documents that were written, and these as they are shown."""
    if isinstance(statement, Delete):
        ids = removed(world, statement, scope, chosen)
        documents = documents_of(world, statement.source, ids)
        for id_ in ids:
            del world.collections[statement.source.collection][identity(id_)]
        return ids, documents
    if isinstance(statement, Insert):
        ids = insert(world, statement, scope, chosen or ())
    else:
        ids = update(world, statement, scope)
    return ids, documents_of(world, statement.source, ids)


def documents_of(world: World, source: Source, ids: list[Any]) -> list[Row]:
    """Documents by their ids."""
    stored = world.collections.get(source.collection, {})
    return [stored[identity(id_)].document() for id_ in ids]


def returned(statement: Insert | Update | Delete, documents: list[Row], parameters: Row) -> Ranked:
    """What RETURNING shows."""
    if not statement.returning:
        return NOTHING
    asked = Select(statement.returning, statement.source)
    check_select(asked, {})
    return select(asked, [documents], parameters)


# --- INSERT ---


def insert(world: World, statement: Insert, scope: Scope, chosen: tuple[Any, ...]) -> list[Any]:
    """Write documents; the ids of those that were written. One without an id is given that which an engine made."""
    documents = list(inserted(world, statement, scope))
    keys = [identity(document["_id"]) for document in documents if "_id" in document]
    if len(set(keys)) < len(keys):
        raise Refused("unique")
    known = world.collections.setdefault(statement.source.collection, {})
    if statement.policy == "fail" and not statement.initial and any(key in known for key in keys):
        raise Refused("conflict")
    written: list[Any] = []
    for document in documents:
        id_ = document["_id"] if "_id" in document else dict(enumerate(chosen)).get(len(written), "?")
        if identity(id_) in known and (statement.initial or statement.policy == "nothing"):
            continue
        if identity(id_) in world.buried.get(statement.source.collection, ()):
            if statement.initial:
                continue
            raise Refused("buried")
        if put(known, id_, document, statement, (not statement.initial, world.statements)):
            written.append(id_)
    return written


def put(known: dict[Hashable, Stored], id_: Any, document: Row, statement: Insert, time: Time) -> bool:
    """Write one document; whether anything was."""
    content = {name: value for name, value in document.items() if name != "_id"}
    key = identity(id_)
    stored = known[key].copy() if key in known else Stored(id_)
    if statement.policy == "update_local_diff" and key in known:
        content = news(known[key].document(), content)
        if not content:
            return False
    if content or key not in known:
        stored.node.write(content, time)
        known[key] = stored
    return True


def news(old: Row, new: Row) -> Row:
    """What of a new object is not so in the old one, key by key."""
    found = {}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            if inside := news(old[key], value):
                found[key] = inside
        elif exactly(old.get(key, MISSING)) != exactly(value):
            found[key] = value
    return found


def inserted(world: World, statement: Insert, scope: Scope) -> Iterator[Row]:
    """The documents to be written."""
    if statement.select is not None:
        rows = execute(world, statement.select, scope.parameters).rows
        given: list[Any] = [rows.rows[rows.first : rows.last]]
    else:
        given = [evaluate(each, {}, scope) for each in statement.documents]
    for value in given:
        for document in value if isinstance(value, list) else [value]:
            if kind_of(document) != "object" or kind_of(document.get("_id", "")) not in ID_KINDS:
                raise Refused("document")
            yield document


# --- UPDATE ---


def update(world: World, statement: Update, scope: Scope) -> list[Any]:
    """Change the documents that are looked for; the ids of those that were written to."""
    known = world.collections.get(statement.source.collection, {})
    time = (True, world.statements)
    changed: list[Stored] = []
    for document in world.read(statement.source, scope):
        row = one_source(document, statement.source.alias).names
        if is_true(statement.where, row, scope):
            stored = known[identity(document["_id"])].copy()
            if change(stored.node, statement, row, scope, time):
                changed.append(stored)
    known.update({identity(stored.id): stored for stored in changed})
    return [stored.id for stored in changed]


def change(node: Node, statement: Update, row: Row, scope: Scope, time: Time) -> bool:
    """Change one document by what it held before; whether anything was written or taken away."""
    before = node.fields()
    wrote = False
    for path, expression in statement.set:
        value = evaluate(expression, row, scope)
        if value is not MISSING:
            node.at(below(path, statement.source.alias)).write(value, time)
            wrote = True
    for path, operation, given in statement.apply:
        count(
            node.at(below(path, statement.source.alias)),
            operation,
            0 if given is None else evaluate(given, row, scope),
            time,
        )
        wrote = True
    gone = [below(path, statement.source.alias) for path in statement.unset]
    for path in gone:
        wrote |= node.at(path).time() != NEVER
        node.remove(path)
    for path in gone:
        if at(before, path[:-1]) is not MISSING:
            node.keep(path[:-1], time)
    return wrote


def below(path: Keys, alias: str | None) -> Keys:
    """A path of the document, which may have stood behind the source's alias."""
    return path[1:] if path[0] == alias and path[1:] else path


def count(counter: Node, operation: str, amount: Any, time: Time) -> None:
    """Change a counter."""
    if type(amount) is not int:
        raise Refused("value")
    if operation == "restart":
        counter.restart(amount, time)
        return
    if not counter.can_count():
        raise Refused("register")
    counter.increment(amount, time)
    if not -(2**63) <= counter.counter < 2**63:
        raise Refused("value")


# --- DELETE ---


def bury(world: World, collection: str, ids: list[Any]) -> None:
    """Use up ids."""
    world.buried[collection] = world.buried.get(collection, frozenset()) | {identity(id_) for id_ in ids}


def removed(world: World, statement: Delete, scope: Scope, chosen: tuple[Any, ...] | None) -> list[Any]:
    """The ids of the documents that go."""
    asked = Select(
        (("column", ("path", ("_id",)), None),),
        statement.source,
        where=statement.where,
        order=statement.order or ((("path", ("_id",)), False),),
        limit=statement.limit,
        offset=statement.offset,
    )
    found = execute(world, asked, scope.parameters).rows
    if chosen is not None and difference([{"_id": id_} for id_ in chosen], found) is None:
        return list(chosen)
    return [row["_id"] for row in found.rows[found.first : found.last]]
