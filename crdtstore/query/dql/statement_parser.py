"""Text to a statement of the statement language, by recursive descent.

Rules: one statement, nothing behind it. docs/query-dql-grammar.md holds the grammar. What is wrong in a statement
whatever stands in the store is refused here: a path that is changed twice, the id that is changed, `*` beside other
columns, an aggregate where there are no groups.

Not here: expressions (`expression_parser`); what a server or a subscription allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from crdtstore.limits import DEPTH_MAX, QUERY_EXCERPT_CHARS_MAX
from crdtstore.query import lexer
from crdtstore.query.dql import messages
from crdtstore.query.dql.expression import Expression
from crdtstore.query.dql.profile import Profile
from crdtstore.query.dql.source_parser import SourceParser
from crdtstore.query.dql.statement import (
    AlterSystem,
    Apply,
    Assignment,
    CreateIndex,
    DropIndex,
    Explain,
    Insert,
    Join,
    Keys,
    Policy,
    Projection,
    Remove,
    Runnable,
    Select,
    Show,
    SortKey,
    Statement,
    Update,
)
from crdtstore.query.dql.tokens import END, NAME, Token
from crdtstore.query.tree import ID_PATH

STATEMENTS: Final = (
    *("SELECT", "INSERT", "UPDATE", "DELETE", "EVICT", "TOMBSTONE"),
    *("CREATE", "DROP", "ALTER", "SHOW", "EXPLAIN", "PROFILE", "ADVISE"),
)
REMOVALS: Final = ("DELETE", "EVICT", "TOMBSTONE")
EXPLAINS: Final = ("EXPLAIN", "PROFILE", "ADVISE")
JOINS: Final = ("INNER", "LEFT", "RIGHT", "JOIN")


def parse(text: str, profile: Profile = "v5") -> Statement:
    """Read a statement.

    Args:
        text: At most QUERY_BYTES_MAX bytes in UTF-8.
        profile: The version of the language.

    Raises:
        QuerySyntaxError: Not a statement, too deep or too large: with line, column and what was expected, and
            `description` where the sentence is public.
    """
    return StatementParser(text, profile).whole()


def parse_expression(text: str, profile: Profile = "v5") -> Expression:
    """Read a text that is one expression without aggregates, as permissions hold them.

    Raises:
        QuerySyntaxError: As `parse`.
    """
    parser = StatementParser(text, profile)
    found = parser.expression()
    parser.end()
    return found


class StatementParser(SourceParser):
    """One text being read as a statement."""

    def whole(self) -> Statement:
        """The whole text."""
        word = self.take_word(*EXPLAINS)
        verb: Any = word.lower()
        found = Explain(verb, self.runnable()) if word else self.runnable()
        self.end()
        return found

    def end(self) -> None:
        """Refuse anything that follows."""
        if self.peek().kind != END:
            self.unexpected("the end of the statement")

    def runnable(self) -> Runnable:
        """Any statement but EXPLAIN and the like."""
        readers: dict[str, Callable[[], Runnable]] = {
            "SELECT": self.select,
            "INSERT": self.insert,
            "UPDATE": self.update,
            "CREATE": self.create_index,
            "DROP": self.drop_index,
            "ALTER": self.alter_system,
            "SHOW": lambda: Show(self.parameter()),
        }
        word = self.take_word(*readers, *REMOVALS)
        if not word:
            self.unexpected(*STATEMENTS)
        return readers[word]() if word in readers else self.remove(word)

    # --- select ---

    def select(self) -> Select:
        """What stands behind SELECT."""
        distinct = bool(self.take_word("DISTINCT"))
        projections = self.projections()
        self.expect_word("FROM")
        source = self.source_with_use()
        joins: list[Join] = []
        while self.word() in JOINS:
            joins.append(self.join(first=not joins))
        where = self.where()
        group = self.by(self.expression) if self.take_word("GROUP") else ()
        having = self.counted(self.expression) if self.take_word("HAVING") else None
        order, limit, offset = self.tail()
        return Select(projections, source, distinct, tuple(joins), where, group, having, order, limit, offset)

    def by(self, read: Callable[[], Any]) -> tuple[Any, ...]:
        """BY, and a list."""
        self.expect_word("BY")
        return self.several(read)

    def where(self) -> Expression | None:
        """WHERE and its condition, if they come next."""
        return self.expression() if self.take_word("WHERE") else None

    def tail(self) -> tuple[tuple[SortKey, ...], Expression | None, Expression | None]:
        """ORDER BY, LIMIT and OFFSET."""
        order = self.by(lambda: self.counted(self.sort_key)) if self.take_word("ORDER") else ()
        limit = self.expression() if self.take_word("LIMIT") else None
        return order, limit, self.expression() if self.take_word("OFFSET") else None

    def sort_key(self) -> SortKey:
        """One key of an order."""
        value = self.expression()
        return SortKey(value, self.take_word("ASC", "DESC") == "DESC")

    # --- changes ---

    def insert(self) -> Insert:
        """What stands behind INSERT."""
        self.expect_word("INTO")
        source = self.source()
        word = self.expect_word("DOCUMENTS", "INITIAL", "SELECT")
        if word == "INITIAL":
            self.expect_word("DOCUMENTS")
            return Insert(source, self.several(self.document), initial=True, returning=self.returning())
        if word == "SELECT":
            return Insert(source, select=self.select(), policy=self.policy(), returning=self.returning())
        documents = self.several(self.document)
        return Insert(source, documents, policy=self.policy(), returning=self.returning())

    def document(self) -> Expression:
        """A document in parentheses."""
        self.expect_symbol("(")
        found = self.expression()
        self.expect_symbol(")", "an operator")
        return found

    def policy(self) -> Policy:
        """What happens where an id is there already."""
        if not self.take_word("ON"):
            return "fail"
        self.expect_word("ID")
        self.expect_word("CONFLICT")
        written = self.take_word("DO")
        choices = ("FAIL", "NOTHING", "UPDATE", "UPDATE_LOCAL_DIFF") if written else ("FAIL",)
        if not written and self.word() != "FAIL":
            self.unexpected("DO", "FAIL")
        policy: Any = self.expect_word(*choices).lower()
        return policy  # type: ignore[no-any-return]

    def returning(self) -> tuple[Projection, ...]:
        """RETURNING and its items, if they come next."""
        return self.projections() if self.take_word("RETURNING") else ()

    def update(self) -> Update:
        """What stands behind UPDATE."""
        source = self.source_with_use()
        applied: list[Apply] = []
        assigned: list[Assignment] = []
        unset: list[Keys] = []
        changed: set[Keys] = set()
        while (word := self.take_word("APPLY", "SET", "UNSET")) or not changed:
            if word == "APPLY":
                self.several(lambda: applied.append(self.application(changed)))
            elif word == "SET":
                self.several(lambda: self.assignment((), assigned, unset, changed))
            elif word == "UNSET":
                self.several(lambda: unset.append(self.keys((), changed)))
            else:
                self.unexpected("SET", "UNSET", "APPLY")
        where = self.where()
        return Update(source, tuple(applied), tuple(assigned), tuple(unset), where, self.returning())

    def keys(self, above: Keys, changed: set[Keys] | None) -> Keys:
        """The path of a change, which nothing else in the statement may change."""
        token = self.peek()
        self.count()
        found: list[str] = [*above]
        for segment in self.path():
            if isinstance(segment, int):
                self.fail(token, "an item of an array cannot be changed by itself")
            found.append(segment)
        if len(found) > DEPTH_MAX:
            self.fail(token, f"a path has more than {DEPTH_MAX} segments (DEPTH_MAX)")
        if changed is not None:
            self.claim(token, tuple(found), changed)
        return tuple(found)

    def claim(self, token: Token, path: Keys, changed: set[Keys]) -> None:
        """Note a path that is changed."""
        if path[:1] == ID_PATH:
            self.fail(token, messages.ID_NOT_MODIFIABLE, description=messages.ID_NOT_MODIFIABLE)
        if path in changed:
            name = ".".join(path)
            shown = messages.modified_twice(lexer.printable(name[:QUERY_EXCERPT_CHARS_MAX]))
            self.fail(token, shown, description=messages.modified_twice(name))
        changed.add(path)

    def application(self, changed: set[Keys]) -> Apply:
        """A counter and what is done to it."""
        path = self.keys((), changed)
        word = self.expect_word("INCREMENT", "PN_INCREMENT", "RESTART")
        if word == "RESTART":
            return Apply(path, "restart", self.expression() if self.take_word("WITH") else None)
        self.expect_word("BY")
        operation: Any = word.lower()
        return Apply(path, operation, self.expression())

    def assignment(self, above: Keys, assigned: list[Assignment], unset: list[Keys], changed: set[Keys]) -> None:
        """`path = value`, `path -> mutator`."""
        token = self.peek()
        path = self.keys(above, None)
        if self.take_symbol("="):
            self.claim(token, path, changed)
            assigned.append(Assignment(path, self.expression()))
        elif not self.take_symbol("->"):
            self.unexpected("'='", "'->'")
        elif self.is_symbol("("):
            self.inside(lambda: self.several(lambda: self.assignment(path, assigned, unset, changed)))
            self.expect_symbol(")", "','")
        else:
            self.claim(token, path, changed)
            word = self.expect_word("TOMBSTONE", "DEFAULT")
            self.expect_symbol("(")
            self.expect_symbol(")")
            if word == "TOMBSTONE":
                unset.append(path)
            else:
                assigned.append(Assignment(path, None))

    def remove(self, word: str) -> Remove:
        """What stands behind DELETE, EVICT and TOMBSTONE."""
        self.expect_word("FROM")
        source = self.source_with_use()
        where = self.where()
        order, limit, offset = self.tail()
        verb: Any = word.lower()
        return Remove(verb, source, where, order, limit, offset, self.returning())

    # --- indexes and the system ---

    def create_index(self) -> CreateIndex:
        """What stands behind CREATE."""
        self.expect_word("INDEX")
        absent = self.word() == "IF" and self.word(1) == "NOT"
        if absent:
            self.at += 2
            self.expect_word("EXISTS")
        name, collection = self.index_on()
        self.expect_symbol("(")
        paths = self.several(self.path)
        self.expect_symbol(")", "','")
        return CreateIndex(name, collection, paths, absent)

    def drop_index(self) -> DropIndex:
        """What stands behind DROP."""
        self.expect_word("INDEX")
        present = self.word() == "IF" and self.word(1) == "EXISTS"
        self.at += 2 * present
        name, collection = self.index_on()
        return DropIndex(name, collection, present)

    def index_on(self) -> tuple[str, str]:
        """An index and its collection."""
        name = self.identifier()
        self.expect_word("ON")
        self.take_word("COLLECTION")
        return name, self.identifier()

    def parameter(self) -> str:
        """The name of a parameter of the store: words, reserved ones too, with points between them."""
        words = [self.system_word()]
        while self.take_symbol("."):
            words.append(self.system_word())
        return ".".join(words)

    def system_word(self) -> str:
        """One word of such a name."""
        self.count()
        return str(self.take().value) if self.peek().kind == NAME else self.unexpected("the name of a parameter")

    def alter_system(self) -> AlterSystem:
        """What stands behind ALTER."""
        self.expect_word("SYSTEM")
        self.expect_word("SET")
        name = self.parameter()
        self.expect_symbol("=")
        return AlterSystem(name, self.expression())
