"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from tests.faults.shim import build, environment


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a process that loads the shim."""
    return environment(build(tmp_path_factory.mktemp("shim")))
