"""Documents made by hypothesis: document bytes with the dictionaries that they are to be read with.

Rules: `played` documents come about by transactions of several replicas through the plain merge; `packed`
ones are any cells at all, among them states that few histories reach: equal timestamps of several actors,
every type at one path, values above others. Both hold every kind of value, and keys and texts that JSON has
to escape; some stand in collections whose dictionary is full, so that paths are local.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.cell import ALL_TYPES, Cell, CellType, Total, mask
from crdtstore.crdt.document_bytes import merge_document, pack_document
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import encode_value
from tests.core.merging import ACTORS, BURY, ORIGINS, Step, play, tokens

PATHS_MAX = (2, 100)
"""Room in the dictionary of paths."""


class Stored(NamedTuple):
    """A document as a store holds it."""

    data: bytes
    paths: Names
    replicas: Replicas


texts = st.text(max_size=20) | st.text(st.sampled_from('\x00\x01\x1f "\\/\x7f\n\ta\xe9\u2028\U0001f600'), max_size=40)
"""Any text, and texts of which JSON escapes much."""

doubles = st.floats(allow_nan=False, allow_infinity=False) | st.builds(
    lambda digits, places: digits / 10**places, st.integers(-(10**16), 10**16), st.integers(0, 20)
)
"""Any finite double, and decimal fractions of all lengths."""

integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300) | st.sampled_from([-(2**63), 2**63 - 1, 2**53])

scalars = st.none() | st.booleans() | integers | doubles | texts | st.binary(max_size=40)

values = scalars | st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
"""The whole value model."""

numbers = st.integers(-9, 9) | st.sampled_from([2**63 - 1, -(2**63), 2**62, 0.1, -0.0, 1e16, -2.25, 1e308])
"""What counters hold; their sums leave int64 and, rarely, the doubles."""

KEYS = ("a", "b", "ab", "", "\x00", "\x01", "\x01b", 'say "no"', "\xe9", "a key of more than sixteen bytes")

paths = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(tuple)

few_paths = st.lists(st.sampled_from(("a", "\x01", "b")), max_size=2).map(tuple)
"""Paths that often meet, the root among them."""

places = (paths | few_paths).map(encode_path)

seeds = st.one_of(
    st.tuples(st.just("write"), places, values),
    st.tuples(st.just("write"), places, values),
    st.tuples(st.just("mark"), places, st.none()),
    st.tuples(st.just("start"), places, numbers),
    st.tuples(st.just("restart"), places, numbers),
    st.tuples(st.just("increment"), st.integers(0, 5), numbers),
    st.tuples(st.just("attach"), places, tokens),
    st.tuples(st.just("initial write"), places, values),
    st.tuples(st.sampled_from(["initial mark", "initial restart"]), places, numbers),
    st.tuples(st.just("initial attach"), places, tokens),
    st.tuples(st.just("remove"), places, st.sampled_from([ALL_TYPES, mask(CellType.REGISTER), mask(CellType.MAP)])),
)

BURIALS = st.integers(0, 9).map(lambda die: (BURY if die == 0 else ("mark", b"", None),))

steps = st.builds(
    Step,
    actor=st.integers(0, 2),
    origin=st.integers(0, 2),
    later=st.sampled_from([1, 2, 70_000]),
    unseen=st.tuples(*[st.sampled_from([0, 1, 3, 10**9])] * 3),
    operations=st.lists(seeds, min_size=1, max_size=5).map(tuple) | BURIALS,
)


@st.composite
def played(draw: st.DrawFn) -> Stored:
    """A document that transactions of several replicas made, in part without having seen each other."""
    history = draw(st.lists(steps, min_size=1, max_size=8))
    done = play(history, merge_document, paths_max=draw(st.sampled_from(PATHS_MAX)))
    return Stored(done.documents[-1], done.paths, done.replicas)


stamps = st.builds(Stamp, st.integers(1, 3), st.sampled_from(ACTORS), st.sampled_from(ORIGINS))
totals = st.lists(st.builds(Total, stamps, numbers), max_size=3, unique_by=lambda total: total.stamp.replica).map(
    lambda made: tuple(sorted(made))
)


def cells(at: st.SearchStrategy[bytes]) -> st.SearchStrategy[Cell]:
    """Any cell at one of some paths."""
    registers = st.builds(
        lambda path, stamp, value, initial: Cell(path, CellType.REGISTER, stamp, encode_value(value), initial=initial),
        at,
        stamps,
        values,
        st.booleans(),
    )
    attachments = st.builds(
        lambda path, stamp, token, initial: Cell(
            path, CellType.ATTACHMENT, stamp, encode_token(token), initial=initial
        ),
        at,
        stamps,
        tokens,
        st.booleans(),
    )
    markers = st.builds(
        lambda path, stamp, initial: Cell(path, CellType.MAP, stamp, b"", initial=initial), at, stamps, st.booleans()
    )
    counters = st.builds(make_counter, at, stamps, st.none() | numbers, totals, initial=st.booleans())
    return st.one_of(registers, registers, attachments, markers, counters, counters)


def make_counter(
    path: bytes, stamp: Stamp, begin: float | None, parts: tuple[Total, ...], *, initial: bool = False
) -> Cell:
    """An instance, implicit where it has no start; only an explicit one may be initial."""
    start, explicit = encode_value(0 if begin is None else begin), begin is not None
    return Cell(path, CellType.COUNTER, stamp, start, explicit, parts, explicit and initial)


@st.composite
def packed(draw: st.DrawFn) -> Stored:
    """A document of any cells, at few paths or at many; in every other one each path has at most one."""
    known = draw(st.lists(places, min_size=1, max_size=4))
    at = draw(st.sampled_from((st.sampled_from(known), few_paths.map(encode_path), places)))
    size = draw(st.integers(1, 10))
    made = draw(st.lists(cells(at), min_size=size, max_size=size))
    name = draw(st.sampled_from((1, 3)))
    different = {cell[:name]: cell for cell in made}
    return store(list(different.values()), paths_max=draw(st.sampled_from(PATHS_MAX)))


def store(made: list[Cell], *, paths_max: int = 100) -> Stored:
    """Pack cells with dictionaries of their own; replicas are numbered against their order."""
    names, replicas = Names([], paths_max), Replicas()
    known = {cell.stamp.replica for cell in made} | {total.stamp.replica for cell in made for total in cell.totals}
    for replica in sorted(known, reverse=True):
        replicas.intern(replica)
    return Stored(pack_document(made, names, replicas), names, replicas)


def document(fields: dict[tuple[str, ...], Any]) -> Stored:
    """A document of registers that one transaction wrote."""
    stamp = Stamp(1, ACTORS[0], ORIGINS[0])
    return store(
        [Cell(encode_path(path), CellType.REGISTER, stamp, encode_value(value)) for path, value in fields.items()]
    )


documents = played() | packed()
"""Documents of every form, now and then one that does not exist."""
