"""What random statements once found: the smallest statement of each."""

from __future__ import annotations

from typing import Any

import pytest

from crdtstore import Store

FOUND: list[tuple[str, list[dict[str, Any]], str, list[dict[str, Any]]]] = [
    (
        "of two columns of one name the later one is shown, also where it is missing",
        [{"_id": 1, "a": 1}],
        "SELECT a AS x, b AS x FROM c",
        [{}],
    ),
    (
        "a field behind its source's alias is no variable of the same name",
        [{"_id": 1, "n": 1, "l": [5]}, {"_id": 2, "n": 9, "l": [5]}],
        "SELECT _id FROM c AS t WHERE EVERY n IN t.l SATISFIES n < t.n AND ANY m IN t.l SATISFIES m = n END END",
        [{"_id": 2}],
    ),
]


@pytest.mark.parametrize(("documents", "statement", "rows"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND])
def test_what_was_found(documents: list[dict[str, Any]], statement: str, rows: list[dict[str, Any]]) -> None:
    with Store.in_memory() as store:
        store.execute("INSERT INTO c DOCUMENTS (:documents)", {"documents": documents})
        assert store.execute(statement).items == rows
