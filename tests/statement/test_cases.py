"""The published cases of the statement language hold, whatever carries them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.statement.cases import mismatches, read_cases, run_case

CARRIED: Final = frozenset({"dql_unauthorized_401"})
"""Cases about what carries statements."""


CASES: Final = [case for case in read_cases() if case["name"] not in CARRIED]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_published_case(case: dict[str, Any]) -> None:
    answer = run_case(case)
    expected, status = case["expect"], case["expect"]["status"]
    assert answer.status in (status if isinstance(status, list) else [status]), answer
    if answer.status != 200 or not isinstance(status, list):
        assert mismatches(expected.get("body", {}), answer.body) == []


def test_the_comparison_tells_answers_apart() -> None:
    assert mismatches({"a": "$int"}, {"a": "1"})
    assert mismatches({"a": "$absent"}, {"a": None})
    assert mismatches({"a": [1]}, {"a": [1, 2]})
    assert mismatches({"$unordered": [1, 2]}, [2, 2])
    assert mismatches({"a": 1}, {"a": 1.0})
    assert not mismatches({"$unordered": [{"a": 1}, {"a": "$str"}]}, [{"a": "x"}, {"a": 1, "b": 2}])
