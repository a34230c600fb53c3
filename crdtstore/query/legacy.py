"""The legacy expression language: `age >= 18 && !isDeleted`. Text to tree, by recursive descent.

Rules: docs/query-legacy.md holds the grammar and what each operator means. Every error of a text is a
QuerySyntaxError with its place, the bounds QUERY_BYTES_MAX, QUERY_DEPTH_MAX and QUERY_NODES_MAX included.
Arguments are put in as constants, so no argument can change what the rest of a query means. One question that
the grammar leaves open, `['x']`, is decided by its place: see `Parser.lone_bracket`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn, get_args

from crdtstore.crdt.value import Value, check_value, decode_value, encode_value
from crdtstore.errors import InvalidValue
from crdtstore.limits import DEPTH_MAX, QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query import lexer
from crdtstore.query.lexer import END, NAME, NUMBER, STRING, VARIABLE, Lexicon, Token
from crdtstore.query.pattern import compile_pattern
from crdtstore.query.tree import (
    LEGACY,
    And,
    ArrayLiteral,
    Call,
    Compare,
    Conflicted,
    Contains,
    Field,
    Literal,
    Node,
    Not,
    Operator,
    Or,
    Parameter,
    Path,
    Segment,
    condition,
)

LEXICON: Final = Lexicon(
    symbols=("&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", ":"),
    sigil="$",
    signed=True,
)

OPERATORS: Final[frozenset[str]] = frozenset(get_args(Operator))
CONSTANTS: Final[dict[str, Value]] = {"true": True, "false": False, "null": None}
KEYWORDS: Final = tuple(CONSTANTS)
"""Names that begin no path."""

FUNCTIONS: Final = {
    "contains": "contains",
    "starts_with": "starts_with",
    "startsWith": "starts_with",
    "ends_with": "ends_with",
    "endsWith": "ends_with",
    "regex": "regex",
}
"""Every spelling of a function of two arguments and its canonical name."""

CONFLICTED: Final = "conflicted"
"""The function that takes a path, or nothing."""

VALUE_EXPECTED: Final = ("a field", "a value", "a function", "'('", "'['")
PATH_EXPECTED: Final = ("a name", "'[' and a quoted key")
SEGMENT_EXPECTED: Final = ("an index from 0", "a quoted key", "a name")


def parse(text: str, args: Mapping[str, Value] | None = None) -> Node:
    """Read a query.

    Args:
        text: The query, at most QUERY_BYTES_MAX bytes in UTF-8.
        args: What `$args.name` and `:name` stand for: values of the value model, or tree.Parameter.

    Returns:
        The tree; its root is boolean.

    Raises:
        QuerySyntaxError: Not a query of this language, too deep or too large, or an argument is not there.
        InvalidValue: An argument outside the value model.
        LimitExceeded: An argument nested deeper than DEPTH_MAX.
        StoreError: The query has a regular expression and RE2 is not installed.
    """
    return Parser(text, args or {}).parse_query()


def parse_path(text: str) -> Path:
    """Read a path by itself, as commands name fields: `work['street-line']`, `a.b[0]`.

    Raises:
        QuerySyntaxError: Not a path of this language, or more than DEPTH_MAX segments.
    """
    return Parser(text, {}).parse_whole_path()


class Parser:
    """One text being read: its tokens, how far it has been read, how deep and how much."""

    __slots__ = ("args", "at", "depth", "nodes", "source", "text", "tokens")

    def __init__(self, text: str, args: Mapping[str, Value]) -> None:
        self.text = text
        self.args = args
        self.source = lexer.tokenize(text, LEXICON)
        self.tokens: list[Token] = []
        self.at = 0
        self.depth = 0
        self.nodes = 0

    # --- tokens ---

    def peek(self, ahead: int = 0) -> Token:
        """The token to be read next, or one further ahead."""
        while len(self.tokens) <= self.at + ahead:
            self.tokens.append(next(self.source))
        return self.tokens[self.at + ahead]

    def is_symbol(self, symbol: str, ahead: int = 0) -> bool:
        """Whether a token ahead is this symbol (a string or name of the same text is not)."""
        token = self.peek(ahead)
        return token.kind == lexer.SYMBOL and token.text == symbol

    def take(self) -> Token:
        """Read one token."""
        token = self.peek()
        self.at += 1
        return token

    def take_symbol(self, symbol: str) -> bool:
        """Read this symbol if it is next."""
        found = self.is_symbol(symbol)
        self.at += found
        return found

    def expect(self, symbol: str, *others: str) -> None:
        """Read this symbol; the others could have stood there too."""
        if not self.take_symbol(symbol):
            self.unexpected(self.peek(), *others, f"'{symbol}'")

    def unexpected(self, token: Token, *expected: str) -> NoReturn:
        """Refuse a token."""
        found = "the query ends here" if token.kind == END else f"{lexer.show(token.text)} cannot stand here"
        lexer.fail(self.text, token.start, found, expected)

    def enter(self, token: Token) -> None:
        """Go one level deeper."""
        self.depth += 1
        if self.depth > QUERY_DEPTH_MAX:
            problem = f"the query is nested deeper than {QUERY_DEPTH_MAX} levels (QUERY_DEPTH_MAX)"
            lexer.fail(self.text, token.start, problem)

    def count(self, node: Node) -> Node:
        """Count a node that was made; what comes in through arguments is bounded with the request."""
        self.nodes += 1
        if self.nodes > QUERY_NODES_MAX:
            problem = f"the query has more than {QUERY_NODES_MAX} nodes (QUERY_NODES_MAX)"
            lexer.fail(self.text, self.peek().start, problem)
        return node

    # --- conditions ---

    def parse_query(self) -> Node:
        """The whole text."""
        node = condition(self.parse_or())
        if self.peek().kind != END:
            self.unexpected(self.peek(), "an operator", "the end of the query")
        return node

    def parse_or(self) -> Node:
        """One or more `&&` chains between `||`; without any operator possibly a bare value."""
        node = self.parse_and()
        if not self.is_symbol("||"):
            return node
        operands = [condition(node)]
        while self.take_symbol("||"):
            operands.append(condition(self.parse_and()))
        return self.count(Or(tuple(operands)))

    def parse_and(self) -> Node:
        """One or more comparisons between `&&`."""
        node = self.parse_not()
        if not self.is_symbol("&&"):
            return node
        operands = [condition(node)]
        while self.take_symbol("&&"):
            operands.append(condition(self.parse_not()))
        return self.count(And(tuple(operands)))

    def parse_not(self) -> Node:
        """A comparison with any number of `!` before it, which apply to the whole comparison."""
        before = self.depth
        while self.is_symbol("!"):
            self.enter(self.take())
        node = self.parse_comparison()
        for _ in range(self.depth - before):
            node = self.count(Not(condition(node)))
        self.depth = before
        return node

    def parse_comparison(self) -> Node:
        """One operand, or two with an operator between; a second operator is an error."""
        left = self.parse_operand(lone_is_array=False)
        token = self.peek()
        if token.kind != lexer.SYMBOL or token.text not in OPERATORS:
            return left
        operator: Any = self.take().text
        node = Compare(operator, left, self.parse_operand(lone_is_array=True), LEGACY)
        if self.peek().kind == lexer.SYMBOL and self.peek().text in OPERATORS:
            problem = f"comparisons do not chain: {lexer.show(self.peek().text)} follows another comparison"
            lexer.fail(self.text, self.peek().start, problem, ("'&&'", "'||'", "parentheses"))
        return self.count(node)

    # --- operands ---

    def parse_operand(self, *, lone_is_array: bool) -> Node:
        """A constant, array, call, argument or field, or anything in parentheses."""
        token = self.peek()
        if token.kind in (NUMBER, STRING):
            return self.count(Literal(self.take().value))
        if token.kind == VARIABLE:
            return self.count(constant(self.parse_args()))
        if token.kind == NAME:
            return self.parse_named()
        if self.is_symbol("["):
            return self.parse_bracket(lone_is_array=lone_is_array)
        if self.is_symbol(":"):
            return self.count(constant(self.parse_parameter()))
        if self.is_symbol("("):
            return self.parse_group()
        return self.unexpected(token, *VALUE_EXPECTED)

    def parse_group(self) -> Node:
        """Anything in parentheses; they leave no trace in the tree."""
        depth = self.depth
        self.enter(self.take())
        node = self.parse_or()
        self.expect(")", "an operator")
        self.depth = depth
        return node

    def parse_named(self) -> Node:
        """What begins with a name: a call, a constant or a field."""
        if self.is_symbol("(", 1):
            return self.parse_call()
        if self.peek().text in KEYWORDS:
            return self.count(Literal(CONSTANTS[self.take().text]))
        return self.count(Field(self.parse_path((self.take().text,))))

    def parse_whole_path(self) -> Path:
        """The whole text as a path; alone it may begin with any name."""
        if self.peek().kind != NAME and not self.is_symbol("["):
            self.unexpected(self.peek(), *PATH_EXPECTED)
        path = self.parse_path((self.take().text,) if self.peek().kind == NAME else ())
        if self.peek().kind != END:
            self.unexpected(self.peek(), "'.'", "'['", "the end of the path")
        return path

    def parse_path(self, path: Path) -> Path:
        """The rest of a path: `.name` and `[...]`, as many as there are."""
        segments = list(path)
        while self.is_symbol(".") or self.is_symbol("["):
            token = self.peek()
            segments.append(self.parse_segment())
            if len(segments) > DEPTH_MAX:
                lexer.fail(self.text, token.start, f"a path has more than {DEPTH_MAX} segments (DEPTH_MAX)")
        return tuple(segments)

    def parse_segment(self) -> Segment:
        """One `.name`, `[0]`, `['key']` or `[name]`."""
        if self.take_symbol("."):
            token = self.take()
            if token.kind != NAME:
                self.unexpected(token, "a name")
            return token.text
        self.expect("[")
        token = self.take()
        if not is_segment(token):
            self.unexpected(token, *SEGMENT_EXPECTED)
        self.expect("]")
        segment: Segment = token.value
        return segment

    def lone_bracket(self) -> bool:
        """Whether a single `['x']` or `[x]` is next, which may be the field x or an array with one item.

        A path may begin with a bracket, so both readings are in the grammar. It is a field where a query
        says what it looks at: as a condition, left of an operator, as an argument. It is an array where it
        says what it looks for: right of an operator, inside an array, and as the first argument of
        `contains` unless the second is a constant. `(['x'])` is always the field, `[('x')]` always the
        array.
        """
        inner = self.peek(1)
        named = inner.kind == STRING or (inner.kind == NAME and inner.text not in KEYWORDS)
        return self.is_symbol("[") and named and self.is_symbol("]", 2) and not self.goes_on(3)

    def goes_on(self, ahead: int) -> bool:
        """Whether a path goes on at this token: nothing else can follow a bracket so."""
        return self.is_symbol(".", ahead) or self.is_symbol("[", ahead)

    def parse_bracket(self, *, lone_is_array: bool) -> Node:
        """What begins with a bracket: a field or an array."""
        goes_on = is_segment(self.peek(1)) and self.is_symbol("]", 2) and self.goes_on(3)
        if goes_on or (self.lone_bracket() and not lone_is_array):
            return self.count(Field(self.parse_path(())))
        return self.parse_array()

    def parse_array(self) -> Node:
        """An array; one whose items are all constant becomes one constant."""
        depth = self.depth
        self.enter(self.take())
        items: list[Node] = []
        while items or not self.is_symbol("]"):
            items.append(self.parse_item())
            if not self.take_symbol(","):
                break
        self.expect("]", "','")
        self.depth = depth
        constants = [item.value for item in items if isinstance(item, Literal)]
        if len(constants) == len(items):
            return self.count(Literal(constants))
        return self.count(ArrayLiteral(tuple(items)))

    def parse_item(self) -> Node:
        """One item of an array: `['x']` alone is an array in it, not a field."""
        if self.lone_bracket() and (self.is_symbol(",", 3) or self.is_symbol("]", 3)):
            return self.parse_array()
        return self.parse_or()

    # --- arguments ---

    def parse_args(self) -> Value:
        """`$args.name`, `$args['name']` and further down; there is no other variable."""
        token = self.take()
        if token.value != "args":
            problem = f"there is no variable {lexer.show(token.text)}"
            lexer.fail(self.text, token.start, problem, ("$args.name",))
        if not self.goes_on(0):
            self.unexpected(self.peek(), "'.' and a name", "'[' and a quoted key")
        value: Value = self.args
        while self.goes_on(0):
            token = self.peek()
            value = self.argument(value, self.parse_segment(), token)
        return value

    def parse_parameter(self) -> Value:
        """`:name`, the short form of `$args.name`."""
        token = self.take()
        name = self.take()
        if name.kind != NAME:
            self.unexpected(name, "the name of an argument")
        return self.argument(self.args, name.text, token)

    def argument(self, value: Value, segment: Segment, token: Token) -> Value:
        """One step down into the arguments."""
        if isinstance(segment, str) and isinstance(value, Mapping) and segment in value:
            return value[segment]
        if isinstance(segment, int) and isinstance(value, list) and segment < len(value):
            return value[segment]
        return lexer.fail(self.text, token.start, f"no argument {lexer.show(str(segment))} was given")

    # --- calls ---

    def parse_call(self) -> Node:
        """A function with its two arguments."""
        name, depth = self.take(), self.depth
        self.enter(self.take())
        if name.text == CONFLICTED:
            self.depth = depth
            return self.count(self.parse_conflicted())
        if name.text not in FUNCTIONS:
            problem = f"there is no function {lexer.show(name.text)}"
            lexer.fail(self.text, name.start, problem, (*FUNCTIONS, CONFLICTED))
        function = FUNCTIONS[name.text]
        lone = self.peek(1) if self.lone_bracket() and self.is_symbol(",", 3) else None
        first = self.parse_argument(name, ",")
        second_token = self.peek()
        second = self.parse_argument(name, ")")
        self.depth = depth
        if function == "contains":
            if lone is not None and not isinstance(second, Literal):
                first = self.array_of_one(lone)
            return self.count(Contains(first, second, LEGACY))
        if function == "regex":
            self.check_pattern(second, second_token)
        return self.count(Call(function, (first, second)))

    def parse_conflicted(self) -> Node:
        """`conflicted(path)` behind its parenthesis; without a path it asks for any."""
        if self.take_symbol(")"):
            return Conflicted(())
        token = self.peek()
        node = self.parse_operand(lone_is_array=False)
        if not isinstance(node, Field):
            lexer.fail(self.text, token.start, "conflicted takes a path", PATH_EXPECTED)
        self.expect(")")
        return Conflicted(node.path)

    def parse_argument(self, name: Token, after: str) -> Node:
        """One argument and what must follow it; the other separator means another number of arguments."""
        node = None if self.is_symbol(")") else self.parse_or()
        if node is None or (self.peek().text in (",", ")") and not self.is_symbol(after)):
            lexer.fail(self.text, self.peek().start, f"{name.text} takes two arguments")
        self.expect(after, "an operator")
        return node

    def array_of_one(self, token: Token) -> Node:
        """The array that a lone bracket holds: its one token is a string or a name."""
        if token.kind == STRING:
            return Literal([token.value])
        return self.count(ArrayLiteral((Field((token.text,)),)))

    def check_pattern(self, pattern: Node, token: Token) -> None:
        """Refuse a pattern that is no constant string, or that RE2 refuses."""
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            lexer.fail(self.text, token.start, "the pattern of regex must be known beforehand", ("a string",))
        try:
            compile_pattern(pattern.value)
        except InvalidValue as error:
            lexer.fail(self.text, token.start, f"RE2 refuses the regular expression ({error.data['reason']})")


def is_segment(token: Token) -> bool:
    """Whether a token may stand in the brackets of a path."""
    if token.kind == NUMBER:
        return isinstance(token.value, int) and not token.text.startswith("-")
    return token.kind in (STRING, NAME)


def constant(value: Value | Parameter) -> Node:
    """The node of an argument: its value, or the parameter that stands for it."""
    return value if isinstance(value, Parameter) else Literal(plain_copy(value))


def plain_copy(value: Value) -> Value:
    """A checked copy of an argument in exactly the types of the value model, which no caller can change."""
    check_value(value)
    return decode_value(encode_value(value))
