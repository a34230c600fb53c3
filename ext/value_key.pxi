# Twin of crdtstore/crdt/value_key.py: bytes that sort as values do, written from values where they lie.
#
# Rules: writing is bounded: what does not fit a ValueKey's room is left out and `cut` says so, so that the bytes are
# the beginning of the whole key. Without a place to write to only the size is counted. Include after `value.pxi`.

from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint64_t
from libc.string cimport memcpy

from crdtstore.crdt.field import MISSING as value_key_missing
from crdtstore.crdt.value import pack as value_key_pack

cdef enum:
    VALUE_KEY_MISSING = 0x00
    VALUE_KEY_NULL = 0x01
    VALUE_KEY_FALSE = 0x02
    VALUE_KEY_TRUE = 0x03
    VALUE_KEY_NUMBER = 0x10
    VALUE_KEY_STRING = 0x20
    VALUE_KEY_BINARY = 0x28
    VALUE_KEY_ARRAY = 0x30
    VALUE_KEY_OBJECT = 0x38
    VALUE_KEY_NUMBER_BYTES = 11        # with its tag

cdef struct ValueKey:
    unsigned char *out             # NULL: only the size is counted
    size_t size
    size_t room
    bint cut                       # something did not fit


cdef inline void value_key_begin(ValueKey *key, unsigned char *out, size_t room) noexcept nogil:
    key.out, key.size, key.room, key.cut = out, 0, room, False


cdef inline void value_key_put(ValueKey *key, const unsigned char *bytes_, size_t size) noexcept nogil:
    """Write bytes as far as there is room."""
    if size > key.room - key.size:
        size = key.room - key.size
        key.cut = True
    if key.out != NULL:
        memcpy(key.out + key.size, bytes_, size)
    key.size += size


cdef inline void value_key_byte(ValueKey *key, unsigned char byte) noexcept nogil:
    value_key_put(key, &byte, 1)


cdef void value_key_text(ValueKey *key, unsigned char tag, const unsigned char *text, size_t size) noexcept nogil:
    """A tag and text, escaped and terminated."""
    cdef size_t start = 0, at = 0
    cdef unsigned char pair[2]
    value_key_byte(key, tag)
    if size > key.room - key.size:     # the end of a long text need not be looked at
        size = key.room - key.size
        key.cut = True
    while at < size:
        if size - at >= 8 and word_is_plain(load_u64(text + at)):
            at += 8
            continue
        if size >= 8 and size - at < 8 and word_is_plain(load_u64(text + size - 8)):
            break
        if text[at] <= 1:
            value_key_put(key, text + start, at - start)
            pair[0], pair[1] = 1, text[at] + 1
            value_key_put(key, pair, 2)
            start = at + 1
        at += 1
    value_key_put(key, text + start, size - start)
    value_key_byte(key, 0)


cdef void value_key_number(ValueKey *key, double nearest, int64_t residual) noexcept nogil:
    """identifier.encode_number behind its tag."""
    cdef unsigned char number[VALUE_KEY_NUMBER_BYTES]
    cdef uint64_t bits
    nearest += 0.0                     # -0.0 becomes 0.0
    memcpy(&bits, &nearest, 8)
    bits ^= ~<uint64_t>0 if bits >> 63 else <uint64_t>1 << 63
    number[0] = VALUE_KEY_NUMBER
    put64(number + 1, bits)
    put16(number + 9, <uint16_t>(residual + 0x8000))
    value_key_put(key, number, VALUE_KEY_NUMBER_BYTES)


cdef inline int64_t value_key_residual(int64_t whole) noexcept nogil:
    """What an int64 differs from its nearest double, which may be 2**63."""
    cdef double nearest = <double>whole
    if nearest >= 9223372036854775808.0:
        return whole - INT64_MAX - 1
    return whole - <int64_t>nearest


cdef void value_key_scalar(ValueKey *key, const ValueItem *item) noexcept nogil:
    """The key of any item but an array; of an object too, whatever it holds."""
    if item.kind == KIND_INT:
        value_key_number(key, <double>item.integer, value_key_residual(item.integer))
    elif item.kind == KIND_DOUBLE:
        value_key_number(key, item.number, 0)
    elif item.kind == KIND_STRING:
        value_key_text(key, VALUE_KEY_STRING, item.text, item.size)
    elif item.kind == KIND_BINARY:
        value_key_text(key, VALUE_KEY_BINARY, item.text, item.size)
    elif item.kind == KIND_OBJECT:
        value_key_byte(key, VALUE_KEY_OBJECT)
    elif item.kind == KIND_NULL:
        value_key_byte(key, VALUE_KEY_NULL)
    else:
        value_key_byte(key, VALUE_KEY_TRUE if item.kind == KIND_TRUE else VALUE_KEY_FALSE)


cdef value_place value_key_packed(ValueKey *key, value_place at, value_place end, int depth) noexcept nogil:
    """The key of the msgpack at a place; the place behind it, or any that is not NULL once the key is cut.

    NULL: it cannot be read, or is nested deeper than `depth` levels.
    """
    cdef ValueItem item
    cdef size_t left
    cdef value_place start = at
    at = value_next(at, end, &item)
    if at == NULL:
        return NULL
    if item.kind == KIND_OBJECT:
        value_key_scalar(key, &item)
        return value_skip(start, end)
    if item.kind != KIND_ARRAY:
        value_key_scalar(key, &item)
        return at
    if depth <= 0:
        return NULL
    value_key_byte(key, VALUE_KEY_ARRAY)
    left = item.size
    while left and not key.cut:
        at = value_key_packed(key, at, end, depth - 1)
        if at == NULL:
            return NULL
        left -= 1
    value_key_byte(key, 0)
    return at


def value_key(value):
    """The key of a value of the value model, or of MISSING; see crdt/value_key.py."""
    cdef ValueKey key
    cdef bytes packed, made
    cdef value_place start, end
    if value is value_key_missing:
        return b"\x00"
    packed = value_key_pack(value)
    start = <value_place>PyBytes_AS_STRING(packed)
    end = start + PyBytes_GET_SIZE(packed)
    value_key_begin(&key, NULL, <size_t>-1)
    if value_key_packed(&key, start, end, VALUE_DEPTH_MAX) == NULL:
        raise ValueError("A value without a key: it is outside the value model.")
    made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>key.size)
    value_key_begin(&key, <unsigned char *>PyBytes_AS_STRING(made), key.size)
    value_key_packed(&key, start, end, VALUE_DEPTH_MAX)
    return made
