# Twin of crdtstore/crdt/value.py: values that stand as msgpack in a heap, read in place, item by item.
#
# Every form of msgpack is read, not only the shortest; a length that would leave the bytes is found where it
# is read. Extension types and integers beyond int64 are outside the value model, so stored bytes that hold
# them are damaged. Include after `msgpack.pxi`.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from crdtstore.limits import DEPTH_MAX as value_depth_max

cdef enum:
    VALUE_NONE = -1

# Arrays and objects around an item: `check_value` allows one below its bound, as long as that one is empty.
cdef int VALUE_DEPTH_MAX = value_depth_max + 1

ctypedef const unsigned char *value_place

cdef struct ValueItem:
    int kind                       # a KIND_… (never KIND_SHORT), VALUE_NONE where nothing can be read
    int64_t integer                # of KIND_INT
    double number                  # of KIND_DOUBLE
    value_place text               # of KIND_STRING and KIND_BINARY
    size_t size                    # bytes of the text, items of an array, pairs of an object


cdef inline uint64_t value_load(value_place at, int size) noexcept nogil:
    """A number of 1 to 8 bytes, big-endian as msgpack has it."""
    cdef uint64_t number = 0
    cdef int index
    if size == 2:
        return be16(at)
    if size == 4:
        return be32(at)
    if size == 8:
        return be64(at)
    for index in range(size):
        number = number << 8 | at[index]
    return number


cdef inline int64_t value_integer(uint64_t number, int size) noexcept nogil:
    """A signed number of 1, 2, 4 or 8 bytes."""
    if size == 1:
        return <int8_t>number
    if size == 2:
        return <int16_t>number
    return <int32_t>number if size == 4 else <int64_t>number


cdef value_place value_next(value_place at, value_place end, ValueItem *item) noexcept nogil:
    """Read one item; the place behind it (arrays and objects: their head), NULL where none can be read."""
    cdef int code
    item.kind = VALUE_NONE
    if at >= end:
        return NULL
    code = at[0]
    at += 1
    if code < 0x80 or code >= 0xE0:
        item.kind, item.integer = KIND_INT, <int8_t>code
        return at
    if code < 0x90:
        item.kind, item.size = KIND_OBJECT, code & 15
        return at
    if code < 0xA0:
        item.kind, item.size = KIND_ARRAY, code & 15
        return at
    if code < 0xC0:
        return value_text(at, end, KIND_STRING, code & 31, item)
    if code in (0xC0, 0xC2, 0xC3):
        item.kind = KIND_NULL if code == 0xC0 else KIND_FALSE if code == 0xC2 else KIND_TRUE
        return at
    return value_sized(at, end, code, item)


cdef value_place value_sized(value_place at, value_place end, int code, ValueItem *item) noexcept nogil:
    """Read an item whose first byte is followed by a number: the value itself, or a length."""
    cdef int size
    cdef uint64_t number
    cdef uint32_t half
    cdef float single
    if 0xC4 <= code <= 0xC6:
        size = 1 << (code - 0xC4)
    elif 0xCA <= code <= 0xD3:
        size = 4 << (code - 0xCA) if code < 0xCC else 1 << (code & 3)
    elif 0xD9 <= code <= 0xDB:
        size = 1 << (code - 0xD9)
    elif code >= 0xDC:
        size = 2 << (code & 1)
    else:
        return NULL
    if end - at < size:
        return NULL
    number = value_load(at, size)
    at += size
    if code <= 0xC6:
        return value_text(at, end, KIND_BINARY, number, item)
    if code == 0xCA:
        half = <uint32_t>number
        memcpy(&single, &half, 4)
        item.kind, item.number = KIND_DOUBLE, single
    elif code == 0xCB:
        memcpy(&item.number, &number, 8)
        item.kind = KIND_DOUBLE
    elif code <= 0xCF:
        if number >> 63:
            return NULL
        item.kind, item.integer = KIND_INT, <int64_t>number
    elif code <= 0xD3:
        item.kind, item.integer = KIND_INT, value_integer(number, size)
    elif code <= 0xDB:
        return value_text(at, end, KIND_STRING, number, item)
    else:
        item.kind, item.size = KIND_ARRAY if code < 0xDE else KIND_OBJECT, number
    return at


cdef inline value_place value_text(
    value_place at, value_place end, int kind, size_t size, ValueItem *item
) noexcept nogil:
    """Take the bytes of a string or binary; the place behind them, NULL where they would leave the value."""
    if <size_t>(end - at) < size:
        return NULL
    item.kind, item.text, item.size = kind, at, size
    return at + size


cdef value_place value_skip(value_place at, value_place end) noexcept nogil:
    """Pass over one item and all within it; NULL where it cannot be read."""
    cdef ValueItem item
    cdef uint64_t left = 1
    while left:
        at = value_next(at, end, &item)
        if at == NULL:
            return NULL
        left -= 1
        if item.kind == KIND_ARRAY:
            left += item.size
        elif item.kind == KIND_OBJECT:
            left += 2 * <uint64_t>item.size
    return at


cdef str stored_text(const char *text, Py_ssize_t size):
    """A text of stored bytes."""
    try:
        return PyUnicode_DecodeUTF8(text, size, NULL)
    except UnicodeDecodeError:
        raise damaged("a text is not UTF-8") from None


cdef object value_scalar(const ValueItem *item):
    """The Python object of an item that is no array and no object."""
    if item.kind == KIND_INT:
        return item.integer
    if item.kind == KIND_DOUBLE:
        return item.number
    if item.kind == KIND_STRING:
        return stored_text(<const char*>item.text, <Py_ssize_t>item.size)
    if item.kind == KIND_BINARY:
        return PyBytes_FromStringAndSize(<const char*>item.text, <Py_ssize_t>item.size)
    if item.kind == KIND_NULL:
        return None
    return item.kind == KIND_TRUE


cdef object value_object(value_place *at, value_place end, int depth):
    """The Python object of the item at a place, which is moved behind it; `depth` more levels are allowed."""
    cdef ValueItem item
    cdef list items
    cdef dict pairs
    at[0] = value_read(at[0], end, depth, &item)
    if item.kind == KIND_ARRAY:
        items = []
        while item.size:
            items.append(value_object(at, end, depth - 1))
            item.size -= 1
        return items
    if item.kind == KIND_OBJECT:
        pairs = {}
        while item.size:
            key = value_object(at, end, 0)
            pairs[key] = value_object(at, end, depth - 1)
            item.size -= 1
        return pairs
    return value_scalar(&item)


cdef value_place value_read(value_place at, value_place end, int depth, ValueItem *item) except NULL:
    """Read one item as `value_next` does, and refuse damaged bytes; `depth` more levels are allowed."""
    at = value_next(at, end, item)
    if at == NULL:
        raise damaged("a value cannot be read")
    if (item.kind == KIND_ARRAY or item.kind == KIND_OBJECT) and depth <= 0:
        raise damaged("a value is nested too deep")
    return at
