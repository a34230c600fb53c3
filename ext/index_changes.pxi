# Twin of change_entries in crdtstore/storage/index_entries.py: what changes in the indexes as documents do.
#
# Rules: as `index.pxi`. Entries that a whole transaction puts are kept back until its documents are written
# (`index_rows.pxi`); removals and the plain twin's are written at once, which is the same in the end: no entry of one
# document has the key of another's. Include after `index.pxi` and `index_rows.pxi`.

cdef struct IndexCounts:
    # What changed of an index's counts.
    int64_t whole
    int64_t items
    int64_t inexact


cdef class IndexChanger:
    """What changes the entries of one collection's documents in a compiled batch, one document after the other."""

    cdef Batch batch                   # set for as long as it is used
    cdef object catalog
    cdef object collection
    cdef tuple indexes
    cdef list plans
    cdef int table
    cdef NameTable paths               # while no name comes any more; None: looked up for each document
    cdef NameTable replicas
    cdef bint ready                    # no index is being built
    cdef bint gathers                  # what is put is kept back in `rows`
    cdef IndexRows rows
    cdef IndexCounts *counts           # of each index, since it was last told
    cdef IndexEntry *entries           # two for each index: before and after
    cdef IndexId id_
    cdef list plain                    # the indexes that are left to the plain twin, with the document
    cdef bytes before
    cdef bytes after

    def __dealloc__(self):
        free(self.entries)
        free(self.counts)
        index_rows_free(&self.rows)


cdef IndexChanger index_changer(collection):
    """A changer at its start."""
    cdef IndexChanger changer = IndexChanger.__new__(IndexChanger)
    changer.collection = collection
    changer.indexes = collection.indexes
    changer.plans = [index_plan(index) for index in changer.indexes]
    changer.entries = <IndexEntry *>malloc(2 * len(changer.indexes) * sizeof(IndexEntry) + 1)
    changer.counts = <IndexCounts *>calloc(len(changer.indexes) + 1, sizeof(IndexCounts))
    if changer.entries == NULL or changer.counts == NULL:
        raise MemoryError
    return changer


cdef int index_gather(IndexChanger changer) except -1:
    """Keep back what is put until index_settle; from here on no name comes, and no index changes but by its entries."""
    changer.paths, changer.replicas = name_table(changer.collection.paths), name_table(changer.catalog.replicas)
    changer.ready = all([index.built is None for index in changer.indexes])
    changer.gathers = True
    return 0


cdef int index_settle(IndexChanger changer) except -1:
    """Put what was kept back, and tell the indexes their counts."""
    index_rows_put(&changer.rows, changer.batch, changer.table)
    return index_tell(changer)


cdef int index_prepare(
    IndexChanger changer, value_place id_, size_t id_length, const unsigned char *before, size_t before_length,
    const unsigned char *after, size_t after_length
) except -1:
    """Compute the entries of a document, before it is written."""
    cdef NameTable paths = changer.paths if changer.gathers else name_table(changer.collection.paths)
    cdef NameTable replicas = changer.replicas if changer.gathers else name_table(changer.catalog.replicas)
    cdef IndexEntry *entry = changer.entries
    cdef IndexPlan plan
    cdef Py_ssize_t at
    changer.plain = None
    index_id_make(&changer.id_, id_, id_length)
    for at in range(len(changer.indexes)):
        plan = <IndexPlan>changer.plans[at]
        entry[0].state = entry[1].state = INDEX_NOTHING
        entry[0].count = entry[1].count = 0
        if changer.ready or index_covers(changer.indexes[at].built, id_, id_length):
            index_entry_make(plan, before, before_length, &paths.names, &replicas.names, &changer.id_, entry)
            index_entry_make(plan, after, after_length, &paths.names, &replicas.names, &changer.id_, entry + 1)
            if entry[0].state == INDEX_PLAIN or entry[1].state == INDEX_PLAIN:
                entry[0].state = entry[1].state = INDEX_NOTHING
                entry[0].count = entry[1].count = 0
                changer.plain = changer.plain or []
                changer.plain.append(changer.indexes[at])
        entry += 2
    if changer.plain is not None:
        changer.before = PyBytes_FromStringAndSize(<const char *>before, before_length)
        changer.after = PyBytes_FromStringAndSize(<const char *>after, after_length)
    return 0


cdef inline bint index_covers(bytes built, value_place id_, size_t length) noexcept:
    """Index.covers of an index that is being built: whether an id is not behind the last one that it has."""
    return built is None or compare_bytes(
        id_, length, <const unsigned char *>PyBytes_AS_STRING(built), PyBytes_GET_SIZE(built)
    ) <= 0


cdef int index_write(IndexChanger changer) except -1:
    """Write what was prepared, once the document is written."""
    cdef IndexEntry *entry = changer.entries
    cdef Py_ssize_t at
    cdef bytes id_
    for at in range(len(changer.indexes)):
        if entry[0].state or entry[1].state:
            index_replace(changer, changer.counts + at, entry, entry + 1)
            if entry[0].count or entry[1].count:
                index_replace_items(changer, at, entry, entry + 1)
        entry += 2
    if not changer.gathers:
        index_tell(changer)
    if changer.plain is not None:
        from crdtstore.storage.index_entries import change_index
        id_ = PyBytes_FromStringAndSize(<const char *>changer.id_.end, changer.id_.end_size) \
            if changer.id_.length <= INDEX_ID_BYTES else \
            PyBytes_FromStringAndSize(<const char *>changer.id_.value + 1, changer.id_.length)
        for index in changer.plain:
            change_index(changer.batch, changer.collection, changer.catalog, index, id_, changer.before, changer.after)
    return 0


cdef int index_replace(IndexChanger changer, IndexCounts *counts, IndexEntry *before, IndexEntry *after) except -1:
    """Remove and put what differs in one index."""
    cdef int change = after.state - before.state
    counts.inexact += <int>(after.state and after.inexact) - <int>(before.state and before.inexact)
    if change == 0 and before.size == after.size and memcmp(before.key, after.key, before.size) == 0:
        return 0
    if before.state:
        batch_delete_c(changer.batch, changer.table, before.key, before.size)
    if after.state:
        index_put(changer, after.key, after.size)
    counts.whole += change
    return 0


cdef inline int index_put(IndexChanger changer, const unsigned char *key, size_t size) except -1:
    """Put an entry of the document, now or later."""
    cdef const unsigned char *value = changer.id_.value
    if changer.gathers:
        return index_rows_add(&changer.rows, key, size, value, changer.id_.value_size)
    return batch_put_c(changer.batch, changer.table, key, size, value, changer.id_.value_size)


cdef int index_tell(IndexChanger changer) except -1:
    """Tell the indexes what their counts have become."""
    cdef IndexCounts *counts = changer.counts
    cdef list told
    for index in changer.indexes:
        if counts.inexact:
            index.inexact = index.inexact + counts.inexact
        if counts.whole or counts.items:
            told = index.counts
            told[0] = told[0] + counts.whole
            told[1] = told[1] + counts.items
        memset(counts, 0, sizeof(IndexCounts))
        counts += 1
    return 0


cdef int index_replace_items(IndexChanger changer, Py_ssize_t at, IndexEntry *before, IndexEntry *after) except -1:
    """Remove and put what differs of the items; both sides are sorted."""
    cdef IndexPlan plan = <IndexPlan>changer.plans[at]
    cdef unsigned char key[INDEX_KEY_BYTES]
    cdef size_t size
    cdef int old = 0, new = 0, order
    while old < before.count or new < after.count:
        order = -1 if new == after.count else 1 if old == before.count else \
            index_item_order(&before.items[old], &after.items[new])
        if order < 0:
            size = index_item_key(plan.prefix, &before.items[old], &changer.id_, key)
            batch_delete_c(changer.batch, changer.table, key, size)
        elif order > 0:
            size = index_item_key(plan.prefix, &after.items[new], &changer.id_, key)
            index_put(changer, key, size)
        old += order <= 0
        new += order >= 0
    changer.counts[at].items += after.count - before.count
    return 0


cdef IndexChanger index_kept              # of the last call: the next is most often of the same collection
index_kept = None


def change_entries(Batch batch not None, collection, catalog, bytes encoded_id not None, bytes before not None,
                   bytes after not None, int table):
    """Bring the entries of a document along; False when the plain twin must. See storage/index_entries.py."""
    global index_kept
    cdef IndexChanger changer = index_kept
    index_kept = None
    if <size_t>PyBytes_GET_SIZE(encoded_id) + 4 > APPLY_KEY_MAX or not encoded_id:
        return False
    if changer is None or changer.collection is not collection or changer.indexes is not collection.indexes:
        changer = index_changer(collection)
    changer.batch, changer.catalog, changer.table = batch, catalog, table
    index_prepare(
        changer, <value_place>PyBytes_AS_STRING(encoded_id), PyBytes_GET_SIZE(encoded_id),
        <value_place>PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before),
        <value_place>PyBytes_AS_STRING(after), PyBytes_GET_SIZE(after),
    )
    index_write(changer)
    changer.batch = changer.catalog = None
    index_kept = changer
    return True
