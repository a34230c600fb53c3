"""`docs/path.md` names functions that exist, in the order in which they are really called.

Rules: each section with a table of functions is a path. It is run with every Python call of the package
recorded, on all threads, and with the functions of `core` wrapped, since no profiler sees compiled ones. A
function counts from its first call on. The compiled engine hides the methods of the storage interface; that
they are called where the page says shows on the plain one.
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from crdtstore import Store, Upsert, core
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application, application
from crdtstore.query import language
from crdtstore.query.find import kept_filter
from crdtstore.statement import run
from tests.docs.pages import ROOT
from tests.http.calling import call, exchange, headers_for
from tests.laws.conftest import use_core

PAGE = (ROOT / "docs" / "path.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\|[^|]*\| `(?P<name>[a-z_]+\.[\w.]+)` \|", re.MULTILINE)
INTERFACE = "storage.interface."
ENGINE = {
    "storage.adapter.Environment.": f"{INTERFACE}Storage.",
    "storage.adapter_batch.Batch.": f"{INTERFACE}Batch.",
}
TURNS_MAX = 1_000_000

WRITE = "/api/v3/store/write"
FIND = "/api/v3/store/find"
COMMANDS = {"commands": [{"method": "upsert", "collection": "c", "id": 1, "value": {"name": "Basel"}}]}
QUERY = {"collection": "c", "query": "name == 'Basel'"}


def paths(page: str) -> dict[str, list[str]]:
    """Return the functions of each section that has a table of them."""
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    named = {section.partition("\n")[0]: ROW.findall(section) for section in sections}
    return {heading: names for heading, names in named.items() if names}


def exists(name: str) -> bool:
    """Say whether a dotted name of the page leads to something."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(("crdtstore", *parts[:length])))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def out_of_order(names: Sequence[str], calls: Sequence[str]) -> list[str]:
    """Find names that were never called, or first called before the one that stands above them."""
    first = {name: at for at, name in reversed(list(enumerate(calls)))}
    called = [name for name in names if name in first]
    return [name for name in names if name not in first] + [
        name for above, name in pairwise(called) if first[name] < first[above]
    ]


@contextmanager
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record every call of a function of the package; threads that are started meanwhile too."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("crdtstore."):
            name = f"{module.removeprefix('crdtstore.')}.{frame.f_code.co_qualname}"
            plain = next((prefix for prefix in ENGINE if name.startswith(prefix)), "")
            calls.append(ENGINE.get(plain, "") + name.removeprefix(plain))

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            calls.append(f"core.{name}")
            return function(*args)

        return wrapped

    for name in core.__all__:
        function = getattr(core, name)
        if callable(function) and not isinstance(function, type):
            monkeypatch.setattr(core, name, wrap(name, function))
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


class RingOfOneKey(KeyRing):
    """A ring whose keys do not change, and whose uses nobody writes down."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.uses.due = math.inf

    def generation(self) -> bytes:
        return b""


class Place:
    """A store on disk behind an application, and what was called since `begin`."""

    def __init__(self, store: Store, calls: list[str]) -> None:
        # What a ring reads and notes of the store by itself is no step of the path.
        keyring = RingOfOneKey(store)
        self.store = store
        self.calls = calls
        self.headers = headers_for(keyring.create("test", Permission.full()))
        self.app: Application = application(store, keyring)

    def begin(self) -> None:
        """Forget what was called so far."""
        self.calls.clear()

    def upsert(self, **fields: Any) -> None:
        """Write a document, embedded."""
        self.store.write([Upsert("c", fields, id=1)])


def write(place: Place) -> None:
    """A write over HTTP, to a document that exists."""
    place.upsert(name="Bern")
    place.begin()
    assert call(place.app, "POST", WRITE, COMMANDS, place.headers).status == 200


def find(place: Place) -> None:
    """A find over HTTP that waits for the next transaction, which is written once it waits."""

    async def run() -> int:
        request = exchange("POST", FIND, QUERY, {**place.headers, "x-ditto-txn-id": str(place.store.applied + 1)})
        asked = asyncio.create_task(place.app(request.scope, request.receive, request.send))
        for _ in range(TURNS_MAX):
            if place.store.waiters.waiting:
                break
            await asyncio.sleep(0)
        place.upsert(name="Basel")
        await asked
        return len(request.answered.json["documents"])

    place.upsert(name="Bern")
    assert call(place.app, "POST", FIND, QUERY, place.headers).json["documents"] == []
    # Queries that were read before are kept: each run begins as the first one does.
    language.read_kept.cache_clear()
    kept_filter.cache_clear()
    place.begin()
    assert asyncio.run(run()) == 1


def get(place: Place) -> None:
    """A get, embedded."""
    place.upsert(name="Basel")
    place.begin()
    assert place.store.get("c", 1) is not None


def forget_texts() -> None:
    """Statements that were read before are kept: each run begins as the first one does."""
    run.kept.cache_clear()
    run.ready_kept.cache_clear()
    kept_filter.cache_clear()


def select(place: Place) -> None:
    """A SELECT with groups and an order, embedded."""
    place.upsert(name="Basel")
    forget_texts()
    place.begin()
    text = "SELECT name, COUNT(*) AS n FROM c WHERE name > 'A' GROUP BY name ORDER BY n"
    assert place.store.execute(text).items == [{"name": "Basel", "n": 1}]


def update(place: Place) -> None:
    """An UPDATE, embedded."""
    place.upsert(name="Basel")
    forget_texts()
    place.begin()
    assert place.store.execute("UPDATE c SET seen = true WHERE name = 'Basel'").mutated == (1,)


def apply(place: Place) -> None:
    """A record of another store."""
    with Store.in_memory() as other:
        other.write([Upsert("c", {"name": "Bern"}, id=2)])
        other.write([Upsert("c", {"name": "Basel"}, id=2)])
        first, second = (entry.record for entry in other.changes())
        place.store.apply([first])
        place.begin()
        assert place.store.apply([second]).applied == 1


RUNS: dict[tuple[str, str], Callable[[Place], None]] = {
    ("A write", "plain"): write,
    ("A write in the compiled core", "compiled"): write,
    ("A find", "plain"): find,
    ("A find", "compiled"): find,
    ("A get", "plain"): get,
    ("A get in the compiled core", "compiled"): get,
    ("A statement that reads", "plain"): select,
    ("A statement that reads", "compiled"): select,
    ("A statement that writes", "plain"): update,
    ("A statement that writes", "compiled"): update,
    ("Apply", "plain"): apply,
    ("Apply in the compiled core", "compiled"): apply,
}


def test_every_path_is_run() -> None:
    assert {heading for heading, _ in RUNS} == set(paths(PAGE))


def test_every_name_exists() -> None:
    words = {word for word in re.findall(r"`([a-z_]+\.[a-z_.]*[\w.]+)`", PAGE) if not word.startswith("tests/")}
    assert {name for names in paths(PAGE).values() for name in names} <= words
    assert [name for name in sorted(words) if not name.endswith((".py", ".md")) and not exists(name)] == []


@pytest.mark.parametrize(("heading", "engine"), RUNS)
def test_the_order_is_the_pages(heading: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)
    use_core(engine, monkeypatch)
    names = [name for name in paths(PAGE)[heading] if engine == "plain" or not name.startswith(INTERFACE)]
    with recording(monkeypatch) as calls, Store.open(tmp_path / "store") as store:
        RUNS[heading, engine](Place(store, calls))
        seen = tuple(calls)
    assert out_of_order(names, seen) == []
    # Positive control, on the same calls: neighbours that change places are noticed.
    assert out_of_order([*names[1::-1], *names[2:]], seen) != []
    assert out_of_order([*names[:-2], *names[:-3:-1]], seen) != []


def test_what_is_wrong_is_found() -> None:
    assert paths("## A\n| s | `a.b` | x |\n| | `c.d` | |\n## B\nno table\n") == {"A": ["a.b", "c.d"]}
    assert exists("store.Store.find")
    assert not exists("store.Store.fund")
    assert not exists("stores.Store")
    calls = ["a.b", "c.d", "a.b", "e.f"]
    assert out_of_order(["a.b", "c.d", "e.f"], calls) == []
    assert out_of_order(["c.d", "a.b", "e.f"], calls) == ["a.b"]
    assert out_of_order(["a.b", "x.y", "e.f"], calls) == ["x.y"]
