"""The worked examples of `docs/snapshot.md` are what the code makes, byte by byte; its tables are those of the code.

Rules: as in `test_formats`. What writes a body out here was written from the words of the page, apart from the code
that makes and reads it; a byte that no part claims is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crdtstore import limits
from crdtstore.crdt import document_bytes
from crdtstore.crdt.cell import CellType
from tests.docs.explain import CODES, Reader, meaning, site_and_epoch
from tests.docs.pages import marked_block
from tests.docs.test_formats import page_of, rows_of, run_program

PAGE = "snapshot.md"
WIDTHS = "BHIQ"
WITHOUT_VALUE = {2, 3}
"""Codes of rows that carry no value."""


def counts(reader: Reader, *names: str) -> list[int]:
    """Take counts, one a line."""
    return [reader.column("I", name)[0] for name in names]


def column(reader: Reader, count: int, text: str) -> tuple[int, ...]:
    """Take a column: its width, then its numbers; eight bytes have a line of their own."""
    width = reader.take(1, f"{text}: of {1 << reader.data[reader.at]} byte{'s' * (reader.data[reader.at] > 0)}")[0]
    if width == WIDTHS.index("Q"):
        return tuple(reader.column("Q", "")[0] for _ in range(count))
    return reader.column(f"{count}{WIDTHS[width]}", "") if count else ()


def texts(reader: Reader, count: int, text: str) -> None:
    """Take texts, one a line."""
    for number, length in enumerate(column(reader, count, f"length of each {text}")):
        piece = reader.piece(length, text)
        shown = {"path": piece.rstrip(b"\0"), "id": piece[1:]}.get(text, piece).decode()
        reader.take(length, f"{text} {number}: {shown}")


def name(reader: Reader, size: int, text: str) -> None:
    """Take an origin, or actor and origin, 16 bytes a line."""
    piece = reader.piece(size, text)
    names = " of ".join(site_and_epoch(piece[at : at + 16]) for at in range(0, size, 16))
    for at in range(0, size, 16):
        reader.take(16, "" if at else f"{text}: {names}", group=8)


def explain_documents(data: bytes) -> str:
    """Write out a body of documents."""
    reader = Reader(data)
    kinds = ("c, collections", "p, paths", "r, replicas", "s, stamps", "d, documents", "n, rows")
    c, p, r, s, d, n = counts(reader, *kinds)
    texts(reader, c, "collection")
    texts(reader, p, "path")
    for number in range(r):
        name(reader, 32, f"replica {number}")
    reader.take(
        8, "the least timestamp" + meaning("timestamp", int.from_bytes(data[reader.at : reader.at + 8], "little"))
    )
    column(reader, s, "what each stamp adds to the timestamp")
    column(reader, s, "replica of each stamp")
    column(reader, d, "collection of each document")
    texts(reader, d, "id")
    column(reader, d, "rows of each document")
    paths = column(reader, n, "path of each row")
    codes = reader.take(n, "code of each row")
    column(reader, n, "stamp of each row")
    for row in sorted(range(n), key=lambda row: paths[row]):
        if codes[row] not in WITHOUT_VALUE:
            reader.item(f"row {row}, {CODES[codes[row]]}")
    return reader.text()


def explain_head(data: bytes) -> str:
    """Write out a head."""
    reader = Reader(data)
    o, k, e = counts(reader, "o, origins", "k, points", "e, entries of author vectors")
    for number in range(o):
        name(reader, 16, f"origin {number}")
    column(reader, o, "points of each origin")
    column(reader, k, "position of each point")
    column(reader, k, "timestamp of each point")
    for number in range(k):
        reader.take(16, f"chain digest of point {number}", group=8)
    column(reader, o, "entries of each author vector")
    column(reader, e, "origin of each entry")
    column(reader, e, "which of its points")
    return reader.text()


EXAMPLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "documents": lambda names: explain_documents(names["body"]),
    "head": lambda names: explain_head(names["head_body"]),
}


@pytest.mark.parametrize("marker", EXAMPLES)
def test_the_example_is_what_the_code_makes(marker: str) -> None:
    page = page_of(PAGE)
    made = EXAMPLES[marker](run_program(page))
    assert marked_block(page, marker) == made, f"After the marker {marker} of docs/{PAGE} belongs:\n{made}"


def test_a_forgotten_byte_is_found() -> None:
    body = run_program(page_of(PAGE))["body"]
    assert explain_documents(body).endswith(": 2\n")
    with pytest.raises(AssertionError, match="Nobody claims"):
        explain_documents(body + b"\0")


def test_codes_are_those_of_the_code() -> None:
    codes = [int(row[0]) for row in rows_of(page_of(PAGE), "| code | row | value |")]
    kinds = [CellType.REGISTER, CellType.MAP, document_bytes.IMPLICIT, document_bytes.EXPLICIT, document_bytes.TOTAL]
    assert codes == [*kinds, CellType.ATTACHMENT, CellType.GRAVE]


def test_bounds_are_those_of_the_code() -> None:
    bounds = [row[1] for row in rows_of(page_of(PAGE), "| what | bound |")]
    mebibyte = 1_024 * 1_024
    assert bounds[0] == f"{limits.SNAPSHOT_BLOCK_BYTES_MAX // mebibyte} MiB"
    assert bounds[1] == f"{limits.SNAPSHOT_ENTRIES_MAX:,}"
    assert bounds[3] == f"{limits.ORIGINS_MAX:,}"
    assert bounds[4].startswith(f"{limits.DOCUMENT_BYTES_MAX // mebibyte} MiB")
