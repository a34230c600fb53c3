# Twin of nsmallest in crdtstore/query/search.py, `top_plainly`: the lowest sort keys of those that come.
#
# Rules: a heap with the greatest key at its root; memory is taken as keys come, so that who keeps many and finds few
# pays for few. A key is copied only when it stays. What is taken here is freed by `top_free`.

from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memcmp, memcpy

cdef struct TopKey:
    unsigned char *data
    size_t size
    size_t room
    size_t id_size                     # of the id key at its end

cdef struct Top:
    TopKey *keys
    size_t count
    size_t room
    size_t keep                        # at most so many


cdef void top_free(Top *top) noexcept nogil:
    cdef size_t index
    for index in range(top.count):
        free(top.keys[index].data)
    free(top.keys)
    top.keys, top.count, top.room = NULL, 0, 0


cdef int top_compare(
    const unsigned char *one, size_t size, const unsigned char *other, size_t other_size
) noexcept nogil:
    """The order of two sort keys."""
    cdef int order = memcmp(one, other, min(size, other_size))
    return order if order else (size > other_size) - (size < other_size)


cdef int top_order(const void *one, const void *other) noexcept nogil:
    cdef const TopKey *left = <const TopKey *>one
    cdef const TopKey *right = <const TopKey *>other
    return top_compare(left.data, left.size, right.data, right.size)


cdef int top_offer(Top *top, const unsigned char *key, size_t size, size_t id_size) noexcept nogil:
    """Keep a key if it is among the lowest; -1: there is no memory."""
    if top.count < top.keep:
        if top.count == top.room and top_grow(top):
            return -1
        top.keys[top.count].data, top.keys[top.count].room = NULL, 0
        top.count += 1
        if top_copy(&top.keys[top.count - 1], key, size, id_size):
            return -1
        top_rise(top)
        return 0
    if top.keep == 0 or top_compare(key, size, top.keys[0].data, top.keys[0].size) >= 0:
        return 0
    if top_copy(&top.keys[0], key, size, id_size):
        return -1
    top_sink(top)
    return 0


cdef int top_grow(Top *top) noexcept nogil:
    cdef size_t room = min(2 * top.room + 16, top.keep)
    cdef TopKey *keys = <TopKey *>realloc(top.keys, room * sizeof(TopKey))
    if keys == NULL:
        return -1
    top.keys, top.room = keys, room
    return 0


cdef int top_copy(TopKey *into, const unsigned char *key, size_t size, size_t id_size) noexcept nogil:
    cdef unsigned char *data
    if size > into.room:
        data = <unsigned char *>realloc(into.data, size)
        if data == NULL:
            return -1
        into.data, into.room = data, size
    memcpy(into.data, key, size)
    into.size, into.id_size = size, id_size
    return 0


cdef void top_rise(Top *top) noexcept nogil:
    """Bring the last key up to its place."""
    cdef size_t at = top.count - 1
    cdef TopKey key = top.keys[at]
    while at and top_order(&key, &top.keys[(at - 1) // 2]) > 0:
        top.keys[at] = top.keys[(at - 1) // 2]
        at = (at - 1) // 2
    top.keys[at] = key


cdef void top_sink(Top *top) noexcept nogil:
    """Bring the first key down to its place."""
    cdef size_t at = 0, below
    cdef TopKey key = top.keys[0]
    while 2 * at + 1 < top.count:
        below = 2 * at + 1
        if below + 1 < top.count and top_order(&top.keys[below], &top.keys[below + 1]) < 0:
            below += 1
        if top_order(&key, &top.keys[below]) >= 0:
            break
        top.keys[at] = top.keys[below]
        at = below
    top.keys[at] = key


cdef inline void top_sort(Top *top) noexcept nogil:
    """Put the keys into their order; nothing may be offered any more."""
    if top.count:
        qsort(top.keys, top.count, sizeof(TopKey), &top_order)
