"""What statements of the statement language share: sources with all that stands behind them, and projections.

Rules: `USE` and what it says stand behind the source and its alias, in a join too. A word that is not reserved is an
alias wherever an alias can stand.

Not here: the statements themselves (`statement_parser`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from crdtstore.query.dql import messages
from crdtstore.query.dql.expression import Expression
from crdtstore.query.dql.expression_parser import ExpressionParser
from crdtstore.query.dql.statement import All, Column, Declaration, Ids, Join, Projection, Source, Without
from crdtstore.query.dql.tokens import NAME, NUMBER, QUOTED, STRING
from crdtstore.query.dql.words import is_alias, is_reserved

SYSTEM_ALIASES: Final = {"__collections": "collections"}
"""System collections that can also be named as if they were collections."""

TYPES: Final = ("REGISTER", "MAP", "ATTACHMENT", "COUNTER", "PN_COUNTER")


class SourceParser(ExpressionParser):
    """A text of which sources and projections are read."""

    # --- projections ---

    def counted(self, read: Callable[[], Any]) -> Any:
        """Something in which aggregates can stand."""
        before, self.aggregates = self.aggregates, True
        found = read()
        self.aggregates = before
        return found

    def projections(self) -> tuple[Projection, ...]:
        """What is made of each row, or of each group."""
        start = self.peek()
        found: tuple[Projection, ...] = self.several(lambda: self.counted(self.projection))
        others = [each for each in found if not isinstance(each, Without)]
        if All() in others and len(others) > 1:
            self.fail(start, messages.STAR_WITH_OTHERS, description=messages.STAR_WITH_OTHERS)
        return found

    def projection(self) -> Projection:
        """One item between SELECT and FROM."""
        self.count()
        if self.take_symbol("*"):
            return All()
        if self.peek().kind in (NAME, QUOTED) and self.is_symbol(".", 1) and self.is_symbol("*", 2):
            alias = self.identifier()
            self.at += 2
            return All(alias)
        behind = self.peek(1)
        if self.word() == "MISSING" and (
            behind.kind == QUOTED or (behind.kind == NAME and not is_reserved(behind.text, self.profile))
        ):
            self.take()
            return Without(self.path())
        value = self.expression()
        return Column(value, self.alias())

    def alias(self) -> str | None:
        """`[AS] name`, if it comes next."""
        token = self.peek()
        if self.take_word("AS") or token.kind == QUOTED or (token.kind == NAME and is_alias(token.text)):
            return self.identifier()
        return None

    # --- sources ---

    def source(self) -> Source:
        """A collection with its declarations and alias."""
        self.count()
        if self.word() == "SYSTEM" and self.is_symbol(":", 1):
            self.take()
            return Source(self.parameter_name(self.take()), system=True, alias=self.alias())
        written = bool(self.take_word("COLLECTION"))
        name = self.identifier(*(() if written else ("COLLECTION", "system:")))
        if name in SYSTEM_ALIASES:
            return Source(SYSTEM_ALIASES[name], system=True, alias=self.alias())
        if self.is_symbol("("):
            return Source(name, declarations=self.inside(self.declarations), alias=self.alias())
        return Source(name, alias=self.alias())

    def declarations(self) -> tuple[Declaration, ...]:
        """The types of fields, in parentheses of which the first was read."""
        found = self.several(self.declaration)
        self.expect_symbol(")", "','")
        return found

    def declaration(self) -> Declaration:
        """A field and its type."""
        self.count()
        token = self.peek()
        if token.kind not in (NAME, QUOTED):
            self.unexpected("a field")
        name = str(self.take().value)
        word = self.expect_word(*TYPES)
        declared: Any = word.lower()
        inside = self.inside(self.declarations) if word == "MAP" and self.is_symbol("(") else ()
        return Declaration(name, declared, inside)

    def source_with_use(self) -> Source:
        """A source, and what stands behind it about how it is read; each at most once."""
        source = self.source()
        used: set[str] = set()
        while self.word() == "USE":
            self.take()
            word = self.expect_word(*sorted({"IDS", "INDEX", "DIRECTIVES"} - used))
            used.add(word)
            if word == "IDS":
                source = msgspec.structs.replace(source, ids=self.ids())
            elif word == "INDEX":
                source = msgspec.structs.replace(source, indexes=self.several(self.index_name))
            elif self.peek().kind == STRING:
                source = msgspec.structs.replace(source, directives=self.take().value)
            else:
                self.unexpected("a string")
        return source

    def ids(self) -> Ids:
        """What stands behind USE IDS."""
        if self.take_word("LIST"):
            colon = self.peek()
            self.expect_symbol(":")
            return Ids(parameter=self.parameter_name(colon))
        return Ids(self.several(self.id_value))

    def id_value(self) -> Expression:
        """One id: a constant, or a parameter."""
        first = self.peek(int(self.is_symbol("-")))
        if first.kind != NUMBER and (self.is_symbol("-") or (first.kind != STRING and first.text not in (":", "{"))):
            self.unexpected("an id", "a parameter")
        return self.signed()

    def index_name(self) -> str:
        """An index's name, as an identifier or a string."""
        return str(self.take().value) if self.peek().kind == STRING else self.identifier()

    def join(self, *, first: bool) -> Join:
        """A further source."""
        token = self.peek()
        word = self.take_word("INNER", "LEFT", "RIGHT")
        if word in ("LEFT", "RIGHT"):
            self.take_word("OUTER")
        if word == "RIGHT" and not first:
            self.fail(token, "RIGHT can only be the first of the joins")
        self.expect_word("JOIN")
        source = self.source_with_use()
        self.expect_word("ON")
        kind: Any = word.lower() or "inner"
        return Join(kind, source, self.expression())
