"""What a statement answers: rows as JSON, the documents it changed, and the transaction it read or wrote.

Rules: a row is one JSON object in UTF-8, printed as documents are; binary values are Base64 text in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value


@dataclass(frozen=True, slots=True)
class Executed:
    """The answer to one statement."""

    txn: int
    """The transaction that was written, else the version that was read."""

    rows_json: tuple[bytes, ...] = ()
    mutated: tuple[Value, ...] = ()
    """The ids of the documents that the statement changed, in the order in which it did."""

    warnings: tuple[str, ...] = ()
    is_mutation: bool = False
    """Whether it was a statement that writes, whatever it changed."""

    @property
    def items(self) -> list[dict[str, Any]]:
        """The rows, decoded."""
        return [msgspec.json.decode(row) for row in self.rows_json]
