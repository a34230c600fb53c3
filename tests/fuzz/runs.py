"""The target that runs statements: whatever is written, a store answers or refuses with an error of its own.

Rules: a SELECT is run on a store that stays, every other statement on one of its own, so that a case is the same
whatever came before it.
"""

from __future__ import annotations

import os
from functools import cache
from random import Random
from typing import Any

from crdtstore import Store
from crdtstore.errors import CallerError, RetryLater
from crdtstore.query.dql.statement import Select
from crdtstore.query.dql.statement_parser import parse
from tests.fuzz.engine import Target
from tests.fuzz.seeds import different
from tests.fuzz.statements import PIECES, statement_seeds
from tests.statement.generate import make_document, make_programs, make_world

NAMES = ("a", "b")
"""The collections that there are."""

PARAMETERS: dict[str, Any] = {
    f"p{number}": value for number, value in enumerate((1, "a", None, [1, "a"], {"k": 1}, 2.5))
}


def make_store() -> Store:
    """A store with some documents, and an index."""
    store, world = Store.in_memory(), make_world(Random("documents"))
    for name in NAMES:
        documents = [make_document(world.random, world.values, each["_id"]) for each in world.documents]
        store.execute(f"INSERT INTO {name} DOCUMENTS (:documents)", {"documents": documents})
        store.execute(f"UPDATE {name} APPLY h INCREMENT BY 2 WHERE n > 0")
    store.execute("CREATE INDEX i ON a (n)")
    return store


@cache
def kept_store(_process: int) -> Store:
    """The store of SELECT; a process that comes of another one makes its own."""
    return make_store()


@cache
def seeds() -> list[bytes]:
    """Statements about these documents, and any statements."""
    worlds = [make_world(Random(number)) for number in range(12)]
    texts = [program.text for world in worlds for _ in range(12) for program in make_programs(world, NAMES)]
    return different([*[text.encode() for text in texts], *statement_seeds()], 300)


def run(data: bytes) -> list[Any]:
    """The rows of a statement."""
    text = data.decode("utf-8", "replace")
    if isinstance(parse(text), Select):
        return kept_store(os.getpid()).execute(text, PARAMETERS).items
    with make_store() as store:
        return store.execute(text, PARAMETERS).items


def check_rows(_data: bytes, rows: list[Any]) -> None:
    """Rows are objects."""
    assert all(isinstance(row, dict) for row in rows)


TARGETS = [
    Target("dql-run", run, (CallerError, RetryLater), seeds, check_rows, cases=10_000, form="text", fragments=PIECES),
]
