# Twin of document_digest in crdtstore/crdt/document_bytes.py: the digest of a document, from its bytes.
#
# Merging hashes only the cells that come and go (`digest_row` in rows.pxi); here all of them are.


cdef int digest_document(Merge *merge, const unsigned char *document, size_t length, list texts,
                         list replica_texts) except -1:
    """Add a document's digest, under `merge.key`, to that of `merge`."""
    cdef DocumentView view
    cdef size_t at
    if document_open(document, length, &view):
        raise damaged("its bytes are cut short")
    load_rows(&view, merge, texts)
    for at in range(scratch.count):
        digest_row(merge, scratch.rows + at, texts, replica_texts, True)
    return 0


cdef inline bytes digest_bytes(const Merge *merge):
    """The digest of `merge`, 16 bytes, little-endian."""
    cdef unsigned char digest[16]
    sip_store(digest, merge.digest_low)
    sip_store(digest + 8, merge.digest_high)
    return PyBytes_FromStringAndSize(<const char *>digest, 16)


def document_digest(bytes document not None, paths, replicas, bytes key not None):
    """The digest of a document's cells, 16 bytes, little-endian; see crdt/document_bytes.py."""
    cdef Merge merge
    memset(&merge, 0, sizeof(Merge))
    if PyBytes_GET_SIZE(document):
        if PyBytes_GET_SIZE(key) != 16:
            raise ValueError(f"A SipHash key has 16 bytes; this one has {len(key)}.")
        merge.key = <const unsigned char *>PyBytes_AS_STRING(key)
        merge.replica_count = <uint32_t>PyList_GET_SIZE(replicas.texts)
        digest_document(
            &merge, <const unsigned char *>PyBytes_AS_STRING(document), PyBytes_GET_SIZE(document), paths.texts,
            replicas.texts,
        )
    return digest_bytes(&merge)
