"""A document's JSON with its id: both cores write the same bytes, which are those of one object that has both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import json_output as plain
from crdtstore.crdt.identifier import encode_id, read_id
from tests.core.strategies import texts
from tests.core.test_search_fields_twins import ids

Whole = Callable[[bytes, bytes], bytes]
SIDES: dict[str, Whole] = {"plain": plain.whole_json, "compiled": _core.whole_json}
fields = st.dictionaries(texts.filter(lambda key: key != "_id"), st.integers() | texts, max_size=3)


def written(side: Whole, id_: Any, shown: dict[str, Any]) -> bytes:
    """What a core makes of an id and of fields."""
    return side(encode_id(id_), plain.write_json(shown))


@given(ids, fields)
@example("x" * 1_000, {})
@example(True, {"a": 1})
@example({"a": [1, None, {"b": 0.5}]}, {"": ""})
def test_twins_agree(id_: Any, shown: dict[str, Any]) -> None:
    text = written(_core.whole_json, id_, shown)
    assert text == written(plain.whole_json, id_, shown)
    assert text == plain.write_json({"_id": read_id(encode_id(id_)), **shown})


@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize(
    ("id_", "shown", "text"),
    [
        (7, {}, b'{"_id":7}'),
        (-0.5, {"a": None}, b'{"_id":-0.5,"a":null}'),
        ('"\n', {"a": {}}, b'{"_id":"\\"\\n","a":{}}'),
        ({"b": b"x", "a": False}, {}, b'{"_id":{"a":false,"b":"eA=="}}'),
    ],
)
def test_examples(name: str, id_: Any, shown: dict[str, Any], text: bytes) -> None:
    assert written(SIDES[name], id_, shown) == text


def test_a_planted_bug_is_found() -> None:
    """Of a writer that prints every number as a double."""

    @settings(max_examples=200, phases=[Phase.generate], database=None)
    @given(ids, fields)
    def careless_writer_agrees(id_: Any, shown: dict[str, Any]) -> None:
        found = read_id(encode_id(id_))
        shown_id = float(found) if found.__class__ is int else found
        assert plain.write_json({"_id": shown_id, **shown}) == written(_core.whole_json, id_, shown)

    with pytest.raises(AssertionError):
        careless_writer_agrees()
