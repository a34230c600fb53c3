# Twin of changes and put in crdtstore/storage/draft.py: a staged transaction's documents for the record and the batch.
#
# Rules: documents are put in the order of their keys with one cursor, the ones behind all others appended; the entries
# of their indexes follow in the order of theirs. Include after `stage.pxi`.

cdef bytes stage_encoded(Staged staged):
    """The documents as a record lists them."""
    global stage_sorted, stage_sorted_places
    cdef StageBlocks *blocks = &staged.blocks
    cdef StageDocument *one
    cdef unsigned char head[8]
    cdef unsigned char *out
    cdef size_t size = write_items_head(head, blocks.count, False)
    cdef uint32_t at
    cdef uint32_t *order = blocks.order
    cdef bytes listed = PyBytes_FromStringAndSize(NULL, size + blocks.parts_length)
    cdef array sorted_order
    if len(staged.collections) > 1:
        sorted_order = array("I", range(blocks.count))
        order = <uint32_t *>sorted_order.data.as_uints
        stage_sorted, stage_sorted_places = blocks, staged.places
        qsort(order, blocks.count, sizeof(uint32_t), stage_compare_names)
    out = <unsigned char *>PyBytes_AS_STRING(listed)
    memcpy(out, head, size)
    for at in range(blocks.count):
        one = blocks.documents + order[at]
        memcpy(out + size, blocks.parts + one.part, one.end - one.part)
        size += one.end - one.part
    return listed


cdef int stage_put(Staged staged) except -1:
    """Write the documents and their entries, and tell the collections their counts."""
    cdef StagePlace *place
    cdef unsigned char digest[16]
    cdef uint32_t at
    cdef list changers = [stage_changer(staged, collection) for collection in staged.collections]
    cdef lmdb_cursor *cursor = batch_cursor_c(staged.batch, staged.table)
    try:
        for at in range(staged.blocks.count):
            stage_put_one(staged, staged.blocks.documents + staged.blocks.order[at], changers, cursor)
    finally:
        lmdb_close_cursor(cursor)
    for at in range(<uint32_t>len(staged.collections)):
        place = staged.places + at
        sip_store(digest, place.digest_low)
        sip_store(digest + 8, place.digest_high)
        staged.collections[at].count(place.documents, <bytes>digest[:16], 0)
        if changers[at] is not None:
            index_settle(<IndexChanger>PyList_GET_ITEM(changers, at))
    return 0


cdef IndexChanger stage_changer(Staged staged, object collection):
    """What changes the entries of a collection's documents; None where it has no index."""
    cdef IndexChanger changer
    if not collection.indexes:
        return None
    changer = index_changer(collection)
    changer.batch, changer.catalog, changer.table = staged.batch, staged.catalog, APPLY_ENTRIES
    index_gather(changer)
    return changer


cdef int stage_put_one(Staged staged, const StageDocument *one, list changers, lmdb_cursor *cursor) except -1:
    """Write one document, and prepare its entries."""
    cdef StageBlocks *blocks = &staged.blocks
    cdef IndexChanger changer = <IndexChanger>PyList_GET_ITEM(changers, one.place)
    cdef const unsigned char *after = blocks.afters + one.after
    cdef const unsigned char *before = NULL
    cdef size_t length = 0, key_length = 4 + one.operations - one.id_
    cdef unsigned int flags = 0
    cdef unsigned char key[READ_KEY_BYTES]
    memcpy(key, staged.places[one.place].prefix, 4)
    memcpy(key + 4, blocks.parts + one.id_, key_length - 4)
    if changer is not None:
        if one.existed:
            snapshot_get_c(staged.batch, staged.table, key, key_length, &before, &length)
        index_prepare(changer, key + 4, key_length - 4, before, length, after, one.after_length)
    if stage_is_last(staged, key, key_length):
        flags = LMDB_APPEND
    batch_put_near_c(staged.batch, cursor, staged.table, key, key_length, after, one.after_length, flags)
    if changer is not None:
        index_write(changer)
    return 0
