# Twin of read_json and read_json_many in crdtstore/storage/documents.py: a document by its id, as JSON.
#
# Rules: the common ids (strings, integers within 2**53) are encoded here; for any other the answer is False, and the
# caller takes the plain way. The document is read where it lies in the map and printed from there; no Python object
# is made but the JSON. Of many documents, memory of the next one is on its way while one is printed. Include after
# `lmdb_walk.pxi`.

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


# --- one after the other ---


cdef struct ReadAhead:
    # A document that is looked up in the pages of a known commit; `begun` says whether it is.
    bint begun
    lmdb_path path
    lmdb_descent way
    lmdb_value wanted
    unsigned char key[READ_KEY_BYTES]


def read_json_many(Snapshot snapshot not None, int table, bytes prefix not None, ids, paths, replicas):
    """Each document of a list of ids as JSON, None or False as read_json gives them, all of one snapshot."""
    cdef JsonShapes shapes = json_shapes(paths)
    cdef list found = []
    given = snapshot, table, prefix, list(ids), shapes, paths, replicas, found
    if lmdb_guard(read_work, <void *>given) == LMDB_ASSERTED:
        # A page cannot be read: what reads one document says which one it is.
        return [read_print(snapshot, table, prefix, id_, shapes, paths, replicas) for id_ in ids]
    return found


cdef int read_work(void *context) except -1:
    """What `read_json_many` has done under guard."""
    snapshot, table, prefix, ids, shapes, paths, replicas, found = <tuple>context
    return read_all(snapshot, table, prefix, ids, shapes, paths, replicas, found)


cdef int read_all(Snapshot snapshot, int table, bytes prefix, list ids, JsonShapes shapes, paths, replicas,
                  list found) except -1:
    """Look up and print one document after the other."""
    cdef Py_ssize_t at, count = len(ids)
    cdef ReadAhead ahead
    cdef DocumentView view
    cdef bint read
    ahead.begun, ahead.path.depth = False, -1
    for at in range(count):
        read = ahead.begun and read_end(snapshot, table, &ahead, &view)
        ahead.begun = at + 1 < count and read_begin(snapshot, table, prefix, ids[at + 1], &ahead)
        if read:
            json_document.length = 0
            json_emit(&view, shapes, paths, replicas, &json_document)
            found.append(json_take(&json_document))
        else:
            found.append(read_print(snapshot, table, prefix, ids[at], shapes, paths, replicas))
    return 0


cdef bint read_begin(Snapshot snapshot, int table, bytes prefix, object id_, ReadAhead *ahead) except -1:
    """Begin to look up a document; 0: it has to be read by itself."""
    cdef const lmdb_trees *trees = &snapshot.trees
    cdef size_t root = lmdb_known_root(trees, table)
    snapshot_check(snapshot)
    if root == 0 or not read_key(prefix, id_, ahead.key, &ahead.wanted.size):
        return False
    ahead.wanted.data = ahead.key
    lmdb_find_begin(trees, root, trees.levels[table], &ahead.wanted, &ahead.way, &ahead.path)
    return True


cdef bint read_end(Snapshot snapshot, int table, ReadAhead *ahead, DocumentView *view) except -1:
    """Look it up; 0: it is not there, or has to be read by itself, which says what is wrong."""
    cdef lmdb_value value
    cdef uint32_t seal = snapshot.environment.seals[table]
    snapshot_check(snapshot)
    if lmdb_find_end(&snapshot.trees, seal, &ahead.wanted, &ahead.way, &ahead.path, &value):
        return False
    return not document_open(<const unsigned char *>value.data, value.size, view) and not document_is_grave(view)
