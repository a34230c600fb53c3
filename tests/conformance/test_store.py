"""Every case of the store API holds on a real server, but for those that are known to fail.

Rules: a case that fails is in `expected.toml` with its reason, and none is there that passes. Each case runs once; the
tests of the runner look at the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest

from tests.conformance import check
from tests.conformance.case import FOLDER, Case, read_cases
from tests.conformance.match import KINDS
from tests.conformance.run import known_failures
from tests.conformance.target import Answer, MakeTarget

CASES = {case.name: case for case in read_cases(FOLDER / "store.jsonl")}
KNOWN = known_failures("store")


class Run(NamedTuple):
    """What came of a case: what is wrong, and the answer with what it should have been."""

    problems: list[str]
    expect: Mapping[str, Any]
    answer: Answer | None


@pytest.fixture(scope="module")
def run_of(make_target: MakeTarget) -> Callable[[str], Run]:
    """Run a case, once however often it is asked for."""
    return cache(lambda name: run(CASES[name], make_target))


def run(case: Case, make_target: MakeTarget) -> Run:
    """Run a case, and keep its last answer."""
    judged: list[tuple[Mapping[str, Any], Answer | None]] = []
    judge = check.answer_problems

    def listen(expect: Mapping[str, Any], answer: Answer) -> Iterator[str]:
        judged.append((expect, answer))
        return judge(expect, answer)

    with pytest.MonkeyPatch.context() as patch, make_target(case) as target:
        patch.setattr(check, "answer_problems", listen)
        problems = check.problems_of(case, target)
    return Run(problems, *(judged[0] if judged else ({}, None)))


def test_names_of_cases_and_of_known_failures_are_those_there_are() -> None:
    assert len(CASES) == len((FOLDER / "store.jsonl").read_text(encoding="utf-8").splitlines())
    assert set(KNOWN) <= set(CASES)
    assert all(KNOWN.values())


@pytest.mark.parametrize("name", sorted(set(CASES) - set(KNOWN)))
def test_a_case_holds(name: str, run_of: Callable[[str], Run]) -> None:
    assert run_of(name).problems == []


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_case_that_is_known_to_fail_does(name: str, run_of: Callable[[str], Run]) -> None:
    assert run_of(name).problems, "it holds now: take it out of expected.toml"


@pytest.mark.parametrize("name", sorted(set(CASES) - set(KNOWN)))
def test_whatever_is_expected_decides(name: str, run_of: Callable[[str], Run]) -> None:
    """A planted error: one thing that is expected is changed, and the same answer is judged again."""
    _, expect, answer = run_of(name)
    if answer is None:
        return
    for spoiled in spoiled_of(expect):
        assert list(check.answer_problems(spoiled, answer)), spoiled


def spoiled_of(expect: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is expected, each time with one part that no answer has."""
    yield {**expect, "status": 299}
    for key in sorted({"headers", "body", "body_lines", "text"} & set(expect)):
        for changed in changed_of(expect[key]):
            yield {**expect, key: changed}


def changed_of(value: Any) -> Iterator[Any]:
    """A value, each time with one part changed into something else."""
    if isinstance(value, list):
        yield [*value, "one more"]
        yield from (
            [*value[:place], other, *value[place + 1 :]]
            for place, item in enumerate(value)
            for other in changed_of(item)
        )
    elif isinstance(value, dict) and not any(key.startswith("$") for key in value):
        yield from ({**value, key: other} for key, item in value.items() for other in changed_of(item))
        yield {**value, "planted": 1}
    elif value == "$absent":
        yield "$any"
    elif (isinstance(value, str) and value in KINDS) or isinstance(value, dict):
        yield "$absent"
    else:
        yield {"planted": value}
