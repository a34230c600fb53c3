# Twin of the set in read_indexed of crdtstore/query/source.py: which documents came already, by hashes of id keys.
#
# Rules: a hash has 128 bits under a key of this process, so nobody makes two ids that share one. Half of the places
# stay free. What is taken here is freed by `came_free`, and there is a bound to it: SEARCH_REPEATS_MAX.

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

import os

cdef enum:
    CAME_FIRST = 256                   # places at first, a power of two

cdef struct CameHash:
    uint64_t low                       # 0 and 0: the place is free
    uint64_t high

cdef struct Came:
    CameHash *places
    size_t room                        # places, a power of two or 0
    size_t count


@cython.final
@cython.no_gc
cdef class SearchCame:
    """What came, for as long as a search goes on."""

    cdef Came came

    def __dealloc__(self):
        came_free(&self.came)


cdef bytes came_secret = os.urandom(16)
cdef const unsigned char *came_key = <const unsigned char *>PyBytes_AS_STRING(came_secret)


cdef inline void came_free(Came *came) noexcept nogil:
    free(came.places)
    came.places, came.room, came.count = NULL, 0, 0


cdef inline CameHash *came_place(CameHash *places, size_t room, const CameHash *hash_) noexcept nogil:
    """Where a hash stands, or would."""
    cdef size_t at = hash_.low & (room - 1)
    while places[at].low | places[at].high and (places[at].low != hash_.low or places[at].high != hash_.high):
        at = (at + 1) & (room - 1)
    return &places[at]


cdef int came_grow(Came *came) noexcept nogil:
    """Make twice as many places; -1: there is no memory."""
    cdef size_t index, room = 2 * came.room if came.room else CAME_FIRST
    cdef CameHash *places = <CameHash *>calloc(room, sizeof(CameHash))
    if places == NULL:
        return -1
    for index in range(came.room):
        if came.places[index].low | came.places[index].high:
            came_place(places, room, &came.places[index])[0] = came.places[index]
    free(came.places)
    came.places, came.room = places, room
    return 0


cdef int came_add(Came *came, const unsigned char *key, size_t length) noexcept nogil:
    """Remember an id key. 1: it is new, 0: it came already, -1: there is no memory."""
    cdef CameHash hash_
    cdef uint64_t words[2]
    cdef CameHash *place
    siphash128_c(came_key, key, length, words)
    hash_.low, hash_.high = words[0] or 1, words[1]
    if 2 * came.count >= came.room and came_grow(came):
        return -1
    place = came_place(came.places, came.room, &hash_)
    if place.low | place.high:
        return 0
    place[0] = hash_
    came.count += 1
    return 1
