"""What could stand where the cursor is: keywords, functions, collections, fields, parameters, dot commands.

Rules: where a collection is expected only those are offered; elsewhere the fields of the collections that the text
names come first. A keyword is written as what was typed of it: `sel` becomes `select`. A name that cannot stand as it
is comes in backticks. Inside strings and comments nothing is offered.

Not here: how offers are shown (`prompt`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from crdtstore.cli.shell.colors import KEYWORDS
from crdtstore.cli.shell.dot_commands import DOT_COMMANDS
from crdtstore.cli.shell.output import FORMATS
from crdtstore.cli.shell.statements import PART, split
from crdtstore.query.dql.signatures import AGGREGATES, FUNCTIONS
from crdtstore.query.dql.statement_parser import STATEMENTS
from crdtstore.query.dql.words import is_reserved

WORD: Final = re.compile(r"[A-Za-z0-9_]*\Z")
PLACE_OF_COLLECTION: Final = re.compile(
    r"\b(?:FROM|INTO|UPDATE|JOIN|COLLECTION)\s+\Z|\bINDEX\s.*\bON\s+\Z", re.IGNORECASE | re.DOTALL
)
SOURCE: Final = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN|COLLECTION|ON)\s+(`(?:[^`]|``)+`|\w+)", re.IGNORECASE)
PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

CHOICES: Final[Mapping[str, Sequence[str]]] = {".format": FORMATS, ".timing": ("on", "off")}


class Offer(NamedTuple):
    """A text that could stand here, in place of so many characters before the cursor; and what it is."""

    text: str
    replaces: int
    kind: str


class Names(Protocol):
    """What there is to name."""

    def collections(self) -> Iterable[str]:
        """The collections."""

    def fields(self, collection: str) -> Iterable[str]:
        """The fields of a collection's documents."""

    def parameters(self) -> Iterable[str]:
        """The parameters that have a value."""


def offers(text: str, before: str, names: Names) -> Iterator[Offer]:
    """What could stand at the cursor.

    Args:
        text: All that was typed.
        before: What of it stands before the cursor.
        names: What there is to name.
    """
    if before.startswith("."):
        yield from dot_offers(before, names)
        return
    typed = typed_of(before)
    if typed is None or typed[:1].isdigit():
        return
    *_, piece = split(before)
    head = piece.text[: len(piece.text) - len(typed)]
    for word, kind in candidates(statement_at(text, len(before)), head, typed, names):
        if plain(word).casefold().startswith(typed.lstrip("`").casefold()) and word != typed:
            yield Offer(word, len(typed), kind)


def typed_of(before: str) -> str | None:
    """What was typed of the word at the cursor; None inside a string or a comment."""
    last = deque(PART.finditer(before), 1)
    if not last:
        return ""
    [part] = last
    if part.lastgroup == "open":
        return part[0] if part[0].startswith("`") else None
    if part[0].startswith("--"):
        return None
    word = WORD.search(before)
    return word[0] if word else ""


def candidates(statement: str, head: str, typed: str, names: Names) -> Iterator[tuple[str, str]]:
    """All that could stand behind a text, the likelier first."""
    if PLACE_OF_COLLECTION.search(head):
        yield from ((quoted(name), "collection") for name in names.collections())
        return
    if head.endswith(":"):
        yield from ((name, "parameter") for name in names.parameters())
        return
    if is_blank(head):
        yield from ((cased(word, typed), "keyword") for word in STATEMENTS)
        return
    fields = dict.fromkeys(field for source in sources_of(statement) for field in names.fields(source))
    yield from ((quoted(name), "field") for name in fields)
    if not head.endswith(".") and not typed.startswith("`"):
        yield from ((cased(word, typed), "keyword") for word in sorted(KEYWORDS))
        yield from ((f"{name}(", "function") for name in sorted({*FUNCTIONS, *AGGREGATES}) if typed)


def dot_offers(line: str, names: Names) -> Iterator[Offer]:
    """What could stand at the end of a dot command."""
    name, space, rest = line.partition(" ")
    if not space:
        yield from (Offer(known, len(line), "command") for known in DOT_COMMANDS if known.startswith(line))
    elif name == ".fields":
        collections = filter(lambda known: known.casefold().startswith(rest.casefold()), names.collections())
        yield from (Offer(known, len(rest), "collection") for known in collections)
    else:
        yield from (Offer(word, len(rest), "choice") for word in CHOICES.get(name, ()) if word.startswith(rest))


def statement_at(text: str, at: int) -> str:
    """The statement in which a place is."""
    end = 0
    for piece in split(text):
        end += len(piece.text) + piece.ended
        if end > at or not piece.ended:
            return piece.text
    return ""


def sources_of(statement: str) -> Iterator[str]:
    """The collections that a statement names."""
    for source in SOURCE.finditer(statement):
        yield plain(source[1])


def is_blank(text: str) -> bool:
    """Whether a text says nothing."""
    return all(piece.blank for piece in split(text))


def quoted(name: str) -> str:
    """A name as a statement holds it."""
    if PLAIN_NAME.fullmatch(name) and not is_reserved(name, "v5"):
        return name
    return "`" + name.replace("`", "``") + "`"


def plain(name: str) -> str:
    """A name without its backticks."""
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def cased(word: str, typed: str) -> str:
    """A keyword in the letters in which it was begun."""
    return word.lower() if typed.islower() else word
