"""A field of a document: both cores find the same value wherever a path leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import field as plain
from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.field import MISSING
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import encode_value
from crdtstore.errors import Corrupted
from tests.core.merging import ACTORS, ORIGINS
from tests.core.strategies import KEYS, Stored, document, documents, store

Path = tuple[str | int, ...]
Read = Callable[[bytes, Path, Names, Replicas], Any]
SIDES: dict[str, Read] = {"plain": plain.read_field, "compiled": _core.read_field}

indexes = st.integers(-2, 5) | st.sampled_from([2**63, -(2**70), True])
asked = st.lists(st.sampled_from(KEYS) | st.text(max_size=3) | indexes | st.just("\ud800"), max_size=4).map(tuple)


@pytest.fixture(params=SIDES, scope="module")
def twin(request: pytest.FixtureRequest) -> Read:
    return SIDES[request.param]


def read(side: Read, stored: Stored, path: Path) -> Any:
    return side(stored.data, path, stored.paths, stored.replicas)


def exact(value: Any) -> Any:
    """A value in a form whose equality tells types, signs of zero and the order of keys apart."""
    return repr(value)


def places(value: Any) -> list[Path]:
    """Every path that leads to something in a value."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [(), *((step, *rest) for step, item in inner for rest in places(item))]


def walk(value: Any, path: Path) -> Any:
    """What the plain reader does behind the root: steps through one visible document for many paths."""
    for step in path:
        value = plain.step_into(value, step)
    return value


def disagreements(stored: Stored, paths: Iterable[Path]) -> list[Path]:
    """The paths at which the compiled reader finds another value than the plain one."""
    shown = plain.visible_document(*stored)
    root = MISSING if shown is None else shown
    return [path for path in paths if exact(walk(root, path)) != exact(read(_core.read_field, stored, path))]


@given(documents)
def test_whole_documents_agree(stored: Stored) -> None:
    shown = plain.visible_document(*stored)
    assert exact(_core.visible_document(*stored)) == exact(shown)
    assert exact(read(_core.read_field, stored, ())) == exact(MISSING if shown is None else shown)


@given(documents)
def test_every_place_of_a_document_agrees(stored: Stored) -> None:
    found = places(plain.visible_document(*stored))
    assert disagreements(stored, [(*path, *step) for path in found for step in ((), ("a",), (0,))]) == []


@given(documents, st.lists(asked, max_size=20))
def test_any_path_agrees(stored: Stored, paths: list[Path]) -> None:
    assert disagreements(stored, paths) == []
    for path in paths[:1]:
        assert exact(read(plain.read_field, stored, path)) == exact(read(_core.read_field, stored, path))


FIELDS: dict[tuple[str, ...], Any] = {
    ("a",): [10, {"x": None, "\x00": "zero"}, [b"\xff"]],
    ("b", "c"): "nested",
    ("b", "\x01"): -0.0,
    ("",): 2**63 - 1,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("a", 0), 10),
        (("a", True), {"x": None, "\x00": "zero"}),
        (("a", 1, "x"), None),
        (("a", 1, "\x00"), "zero"),
        (("a", 2, 0), b"\xff"),
        (("a", 3), MISSING),
        (("a", -1), MISSING),
        (("a", 2**70), MISSING),
        (("a", "0"), MISSING),
        (("a", 1, "y"), MISSING),
        (("a", 1, "\ud800"), MISSING),
        (("a", 0, 0), MISSING),
        (("b",), {"\x01": -0.0, "c": "nested"}),
        (("b", "c"), "nested"),
        (("b", "c", "d"), MISSING),
        (("b", "c", 0), MISSING),
        (("b", 0), MISSING),
        (("b", "\x01"), -0.0),
        (("",), 2**63 - 1),
        (("c",), MISSING),
        (("\ud800",), MISSING),
        ((0,), MISSING),
        (("k" * 5_000,), MISSING),
        (("a", "k" * 5_000), MISSING),
    ],
)
def test_examples(twin: Read, path: Path, value: Any) -> None:
    assert exact(read(twin, document(FIELDS), path)) == exact(value)


def at(timestamp: int, *keys: str, value: Any = None, kind: CellType = CellType.REGISTER) -> Cell:
    """A register, or a marker, written at a time."""
    encoded = b"" if kind == CellType.MAP else encode_value(value)
    return Cell(encode_path(keys), kind, Stamp(timestamp, ACTORS[0], ORIGINS[0]), encoded)


def test_what_is_newer_hides_what_is_above_or_below(twin: Read) -> None:
    older, newer = at(1, "a", value={"b": 1}), at(2, "a", "b", value=2)
    assert read(twin, store([older, newer]), ("a", "b")) == 2
    older, newer = at(1, "a", "b", value=2), at(2, "a", value={"b": 1})
    assert read(twin, store([older, newer]), ("a", "b")) == 1
    # A newer field beside the one that is asked for keeps their map visible.
    beside = at(3, "a", "c", value=3)
    assert read(twin, store([older, newer, beside]), ("a", "b")) == 2
    # It also hides what the older value holds under the key.
    assert read(twin, store([at(1, "a", value={"b": 1}), at(2, "a", "c", value=3)]), ("a", "b")) is MISSING
    assert read(twin, store([at(2, "a", value={"b": 1}), at(1, "a", "c", value=3)]), ("a", "b")) == 1
    hidden = [at(1, "a", "b", value=2), at(2, "a", value=5)]
    assert read(twin, store(hidden), ("a", "b")) is MISSING


def test_markers_and_counters(twin: Read) -> None:
    counter = Cell(
        encode_path(("n",)),
        CellType.COUNTER,
        Stamp(1, ACTORS[0], ORIGINS[0]),
        encode_value(5),
        True,
        tuple(Total(Stamp(1, actor, ORIGINS[0]), 2) for actor in ACTORS),
    )
    stored = store([at(1, "m", kind=CellType.MAP), counter])
    assert read(twin, stored, ("m",)) == {}
    assert read(twin, stored, ("m", "x")) is MISSING
    assert read(twin, stored, ("n",)) == 11
    assert read(twin, stored, ("n", "x")) is MISSING


def test_a_document_that_does_not_exist_has_no_field(twin: Read) -> None:
    nothing = Stored(b"", Names([], 1), Replicas())
    assert read(twin, nothing, ()) is MISSING
    assert read(twin, nothing, ("a",)) is MISSING


@given(documents, asked, st.data())
def test_damaged_documents_are_refused_or_read(stored: Stored, path: Path, data: st.DataObject) -> None:
    if not stored.data:
        return
    altered = bytearray(stored.data)
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(altered), bytes(altered[: data.draw(st.integers(1, len(altered)))])):
        for asked_path in ((), path):
            try:
                _core.read_field(damaged, asked_path, stored.paths, stored.replicas)
            except (Corrupted, UnicodeDecodeError):
                continue


def test_a_planted_bug_is_found() -> None:
    """A reader that finds null where a path leads past a value is found by the comparison."""

    @settings(max_examples=200, phases=[Phase.generate])
    @given(documents, asked)
    def hasty_reader_agrees(stored: Stored, path: Path) -> None:
        found = read(_core.read_field, stored, path)
        hasty = None if found is MISSING and len(path) > 1 else found
        assert exact(hasty) == exact(read(plain.read_field, stored, path))

    with pytest.raises(AssertionError):
        hasty_reader_agrees()
