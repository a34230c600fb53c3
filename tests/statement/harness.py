"""Random statements on a real store and on the naive interpreter, beside each other.

Rules: a world is two collections of a store and two of the interpreter, which begin alike. Each statement is run on
both, TIMES in turn with the others of its world; rows, ids, refusals and the documents that it touched must be the
same, all documents at the end. One seed gives one sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from random import Random
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from crdtstore import Store
from crdtstore.errors import CrdtStoreError
from crdtstore.indexes import Indexes
from crdtstore.query.dql import messages
from tests.query.harness import Mode, Scene
from tests.query.worlds.documents import LONG
from tests.query.worlds.documents import World as Documents
from tests.statement import naive
from tests.statement.generate import Program, make_document, make_program, make_world
from tests.statement.naive_answers import difference, exactly
from tests.statement.naive_expressions import Refused, has_aggregate
from tests.statement.naive_select import Select, Source, identity

Came: TypeAlias = Literal["rows", "changes", "nothing", "refused"]

PROGRAMS: Final = 20
"""Statements of one world."""

TIMES: Final = 4
"""How often each is run, each time in another state of the world: reading a statement costs as much as running it."""

PATHS: Final = (("a",), ("n",), ("c", "k"))
"""What is indexed, each by itself and with the next; other fields are not."""


class Outcome(NamedTuple):
    """What a statement came to, and what was different about it, if anything."""

    came: Came
    difference: str | None


class Difference(NamedTuple):
    """What came out otherwise: the statement, what is different, and the documents before."""

    what: str
    text: str
    parameters: dict[str, Any]
    documents: dict[str, list[Any]]

    def __str__(self) -> str:
        shown = [f"{name}: {one!r}" for name, all_ in self.documents.items() if name in self.text for one in all_]
        lines = [self.what, self.text, repr(self.parameters), *shown]
        return "\n".join([line.replace(LONG, "LONG")[:500] for line in lines])


def kind_of_error(error: CrdtStoreError) -> str:
    """What the naive interpreter calls a refusal."""
    described = error.data.get("description", "")
    told = {messages.EXPECTED_UNIQUE_IDS: "unique", messages.NOT_ON_REGISTER: "register"}
    if described in told:
        return told[described]
    begins = {"Parameter ": "parameter", "Identifier conflict": "conflict", "Ambiguous": "ambiguous", "Joining": "join"}
    return next((kind for begin, kind in begins.items() if described.startswith(begin)), error.code)


def is_same_refusal(kind: str, error: CrdtStoreError) -> bool:
    """Whether an engine refused for the same reason."""
    found = kind_of_error(error)
    return found == kind or found in OTHERWISE.get(kind, ())


OTHERWISE: Final[dict[str, tuple[str, ...]]] = {
    "amount": ("invalid-query",),
    "grouped": ("invalid-query",),
    "document": ("invalid-document", "invalid-id", "invalid-value"),
    "value": ("invalid-value", "invalid-document"),
    "register": ("invalid-value", "invalid-document"),
}
"""Refusals that have no public sentence, by the codes of the engine's."""


class Pair:
    """A world on both sides."""

    def __init__(self, store: Store, number: int, seed: int, mode: Mode) -> None:
        self.store = store
        self.random = Random(f"{seed} {number}")
        self.documents: Documents = make_world(self.random)
        self.names = (f"c{number}", f"d{number}")
        self.world = naive.World()
        self.mode = mode
        self.came: Came = "nothing"
        self.scenes = [Scene(store, name, self.documents) for name in self.names]
        for name in self.names:
            made = self.documents.documents
            if name != self.names[0]:
                made = [make_document(self.random, self.documents.values, each["_id"]) for each in made]
            kept = self.random.sample(made, self.random.randrange(4, len(made) + 1))
            insert = naive.Insert(Source(name), (("value", kept),))
            naive.execute(self.world, insert, {})
            store.execute(f"INSERT INTO {name} DOCUMENTS (:d)", {"d": kept})
        self.make_indexes()

    def make_indexes(self) -> None:
        """Indexes of the first collection, ready or begun."""
        if self.mode == "indexed":
            self.scenes[0].create_indexes(PATHS, wait=True)
        if self.mode == "building":
            self.scenes[0].begin_indexes(PATHS)
        self.note_indexes()

    def note_indexes(self) -> None:
        """Tell the naive world which indexes serve."""
        if self.mode in ("indexed", "building"):
            states = Indexes(self.store).list(self.names[0])
            ready = {tuple(map(str, state.paths[0])) for state in states if state.state == "ready" and state.paths}
            self.world.indexed[self.names[0]] = ready

    def outcomes(self) -> Iterator[Outcome]:
        """What came of each statement."""
        programs = [make_program(self.documents, self.names) for _ in range(PROGRAMS)]
        for _ in range(TIMES):
            for number, program in enumerate(programs):
                if self.mode == "building" and number % 3 == 0:
                    self.scenes[0].go_on()
                    self.note_indexes()
                before = {name: list(self.world.documents(name)) for name in self.names}
                what = self.compare(program)
                yield Outcome(self.came, what and str(Difference(what, program.text, program.parameters, before)))
            self.random.shuffle(programs)
        what = self.compare_documents([stored.id for stored in self.stored().values()])
        yield Outcome("nothing", what)

    def stored(self) -> dict[Any, naive.Stored]:
        """The naive documents of the collection that statements change."""
        return self.world.collections.get(self.names[0], {})

    def compare(self, program: Program) -> str | None:
        """Run a statement on both sides; what is different."""
        self.came = "refused"
        try:
            executed = self.store.execute(program.text, program.parameters)
            if program.lacks:
                return "It is not refused: a parameter is not given"
        except CrdtStoreError as error:
            return self.compare_refusal(program, error)
        except Exception as error:  # noqa: BLE001  an error that is none of the store's is a finding
            return f"It broke: {error!r:.200}"
        mutated = tuple(executed.mutated)
        self.came = "changes" if mutated else "rows" if executed.rows_json else "nothing"
        try:
            answer = naive.execute(self.world, program.statement, program.parameters, mutated)
        except Refused as refused:
            return f"It is not refused: {refused}"
        if list(map(exactly, mutated)) != list(map(exactly, answer.ids)):
            return f"It changed {mutated!r:.300}, not {answer.ids!r:.300}"
        found = difference(executed.items, answer.rows, exact=not is_one_of_many(program.statement))
        return found or self.compare_documents(list(answer.ids))

    def compare_refusal(self, program: Program, error: CrdtStoreError) -> str | None:
        """What is different about a refusal."""
        if program.lacks:
            kind = "parameter"
        else:
            try:
                naive.execute(self.world, program.statement, program.parameters)
            except Refused as refused:
                kind = str(refused)
            else:
                return f"It is refused: {error.code} {error}"
        same = is_same_refusal(kind, error)
        return None if same else f"It is refused otherwise, not as {kind}: {error.code} {error}"

    def compare_documents(self, ids: list[Any]) -> str | None:
        """What is different about documents."""
        for id_ in ids:
            found = self.store.get(self.names[0], id_)
            stored = self.stored().get(identity(id_))
            fields = None if found is None else found.fields
            wanted = (
                None if stored is None else {key: value for key, value in stored.document().items() if key != "_id"}
            )
            if exactly_or_none(fields) != exactly_or_none(wanted):
                return f"Document {id_!r} is {fields!r:.300}, not {wanted!r:.300}"
        return None


def exactly_or_none(fields: Any) -> Any:
    """Documents as they are compared."""
    return None if fields is None else exactly(fields)


def is_one_of_many(statement: naive.Statement) -> bool:
    """Whether a row shows a value of one of several rows that are equal."""
    if isinstance(statement, Select):
        return statement.distinct or statement.is_grouped
    return has_aggregate(statement.returning)


def outcomes(store: Store, mode: Mode, seed: int, runs: int) -> Iterator[Outcome]:
    """What comes of so many runs of statements, in several worlds."""
    per_world = PROGRAMS * TIMES
    for number in range(ceil(runs / per_world)):
        yield from Pair(store, number, seed, mode).outcomes()
