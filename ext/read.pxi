# Twin of read_json and read_json_many in crdtstore/storage/documents.py: a document by its id, as JSON.
#
# Rules: the common ids (strings, integers within 2**53) are encoded here; for any other the answer is False, and the
# caller takes the plain way. The document is read where it lies in the map and printed from there; no Python object
# is made but the JSON.

cdef enum:
    READ_KEY_BYTES = 512


cdef int read_key(bytes prefix, object id_, unsigned char *key, size_t *length) except -1:
    """document_key of a common id: 1, or 0 for an id that the plain twin must encode."""
    cdef const char *text
    cdef Py_ssize_t size
    cdef int64_t whole
    cdef double number
    cdef uint64_t bits
    memcpy(key, PyBytes_AS_STRING(prefix), 4)
    if type(id_) is str:
        text = PyUnicode_AsUTF8AndSize(id_, &size)
        if size == 0 or 5 + <size_t>size > APPLY_KEY_MAX:
            return 0
        key[4] = 0x20
        memcpy(key + 5, text, size)
        length[0] = 5 + size
        return 1
    if type(id_) is not int or not -9007199254740992 < id_ < 9007199254740992:
        return 0
    whole = id_
    number = <double>whole
    memcpy(&bits, &number, 8)
    bits ^= ~<uint64_t>0 if bits >> 63 else <uint64_t>1 << 63
    key[4] = 0x10
    put64(key + 5, bits)
    put16(key + 13, 0x8000)
    length[0] = 15
    return 1


cdef object read_print(
    Snapshot snapshot, int table, bytes prefix, object id_, JsonShapes shapes, paths, replicas
):
    """One document as JSON, None when it does not exist, False for an id that the plain twin must encode."""
    cdef unsigned char key[READ_KEY_BYTES]
    cdef size_t key_length = 0, length = 0
    cdef const unsigned char *document = NULL
    cdef DocumentView view
    if not read_key(prefix, id_, key, &key_length):
        return False
    if not snapshot_get_c(snapshot, table, key, key_length, &document, &length):
        return None
    if document_open(document, length, &view):
        raise damaged("its bytes are cut short")
    if document_is_grave(&view):
        return None
    json_document.length = 0
    json_emit(&view, shapes, paths, replicas, &json_document)
    return json_take(&json_document)


def read_json(Environment environment not None, int table, bytes prefix not None, id_, paths, replicas):
    """A document as JSON, in a snapshot of its own."""
    cdef Snapshot snapshot = environment_snapshot_c(environment)
    try:
        return read_print(snapshot, table, prefix, id_, json_shapes(paths), paths, replicas)
    finally:
        snapshot_end(snapshot)


def read_json_many(Snapshot snapshot not None, int table, bytes prefix not None, ids, paths, replicas):
    """Each document of a list of ids as JSON, None or False as read_json gives them, all of one snapshot."""
    cdef JsonShapes shapes = json_shapes(paths)
    return [read_print(snapshot, table, prefix, id_, shapes, paths, replicas) for id_ in ids]
