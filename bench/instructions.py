"""Instructions for one operation, counted by callgrind: what stays the same on a busy machine.

    python -m bench.instructions            measure, and compare with the committed counts
    python -m bench.instructions --write    measure, and commit to the new counts

Rules:

- A child process runs under valgrind. It warms each case up, then runs it between two marks, which are calls of
  a function that nothing else calls: callgrind writes a file at each, and counts what came since the last.
- `merge` is what the core's merge of one document takes, all that it calls included; the others are all instructions of
  the process, Python's included: `apply` of a record, `get` by an id, `find` by an index with a prepared query, `write`
  of one field as a transaction of its own, without flushing. What the kernel of the system does is not counted.
- Counts depend on compiler, flags and Python: the committed ones are kept by toolchain, and compared within one.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.children import ROOT, environment
from bench.kernel import Kernel
from bench.measure import Row, counted
from bench.workloads import (
    COLLECTION,
    FIELD_ORIGIN,
    Base,
    clock,
    field_record,
    field_records,
    make_base,
    person,
    timestamp_at,
)
from crdtstore import Store, Upsert, core
from crdtstore.storage.environment import open_storage
from crdtstore.storage.identity import give_identity
from crdtstore.version.writer import Writer

REFERENCE = ROOT / "bench" / "results" / "instructions.json"
TOLERANCE = 0.02
"""Two runs differ by less than a thousandth; see `docs/benchmarks.md`."""

MARK = "__pyx_pw_*siphash128"
"""The function whose calls are the marks; its Python name is `core.siphash128`."""

MERGE = "__pyx_f_9crdtstore_5_core_merge_core"

MAP_BYTES = 1 << 30

DOCUMENTS = 110
TURNS = 10
"""Ten turns of 110 documents: each of 11 fields, a hundred times."""

CASES = ("merge", "apply", "get", "find", "write")


# --- in the child ---


def run_cases(folder: Path) -> None:
    """Run every case between two marks, after a turn that warms it up."""
    gc.disable()
    base = make_base([person(number) for number in range(DOCUMENTS)])
    for prepare in (prepare_merge, prepare_apply, prepare_get, prepare_find, prepare_write):
        work = prepare(base, folder)
        work(0)
        mark()
        for turn in range(1, TURNS + 1):
            work(turn)
        mark()


def mark() -> None:
    """Let callgrind write what it counted since the last mark."""
    core.siphash128(bytes(16), b"")


def prepare_merge(base: Base, folder: Path) -> Callable[[int], None]:
    """One field of every document, merged into a dict."""
    kernel = Kernel()
    kernel.receive([*base.records, field_record(base, DOCUMENTS, 0, 1)])
    records = [(field_record(base, DOCUMENTS, turn, turn), timestamp_at(turn)) for turn in range(2, TURNS + 3)]
    return lambda turn: kernel.merge(records[turn : turn + 1], FIELD_ORIGIN)


def prepare_apply(base: Base, folder: Path) -> Callable[[int], None]:
    """One field of every document, a record each, by `Store.apply` into LMDB."""
    store = open_store(folder / "apply", base)
    store.apply(field_records(base, DOCUMENTS, 0, 1))
    turns = [field_records(base, DOCUMENTS, turn, turn * DOCUMENTS + 1) for turn in range(1, TURNS + 2)]

    def work(turn: int) -> None:
        store.apply(turns[turn])

    return work


def prepare_get(base: Base, folder: Path) -> Callable[[int], None]:
    """Every document as JSON, a call each."""
    store = open_store(folder / "get", base)

    def work(turn: int) -> None:
        for number in range(DOCUMENTS):
            store.get_json(COLLECTION, number)

    return work


def prepare_find(base: Base, folder: Path) -> Callable[[int], None]:
    """Every document as JSON by an index of one field, a prepared query, a call each."""
    store = open_store(folder / "find", base)
    store.indexes.create(COLLECTION, ["email"])
    find = store.prepare(COLLECTION, "email == $args.email").find_json
    assert len(find(email="jane0@example.com")) == 1

    def work(turn: int) -> None:
        for number in range(DOCUMENTS):
            find(email=f"jane{number}@example.com")

    return work


def prepare_write(base: Base, folder: Path) -> Callable[[int], None]:
    """One field of every document, a transaction each."""
    store = open_store(folder / "write", base)

    def work(turn: int) -> None:
        for number in range(DOCUMENTS):
            store.write([Upsert(COLLECTION, {"age": turn}, id=number)])

    return work


def open_store(folder: Path, base: Base) -> Store:
    """A store with the base; the child ends without closing it.

    It is what `Store.open` makes, but for the size of its map: valgrind has no room for the default.
    """
    storage = open_storage(folder, create=True, read_only=False, durable=False, map_bytes=MAP_BYTES)
    give_identity(storage, b"S" * 16)
    store = Store(storage, Writer, clock)
    store.apply(base.records)
    return store


# --- around it ---


def measure() -> dict[str, float]:
    """Run the child and return the instructions of one operation of every case.

    Raises:
        RuntimeError: valgrind failed, or the marks are not where they were expected.
    """
    with TemporaryDirectory(prefix="crdtstore-bench-") as folder:
        out = Path(folder, "out")
        command = ["valgrind", "--tool=callgrind", f"--dump-before={MARK}", f"--callgrind-out-file={out}"]
        child = [sys.executable, "-m", "bench.instructions", "--child", folder]
        variables = child_environment(Path(folder, "bytecode"))
        subprocess.run([sys.executable, "-c", "import bench.instructions"], env=variables, check=True)
        done = subprocess.run([*command, *child], env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"valgrind ended with {done.returncode}: {done.stderr[-2_000:]}")
        parts = sorted(Path(folder).glob("out.*"), key=lambda part: int(part.suffix[1:]))
        if len(parts) != 2 * len(CASES):
            raise RuntimeError(f"{len(parts)} marks were met, not {2 * len(CASES)}: {MARK} is called elsewhere too.")
        operations = TURNS * DOCUMENTS
        merge, *others = (part.read_text(encoding="utf-8") for part in parts[1::2])
        counts = [inclusive(merge, MERGE), *map(total, others)]
        return {case: count / operations for case, count in zip(CASES, counts, strict=True)}


def child_environment(bytecode: Path) -> dict[str, str]:
    """In the child hashes are alike in every run, and modules compiled: that would take most of the time."""
    kept = {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONPYCACHEPREFIX": str(bytecode)}


def total(profile: str) -> int:
    """All instructions of a profile."""
    found = re.search(r"^totals: (\d+)$", profile, re.MULTILINE)
    assert found is not None
    return int(found[1])


def inclusive(profile: str, function: str) -> int:
    """The instructions of a function in a profile, all that it calls included; it must not call itself.

    Source: the format's description in valgrind's manual. `cfn=` names who is called, the line after `calls=` ends
    in the cost of the calls; a name is spelled out once and a number in brackets later.
    """
    names: dict[str, str] = {}
    costs: Counter[str] = Counter()
    callee, counting = "", False
    for line in profile.splitlines():
        key, _, value = line.partition("=")
        if key in {"fn", "cfn"}:
            number, _, name = value.partition(" ")
            spelled = names.setdefault(number, name)
            callee = spelled if key == "cfn" else callee
        elif key == "calls":
            counting = True
        elif counting:
            costs[callee] += int(line.rpartition(" ")[2])
            counting = False
    return costs[function]


def toolchain() -> str:
    """What the counts depend on: the compiler with its flags, Python, and the machine's kind."""
    spec = find_spec("crdtstore._core")
    binary = Path(spec.origin).read_bytes() if spec and spec.origin else b""
    compiler = re.search(rb"GNU C\d+ [^\0]+|clang version [^\0]+", binary)
    made = compiler[0].decode() if compiler else "unknown compiler"
    return f"{made}; CPython {platform.python_version()}; {platform.machine()}"


def reference() -> dict[str, float] | None:
    """The committed counts of this toolchain."""
    known: dict[str, dict[str, float]] = json.loads(REFERENCE.read_text(encoding="utf-8"))
    return known.get(toolchain())


def commit(measured: Mapping[str, float]) -> None:
    """Make the measured counts the committed ones of this toolchain."""
    known = json.loads(REFERENCE.read_text(encoding="utf-8"))
    known[toolchain()] = {case: round(count, 1) for case, count in measured.items()}
    REFERENCE.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def grown(measured: Mapping[str, float], committed: Mapping[str, float]) -> Iterator[str]:
    """Say which cases take more instructions than was committed to, beyond the tolerance."""
    for case in CASES:
        growth = measured[case] / committed[case] - 1
        if growth > TOLERANCE:
            yield f"{case} takes {measured[case]:.0f} instructions, {growth:.1%} more than {committed[case]:.0f}"


def rows(rounds: int) -> list[Row]:
    """The row that has a target; one run is enough, since counts repeat."""
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: no instructions are counted.", file=sys.stderr)
        return []
    return [counted("S1.instructions", measure()["merge"], "instructions", 1)]


def main(arguments: list[str]) -> None:
    """Run as a command."""
    if arguments[:1] == ["--child"]:
        run_cases(Path(arguments[1]))
        # Nothing of what ends a process is of interest, and it takes long under valgrind.
        os._exit(0)
    measured = measure()
    committed = reference() or {}
    for case, count in measured.items():
        print(f"{case:6} {count:8.1f} instructions, committed {committed.get(case, 'none')}")
    if arguments == ["--write"]:
        commit(measured)


if __name__ == "__main__":
    main(sys.argv[1:])
