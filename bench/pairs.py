"""Two replicas of a library that sync as it documents: each tells its version, and is given what it lacks.

Rules: a library keeps our documents in one of its own, or in one each; both replicas begin with the same ones. It is
given every advantage: the smallest actors that it takes, bodies only, no names or lengths around them, and what
would be empty is not sent. Left tells its versions; right answers with what left lacks and its own versions; left
gives what right lacks: two requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from bench.workloads import COLLECTION, FieldUpdate

LEFT, RIGHT = 1, 2
"""The replicas' actors; left made all documents."""

REQUESTS = 2


class Moved(NamedTuple):
    """What a sync took: body bytes both ways, and requests."""

    size: int
    requests: int


class Library(NamedTuple):
    """What a library does with a document of its own: a map, nested as given."""

    make: Callable[[Mapping[str, Any]], bytes]
    load: Callable[[bytes, int], Any]
    write: Callable[[Any, Sequence[str], Any], None]
    version: Callable[[Any], bytes]
    missing: Callable[[Any, bytes], bytes]
    apply: Callable[[Any, bytes], object]
    read: Callable[[Any, Sequence[str]], dict[str, Any]]


class Layout(NamedTuple):
    """The library's documents as they begin, and where ours stand in them: which one, and the path to it."""

    name: str
    states: Sequence[bytes]
    place: Callable[[int], tuple[int, tuple[str, ...]]]


def layouts(library: Library, documents: Sequence[Mapping[str, Any]]) -> dict[str, Layout]:
    """Both ways to keep our documents in a library."""
    everything = library.make({str(number): fields for number, fields in enumerate(documents)})
    return {
        "one": Layout("one document", [everything], lambda number: (0, (str(number),))),
        "each": Layout("a document each", [library.make(fields) for fields in documents], lambda number: (number, ())),
    }


class Pair:
    """Two replicas that each changed some documents since they had the same."""

    def __init__(self, library: Library, layout: Layout, sides: Sequence[Sequence[FieldUpdate]]) -> None:
        self.library = library
        self.layout = layout
        self.replicas = [[library.load(state, actor) for state in layout.states] for actor in (LEFT, RIGHT)]
        for replica, updates in zip(self.replicas, sides, strict=True):
            for number, path, value in updates:
                place, inside = layout.place(number)
                library.write(replica[place], inside + path, value)

    def sync(self) -> Moved:
        """Bring both to the same state."""
        _, _, _, version, missing, apply, _ = self.library
        size = 0
        for left, right in zip(*self.replicas, strict=True):
            told, answered = version(left), version(right)
            to_left, to_right = missing(right, told), missing(left, answered)
            if to_left:
                apply(left, to_left)
            if to_right:
                apply(right, to_right)
            size += len(told) + len(answered) + len(to_left) + len(to_right)
        return Moved(size, REQUESTS)

    def read(self, number: int) -> list[dict[str, Any]]:
        """One of our documents, as each replica has it."""
        place, inside = self.layout.place(number)
        return [self.library.read(replica[place], inside) for replica in self.replicas]


# --- pycrdt ---


def pycrdt_library() -> Library:
    """Maps within maps; a state vector, and the update from there."""
    pycrdt = import_module("pycrdt")
    nothing = pycrdt.Doc().get_update()

    def load(state: bytes, actor: int) -> Any:
        document = pycrdt.Doc(client_id=actor)
        document.apply_update(state)
        return document

    def root(document: Any) -> Any:
        return document.get(COLLECTION, type=pycrdt.Map)

    def fill(place: Any, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            place[name] = pycrdt.Map() if isinstance(value, dict) else value
            if isinstance(value, dict):
                fill(place[name], value)

    def make(fields: Mapping[str, Any]) -> bytes:
        document = pycrdt.Doc(client_id=LEFT)
        with document.transaction():
            fill(root(document), fields)
        state: bytes = document.get_update()
        return state

    def find(document: Any, path: Sequence[str]) -> Any:
        place = root(document)
        for segment in path:
            place = place[segment]
        return place

    def write(document: Any, path: Sequence[str], value: Any) -> None:
        find(document, path[:-1])[path[-1]] = value

    def missing(document: Any, version: bytes) -> bytes:
        # What was deleted is no part of a version, so an update always tells it; only one that tells nothing is empty.
        update: bytes = document.get_update(version)
        return b"" if update == nothing else update

    return Library(
        make,
        load,
        write,
        version=lambda document: document.get_state(),
        missing=missing,
        apply=lambda document, update: document.apply_update(update),
        read=lambda document, path: find(document, path).to_py(),
    )


# --- loro ---


def loro_library() -> Library:
    """Maps within maps; a version vector, and the updates from there."""
    loro = import_module("loro")

    def load(state: bytes, actor: int) -> Any:
        document = loro.LoroDoc()
        document.peer_id = actor
        document.import_(state)
        return document

    def fill(place: Any, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            if isinstance(value, dict):
                fill(place.insert_container(name, loro.LoroMap()), value)
            else:
                place.insert(name, value)

    def make(fields: Mapping[str, Any]) -> bytes:
        document = loro.LoroDoc()
        document.peer_id = LEFT
        fill(document.get_map(COLLECTION), fields)
        document.commit()
        state: bytes = document.export(loro.ExportMode.Snapshot())
        return state

    def find(document: Any, path: Sequence[str]) -> Any:
        place = document.get_map(COLLECTION)
        for segment in path:
            place = place.get(segment).container
        return place

    def write(document: Any, path: Sequence[str], value: Any) -> None:
        find(document, path[:-1]).insert(path[-1], value)
        document.commit()

    def missing(document: Any, version: bytes) -> bytes:
        known = loro.VersionVector.decode(version)
        if known.includes_vv(document.oplog_vv):
            return b""
        update: bytes = document.export(loro.ExportMode.Updates(known))
        return update

    return Library(
        make,
        load,
        write,
        version=lambda document: document.oplog_vv.encode(),
        missing=missing,
        apply=lambda document, update: document.import_(update),
        read=lambda document, path: find(document, path).get_deep_value(),
    )


LIBRARIES: Mapping[str, Callable[[], Library]] = {"pycrdt": pycrdt_library, "loro": loro_library}
