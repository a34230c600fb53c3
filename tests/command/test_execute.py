"""What is no command is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.errors import InvalidDocument, MalformedRequest


@pytest.mark.parametrize("command", ["upsert", {"method": "upsert"}, None])
def test_what_is_no_command_is_refused(command: Any) -> None:
    """The commands beside it are not run."""
    with Store.in_memory() as store:
        with pytest.raises(MalformedRequest, match="Upsert"):
            store.write([Upsert("c", {"a": 1}, id=1), command])
        assert store.applied == 0


def test_a_document_is_an_object() -> None:
    """A value of another type is refused alone, with its own error."""
    value: Any = [1]
    with Store.in_memory() as store, pytest.raises(InvalidDocument, match="object"):
        store.write([Upsert("c", value, id=1)])
