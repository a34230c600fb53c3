"""Every decoder and parser takes what it must, refuses the rest with the errors that it may, and harms nothing.

Rules: the targets stand in `targets.py`. Each is given its kept cases and 10⁵ altered seeds; ten times
as many are run on demand. A planted bug of each kind shows that the engine finds it within that count.
"""

from __future__ import annotations

import ctypes
import struct
import tracemalloc
from collections.abc import Callable
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import pytest

from crdtstore.crdt import entry, identifier, json_scan, record
from crdtstore.errors import InvalidId
from crdtstore.http import cbor
from crdtstore.query import legacy, platform, rql
from crdtstore.query.dql import condition, expression_print
from crdtstore.query.dql.reader import Reader
from crdtstore.query.tree import LEGACY
from crdtstore.replication import body, columns, snapshot
from crdtstore.statement import project
from tests.core.json_texts import refusal
from tests.fuzz import corpus, engine
from tests.fuzz.engine import SANITIZED, Finding, Run, Target, cases, execute, replay, run
from tests.fuzz.mutate import CASE_BYTES_MAX, spans
from tests.fuzz.targets import TARGETS

NAMES = pytest.mark.parametrize("name", TARGETS)
CASES_ON_DEMAND = 1_000_000


def told(done: Run) -> str:
    """What was found, if anything."""
    return "" if done.finding is None else f"{done.finding.what}: {done.finding.data!r}"


@NAMES
def test_seeds_are_taken(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    taken = [execute(target, seed) for seed in seeds]
    assert sum(taken) * 2 > len(taken), [seed for seed, was_taken in zip(seeds, taken, strict=True) if not was_taken][
        :3
    ]


@NAMES
def test_kept_cases(name: str) -> None:
    assert told(replay(TARGETS[name], list(corpus.kept(TARGETS[name]).values()))) == ""


@NAMES
def test_altered_seeds(name: str, counted: dict[str, Run]) -> None:
    count = TARGETS[name].cases // (10 if SANITIZED else 1)
    done = counted[name] = run(TARGETS[name], count)
    assert told(done) == ""
    assert done.executions == count
    assert done.taken > 0


@pytest.mark.slow
@pytest.mark.timeout(0)
@NAMES
def test_many_altered_seeds(name: str, counted: dict[str, Run]) -> None:
    done = counted[name] = run(TARGETS[name], CASES_ON_DEMAND, seed=1)
    assert told(done) == ""


def test_every_kept_case_has_a_target() -> None:
    assert {folder.name for folder in corpus.FOLDER.iterdir()} <= set(TARGETS)


# --- planted bugs in decoders ---


def read_any_width(reader: body.Reader, count: int) -> tuple[int, ...]:
    width = 1 << (reader.take(1)[0] & 3)
    return tuple(int.from_bytes(block, "little") for block in reader.blocks(count, width))


def without_duplicates(data: bytes, depth_max: int) -> None:
    refused = refusal(Scanner, data, depth_max)
    if refused is not None and refused.reason != "duplicate key":
        Scanner(data, depth_max)


def without_great_positions(data: bytes) -> record.RecordHead:
    head = read_head(data)
    return head if head.position < 2**63 else head._replace(position=0)


def any_spelling(data: bytes) -> Any:
    try:
        return identifier.decode_part(data, 0, 0)[0]
    except (ValueError, LookupError, OverflowError, struct.error):
        raise InvalidId("No id.") from None


def with_quotes(parser: platform.Parser) -> str:
    return read_string(parser).replace("'", "''")


read_string = platform.Parser.string
Scanner, read_head = json_scan.scan_json, record.read_head
PLANTED: list[tuple[str, str, Any, str, Any]] = [
    (
        "a range that is not looked at",
        "frame-columns",
        columns,
        "check_numbers",
        lambda numbers, _most, _least=0: numbers,
    ),
    (
        "an index that is not looked at",
        "frame-body",
        columns,
        "check_numbers",
        lambda numbers, _most, _least=0: numbers,
    ),
    ("an order that is not looked at", "snapshot-documents", snapshot, "ascending", lambda rows: rows),
    ("a width that is not looked at", "snapshot-heads", body.Reader, "column", read_any_width),
    ("twins that disagree on positions", "record-head", record, "read_head", without_great_positions),
    ("twins that disagree on keys", "json-scan", json_scan, "scan_json", without_duplicates),
    ("a second spelling", "id", identifier, "decode_id", any_spelling),
    ("numbers below zero", "entry-advance", entry, "check_u64", lambda value: value),
    ("values that no JSON could say", "cbor", cbor, "check_value", lambda *_: None),
    ("no bound on depth", "query", legacy.Parser, "enter", lambda _self, _token: None),
    ("no bound on the depth of filters", "query-rql", rql.Parser, "check_size", lambda _self, _start, depth: depth),
    ("a quote that is not undoubled", "query-platform", platform.Parser, "string", with_quotes),
    ("no bound on the depth of statements", "dql", Reader, "enter", lambda _self, _token: None),
    ("names that are printed bare", "dql", expression_print, "is_alias", lambda _word: True),
    ("a tree of another language", "dql", condition, "DQL", LEGACY),
    (
        "a field that is left out and is not there",
        "dql-run",
        project,
        "leave_out",
        lambda made, path: made.pop(path[0]),
    ),
]


@pytest.mark.parametrize(("what", "name", "place", "attribute", "bug"), PLANTED, ids=[row[0] for row in PLANTED])
def test_a_planted_bug_is_found(
    what: str, name: str, place: Any, attribute: str, bug: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, attribute, bug)
    assert run(TARGETS[name], TARGETS[name].cases).finding is not None


# --- planted bugs that Python cannot see ---


def planted(take: Callable[[bytes], Any]) -> Target:
    """A target of a few bytes, with a bug behind one of them."""

    def reach(data: bytes) -> Any:
        return take(data) if data[:2] == b"\x81\xff" else None

    return Target("planted", reach, (), lambda: [b"\x81\x00\x00\x00"], cases=20_000)


def reads_nowhere(_data: bytes) -> Any:
    return ctypes.string_at(8)


def never_ends(_data: bytes) -> Any:
    return sum(repeat(0))


def takes_what_is_announced(data: bytes) -> Any:
    return bytearray(int.from_bytes(data[:4], "big"))


@pytest.mark.crash
@pytest.mark.parametrize(
    ("bug", "what"),
    [(reads_nowhere, "SIGSEGV"), (never_ends, "seconds of the CPU"), (takes_what_is_announced, "MemoryError")],
)
def test_a_planted_crash_is_found(bug: Callable[[bytes], Any], what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CASE_SECONDS_MAX", 0.5)
    finding = run(planted(bug), 20_000).finding
    assert finding is not None
    assert what in finding.what
    assert finding.data[:2] == b"\x81\xff"


@pytest.mark.crash
@pytest.mark.parametrize("is_traced", [False, True])
def test_memory_is_bounded_below_an_allocation_that_fails(monkeypatch: pytest.MonkeyPatch, *, is_traced: bool) -> None:
    def take(_data: bytes) -> Any:
        return bytearray(engine.MEMORY_BYTES_MAX * 3 // 2) if tracemalloc.is_tracing() == is_traced else None

    if is_traced:
        monkeypatch.setattr(engine, "touched", lambda: 0)
    done = run(Target("hungry", take, (), lambda: [b"x"]), engine.CASES_PER_TRACE)
    assert done.executions == (engine.CASES_PER_TRACE if is_traced else 1)
    assert done.finding is not None
    assert "bytes of memory" in done.finding.what


# --- the engine itself ---


def test_a_run_repeats() -> None:
    for name in ("frame-body", "json-scan"):
        first, second = (list(islice(cases(TARGETS[name], 3), 500)) for _ in range(2))
        assert first == second
        assert first != list(islice(cases(TARGETS[name], 4), 500))


def test_cases_are_bounded_and_mostly_new() -> None:
    for target in TARGETS.values():
        made = list(islice(cases(target, 0), 500))
        assert max(map(len, made)) <= CASE_BYTES_MAX
        assert len(set(made)) > 150, target.name


def test_items_of_msgpack_are_found() -> None:
    assert spans(b"\x92\x01\xa1a\x81\xc4\x01x\xc0") == [
        (0, 1, 4),
        (1, 2, 2),
        (2, 3, 4),
        (4, 5, 9),
        (5, 7, 8),
        (8, 9, 9),
    ]
    assert spans(b"\xdd\xff\xff\xff\xff\x01") == [(0, 5, 6), (5, 6, 6)]


def test_a_finding_is_made_smaller_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)

    def take(data: bytes) -> None:
        assert b"X" not in data, "an X"

    target = Target("planted", take, (), lambda: [b"abc"])
    smaller = corpus.shrink(target, Finding("planted", b"aaaaXbbbXcc" * 20, replay(target, [b"X"]).finding.what))  # type: ignore[union-attr]
    assert smaller.data == b"X"
    path = corpus.keep(smaller)
    assert path.parent == tmp_path / "planted"
    assert corpus.kept(target) == {path.name: b"X"}
