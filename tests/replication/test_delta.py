"""Deltas: whatever files are carried in whichever order, nothing breaks, and in the end all are equal.

Rules: a history is generated for a few stores and a heap of files: writing, asking, exporting with or without an ask,
importing any file of the heap, whole or cut at any byte, again and again; files that nobody imports are lost. What may
be refused is refused by a named error. Each transaction writes two documents alike, so that half of one would show.

Positive controls: an end that nobody checks, and histories that nobody compares.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crdtstore import Store, Upsert
from crdtstore.errors import (
    CrdtStoreError,
    DamagedFile,
    Divergence,
    LogTrimmed,
    MalformedMessage,
    PositionGap,
    Quarantined,
    ScopeMismatch,
)
from crdtstore.replication import delta
from crdtstore.replication.delta import read_ask, read_delta, write_ask, write_delta
from crdtstore.replication.local import sync
from crdtstore.replication.missing import missing
from crdtstore.storage import blocks
from crdtstore.version import arrival, delivery
from tests.replication.worlds import Ticking, assert_equal, has, make, origin_of, put, rows, state

STORES = 3
store_numbers = st.integers(0, STORES - 1)
parts = st.one_of(st.just(1.0), st.floats(0, 0.999))
actions = st.one_of(
    st.tuples(st.just("write"), store_numbers, st.integers(0, 3)),
    st.tuples(st.just("export"), store_numbers, st.none() | store_numbers),
    st.tuples(st.just("import"), store_numbers, st.integers(0, 20), parts),
)
Actions = list[tuple[Any, ...]]
MAY_BE_REFUSED = (PositionGap, DamagedFile)


def ask_of(store: Store) -> bytes:
    return b"".join(write_ask(store))


def delta_of(store: Store, ask: bytes | None = None) -> bytes:
    return b"".join(write_delta(store, None if ask is None else read_ask(io.BytesIO(ask))))


def take(store: Store, file: bytes) -> delta.Imported:
    return read_delta(store, io.BytesIO(file))


def write_pair(store: Store, number: int) -> None:
    """Write two documents alike in one transaction."""
    value = store.applied
    store.write([Upsert("a", {"n": value}, id=f"left-{number}"), Upsert("b", {"n": value}, id=f"right-{number}")])


def check_pairs(store: Store) -> None:
    for number in range(4):
        left, right = store.get("a", f"left-{number}"), store.get("b", f"right-{number}")
        assert (left and left.fields) == (right and right.fields)


def play(stores: list[Store], history: Actions) -> None:
    files: list[bytes] = []
    for what, number, *rest in history:
        store = stores[number]
        if what == "write":
            write_pair(store, rest[0])
        elif what == "export":
            files.append(delta_of(store, None if rest[0] is None else ask_of(stores[rest[0]])))
        elif files:
            file = files[rest[0] % len(files)]
            cut = file[: int(len(file) * rest[1])]
            before = rows(store)
            refused = refusal(store, cut)
            assert cut == file or refused
            assert not (cut == file and refused is DamagedFile)
            assert refused is not PositionGap or rows(store) == before
            check_pairs(store)


def refusal(store: Store, file: bytes) -> type[CrdtStoreError] | None:
    """Import a file; the error, if it is one that may be."""
    try:
        take(store, file)
    except MAY_BE_REFUSED as error:
        return type(error)
    return None


def settle(stores: list[Store]) -> None:
    """Carry files between all until all know everything."""
    for _ in range(2):
        for left in stores:
            for right in stores:
                take(right, delta_of(left, ask_of(right)))
    assert_equal(*stores)


@given(st.lists(actions, max_size=16))
@example(
    [("write", 0, 1), ("export", 0, 1), ("write", 0, 1), ("export", 0, 1), ("import", 1, 1, 0.5), ("import", 1, 0, 1.0)]
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_files_in_any_order_break_nothing_and_make_all_equal(history: Actions) -> None:
    stores = [make(number) for number in range(STORES)]
    play(stores, history)
    settle(stores)


@pytest.mark.slow
@given(st.lists(actions, max_size=60))
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_many_files_in_any_order_break_nothing(history: Actions) -> None:
    stores = [make(number) for number in range(STORES)]
    play(stores, history)
    settle(stores)


def small_frames(patch: pytest.MonkeyPatch) -> None:
    """Let every entry have a frame of its own."""
    patch.setattr(delta, "missing", partial(missing, bytes_max=1))


@pytest.fixture
def left() -> Store:
    """A store with a few transactions of pairs."""
    store = make(1)
    for number in range(4):
        write_pair(store, number)
    return store


def test_a_cut_file_is_noticed_at_every_byte_and_goes_on(left: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    small_frames(monkeypatch)
    file = delta_of(left)
    seen = set()
    for size in range(len(file)):
        right = make(2)
        with pytest.raises(DamagedFile) as caught:
            take(right, file[:size])
        assert caught.value.data.get("applied", 0) == right.applied
        check_pairs(right)
        seen.add(right.applied)
        assert take(right, file) == (left.origin, 4 - right.applied, right.applied) or right.applied == 4
        assert_equal(left, right)
    assert seen == {0, 1, 2, 3, 4}


def unchecked(self: blocks.BlockReader, magic: bytes) -> Iterator[bytes]:
    """Read blocks up to wherever they end."""
    self.source_bytes(len(magic))
    for number in range(1_000):
        try:
            kind, payload = self.block(number)
        except DamagedFile:
            if not number:
                raise
            return
        if kind == blocks.END:
            return
        yield payload


def test_an_end_that_nobody_checks_is_caught(left: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first positive control: half a file passes for a whole one."""
    monkeypatch.setattr(blocks.BlockReader, "payloads", unchecked)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_a_cut_file_is_noticed_at_every_byte_and_goes_on(left, monkeypatch)


def forked() -> tuple[Store, Store]:
    """Two stores with different histories under one origin, from which a third one heard."""
    twins = []
    for value in (1, 2):
        twin = Store.in_memory(clock=Ticking(), origin=origin_of(7))
        put(twin, 1, n=0)
        for step in range(value + 1):
            put(twin, 1, n=value + step)
        heard = make(value)
        sync(heard, twin)
        twins.append(heard)
    return twins[0], twins[1]


def meet_by_files() -> None:
    one, two = forked()
    with pytest.raises(Divergence):
        take(two, delta_of(one))
    with pytest.raises(Quarantined):
        take(two, delta_of(one))
    with pytest.raises(Divergence):
        delta_of(two, ask_of(make_of(one)))


def make_of(store: Store) -> Store:
    """A store that heard everything from another one."""
    other = make(9)
    take(other, delta_of(store))
    return other


def test_two_histories_are_a_divergence_and_a_quarantine() -> None:
    meet_by_files()


def test_two_histories_are_found_where_a_delta_goes_on() -> None:
    """The longer history is told to who has the shorter one: only the chain along the frames shows it."""
    one, two = forked()
    before = rows(one)
    with pytest.raises(Divergence):
        take(one, delta_of(two))
    assert rows(one) == before


def test_histories_that_nobody_compares_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second positive control."""
    monkeypatch.setattr(delta, "compare", lambda *_: None)
    monkeypatch.setattr(arrival, "check_chains", lambda *_: None)
    monkeypatch.setattr(delivery, "check_same", lambda *_: None)
    monkeypatch.setattr("crdtstore.core.deliver_run", None)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        meet_by_files()


def test_a_delta_for_an_ask_holds_what_is_missing_and_no_more(left: Store) -> None:
    right = make(2)
    take(right, delta_of(left))
    ask = ask_of(right)
    assert take(right, delta_of(left, ask)) == (left.origin, 0, 0)
    put(left, "late", n=1)
    file = delta_of(left, ask)
    assert len(file) < len(delta_of(left))
    assert take(right, file) == (left.origin, 1, 0)
    assert take(right, file) == (left.origin, 0, 1)
    assert_equal(left, right)


def test_a_delta_that_begins_later_is_refused_before_it_is_begun(left: Store) -> None:
    right, other = make(2), make(3)
    take(right, delta_of(left))
    ask = ask_of(right)
    put(left, "late", n=1)
    with pytest.raises(PositionGap, match="begins behind position 4") as caught:
        take(other, delta_of(left, ask))
    assert (caught.value.data["expected"], caught.value.data["got"], other.applied) == (1, 5, 0)


def test_a_trimmed_log_says_so_to_who_lacks_what_is_gone(left: Store) -> None:
    ask = ask_of(make(2))
    left.trim(2)
    with pytest.raises(LogTrimmed, match="Restore a backup") as caught:
        delta_of(left, ask)
    assert caught.value.data["first"] == 3
    with pytest.raises(PositionGap, match="start from a backup"):
        take(make(2), delta_of(left))


def test_a_trimmed_log_still_feeds_who_has_what_is_gone(left: Store) -> None:
    right = make(2)
    take(right, delta_of(left))
    put(left, "late", n=1)
    left.trim(3)
    take(right, delta_of(left))
    assert_equal(left, right)


def test_a_store_of_some_collections_is_given_what_it_holds(left: Store) -> None:
    right = make(2, scope=["a"])
    take(right, delta_of(left, ask_of(right)))
    assert has(right, "left-1")
    assert {name for name, _ in state(right)} == {"a"}
    with pytest.raises(ScopeMismatch):
        take(right, delta_of(left))
    with pytest.raises(ScopeMismatch):
        take(make(3), delta_of(left, ask_of(right)))
    put(right, "own", n=1)
    take(left, delta_of(right, ask_of(left)))
    assert has(left, "own")


def test_who_lost_writes_takes_a_new_epoch(left: Store) -> None:
    """A copy that was not restored as it should be: files tell it as an exchange does."""
    heard = make(2)
    take(heard, delta_of(left))
    copy = Store.in_memory(clock=Ticking(), origin=left.origin)
    take(copy, delta_of(heard))
    assert copy.origin != left.origin
    assert_equal(copy, heard)


def test_files_of_the_other_kind_and_of_other_formats_are_refused(left: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DamagedFile, match="CRDTDELT"):
        take(left, ask_of(left))
    with pytest.raises(DamagedFile, match="CRDT-ASK"):
        read_ask(io.BytesIO(delta_of(left)))
    for payload in (b"", b"\xc1", b"\x90", b"\x94\x01\xc4\x01x\xc0\x90"):
        with pytest.raises(MalformedMessage):
            read_ask(io.BytesIO(b"".join(blocks.write_blocks(delta.ASK_MAGIC, [payload]))))
    monkeypatch.setattr(delta, "DELTA_FORMAT", 2)
    newer = delta_of(left), ask_of(left)
    monkeypatch.undo()
    with pytest.raises(MalformedMessage, match="format 2"):
        take(left, newer[0])
    with pytest.raises(MalformedMessage, match="format 2"):
        read_ask(io.BytesIO(newer[1]))


def test_an_ask_of_two_payloads_is_refused(left: Store) -> None:
    payload = next(blocks.BlockReader(io.BytesIO(ask_of(left))).payloads(delta.ASK_MAGIC))
    with pytest.raises(MalformedMessage):
        read_ask(io.BytesIO(b"".join(blocks.write_blocks(delta.ASK_MAGIC, [payload, payload]))))
