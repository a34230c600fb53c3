"""Merging, applying and reading take no more instructions than was committed to.

Rules: counted by callgrind, so a busy machine changes nothing; compared with counts of the same compiler, flags
and Python only. New counts, lower ones too, are committed with `python -m bench.instructions --write`.
"""

from __future__ import annotations

from unittest import SkipTest

import pytest

from bench.instructions import CASES, REFERENCE, TOLERANCE, grown, inclusive, measure, reference, toolchain, total
from tests.bench.needs import need

PROFILE = """
fl=(1) file.c
fn=(1) outer
10 5
cfn=(2) inner
calls=2 20
10 40
11 1
cfn=(3) other
calls=1 30
11 7
fn=(2)
20 40
fn=(4) later
cfn=(2)
calls=1 20
12 20
totals: 113
"""


def test_no_operation_takes_more_instructions() -> None:
    need("valgrind")
    committed = reference()
    if committed is None:
        raise SkipTest(f"{REFERENCE.name} has no counts of this toolchain: {toolchain()}")
    assert list(grown(measure(), committed)) == []


def test_growth_is_found() -> None:
    committed = dict.fromkeys(CASES, 1000.0)
    slower = {**committed, "apply": 1000 * (1 + TOLERANCE) + 1}
    assert list(grown(committed, committed)) == []
    assert list(grown({**committed, "get": 500}, committed)) == []
    assert list(grown(slower, committed)) == ["apply takes 1021 instructions, 2.1% more than 1000"]


def test_a_case_that_was_not_counted_is_found() -> None:
    with pytest.raises(KeyError):
        list(grown({}, dict.fromkeys(CASES, 1000.0)))


def test_a_profile_is_read() -> None:
    assert total(PROFILE) == 113
    assert inclusive(PROFILE, "inner") == 60
    assert inclusive(PROFILE, "other") == 7
