"""Replicas of pycrdt that apply the messages of many actors: a document for each of ours, or one for all.

Rules: messages are made before anything is measured, an update for each operation. pycrdt has no counter, so
`count` is a map with a number for each actor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

from bench.workloads import Edit

ROOT = "documents"

Message: TypeAlias = tuple[int, bytes]
"""A document of pycrdt, by its number, and an update to it."""


class Layout(NamedTuple):
    """The base as one update for each document of pycrdt, and in which of them ours stand."""

    base: Sequence[bytes]
    places: Sequence[int]


def layouts(documents: Sequence[Mapping[str, Any]]) -> dict[str, Layout]:
    """Both ways to keep our documents in pycrdt."""
    everything = range(len(documents))
    return {
        "a document each": Layout([encoded([fields]) for fields in documents], everything),
        "one document": Layout([encoded(documents)], [0] * len(documents)),
    }


def encoded(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """Some of our documents in one of pycrdt, as an update."""
    pycrdt = import_module("pycrdt")
    document = pycrdt.Doc()
    roots = document.get(ROOT, type=pycrdt.Array)
    with document.transaction():
        for fields in documents:
            counted = {**fields, "count": {}}
            made = {name: pycrdt.Map(one) if isinstance(one, dict) else one for name, one in counted.items()}
            roots.append(pycrdt.Map(made))
    update: bytes = document.get_update()
    return update


class Replica:
    """Documents of pycrdt that begin at the base."""

    def __init__(self, layout: Layout) -> None:
        pycrdt = import_module("pycrdt")
        self.documents = [pycrdt.Doc() for _ in layout.base]
        self.roots: list[Any] = []
        for document, update in zip(self.documents, layout.base, strict=True):
            document.apply_update(update)
            self.roots.extend(document.get(ROOT, type=pycrdt.Array))

    def receive(self, messages: Iterable[Message]) -> None:
        """Apply messages as they come."""
        applying: list[Callable[[bytes], None]] = [document.apply_update for document in self.documents]
        for number, update in messages:
            applying[number](update)

    def send(self, layout: Layout, actor: int, made: Sequence[Edit]) -> list[Message]:
        """Do an actor's operations, and return the message of each."""
        updates: list[bytes] = []
        # A document forgets who listens when nobody holds what `observe` gave.
        listening = [document.observe(lambda event: updates.append(event.update)) for document in self.documents]
        for edit in made:
            apply_edit(self.roots[edit.document], edit, str(actor))
        for document, listener in zip(self.documents, listening, strict=True):
            document.unobserve(listener)
        return [(layout.places[edit.document], update) for edit, update in zip(made, updates, strict=True)]

    def count(self, number: int) -> int:
        """The counter of one of our documents."""
        return int(sum(self.roots[number]["count"].to_py().values()))


def apply_edit(root: Any, edit: Edit, actor: str) -> None:
    """One operation on one of our documents."""
    if edit.value is None:
        totals = root["count"]
        totals[actor] = totals.get(actor, 0) + 1
    elif len(edit.path) == 1:
        root[edit.path[0]] = edit.value
    else:
        root[edit.path[0]][edit.path[1]] = edit.value
