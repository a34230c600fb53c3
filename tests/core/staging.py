"""Transactions of upserts, drawn: what two stores did with the same ones, to be compared to the last byte.

Rules: one seed gives one sequence. Most commands are plain, so that whole transactions are staged; now and then there
is each thing that staging leaves to the commands themselves. Both stores have one origin and one clock, and one source
of ids, so everything that they keep is equal if they did the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from crdtstore import Increment, Remove, Set, Store, Update, Upsert
from crdtstore.command import execute, staging, upsert
from crdtstore.command.command import Command
from crdtstore.errors import CrdtStoreError
from crdtstore.storage.draft import Draft
from crdtstore.storage.environment import open_storage
from crdtstore.storage.identity import give_identity
from crdtstore.storage.tables import Table
from crdtstore.version.transaction import Sequenced, sequence
from crdtstore.version.writer import Inline

ORIGIN = b"O" * 16
ACTORS = (ORIGIN, b"a" * 16)
NOW = 1_700_000_000_000

COLLECTIONS = ("c",) * 6 + ("b", "b", "\xe9", "d" * 255)
COLLECTIONS_ODD: tuple[Any, ...] = ("", "e" * 256, "f\0", "\ud800", *(f"many {number}" for number in range(9)))
IDS: tuple[Any, ...] = (*range(6), *range(100, 160), "a", "b", "ab", "\xe9", -1, 2**40, "x" * 470)
IDS_ODD: tuple[Any, ...] = (
    1.5, 1.0, True, {"a": 1}, 2**53, 2**63, None, "", [1], "y" * 600, "z" * 1_100, "\ud800", float("nan"), b"1",
)  # fmt: skip
KEYS = ("a", "b", "aa", "a b", "\xe9", "name", "city", "tags", "a", "b", "")
SHAPES = (("a", "b"), ("name", "city", "tags", "a"), ("b", "name", "a b", "\xe9", "city"), ("tags", "a", "b"))
"""The keys of objects that come again and again, between others."""

KEYS_ODD: tuple[Any, ...] = ("\0", "a\x01", "\ud800", 7, None, "k" * 600, "l" * 5_000)
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, -33, 127, 128, -129, 70_000, -40_000, 2**31, 2**32, -(2**63), 2**63 - 1,
    0.0, -0.0, 1.5, 1e308, "", "a", "1234567", "12345678", "\xe9" * 9, "q" * 300, "r" * 70_000, b"", b"abc", b"w" * 300,
)  # fmt: skip
SCALARS_ODD: tuple[Any, ...] = (2**63, float("inf"), float("nan"), "\ud800", (1,), {1}, object, "s" * 300_000)


class Twins(NamedTuple):
    """Two stores: one that stages what it can, one that never does."""

    staged: Store
    plain: Store


class Done(NamedTuple):
    """What came of a transaction, comparable."""

    answer: object
    warnings: object
    error: tuple[str, str, str] | None


@contextmanager
def twins(folder: Path) -> Iterator[Twins]:
    """Two stores of one origin."""
    folder.mkdir(exist_ok=True)
    with store_at(folder / "staged") as staged, store_at(folder / "plain") as plain:
        for store in (staged, plain):
            store.indexes.create("c", ["name"])
            store.indexes.create("c", ["city", "a.b"])
            store.indexes.create("b", ["tags"])
        yield Twins(staged, plain)


def store_at(path: Path) -> Store:
    """A store of the common origin, on disk."""
    storage = open_storage(path, create=True, read_only=False, durable=False)
    give_identity(storage, ORIGIN, None)
    return Store(storage, Inline, lambda: NOW, bytes)


# --- what is written ---


def value(random: Random, depth: int, odd: float) -> Any:
    """A field's value."""
    kind = random.random()
    if depth and kind < 0.15:
        return fields(random, depth - 1, odd)
    if depth and kind < 0.3:
        return [value(random, depth - 1, odd) for _ in range(random.choice((0, 1, 2, 3, 17)))]
    return random.choice(SCALARS_ODD if random.random() < odd else SCALARS)


def fields(random: Random, depth: int, odd: float) -> dict[Any, Any]:
    """An object; of documents every third one has the keys of others."""
    if depth == 3 and random.random() < 0.3:
        return {key: value(random, 1, odd) for key in random.choice(SHAPES)}
    size = random.choice((0, 1, 2, 3, 4, 8, 80) if depth == 3 else (0, 1, 2, 3))
    keys = [random.choice(KEYS_ODD if random.random() < odd else KEYS) for _ in range(min(size, 8))]
    keys += [f"k{random.randrange(10**6)}" for _ in range(size - 8)]
    return {key: value(random, depth, odd) for key in keys}


def deep(levels: int, *, array: bool) -> Any:
    """A value nested so many levels deep."""
    made: Any = {} if not array else []
    for _ in range(levels):
        made = [made] if array else {"d": made}
    return made


def one_upsert(random: Random, odd: float) -> Upsert:
    """An upsert, most often a plain one."""

    def some(common: tuple[Any, ...], rare: tuple[Any, ...]) -> Any:
        return random.choice(rare if random.random() < odd else common)

    content: Any = fields(random, 3, odd / 4)
    if random.random() < odd:
        content["deep"] = deep(random.choice((61, 62, 63, 64, 65)), array=random.random() < 0.5)
    place = random.random()
    given = {"id": some(IDS, IDS_ODD)} if place < 0.7 else {}
    if place > 0.8 or (place > 0.65 and random.random() < odd):
        content["_id"] = some(IDS, IDS_ODD)
    if random.random() < odd:
        given["value_types"] = {
            random.choice(("a", "count", "_id", "l[0]")): random.choice(("counter", "register", "x"))
        }
    if random.random() < odd:
        given["initial"] = True
    collection = some(COLLECTIONS, COLLECTIONS_ODD)
    return Upsert(collection, [] if random.random() < odd / 4 else content, **given)


def other(random: Random) -> Command:
    """A command that is no upsert."""
    if random.random() < 0.4:
        path = random.choice(("a", "name", "n.n"))
        return Update("c", "true", [random.choice((Set(path, 1), Increment("count", 2)))])
    deletes: Any = random.choice(("observed", "permanent"))
    return Remove(random.choice(("b", "c")), f"_id == {random.randrange(6)}", deletes=deletes)


def transaction(random: Random) -> list[list[Command]]:
    """What is run: most often one list of commands, now and then one behind the other."""
    odd = random.choice((0, 0, 0, 0, 0.05, 0.2))
    lists: list[list[Command]] = []
    for _ in range(random.choice((1, 1, 1, 1, 2))):
        made: list[Command] = [one_upsert(random, odd) for _ in range(random.choice((0, 1, 1, 2, 3, 3, 20)))]
        if random.random() < 0.2:
            made.insert(random.randrange(len(made) + 1), other(random))
        lists.append(made)
    return lists


# --- what came of it ---


def run(store: Store, lists: list[list[Command]], actor: bytes, patch: pytest.MonkeyPatch) -> Done:
    """Run commands as one transaction."""

    def evaluate(draft: Draft) -> object:
        return [run_list(number, commands, draft) for number, commands in enumerate(lists)]

    def run_list(number: int, commands: list[Command], draft: Draft) -> object:
        # The same ids on every way, though both may be gone.
        for module in (staging, upsert):
            patch.setattr(module, "new_id", partial(lambda numbers: f"new {number} {next(numbers)}", count()))
        return execute.execute(commands, draft)

    def job(batch: Any, catalog: Any, head: Any) -> Sequenced:
        return sequence(batch, catalog, head, actor, evaluate, clock_milliseconds=NOW, after=None)

    try:
        done = store.run(job)
    except CrdtStoreError as error:
        return Done(None, None, (type(error).__name__, str(error), repr(error.data)))
    except (AttributeError, TypeError, ValueError) as error:
        return Done(None, None, (type(error).__name__, str(error), ""))
    return Done((done.txn, repr(done.answer)), done.warnings, None)


def rows(store: Store) -> dict[tuple[int, bytes], bytes]:
    """Everything that a store keeps."""
    with store.storage.snapshot() as snapshot:
        return {(table, key): value for table in Table for key, value in snapshot.scan(table)}


def differences(folder: Path, random: Random, transactions: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Run the same transactions on both; says what differs, at most one thing."""
    with twins(folder) as both:
        for number in range(transactions):
            lists, actor = transaction(random), random.choice(ACTORS)
            done = []
            for store in both:
                with patch.context() as inner:
                    if store is both.plain:
                        inner.setattr(execute, "stage", lambda *_: None)
                    done.append(run(store, lists, actor, inner))
            if done[0] != done[1]:
                return [f"transaction {number}: {done[0]!r:.400} and {done[1]!r:.400}"]
        kept, wanted = rows(both.staged), rows(both.plain)
        keys = [key for key in kept.keys() | wanted.keys() if kept.get(key) != wanted.get(key)]
        return [f"{len(keys)} rows, the first of table {min(keys)[0]}"] if keys else []
