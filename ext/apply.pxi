# Twin of apply_changes in crdtstore/version/delivery.py: a checked record's operations merged into their documents.
#
# Rules: documents are read, merged and put back without a Python object for any of them when the batch is the
# compiled one; any other batch is used through its methods. The record was checked by read_head; a long id
# (a key beyond its bound) is left to the caller, which is told by `False` before anything was written.

from crdtstore.limits import KEY_PREFIX_BYTES as apply_key_limit

cdef size_t APPLY_KEY_MAX = apply_key_limit

cdef enum:
    APPLY_ENTRIES = 12                 # the table of entries

cdef struct ApplyPlace:
    # Where one collection's documents lie, and what was counted there since it was last told.
    unsigned char prefix[4]
    unsigned char name_copy[512]
    size_t name_length
    int64_t documents
    int64_t buried
    uint64_t digest_low
    uint64_t digest_high


cdef class Applier:
    """The names that a record's documents share: what would otherwise be looked up for each."""

    cdef object catalog
    cdef object batch
    cdef object collection
    cdef IndexChanger changer          # of the collection's indexes; most have none
    cdef Batch compiled
    cdef dict numbers
    cdef list texts
    cdef Py_ssize_t maximum
    cdef dict replica_numbers
    cdef list replica_texts
    cdef int table
    cdef lmdb_cursor *cursor           # over the documents of the compiled batch
    cdef ApplyPlace place

    cdef const unsigned char *name_start(self) noexcept:
        return self.place.name_copy

    cdef size_t name_length(self) noexcept:
        return self.place.name_length


cdef Applier applier_for(object batch, object catalog, int table):
    """An applier at its start."""
    cdef Applier applier = Applier.__new__(Applier)
    replicas = catalog.replicas
    applier.catalog = catalog
    applier.batch = batch
    applier.compiled = batch if isinstance(batch, Batch) else None
    applier.replica_numbers = replicas.numbers
    applier.replica_texts = replicas.texts
    applier.table = table
    applier.cursor = batch_cursor_c(applier.compiled, table) if applier.compiled is not None else NULL
    memset(&applier.place, 0, sizeof(ApplyPlace))
    return applier


cdef void applier_end(Applier applier) noexcept:
    """Let go of the batch; it may end now."""
    if applier.cursor != NULL:
        lmdb_close_cursor(applier.cursor)
        applier.cursor = NULL


cdef int apply_enter(Applier applier, const unsigned char *name, size_t length) except -1:
    """Go on with a collection's documents; the one before is told its counts."""
    cdef ApplyPlace *place = &applier.place
    cdef bytes prefix
    if applier.collection is not None:
        if place.name_length == length and memcmp(place.name_copy, name, length) == 0:
            return 0
        apply_count(applier)
    applier.collection = applier.catalog.intern((<bytes>name[:length]).decode())
    applier.changer = apply_changer(applier) if applier.collection.indexes else None
    names = applier.collection.paths
    applier.numbers = names.numbers
    applier.texts = names.texts
    applier.maximum = names.maximum
    prefix = applier.collection.prefix
    memcpy(place.prefix, PyBytes_AS_STRING(prefix), 4)
    memcpy(place.name_copy, name, length)
    place.name_length = length
    return 0


cdef int apply_count(Applier applier) except -1:
    """Tell a collection how many documents came or went, and its digest's change."""
    cdef ApplyPlace *place = &applier.place
    cdef unsigned char digest[16]
    memcpy(digest, &place.digest_low, 8)
    memcpy(digest + 8, &place.digest_high, 8)
    applier.collection.count(place.documents, <bytes>digest[:16], place.buried)
    place.documents = place.buried = 0
    place.digest_low = place.digest_high = 0
    return 0


cdef inline bint apply_is_grave(const unsigned char *document, size_t length) noexcept nogil:
    """document_bytes.is_grave: whether the one entry of document bytes is a grave."""
    cdef size_t place
    if length < DOCUMENT_HEADER_BYTES or load_u32(document + 4) != 1:
        return False
    place = DOCUMENT_HEADER_BYTES + (<size_t>1 << (document[1] & 3))
    return place < length and document[place] & 15 == CODE_GRAVE


cdef int apply_change(Applier applier, Merge *merge, Cursor *cursor) except -1:
    """One document of a record."""
    cdef const unsigned char *name
    cdef const unsigned char *id_
    cdef size_t name_length, id_length
    cdef uint32_t fields
    cdef unsigned char key[512]
    cdef unsigned char digest_key[16]
    if read_array(cursor, &fields) or read_string(cursor, &name, &name_length) \
            or read_binary(cursor, &id_, &id_length):
        raise malformed("a document has no name")
    apply_enter(applier, name, name_length)
    memcpy(key, applier.place.prefix, 4)
    memcpy(key + 4, id_, id_length)
    digest_key_c(name, name_length, id_, id_length, digest_key)
    merge.key = digest_key
    merge.digest_low = applier.place.digest_low
    merge.digest_high = applier.place.digest_high
    if applier.compiled is not None:
        apply_compiled(applier, merge, key, id_length + 4, cursor)
    else:
        apply_any(applier, merge, key, id_length + 4, cursor)
    applier.place.digest_low = merge.digest_low
    applier.place.digest_high = merge.digest_high
    return 0


cdef int apply_compiled(Applier applier, Merge *merge, const unsigned char *key, size_t key_length,
                        Cursor *cursor) except -1:
    """Get, merge and put in the pages of the compiled batch."""
    cdef const unsigned char *document = NULL
    cdef size_t length = 0
    cdef bint existed = batch_seek_c(
        applier.compiled, applier.cursor, applier.table, key, key_length, &document, &length
    )
    if existed:
        applier.place.buried -= apply_is_grave(document, length)
    merge_core(
        merge, document, length if existed else 0, cursor,
        applier.numbers, applier.texts, applier.maximum, applier.replica_numbers, applier.replica_texts,
    )
    if applier.changer is not None:
        index_prepare(
            applier.changer, key + 4, key_length - 4, document, length if existed else 0, scratch.out,
            scratch.out_length,
        )
    applier.place.documents += (scratch.out_length > 0) - existed
    applier.place.buried += apply_is_grave(scratch.out, scratch.out_length)
    if scratch.out_length and existed:
        batch_replace_c(
            applier.compiled, applier.cursor, applier.table, key, key_length, scratch.out, scratch.out_length
        )
    elif scratch.out_length:
        batch_put_c(applier.compiled, applier.table, key, key_length, scratch.out, scratch.out_length)
    elif existed:
        batch_delete_c(applier.compiled, applier.table, key, key_length)
    if applier.changer is not None:
        index_write(applier.changer)
    return 0


cdef IndexChanger apply_changer(Applier applier):
    """What changes the entries of the collection that was entered."""
    cdef IndexChanger changer = index_changer(applier.collection)
    changer.batch, changer.catalog, changer.table = applier.compiled, applier.catalog, APPLY_ENTRIES
    return changer


cdef int apply_any(Applier applier, Merge *merge, const unsigned char *key, size_t key_length,
                   Cursor *cursor) except -1:
    """Get, merge and put through the methods of any batch."""
    cdef bytes place = <bytes>key[:key_length]
    cdef bytes document = applier.batch.get(applier.table, place) or b""
    merge_core(
        merge, <const unsigned char *>PyBytes_AS_STRING(document), PyBytes_GET_SIZE(document), cursor,
        applier.numbers, applier.texts, applier.maximum, applier.replica_numbers, applier.replica_texts,
    )
    applier.place.documents += (scratch.out_length > 0) - (PyBytes_GET_SIZE(document) > 0)
    applier.place.buried += apply_is_grave(scratch.out, scratch.out_length)
    applier.place.buried -= apply_is_grave(
        <const unsigned char *>PyBytes_AS_STRING(document), PyBytes_GET_SIZE(document)
    )
    if scratch.out_length:
        applier.batch.put(applier.table, place, PyBytes_FromStringAndSize(<char *>scratch.out, scratch.out_length))
    elif PyBytes_GET_SIZE(document):
        applier.batch.delete(applier.table, place)
    if applier.changer is not None:
        apply_entries(applier, key, key_length, document)
    return 0


cdef int apply_entries(Applier applier, const unsigned char *key, size_t key_length, bytes before) except -1:
    """Bring the entries of the document that was merged just now along."""
    from crdtstore.storage.index_entries import change_entries
    cdef bytes after = PyBytes_FromStringAndSize(<const char *>scratch.out, scratch.out_length)
    cdef bytes id_ = PyBytes_FromStringAndSize(<const char *>key + 4, key_length - 4)
    if before != after:
        change_entries(applier.batch, applier.collection, applier.catalog, id_, before, after)
    return 0


cdef bint apply_prepare(Applier applier, const RecordView *record, const unsigned char *end) except -1:
    """Make every collection of a record known, so that nothing can fail later; whether every id fits its key."""
    cdef Cursor cursor
    cdef uint32_t fields = 0, at
    cdef const unsigned char *name = NULL
    cdef const unsigned char *before = NULL
    cdef const unsigned char *id_ = NULL
    cdef size_t length = 0, before_length = 0, id_length = 0
    cursor.at = record.changes
    cursor.end = end
    if record.id_length_max + 4 > APPLY_KEY_MAX:
        return False
    for at in range(1 if record.one_collection else record.changes_count):
        read_array(&cursor, &fields)
        read_string(&cursor, &name, &length)
        read_binary(&cursor, &id_, &id_length)
        if before == NULL or before_length != length or memcmp(before, name, length):
            apply_enter(applier, name, length)
            before = name
            before_length = length
        skip_value(&cursor, 0)
    return True


def apply_changes(batch, catalog, bytes data not None, uint32_t replica, array coverage not None, int table):
    """Merge a checked record's operations into their documents; False when the plain twin must; see delivery.py."""
    cdef RecordView record
    cdef Merge merge
    cdef Cursor cursor
    cdef uint32_t at
    cdef Applier applier
    cdef array origin_numbers
    cursor.at = <const unsigned char *>PyBytes_AS_STRING(data)
    cursor.end = cursor.at + PyBytes_GET_SIZE(data)
    if record_open(cursor.at, PyBytes_GET_SIZE(data), &record):
        return False
    applier = applier_for(batch, catalog, table)
    try:
        if not apply_prepare(applier, &record, cursor.end):
            return False
        origin_numbers = catalog.replicas.origin_numbers
        merge_begin(&merge, record.timestamp, replica, coverage, origin_numbers)
        cursor.at = record.changes
        for at in range(record.changes_count):
            apply_change(applier, &merge, &cursor)
        apply_count(applier)
    finally:
        applier_end(applier)
    return True
