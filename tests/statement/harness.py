"""Random statements on a real store and on the naive interpreter, beside each other.

Rules: a world is two collections of a store and two of the interpreter, which begin alike. Each statement is run on
both, TIMES in turn with the others of its world; rows, ids, refusals and the documents that it touched must be the
same, all documents at the end. One seed gives one sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from math import ceil
from random import Random
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from crdtstore import Store
from crdtstore.errors import CrdtStoreError
from crdtstore.indexes import Indexes
from crdtstore.query.dql import messages
from crdtstore.statement.answer import Executed
from tests.query.harness import Mode, Scene
from tests.query.worlds.documents import LONG
from tests.query.worlds.documents import World as Documents
from tests.statement import naive
from tests.statement.generate import Program, make_document, make_programs, make_world
from tests.statement.naive_answers import difference, exactly, in_order
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
    "buried": ("document-buried",),
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
        together = [make_programs(self.documents, self.names) for _ in range(PROGRAMS)]
        for _ in range(TIMES):
            for number, programs in enumerate(together):
                if self.mode == "building" and number % 3 == 0:
                    self.scenes[0].go_on()
                    self.note_indexes()
                before = {name: list(self.world.documents(name)) for name in self.names}
                what = self.compare(programs)
                text = "; ".join([program.text for program in programs])
                yield Outcome(self.came, what and str(Difference(what, text, programs[0].parameters, before)))
            self.random.shuffle(together)
        what = self.compare_documents([stored.id for stored in self.stored().values()])
        yield Outcome("nothing", what)

    def stored(self) -> dict[Any, naive.Stored]:
        """The naive documents of the collection that statements change."""
        return self.world.collections.get(self.names[0], {})

    def compare(self, programs: tuple[Program, ...]) -> str | None:
        """Run statements on both sides, several as one transaction; what is different."""
        try:
            executed = self.run(programs)
        except CrdtStoreError as error:
            return self.compare_refusal(programs, error)
        except Exception as error:  # noqa: BLE001  an error that is none of the store's is a finding
            return f"It broke: {error!r:.200}"
        changes, rows = any(each.mutated for each in executed), any(each.rows_json for each in executed)
        self.came = "changes" if changes else "rows" if rows else "nothing"
        if any(program.lacks for program in programs):
            return "It is not refused: a parameter is not given"
        for program, each in zip(programs, executed, strict=True):
            if (what := self.compare_one(program, each)) is not None:
                return what
        return self.compare_documents([id_ for each in executed for id_ in each.mutated])

    def run(self, programs: tuple[Program, ...]) -> tuple[Executed, ...]:
        """Run statements on the store."""
        if len(programs) == 1:
            return (self.store.execute(programs[0].text, programs[0].parameters),)
        return self.store.execute_together([program.text for program in programs], programs[0].parameters)

    def compare_one(self, program: Program, executed: Executed) -> str | None:
        """What is different about one statement that was run."""
        mutated = tuple(executed.mutated)
        try:
            answer = naive.execute(self.world, program.statement, program.parameters, mutated)
        except Refused as refused:
            return f"It is not refused: {refused}"
        if list(map(exactly, mutated)) != list(map(exactly, answer.ids)):
            return f"It changed {mutated!r:.300}, not {answer.ids!r:.300}"
        return difference(executed.items, answer.rows, form_of(program.statement))

    def compare_refusal(self, programs: tuple[Program, ...], error: CrdtStoreError) -> str | None:
        """What is different about a refusal, after which nothing is written."""
        self.came = "refused"
        before = {name: dict(stored) for name, stored in self.world.collections.items()}, dict(self.world.buried)
        kinds: set[str] = set()
        for program in programs:
            kinds |= {"parameter"} if program.lacks else set()
            try:
                naive.execute(self.world, program.statement, program.parameters)
            except Refused as refused:
                kinds.add(str(refused))
            if kinds:
                break
        self.world.collections, self.world.buried = before
        if not kinds:
            return f"It is refused: {error.code} {error}"
        same = any(is_same_refusal(kind, error) for kind in kinds)
        return None if same else f"It is refused otherwise, not as {kinds}: {error.code} {error}"

    def compare_documents(self, ids: list[Any]) -> str | None:
        """What is different about documents."""
        for id_ in ids:
            found = self.store.get(self.names[0], id_)
            stored = self.stored().get(identity(id_))
            fields = None if found is None else found.fields
            shown = {"_id": id_, **fields} if fields is not None else None
            wanted = None if stored is None else stored.document()
            if exactly(shown) != exactly(wanted):
                return f"It left {shown!r:.300}, not {wanted!r:.300}"
        return None


def form_of(statement: naive.Statement) -> Callable[[Any], Hashable]:
    """What is the same for two rows of which a statement may give either."""
    shown = statement.projections if isinstance(statement, Select) else statement.returning
    grouped = statement.is_grouped if isinstance(statement, Select) else has_aggregate(shown)
    if not grouped:
        return identity if isinstance(statement, Select) and statement.distinct else exactly
    # Whether an aggregate of a name is in there is said by the text as well.
    return in_order if "'min'" in repr(shown) or "'max'" in repr(shown) else identity


def outcomes(store: Store, mode: Mode, seed: int, runs: int) -> Iterator[Outcome]:
    """What comes of so many runs of statements, in several worlds."""
    per_world = PROGRAMS * TIMES
    for number in range(ceil(runs / per_world)):
        yield from Pair(store, number, seed, mode).outcomes()
