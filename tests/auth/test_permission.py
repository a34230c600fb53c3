"""What a permission refuses, whatever it allows."""

from __future__ import annotations

import pytest

from crdtstore.auth.permission import VERBS, Permission
from crdtstore.errors import Forbidden


def test_system_collections_are_not_written() -> None:
    """Names with the system's prefix are read, never written, whatever the permission."""
    with pytest.raises(Forbidden, match="system"):
        Permission.full().check("write", "__meta")
    Permission.full().check("read", "__meta")
    Permission.full().check("write", "_meta")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_permission_that_lacks_one_verb_is_not_full(verb: str) -> None:
    Permission.full().check_full()
    with pytest.raises(Forbidden, match=f"may not {verb}") as refused:
        Permission(VERBS - {verb}).check_full()
    assert refused.value.data == {"missing": [verb]}
