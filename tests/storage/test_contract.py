"""What every storage promises (`crdtstore/storage/interface.py`), on all three of them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest

from crdtstore import limits
from crdtstore.errors import CrdtStoreError, LimitExceeded, StoreClosed, StoreError
from crdtstore.storage.interface import Batch, Snapshot, Storage
from crdtstore.storage.tables import Table
from tests.storage.engines import LOADED, content, fill

ROWS = {b"%05d" % number: b"value %d" % number for number in range(3_000)}


def in_thread(work: Callable[[], object]) -> object:
    """Run work in another thread and return what it returned or raised."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except CrdtStoreError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return results[0]


def test_the_compiled_engine_found_its_library() -> None:
    assert LOADED


def test_rows_stand_in_key_order_and_ranges_leave_their_end_out(storage: Storage) -> None:
    fill(storage, dict(reversed(ROWS.items())))
    with storage.snapshot() as snapshot:
        assert list(snapshot.scan(Table.LOG)) == list(ROWS.items())
        assert [key for key, _ in snapshot.scan(Table.LOG, b"00010", b"00013")] == [
            b"00010",
            b"00011",
            b"00012",
        ]
        assert [key for key, _ in snapshot.scan(Table.LOG, b"02998x")] == [b"02999"]
        assert list(snapshot.scan(Table.LOG, b"00012", b"00012")) == []
        assert list(snapshot.scan(Table.LOG, b"00013", b"00012")) == []
        assert list(snapshot.scan(Table.LOG, b"", b"")) == []
        assert next(snapshot.scan(Table.LOG, b"", b"x" * 1_000)) == (b"00000", b"value 0")
        assert next(snapshot.scan(Table.LOG, b"9"), None) is None


def test_a_scan_back_begins_before_its_end_and_goes_down_to_its_start(storage: Storage) -> None:
    fill(storage, ROWS)

    def keys(start: bytes, end: bytes | None) -> list[bytes]:
        return [key for key, _ in snapshot.scan_back(Table.LOG, start, end)]

    with storage.snapshot() as snapshot:
        assert list(snapshot.scan_back(Table.LOG)) == list(reversed(ROWS.items()))
        assert keys(b"00010", b"00013") == [b"00012", b"00011", b"00010"]
        assert keys(b"00010x", b"00012x") == [b"00012", b"00011"]
        assert keys(b"02998", b"9") == keys(b"02998", None) == [b"02999", b"02998"]
        assert keys(b"", b"00001") == [b"00000"]
        for start, end in [(b"00012", b"00012"), (b"00013", b"00012"), (b"", b""), (b"", b"0"), (b"9", None)]:
            assert keys(start, end) == []
        assert next(snapshot.scan_back(Table.LOG, b"", b"9" * 1_000)) == (b"02999", b"value 2999")
        assert next(snapshot.scan_back(Table.KEYS), None) is None


def test_a_scan_back_takes_an_end_beyond_every_key(storage: Storage) -> None:
    long = b"k" * limits.KEY_BYTES_MAX
    fill(storage, {b"k": b"1", long: b"2", long[:-1] + b"l": b"3"})
    with storage.snapshot() as snapshot:
        for end, expected in [(long + b"\0", b"2"), (long + b"x" * 600, b"2"), (long, b"1")]:
            assert next(snapshot.scan_back(Table.LOG, b"", end))[1] == expected


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 127, 128, 129, 136, 168, 1_000])
def test_a_scan_gives_every_row_whatever_their_number(storage: Storage, length: int) -> None:
    rows = dict(list(ROWS.items())[:length])
    fill(storage, rows)
    with storage.snapshot() as snapshot:
        assert list(snapshot.scan(Table.LOG)) == list(rows.items())
        assert list(snapshot.scan_back(Table.LOG)) == list(reversed(rows.items()))
        assert snapshot.count(Table.LOG) == length


def test_a_scan_of_large_values_gives_every_row(storage: Storage) -> None:
    rows = {b"%d" % number: bytes([number]) * 100_000 for number in range(10)}
    fill(storage, rows)
    assert content(storage) == rows
    with storage.snapshot() as snapshot:
        assert list(snapshot.scan_back(Table.LOG)) == list(reversed(rows.items()))


def test_ends_and_counts(storage: Storage) -> None:
    with storage.snapshot() as snapshot:
        assert (snapshot.first(Table.LOG), snapshot.last(Table.LOG), snapshot.count(Table.LOG)) == (
            None,
            None,
            0,
        )
    fill(storage, {b"b": b"2", b"a": b"1", b"c": b""})
    with storage.snapshot() as snapshot:
        assert snapshot.first(Table.LOG) == (b"a", b"1")
        assert snapshot.last(Table.LOG) == (b"c", b"")
        assert snapshot.count(Table.LOG) == 3
        assert snapshot.count(Table.KEYS) == 0


def test_tables_are_apart(storage: Storage) -> None:
    for table in Table:
        fill(storage, {b"shared key": table.name.encode("ascii")}, table)
    with storage.snapshot() as snapshot:
        assert [snapshot.get(table, b"shared key") for table in Table] == [
            table.name.encode("ascii") for table in Table
        ]


@pytest.mark.parametrize("value", [b"", b"\0", b"\xff" * 4, bytes(5_000), bytes(range(256)) * 8_192])
def test_values_come_back_as_they_were(storage: Storage, value: bytes) -> None:
    fill(storage, {b"key": value})
    assert content(storage) == {b"key": value}
    with storage.snapshot() as snapshot:
        assert snapshot.get(Table.LOG, b"key") == value


def test_a_key_may_be_as_long_as_the_limit(storage: Storage) -> None:
    rows = {b"k" * limits.KEY_BYTES_MAX: b"long", b"k": b"short", b"\xff" * limits.KEY_BYTES_MAX: b"last"}
    fill(storage, rows)
    assert content(storage) == rows
    with storage.snapshot() as snapshot:
        assert list(snapshot.scan(Table.LOG, b"k" * limits.KEY_BYTES_MAX, b"l")) == [
            (b"k" * limits.KEY_BYTES_MAX, b"long")
        ]


@pytest.mark.parametrize("length", [0, limits.KEY_BYTES_MAX + 1, 100_000])
def test_other_keys_are_refused_and_the_batch_goes_on(storage: Storage, length: int) -> None:
    key = b"k" * length
    with storage.batch() as batch:
        calls: list[Callable[[], object]] = [
            lambda: batch.put(Table.LOG, key, b"v"),
            lambda: batch.delete(Table.LOG, key),
            lambda: batch.get(Table.LOG, key),
        ]
        if length:
            calls += [lambda: batch.scan(Table.LOG, key), lambda: batch.scan_back(Table.LOG, key)]
        for call in calls:
            with pytest.raises(LimitExceeded) as caught:
                call()
            assert caught.value.data == {
                "limit": "KEY_BYTES_MAX",
                "value": length,
                "maximum": limits.KEY_BYTES_MAX,
            }
        batch.put(Table.LOG, b"good", b"v")
        batch.commit()
    assert content(storage) == {b"good": b"v"}


@pytest.mark.parametrize("table", [-1, len(Table), 255])
def test_there_are_no_other_tables(storage: Storage, table: int) -> None:
    with storage.batch() as batch:
        for call in (
            lambda: batch.get(table, b"k"),
            lambda: batch.put(table, b"k", b"v"),
            lambda: batch.delete(table, b"k"),
            lambda: batch.scan(table),
            lambda: batch.scan_back(table),
            lambda: batch.first(table),
            lambda: batch.last(table),
            lambda: batch.last_key(table),
            lambda: batch.count(table),
        ):
            with pytest.raises(StoreError, match="no table"):
                call()


def test_a_batch_sees_its_own_writes_and_nobody_else_does(storage: Storage) -> None:
    fill(storage, {b"a": b"1", b"b": b"2"})
    with storage.batch() as batch:
        batch.put(Table.LOG, b"a", b"new")
        batch.put(Table.LOG, b"c", b"3")
        assert batch.delete(Table.LOG, b"b")
        assert not batch.delete(Table.LOG, b"b")
        assert not batch.delete(Table.LOG, b"never")
        assert [batch.get(Table.LOG, key) for key in (b"a", b"b", b"c")] == [b"new", None, b"3"]
        assert list(batch.scan(Table.LOG)) == [(b"a", b"new"), (b"c", b"3")]
        assert list(batch.scan_back(Table.LOG)) == [(b"c", b"3"), (b"a", b"new")]
        assert (batch.first(Table.LOG), batch.last(Table.LOG)) == ((b"a", b"new"), (b"c", b"3"))
        assert batch.count(Table.LOG) == 2
        assert content(storage) == {b"a": b"1", b"b": b"2"}
        batch.commit()
    assert content(storage) == {b"a": b"new", b"c": b"3"}


@pytest.mark.parametrize("end", ["abort", "close"])
def test_a_batch_that_is_not_committed_leaves_nothing(storage: Storage, end: str) -> None:
    fill(storage, {b"a": b"1"})
    batch = storage.batch()
    batch.put(Table.LOG, b"a", b"2")
    batch.delete(Table.LOG, b"a")
    getattr(batch, end)()
    assert content(storage) == {b"a": b"1"}
    fill(storage, {b"b": b"2"})


def test_an_error_inside_a_batch_leaves_nothing(storage: Storage) -> None:
    def fail() -> None:
        with storage.batch() as batch:
            batch.put(Table.LOG, b"a", b"1")
            batch.get(Table.LOG, b"")

    with pytest.raises(LimitExceeded):
        fail()
    assert content(storage) == {}


def test_an_empty_batch_commits(storage: Storage) -> None:
    storage.batch().commit()
    assert content(storage) == {}


def test_there_is_one_batch_at_a_time(storage: Storage) -> None:
    with storage.batch() as batch:
        with pytest.raises(StoreError, match="open already"):
            storage.batch()
        assert isinstance(in_thread(storage.batch), StoreError)
        batch.commit()
        storage.batch().abort()


def test_a_dropped_batch_is_aborted(storage: Storage) -> None:
    storage.batch().put(Table.LOG, b"a", b"1")
    gc.collect()
    fill(storage, {b"b": b"2"})
    assert content(storage) == {b"b": b"2"}


def test_snapshots_stay_as_they_were(storage: Storage) -> None:
    seen: list[tuple[Snapshot, dict[bytes, bytes]]] = []
    rows: dict[bytes, bytes] = {}
    for number in range(20):
        rows[b"%d" % (number % 7)] = b"%d" % number
        with storage.batch() as batch:
            batch.put(Table.LOG, b"%d" % (number % 7), b"%d" % number)
            if batch.delete(Table.LOG, b"%d" % (number % 3)):
                del rows[b"%d" % (number % 3)]
            batch.commit()
        seen.append((storage.snapshot(), dict(rows)))
    for snapshot, expected in seen:
        assert dict(snapshot.scan(Table.LOG)) == expected
        assert {key: snapshot.get(Table.LOG, key) for key in expected} == expected
        assert snapshot.count(Table.LOG) == len(expected)
        assert snapshot.first(Table.LOG) == min(expected.items(), default=None)
        assert snapshot.last(Table.LOG) == max(expected.items(), default=None)
        snapshot.close()


def test_a_scan_goes_on_while_others_commit(storage: Storage) -> None:
    fill(storage, ROWS)
    with storage.snapshot() as snapshot:
        scan = snapshot.scan(Table.LOG)
        back = snapshot.scan_back(Table.LOG)
        given, given_back = [next(scan)], [next(back)]
        for number, rows in enumerate(zip(scan, back, strict=True)):
            given.append(rows[0])
            given_back.append(rows[1])
            if number % 500 == 0:
                fill(storage, {b"%05d" % (number + 600): b"changed", b"%05dx" % (number + 2): b"new"})
        assert given == list(ROWS.items())
        assert given_back == list(reversed(ROWS.items()))


def test_a_scan_refuses_to_go_on_after_a_write(storage: Storage) -> None:
    fill(storage, ROWS)
    writes: list[Callable[[Batch], object]] = [
        lambda batch: batch.put(Table.LOG, b"00500", b"changed"),
        lambda batch: batch.delete(Table.LOG, b"00001"),
    ]
    for write in writes:
        with storage.batch() as batch:
            scans = batch.scan(Table.LOG), batch.scan_back(Table.LOG)
            for scan in scans:
                next(scan)
            write(batch)
            for scan in scans:
                with pytest.raises(StoreError, match="written to"):
                    next(scan)


def readings(view: Snapshot) -> list[Callable[[], object]]:
    """Return every way of reading a view, a scan that was begun among them."""
    scan = view.scan(Table.LOG)
    back = view.scan_back(Table.LOG)
    next(scan)
    next(back)
    return [
        lambda: view.get(Table.LOG, b"00001"),
        lambda: view.scan(Table.LOG),
        lambda: view.scan_back(Table.LOG),
        lambda: view.first(Table.LOG),
        lambda: view.last(Table.LOG),
        lambda: view.last_key(Table.LOG),
        lambda: view.count(Table.LOG),
        lambda: next(scan),
        lambda: next(back),
    ]


def test_nothing_ended_is_used(storage: Storage) -> None:
    fill(storage, ROWS)
    snapshot = storage.snapshot()
    batch = storage.batch()
    calls = readings(snapshot) + readings(batch)
    calls += [
        lambda: batch.put(Table.LOG, b"a", b"1"),
        lambda: batch.delete(Table.LOG, b"a"),
        batch.commit,
    ]
    for view in (snapshot, batch):
        view.close()
        view.close()
    for call in calls:
        with pytest.raises(StoreClosed):
            call()
    batch.abort()


def test_a_committed_batch_is_over(storage: Storage) -> None:
    batch = storage.batch()
    batch.commit()
    with pytest.raises(StoreClosed):
        batch.commit()
    batch.abort()
    batch.close()


def test_closing_ends_everything_that_is_open(storage: Storage) -> None:
    fill(storage, ROWS)
    snapshots = [storage.snapshot() for _ in range(5)]
    scans = [snapshot.scan(Table.LOG) for snapshot in snapshots]
    scans += [snapshot.scan_back(Table.LOG) for snapshot in snapshots]
    for scan in scans:
        next(scan)
    batch = storage.batch()
    batch.put(Table.LOG, b"a", b"1")
    storage.close()
    storage.close()
    calls: list[Callable[[], object]] = [
        storage.snapshot,
        storage.batch,
        storage.bytes_on_disk,
        batch.commit,
        lambda: batch.put(Table.LOG, b"a", b"1"),
        lambda: snapshots[0].get(Table.LOG, b"a"),
        lambda: next(scans[0]),
        lambda: next(scans[-1]),
    ]
    for call in calls:
        with pytest.raises(StoreClosed):
            call()
    for snapshot in snapshots:
        snapshot.close()
    batch.close()


def test_a_snapshot_goes_to_another_thread(storage: Storage) -> None:
    fill(storage, ROWS)
    snapshot = storage.snapshot()
    assert in_thread(lambda: snapshot.get(Table.LOG, b"00001")) == b"value 1"
    assert in_thread(lambda: dict(snapshot.scan(Table.LOG))) == ROWS
    assert snapshot.get(Table.LOG, b"00002") == b"value 2"
    assert in_thread(snapshot.close) is None
    with pytest.raises(StoreClosed):
        snapshot.get(Table.LOG, b"00002")


def test_only_its_own_thread_ends_a_batch(storage: Storage) -> None:
    with storage.batch() as batch:
        batch.put(Table.LOG, b"a", b"1")
        for end in (batch.commit, batch.abort, batch.close, storage.close):
            assert isinstance(in_thread(end), StoreError)
        batch.commit()
    assert content(storage) == {b"a": b"1"}


def test_many_threads_read_while_one_writes(storage: Storage) -> None:
    """A reader that saw parts of two commits, or a damaged row, fails."""
    done = threading.Event()

    def read() -> bool:
        while not done.is_set():
            rows = content(storage)
            if len(set(rows.values())) > 1:
                return False
        return True

    results: list[object] = []
    readers = [threading.Thread(target=lambda: results.append(read())) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        fill(storage, {b"%03d" % key: b"%d" % number for key in range(200)})
    done.set()
    for reader in readers:
        reader.join(60)
    assert results == [True] * 3


def test_closing_waits_for_calls_in_other_threads(storage: Storage) -> None:
    fill(storage, {key: bytes(2_000) for key in ROWS})
    started = threading.Barrier(4)

    def read() -> CrdtStoreError | None:
        try:
            with storage.snapshot() as snapshot:
                started.wait(60)
                while True:
                    sum(1 for _ in snapshot.scan(Table.LOG))
                    sum(1 for _ in snapshot.scan_back(Table.LOG))
        except CrdtStoreError as error:
            return error

    results: list[object] = []
    readers = [threading.Thread(target=lambda: results.append(read())) for _ in range(3)]
    for reader in readers:
        reader.start()
    started.wait(60)
    storage.close()
    for reader in readers:
        reader.join(60)
    assert [type(result) for result in results] == [StoreClosed] * 3


def test_more_snapshots_than_are_kept_for_reuse(storage: Storage) -> None:
    for _ in range(2):
        snapshots = [storage.snapshot() for _ in range(limits.SNAPSHOTS_KEPT_MAX + 40)]
        assert all(snapshot.count(Table.LOG) == 0 for snapshot in snapshots)
        for snapshot in snapshots:
            snapshot.close()
