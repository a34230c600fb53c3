"""Tokens to expressions of the statement language: operators by their levels, the rest by recursive descent.

Rules: docs/query-dql-grammar.md holds the grammar, `expression.LEVELS` the levels. Behind an operator only one that
binds as tightly or less can follow. Nothing is read twice. Each operator, bracket and list of arguments is a level of
nesting, a further operand of AND, OR, XOR or of a list is not; so no text makes a tree that recursion cannot walk.

Not here: the statements around (`statement_parser`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from crdtstore.limits import DEPTH_MAX, INT_MAX
from crdtstore.query import lexer
from crdtstore.query.dql.expression import (
    LEVELS,
    PRIMARY,
    Aggregate,
    Array,
    Between,
    Binary,
    Call,
    Case,
    Compare,
    Expression,
    Field,
    In,
    Is,
    Like,
    Literal,
    Logic,
    Missing,
    Negate,
    Not,
    Object,
    Parameter,
    Quantified,
)
from crdtstore.query.dql.reader import Reader
from crdtstore.query.dql.signatures import AGGREGATES, FUNCTIONS
from crdtstore.query.dql.tokens import NAME, NUMBER, QUOTED, STRING, SYMBOL, Token
from crdtstore.query.lexer import show
from crdtstore.query.tree import Operator, Path, Segment

T = TypeVar("T")

COMPARISONS: Final[dict[str, Operator]] = {
    "=": "==",
    "==": "==",
    "!=": "!=",
    "<>": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "<<", ">>", "||"})
CONNECTIVES: Final = frozenset({"AND", "OR", "XOR"})
WORDS: Final = {
    "BETWEEN": LEVELS["compare"],
    "IN": LEVELS["compare"],
    "LIKE": LEVELS["like"],
    "ILIKE": LEVELS["like"],
    "SIMILAR": LEVELS["like"],
}
"""Operators that are words and can stand behind NOT."""

EXPECTED: Final = ("a value", "a field", "a function", "a parameter", "'('")
WORD_EXPECTED: Final = tuple(sorted(WORDS))


class ExpressionParser(Reader):
    """A text of which expressions are read. Aggregates stand only where `aggregates` says so."""

    aggregates = False

    # --- operators ---

    def expression(self, level: int = 0) -> Expression:
        """An expression whose operators bind at least as tightly as a level."""
        depth = self.depth
        negation = LEVELS["not"]
        if self.word() == "NOT" and level <= negation:
            self.enter(self.take())
            left: Expression = Not(self.expression(negation))
            self.count()
            ceiling = negation
        else:
            left, ceiling = self.signed(), PRIMARY
        self.depth = depth
        while level <= (binds := self.level_ahead()) <= ceiling:
            left = self.operation(left, binds)
            ceiling = binds
        self.depth = depth
        return left

    def level_ahead(self) -> int:
        """How tightly the operator ahead binds; -1 where none is."""
        token = self.peek()
        if token.kind == SYMBOL:
            return LEVELS["compare"] if token.text in COMPARISONS else LEVELS.get(token.text, -1)
        word = self.word()
        if word in CONNECTIVES or word == "IS":
            return LEVELS[word.lower()]
        if word == "NOT":
            return WORDS.get(self.word(1), -1)
        return WORDS.get(word, -1)

    def operation(self, left: Expression, level: int) -> Expression:
        """What the operator ahead makes of the expression left of it."""
        token = self.take()
        self.enter(token)
        self.count()
        if token.kind == SYMBOL:
            return self.binary(token, left, level)
        word = token.text.upper()
        if word in CONNECTIVES:
            return self.connected(word, left, level)
        if word == "IS":
            return self.state(left)
        if word != "NOT":
            return self.relation(word, left)
        self.count()
        return Not(self.relation(self.take().text.upper(), left))

    def binary(self, token: Token, left: Expression, level: int) -> Expression:
        """An operator of signs, and what stands right of it."""
        right = self.expression(level + 1)
        if token.text in COMPARISONS:
            return Compare(COMPARISONS[token.text], left, right)
        operator: Any = token.text
        return Binary(operator, left, right)

    def connected(self, word: str, left: Expression, level: int) -> Expression:
        """Conditions with the same connective between them."""
        operands = [left, self.expression(level + 1)]
        while self.take_word(word):
            self.count()
            operands.append(self.expression(level + 1))
        operator: Any = word.lower()
        return Logic(operator, tuple(operands))

    def state(self, left: Expression) -> Expression:
        """What stands behind IS."""
        negated = self.take_word("NOT")
        what: Any = {"NULL": "null", "UNKNOWN": "null", "MISSING": "missing"}[
            self.expect_word("NULL", "MISSING", "UNKNOWN")
        ]
        return Not(Is(left, what)) if negated else Is(left, what)

    def relation(self, word: str, left: Expression) -> Expression:
        """What stands behind IN, BETWEEN, LIKE, ILIKE and SIMILAR."""
        if word == "IN":
            return In(left, self.looked_in())
        if word == "BETWEEN":
            least = self.expression(WORDS[word] + 1)
            self.expect_word("AND")
            return Between(left, least, self.expression(WORDS[word] + 1))
        if word == "SIMILAR":
            self.expect_word("TO")
        operator: Any = word.lower()
        return Like(operator, left, self.expression(WORDS[word] + 1))

    def looked_in(self) -> Expression:
        """What stands behind IN: a list in parentheses, else what is an array by itself."""
        if not self.take_symbol("("):
            return self.value()
        items = self.several(self.expression)
        self.expect_symbol(")", "','")
        self.count()
        return Array(items)

    def signed(self) -> Expression:
        """A value with signs before it; the minus right before a number belongs to it."""
        token = self.peek()
        if not self.take_symbol("-"):
            return self.primary()
        if self.peek().kind == NUMBER:
            self.count()
            return Literal(-self.take().value)
        self.enter(token)
        self.count()
        return Negate(self.signed())

    # --- values ---

    def primary(self) -> Expression:
        """A value, or anything in parentheses, which leave no trace."""
        if not self.is_symbol("("):
            return self.value()
        depth = self.depth
        self.enter(self.take())
        inner = self.expression()
        self.expect_symbol(")", "an operator")
        self.depth = depth
        return inner

    def value(self) -> Expression:
        """Anything that needs no parentheses."""
        self.count()
        token = self.peek()
        if token.kind == NUMBER:
            if token.value.__class__ is int and token.value > INT_MAX:
                self.fail(token, f"the integer {show(token.text)} is beyond int64")
            return Literal(self.take().value)
        if token.kind == STRING:
            return Literal(self.take().value)
        if self.take_symbol(":"):
            return Parameter(self.parameter_name(token))
        if self.is_symbol("[") or self.is_symbol("{"):
            return self.inside(self.array if self.is_symbol("[") else self.object)
        if token.kind == NAME:
            return self.named()
        if token.kind == QUOTED:
            return Field(self.path())
        return self.unexpected(*EXPECTED)

    def inside(self, read: Callable[[], T]) -> T:
        """What stands in brackets, or between a word and its END: one level deeper."""
        depth = self.depth
        self.enter(self.take())
        found = read()
        self.depth = depth
        return found

    def parameter_name(self, colon: Token) -> str:
        """A parameter's name, right behind the colon."""
        name = self.peek()
        if name.kind != NAME or name.start != colon.end:
            self.unexpected("the name of a parameter right behind ':'")
        return str(self.take().value)

    def named(self) -> Expression:
        """What begins with a word."""
        word = self.word()
        if word in ("TRUE", "FALSE", "NULL", "MISSING"):
            self.take()
            return Missing() if word == "MISSING" else Literal({"TRUE": True, "FALSE": False, "NULL": None}[word])
        if word == "CASE":
            return self.inside(self.case)
        if word in ("ANY", "EVERY"):
            return self.inside(lambda: self.quantified(word))
        if self.is_symbol("(", 1):
            return self.call()
        return Field(self.path())

    def array(self) -> Expression:
        """The items of an array, whose bracket was read."""
        items = () if self.is_symbol("]") else self.several(self.expression)
        self.expect_symbol("]", "','")
        return Array(items)

    def object(self) -> Expression:
        """The pairs of an object, whose brace was read."""
        pairs: dict[str, Expression] = {}

        def pair() -> None:
            token = self.peek()
            if token.kind not in (STRING, QUOTED) or token.text.startswith("`"):
                self.unexpected("a key in quotes", *(() if pairs else ("'}'",)))
            if token.value in pairs:
                self.fail(token, f"the key {show(token.value)} stands twice in one object")
            self.take()
            self.expect_symbol(":")
            pairs[token.value] = self.expression()

        if not self.is_symbol("}"):
            self.several(pair)
        self.expect_symbol("}", "','")
        return Object(tuple(pairs.items()))

    def case(self) -> Expression:
        """What stands behind CASE."""
        operand = None if self.word() == "WHEN" else self.expression()
        branches: list[tuple[Expression, Expression]] = []
        while self.word() == "WHEN" or not branches:
            self.expect_word("WHEN")
            self.count()
            when = self.expression()
            self.expect_word("THEN")
            branches.append((when, self.expression()))
        otherwise = self.expression() if self.take_word("ELSE") else None
        if not self.take_word("END"):
            self.unexpected(*(() if otherwise else ("WHEN", "ELSE")), "END")
        return Case(operand, tuple(branches), otherwise)

    def quantified(self, word: str) -> Expression:
        """What stands behind ANY and EVERY."""
        variable = self.identifier()
        self.expect_word("IN")
        array = self.looked_in()
        self.expect_word("SATISFIES")
        condition = self.expression()
        self.expect_word("END")
        quantifier: Any = word.lower()
        return Quantified(quantifier, variable, array, condition)

    def call(self) -> Expression:
        """A function, or an aggregate where one can stand."""
        token = self.take()
        name = token.text.lower()
        if name in AGGREGATES:
            return self.inside(lambda: self.aggregate(token, name))
        if name not in FUNCTIONS:
            lexer.fail(self.text, token.start, f"there is no function {show(token.text)}")
        arguments = self.inside(self.arguments)
        arity = FUNCTIONS[name]
        if len(arguments) < arity.least or (arity.most is not None and len(arguments) > arity.most):
            self.fail(token, f"{name} has {len(arguments)} arguments here and takes {arity}")
        return Call(name, arguments)

    def arguments(self) -> tuple[Expression, ...]:
        """What stands in a function's parentheses, of which the first was read."""
        found = () if self.is_symbol(")") else self.several(self.expression)
        self.expect_symbol(")", "','")
        return found

    def aggregate(self, token: Token, name: Any) -> Expression:
        """What stands in an aggregate's parentheses, of which the first was read."""
        if not self.aggregates:
            self.fail(token, f"{name} is a function of several rows, which cannot stand here")
        if name == "count" and self.take_symbol("*"):
            self.expect_symbol(")")
            return Aggregate(name)
        self.aggregates = False
        distinct = bool(self.take_word("DISTINCT"))
        argument = self.expression()
        self.expect_symbol(")", "an operator")
        self.aggregates = True
        return Aggregate(name, argument, distinct)

    # --- paths ---

    def path(self) -> Path:
        """A name, and any number of `.name`, `[0]` and `['key']`."""
        segments: list[Segment] = [self.identifier()]
        while self.is_symbol(".") or self.is_symbol("["):
            token = self.peek()
            segments.append(self.segment())
            if len(segments) > DEPTH_MAX:
                self.fail(token, f"a path has more than {DEPTH_MAX} segments (DEPTH_MAX)")
        return tuple(segments)

    def segment(self) -> Segment:
        """One step of a path; behind the point any word is a name."""
        if self.take_symbol("."):
            if self.peek().kind not in (NAME, QUOTED):
                self.unexpected("a name")
            return str(self.take().value)
        self.expect_symbol("[")
        token = self.peek()
        if token.kind != STRING and not (token.kind == NUMBER and token.value.__class__ is int):
            self.unexpected("an index from 0", "a key in quotes")
        if token.kind == NUMBER and token.value > INT_MAX:
            self.fail(token, f"the integer {show(token.text)} is beyond int64")
        self.take()
        self.expect_symbol("]")
        segment: Segment = token.value
        return segment
