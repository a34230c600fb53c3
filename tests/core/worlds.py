"""Random trees over all nodes and rules, and documents that were made by writing: for the evaluator on document bytes.

Rules: few paths and few values (those of `tests/query/pairs.py`, and texts for patterns), so that every rule is met and
a tree is true about as often as false. Documents come about by the merges of several replicas that have not seen all
of each other: with maps, registers at all depths, counters, attachments, conflicts and hidden values. One seed gives
one sequence. The plain evaluator reads what the plain reader shows, so nothing compiled stands on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from random import Random
from typing import Any, NamedTuple, get_args

from crdtstore.crdt.cell import ALL_TYPES, CellType, mask
from crdtstore.crdt.document import conflicts
from crdtstore.crdt.document_bytes import merge_document, unpack_document
from crdtstore.crdt.field import MISSING, step_into, visible_document
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.path import encode_path
from crdtstore.query import tree
from crdtstore.query.lookup import walk
from crdtstore.query.tree import Comparison, Node, Path
from tests.core.merging import BURY, Step, play
from tests.query.pairs import FAMILIES, IDS, OPERATORS, World, array_of, value

TEXTS = ("a", "ab", "AB", "aXb", "a*b", "b\xe9", "\xe9", "B\xc9", "stra\xdfe", "STRASSE", "a\x00", "\x01", "0", "")
LONG_TEXTS = ("a text of more than seven bytes", "A TEXT OF MORE THAN SEVEN BYTES", "an \U0001f600 of four bytes")
WORDS = (TEXTS, TEXTS, LONG_TEXTS)
LIKES = ("a*", "*b", "a?b", "?", "*", "", "a\\*b", "*\xe9", "stra*e", "*S*E", "A*", "a*more*", "?*?", "*t*t*n*")
REGEXES = ("a", "^a$", "^(a|1)*$", "b$", "T0[0-9]", "^.$", "\xe9")
PARTS = ("", "a", "b", "A", "\xe9", "a text")

ALL_IDS: tuple[Any, ...] = (
    *IDS,
    {"a": {"d": "\x01"}},
    {"a": [1, {"d": 2}], "d": b"a"},
    {"d": "a", "\x00": "b"},
    -(2**63),
)
FIELDS: tuple[Path, ...] = (
    ("a",),
    ("b",),
    ("a", "d"),
    ("a", "d", "a"),
    ("l",),
    ("l", 0),
    ("l", "0"),
    ("l", "a"),
    ("l", "a", "d"),
    ("l", 0, "a"),
    ("l", "1", "a"),
    ("f",),
    ("f", "x"),
    ("f", "x", "a"),
    ("c",),
    ("_id",),
    ("_id", "a"),
    ("_id", "a", 0),
    (),
    (0,),
)
INNER_FIELDS: tuple[Path, ...] = (
    (),
    (),
    ("a",),
    ("a",),
    ("a", "d"),
    ("d",),
    (0,),
    ("0",),
    ("a", 0),
    ("_id",),
    ("x", "a"),
)
TEXT_FIELDS: tuple[Path, ...] = (("a",), ("b",), ("l",), ("f", "x"))
SOME_FIELDS: tuple[Path, ...] = (("f",), ("f",), ("l",), ("a",), ("a", "d"), ("_id",), ())
CONFLICT_FIELDS: tuple[Path, ...] = ((), ("a",), ("a", "d"), ("f", "x"), ("b",), ("c",), ("l", 0), ("_id",))
PLACES: tuple[tuple[str, ...], ...] = (
    ("a",),
    ("a",),
    ("b",),
    ("a", "d"),
    ("a", "d", "a"),
    ("l",),
    ("l",),
    ("f",),
    ("f", "x"),
    ("f", "x", "a"),
    ("f", "y", "a"),
    ("f", "y", "a", "d"),
    ("c",),
    ("z", "z"),
)
TOKEN = {"id": "a", "len": 1, "metadata": {"a": "b"}}
KINDS = ("write",) * 9 + (
    "start",
    "restart",
    "increment",
    "mark",
    "remove",
    "attach",
    "initial write",
    "initial restart",
)
PAIRS_PER_DOCUMENT = 12


class Written(NamedTuple):
    """A document as a store holds it, and its id."""

    data: bytes
    encoded_id: bytes
    paths: Names
    replicas: Replicas


class PlainLookup:
    """How the plain evaluator reads a document: from what the plain reader shows of it."""

    def __init__(self, written: Written) -> None:
        self.written = written
        self.id = decode_id(written.encoded_id)
        shown = visible_document(written.data, written.paths, written.replicas)
        self.shown: Any = MISSING if shown is None else shown

    def __call__(self, path: Path) -> Any:
        if path and path[0] == "_id":
            return walk(self.id, path[1:])
        found = self.shown
        for step in path:
            found = step_into(found, step)
        return found

    @cached_property
    def rivals(self) -> set[Path]:
        data, _, paths, replicas = self.written
        return set(conflicts(unpack_document(data, paths, replicas)))

    def conflicted(self, path: Path) -> bool:
        return path in self.rivals if path else bool(self.rivals)


def new_world(random: Random) -> World:
    """A world of one family, and often texts."""
    values, words = random.choice(FAMILIES), random.choice(WORDS)
    return World(random, random.choice((values, values + words, values + words, words)))


# --- documents ---


def write(world: World) -> tuple[str, Any, Any]:
    """One operation."""
    random = world.random
    kind = random.choice(KINDS)
    place = encode_path(random.choice(PLACES))
    if kind.endswith("write"):
        return kind, place, value(world, random.choice((0, 0, 1, 2, 3)))
    if kind == "remove":
        return kind, place, random.choice((ALL_TYPES, mask(CellType.REGISTER)))
    if kind == "increment":
        return kind, random.randrange(4), random.choice((1, 0.5, -1))
    return kind, place, TOKEN if kind == "attach" else random.choice((0, 1, 2.5))


def transaction(world: World, writes_max: int) -> Step:
    """What one replica does, having seen some or all of the others."""
    random = world.random
    unseen = (random.choice((0, 1, 10**9)), random.choice((0, 1)), random.choice((0, 10**9)))
    operations = tuple(write(world) for _ in range(random.randrange(1, writes_max + 1)))
    buries = random.random() < 0.02
    return Step(
        random.randrange(3), random.randrange(3), random.choice((1, 2)), unseen, (BURY,) if buries else operations
    )


def document(world: World) -> Written:
    """A document; now and then one that does not exist, or whose paths stand within it."""
    random = world.random
    history = [transaction(world, 8)] if random.random() < 0.4 else []
    history += [transaction(world, 5) for _ in range(random.randrange(4))]
    played = play(history, merge_document, paths_max=random.choice((100, 100, 100, 3)))
    return Written(played.documents[-1], encode_id(random.choice(ALL_IDS)), played.paths, played.replicas)


# --- trees ---


def comparison(random: Random) -> Comparison:
    """Any rules."""
    missing: Any = random.choice(("null", "false", "unknown"))
    null: Any = random.choice(("value", "value", "unknown"))
    mixed: Any = random.choice(("unequal", "false", "unknown"))
    return Comparison(missing, null, mixed, random.random() < 0.5)


def field(world: World, *, inner: bool, spread_share: float = 0.5) -> tree.Field:
    """A field, of the document or of an item."""
    random = world.random
    return tree.Field(random.choice(INNER_FIELDS if inner else FIELDS), random.random() < spread_share)


def operand(world: World, depth: int, exotic: float, *, inner: bool) -> Node:
    """Something that stands where a value is asked for."""
    random = world.random
    if random.random() < exotic:
        if random.random() < 0.5 or depth == 0:
            return array_of([field(world, inner=inner, spread_share=0), tree.Literal(value(world, 1))])
        return condition(world, depth - 1, exotic, inner=inner)
    return tree.Literal(value(world)) if random.random() < 0.4 else field(world, inner=inner)


def call(world: World, *, inner: bool) -> Node:
    """A function of texts."""
    random = world.random
    name = random.choice(("starts_with", "ends_with", "like", "like", "ilike", "ilike", "regex"))
    patterns = {"like": LIKES, "ilike": LIKES, "regex": REGEXES}.get(name, PARTS)
    other: Node = tree.Literal(random.choice(patterns))
    if name in ("starts_with", "ends_with") and random.random() < 0.3:
        other = field(world, inner=inner)
    otherwise: Any = random.choice(("false", "unknown"))
    text = field(world, inner=inner) if random.random() < 0.4 else tree.Field(random.choice(TEXT_FIELDS), True)
    return tree.Call(name, (text, other), otherwise)


def condition(world: World, depth: int, exotic: float, *, inner: bool) -> Node:
    """A condition of at most so many levels; `exotic` is the share of operands that the core leaves to its twin."""
    random = world.random
    kind = random.randrange(22)
    if depth and kind < 5:
        several = tuple(condition(world, depth - 1, exotic, inner=inner) for _ in range(random.randrange(4)))
        return tree.And(several) if kind < 2 else tree.Or(several)
    if depth and kind == 5:
        return tree.Not(condition(world, depth - 1, exotic, inner=inner))
    if depth and kind in (6, 7):
        path = random.choice(INNER_FIELDS if inner else SOME_FIELDS)
        return tree.Some(path, condition(world, depth - 1, exotic, inner=True))
    if kind == 8:
        return tree.Conflicted(random.choice(CONFLICT_FIELDS))
    if kind in (9, 10, 20, 21):
        return call(world, inner=inner)
    left, right = operand(world, depth, exotic, inner=inner), operand(world, depth, exotic, inner=inner)
    if kind in (11, 12):
        types: Any = random.sample(get_args(tree.TypeName), random.randrange(4))
        return tree.IsType(left, tuple(types)) if kind == 11 else tree.condition(left)
    if kind in (13, 14):
        array = array_of([tree.Literal(value(world, 1)) for _ in range(random.randrange(6))])
        return tree.Contains(random.choice((array, left)), right, comparison(random))
    if random.random() < 0.6:
        left, right = field(world, inner=inner), tree.Literal(value(world, 1))
    return tree.Compare(random.choice(OPERATORS), left, right, comparison(random))


def pairs(seed: int, count: int, exotic: float = 0.0) -> Iterator[tuple[Node, Written, PlainLookup]]:
    """A sequence of documents, each with some trees of its world."""
    random = Random(seed)
    for _ in range(count // PAIRS_PER_DOCUMENT):
        world = new_world(random)
        written = document(world)
        lookup = PlainLookup(written)
        for _ in range(PAIRS_PER_DOCUMENT):
            yield condition(world, 3, exotic, inner=False), written, lookup
