# Reading msgpack in place: what a record and a composite register are made of. Plain twin: the msgpack package.
#
# Rules: a Cursor never leaves its bytes; every read says whether it could. Only shortest forms are accepted, as
# the Python packer writes them, because records are hashed: a second spelling would be a second history.
# Not here: writing whole records (crdtstore/crdt/record.py does that); only the few forms that digests need.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint16_t be16(const unsigned char *at) { uint16_t v; memcpy(&v, at, 2); return __builtin_bswap16(v); }
    static inline uint32_t be32(const unsigned char *at) { uint32_t v; memcpy(&v, at, 4); return __builtin_bswap32(v); }
    static inline uint64_t be64(const unsigned char *at) { uint64_t v; memcpy(&v, at, 8); return __builtin_bswap64(v); }
    static inline void put16(unsigned char *at, uint16_t v) { v = __builtin_bswap16(v); memcpy(at, &v, 2); }
    static inline void put32(unsigned char *at, uint32_t v) { v = __builtin_bswap32(v); memcpy(at, &v, 4); }
    static inline void put64(unsigned char *at, uint64_t v) { v = __builtin_bswap64(v); memcpy(at, &v, 8); }
    """
    uint16_t be16(const unsigned char *at) noexcept nogil
    uint32_t be32(const unsigned char *at) noexcept nogil
    uint64_t be64(const unsigned char *at) noexcept nogil
    void put16(unsigned char *at, uint16_t v) noexcept nogil
    void put32(unsigned char *at, uint32_t v) noexcept nogil
    void put64(unsigned char *at, uint64_t v) noexcept nogil

cdef enum:
    PACKED_DEPTH_MAX = 80

cdef struct Cursor:
    const unsigned char *at
    const unsigned char *end


cdef inline size_t cursor_left(const Cursor *cursor) noexcept nogil:
    return <size_t>(cursor.end - cursor.at)


cdef inline int read_array(Cursor *cursor, uint32_t *count) noexcept nogil:
    """The head of an array; -1 when there is none."""
    cdef unsigned char head
    if cursor.at >= cursor.end:
        return -1
    head = cursor.at[0]
    if head & 0xF0 == 0x90:
        count[0] = head & 0x0F
        cursor.at += 1
        return 0
    if head == 0xDC and cursor_left(cursor) >= 3:
        count[0] = be16(cursor.at + 1)
        cursor.at += 3
        return 0 if count[0] > 15 else -1
    if head == 0xDD and cursor_left(cursor) >= 5:
        count[0] = be32(cursor.at + 1)
        cursor.at += 5
        return 0 if count[0] > 0xFFFF else -1
    return -1


cdef inline int read_unsigned(Cursor *cursor, uint64_t *number) noexcept nogil:
    """An unsigned integer; -1 when there is none."""
    cdef unsigned char head
    cdef size_t left = cursor_left(cursor)
    if left == 0:
        return -1
    head = cursor.at[0]
    if head < 0x80:
        number[0] = head
        cursor.at += 1
        return 0
    if head == 0xCC and left >= 2:
        number[0] = cursor.at[1]
        cursor.at += 2
        return 0 if number[0] > 0x7F else -1
    if head == 0xCD and left >= 3:
        number[0] = be16(cursor.at + 1)
        cursor.at += 3
        return 0 if number[0] > 0xFF else -1
    if head == 0xCE and left >= 5:
        number[0] = be32(cursor.at + 1)
        cursor.at += 5
        return 0 if number[0] > 0xFFFF else -1
    if head == 0xCF and left >= 9:
        number[0] = be64(cursor.at + 1)
        cursor.at += 9
        return 0 if number[0] >> 32 else -1
    return -1


cdef inline int read_number(Cursor *cursor, int *kind, uint64_t *slot) noexcept nogil:
    """An int64 or a double, as kind and slot; -1 when there is neither."""
    cdef unsigned char head
    cdef size_t left = cursor_left(cursor)
    cdef int64_t negative
    if left == 0:
        return -1
    head = cursor.at[0]
    if head == 0xCB:
        if left < 9:
            return -1
        slot[0] = be64(cursor.at + 1)
        kind[0] = KIND_DOUBLE
        cursor.at += 9
        return 0
    kind[0] = KIND_INT
    if head < 0x80 or 0xCC <= head <= 0xCF:
        return 0 if read_unsigned(cursor, slot) == 0 and slot[0] >> 63 == 0 else -1
    if head >= 0xE0:
        negative = <signed char>head
        cursor.at += 1
    elif head == 0xD0 and left >= 2:
        negative = <signed char>cursor.at[1]
        cursor.at += 2
        if negative >= -32:
            return -1
    elif head == 0xD1 and left >= 3:
        negative = <short>be16(cursor.at + 1)
        cursor.at += 3
        if negative >= -128:
            return -1
    elif head == 0xD2 and left >= 5:
        negative = <int>be32(cursor.at + 1)
        cursor.at += 5
        if negative >= -32768:
            return -1
    elif head == 0xD3 and left >= 9:
        negative = <int64_t>be64(cursor.at + 1)
        cursor.at += 9
        if negative >= -2147483648LL:
            return -1
    else:
        return -1
    slot[0] = <uint64_t>negative
    return 0


cdef inline int read_bytes(
    Cursor *cursor, unsigned char fixed, unsigned char fixed_mask, unsigned char head8,
    const unsigned char **start, size_t *size
) noexcept nogil:
    """A string (fixed 0xA0, mask 0x1F, head 0xD9) or binary (no fixed form, head 0xC4); -1 when there is none."""
    cdef unsigned char head
    cdef size_t left = cursor_left(cursor)
    cdef size_t length, skip, least
    if left == 0:
        return -1
    head = cursor.at[0]
    if fixed_mask and head & ~fixed_mask & 0xFF == fixed:
        length = head & fixed_mask
        skip = 1
        least = 0
    elif head == head8 and left >= 2:
        length = cursor.at[1]
        skip = 2
        least = 32 if fixed_mask else 0
    elif head == head8 + 1 and left >= 3:
        length = be16(cursor.at + 1)
        skip = 3
        least = 256
    elif head == head8 + 2 and left >= 5:
        length = be32(cursor.at + 1)
        skip = 5
        least = 65536
    else:
        return -1
    if length < least or left - skip < length:
        return -1
    start[0] = cursor.at + skip
    size[0] = length
    cursor.at += skip + length
    return 0


cdef inline int read_binary(Cursor *cursor, const unsigned char **start, size_t *size) noexcept nogil:
    return read_bytes(cursor, 0, 0, 0xC4, start, size)


cdef inline int read_string(Cursor *cursor, const unsigned char **start, size_t *size) noexcept nogil:
    return read_bytes(cursor, 0xA0, 0x1F, 0xD9, start, size)


cdef int skip_value(Cursor *cursor, int depth) noexcept nogil:
    """Pass over one value of the value model; -1 when there is none, or it is nested too deep."""
    cdef unsigned char head
    cdef uint32_t count, item
    cdef int kind
    cdef uint64_t slot
    cdef const unsigned char *start
    cdef size_t size
    if cursor.at >= cursor.end or depth > PACKED_DEPTH_MAX:
        return -1
    head = cursor.at[0]
    if head == 0xC0 or head == 0xC2 or head == 0xC3:
        cursor.at += 1
        return 0
    if head & 0xE0 == 0xA0 or 0xD9 <= head <= 0xDB:
        return read_string(cursor, &start, &size)
    if 0xC4 <= head <= 0xC6:
        return read_binary(cursor, &start, &size)
    if head & 0xF0 == 0x90 or head == 0xDC or head == 0xDD:
        if read_array(cursor, &count):
            return -1
        for item in range(count):
            if skip_value(cursor, depth + 1):
                return -1
        return 0
    if head & 0xF0 == 0x80 or head == 0xDE or head == 0xDF:
        if read_map(cursor, &count):
            return -1
        for item in range(count):
            if read_string(cursor, &start, &size) or skip_value(cursor, depth + 1):
                return -1
        return 0
    return read_number(cursor, &kind, &slot)


cdef inline int read_map(Cursor *cursor, uint32_t *count) noexcept nogil:
    """The head of a map; -1 when there is none."""
    cdef unsigned char head
    if cursor.at >= cursor.end:
        return -1
    head = cursor.at[0]
    if head & 0xF0 == 0x80:
        count[0] = head & 0x0F
        cursor.at += 1
        return 0
    if head == 0xDE and cursor_left(cursor) >= 3:
        count[0] = be16(cursor.at + 1)
        cursor.at += 3
        return 0 if count[0] > 15 else -1
    if head == 0xDF and cursor_left(cursor) >= 5:
        count[0] = be32(cursor.at + 1)
        cursor.at += 5
        return 0 if count[0] > 0xFFFF else -1
    return -1


cdef inline size_t write_int(unsigned char *out, int64_t number) noexcept nogil:
    """An int64 in its shortest form; returns its bytes, at most 9."""
    if number >= 0:
        if number < 0x80:
            out[0] = <unsigned char>number
            return 1
        if number <= 0xFF:
            out[0] = 0xCC
            out[1] = <unsigned char>number
            return 2
        if number <= 0xFFFF:
            out[0] = 0xCD
            put16(out + 1, <uint16_t>number)
            return 3
        if number >> 32 == 0:
            out[0] = 0xCE
            put32(out + 1, <uint32_t>number)
            return 5
        out[0] = 0xCF
        put64(out + 1, <uint64_t>number)
        return 9
    if number >= -32:
        out[0] = <unsigned char>number
        return 1
    if number >= -128:
        out[0] = 0xD0
        out[1] = <unsigned char>number
        return 2
    if number >= -32768:
        out[0] = 0xD1
        put16(out + 1, <uint16_t>number)
        return 3
    if number >= -2147483648LL:
        out[0] = 0xD2
        put32(out + 1, <uint32_t>number)
        return 5
    out[0] = 0xD3
    put64(out + 1, <uint64_t>number)
    return 9


cdef inline size_t write_double(unsigned char *out, uint64_t bits) noexcept nogil:
    out[0] = 0xCB
    put64(out + 1, bits)
    return 9


cdef inline size_t write_bytes_head(unsigned char *out, size_t length, bint is_string) noexcept nogil:
    """The head of a string or binary; returns its bytes, at most 5."""
    cdef unsigned char head8 = 0xD9 if is_string else 0xC4
    if is_string and length < 32:
        out[0] = <unsigned char>(0xA0 | length)
        return 1
    if length <= 0xFF:
        out[0] = head8
        out[1] = <unsigned char>length
        return 2
    if length <= 0xFFFF:
        out[0] = head8 + 1
        put16(out + 1, <uint16_t>length)
        return 3
    out[0] = head8 + 2
    put32(out + 1, <uint32_t>length)
    return 5


cdef inline size_t write_items_head(unsigned char *out, size_t count, bint is_map) noexcept nogil:
    """The head of an array or a map; returns its bytes, at most 5."""
    if count <= 15:
        out[0] = <unsigned char>((0x80 if is_map else 0x90) | count)
        return 1
    if count <= 0xFFFF:
        out[0] = 0xDE if is_map else 0xDC
        put16(out + 1, <uint16_t>count)
        return 3
    out[0] = 0xDF if is_map else 0xDD
    put32(out + 1, <uint32_t>count)
    return 5
