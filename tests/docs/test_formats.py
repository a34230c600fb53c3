"""The worked examples of `docs/data-file.md` and `docs/record.md` are what the code makes, byte by byte.

Rules: a page's Python blocks are one program; after it ran, each marked text is made anew from the stores
that it left and compared. When one differs, the failure shows the text that belongs there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.crdt import document_bytes, operation
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.path import decode_path
from crdtstore.storage.documents import get_document
from crdtstore.storage.tables import Table
from tests.docs.explain import (
    CODES,
    KINDS,
    OPERATIONS,
    explain_document,
    explain_record,
    explain_rows,
)
from tests.docs.pages import ROOT, blocks, marked_block
from tests.docs.test_examples import with_results_checked

Names = dict[str, Any]


def page_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def run_program(page: str) -> Names:
    """Run a page's program and return what it named; its results are checked elsewhere."""
    names: Names = {"check": lambda *_: None}
    exec(with_results_checked("\n".join(blocks(page, "python"))), names)
    return names


def document_of(store: Store) -> str:
    """Write out the one document of the program."""
    cities = store.sequencer.catalog.by_name["cities"]
    with store.storage.snapshot() as snapshot:
        document = get_document(snapshot, cities, encode_id("basel"))
    return explain_document(document, [".".join(decode_path(text)) for text in cities.paths.texts])


EXAMPLES: dict[tuple[str, str], Callable[[Names], str]] = {
    ("data-file.md", "rows"): lambda names: explain_rows(names["right"]),
    ("data-file.md", "document-bytes"): lambda names: document_of(names["right"]),
    ("record.md", "first-record"): lambda names: explain_record(names["first"]),
    ("record.md", "second-record"): lambda names: explain_record(names["second"]),
}


@pytest.mark.parametrize(("name", "marker"), EXAMPLES)
def test_the_example_is_what_the_code_makes(name: str, marker: str) -> None:
    page = page_of(name)
    made = EXAMPLES[name, marker](run_program(page))
    assert marked_block(page, marker) == made, f"After the marker {marker} of docs/{name} belongs:\n{made}"


def rows_of(page: str, heads: str) -> list[list[str]]:
    """Return the cells of the table under a line of heads."""
    lines = page.partition(f"\n{heads}\n")[2].splitlines()[1:]
    end = next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def test_the_tables_are_all_there() -> None:
    rows = rows_of(page_of("data-file.md"), "| number | table | key | value |")
    assert [(int(row[0]), row[1].strip("`")) for row in rows] == [(table.value, table.name.lower()) for table in Table]


def test_codes_and_kinds_are_those_of_the_code() -> None:
    page = page_of("data-file.md")
    codes = {int(row[0]): re.split(r"[;:]", row[1])[0] for row in rows_of(page, "| code | entry |")}
    assert list(codes) == list(CODES) == [1, 2, *range(3, 6), CellType.ATTACHMENT, CellType.GRAVE]
    assert (document_bytes.IMPLICIT, document_bytes.EXPLICIT, document_bytes.TOTAL) == (3, 4, 5)
    kinds = [row[1] for row in rows_of(page, "| kind | value | stands in |")]
    named = [name.lower() for name in ("NULL", "FALSE", "TRUE", "INT", "DOUBLE")]
    named += [name.lower() for name in ("SHORT", "STRING", "BINARY", "ARRAY", "OBJECT")]
    assert tuple(kinds) == KINDS
    assert [getattr(document_bytes, name.upper()) for name in named] == list(range(len(KINDS)))


def test_operations_are_those_of_the_code() -> None:
    rows = rows_of(page_of("record.md"), "| code | operation | fields | effect |")
    page = {int(code): (name, *fields.split("(")[0].split(",")[:1]) for code, name, fields, _ in rows}
    assert {code: name for code, (name, _) in page.items()} == {
        code: kind.__name__.lower() for kind, code in operation.CODES.items()
    }
    assert {code: names[:2] for code, names in OPERATIONS.items()} == page


def test_a_forgotten_byte_is_found() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("cities", {"name": "Basel"}, id="basel")])
        [entry] = store.changes()
    assert explain_record(entry.record).endswith("value: 'Basel'\n")
    with pytest.raises(AssertionError, match="Nobody claims"):
        explain_record(entry.record + b"\0")
    with pytest.raises(AssertionError, match="The bytes end"):
        explain_record(entry.record[:-1])
