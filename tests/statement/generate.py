"""Random small worlds and random statements about them: the naive interpreter's program, its text and its parameters.

Rules: one seed gives one world and one sequence of statements. Worlds hold few documents of few values, alike in one
way and not in another; fields are missing, null, of mixed types, nested, counters. Statements find often, change
often, and fail now and then.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final, Literal, NamedTuple

from tests.query.worlds.documents import World, make_value, make_values
from tests.query.worlds.dql import text
from tests.statement.expressions import (
    NUMBERS,
    Place,
    aggregate,
    anything,
    condition,
    constant,
    number,
    of_group,
    operand,
    path,
    sought,
    verdicts,
)
from tests.statement.naive import Delete, Insert, Statement, Update
from tests.statement.naive_expressions import Expression
from tests.statement.naive_select import Join, Projection, Select, SortKey, Source, column_name
from tests.statement.writing import Writer

IDS: Final[tuple[Any, ...]] = (
    *("a", "b", "é", "\U00010000", "A", 0, 1, -7, 2**53 + 1, True, {"k": 1}, {"k": "a", "d": [1]}, "x:1", "x:2", "1"),
)
NAMES: Final = ("x", "y", "total", "n", "b")
KEYS: Final = (("a",), ("b",), ("n",), ("s",), ("c", "k"), ("c", "d"), ("l", 0), ("none",), ("h",))
CHANGED: Final = (
    ("a",),
    ("a", "k"),
    ("b",),
    ("n",),
    ("s",),
    ("c",),
    ("c", "k"),
    ("c", "d"),
    ("l",),
    ("m", "d", "k"),
    ("new",),
)
DOCUMENTS: Final = 7
POLICIES: Final[tuple[Literal["fail", "nothing", "update", "update_local_diff"], ...]] = (
    *("fail", "nothing", "update", "update", "update_local_diff"),
)


class Program(NamedTuple):
    """A statement in both forms."""

    statement: Statement
    text: str
    parameters: dict[str, Any]
    lacks: bool = False
    """Whether one of its parameters is not given."""


def make_world(random: Random) -> World:
    """What the documents of a world are at its beginning; its values are what statements are about."""
    values = (*make_values(random, binary=False), 1, 2, "a", None, True, False)
    ids = random.sample(IDS, DOCUMENTS)
    return World(random, values, [make_document(random, values, id_) for id_ in ids], {})


def make_document(random: Random, values: tuple[Any, ...], id_: Any) -> dict[str, Any]:
    """A document with fields of every form."""

    def some(depth: int = 2) -> Any:
        return make_value(random, values, depth)

    texts = [value for value in values if isinstance(value, str)]
    fields = {
        "a": some(),
        "b": some(0),
        "n": random.choice(NUMBERS[:10]),
        "s": random.choice(texts),
        "c": {"d": some(1), "k": some(0)},
        "l": [some(1) for _ in range(random.randrange(4))],
        "m": {"d": {"k": some(0)}, "é": some(0)},
        "t~x": some(0),
    }
    return {"_id": id_, **{key: value for key, value in fields.items() if random.random() < 0.75}}


def make_programs(world: World, others: tuple[str, ...]) -> tuple[Program, ...]:
    """A statement, or several that run as one transaction, of which one writes and the others see what it wrote."""
    if world.random.random() < 0.94:
        return (lacking(world.random, make_program(world, make_statement(world, others), {})),)
    parameters: dict[str, Any] = {}
    written = make_written(world, others)
    statements = [make_select(world, others), written, make_select(world, others), make_select(world, others)]
    return tuple([make_program(world, each, parameters) for each in statements[world.random.randrange(2) :]])


def make_statement(world: World, others: tuple[str, ...]) -> Statement:
    """A statement about the collections of a world."""
    return make_select(world, others) if world.random.random() < 0.78 else make_written(world, others)


def make_written(world: World, others: tuple[str, ...]) -> Statement:
    """A statement that writes."""
    kind = world.random.randrange(22)
    if kind < 10:
        return make_update(world, others[0])
    return make_insert(world, others) if kind < 18 else make_delete(world, others[0])


def make_program(world: World, statement: Statement, parameters: dict[str, Any]) -> Program:
    """A statement and its text; its parameters come to those of the statements that run with it."""
    return Program(statement, Writer(world.random, parameters).statement(statement), parameters)


def lacking(random: Random, program: Program) -> Program:
    """The same, now and then without one of its parameters."""
    joins = isinstance(program.statement, Select) and bool(program.statement.joins)
    if not program.parameters or joins or random.random() > 0.01:
        return program
    program.parameters.pop(random.choice(list(program.parameters)))
    return program._replace(lacks=True)


# --- SELECT ---


def make_select(world: World, others: tuple[str, ...]) -> Select:
    """A SELECT of any form."""
    random = world.random
    kind = random.randrange(10)
    if kind == 9:
        return make_join(world, others)
    source = make_source(world, others[0] if random.random() < 0.9 else others[1])
    place = place_of(world, source)
    where = sought(place) if random.random() < 0.6 else None
    if kind < 3:
        return grouped(place, source, where)
    distinct = random.random() < 0.2
    projections = make_projections(place, source)
    if distinct:
        projections = called_apart(projections)
    order = make_order(place, projections, distinct=distinct)
    return Select(projections, source, distinct, (), where, (), None, order, *make_amounts(place))


def make_source(world: World, collection: str) -> Source:
    """A collection, sometimes by another name, sometimes some of its documents."""
    random = world.random
    alias = random.choice(("z", "t", "a")) if random.random() < 0.3 else None
    return Source(collection, alias, make_ids(world) if random.random() < 0.07 else None)


def make_ids(world: World) -> tuple[Any, ...]:
    """Ids of documents that are there, or not; no booleans, which cannot be written there."""
    ids = [*[document["_id"] for document in world.documents], "nobody"]
    return tuple(
        [("value", id_) for id_ in world.random.choices(ids, k=2) if not isinstance(id_, bool)] or [("value", 0)]
    )


def place_of(world: World, source: Source) -> Place:
    """Where the expressions of a statement about one source stand."""
    return Place(world) if source.alias is None else Place(world, ((), (source.alias,)))


def make_projections(place: Place, source: Source) -> tuple[Projection, ...]:
    """What is shown."""
    random = place.random
    if random.random() < 0.3:
        left_out = tuple([("without", path(place)[1]) for _ in range(random.randrange(3))])
        return (("all",), *[each for each in left_out if is_plain(each[1])])
    columns: list[Projection] = []
    for name in random.sample(NAMES, random.randrange(1, 4)):
        value = column(place)
        named = value[0] != "path" or random.random() < 0.3
        columns.append(("column", value, name if named and random.random() < 0.8 else None))
    if source.alias is not None and random.random() < 0.2:
        columns.append(("all of", source.alias))
    return tuple(columns)


def column(place: Place) -> Expression:
    """What a column shows: what is seen nowhere else of verdicts and numbers, too."""
    kind = place.random.randrange(20)
    if kind < 8:
        return path(place)
    if kind < 10:
        return verdicts(place)
    return number(place, 2) if kind < 13 else anything(place, place.random.randrange(1, 3))


def called_apart(projections: tuple[Projection, ...]) -> tuple[Projection, ...]:
    """Those of which no two have the same name, so that an order by a name means one of them."""
    if projections[0][0] != "column":
        return projections
    kept: dict[str, Projection] = {}
    for place, each in enumerate(projections, 1):
        if each[0] == "column":
            kept.setdefault(each[2] or column_name(each[1], place), each)
    return tuple(kept.values())


def is_plain(keys: tuple[Any, ...]) -> bool:
    """Whether a path leads through objects only."""
    return all(isinstance(key, str) for key in keys)


def make_order(place: Place, projections: tuple[Projection, ...], *, distinct: bool) -> tuple[SortKey, ...]:
    """ORDER BY: of what is different only what is shown."""
    random = place.random
    if random.random() < 0.5:
        return ()
    named: list[Expression] = [("path", (one[2],)) for one in projections if one[0] == "column" and one[2]]
    keys = []
    for _ in range(random.randrange(1, 3)):
        if named and (distinct or random.random() < 0.4):
            keys.append(random.choice(named))
        elif not distinct:
            keys.append(path(place) if random.random() < 0.8 else anything(place, 1))
    return tuple([(key, random.random() < 0.4) for key in keys])


def make_amounts(place: Place) -> tuple[Expression | None, Expression | None]:
    """LIMIT and OFFSET."""
    random = place.random

    def amount(least: int) -> Expression | None:
        kind = random.randrange(50)
        if kind == 0:
            return ("value", random.choice((-1, "1", None, 1.5)))
        if kind == 1:
            return ("binary", "+", ("value", 1), ("value", 1))
        return ("value", random.randrange(least, 6)) if kind < 16 else None

    return amount(random.random() < 0.9), amount(0) if random.random() < 0.4 else None


def grouped(place: Place, source: Source, where: Expression | None) -> Select:
    """A SELECT with GROUP BY, or with aggregates over all rows."""
    random = place.random
    count = random.choice((0, 1, 1, 2))
    group = tuple([path(place, KEYS) if random.random() < 0.7 else number(place, 1) for _ in range(count)])
    projections: list[Projection] = []
    for name in random.sample(NAMES[:3], random.randrange(1, 4)):
        value = random.choice(group) if group and random.random() < 0.4 else of_group(place, group, random.randrange(2))
        if random.random() < 0.02:
            value = path(place)
        projections.append(("column", value, name if value[0] != "path" or random.random() < 0.5 else None))
    having = of_group(place, group, 2) if random.random() < 0.2 else None
    order = []
    if random.random() < 0.5:
        order = [
            (random.choice((of_group(place, group, 0), ("path", (projections[0][2] or "x",)))), random.random() < 0.5)
        ]
    if not any(("aggregate" in repr(each)) for each in (projections, having)) and not group:
        projections[0] = ("column", aggregate(place), "x")
    amounts = make_amounts(place) if group else (None, None)
    return Select(tuple(projections), source, False, (), where, group, having, tuple(order), *amounts)


def make_join(world: World, others: tuple[str, ...]) -> Select:
    """A SELECT of two sources, or of one twice."""
    random = world.random
    kinds: list[Literal["inner", "left", "right"]] = ["inner", "left", "right"]
    left, right = Source(others[0], "p"), Source(random.choice(others), "q")
    kind = random.choice(kinds)
    inner, outer = (left, right) if kind == "right" else (right, left)
    place = Place(world, (("p",), ("q",)))
    field = ("_id",) if random.random() < 0.8 else random.choice((("n",), ("a",), ("c", "k"), ("s",), ("b",)))
    pair: list[Expression] = [("path", (inner.name, *field)), path(Place(world, ((outer.name,),)), joinable(field))]
    random.shuffle(pair)
    on: Expression = ("compare", "==", pair[0], pair[1])
    if random.random() < 0.3:
        on = ("logic", "and", (on, condition(place, 0)))
    where = sought(place) if random.random() < 0.5 else None
    if random.random() < 0.4:
        projections: tuple[Projection, ...] = (("all",),)
    elif random.random() < 0.3:
        projections = (("all of", random.choice("pq")),)
    else:
        projections = make_projections(place, Source("", None))
    order = make_order(place, (), distinct=False)
    limit = ("value", random.randrange(6)) if random.random() < 0.3 else None
    return Select(projections, left, False, (Join(kind, right, on),), where, (), None, order, limit)


def joinable(field: tuple[str, ...]) -> tuple[Any, ...]:
    """What may equal a field."""
    return (("_id",), ("_id",), ("b",), ("s",), ("n",)) if field == ("_id",) else (field,)


# --- statements that write ---


def make_returning(place: Place, source: Source) -> tuple[Projection, ...]:
    """What a statement that writes shows."""
    random = place.random
    if random.random() < 0.5:
        return ()
    if random.random() < 0.2:
        return (("column", aggregate(place), "x"),)
    return make_projections(place, source)


def make_insert(world: World, others: tuple[str, ...]) -> Insert:
    """An INSERT of documents that are new, or there already, or of rows."""
    random = world.random
    place = Place(world)
    policy = random.choice(POLICIES)
    source = Source(others[0])
    returning = make_returning(place, source)
    if random.random() < 0.15:
        columns = (("column", ("path", ("_id",)), None), ("column", anything(place, 1), "a"))
        rows = Select(columns, Source(random.choice(others)), where=sought(place))
        return Insert(source, (), rows, False, policy, returning)
    documents = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        made: Any = make_document(random, world.values, random.choice(IDS))
        if random.random() < 0.2:
            made = [made, make_document(random, world.values, random.choice(IDS))]
        documents.append(("value", made) if random.random() < 0.97 else constant(place))
    initial = random.random() < 0.2
    return Insert(source, tuple(documents), None, initial, "fail" if initial else policy, returning)


def make_update(world: World, collection: str) -> Update:
    """An UPDATE of one to three paths."""
    random = world.random
    source = make_source(world, collection)
    place = place_of(world, source)
    paths = apart(random.sample(CHANGED, random.randrange(1, 4)))
    sets, unset = [], []
    for each in paths:
        if random.random() < 0.7:
            value = constant(place) if random.random() < 0.6 else anything(place, 1)
            sets.append((each, ("call", "coalesce", (value, operand(place)))))
        else:
            unset.append(each)
    applied = []
    if random.random() < 0.3:
        how = random.choice(("increment", "increment", "restart"))
        amount = ("value", random.choice((1, 2, -1, 10))) if random.random() < 0.9 else number(place, 1)
        applied.append(((random.choice("hhhhn"),), how, None if how == "restart" and random.random() < 0.3 else amount))
        sets = [pair for pair in sets if pair[0] != applied[0][0]]
        unset = [each for each in unset if each != applied[0][0]]
    where = sought(place) if random.random() < 0.8 else None
    returning = make_returning(place, source)
    return Update(source, tuple(applied), tuple(sets), tuple(unset), where, returning)


def apart(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those of which none is above another."""
    kept: list[tuple[str, ...]] = []
    for each in paths:
        if not any(each[: len(other)] == other or other[: len(each)] == each for other in kept):
            kept.append(each)
    return kept


def make_delete(world: World, collection: str) -> Delete:
    """A DELETE of few documents."""
    random = world.random
    source = make_source(world, collection)
    place = place_of(world, source)
    order = make_order(place, (), distinct=False)
    limit = ("value", random.randrange(3)) if random.random() < 0.5 else None
    offset = ("value", random.randrange(2)) if random.random() < 0.2 else None
    where = condition(place, 1) if random.random() < 0.9 else ("value", text(world) == "a")
    return Delete(source, random.random() < 0.15, where, order, limit, offset, make_returning(place, source))
