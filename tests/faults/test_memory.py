"""A call that runs out of memory raises `MemoryError`, or gives the right answer; it harms nothing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

import pytest

from tests.faults.running import run

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("subject", ["decode", "get", pytest.param("find", marks=pytest.mark.slow), "merge"])
def test_no_allocation_that_fails_does_harm(tmp_path: Path, subject: str) -> None:
    if find_spec("_testcapi") is None:
        raise SkipTest("not installed: _testcapi, a module of CPython's own tests")
    seen = run("memory", tmp_path, subject)
    assert seen["found"] == []
    assert seen["outcomes"]["memory"] >= 5
