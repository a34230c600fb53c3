"""A run gives a target altered seeds, one after the other, in a process of its own, and notes what must not happen.

Rules: a target refuses a case with one of its allowed errors, or takes it and its check holds. Everything else is a
finding: another error, a check that fails, a process that dies, a case that takes CASE_SECONDS_MAX of the CPU, more
memory than MEMORY_BYTES_MAX. The process writes each case where its parent sees it before it runs, so that the case
outlives the process. Nothing is judged by the clock on the wall.

Not here: how a finding is made smaller and kept (`corpus`).
"""

from __future__ import annotations

import faulthandler
import gc
import mmap
import os
import pickle
import resource
import signal
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from random import Random
from typing import Any, NamedTuple

from tests.fuzz.mutate import CASE_BYTES_MAX, Form, alter

CASE_SECONDS_MAX = 20.0
"""Of the CPU, for up to CASES_AT_ONCE cases; a case takes some microseconds."""

CASES_AT_ONCE = 64
CASES_PER_TRACE = 512
"""One in so many is traced, which takes ten times as long; of each it is seen what memory it touched."""

MEMORY_BYTES_MAX = 64 * 1_024 * 1_024
"""What a case may take at its peak; a case has at most CASE_BYTES_MAX bytes, mostly a few hundred."""

ADDRESS_BYTES_MAX = 2 * 1_024 * 1_024 * 1_024
"""What a process may reserve beyond what it has at its start."""

SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
"""The sanitizers reserve terabytes of addresses, and watch memory on their own."""


class Target(NamedTuple):
    """A decoder or parser.

    `take` raises one of `allowed` for what it refuses; `check` raises AssertionError when what was taken is not what
    it must be. `cases` of them are run in the normal run. `form` says what the seeds are, and so how they are altered.
    """

    name: str
    take: Callable[[bytes], Any]
    allowed: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]
    check: Callable[[bytes, Any], None] = lambda _data, _taken: None
    cases: int = 100_000
    form: Form = "bytes"
    fragments: Sequence[bytes] = ()


class Finding(NamedTuple):
    """A case that was neither taken nor refused as it must be, and what happened."""

    target: str
    data: bytes
    what: str


class Run(NamedTuple):
    """How many cases were run, how many of them were taken, and what was found."""

    executions: int
    taken: int
    finding: Finding | None


def cases(target: Target, seed: int) -> Iterator[bytes]:
    """Altered seeds without end, the same for the same number."""
    choose = Random(f"{target.name} {seed}")
    seeds = target.seeds()
    while True:
        chosen = seeds[int(choose.random() * len(seeds))]
        yield alter(chosen, seeds, target.fragments, choose, form=target.form)


def execute(target: Target, data: bytes) -> bool:
    """Run one case; whether it was taken."""
    try:
        taken = target.take(data)
    except target.allowed:
        return False
    target.check(data, taken)
    return True


def outcome(target: Target, data: bytes, *, traced: bool = False) -> tuple[bool, str]:
    """Run one case; whether it was taken, and what must not have happened, if anything."""
    try:
        taken, peak = execute_traced(target, data) if traced else execute_watched(target, data)
    except Exception as error:  # noqa: BLE001  any error that is not allowed is what is looked for
        return False, describe(error)
    return taken, f"{peak} bytes of memory" if peak > MEMORY_BYTES_MAX else ""


def execute_watched(target: Target, data: bytes) -> tuple[bool, int]:
    """Run one case, and measure by how much it raised the peak of the process."""
    before = touched()
    taken = execute(target, data)
    return taken, 0 if SANITIZED else touched() - before


def execute_traced(target: Target, data: bytes) -> tuple[bool, int]:
    """Run one case, and measure the memory that Python's objects take at its peak."""
    tracemalloc.start()
    try:
        taken = execute(target, data)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return taken, peak


def touched() -> int:
    """How much memory this process had at its peak, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def describe(error: Exception) -> str:
    """An error and the place that raised it; the same for cases that fail alike."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}"  # noqa: PTH119  a name, no path is touched
    return f"{type(error).__name__} at {place}: {error!s:.200}"


class Board:
    """Memory that a process shares with its parent: how many cases it ran, and the one it is at."""

    def __init__(self) -> None:
        self.map = mmap.mmap(-1, CASE_BYTES_MAX + 16)

    def note(self, number: int, data: bytes) -> None:
        """Write down what is run next."""
        self.map[:16] = number.to_bytes(8, "little") + len(data).to_bytes(8, "little")
        self.map[16 : 16 + len(data)] = data

    def read(self) -> tuple[int, bytes]:
        """What was written last."""
        size = int.from_bytes(self.map[8:16], "little")
        return int.from_bytes(self.map[:8], "little"), self.map[16 : 16 + size]


def run(target: Target, number: int, seed: int = 0, seconds: float | None = None) -> Run:
    """Run so many cases in a process of their own, or for so long; stops at the first finding."""
    return apart(target, islice(cases(target, seed), number) if seconds is None else until(target, seed, seconds))


def until(target: Target, seed: int, seconds: float) -> Iterator[bytes]:
    """Cases for so many seconds."""
    end = time.monotonic() + seconds
    for number, data in zip(count(), cases(target, seed), strict=False):
        if number % CASES_AT_ONCE == 0 and time.monotonic() > end:
            return
        yield data


def replay(target: Target, given: Sequence[bytes]) -> Run:
    """Run these cases in a process of their own."""
    return apart(target, iter(given))


def apart(target: Target, given: Iterator[bytes]) -> Run:
    """Run cases in a forked process; what it was at when it died is a finding."""
    target.seeds()  # Once, here, and not in each process.
    board = Board()
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        serve(target, given, board, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if told and os.waitstatus_to_exitcode(status) == 0:
        done: Run = pickle.loads(told)
        return done
    number, data = board.read()
    return Run(number, 0, Finding(target.name, data, died(os.waitstatus_to_exitcode(status))))


def serve(target: Target, given: Iterator[bytes], board: Board, write_end: int) -> None:
    """Be the process: run, tell, end."""
    faulthandler.disable()  # What happened is told by the parent.
    try:
        bound_addresses()
        told = pickle.dumps(run_here(target, given, board))
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(told)
    except BaseException:  # noqa: BLE001  the process must end here, whatever happened
        traceback.print_exc()
        os._exit(70)
    os._exit(0)


def run_here(target: Target, given: Iterator[bytes], board: Board) -> Run:
    """Run cases in this process."""
    gc.freeze()
    number = taken = 0
    for number, data in enumerate(given, 1):
        if number % CASES_AT_ONCE == 1:
            # Nothing catches this signal: its default ends the process, within a loop in C too.
            signal.setitimer(signal.ITIMER_PROF, CASE_SECONDS_MAX)
        board.note(number, data)
        was_taken, wrong = outcome(target, data, traced=number % CASES_PER_TRACE == 0 and not SANITIZED)
        if wrong:
            return Run(number, taken, Finding(target.name, data, wrong))
        taken += was_taken
    signal.setitimer(signal.ITIMER_PROF, 0)
    return Run(number, taken, None)


def bound_addresses() -> None:
    """Let an allocation of a size that somebody announced fail, before the machine does."""
    if not SANITIZED:
        with open("/proc/self/statm", encoding="ascii") as pages:  # noqa: PTH123  what is read is no file
            held = int(pages.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + ADDRESS_BYTES_MAX, resource.RLIM_INFINITY))


def died(code: int) -> str:
    """What the end of a process means."""
    if code == -signal.SIGPROF:
        return f"took more than {CASE_SECONDS_MAX:g} seconds of the CPU"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
