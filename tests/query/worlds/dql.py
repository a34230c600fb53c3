"""Random conditions of the statement language, and the trees that its grammar is to make of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from crdtstore.query import tree
from crdtstore.query.tree import DQL, Node, Operator
from tests.query.oracles.dql import Expression
from tests.query.worlds.documents import World, make_value

PATHS: Final[tuple[tuple[str | int, ...], ...]] = (
    *(("a",), ("b",), ("c",), ("c", "d"), ("l",), ("l", 0), ("o", 0, "k"), ("_id",), ("_id", "k"), ("none",)),
    *(("t~x",), ("a-b", "0"), ("c", "d", "k"), ("r",)),
)
COMMON: Final = (("a",), ("b",), ("c", "d"))
OPERATORS: Final[dict[str, Operator]] = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
STARS: Final = {"%": "*", "_": "?"}
ESCAPED: Final = {"*": "\\*", "?": "\\?", "\\": "\\\\"}


class DqlQuery(NamedTuple):
    """A condition, and its tree."""

    expression: Expression
    node: Node


def make_query(world: World) -> DqlQuery:
    """A condition about a world."""
    expression = condition(world, 3)
    return DqlQuery(expression, make_tree(expression))


def operand(world: World) -> Expression:
    """A field, or a constant."""
    return path(world) if world.random.random() < 0.5 else constant(world)


def path(world: World) -> Expression:
    """A field, mostly one of few."""
    return ("path", world.random.choice(COMMON if world.random.random() < 0.6 else PATHS))


def constant(world: World) -> Expression:
    """A value of the world."""
    if world.random.random() < 0.1:
        return ("constant", world.random.choice(world.documents)["_id"])
    return ("constant", make_value(world.random, world.values, 1))


def condition(world: World, depth: int) -> Expression:
    """A condition of at most this many levels."""
    random = world.random
    kind = random.randrange(22)
    if depth and kind < 9:
        several = tuple([condition(world, depth - 1) for _ in range(random.randrange(2, 4))])
        return (("and", several), ("or", several), ("not", several[0]))[kind % 3]
    match kind:
        case 9 | 10:
            return ("is", random.choice(("null", "missing")), path(world))
        case 11 if random.random() < 0.5:
            chosen = random.sample(world.documents, random.randrange(1, 9))
            return ("in", ("path", ("_id",)), tuple([("constant", document["_id"]) for document in chosen]))
        case 11 | 12:
            return ("in", operand(world), tuple([operand(world) for _ in range(random.randrange(4))]))
        case 13:
            return ("in array", operand(world), path(world)[1])
        case 14:
            return ("between", path(world), operand(world), operand(world))
        case 15:
            return ("true", path(world)[1])
        case 16 | 17:
            return (random.choice(("like", "ilike")), path(world), pattern(world))
        case 18:
            return (random.choice(("starts_with", "ends_with")), path(world), text(world)[:2])
    return ("compare", random.choice(tuple(OPERATORS)), path(world), operand(world))


def text(world: World) -> str:
    """A text of the world."""
    texts = [value for value in world.values if isinstance(value, str)]
    return world.random.choice(texts or ["a"])


def pattern(world: World) -> str:
    """A text of the world with wildcards in it, in another case, or with a wildcard that stands for itself."""
    random = world.random
    letters = list(text(world).replace("\\", "\\\\"))
    for _ in range(random.randrange(3)):
        at = random.randrange(len(letters) + 1)
        if at == 0 or letters[at - 1] != "\\":
            letters[at : at + 1] = random.choice(("%", "_", "%%", "\\%", "\\_", "*"))
    written = "".join(letters)
    return random.choice((written, written.swapcase())) if written[-1:] != "\\" else f"{written}\\"


# --- trees ---


def make_tree(expression: Expression) -> Node:
    """The tree of a condition."""
    match expression:
        case ("and", parts):
            return tree.And(tuple(map(make_tree, parts)))
        case ("or", parts):
            return tree.Or(tuple(map(make_tree, parts)))
        case ("not", part):
            return tree.Not(make_tree(part))
        case ("true", keys):
            return tree.Compare("==", tree.Field(keys), tree.Literal(True), DQL)
        case ("compare", operator, left, right):
            return tree.Compare(OPERATORS[operator], node_of(left), node_of(right), DQL)
        case ("between", value, low, high):
            sides = (("compare", ">=", value, low), ("compare", "<=", value, high))
            return tree.And(tuple(map(make_tree, sides)))
        case ("is", name, value):
            return tree.IsType(node_of(value), (name,))
        case ("in", value, others):
            return tree.Contains(array_of(list(map(node_of, others))), node_of(value), DQL)
        case ("in array", value, keys):
            return tree.Contains(tree.Field(keys), node_of(value), DQL)
        case ("like" | "ilike" as name, value, written):
            return call(name, value, translate(written))
        case (name, value, written):
            return call(name, value, written)
    raise AssertionError(expression)


def call(name: str, value: Expression, written: str) -> Node:
    """A function of a text."""
    return tree.Call(name, (node_of(value), tree.Literal(written)), otherwise="unknown")


def translate(written: str) -> str:
    """A pattern with `%` and `_` in the tree's words."""
    made = ""
    characters = iter(written)
    for character in characters:
        if character == "\\":
            literal = next(characters, "\\")
            made += ESCAPED.get(literal, literal)
        else:
            made += STARS.get(character) or ESCAPED.get(character, character)
    return made


def node_of(expression: Expression) -> Node:
    """A field or a constant."""
    return tree.Field(expression[1]) if expression[0] == "path" else tree.Literal(expression[1])


def array_of(nodes: list[Node]) -> Node:
    """An array, constant when its items are."""
    constants: list[Any] = [node.value for node in nodes if isinstance(node, tree.Literal)]
    return tree.Literal(constants) if len(constants) == len(nodes) else tree.ArrayLiteral(tuple(nodes))
