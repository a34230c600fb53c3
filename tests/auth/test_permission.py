"""What a permission refuses, whatever it allows."""

from __future__ import annotations

import pytest

from crdtstore.auth.permission import Permission
from crdtstore.errors import Forbidden


def test_system_collections_are_not_written() -> None:
    """Names with the system's prefix are read, never written, whatever the permission."""
    with pytest.raises(Forbidden, match="system"):
        Permission.full().check("write", "__meta")
    Permission.full().check("read", "__meta")
    Permission.full().check("write", "_meta")
