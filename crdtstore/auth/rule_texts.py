"""Rules as a permission has them: for each verb and collection texts in one language, one of which has to hold.

Rules: a text is read when a permission is made, and what could not be enforced is refused there: what cannot be read,
what takes arguments, what asks for the time (a rule is read once, and holds for as long as it is kept), and what only a
statement as a whole could say. In DQL a rule is a condition or a SELECT, which may show some fields only. A text that
was taken once and cannot be read any more, or not yet by this version, shows and allows nothing.

Not here: what becomes of a rule in a read or write (`query/rules.py`), what else a permission says (`permission`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias, get_args

import msgspec

from crdtstore.errors import CrdtStoreError, InvalidQuery
from crdtstore.query.dql.condition import to_condition
from crdtstore.query.dql.evaluate import Context
from crdtstore.query.dql.expression import Expression, Field
from crdtstore.query.dql.statement import All, Column, Projection, Select, Source, Statement
from crdtstore.query.dql.statement_parser import parse, parse_expression
from crdtstore.query.language import language_of
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.rules import NO_DOCUMENT
from crdtstore.query.tree import EVERY_DOCUMENT, Node, Or, condition

Language: TypeAlias = Literal["legacy", "dql", "rql"]
Texts: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""By collection, in the order of their names."""

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
TIMES: Final = (0, 86_400_000)
"""Two moments, in milliseconds since 1970, at which a text is read: it says the same at both."""


class StoredTexts(msgspec.Struct):
    """Texts as they stand in the row of a key."""

    language: Language
    read: dict[str, list[str]]
    write: dict[str, list[str]]


class RuleTexts(NamedTuple):
    """The texts of both verbs, and their language; collections that are allowed as a whole have none."""

    language: Language = "legacy"
    read: Texts = ()
    write: Texts = ()

    @classmethod
    def from_row(cls, row: object) -> Self:
        """Read texts as `to_row` wrote them; those of a version that writes them in another way are none."""
        try:
            stored = msgspec.convert(row, StoredTexts)
        except msgspec.ValidationError:
            return cls()
        return cls(stored.language, sorted_texts(stored.read), sorted_texts(stored.write))

    def to_row(self) -> dict[str, Any]:
        """Write them as they are stored with a key."""
        return {"language": self.language, "read": dict(self.read), "write": dict(self.write)}

    def of(self, verb: str) -> dict[str, tuple[str, ...]]:
        """The texts of a verb by collection."""
        return dict(self.read if verb == "read" else self.write)


class Rule(NamedTuple):
    """What is allowed of a collection: the documents, and which fields of each are shown besides the `_id`."""

    node: Node
    fields: frozenset[str] | None = None
    """None for all."""


NO_TEXTS: Final = RuleTexts()
NO_RULE: Final = Rule(NO_DOCUMENT)


def sorted_texts(texts: Mapping[str, Iterable[str]]) -> Texts:
    """Texts by collection, in the order in which equal ones are equal."""
    return tuple((name, tuple(sorted(set(texts[name])))) for name in sorted(texts))


def read_rule(text: str, language: Language, collection: str) -> Rule:
    """Read a text as a rule for a collection.

    Raises:
        QuerySyntaxError: It cannot be parsed; `data` has the line and column.
        InvalidQuery: It can, and could not be enforced.
        CrdtStoreError: What else is wrong with a query.
    """
    first, later = (read_at(text, language, collection, now) for now in TIMES)
    if first != later:
        raise InvalidQuery("A rule holds whenever it is asked: it may not depend on the time.", reason="rule")
    return first


def read_at(text: str, language: Language, collection: str, now_milliseconds: int) -> Rule:
    """Read a text at a moment."""
    if language != "dql":
        return Rule(condition(language_of(language).read(text, None, now_milliseconds)))
    context = Context({}, lambda: now_milliseconds)
    if text.upper().split(maxsplit=1)[:1] == ["SELECT"]:
        return read_select(parse(text), collection, context)
    return Rule(read_where(parse_expression(text), context))


def read_where(where: Expression, context: Context) -> Node:
    """Read a condition."""
    node = to_condition(where, context)
    if node is None:
        message = "A rule says what can be asked of a document as it lies; this computes more than that."
        raise InvalidQuery(message, reason="rule")
    return condition(node)


def read_select(select: Statement, collection: str, context: Context) -> Rule:
    """Read a SELECT that shows whole documents, or some fields of each."""
    known = isinstance(select, Select) and Select(select.projections, Source(collection), where=select.where)
    if not isinstance(select, Select) or select != known:
        message = f"A statement that is a rule says which fields of {collection!r} are shown, with a condition at most."
        raise InvalidQuery(message, reason="rule")
    node = EVERY_DOCUMENT if select.where is None else read_where(select.where, context)
    if select.projections == (All(),):
        return Rule(node)
    return Rule(node, frozenset(map(name_shown, select.projections)) - {ID_FIELD})


def name_shown(projection: Projection) -> str:
    """The field of the document that is shown, as a whole and under its own name."""
    match projection:
        case Column(Field((str(name),)), None):
            return name
    raise InvalidQuery("A rule shows fields of the document by their names, each as a whole.", reason="rule")


def compile_rules(texts: Texts, language: Language) -> dict[str, Rule]:
    """The rule of each collection."""
    return {name: any_of([read_kept_rule(text, language, name) for text in each]) for name, each in texts}


def read_kept_rule(text: str, language: Language, collection: str) -> Rule:
    """Read a text that was taken once."""
    try:
        return read_rule(text, language, collection)
    except CrdtStoreError:
        return NO_RULE


def any_of(rules: list[Rule]) -> Rule:
    """A rule that holds where one of some does, all of which show the same fields."""
    nodes, shown = tuple(rule.node for rule in rules), {rule.fields for rule in rules if rule is not NO_RULE}
    if len(shown) != 1:
        return NO_RULE
    return Rule(nodes[0] if len(nodes) == 1 else Or(nodes), *shown)
