"""The compiled core: hot loops over document bytes, JSON and LMDB, one fragment a concept.

The fragments stand below in the order in which they build on each other; each names its plain twin in its first
line and may differ from it only in speed. What may live here: `ext/README.md`. Types: `crdtstore/_core.pyi`.
"""

# checksums and hashes
include "crc32c.pxi"
include "siphash.pxi"
include "blake2b.pxi"

# objects
include "slot.pxi"

# requests
include "json_token.pxi"
include "json_scan.pxi"

# documents
include "document_bytes.pxi"
include "names.pxi"
include "msgpack.pxi"
include "rows.pxi"
include "pack.pxi"
include "merge.pxi"
include "patch.pxi"
include "digest.pxi"
include "record.pxi"
include "canonical.pxi"
include "flatten.pxi"
include "operations.pxi"
include "operations_again.pxi"

# reading
include "value.pxi"
include "visible.pxi"
include "counter.pxi"
include "item_path.pxi"
include "item.pxi"
include "item_id.pxi"
include "json_text.pxi"
include "json_shape.pxi"
include "json_output.pxi"
include "field.pxi"
include "value_key.pxi"

# queries
include "instant.pxi"
include "relation.pxi"
include "like.pxi"
include "program.pxi"
include "evaluation.pxi"
include "evaluate.pxi"
include "evaluate_field.pxi"

# storage
include "lmdb_library.pxi"
include "lmdb_room.pxi"
include "lmdb_node.pxi"
include "lmdb_pages.pxi"
include "lmdb_walk.pxi"
include "lmdb.pxi"
include "lmdb_snapshot.pxi"
include "lmdb_batch.pxi"
include "lmdb_wal.pxi"
include "index.pxi"
include "index_rows.pxi"
include "index_changes.pxi"
include "apply.pxi"
include "deliver.pxi"
include "read.pxi"
include "stage.pxi"
include "stage_put.pxi"
include "sequence.pxi"
include "ranges.pxi"

# searching
include "search_came.pxi"
include "search_source.pxi"
include "sort_key.pxi"
include "search_top.pxi"
include "search_row.pxi"
include "search.pxi"
include "search_fields.pxi"
include "search_lines.pxi"
include "look.pxi"
