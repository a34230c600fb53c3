"""A server for the cases of a module, and keys that are made quickly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtstore.auth import api_key
from tests.conformance.own import own_targets
from tests.conformance.target import MakeTarget


@pytest.fixture(scope="module", autouse=True)
def quick_scrypt() -> Iterator[None]:
    """Make keys with the least scrypt there is; that the real one is used is tested with the keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_key, "SCRYPT_N", 2)
        yield


@pytest.fixture(scope="module")
def make_target(quick_scrypt: None) -> Iterator[MakeTarget]:
    """What runs a case on a server of ours."""
    with own_targets() as make:
        yield make
