"""A request that is to be done once: its transactions are found again when it comes again, with what they answered.

Rules: who asks, the key and the request are 16 bytes each. The transactions of one request are told apart by their
order. What a transaction answered comes back as it was given, also after the store was opened anew; a transaction that
was refused left nothing, and is tried again.

Not here: where answers are kept, and how long (`storage/once.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec

from crdtstore.command.result import Removed, Result, Updated, Upserted, Written
from crdtstore.statement.answer import Executed
from crdtstore.storage.once import Asked, keep, recall

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch

DIGEST_BYTES: Final = 16
KINDS: Final[tuple[type[Result], ...]] = (Upserted, Updated, Removed)
"""Their places are stored."""


class Once:
    """One request under its key; `repeated` says whether one of its transactions was done before."""

    __slots__ = ("client", "key", "repeated", "request", "transactions")

    def __init__(self, client: bytes, key: bytes, request: bytes) -> None:
        """Take who asks, under which key, and for what: any bytes each."""
        self.client = shorten(client)
        self.key = key
        self.request = shorten(request)
        self.transactions = 0
        self.repeated = False

    def around(self, run: Callable[[Batch, Catalog, Head], Any]) -> Callable[[Batch, Catalog, Head], Any]:
        """Make of the request's next transaction one that is done only if it was not done before."""
        asked = Asked(self.client, shorten(self.transactions.to_bytes(8, "big") + self.key), self.request)
        self.transactions += 1

        def run_once(batch: Batch, catalog: Catalog, head: Head) -> Any:
            kept = recall(batch, asked)
            if kept is not None:
                self.repeated = True
                return unpack(kept)
            answer = run(batch, catalog, head)
            keep(batch, asked, pack(answer))
            return answer

        return run_once


def shorten(data: bytes) -> bytes:
    """What stands for bytes of any length."""
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def pack(answer: Written | tuple[Executed, ...]) -> bytes:
    """What a transaction answered, as it is kept."""
    if isinstance(answer, Written):
        results = [(KINDS.index(type(result)), *result) for result in answer.results]
        return msgspec.msgpack.encode((answer.txn, results, answer.warnings, answer.digests))
    return msgspec.msgpack.encode(
        [[(one.txn, one.rows_json, one.mutated, one.warnings, one.is_mutation) for one in answer]]
    )


def unpack(data: bytes) -> Any:
    """The answer that was packed."""
    match msgspec.msgpack.decode(data):
        case [txn, results, warnings, digests]:
            made = tuple(KINDS[kind](*fields) for kind, *fields in results)
            return Written(txn, made, tuple(warnings), tuple(digests))
        case [statements]:
            return tuple(
                Executed(txn, tuple(rows), tuple(mutated), tuple(warnings), is_mutation)
                for txn, rows, mutated, warnings, is_mutation in statements
            )
    raise AssertionError("an answer is packed in two forms")
