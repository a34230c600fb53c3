"""A server for the cases of a module, and keys that are made quickly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtstore.auth import api_key
from tests.conformance.case import Case
from tests.conformance.own import MakeOwn, Own, own_targets

# Its asserts are those of tests.
pytest.register_assert_rewrite("tests.conformance.walk")


@pytest.fixture(scope="module", autouse=True)
def quick_scrypt() -> Iterator[None]:
    """Make keys with the least scrypt there is; that the real one is used is tested with the keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_key, "SCRYPT_N", 2)
        yield


@pytest.fixture(scope="module")
def make_target(quick_scrypt: None) -> Iterator[MakeOwn]:
    """What runs a case on a server of ours."""
    with own_targets() as make:
        yield make


@pytest.fixture
def server(make_target: MakeOwn) -> Iterator[Own]:
    """A server over an empty store."""
    with make_target(Case("any", "any", (), {}, {})) as server:
        yield server
