"""Keys of the matrix are made with the least scrypt there is: there are thousands of them."""

from __future__ import annotations

import pytest

from crdtstore.auth import api_key


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make keys quickly; that the real scrypt is used is tested with the keys."""
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)
