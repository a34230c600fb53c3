# Twin of crdtstore/query/order.py, `sort_key`: the bytes by which a document is sorted, without the GIL.
#
# Rules: a key is written into room for the longest one. What an id holds in another form than a document does makes
# the plain twin write the key: SORT_ASK. Include after `item_id.pxi` and `value_key.pxi`.

cimport cython
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from crdtstore import limits

cdef enum:
    SORT_ASK = 0                       # in place of a size: only the plain twin can tell
    SORT_TYPES = 8

cdef enum:                             # the types in the order in which ranks stand
    SORT_MISSING = 0
    SORT_NULL = 1
    SORT_BOOLEAN = 2
    SORT_NUMBER = 3
    SORT_STRING = 4
    SORT_BINARY = 5
    SORT_ARRAY = 6
    SORT_OBJECT = 7

cdef size_t sort_part_bytes_max = limits.SORT_KEY_BYTES_MAX

cdef struct SortPart:
    ItemPath path
    bint is_id                         # the path leads into the id
    bint descending


@cython.final
cdef class SortOrder:
    """An order, made ready."""

    cdef tuple held                    # the paths' texts
    cdef SortPart *parts
    cdef size_t count
    cdef unsigned char ranks[SORT_TYPES]

    def __dealloc__(self):
        cdef size_t index
        for index in range(self.count):
            item_path_free(&self.parts[index].path)
        free(self.parts)


cdef SortOrder sort_order(order):
    """Make an `Order` ready."""
    cdef SortOrder self = SortOrder.__new__(SortOrder)
    cdef tuple keys = tuple(order.keys)
    cdef bytes ranks = order.ranks
    cdef SortPart *part
    if PyBytes_GET_SIZE(ranks) != SORT_TYPES:
        raise ValueError("An order has a rank for each of 8 types.")
    memcpy(self.ranks, PyBytes_AS_STRING(ranks), SORT_TYPES)
    self.held = keys
    self.parts = <SortPart *>calloc(len(keys) + 1, sizeof(SortPart))
    if self.parts == NULL:
        raise MemoryError
    for path, descending in keys:
        part = &self.parts[self.count]
        item_path_make(path, &part.path)
        self.count += 1
        part.is_id, part.descending = len(path) > 0 and path[0] == "_id", descending
    return self


cdef inline size_t sort_room(SortOrder self) noexcept:
    """How many bytes the longest key takes, without the id key."""
    return self.count * sort_part_bytes_max


cdef int sort_key_c(
    SortOrder self,
    const DocumentView *view,
    const lmdb_value *id_,
    const NameList *paths,
    const NameList *replicas,
    unsigned char *out,
) noexcept nogil:
    """Write a document's key without the id key: its size, SORT_ASK, or less: why it cannot be read."""
    cdef size_t index, size = 0, length = 0
    cdef const SortPart *part
    cdef Item item
    cdef int failure
    for index in range(self.count):
        part = &self.parts[index]
        if part.is_id:
            failure = item_id(
                <value_place>id_.data, id_.size, part.path.steps + 1, part.path.count - 1, &item
            )
        else:
            failure = item_at(view, paths, replicas, &part.path, &item)
        if failure == 0:
            failure = sort_part(&item, self.ranks, part.is_id, out + size, &length)
        if failure < 0:
            return failure
        if length == 0:
            return SORT_ASK
        if part.descending:
            sort_invert(out + size, length)
        size += length
    return <int>size


cdef int sort_part(
    const Item *item, const unsigned char *ranks, bint is_id, unsigned char *out, size_t *size
) noexcept nogil:
    """Write the part of one value; a size of 0: only the plain twin can tell."""
    cdef int kind = item.value.kind
    cdef ValueKey key
    value_key_begin(&key, out, sort_part_bytes_max)
    size[0] = 0
    if kind == KIND_FALSE or kind == KIND_TRUE:
        value_key_byte(&key, 0)
        value_key_scalar(&key, &item.value)
    elif kind == KIND_ARRAY:
        if is_id:
            return 0
        if value_key_packed(&key, item.at, item.end, VALUE_DEPTH_MAX) == NULL:
            return VISIBLE_VALUE
    elif kind == KIND_STRING or kind == KIND_BINARY:
        if item.value.text == NULL and is_id:
            return 0
        value_key_scalar(&key, &item.value)
    elif kind == KIND_INT or kind == KIND_DOUBLE:
        value_key_scalar(&key, &item.value)
    else:
        value_key_byte(&key, 0)
    out[0] = ranks[sort_type(kind)]
    size[0] = key.size
    return 0


cdef inline int sort_type(int kind) noexcept nogil:
    """The type of a kind."""
    if kind == ITEM_MISSING:
        return SORT_MISSING
    if kind == KIND_NULL:
        return SORT_NULL
    if kind <= KIND_TRUE:
        return SORT_BOOLEAN
    if kind <= KIND_DOUBLE:
        return SORT_NUMBER
    if kind == KIND_STRING:
        return SORT_STRING
    if kind == KIND_BINARY:
        return SORT_BINARY
    return SORT_ARRAY if kind == KIND_ARRAY else SORT_OBJECT


cdef inline void sort_invert(unsigned char *key, size_t size) noexcept nogil:
    cdef size_t index
    for index in range(size):
        key[index] = 255 - key[index]
