"""The prompt: statements that a person types, run one after the other.

Rules: Enter runs what is typed once it ends in `;` or is a dot command; before that it begins a new line. Ctrl-C
forgets what is typed, or stops the statement that runs; Ctrl-D leaves. An error is told, and the session goes on.

Not here: what is offered (`completion`), what is colored (`colors`), what a statement does (`session`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Final

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from crdtstore._version import __version__
from crdtstore.cli.output import note
from crdtstore.cli.shell.colors import spans_of
from crdtstore.cli.shell.completion import offers
from crdtstore.cli.shell.database import collections, sample
from crdtstore.cli.shell.dot_commands import Leave, run_pieces
from crdtstore.cli.shell.history import open_history
from crdtstore.cli.shell.session import Session
from crdtstore.cli.shell.statements import is_whole, read_pieces, writes
from crdtstore.errors import CrdtStoreError

PROMPT: Final = "crdtstore> "
CONTINUED: Final = "...> ".rjust(len(PROMPT))

STYLE: Final = Style.from_dict(
    {
        "keyword": "bold ansiblue",
        "function": "ansicyan",
        "name": "ansiyellow",
        "number": "ansimagenta",
        "string": "ansigreen",
        "parameter": "ansimagenta",
        "comment": "ansibrightblack",
        "prompt": "bold",
        "continued": "ansibrightblack",
    }
)


def interact(session: Session) -> None:
    """Ask for statements and run them, until whoever types them leaves."""
    click.echo(f"crdtstore {__version__} on {session.database.place}. A statement ends with ;  .help  Ctrl-D leaves")
    names = SessionNames(session)
    prompt = prompt_of(names)
    while True:
        try:
            text = prompt.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        names.forget()
        try:
            run_typed(session, text)
        except Leave:
            return


def run_typed(session: Session, text: str) -> None:
    """Run what was typed, and tell what went wrong.

    Raises:
        Leave: The session ends.
    """
    pieces = list(read_pieces(StringIO(text)))
    try:
        run_pieces(session, pieces)
    except KeyboardInterrupt:
        writing = any(writes(piece.text) for piece in pieces if not piece.blank and not piece.dotted)
        # The first line is the one in which the terminal shows ^C.
        note("\nNot waited for any longer; it may still be done." if writing else "\nStopped.")
    except CrdtStoreError as error:
        note(f"Error: {error.message}")
    except click.ClickException as error:
        note(f"Error: {error.format_message()}")
    except OSError as error:
        note(f"Error: {error.strerror or error}.")


@dataclass(slots=True)
class SessionNames:
    """The names that a session knows; looked up once between two statements."""

    session: Session
    kept: dict[str, list[str]] = field(default_factory=dict)

    def forget(self) -> None:
        """Look names up anew."""
        self.kept.clear()

    def collections(self) -> Iterable[str]:
        """The collections."""
        return self.known("", lambda: collections(self.session.database))

    def fields(self, collection: str) -> Iterable[str]:
        """The fields of a collection."""
        return self.known(f"/{collection}", lambda: self.fields_of(collection))

    def parameters(self) -> Iterable[str]:
        """The parameters that have a value."""
        return list(self.session.parameters)

    def fields_of(self, collection: str) -> Iterable[str]:
        """The fields of a collection's first documents."""
        documents = sample(self.session.database, collection)
        return dict.fromkeys(name for document in documents for name in document)

    def known(self, key: str, look: Callable[[], Iterable[str]]) -> list[str]:
        """What was looked up; nothing where that fails, for nobody asked."""
        if key not in self.kept:
            try:
                self.kept[key] = list(look())
            except (CrdtStoreError, OSError):
                self.kept[key] = []
        return self.kept[key]


class ShellCompleter(Completer):
    """Offers, as the prompt takes them."""

    def __init__(self, names: SessionNames) -> None:
        self.names = names

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """What could stand at the cursor."""
        for offer in offers(document.text, document.text_before_cursor, self.names):
            yield Completion(offer.text, -offer.replaces, display_meta=offer.kind)


class ShellLexer(Lexer):
    """Spans, as the prompt takes them: line by line."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The styles of each line."""
        styled: StyleAndTextTuples = [(f"class:{kind}", text) for kind, text in spans_of(document.text)]
        lines = list(split_lines(styled))
        return lambda number: lines[number] if number < len(lines) else []


def prompt_of(names: SessionNames) -> PromptSession[str]:
    """The prompt of a session."""
    return PromptSession(
        [("class:prompt", PROMPT)],
        multiline=True,
        prompt_continuation=lambda *_: [("class:continued", CONTINUED)],
        key_bindings=bindings(),
        completer=ShellCompleter(names),
        complete_while_typing=False,
        lexer=ShellLexer(),
        history=open_history(),
        style=STYLE,
        color_depth=ColorDepth.MONOCHROME if os.environ.get("NO_COLOR") else None,
    )


def bindings() -> KeyBindings:
    """What Enter does."""
    keys = KeyBindings()

    @keys.add("enter")
    def enter(event: KeyPressEvent) -> None:
        buffer: Any = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
        elif is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys
