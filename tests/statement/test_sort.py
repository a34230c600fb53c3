"""Sorting: equal to sorting everything in memory, whatever goes to a file; and bounded."""

from __future__ import annotations

import os
import tempfile
from errno import EIO, ENOSPC
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import limits
from crdtstore.errors import LimitExceeded, StatementTimeout, StoreError, StoreFull
from crdtstore.statement.budget import Budget
from crdtstore.statement.sort import sort_items, sort_rows
from tests.statement.spilled import spilled_files


def make_items(seed: int, count: int) -> list[tuple[bytes, bytes]]:
    """Items whose keys repeat, some of them long."""
    random = Random(seed)
    return [
        (random.randbytes(random.choice((0, 1, 1, 2, 300))), number.to_bytes(4, "big") * random.choice((1, 1, 50)))
        for number in range(count)
    ]


def key_of(row: dict[str, Any]) -> bytes:
    """The sort key of a row of these tests."""
    key: bytes = row["k"]
    return key


@pytest.mark.parametrize("kept", [0, 500, 20_000, 10**9])
@pytest.mark.parametrize("block", [1, 100, 65_536])
def test_items_come_sorted_and_equal_ones_as_they_were_given(
    kept: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", kept)
    monkeypatch.setattr(limits, "SPILL_BLOCK_BYTES", block)
    for seed, count in ((1, 0), (2, 1), (3, 2), (4, 500)):
        items = make_items(seed, count)
        assert list(sort_items(items, Budget(60))) == sorted(items, key=lambda item: item[0])


@pytest.mark.parametrize("first", [0, 1, 10, 1_999, 2_000, 3_000, None])
@pytest.mark.parametrize("kept", [100, 10_000, 10**9])
def test_the_first_rows_are_the_first_of_all(first: int | None, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", kept)
    random = Random(5)
    rows = [{"k": random.randbytes(1), "n": number} for number in range(2_000)]
    expected = sorted(rows, key=key_of)[:first]
    found = list(sort_rows(rows, key_of, Budget(60), first))
    assert found[:first] == expected


def test_rows_survive_a_file_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", 0)
    row: dict[str, Any] = {
        "k": b"\0",
        "a": [None, True, 1, 1.0, -(2**63), 2**63 - 1, 5e-324, "ä\0", b"\xff", {"x": []}],
        "\0b": {},
    }
    (found,) = sort_rows([row], key_of, Budget(60), None)
    assert repr(found) == repr(row)


def test_a_file_has_no_name_and_goes_with_who_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", 1_000)
    before = spilled_files()
    found = sort_items(make_items(6, 500), Budget(60))
    next(found)
    assert spilled_files() == before + 1
    assert not list(Path(tempfile.gettempdir()).glob("crdtstore-spill-*"))
    found.close()  # type: ignore[attr-defined]
    assert spilled_files() == before


@pytest.mark.parametrize(("number", "kind"), [(ENOSPC, StoreFull), (EIO, StoreError)])
def test_a_disk_that_fails_is_said(number: int, kind: type[StoreError], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", 1_000)
    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    with pytest.raises(kind) as failed:
        list(sort_items(make_items(7, 500), Budget(60)))
    assert type(failed.value) is kind
    assert tempfile.gettempdir() in failed.value.message


def test_a_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SORT_KEPT_BYTES_MAX", 1_000)
    monkeypatch.setattr(limits, "SPILL_BYTES_MAX", 5_000)
    before = spilled_files()
    with pytest.raises(LimitExceeded) as refused:
        list(sort_items(make_items(8, 500), Budget(60)))
    assert refused.value.data["limit"] == "SPILL_BYTES_MAX"
    del refused
    assert spilled_files() == before


@pytest.mark.parametrize("first", [3, None])
def test_sorting_stops_when_the_time_is_over(first: int | None) -> None:
    with pytest.raises(StatementTimeout):
        list(sort_rows(({"k": b""} for _ in range(10)), key_of, Budget(-1), first))
