"""What a writing statement came to: the ids of the documents it changed, and the rows that it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.statement.rows import Row


class Mutated(NamedTuple):
    """Documents in the order in which they changed."""

    ids: tuple[Value, ...]
    rows: tuple[Row, ...] = ()
