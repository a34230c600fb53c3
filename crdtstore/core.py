"""The one door to the compiled core: every name here is the compiled one, or its plain twin.

Rules: `CRDTSTORE_CORE` decides when the package is imported: `compiled` demands the compiled core, `plain` the
Python twins, unset takes the compiled core where it was built. Both do the same to the last byte; tests run
both. Only this module imports `_core`, and it imports nothing above `crdt/`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import lmdb

from crdtstore.crdt import chain, document, document_bytes, field, json_output, json_scan, record, siphash
from crdtstore.crdt import crc32c as plain_crc32c
from crdtstore.crdt import flatten as plain_flatten
from crdtstore.crdt import value_key as plain_value_key
from crdtstore.crdt.field import MISSING
from crdtstore.errors import StoreError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "CORE",
    "MISSING",
    "Batch",
    "Finder",
    "Look",
    "Program",
    "Snapshot",
    "apply_changes",
    "chain_digest",
    "change_entries",
    "crc32c",
    "deliver_run",
    "digest_key",
    "document_digest",
    "document_json",
    "encode_operations",
    "evaluate",
    "flatten",
    "index_entry",
    "is_canonical",
    "lmdb_environment",
    "merge_document",
    "read_field",
    "read_head",
    "read_json",
    "read_json_many",
    "scan_json",
    "search_count",
    "search_fields",
    "search_json",
    "search_keys",
    "search_lines",
    "search_top",
    "sequence_upserts",
    "siphash128",
    "stage_upserts",
    "sum_documents",
    "value_key",
    "whole_json",
]


def load_core() -> ModuleType | None:
    """The compiled core, or None for the plain twins.

    Raises:
        StoreError: `CRDTSTORE_CORE` demands a core that was not built, or names none.
    """
    wanted = os.environ.get("CRDTSTORE_CORE", "")
    if wanted not in ("", "compiled", "plain"):
        raise StoreError(f"CRDTSTORE_CORE is {wanted!r}; it may be compiled, plain or unset.")
    if wanted == "plain":
        return None
    try:
        from crdtstore import _core  # noqa: PLC0415  it may not have been built
    except ImportError:
        if wanted:
            raise StoreError("CRDTSTORE_CORE is compiled, but the compiled core was not built.") from None
        return None
    return _core


compiled = load_core()
CORE: Final = "compiled" if compiled else "plain"


def pick(name: str, plain: Any) -> Any:
    """The compiled function of a name, or its plain twin."""
    return getattr(compiled, name) if compiled else plain


merge_document = pick("merge_document", document_bytes.merge_document)
document_digest = pick("document_digest", document_bytes.document_digest)
is_canonical = pick("is_canonical", document_bytes.is_canonical)
document_json = pick("document_json", json_output.document_json)
whole_json = pick("whole_json", json_output.whole_json)
read_field = pick("read_field", field.read_field)
scan_json = pick("scan_json", json_scan.scan_json)
siphash128 = pick("siphash128", siphash.siphash128)
chain_digest = pick("chain_digest", chain.chain_digest)
crc32c = pick("crc32c", plain_crc32c.crc32c)
digest_key = pick("digest_key", document.digest_key)
flatten = pick("flatten", plain_flatten.flatten)
encode_operations = pick("encode_operations", record.encode_operations)
read_head = pick("read_head", record.read_head)
value_key = pick("value_key", plain_value_key.value_key)

Program: Any = pick("Program", None)
evaluate: Any = pick("evaluate", None)
"""A query's program and what runs it on document bytes; without them `query/program.py` goes through closures."""


def load_environment() -> Any:
    """The compiled access to LMDB, when the `lmdb` package's library lends its functions."""
    library = getattr(lmdb, "cpython", None)
    if compiled and library is not None and compiled.load_liblmdb(library.__file__):
        return compiled.Environment
    return None


lmdb_environment = load_environment()
"""None: `storage/adapter.py` uses the plain package instead."""

apply_changes: Any = pick("apply_changes", None)
"""The fused loop over a record's documents; without it `version/delivery.py` goes through them one by one."""

Batch: Any = pick("Batch", None) if lmdb_environment else None
"""The compiled write transaction, into whose pages the fused loops write."""

Snapshot: Any = pick("Snapshot", None) if lmdb_environment else None
"""The compiled read view, from whose pages documents are printed."""

index_entry: Any = pick("index_entry", None)
"""The entries of a document that has one value at each path; `storage/index_entries.py` makes all others."""

change_entries: Any = pick("change_entries", None) if lmdb_environment else None
"""The entries of a document that changes, into the pages of the compiled batch, for such documents."""

deliver_run: Any = pick("deliver_run", None) if lmdb_environment else None
"""Records that are simply next, into the pages of the compiled batch; `version/delivery.py` does all others."""

stage_upserts: Any = pick("stage_upserts", None) if lmdb_environment else None
"""A transaction of plain upserts in one pass, over the compiled batch; `command/upsert.py` runs all others."""

sequence_upserts: Any = pick("sequence_upserts", None) if lmdb_environment else None
"""Transactions of plain upserts in a row, over the compiled batch; `version/transaction.py` runs all others."""

read_json: Any = pick("read_json", None) if lmdb_environment else None
read_json_many: Any = pick("read_json_many", None) if lmdb_environment else None
"""From the map to JSON in one step; without them `storage/documents.py` goes through document bytes."""

search_count: Any = pick("search_count", None) if lmdb_environment else None
search_fields: Any = pick("search_fields", None) if lmdb_environment else None
search_json: Any = pick("search_json", None) if lmdb_environment else None
search_keys: Any = pick("search_keys", None) if lmdb_environment else None
search_lines: Any = pick("search_lines", None) if lmdb_environment else None
search_top: Any = pick("search_top", None) if lmdb_environment else None
"""Documents found where they lie in the map; without them `query/search.py` looks at them one by one."""

Look: Any = pick("Look", None) if lmdb_environment else None
"""A look into an index from arguments to JSON; without it `prepared.py` makes the range and searches that."""

Finder: Any = pick("Finder", None) if lmdb_environment else None
"""Calls the look of a prepared query at once; without it `prepared.py` does."""

sum_documents: Any = pick("sum_documents", None) if lmdb_environment else None
"""Documents added up where they lie in the map; without it `storage/range_table.py` goes through them one by one."""
