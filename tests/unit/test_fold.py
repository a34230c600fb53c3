"""The net effect of a transaction is what its steps did, one after the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.counter import choose
from crdtstore.crdt.document import visible
from crdtstore.crdt.fold import Fold
from crdtstore.crdt.merge import merge
from crdtstore.crdt.operation import Mark, Restart, Write
from crdtstore.crdt.path import ROOT, decode_path, encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import decode_value, encode_value
from crdtstore.errors import InvalidValue, TypeConflict

EARLIER, NOW = Stamp(10, b"a" * 16, b"o" * 16), Stamp(20, b"a" * 16, b"o" * 16)
paths = st.sampled_from([encode_path(path) for path in (("x",), ("m", "a"), ("m", "b"), ("c",))])
steps = st.lists(
    st.tuples(st.just("write"), paths, st.integers(0, 9))
    | st.tuples(st.just("restart"), paths, st.integers(0, 9))
    | st.tuples(st.just("increment"), paths, st.integers(-9, 9))
    | st.tuples(st.just("remove"), paths | st.just(ROOT) | st.just(encode_path(("m",))), st.none()),
    max_size=6,
)


def base() -> list[Cell]:
    """A document with a register and a counter, written by an earlier transaction."""
    setup = Fold()
    setup.write(Write(encode_path(("x",)), encode_value(1)))
    setup.write(Restart(encode_path(("c",)), 5))
    return merge([], setup.operations(), EARLIER, lambda _: True)


def run(fold: Fold, kind: str, path: bytes, value: Any) -> None:
    """One step of a transaction, as the commands make it."""
    if kind == "write":
        fold.write(Write(path, encode_value(value)))
    elif kind == "restart":
        fold.write(Restart(path, value))
    elif kind == "remove":
        fold.remove(path)
    else:
        cells = merge(base(), fold.operations(), NOW, lambda stamp: stamp < NOW)
        counters = [cell for cell in cells if cell.path == path and cell.type == CellType.COUNTER]
        instance = choose(counters)
        fold.increment(path, None if instance == NOW else instance, value)


def stepwise(model: dict[bytes, tuple[str, int]], kind: str, path: bytes, value: Any) -> None:
    """The same step on a plain dict: path -> (type, value)."""
    if kind == "remove":
        for at in [at for at in model if at.startswith(path)]:
            del model[at]
    elif kind == "increment":
        before = model[path][1] if model.get(path, ("", 0))[0] == "counter" else 0
        model[path] = ("counter", before + value)
    else:
        model[path] = ("register" if kind == "write" else "counter", value)


@given(steps)
def test_the_author_sees_what_came_last(taken: list[tuple[str, bytes, Any]]) -> None:
    """Merging the net effect shows what the steps leave behind when each is applied alone."""
    fold = Fold()
    model: dict[bytes, tuple[str, int]] = {
        encode_path(("x",)): ("register", 1),
        encode_path(("c",)): ("counter", 5),
    }
    try:
        for step in taken:
            run(fold, *step)
            stepwise(model, *step)
    except TypeConflict:
        return
    shown = visible(merge(base(), fold.operations(), NOW, lambda stamp: stamp < NOW))
    expected: dict[str, Any] = {}
    for path, (_, value) in model.items():
        *above, last = decode_path(path)
        node = expected
        for key in above:
            node = node.setdefault(key, {})
        node[last] = value
    assert (shown or {}) == expected


def test_set_remove_set_keeps_the_last() -> None:
    """A transaction does not observe its own stamp: without the fold this would leave nothing."""
    fold, path = Fold(), encode_path(("x",))
    fold.write(Write(path, encode_value(1)))
    fold.remove(path)
    fold.write(Write(path, encode_value(2)))
    cells = merge([], fold.operations(), NOW, lambda stamp: stamp < NOW)
    assert [decode_value(cell.value) for cell in cells] == [2]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Write(encode_path(("a",)), b"\x01"), Restart(encode_path(("a",)), 1)),
        (Write(encode_path(("a",)), b"\x01"), Mark(encode_path(("a",)))),
        (Write(encode_path(("a",)), b"\x01"), Write(encode_path(("a", "b")), b"\x01")),
        (Write(encode_path(("a", "b", "c")), b"\x01"), Write(encode_path(("a",)), b"\x01")),
    ],
)
def test_two_types_at_one_path(first: Any, second: Any) -> None:
    """Both would carry one stamp, so neither comes last."""
    fold = Fold()
    fold.write(first)
    with pytest.raises(TypeConflict):
        fold.write(second)


def test_sums_stay_within_int64() -> None:
    """An increment that int64 cannot hold is refused where it is made."""
    fold, path = Fold(), encode_path(("c",))
    fold.write(Restart(path, 2**63 - 1))
    with pytest.raises(InvalidValue, match="int64"):
        fold.increment(path, None, 1)
