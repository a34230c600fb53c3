"""The reader gives what was written, and each document the line on which it begins."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crdtstore.cli.reader import Line, read_documents

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=4,
)
DOCUMENTS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=3), max_size=5)
BLANKS = st.text(" \t\r\n", max_size=4)


def read(text: str) -> list[Line]:
    return list(read_documents(BytesIO(text.encode())))


@given(DOCUMENTS, st.data())
def test_lines_give_their_documents(documents: list[Any], data: st.DataObject) -> None:
    text = ""
    numbers = []
    for fields in documents:
        text += data.draw(BLANKS)
        numbers.append(text.count("\n") + 1)
        text += json.dumps(fields) + "\n"
    found = read(text + data.draw(BLANKS))
    assert [line.fields for line in found] == documents
    assert [line.number for line in found] == numbers


@given(DOCUMENTS, st.sampled_from([None, 0, 2]), st.data())
def test_an_array_gives_its_documents(documents: list[Any], indent: int | None, data: st.DataObject) -> None:
    text = data.draw(BLANKS) + "["
    numbers = []
    for index, fields in enumerate(documents):
        text += ("," if index else "") + data.draw(BLANKS)
        numbers.append(text.count("\n") + 1)
        text += json.dumps(fields, indent=indent) + data.draw(BLANKS)
    found = read(text + "]" + data.draw(BLANKS))
    assert [line.fields for line in found] == documents
    assert [line.number for line in found] == numbers


def test_a_line_takes_its_bytes() -> None:
    assert [line.bytes for line in read('{"a":1}\n\n{}')] == [8, 2]
    assert [line.bytes for line in read('[{"a":1},\n\n{}]')] == [7, 2]
    assert read("") == read("\n\n") == read("[]") == []
