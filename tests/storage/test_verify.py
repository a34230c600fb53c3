"""Verification finds every planted damage, each by the check that is meant for it, and nothing in whole stores.

The controls take that check away: then the damage is not found under its code.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Store, Upsert, core
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.errors import NotAStore
from crdtstore.storage import verify as verification
from crdtstore.storage import verify_finding
from crdtstore.storage.environment import META_PAGE, open_storage
from crdtstore.storage.images import image_key
from crdtstore.storage.range_table import VALUE
from crdtstore.storage.ranges import refresh
from crdtstore.storage.tables import Table
from crdtstore.storage.verify import verify, verify_storage
from crdtstore.storage.verify_finding import ACTIONS
from crdtstore.version.replay import replay, why_not
from tests.replication.test_any_world import Step, run, worlds
from tests.storage.range_model import small_rows
from tests.storage.verified import THEIRS, build, plant, rows


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("verify") / "store")


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "store"))


def codes(path: Path) -> set[str]:
    return {finding.code for finding in verify(path)}


def row(path: Path, table: Table, number: int = 0) -> tuple[bytes, bytes]:
    """The n-th row of a table."""
    return list(rows(path, table).items())[number]


def change(path: Path, table: Table, number: int, new: Callable[[bytes], bytes]) -> None:
    """Put another value, rightly sealed, under the n-th key."""
    key, value = row(path, table, number)
    plant(path, table, key, new(value))


def packed(at: int, new: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Change one field of a msgpack row."""

    def apply(value: bytes) -> bytes:
        fields = msgpack.unpackb(value)
        fields[at] = new(fields[at])
        return bytes(msgpack.packb(fields))

    return apply


def remove(path: Path, table: Table, number: int) -> None:
    plant(path, table, row(path, table, number)[0], None)


def plant_image(path: Path, txn: int | None, collection: int) -> None:
    key = row(path, Table.IMAGES)[0] if txn is None else image_key(txn, 0)
    plant(path, Table.IMAGES, key, msgpack.packb([collection, b"a", None, None]))


def unseal(path: Path, table: Table, number: int) -> None:
    key, value = row(path, table, number)
    plant(path, table, key, value + b"seal", sealed=False)


def other_sum(value: bytes) -> bytes:
    documents, digest = VALUE.unpack_from(value)
    return VALUE.pack(documents, digest[::-1]) + value[VALUE.size :]


def other_stamps(value: bytes) -> bytes:
    """Set the two bytes of the header that are always 0."""
    return value[:2] + b"\1" + value[3:]


def rename(path: Path, table: Table, key: bytes) -> None:
    """Move the last row of a table to another key."""
    old, value = row(path, table, -1)
    plant(path, table, old, None)
    plant(path, table, key, value)


def exchange_entries(path: Path) -> None:
    """Give two entries of the log each other's place."""
    first, second = row(path, Table.LOG, 5), row(path, Table.LOG, 6)
    plant(path, Table.LOG, first[0], second[1])
    plant(path, Table.LOG, second[0], first[1])


def cut_short(value: bytes) -> bytes:
    return value[:20]


DAMAGES: dict[str, tuple[str, str | None, Callable[[Path], None]]] = {
    "altered meta": ("seal", "check_meta", lambda path: unseal(path, Table.META, 2)),
    "image of no transaction": ("value", "check_images", lambda path: plant_image(path, 1_000_000, 0)),
    "image in no collection": ("value", "check_images", lambda path: plant_image(path, None, 1_000)),
    "altered collection": ("seal", "check_collections", lambda path: unseal(path, Table.COLLECTIONS, 0)),
    "altered path": ("seal", "check_paths", lambda path: unseal(path, Table.PATHS, 0)),
    "altered replica": ("seal", "check_replicas", lambda path: unseal(path, Table.REPLICAS, 0)),
    "altered document": ("seal", "check_documents", lambda path: unseal(path, Table.DOCUMENTS, 7)),
    "altered entry": ("seal", "check_log", lambda path: unseal(path, Table.LOG, 7)),
    "altered position": ("seal", "check_positions", lambda path: unseal(path, Table.POSITIONS, 7)),
    "altered origin": ("seal", "check_head", lambda path: unseal(path, Table.ORIGINS, 0)),
    "altered sum": ("seal", "check_ranges", lambda path: unseal(path, Table.RANGES, 0)),
    "altered key": ("seal", "check_keys", lambda path: unseal(path, Table.KEYS, 0)),
    "altered index": ("seal", "check_indexes", lambda path: unseal(path, Table.INDEXES, 0)),
    "altered attachment": ("seal", "check_attachments", lambda path: unseal(path, Table.ATTACHMENTS, 0)),
    "altered entry of an index": ("seal", "check_entries", lambda path: unseal(path, Table.ENTRIES, 0)),
    "altered peer": ("seal", "check_peers", lambda path: unseal(path, Table.PEERS, 0)),
    "origin that is none": ("value", "check_meta", lambda path: plant(path, Table.META, b"origin", b"short")),
    "origin that is gone": ("value", "check_meta", lambda path: plant(path, Table.META, b"origin", None)),
    "peer that is none": ("value", "check_peers", lambda path: plant(path, Table.PEERS, THEIRS, b"\x93\1\1\1")),
    "two collections": (
        "value",
        "check_collections",
        lambda path: plant(path, Table.COLLECTIONS, bytes(3) + b"\2", row(path, Table.COLLECTIONS)[1]),
    ),
    "collection of no name": (
        "value",
        "check_collections",
        lambda path: change(path, Table.COLLECTIONS, 0, packed(0, lambda _: "")),
    ),
    "path in no encoding": ("value", "check_paths", lambda path: change(path, Table.PATHS, 0, lambda _: b"open")),
    "path of no collection": ("value", "check_paths", lambda path: plant(path, Table.PATHS, b"\xff" * 8, b"a\0")),
    "replica that is none": ("value", "check_replicas", lambda path: change(path, Table.REPLICAS, 0, lambda _: b"a")),
    "position that is none": (
        "value",
        "check_positions",
        lambda path: change(path, Table.POSITIONS, 0, lambda value: value + b"\2"),
    ),
    "long key": ("key", "check_peers", lambda path: rename(path, Table.PEERS, bytes(17))),
    "long txn id": ("key", "check_log", lambda path: rename(path, Table.LOG, b"\xff" * 9)),
    "document of no collection": (
        "key",
        "check_documents",
        lambda path: plant(path, Table.DOCUMENTS, b"\xff" * 5, b""),
    ),
    "document under another id": (
        "key",
        "check_documents",
        lambda path: rename(path, Table.DOCUMENTS, row(path, Table.DOCUMENTS, -1)[0][:-1] + b"?"),
    ),
    "sum of no level": ("key", "check_ranges", lambda path: plant(path, Table.RANGES, b"\x09" * 6, bytes(40))),
    "sum that is short": ("value", "check_ranges", lambda path: change(path, Table.RANGES, 0, lambda _: b"short")),
    "missing path": ("names", "check_paths", lambda path: remove(path, Table.PATHS, 1)),
    "missing replica": ("names", "check_replicas", lambda path: remove(path, Table.REPLICAS, 0)),
    "missing collection": ("names", "check_collections", lambda path: remove(path, Table.COLLECTIONS, 0)),
    "document cut short": ("document", "check_documents", lambda path: change(path, Table.DOCUMENTS, 4, cut_short)),
    "document in another form": (
        "document",
        "check_documents",
        lambda path: change(path, Table.DOCUMENTS, 4, other_stamps),
    ),
    "missing document": ("counts", "check_counts", lambda path: remove(path, Table.DOCUMENTS, 9)),
    "document of another": (
        "counts",
        "check_counts",
        lambda path: plant(path, Table.DOCUMENTS, row(path, Table.DOCUMENTS, 8)[0], row(path, Table.DOCUMENTS, 9)[1]),
    ),
    "other count": (
        "counts",
        "check_counts",
        lambda path: change(path, Table.COLLECTIONS, 0, packed(1, lambda count: count + 1)),
    ),
    "other number of graves": (
        "counts",
        "check_counts",
        lambda path: change(path, Table.COLLECTIONS, 0, packed(3, lambda count: count + 1)),
    ),
    "other sum": ("ranges", "check_ranges", lambda path: change(path, Table.RANGES, -1, other_sum)),
    "missing sum": ("ranges", "check_ranges", lambda path: remove(path, Table.RANGES, -1)),
    "index of no collection": (
        "value",
        "check_indexes",
        lambda path: change(path, Table.INDEXES, 0, packed(1, lambda _: 99)),
    ),
    "index of two names": (
        "value",
        "check_indexes",
        lambda path: plant(path, Table.INDEXES, bytes(3) + b"\7", row(path, Table.INDEXES)[1]),
    ),
    "index that is none": ("value", "check_indexes", lambda path: change(path, Table.INDEXES, 0, lambda _: b"\x91\1")),
    "missing entry": ("index", "check_entries", lambda path: remove(path, Table.ENTRIES, 9)),
    "entry that is too much": (
        "index",
        "check_entries",
        lambda path: plant(path, Table.ENTRIES, bytes(5) + b"\1city 3", b"\6"),
    ),
    "entry of no document": (
        "index",
        "check_entries",
        lambda path: rename(path, Table.ENTRIES, row(path, Table.ENTRIES, -1)[0][:-1] + b"?"),
    ),
    "entry of another id": ("index", "check_entries", lambda path: change(path, Table.ENTRIES, 3, lambda _: b"\1")),
    "entry of no index": ("index", "check_entries", lambda path: plant(path, Table.ENTRIES, b"\xff" * 9, b"\1")),
    "other count of entries": (
        "index",
        "check_entries",
        lambda path: change(path, Table.INDEXES, 0, packed(8, lambda counts: [counts[0] + 1, *counts[1:]])),
    ),
    "other count of inexact entries": (
        "index",
        "check_entries",
        lambda path: change(path, Table.INDEXES, 0, packed(9, lambda count: count + 1)),
    ),
    "gap in the log": ("log-gap", "check_log", lambda path: remove(path, Table.LOG, 5)),
    "entry that is none": ("log", "check_log", lambda path: change(path, Table.LOG, 5, lambda value: value[:30])),
    "entries exchanged": (
        "log",
        "check_log",
        exchange_entries,
    ),
    "position that is gone": ("positions", "check_positions", lambda path: remove(path, Table.POSITIONS, 5)),
    "position of another txn": (
        "positions",
        "check_positions",
        lambda path: change(path, Table.POSITIONS, 5, lambda value: bytes(7) + b"\x20" + value[8:]),
    ),
    "position that was trimmed": (
        "positions",
        "check_positions",
        lambda path: change(path, Table.POSITIONS, 5, lambda value: bytes(8) + value[8:]),
    ),
    "other chain": (
        "chain",
        "check_positions",
        lambda path: change(path, Table.POSITIONS, 5, lambda value: value[:8] + bytes(CHAIN_DIGEST_BYTES)),
    ),
    "vector ahead": ("head", "check_head", lambda path: change(path, Table.ORIGINS, 0, packed(0, lambda at: at + 1))),
    "other author vector": ("head", "check_head", lambda path: change(path, Table.ORIGINS, 1, packed(3, lambda _: []))),
    "origin that was lost": ("head", "check_head", lambda path: remove(path, Table.ORIGINS, 1)),
}


def test_a_store_that_nobody_damaged_has_no_findings(store: Path) -> None:
    assert list(verify(store)) == []
    assert list(verify(store)) == []


@pytest.mark.parametrize("name", DAMAGES)
def test_a_planted_damage_is_found(store: Path, name: str) -> None:
    code, _, plant_it = DAMAGES[name]
    before = store.joinpath("data.mdb").read_bytes()
    plant_it(store)
    damaged = store.joinpath("data.mdb").read_bytes()
    assert damaged != before
    found = list(verify(store))
    assert code in {finding.code for finding in found}
    assert store.joinpath("data.mdb").read_bytes() == damaged
    assert all(finding.message.endswith(".") and finding.action for finding in found)


@pytest.mark.parametrize("name", DAMAGES)
def test_without_its_check_the_damage_is_not_found_so(store: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, check, plant_it = DAMAGES[name]
    table = next(finding.table for finding in planted(store, plant_it) if finding.code == code)
    left = tuple(each for each in verification.CHECKS if each.__name__ != check)
    assert len(left) == len(verification.CHECKS) - 1
    monkeypatch.setattr(verification, "CHECKS", left)
    found = {(finding.code, finding.table) for finding in verify(store)}
    # The log is held to the positions and they to the log, so some damage is seen from both sides.
    assert (code, table) not in found or (code, table) == ("positions", "positions")


def planted(store: Path, plant_it: Callable[[Path], None]) -> list[verify_finding.Finding]:
    plant_it(store)
    return list(verify(store))


def test_damage_does_not_end_the_walk(store: Path) -> None:
    for table in Table:
        unseal(store, table, -1)
    found = {finding.table for finding in verify(store) if finding.code == "seal"}
    assert found == {table.name.lower() for table in Table}


def test_a_file_that_was_cut_off_is_not_mapped(store: Path) -> None:
    data = store / "data.mdb"
    data.write_bytes(data.read_bytes()[: 5 * 4_096])
    assert codes(store) == {"file"}


def test_damaged_pages_are_not_read_where_lmdb_would_end_the_process(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that says to be another one harms nobody, so both engines can be asked."""
    data = bytearray(store.joinpath("data.mdb").read_bytes())
    for page in range(2 * 4_096, len(data), 4_096):
        data[page] ^= 1
    store.joinpath("data.mdb").write_bytes(data)
    found = codes(store)
    assert "structure" in found
    assert ("unread" in found) == (core.lmdb_environment is None)
    monkeypatch.setattr(core, "lmdb_environment", None)
    assert "unread" in codes(store)


@pytest.mark.parametrize("page", [0, 4_096])
def test_a_meta_page_that_names_another_commit_is_found(store: Path, page: int) -> None:
    """With the older of the two taken for the newest, the last commit is undone, and everything else holds."""
    data = bytearray(store.joinpath("data.mdb").read_bytes())
    data[page + META_PAGE.size - 7] ^= 1  # the second byte of the commit's number
    store.joinpath("data.mdb").write_bytes(data)
    assert "file" in codes(store)


def test_what_is_no_store_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(NotAStore):
        list(verify(tmp_path))


def test_too_many_findings_of_a_kind_are_counted(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_finding, "FINDINGS_MAX", 2)
    for number in range(5):
        unseal(store, Table.DOCUMENTS, number)
    found = [finding for finding in verify(store) if (finding.code, finding.table) == ("seal", "documents")]
    assert [finding.message[:6] for finding in found][2:] == ["3 more"]


def test_every_code_is_provoked() -> None:
    elsewhere = {"file", "structure", "unread", "pages", "rows", "replay", "attachment", "stray"}
    assert {code for code, _, _ in DAMAGES.values()} | elsewhere == set(ACTIONS)


# --- replay ---


def replayed(path: Path) -> list[str]:
    with open_storage(path, create=False, read_only=True) as storage, storage.snapshot() as snapshot:
        assert why_not(snapshot) is None
        return [finding.code for finding in replay(snapshot)]


def test_the_log_applied_anew_gives_the_same_store(store: Path) -> None:
    assert replayed(store) == []


def test_a_store_that_its_log_does_not_make_is_found(store: Path) -> None:
    """Documents and counts agree, seals and sums hold: only the transactions say otherwise."""
    key, value = row(store, Table.LOG, 59)
    plant(store, Table.LOG, key, value.replace(b"city 59", b"city 5x"))
    assert set(replayed(store)) == {"replay"}


def test_a_log_that_was_trimmed_is_not_replayed(store: Path) -> None:
    with Store.open(store) as opened:
        opened.trim(10)
    assert codes(store) == set()
    with open_storage(store, create=False, read_only=True) as storage, storage.snapshot() as snapshot:
        assert "begins at transaction 11" in str(why_not(snapshot))


# --- whole stores of many kinds ---


@settings(max_examples=80, deadline=None)
@given(worlds)
def test_no_store_of_any_world_has_findings(steps: list[Step]) -> None:
    """Stores that exchanged, joined, trimmed, and hold some collections only: with cut records and advances."""
    for store in run(steps):
        assert [finding.as_dict() for finding in verify_storage(store.storage)] == []
        with store.storage.snapshot() as snapshot:
            if why_not(snapshot) is None:
                assert [finding.as_dict() for finding in replay(snapshot)] == []


@settings(max_examples=40, deadline=None)
@given(worlds, st.integers(1, 4))
def test_sums_that_follow_the_log_some_way_have_no_findings(steps: list[Step], leaves: int) -> None:
    with small_rows():
        for half in (steps[: len(steps) // 2], steps):
            for store in run(half):
                store.run(lambda batch, catalog, _: refresh(batch, catalog, leaves))
                store.write([Upsert("a", {"n": 1}, id=number) for number in range(9)])
                assert [finding.as_dict() for finding in verify_storage(store.storage)] == []
