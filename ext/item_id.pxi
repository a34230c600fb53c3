# Twin of crdtstore/crdt/identifier.py, `decode_id`: a document's id, or a part of a composite one, as an Item.
#
# Rules: an id is read in place. What has another form than in a document is told by its kind only: arrays and objects
# have `at` NULL, strings with escapes and binary have `text` NULL and the size that they have when decoded; who needs
# more decodes the id as a whole. That the encoding is canonical is not checked.
# Include after `item.pxi`.

from libc.math cimport floor
from libc.stdint cimport INT64_MAX, INT64_MIN

cdef enum:
    ID_END = 0x00
    ID_NULL = 0x01
    ID_FALSE = 0x02
    ID_TRUE = 0x03
    ID_NUMBER = 0x10
    ID_STRING = 0x20
    ID_BINARY = 0x28
    ID_ARRAY = 0x30
    ID_OBJECT = 0x38
    ID_NUMBER_BYTES = 10
    ID_BIAS = 0x8000


cdef int item_id(value_place at, size_t length, const ItemStep *steps, uint32_t left, Item *item) noexcept nogil:
    """Find what steps lead to in an encoded id."""
    cdef value_place end = at + length
    if length and at[0] == ID_STRING:
        item.value.kind, item.value.text, item.value.size = KIND_STRING, at + 1, length - 1
        return item_nothing(item) if left else 0
    while left:
        if at >= end:
            return VISIBLE_ID
        if at[0] == ID_OBJECT and steps.key != NULL:
            at = id_key(at + 1, end, steps)
        elif at[0] == ID_ARRAY and steps.key == NULL:
            at = id_index(at + 1, end, steps.index)
        else:
            return item_nothing(item)
        if at == NULL:
            return VISIBLE_ID
        if at[0] == ID_END:
            return item_nothing(item)
        steps += 1
        left -= 1
    return id_part(at, end, item)


cdef value_place id_key(value_place at, value_place end, const ItemStep *step) noexcept nogil:
    """The place of a key's value among an object's pairs; that of the end where it is not, NULL: damaged."""
    cdef value_place key
    while at < end and at[0] == ID_STRING:
        key = at + 1
        at = id_skip(at, end)
        if at == NULL or at >= end:
            return NULL
        if id_is_key(key, at - 1 - key, step):
            return at if at[0] != ID_END else NULL
        at = id_skip(at, end)
        if at == NULL:
            return NULL
    return at if at < end and at[0] == ID_END else NULL


cdef bint id_is_key(value_place key, size_t size, const ItemStep *step) noexcept nogil:
    """Whether an encoded key, without its end, is that of a step."""
    cdef size_t index, at = 0
    for index in range(step.size):
        if at >= size:
            return False
        if step.key[index] <= 1:
            if key[at] != 1 or at + 1 >= size or key[at + 1] != step.key[index] + 1:
                return False
            at += 2
        elif key[at] != step.key[index]:
            return False
        else:
            at += 1
    return at == size


cdef value_place id_index(value_place at, value_place end, int64_t index) noexcept nogil:
    """The place of an array's item; that of the end where it is not, NULL: damaged."""
    while at < end and at[0] != ID_END and index:
        at = id_skip(at, end)
        if at == NULL:
            return NULL
        index -= 1
    return at if at < end else NULL


cdef value_place id_skip(value_place at, value_place end) noexcept nogil:
    """Pass over one part and all within it; NULL: damaged."""
    cdef uint64_t level = 0
    cdef int tag
    while at < end:
        tag = at[0]
        at += 1
        if tag == ID_STRING or tag == ID_BINARY:
            at = <value_place>memchr(at, 0, end - at)
            if at == NULL:
                return NULL
            at += 1
        elif tag == ID_NUMBER:
            if end - at < ID_NUMBER_BYTES:
                return NULL
            at += ID_NUMBER_BYTES
        elif tag == ID_ARRAY or tag == ID_OBJECT:
            level += 1
        elif tag == ID_END:
            if level == 0:
                return NULL
            level -= 1
        elif tag > ID_TRUE:
            return NULL
        if level == 0:
            return at
    return NULL


cdef int id_part(value_place at, value_place end, Item *item) noexcept nogil:
    """Read one part."""
    cdef value_place behind = id_skip(at, end)
    cdef int tag
    if behind == NULL:
        return VISIBLE_ID
    tag = at[0]
    item.at = item.inside = item.value.text = NULL
    if tag == ID_NUMBER:
        id_number(at + 1, &item.value)
    elif tag == ID_STRING:
        id_text(at + 1, behind - 2 - at, &item.value)
    elif tag == ID_BINARY:
        item.value.kind, item.value.size = KIND_BINARY, <size_t>(behind - 2 - at) // 2
    elif tag == ID_ARRAY or tag == ID_OBJECT:
        item.value.kind = KIND_ARRAY if tag == ID_ARRAY else KIND_OBJECT
    else:
        item.value.kind = KIND_NULL if tag == ID_NULL else KIND_FALSE if tag == ID_FALSE else KIND_TRUE
    return 0


cdef void id_text(value_place text, size_t size, ValueItem *item) noexcept nogil:
    """Read an escaped string: in place where it has no escapes."""
    cdef size_t at = 0, escapes = 0
    while at < size:
        if text[at] == 1:
            escapes += 1
            at += 1
        at += 1
    item.kind, item.text, item.size = KIND_STRING, text, size - escapes
    if escapes:
        item.text = NULL


cdef void id_number(value_place at, ValueItem *item) noexcept nogil:
    """Read ten bytes as a number: an integer where it is whole and within int64."""
    cdef uint64_t bits = be64(at)
    cdef int64_t residual = <int64_t>be16(at + 8) - ID_BIAS
    cdef int64_t whole
    cdef double nearest
    bits ^= <uint64_t>1 << 63 if bits >> 63 else ~<uint64_t>0
    memcpy(&nearest, &bits, 8)
    item.kind, item.number = KIND_DOUBLE, nearest
    if not -9223372036854775808.0 <= nearest <= 9223372036854775808.0 or floor(nearest) != nearest:
        return
    if nearest == 9223372036854775808.0:
        if residual >= 0:
            return
        whole, residual = INT64_MAX, residual + 1
    else:
        whole = <int64_t>nearest
    if (residual < 0 and whole < INT64_MIN - residual) or (residual > 0 and whole > INT64_MAX - residual):
        return
    item.kind, item.integer = KIND_INT, whole + residual
