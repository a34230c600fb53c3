# Twin of crdtstore/storage/index_entries.py: the entries of a document in the indexes of its collection.
#
# Rules: done here is what most documents need: one value at each path, or for an index of one path an array of some
# items. Whatever else there is (arrays on the way, conflicts), and what cannot be read, is left to the plain twin,
# index by index. Entries are computed before the document is written and written after it: until then the bytes before
# stand in a page of the batch. Include after `value_key.pxi` and `lmdb_batch.pxi`.

from crdtstore.limits import INDEX_COLUMN_BYTES_MAX as index_column_bytes_max
from crdtstore.limits import INDEX_ID_BYTES_MAX as index_id_bytes_max

cdef size_t INDEX_COLUMN_BYTES = min(index_column_bytes_max, INDEX_ITEM_BYTES)
cdef size_t INDEX_ID_BYTES = index_id_bytes_max

cdef enum:
    INDEX_PATHS = 4
    INDEX_ITEMS = 64                   # of an array; the plain twin takes longer ones
    INDEX_ITEM_BYTES = 100             # as INDEX_COLUMN_BYTES_MAX
    INDEX_PREFIX_BYTES = 5             # index and part
    INDEX_HASH_BYTES = 16
    INDEX_KEY_BYTES = 512
    INDEX_NOTHING = 0                  # the document has no entry
    INDEX_WHOLE = 1                    # it has a WHOLE entry, and ITEM entries for its items
    INDEX_PLAIN = 2                    # the plain twin must make its entries

cdef struct IndexItem:
    size_t size
    unsigned char column[INDEX_ITEM_BYTES]

cdef struct IndexEntry:
    int state
    bint inexact
    size_t size
    int count                          # of the items, sorted, each column once
    unsigned char key[INDEX_KEY_BYTES]
    IndexItem items[INDEX_ITEMS]

cdef struct IndexId:
    # How a document's id stands in entries.
    value_place id_
    size_t length
    size_t end_size
    size_t value_size
    unsigned char end[INDEX_KEY_BYTES]
    unsigned char value[INDEX_KEY_BYTES]


cdef class IndexPlan:
    """One index, as C reads it."""

    cdef unsigned char prefix[4]
    cdef bint conflicts
    cdef int count
    cdef ItemPath paths[INDEX_PATHS]
    cdef bint of_id[INDEX_PATHS]       # the path leads into the id
    cdef tuple held                    # the paths; what is prepared of them points into their texts

    def __dealloc__(self):
        cdef int at
        for at in range(self.count):
            item_path_free(&self.paths[at])


cdef IndexPlan index_plan(index):
    """The plan of an index; made once."""
    cdef IndexPlan plan
    cdef bytes prefix
    if index.plan is not None:
        return <IndexPlan>index.plan
    plan = IndexPlan.__new__(IndexPlan)
    plan.held, prefix, plan.conflicts = index.paths, index.prefix, index.kind == "conflicts"
    if len(plan.held) > INDEX_PATHS or len(prefix) != 4:
        raise ValueError("An index has more paths than it may have.")
    memcpy(plan.prefix, PyBytes_AS_STRING(prefix), 4)
    for path in plan.held:
        item_path_make(path, &plan.paths[plan.count])
        plan.of_id[plan.count] = path[0] == "_id"
        plan.count += 1
    index.plan = plan
    return plan


cdef void index_id_make(IndexId *made, value_place id_, size_t length) noexcept nogil:
    """The end of every entry's key and its value; the id is not longer than a document's key allows."""
    made.id_, made.length = id_, length
    if length <= INDEX_ID_BYTES:
        memcpy(made.end, id_, length)
        made.end_size, made.value_size = length, 1
        made.value[0] = <unsigned char>length
        return
    blake2b_c(made.end, INDEX_HASH_BYTES, id_, length, id_, 0)
    made.value[0] = 0
    memcpy(made.value + 1, id_, length)
    made.end_size, made.value_size = INDEX_HASH_BYTES, length + 1


# --- one entry ---


cdef int index_entry_make(
    IndexPlan plan, const unsigned char *document, size_t length, const NameList *paths, const NameList *replicas,
    const IndexId *id_, IndexEntry *entry
) noexcept:
    """The entry of a document, or why there is none here: INDEX_…; also in `entry.state`."""
    cdef DocumentView view
    cdef int at
    entry.state, entry.inexact, entry.size = INDEX_NOTHING, id_.length > INDEX_ID_BYTES, INDEX_PREFIX_BYTES
    entry.count = 0
    if length == 0:
        return INDEX_NOTHING
    entry.state = INDEX_PLAIN
    if document_open(document, length, &view):
        return INDEX_PLAIN
    if document_is_grave(&view):
        entry.state = INDEX_NOTHING
        return INDEX_NOTHING
    if plan.conflicts:
        entry.state = INDEX_PLAIN if index_may_conflict(&view, paths) else INDEX_NOTHING
        return entry.state
    memcpy(entry.key, plan.prefix, 4)
    entry.key[4] = 0
    for at in range(plan.count):
        if not index_column(plan, at, &view, paths, replicas, id_, entry):
            return INDEX_PLAIN
    memcpy(entry.key + entry.size, id_.end, id_.end_size)
    entry.size += id_.end_size
    entry.state = INDEX_WHOLE
    return INDEX_WHOLE


cdef bint index_column(
    IndexPlan plan, int at, const DocumentView *view, const NameList *paths, const NameList *replicas,
    const IndexId *id_, IndexEntry *entry
) noexcept nogil:
    """Write the column of one path; False where it finds further values, or what it finds cannot be read here."""
    cdef const ItemPath *path = &plan.paths[at]
    cdef ValueKey key
    cdef Item item
    if plan.of_id[at]:
        if item_id(id_.id_, id_.length, path.steps + 1, path.count - 1, &item):
            return False
        if not index_id_is_plain(path, id_, &item):
            return False
    else:
        if item_at(view, paths, replicas, path, &item):
            return False
        if item.value.kind == KIND_ARRAY and (plan.count > 1 or item.value.size > INDEX_ITEMS):
            return False
        if item.value.kind == ITEM_MISSING and path.count > 1 and not index_is_missing(view, paths, replicas, path):
            return False
    value_key_begin(&key, entry.key + entry.size, INDEX_COLUMN_BYTES)
    if item.value.kind == ITEM_MISSING:
        value_key_byte(&key, VALUE_KEY_MISSING)
    elif item.value.kind == ITEM_MAP:
        value_key_byte(&key, VALUE_KEY_OBJECT)
    elif item.value.kind == KIND_ARRAY:
        if value_key_packed(&key, item.at, item.end, VALUE_DEPTH_MAX) == NULL or not index_items(&item, &key, entry):
            return False
    else:
        value_key_scalar(&key, &item.value)
    entry.size += key.size
    entry.inexact |= key.cut
    return True


cdef bint index_items(const Item *item, const ValueKey *whole, IndexEntry *entry) noexcept nogil:
    """Collect the columns of an array's items, without the array's own; False where one cannot be read."""
    cdef value_place at = item.inside
    cdef IndexItem made
    cdef ValueKey key
    cdef size_t left
    for left in range(item.value.size):
        value_key_begin(&key, made.column, INDEX_COLUMN_BYTES)
        if value_key_packed(&key, at, item.end, VALUE_DEPTH_MAX - 1) == NULL:
            return False
        at = value_skip(at, item.end)
        if at == NULL:
            return False
        made.size = key.size
        if made.size != whole.size or memcmp(made.column, whole.out, made.size):
            index_item_add(entry, &made)
    return True


cdef void index_item_add(IndexEntry *entry, const IndexItem *made) noexcept nogil:
    """Put a column among the others, unless it is there."""
    cdef int at = entry.count, order
    while at:
        order = index_item_order(&entry.items[at - 1], made)
        if order == 0:
            return
        if order < 0:
            break
        at -= 1
    memmove(&entry.items[at + 1], &entry.items[at], (entry.count - at) * sizeof(IndexItem))
    entry.items[at] = made[0]
    entry.count += 1


cdef inline int index_item_order(const IndexItem *one, const IndexItem *other) noexcept nogil:
    """Below 0, 0 or above, as one column sorts before the other."""
    cdef int order = memcmp(one.column, other.column, min(one.size, other.size))
    return order or (one.size > other.size) - (one.size < other.size)


cdef size_t index_item_key(
    const unsigned char *prefix, const IndexItem *item, const IndexId *id_, unsigned char *key
) noexcept nogil:
    """The key of an ITEM entry; its size."""
    memcpy(key, prefix, 4)
    key[4] = 1
    memcpy(key + INDEX_PREFIX_BYTES, item.column, item.size)
    memcpy(key + INDEX_PREFIX_BYTES + item.size, id_.end, id_.end_size)
    return INDEX_PREFIX_BYTES + item.size + id_.end_size


cdef bint index_id_is_plain(const ItemPath *path, const IndexId *id_, const Item *item) noexcept nogil:
    """Whether what was found in an id can be read in place, and nothing further can be found."""
    if item.value.kind == KIND_ARRAY or item.value.kind == KIND_BINARY:
        return False
    if item.value.kind == KIND_STRING:
        return item.value.text != NULL
    return item.value.kind != ITEM_MISSING or path.count == 1 or id_.id_[0] != ID_OBJECT


cdef bint index_is_missing(
    const DocumentView *view, const NameList *paths, const NameList *replicas, const ItemPath *path
) noexcept nogil:
    """Whether a path at which nothing is finds nothing when it is spread either: no array is on its way."""
    cdef ItemPath part = path[0]
    cdef Item item
    cdef uint32_t count
    for count in range(1, path.count):
        part.count = count
        part.size = path.steps[count - 1].path_size or path.size
        if item_at(view, paths, replicas, &part, &item) or item.value.kind == KIND_ARRAY:
            return False
        if item.value.kind != ITEM_MAP and item.value.kind != KIND_OBJECT:
            return True
    return True


cdef bint index_may_conflict(const DocumentView *view, const NameList *paths) noexcept nogil:
    """Whether more than one value may live at a path: two cells lie there, or one above others, but for markers."""
    cdef VisibleCells found
    cdef const VisibleCell *cell
    cdef uint32_t at
    cdef bint may = False
    if visible_open(view, paths, &found):
        return True
    for at in range(1, found.count):
        cell = &found.cells[at - 1]
        if cell[1].size < cell.size or memcmp(cell[1].path, cell.path, cell.size):
            continue
        if visible_code(view, cell.row) != CODE_MAP:
            may = True
        elif cell[1].size == cell.size and visible_code(view, cell[1].row) != CODE_MAP:
            may = True
    visible_close(&found)
    return may


def index_entry(index, bytes encoded_id not None, bytes document not None, paths, replicas):
    """The keys of a document's entries, their value and whether the first is inexact; None for no entry.

    False: the plain twin must make its entries.
    """
    cdef IndexPlan plan
    cdef IndexEntry entry
    cdef IndexId id_
    cdef NameTable path_table, replica_table
    cdef unsigned char key[INDEX_KEY_BYTES]
    cdef size_t size
    cdef list keys
    cdef int state, at
    if <size_t>PyBytes_GET_SIZE(encoded_id) + 4 > APPLY_KEY_MAX or not encoded_id:
        return False
    plan, path_table, replica_table = index_plan(index), name_table(paths), name_table(replicas)
    index_id_make(&id_, <value_place>PyBytes_AS_STRING(encoded_id), PyBytes_GET_SIZE(encoded_id))
    state = index_entry_make(
        plan, <value_place>PyBytes_AS_STRING(document), PyBytes_GET_SIZE(document), &path_table.names,
        &replica_table.names, &id_, &entry,
    )
    if state != INDEX_WHOLE:
        return None if state == INDEX_NOTHING else False
    keys = [PyBytes_FromStringAndSize(<const char *>entry.key, entry.size)]
    for at in range(entry.count):
        size = index_item_key(plan.prefix, &entry.items[at], &id_, key)
        keys.append(PyBytes_FromStringAndSize(<const char *>key, size))
    return keys, PyBytes_FromStringAndSize(<const char *>id_.value, id_.value_size), <bint>entry.inexact
