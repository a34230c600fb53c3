"""The worked example of `docs/frame.md` is what the code makes, byte by byte, and its tables are those of the code.

Rules: as in `test_formats.py`: the page's program is run, and what it leaves is written out from the words of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from crdtstore.replication.columns import COLUMNS_MAX
from crdtstore.replication.frame import decode_frame, inflate
from tests.docs.explain import OPERATIONS, Reader, site_and_epoch
from tests.docs.pages import ROOT, marked_block
from tests.docs.test_formats import rows_of, run_program

PAGE = (ROOT / "docs" / "frame.md").read_text(encoding="utf-8")

COLUMNS = (
    "positions before",
    "milliseconds",
    "changes",
    "shapes",
    "actors",
    "origins",
    "counters",
    "digests",
    "steps",
    "distances",
    "observed origins",
    "observed positions",
    "observed milliseconds",
    "observed counters",
)
STAMPS = ("instances' milliseconds", "instances' counters", "instances' origins", "instances' actors")


def explain_columns(data: bytes) -> str:
    """Write out the columns of a frame."""
    reader = Reader(data)
    names = explain_blocks(reader, "names", "name {}: {}")
    explain_blocks(reader, "chain digests", "chain digest of name {}")
    explain_blocks(reader, "digests", "digest {}")
    for name in ("entries", "rows observed", "start"):
        reader.item(name)
    read = explain_mask(reader, COLUMNS)
    for number in range(max(read["shapes"], default=0) + 1):
        changes = read["shapes"].count(number) or sum(read["changes"])
        reader.item(f"shape {number}, collection")
        explain_operations(reader, reader.item("operations"), changes)
    assert names
    return reader.text()


def explain_blocks(reader: Reader, what: str, each: str) -> list[bytes]:
    """Write out names or digests, a line each."""
    count = reader.data[reader.at + 1] // 16
    reader.take(2, f"{what}: binary of {16 * count} bytes")
    found = []
    for number in range(count):
        block = reader.piece(16, what)
        reader.take(16, each.format(number, site_and_epoch(block)), group=8)
        found.append(block)
    return found


def explain_mask(reader: Reader, names: Sequence[str]) -> dict[str, list[int]]:
    """Write out a mask and the columns that it announces."""
    mask = reader.item("mask of columns")
    found: dict[str, list[int]] = {name: [] for name in names}
    for bit, name in enumerate(names):
        if mask >> bit & 1:
            length = reader.array(f"{name} (column {bit}): array of {{}}")
            found[name] = [reader.item(f"row {row}") for row in range(length)]
    return found


def explain_operations(reader: Reader, count: int, changes: int) -> None:
    """Write out ids and operations of a shape."""
    for _ in range(changes):
        reader.item("id")
    for _ in range(count):
        name, _, *fields = OPERATIONS[reader.data[reader.at]]
        reader.take(1, f"{name}: its code")
        reader.item("path")
        if name == "increment":
            explain_mask(reader, STAMPS)
        for _ in range(changes if fields else 0):
            reader.item(fields[-1])


@pytest.fixture(scope="module", name="names")
def names_of_the_program() -> dict[str, Any]:
    return run_program(PAGE)


def test_the_example_is_what_the_code_makes(names: dict[str, Any]) -> None:
    made = explain_columns(inflate(names["data"]))
    assert marked_block(PAGE, "columns") == made, f"After the marker columns of docs/frame.md belongs:\n{made}"
    assert decode_frame(names["data"]) == names["frame"]


def test_a_forgotten_byte_is_found(names: dict[str, Any]) -> None:
    body = inflate(names["data"])
    with pytest.raises(AssertionError, match="Nobody claims"):
        explain_columns(body + b"\0")


def test_the_table_of_columns_is_whole() -> None:
    rows = rows_of(PAGE, "| bit | column | rows | a number is |")
    assert [(int(row[0]), row[1]) for row in rows] == list(enumerate(COLUMNS))
    assert len(COLUMNS) == COLUMNS_MAX
