# Twin of sum_plainly in crdtstore/storage/range_table.py: documents of a snapshot added up where they lie in the map.

cdef enum:
    RANGE_ID_MAX = 1025                # encoded, with its tag

cdef struct RangeRow:
    # A document's row: what its digest and its place among the boundaries are made of.
    const unsigned char *document
    size_t length
    unsigned char digest_key[16]
    unsigned char place_key[16]


cdef int range_read(const lmdb_row *row, size_t prefix_length, bytes name, RangeRow *into) except -1:
    """split_row, and the hashes of id and key; they are one where the key is the whole id."""
    cdef const unsigned char *key = <const unsigned char *>row.key.data + prefix_length
    cdef const unsigned char *id_ = key
    cdef size_t key_length = row.key.size - prefix_length
    cdef size_t id_length = key_length
    cdef const unsigned char *text = <const unsigned char *>PyBytes_AS_STRING(name)
    into.document = <const unsigned char *>row.value.data
    into.length = row.value.size
    if row.key.size > APPLY_KEY_MAX:
        id_length = into.document[0] | <size_t>into.document[1] << 8 if into.length >= 2 else 0
        if id_length > RANGE_ID_MAX or id_length + 2 > into.length:
            raise damaged("its bytes are cut short")
        id_ = into.document + 2
        into.document += 2 + id_length
        into.length -= 2 + id_length
    digest_key_c(text, PyBytes_GET_SIZE(name), id_, id_length, into.digest_key)
    if id_ == key:
        memcpy(into.place_key, into.digest_key, 16)
    else:
        digest_key_c(text, PyBytes_GET_SIZE(name), key, key_length, into.place_key)
    return 0


def sum_documents(Snapshot snapshot not None, int table, collection, replicas, bytes start not None,
                  bytes end not None, uint64_t modulus, uint64_t documents_max):
    """Add documents up between boundaries; see storage/range_table.py."""
    cdef bytes prefix = collection.prefix
    cdef bytes name = collection.name.encode()
    cdef list texts = collection.paths.texts
    cdef list replica_texts = replicas.texts
    cdef Scan scan = snapshot_scan_c(snapshot, table, prefix + start, prefix + end)
    cdef size_t prefix_length = PyBytes_GET_SIZE(prefix)
    cdef lmdb_row *row
    cdef RangeRow read
    cdef Merge merge
    cdef list groups = []
    cdef uint64_t documents = 0, before = 0
    cdef bint boundary
    if PyBytes_GET_SIZE(name) > 512 or modulus == 0:
        raise ValueError("A collection's name is beyond its bound, or the modulus is 0.")
    memset(&merge, 0, sizeof(Merge))
    merge.replica_count = <uint32_t>PyList_GET_SIZE(replica_texts)
    merge.key = read.digest_key
    row = scan_next_c(scan)
    while row is not NULL:
        range_read(row, prefix_length, name, &read)
        boundary = sip_load(read.place_key) % modulus == 0
        if boundary:
            if documents:
                groups.append((start, documents, digest_bytes(&merge)))
                before += documents
                documents = merge.digest_low = merge.digest_high = 0
            start = (<const char *>row.key.data)[prefix_length:row.key.size]
            if before >= documents_max:
                return groups, start
        digest_document(&merge, read.document, read.length, texts, replica_texts)
        documents += 1
        row = scan_next_c(scan)
    if documents:
        groups.append((start, documents, digest_bytes(&merge)))
    return groups, None
