"""Programs of the naive interpreter as text: a printer of its own.

Rules: parentheses stand where docs/query-dql-grammar.md asks for them, and at random where it does not; words are in
either case; operators that have two spellings have either. A constant may become a parameter.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

from tests.query.worlds.dql import quote, write_path, write_value
from tests.statement.naive import Delete, Insert, Statement, Update
from tests.statement.naive_expressions import Expression
from tests.statement.naive_select import Join, Projection, Select, SortKey, Source

LEVELS: Final = {"or": 5, "xor": 7, "and": 10, "not": 15, "is": 17, "like": 19, "compare": 20, "in": 20, "between": 20}
SIGNS: Final = {"<<": 22, ">>": 22, "+": 30, "-": 30, "||": 30, "*": 40, "/": 40, "%": 40}
SPELLED: Final = {"==": ("=", "=="), "!=": ("!=", "<>")}
PRIMARY: Final = 60


class Writer:
    """Writes one statement; what is free is chosen at random."""

    def __init__(self, random: Random, parameters: dict[str, Any]) -> None:
        self.random = random
        self.parameters = parameters
        self.lower = random.random() < 0.3
        self.share = 0.15
        """How many constants become parameters."""

    def word(self, words: str) -> str:
        """Keywords."""
        return words.lower() if self.lower else words

    # --- expressions ---

    def expression(self, expression: Expression, least: int = 0) -> str:
        """An expression where one of at least this level may stand."""
        written = getattr(self, f"write_{expression[0]}")(expression)
        free = level_of(expression) >= least and self.random.random() < 0.95
        return str(written) if free else f"({written})"

    def listed(self, expressions: Any) -> str:
        """Several, with commas between them."""
        return ", ".join([self.expression(each) for each in expressions])

    def write_value(self, expression: Expression) -> str:
        return write_value(self.random, expression[1], self.parameters, self.share)

    def write_missing(self, _expression: Expression) -> str:
        return self.word("MISSING")

    def write_parameter(self, expression: Expression) -> str:
        return f":{expression[1]}"

    def write_path(self, expression: Expression) -> str:
        return write_path(self.random, expression[1])

    def write_array(self, expression: Expression) -> str:
        return f"[{self.listed(expression[1])}]"

    def write_object(self, expression: Expression) -> str:
        return "{" + ", ".join([f"{quote(key)}: {self.expression(each)}" for key, each in expression[1]]) + "}"

    def write_negate(self, expression: Expression) -> str:
        return f"- {self.expression(expression[1], 50)}"

    def write_binary(self, expression: Expression) -> str:
        _, sign, left, right = expression
        return f"{self.expression(left, SIGNS[sign])} {sign} {self.expression(right, SIGNS[sign] + 1)}"

    def write_compare(self, expression: Expression) -> str:
        _, sign, left, right = expression
        sign = self.random.choice(SPELLED.get(sign, (sign,)))
        return f"{self.expression(left, 20)} {sign} {self.expression(right, 22)}"

    def write_logic(self, expression: Expression) -> str:
        _, word, parts = expression
        return f" {self.word(word.upper())} ".join([self.expression(part, LEVELS[word] + 1) for part in parts])

    def write_not(self, expression: Expression) -> str:
        inner = expression[1]
        if inner[0] in ("in", "between", "like", "is") and self.random.random() < 0.7:
            return self.tested(inner, "NOT ")
        return f"{self.word('NOT')} {self.expression(inner, 15)}"

    def tested(self, expression: Expression, negated: str) -> str:
        """IN, BETWEEN, LIKE and IS, with NOT or without."""
        match expression:
            case ("in", item, looked_in):
                return f"{self.expression(item, 20)} {self.word(f'{negated}IN')} {self.looked_in(looked_in)}"
            case ("between", one, low, high):
                bounds = f"{self.expression(low, 22)} {self.word('AND')} {self.expression(high, 22)}"
                return f"{self.expression(one, 20)} {self.word(f'{negated}BETWEEN')} {bounds}"
            case ("like", word, text, pattern):
                spelled = self.word(negated + ("SIMILAR TO" if word == "similar" else word.upper()))
                return f"{self.expression(text, 19)} {spelled} {self.expression(pattern, 20)}"
            case (_, what, one):
                return f"{self.expression(one, 17)} {self.word(f'IS {negated}{what.upper()}')}"
        raise AssertionError(expression)

    def write_in(self, expression: Expression) -> str:
        return self.tested(expression, "")

    write_between = write_like = write_is = write_in

    def looked_in(self, expression: Expression) -> str:
        """An array behind IN: a list in parentheses, or what needs none."""
        if expression[0] == "array" and expression[1] and self.random.random() < 0.5:
            return f"({self.listed(expression[1])})"
        return str(getattr(self, f"write_{expression[0]}")(expression))

    def write_case(self, expression: Expression) -> str:
        _, subject, branches, otherwise = expression
        parts = [self.word("CASE")] + ([] if subject is None else [self.expression(subject)])
        for when, then in branches:
            parts += [self.word("WHEN"), self.expression(when), self.word("THEN"), self.expression(then)]
        parts += [] if otherwise is None else [self.word("ELSE"), self.expression(otherwise)]
        return " ".join([*parts, self.word("END")])

    def write_quantified(self, expression: Expression) -> str:
        _, word, variable, looked_in, condition = expression
        items = f"{self.word(word.upper())} {variable} {self.word('IN')} {self.looked_in(looked_in)}"
        return f"{items} {self.word('SATISFIES')} {self.expression(condition)} {self.word('END')}"

    def write_call(self, expression: Expression) -> str:
        return f"{expression[1]}({self.listed(expression[2])})"

    def write_aggregate(self, expression: Expression) -> str:
        _, name, argument, distinct = expression
        inside = "*" if argument is None else self.word("DISTINCT ") * distinct + self.expression(argument)
        return f"{self.word(name.upper())}({inside})"

    # --- statements ---

    def statement(self, statement: Statement) -> str:
        """A whole statement."""
        if isinstance(statement, Select):
            return self.select(statement)
        if isinstance(statement, Insert):
            return self.insert(statement)
        return self.update(statement) if isinstance(statement, Update) else self.delete(statement)

    def part(self, words: str, written: Any) -> str:
        """A part of a statement that may not be there."""
        return f" {self.word(words)} {written}" if written else ""

    def value(self, words: str, expression: Expression | None) -> str:
        """A part that is an expression."""
        return "" if expression is None else self.part(words, self.expression(expression))

    def projections(self, projections: tuple[Projection, ...]) -> str:
        """What is shown."""
        return ", ".join([self.projection(each) for each in projections])

    def projection(self, projection: Projection) -> str:
        """One column, or all."""
        match projection:
            case ("column", expression, name):
                return self.expression(expression) + (f" {self.word('AS')} {name}" if name else "")
            case ("all of", alias):
                return f"{alias}.*"
            case ("without", path):
                return f"{self.word('MISSING')} {write_path(self.random, path)}"
        return "*"

    def source(self, source: Source) -> str:
        """A collection."""
        written = source.collection + (f" {self.word('AS')} {source.alias}" if source.alias else "")
        if source.ids is None:
            return written
        if source.ids[:1] == ("list",):
            return f"{written} {self.word('USE IDS LIST')} :{source.ids[1]}"
        return f"{written} {self.word('USE IDS')} {', '.join(map(self.write_value, source.ids))}"

    def join(self, join: Join) -> str:
        """A further source."""
        words = {"inner": ("JOIN", "INNER JOIN"), "left": ("LEFT JOIN", "LEFT OUTER JOIN"), "right": ("RIGHT JOIN",)}
        word = self.word(self.random.choice(words[join.kind]))
        return f" {word} {self.source(join.source)} {self.word('ON')} {self.expression(join.on)}"

    def order(self, order: tuple[SortKey, ...]) -> str:
        """ORDER BY."""
        spelled = {False: ("", " ASC"), True: (" DESC",)}
        keys = [self.expression(key) + self.word(self.random.choice(spelled[down])) for key, down in order]
        return self.part("ORDER BY", ", ".join(keys))

    def tail(self, statement: Select | Delete) -> str:
        """ORDER BY, LIMIT and OFFSET."""
        amounts = self.value("LIMIT", statement.limit) + self.value("OFFSET", statement.offset)
        return self.order(statement.order) + amounts

    def select(self, select: Select) -> str:
        """SELECT; what is grouped by has to look alike wherever it stands."""
        self.share = 0 if select.group else self.share
        shown = self.word("DISTINCT ") * select.distinct + self.projections(select.projections)
        text = f"{self.word('SELECT')} {shown} {self.word('FROM')} {self.source(select.source)}"
        text += "".join(map(self.join, select.joins)) + self.value("WHERE", select.where)
        return (
            text
            + self.part("GROUP BY", self.listed(select.group))
            + self.value("HAVING", select.having)
            + self.tail(select)
        )

    def insert(self, insert: Insert) -> str:
        """INSERT."""
        text = f"{self.word('INSERT INTO')} {self.source(insert.source)} "
        if insert.select is not None:
            text += self.select(insert.select)
        else:
            documents = ", ".join([f"({self.expression(each)})" for each in insert.documents])
            text += self.word("INITIAL DOCUMENTS " if insert.initial else "DOCUMENTS ") + documents
        if not insert.initial and (insert.policy != "fail" or self.random.random() < 0.1):
            text += self.word(f" ON ID CONFLICT DO {insert.policy.upper()}")
        return text + self.part("RETURNING", self.projections(insert.returning))

    def update(self, update: Update) -> str:
        """UPDATE."""
        text = f"{self.word('UPDATE')} {self.source(update.source)}"
        text += self.part("APPLY", ", ".join([self.applied(*each) for each in update.apply]))
        changes = [f"{write_path(self.random, path)} = {self.expression(value)}" for path, value in update.set]
        text += self.part("SET", ", ".join(changes))
        text += self.part("UNSET", ", ".join([write_path(self.random, path) for path in update.unset]))
        return text + self.value("WHERE", update.where) + self.part("RETURNING", self.projections(update.returning))

    def applied(self, path: tuple[str, ...], operation: str, value: Expression | None) -> str:
        """A counter that is changed."""
        word = self.word("INCREMENT BY" if operation == "increment" else "RESTART" if value is None else "RESTART WITH")
        return f"{write_path(self.random, path)} {word}" + (f" {self.expression(value)}" if value else "")

    def delete(self, delete: Delete) -> str:
        """DELETE."""
        word = self.word("TOMBSTONE FROM" if delete.buries else "DELETE FROM")
        text = f"{word} {self.source(delete.source)}{self.value('WHERE', delete.where)}"
        return text + self.tail(delete) + self.part("RETURNING", self.projections(delete.returning))


def level_of(expression: Expression) -> int:
    """How tightly an expression binds."""
    match expression:
        case ("logic", word, _):
            return LEVELS[word]
        case ("binary", sign, _, _):
            return SIGNS[sign]
        case ("negate", _):
            return 50
        case ("not", _):
            # It may be written behind its operand, as an operator of another level.
            return LEVELS["not"]
        case ("value", value) if isinstance(value, int | float) and str(value)[0] == "-":
            return 50
    return LEVELS.get(expression[0], PRIMARY)
