"""Lets each call of a route fail in turn, and asks whether the store keeps its promises.

Rules: runs as a process of its own that the shim was loaded into: `python -m tests.faults.io_errors`. Each case is a
forked child: it prepares, arms, takes the route, disarms, and looks. What counts:

- The route is done, or fails with an error of this package; nothing else leaves it.
- Documents that were there can be read as long as the store is open. Reads may be refused only once the meta page could
  not be written, and only as `StoreFenced`.
- What failed with another error than `StoreFenced` is not there afterwards; what was acknowledged is, with its content.
- In the same process the store can be closed, opened and written to again, and is consistent.
- A route that failed to open leaves no descriptor behind.

A route is enumerated call by call until it makes no more. Adding one means adding a line to ROUTES.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from crdtstore import CrdtStoreError, Store
from crdtstore.errors import StoreFenced
from crdtstore.storage.backup import back_up
from crdtstore.storage.compact import compact
from crdtstore.storage.lasting import Durability
from tests.faults import planted, shim
from tests.faults.attachment_work import damages, id_of
from tests.faults.checks import inconsistencies, make_twin
from tests.faults.forking import forked
from tests.faults.shim import Kind
from tests.faults.wal_segments import small_segments
from tests.faults.work import Acknowledged, Name, commands, halves, missing, prepare

OLD = [Name(0, 0, number) for number in range(30)]
ALONE = [Name(1, 0, 0)]
LAST = [Name(5, 0, number) for number in range(4)]
GROUP = [Name(2, 0, number) for number in range(8)]
NEXT = Name(3, 0, 0)
CALLS_MAX = 500
OLD_FILE, FILE = b"old", bytes(300_000)


class Fault(NamedTuple):
    """What happens to a call."""

    kind: Kind
    code: int = errno.EIO
    sticky: bool = False


FAULTS = {
    "eio": Fault(Kind.FAIL, errno.EIO),
    "enospc": Fault(Kind.FAIL, errno.ENOSPC),
    "edquot": Fault(Kind.FAIL, errno.EDQUOT),
    "short": Fault(Kind.SHORT, errno.EIO),
    "unflushed": Fault(Kind.UNFLUSHED, errno.EIO),
    "eio-from-then-on": Fault(Kind.FAIL, errno.EIO, sticky=True),
    "enospc-from-then-on": Fault(Kind.FAIL, errno.ENOSPC, sticky=True),
}


class Case:
    """One run of a route: its store while it is open, and what was seen."""

    def __init__(self, path: Path, durability: Durability = "sync") -> None:
        self.path = path
        self.durability = durability
        self.store: Store | None = None
        self.acknowledged: list[Acknowledged] = []
        self.refused: list[Name] = []
        self.outcomes: list[str] = []
        self.found: list[str] = []
        self.put_files: list[bytes] = []

    def attempt(self, what: str, call: Callable[[], Any]) -> Any:
        """Make a call that may fail, with an error of this package."""
        try:
            done = call()
        except CrdtStoreError as error:
            self.outcomes.append(f"{what}: {error.code}")
        except Exception as error:  # noqa: BLE001  what must not leave is what is looked for
            self.found.append(f"{what} failed with {error!r}")
        else:
            self.outcomes.append(f"{what}: done")
            return done
        return None

    def open(self) -> None:
        """Open the store; one that does not open leaves no descriptor."""
        before = set(Path("/proc/self/fd").iterdir())
        self.store = self.attempt("open", partial(Store.open, self.path, durability=self.durability))
        if self.store is None and set(Path("/proc/self/fd").iterdir()) != before:
            self.found.append("a store that could not be opened leaves a descriptor")

    def write(self, names: list[Name]) -> None:
        """Write transactions as one group, as far as the writer takes them together."""
        if self.store is None:
            return
        waiting = [(name, self.attempt("submit", partial(self.store.submit, commands(name)))) for name in names]
        for name, future in waiting:
            self.answered(name, future)

    def answered(self, name: Name, future: Any) -> None:
        """Note what came of a transaction."""
        try:
            self.acknowledged.append(Acknowledged(name, future.result().txn))
            self.outcomes.append("write: done")
        except StoreFenced as error:
            self.outcomes.append(f"write: {error.code}")
        except CrdtStoreError as error:
            self.refused.append(name)
            self.outcomes.append(f"write: {error.code}")
        except Exception as error:  # noqa: BLE001  as above
            self.found.append(f"a write failed with {error!r}")

    def put(self) -> None:
        """Put a file, and one that is there already."""
        for data in (FILE, OLD_FILE):
            if self.store is not None and self.attempt("put", partial(self.store.attachments.put, [data])):
                self.put_files.append(data)

    def collect(self) -> None:
        """Remove the files to which nobody refers."""
        if self.store is not None:
            self.attempt("collect", partial(self.store.attachments.collect, 0))
            self.put_files.clear()

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.attempt("close", self.store.close)
            self.store = None

    def read(self) -> None:
        """Read what was there before."""
        if self.store is not None:
            for name in OLD[::7]:
                seen = self.attempt("read", partial(self.store.get, "marks", name.id))
                if seen is None and self.outcomes[-1] != "read: store-fenced":
                    self.found.append(f"{name.id} cannot be read while the disk fails: {self.outcomes[-1]}")

    def look(self) -> None:
        """Open the store again, on a disk that works, and ask whether all holds."""
        with Store.open(self.path) as store:
            found = missing(store, self.acknowledged) + inconsistencies(store, make_twin()) + halves(store)
            found += [f"{name.id} was refused, and is there" for name in self.refused if store.get("marks", name.id)]
            found += [f"a file of {len(data)} bytes was put" for data in self.put_files if lacks(store, data)]
            found += damages(store)
            prepare(store)
            applied = store.applied
            if store.write(commands(NEXT._replace(round=4))).txn != applied + 1:
                found.append("the store does not write on")
        self.found += found


def lacks(store: Store, data: bytes) -> bool:
    """Whether a file that was put is not there, or not whole."""
    try:
        with store.attachments.open(id_of(data)) as file:
            return file.read() != data
    except CrdtStoreError:
        return True


def back_up_twice(case: Case) -> None:
    """Make a backup: it is whole, or there is none; then make it again."""
    place = case.path.with_name("backup")
    shutil.rmtree(place, ignore_errors=True)
    for again in (False, True):
        if not place.exists():
            case.attempt("backup", partial(back_up, case.path, place, created=0))
        shim.disarm()
        if place.exists():
            case.found += wrong_copy(place, case.acknowledged)
        elif again:
            case.found.append("no backup can be made any more")


def wrong_copy(place: Path, acknowledged: list[Acknowledged]) -> list[str]:
    """What is wrong in a copy of a store."""
    with Store.open(place, read_only=True) as store:
        return missing(store, acknowledged) + inconsistencies(store, make_twin()) + halves(store)


def compact_once(case: Case) -> None:
    """Compact a store in its place."""
    case.attempt("compact", partial(compact, case.path))


class Route(NamedTuple):
    """What is done while calls fail, and how the store stands before: absent, closed, crashed or open."""

    before: str
    act: Callable[[Case], object]
    durability: Durability = "sync"


ROUTES = {
    "create": Route("absent", Case.open),
    "open": Route("closed", Case.open),
    "write": Route("open", partial(Case.write, names=ALONE)),
    "group": Route("open", partial(Case.write, names=GROUP)),
    "put": Route("open", Case.put),
    "collect": Route("open", Case.collect),
    "close": Route("open", Case.close),
    "backup": Route("closed", back_up_twice),
    "compact": Route("closed", compact_once),
    "wal-create": Route("absent", Case.open, "wal"),
    "wal-open": Route("closed", Case.open, "wal"),
    "wal-recover": Route("crashed", Case.open, "wal"),
    "wal-write": Route("open", partial(Case.write, names=ALONE), "wal"),
    "wal-group": Route("open", partial(Case.write, names=GROUP), "wal"),
    "wal-close": Route("open", Case.close, "wal"),
}


def run_case(route: Route, case: Case, at: int, fault: Fault) -> dict[str, Any]:
    """Let one call of a route fail."""
    if route.before == "open":
        case.store = Store.open(case.path, durability=route.durability)
    if route.before == "crashed":
        crash(case)
    shim.arm(at, fault.kind, fault.code, sticky=fault.sticky)
    route.act(case)
    if route.before != "absent":
        case.read()
    fired = shim.fired()
    shim.disarm()
    if case.store is not None and route.before == "absent":
        prepare(case.store)
    case.write([NEXT])
    case.close()
    case.look()
    return {"fired": fired, "outcomes": case.outcomes, "found": case.found}


def crash(case: Case) -> None:
    """Leave the store with a write-ahead log, as a process that ends does."""
    left = case.path.with_name("left")
    shutil.rmtree(left, ignore_errors=True)
    with Store.open(case.path, durability="wal") as store:
        case.acknowledged += [Acknowledged(name, store.write(commands(name)).txn) for name in LAST]
        shutil.copytree(case.path, left)
    shutil.rmtree(case.path)
    left.rename(case.path)


def fork_case(route: Route, base: Path, acknowledged: list[Acknowledged], at: int, fault: Fault) -> dict[str, Any]:
    """Do so in a forked child, on a copy of the store."""
    path = base.with_name("store")
    for each in (path, path.with_name("store.new")):
        shutil.rmtree(each, ignore_errors=True)
    case = Case(path, route.durability)
    if route.before != "absent":
        shutil.copytree(base, path)
        case.acknowledged = list(acknowledged)
    code, said = forked(lambda pipe: tell(pipe, run_case(route, case, at, fault)))
    failed = {"fired": True, "outcomes": [], "found": [f"the case ended with {code}"]}
    return dict(json.loads(said)) if code == 0 else failed


def tell(pipe: int, seen: dict[str, Any]) -> None:
    """Say what was seen."""
    os.write(pipe, json.dumps(seen).encode())


def enumerate_calls(folder: Path, route: Route, fault: Fault) -> dict[str, Any]:
    """Let the first call fail, the second, and so on until there is none."""
    base = folder / "base"
    with Store.open(base) as store:
        prepare(store)
        store.attachments.put([OLD_FILE])
        acknowledged = [Acknowledged(name, store.write(commands(name)).txn) for name in OLD]
    shim.watch(folder)
    outcomes: dict[str, int] = {}
    for at in range(1, CALLS_MAX):
        seen = fork_case(route, base, acknowledged, at, fault)
        if seen["found"] or not seen["fired"]:
            return {"calls": at - 1, "outcomes": outcomes, "found": seen["found"]}
        for outcome in set(seen["outcomes"]):
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return {"calls": CALLS_MAX, "outcomes": outcomes, "found": ["there is no end to the calls"]}


if __name__ == "__main__":
    directory, chosen, plant = sys.argv[1:]
    logging.disable()
    small_segments()
    if plant:
        getattr(planted, plant)()
    answer = {}
    for each, fault in FAULTS.items():
        place = Path(directory, each)
        place.mkdir()
        answer[each] = enumerate_calls(place, ROUTES[chosen], fault)
    print(json.dumps(answer))  # noqa: T201  its answer
