# Twin of crdtstore/crdt/json_output.py: document bytes as JSON, without a Python object for any cell.
#
# A document of a shape that was seen before is written by that shape's program (`json_shape.pxi`); any other,
# and every one in which values compete for a path, in general, over its cells in the order of their paths. A
# JsonBuffer grows as needed and may take many documents. Nothing here runs Python code except to raise, so
# the one buffer of `document_json` is never used twice at a time. Include after `json_shape.pxi`.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free
from libc.math cimport isfinite
from libc.string cimport strlen

cdef extern from "Python.h":
    char *PyOS_double_to_string(double number, char code, int precision, int flags, int *kind) except NULL
    int Py_DTSF_ADD_DOT_0

from crdtstore.crdt.identifier import read_id as json_read_id
from crdtstore.crdt.json_output import write_json as json_write_value

cdef enum:
    # Strings are written in pieces, so that room is asked for what they take and not for the worst.
    JSON_PIECE = 4_096
    # A buffer that has grown beyond this for one document is not kept for the next.
    JSON_KEPT_BYTES = 1_048_576

cdef JsonBuffer json_document = [NULL, 0, 0]


def document_json(bytes document not None, paths, replicas):
    """Write a document as a reader sees it as one JSON object; `null` for one that does not exist."""
    cdef DocumentView view
    if not document:
        return b"null"
    visible_view(document, &view)
    json_document.length = 0
    json_emit(&view, json_shapes(paths), paths, replicas, &json_document)
    return json_take(&json_document)


def whole_json(bytes encoded_id not None, bytes printed not None):
    """Put a document's `_id` before the fields of its JSON."""
    cdef value_place at = <value_place>PyBytes_AS_STRING(encoded_id)
    cdef size_t size = PyBytes_GET_SIZE(encoded_id)
    cdef size_t fields = PyBytes_GET_SIZE(printed)
    cdef Item item
    cdef bytes other = json_other_id(at, size, &item)
    json_document.length = 0
    json_append(&json_document, b'{"_id":', 7)
    json_id(&item, other, &json_document)
    if fields > 2:
        json_append(&json_document, b",", 1)
        json_append(&json_document, PyBytes_AS_STRING(printed) + 1, fields - 1)
    else:
        json_append(&json_document, b"}", 1)
    return json_take(&json_document)


cdef inline bytes json_other_id(value_place id_, size_t size, Item *item):
    """An id as JSON if only the plain twin writes it, which runs Python code; else None, and the item is what it is."""
    if json_is_scalar_id(id_, size) and item_id(id_, size, NULL, 0, item) >= 0:
        return None
    return json_write_value(json_read_id(PyBytes_FromStringAndSize(<const char *>id_, <Py_ssize_t>size)))


cdef inline int json_id(const Item *item, bytes other, JsonBuffer *out) except -1:
    """Append an id as `json_other_id` gave it."""
    if other is None:
        return json_scalar(&item.value, out)
    return json_append(out, PyBytes_AS_STRING(other), PyBytes_GET_SIZE(other))


cdef inline bint json_is_scalar_id(value_place id_, size_t size) noexcept nogil:
    """Whether an id stands as a scalar does that may be written at once; all others are decoded by the plain twin."""
    if size == 0:
        return False
    return size == 1 or id_[0] == ID_STRING or (size == 1 + ID_NUMBER_BYTES and id_[0] == ID_NUMBER)


cdef bytes json_take(JsonBuffer *out):
    """What a buffer holds, as bytes; a buffer that has grown large is given back."""
    written = PyBytes_FromStringAndSize(<const char *>out.data, <Py_ssize_t>out.length)
    if out.capacity > JSON_KEPT_BYTES:
        json_free(out)
    return written


cdef int json_emit(const DocumentView *view, JsonShapes shapes, paths, replicas, JsonBuffer *out) except -1:
    """Append a document as JSON; after an error the buffer holds a part of it."""
    cdef const JsonProgram *program
    if view.n == 0:
        return json_append(out, b"null", 4)
    program = json_program(view, shapes, paths)
    if program != NULL:
        return json_run(program, view, replicas, out)
    return json_general(view, name_table(paths), name_table(replicas), out)


cdef int json_general(const DocumentView *view, NameTable paths, NameTable replicas, JsonBuffer *out) except -1:
    """Append a document of any shape."""
    cdef VisibleCells found
    cdef uint32_t root = 0
    visible_check(visible_open(view, &paths.names, &found))
    try:
        # What stands at the root itself is a map's marker: it makes the document exist and shows nothing.
        while root < found.count and found.cells[root].size == 0:
            root += 1
        json_map(view, found.cells + root, found.count - root, 0, VISIBLE_DEPTH_MAX, &replicas.names, out)
    finally:
        visible_close(&found)
    return 0


cdef int json_map(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t count,
    size_t prefix,
    int depth,
    const NameList *replicas,
    JsonBuffer *out,
) except -1:
    """Append the map of the cells below a prefix of the path; `depth` more levels are allowed."""
    cdef uint32_t run, own, first = count
    cdef size_t key_end = 0
    if depth < 0:
        raise damaged("a path has too many keys")
    json_append(out, b"{", 1)
    while count:
        if count != first:
            json_append(out, b",", 1)
        run = visible_run(cell, count, prefix, &key_end, &own)
        if run == 0:
            visible_raise(VISIBLE_OPEN_PATH)
        json_key(cell.path + prefix, key_end - 1 - prefix, out)
        json_node(view, cell, own, run, key_end, depth - 1, replicas, out)
        cell += run
        count -= run
    return json_append(out, b"}", 1)


cdef int json_node(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t own,
    uint32_t count,
    size_t prefix,
    int depth,
    const NameList *replicas,
    JsonBuffer *out,
) except -1:
    """Append what is visible of the cells at a path, `own` of them, and below it."""
    cdef uint32_t shown = 0
    cdef ValueItem number
    cdef int kind = visible_check(visible_type(view, cell, own, count, replicas, &shown))
    if kind == CODE_MAP:
        return json_map(view, cell + own, count - own, prefix, depth, replicas, out)
    if kind == CODE_REGISTER:
        return json_row(view, shown, out)
    visible_check(visible_counter(view, cell, own, replicas, &number))
    return json_scalar(&number, out)


cdef int json_row(const DocumentView *view, uint32_t row, JsonBuffer *out) except -1:
    """Append the value of a row."""
    cdef ValueItem item
    cdef value_place at, end
    cdef unsigned char *behind
    if visible_check(visible_item(view, row, &item)) == 0:
        return json_scalar(&item, out)
    at, end = item.text, item.text + item.size
    if item.size <= JSON_PIECE:
        json_reserve(out, 6 * item.size + JSON_ROOM)
        behind = json_packed(&at, end, VALUE_DEPTH_MAX, out.data + out.length)
        if behind != NULL:
            out.length = behind - out.data
            return 0
        at = item.text
    return json_value(&at, end, VALUE_DEPTH_MAX, out)


cdef unsigned char *json_packed(
    value_place *at, value_place end, int depth, unsigned char *out
) noexcept nogil:
    """Write the item at a place with room for 6 bytes for each of its own, which is enough for every form.

    NULL where `json_value` has to be asked: for a double that is no short decimal, and for damaged bytes.
    """
    cdef ValueItem item
    cdef size_t left
    cdef bint is_object
    cdef value_place short = at[0]
    if short != end and short[0] >> 5 == 5 and end - short > short[0] & 31:
        at[0] = short + 1 + (short[0] & 31)
        return json_string(out, short + 1, short[0] & 31)
    at[0] = value_next(at[0], end, &item)
    if item.kind == KIND_STRING:
        return json_string(out, item.text, item.size)
    if item.kind == KIND_INT:
        return json_integer(out, item.integer)
    if item.kind == KIND_DOUBLE:
        return json_decimal(out, item.number)
    if item.kind <= KIND_TRUE:
        return json_constant(out, item.kind) if item.kind != VALUE_NONE else NULL
    if item.kind == KIND_BINARY:
        return json_binary(out, item.text, item.size)
    if depth == 0:
        return NULL
    is_object = item.kind == KIND_OBJECT
    left = item.size
    out[0] = b"{" if is_object else b"["
    out += 1
    while left:
        if is_object:
            out = json_packed_key(at, end, out)
            if out == NULL:
                return NULL
        out = json_packed(at, end, depth - 1, out)
        if out == NULL:
            return NULL
        left -= 1
        if left:
            out[0] = b","
            out += 1
    out[0] = b"}" if is_object else b"]"
    return out + 1


cdef inline unsigned char *json_packed_key(
    value_place *at, value_place end, unsigned char *out
) noexcept nogil:
    """Write the key at a place and the colon; NULL where it is not a string."""
    cdef ValueItem item
    at[0] = value_next(at[0], end, &item)
    if item.kind != KIND_STRING:
        return NULL
    out = json_string(out, item.text, item.size)
    out[0] = b":"
    return out + 1


cdef int json_value(value_place *at, value_place end, int depth, JsonBuffer *out) except -1:
    """Append the item at a place, which is moved behind it; `depth` more levels are allowed."""
    cdef ValueItem item
    cdef size_t left
    cdef bint is_object
    at[0] = value_read(at[0], end, depth, &item)
    if item.kind != KIND_ARRAY and item.kind != KIND_OBJECT:
        return json_scalar(&item, out)
    is_object = item.kind == KIND_OBJECT
    left = item.size
    json_append(out, b"{" if is_object else b"[", 1)
    while left:
        if left != item.size:
            json_append(out, b",", 1)
        if is_object:
            json_value_key(at, end, out)
        json_value(at, end, depth - 1, out)
        left -= 1
    return json_append(out, b"}" if is_object else b"]", 1)


cdef int json_value_key(value_place *at, value_place end, JsonBuffer *out) except -1:
    """Append a key of an object inside a register."""
    cdef ValueItem item
    at[0] = value_read(at[0], end, 0, &item)
    if item.kind != KIND_STRING:
        raise damaged("a key is not a string")
    json_scalar(&item, out)
    return json_append(out, b":", 1)


cdef int json_scalar(const ValueItem *item, JsonBuffer *out) except -1:
    """Append an item that is no array and no object."""
    cdef unsigned char *at
    if item.kind == KIND_STRING and item.size > JSON_PIECE:
        return json_long_string(item.text, item.size, out)
    if item.kind == KIND_DOUBLE:
        return json_double(item.number, out)
    if item.kind == KIND_STRING or item.kind == KIND_BINARY:
        json_reserve(out, JSON_ROOM + (6 if item.kind == KIND_STRING else 2) * item.size)
    else:
        json_reserve(out, JSON_ROOM)
    at = out.data + out.length
    if item.kind == KIND_STRING:
        at = json_string(at, item.text, item.size)
    elif item.kind == KIND_INT:
        at = json_integer(at, item.integer)
    elif item.kind == KIND_BINARY:
        at = json_binary(at, item.text, item.size)
    else:
        at = json_constant(at, item.kind)
    out.length = at - out.data
    return 0


cdef inline unsigned char *json_constant(unsigned char *at, int kind) noexcept nogil:
    """Write null, true or false."""
    memcpy(at, b"null" if kind == KIND_NULL else b"true" if kind == KIND_TRUE else b"false", 5)
    return at + (5 if kind == KIND_FALSE else 4)


cdef int json_double(double number, JsonBuffer *out) except -1:
    """Append a double as Python's repr writes it."""
    cdef unsigned char *at
    cdef char *digits
    if not isfinite(number):
        raise damaged("a double is not finite")
    json_reserve(out, 64)
    at = json_decimal(out.data + out.length, number)
    if at != NULL:
        out.length = at - out.data
        return 0
    digits = PyOS_double_to_string(number, b"r", 0, Py_DTSF_ADD_DOT_0, NULL)
    try:
        json_append(out, digits, strlen(digits))
    finally:
        PyMem_Free(digits)
    return 0


cdef int json_long_string(value_place text, size_t size, JsonBuffer *out) except -1:
    """Append a string of any length."""
    cdef size_t piece
    json_append(out, b'"', 1)
    while size:
        piece = min(size, <size_t>JSON_PIECE)
        json_reserve(out, 6 * piece)
        out.length = json_characters(out.data + out.length, text, piece) - out.data
        text += piece
        size -= piece
    return json_append(out, b'"', 1)


cdef int json_key(value_place key, size_t size, JsonBuffer *out) except -1:
    """Append a key of a path, whose bytes 0 and 1 are written as two, and the colon."""
    cdef unsigned char character
    cdef size_t index = 0, plain
    cdef value_place escape
    json_append(out, b'"', 1)
    while index < size:
        escape = <value_place>memchr(key + index, 1, size - index)
        plain = (escape - key if escape != NULL else size) - index
        json_reserve(out, 6 * plain + 16)
        out.length = json_characters(out.data + out.length, key + index, plain) - out.data
        index += plain
        if escape != NULL:
            character = key[index + 1] - 1
            if character > 1:
                raise damaged("a path is not in its encoding")
            out.length = json_characters(out.data + out.length, &character, 1) - out.data
            index += 2
    return json_append(out, b'":', 2)
