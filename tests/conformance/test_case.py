"""How a case is read: variables are filled in, values are taken out of answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.case import FOLDER, captured, fill, read_cases

KNOWN = {"TXN": 17, "KEY": "secret", "OBJECT": {"a": [1]}, "i": 3}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab{}$ +", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab$", max_size=3), inner, max_size=3),
    max_leaves=8,
)

FILLED = [
    ("${TXN}", 17),
    ("${TXN+1}", 18),
    ("${OBJECT}", {"a": [1]}),
    ("Bearer ${KEY}", "Bearer secret"),
    ("${KEY}${TXN+10}", "secret27"),
    ({"id": "doc-${i}", "n": ["${i}"]}, {"id": "doc-3", "n": [3]}),
    ({"$repeat": ["ab", 3]}, "ababab"),
    ({"x": {"$repeat": ["-", 2]}}, {"x": "--"}),
    ("$TXN {TXN} ${}", "$TXN {TXN} ${}"),
]


@pytest.mark.parametrize(("value", "filled"), FILLED)
def test_variables_are_replaced(value: Any, filled: Any) -> None:
    assert fill(value, KNOWN) == filled


@given(VALUES)
def test_what_names_no_variable_stays(value: Any) -> None:
    assert fill(value, KNOWN) == value


@given(VALUES)
def test_a_value_is_put_in_as_it_is(value: Any) -> None:
    assert fill({"deep": ["${V}"]}, {"V": value}) == {"deep": [value]}


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        fill(["${nobody}"], KNOWN)


def test_a_value_is_taken_out_of_an_answer() -> None:
    answer = {"results": [{"transactionId": 1}, {"transactionId": 2}], "txnId": 3}
    assert captured(answer, "$.results[1].transactionId") == 2
    assert captured(answer, "$.txnId") == 3
    assert captured(answer, "$") == answer


def test_all_cases_can_be_read_and_have_names_of_their_own() -> None:
    names = [case.name for path in FOLDER.glob("*.jsonl") for case in read_cases(path)]
    assert names
    assert len(names) == len(set(names))
