# Twin of flatten in crdtstore/crdt/flatten.py, of Fold.operations in fold.py and of encode_operations in record.py:
# an object straight to the operations that write its fields, sorted by path, as a record holds them.
#
# An object that becomes a new document is merged from there, as merge_core would from the operations' bytes.
#
# Rules: dicts, lists and scalars of exactly these types, keys that need no escape, within all bounds. For anything
# else the answer is 0, and the plain twins encode or refuse it. No Python code runs on the way, so no dict changes
# under the walk. The GIL is held: the block below serves one object at a time.

from cpython.bytes cimport PyBytes_CheckExact
from cpython.dict cimport PyDict_CheckExact, PyDict_Next, PyDict_Size
from cpython.float cimport PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.unicode cimport PyUnicode_CheckExact

from crdtstore.limits import DOCUMENT_BYTES_WARN as operations_bytes_limit

cdef extern from *:
    """
    /* A string's UTF-8; NULL at a lone surrogate. Most strings are ASCII, and lie there as they are. */
    static inline const char *operations_utf8(PyObject *text, Py_ssize_t *size) {
        const char *found;
        if (PyUnicode_IS_COMPACT_ASCII(text)) {
            *size = PyUnicode_GET_LENGTH(text);
            return (const char *)PyUnicode_1BYTE_DATA(text);
        }
        found = PyUnicode_AsUTF8AndSize(text, size);
        if (found == NULL)
            PyErr_Clear();
        return found;
    }
    """
    const char *operations_utf8(object text, Py_ssize_t *size) noexcept

cdef size_t OPERATIONS_BYTES_MAX = operations_bytes_limit

cdef enum:
    OPERATIONS_PATH_BYTES = 512        # longer paths are left to the plain twins
    OPERATIONS_GUESSES = 64            # path numbers that are remembered of the last document
    OPERATIONS_SORTED_MAX = 64         # paths beyond which qsort is quicker
    OPERATIONS_UNREAD = -1

cdef struct Operation:
    uint64_t prefix                    # the path's first 8 bytes, as they sort
    uint32_t at                        # in the block
    uint32_t path
    uint32_t path_length
    uint32_t end
    int kind                           # of the value, as a row has it; OPERATIONS_UNREAD: it is read from its bytes
    uint32_t value                     # where a long string stands
    uint32_t value_length
    uint64_t slot

cdef struct Operations:
    unsigned char *block               # encoded operations, in the object's order
    size_t block_size
    size_t length
    Operation *made
    size_t made_size
    uint32_t *order                    # how they sort; that of the last object is tried first
    size_t order_size
    uint32_t count
    uint32_t ordered                   # how many the order is of
    size_t path_length
    unsigned char path[OPERATIONS_PATH_BYTES]

cdef uint32_t operations_guesses[OPERATIONS_GUESSES]
cdef Operations operations
memset(operations_guesses, 0, sizeof(operations_guesses))
memset(&operations, 0, sizeof(Operations))


cdef inline unsigned char *operations_room(size_t size) except NULL:
    """Where so many bytes may be written."""
    grow(<void **>&operations.block, &operations.block_size, operations.length + size)
    return operations.block + operations.length


# --- values ---


cdef int operations_text(object text) except -1:
    """A string as msgpack."""
    cdef Py_ssize_t size
    cdef unsigned char *out
    cdef size_t head
    cdef const char *start = operations_utf8(text, &size)
    if start == NULL or <size_t>size > OPERATIONS_BYTES_MAX:
        return 0
    out = operations_room(size + 8)
    head = write_bytes_head(out, size, True)
    memcpy(out + head, start, size)
    operations.length += head + size
    return 1


cdef int operations_binary(bytes raw) except -1:
    """Bytes as msgpack."""
    cdef size_t head, size = PyBytes_GET_SIZE(raw)
    cdef unsigned char *out
    if size > OPERATIONS_BYTES_MAX:
        return 0
    out = operations_room(size + 8)
    head = write_bytes_head(out, size, False)
    memcpy(out + head, PyBytes_AS_STRING(raw), size)
    operations.length += head + size
    return 1


cdef int operations_number(object number) except -1:
    """An int64 or a finite double as msgpack."""
    cdef unsigned char *out = operations_room(16)
    cdef int overflow = 0
    cdef int64_t whole
    cdef double real
    cdef uint64_t bits
    if PyLong_CheckExact(number):
        whole = PyLong_AsLongLongAndOverflow(number, &overflow)
        if overflow:
            return 0
        operations.length += write_int(out, whole)
        return 1
    real = PyFloat_AS_DOUBLE(number)
    if not isfinite(real):
        return 0
    memcpy(&bits, &real, 8)
    operations.length += write_double(out, bits)
    return 1


cdef int operations_array(list items, int left) except -1:
    """An array as msgpack; `left` levels may stand in it."""
    cdef Py_ssize_t at
    if not left or <size_t>PyList_GET_SIZE(items) > OPERATIONS_BYTES_MAX:
        return 0
    operations.length += write_items_head(operations_room(8), PyList_GET_SIZE(items), False)
    for at in range(PyList_GET_SIZE(items)):
        if not operations_value(<object>PyList_GET_ITEM(items, at), left - 1):
            return 0
    return 1


cdef int operations_object(dict fields, int left) except -1:
    """An object that stands inside a value, as msgpack."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t at = 0
    if not left or <size_t>PyDict_Size(fields) > OPERATIONS_BYTES_MAX:
        return 0
    operations.length += write_items_head(operations_room(8), PyDict_Size(fields), True)
    while PyDict_Next(fields, &at, &key, &value):
        if not PyUnicode_CheckExact(<object>key) or not operations_text(<object>key):
            return 0
        if not operations_value(<object>value, left - 1):
            return 0
    return 1


cdef int operations_value(object value, int left) except -1:
    """A value as msgpack; 0 for what the plain twin must encode or refuse."""
    if operations.length > OPERATIONS_BYTES_MAX:
        return 0
    if PyUnicode_CheckExact(value):
        return operations_text(value)
    if PyLong_CheckExact(value) or PyFloat_CheckExact(value):
        return operations_number(value)
    if value is None or value is True or value is False:
        operations_room(1)[0] = 0xC0 if value is None else 0xC3 if value is True else 0xC2
        operations.length += 1
        return 1
    if PyList_CheckExact(value):
        return operations_array(<list>value, left)
    if PyDict_CheckExact(value):
        return operations_object(<dict>value, left)
    return operations_binary(<bytes>value) if PyBytes_CheckExact(value) else 0


cdef int operations_leaf(object value, int left) except -1:
    """operations_value, of the operation that was begun; the commonest kinds are noted for its row."""
    cdef Operation *made = operations.made + operations.count
    cdef const char *text
    cdef Py_ssize_t size
    made.kind = OPERATIONS_UNREAD
    if not operations_value(value, left):
        return 0
    if PyUnicode_CheckExact(value):
        text = operations_utf8(value, &size)
        made.slot = 0
        made.kind = KIND_SHORT if size <= 7 else KIND_STRING
        if size <= 7:
            (<unsigned char *>&made.slot)[0] = <unsigned char>size
            memcpy(<unsigned char *>&made.slot + 1, text, size)
        else:
            made.value, made.value_length = <uint32_t>(operations.length - size), <uint32_t>size
    elif PyLong_CheckExact(value):
        made.kind, made.slot = KIND_INT, <uint64_t><int64_t>value
    elif value is None or value is True or value is False:
        made.kind = KIND_NULL if value is None else KIND_TRUE if value is True else KIND_FALSE
        made.slot = 0
    return 1


# --- fields ---


cdef inline bint operations_key(const unsigned char *text, size_t size) noexcept:
    """Append a key to the path; False when it needs an escape or has no room."""
    cdef size_t at = 0
    cdef unsigned char *out = operations.path + operations.path_length
    if operations.path_length + size + 1 > OPERATIONS_PATH_BYTES:
        return False
    while size - at >= 8:
        if not word_is_plain(load_u64(text + at)):
            return False
        memcpy(out + at, text + at, 8)
        at += 8
    while at < size:
        if text[at] <= 1:
            return False
        out[at] = text[at]
        at += 1
    out[size] = 0
    operations.path_length += size + 1
    return True


cdef int operations_begin(unsigned char fields, unsigned char code) except -1:
    """An operation at the path, up to where its value stands."""
    cdef unsigned char *out = operations_room(OPERATIONS_PATH_BYTES + 16)
    cdef Operation *made
    cdef size_t head
    grow(<void **>&operations.made, &operations.made_size, (operations.count + 1) * sizeof(Operation))
    made = operations.made + operations.count
    out[0] = fields
    out[1] = code
    head = 2 + write_bytes_head(out + 2, operations.path_length, False)
    memcpy(out + head, operations.path, operations.path_length)
    made.prefix = be64(out + head)     # there is room behind a shorter path, and what stands there is cut off
    if operations.path_length < 8:
        made.prefix &= ~(~<uint64_t>0 >> (8 * operations.path_length))
    made.at = <uint32_t>operations.length
    made.path = <uint32_t>(operations.length + head)
    made.path_length = <uint32_t>operations.path_length
    operations.length += head + operations.path_length
    return 0


cdef inline void operations_end() noexcept:
    """The operation is whole."""
    operations.made[operations.count].end = <uint32_t>operations.length
    operations.count += 1


cdef int operations_map(dict fields, int depth) except -1:
    """The operations that write an object's fields; the document's id is none of them."""
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t at = 0, size
    cdef const char *text
    cdef size_t length = operations.path_length
    cdef bint found = False
    while PyDict_Next(fields, &at, &key, &value):
        if depth > FLATTEN_DEPTH_MAX or not PyUnicode_CheckExact(<object>key):
            return 0
        text = operations_utf8(<object>key, &size)
        if text == NULL:
            return 0
        if depth == 1 and size == 3 and memcmp(text, b"_id", 3) == 0:
            continue
        found = True
        operations.path_length = length
        if not operations_key(<const unsigned char *>text, size):
            return 0
        if PyDict_CheckExact(<object>value):
            if not operations_map(<dict>value, depth + 1):
                return 0
            continue
        operations_begin(0x93, 1)
        if not operations_leaf(<object>value, FLATTEN_DEPTH_MAX - depth):
            return 0
        operations_end()
    operations.path_length = length
    if not found:
        operations_begin(0x92, 2)
        operations_end()
    return 1


cdef int operations_of(dict fields) except -1:
    """Collect and sort the operations of a document's fields; 0 for what the plain twins must encode or refuse."""
    cdef int done
    operations.length = operations.path_length = 0
    operations.count = 0
    if again.count:
        done = again_of(fields)
        if done != -2:
            return done
        operations.length = operations.path_length = 0
        operations.count = 0
    if not operations_map(fields, 1) or operations.length > OPERATIONS_BYTES_MAX:
        return 0
    operations_sort()
    again_remember(fields)
    return 1


# --- their order ---


cdef int operations_compare(const void *left, const void *right) noexcept nogil:
    """The order of two operations: that of their paths' bytes."""
    cdef const Operation *a = operations.made + (<const uint32_t *>left)[0]
    cdef const Operation *b = operations.made + (<const uint32_t *>right)[0]
    if a.prefix != b.prefix:
        return -1 if a.prefix < b.prefix else 1
    return compare_bytes(
        operations.block + a.path, a.path_length, operations.block + b.path, b.path_length
    )


cdef bint operations_are_sorted() noexcept nogil:
    """Whether the order of the last object sorts this one, too."""
    cdef uint32_t at
    if operations.ordered != operations.count:
        return False
    for at in range(1, operations.count):
        if operations_compare(operations.order + at - 1, operations.order + at) >= 0:
            return False
    return True


cdef int operations_sort() except -1:
    """Find the order of the operations' paths, which are all different."""
    cdef uint32_t at, low, moved
    cdef uint32_t *order
    grow(<void **>&operations.order, &operations.order_size, operations.count * sizeof(uint32_t))
    if operations_are_sorted():
        return 0
    order = operations.order
    operations.ordered = operations.count
    for at in range(operations.count):
        order[at] = at
    if operations.count > OPERATIONS_SORTED_MAX:
        qsort(order, operations.count, sizeof(uint32_t), operations_compare)
        return 0
    for at in range(1, operations.count):
        moved = order[at]
        low = at
        while low and operations_compare(order + low - 1, &moved) > 0:
            order[low] = order[low - 1]
            low -= 1
        order[low] = moved
    return 0


cdef size_t operations_write(unsigned char *out) noexcept nogil:
    """The operations as a record holds them; returns their bytes, at most `operations.length` and 5."""
    cdef uint32_t at
    cdef const Operation *made
    cdef size_t size = write_items_head(out, operations.count, False)
    for at in range(operations.count):
        made = operations.made + operations.order[at]
        memcpy(out + size, operations.block + made.at, made.end - made.at)
        size += made.end - made.at
    return size


# --- merged into nothing ---


cdef inline uint32_t operations_path(uint32_t at, dict numbers, list texts, const unsigned char *text,
                                     size_t length) except? 0xFFFFFFFE:
    """find_path, which tries first what the last document had in this place."""
    cdef bytes known
    cdef uint32_t number
    if at < OPERATIONS_GUESSES:
        number = operations_guesses[at]
        if number < <uint32_t>PyList_GET_SIZE(texts):
            known = <bytes>PyList_GET_ITEM(texts, number)
            if <size_t>PyBytes_GET_SIZE(known) == length and memcmp(PyBytes_AS_STRING(known), text, length) == 0:
                return number
    number = find_path(numbers, texts, text, length)
    if at < OPERATIONS_GUESSES:
        operations_guesses[at] = number
    return number


cdef int operations_row(Merge *merge, uint32_t at, dict numbers, list texts, Row *row) except -1:
    """The row of one operation's cell; it points into the block."""
    cdef const Operation *made = operations.made + operations.order[at]
    cdef Cursor cursor
    memset(row, 0, sizeof(Row))
    row.stamp = STAMP_NEW
    row.text, row.text_length = operations.block + made.path, made.path_length
    row.path = operations_path(at, numbers, texts, row.text, row.text_length)
    row.timestamp = row.cell_timestamp = merge.timestamp
    row.replica = row.cell_replica = merge.replica
    cursor.at, cursor.end = row.text + row.text_length, operations.block + made.end
    if cursor.at == cursor.end:
        row.code = CODE_MAP
        return 0
    row.code = CODE_REGISTER
    if made.kind != OPERATIONS_UNREAD:
        row.kind, row.slot = <uint8_t>made.kind, made.slot
        if made.kind == KIND_STRING:
            row.heap, row.heap_length = operations.block + made.value, made.value_length
        return 0
    if read_row_value(&cursor, row):
        raise malformed("a register has no value")
    return 0


cdef int operations_merge(Merge *merge, dict numbers, list texts, Py_ssize_t maximum, list replica_texts) except -1:
    """merge_core into no document: one cell for each operation, none of which meets another."""
    cdef uint32_t at
    cdef bint known = True
    cdef list local = None
    grow(<void **>&scratch.rows, &scratch.rows_size, operations.count * sizeof(Row))
    for at in range(operations.count):
        operations_row(merge, at, numbers, texts, scratch.rows + at)
        known &= scratch.rows[at].path != UNRESOLVED
    scratch.count = operations.count
    digest_new(merge, texts, replica_texts)
    if not known:
        local = resolve_paths(numbers, texts, maximum)
    sort_rows()
    return pack_rows(merge, NULL, local)
