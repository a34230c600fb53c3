# Twin of crdtstore/crdt/field.py: one value of a document, or all of them, as Python objects.
#
# The path column is compared with the path that is asked for. A path at which one cell lies, with no value
# above and nothing below, is answered at once, as is one inside the only value above; in every other case the
# cells are sorted and the path is followed down from the root. Objects are made only of what is returned.
# Making them may run Python code, so the paths that cells point to are held meanwhile. Include after
# `json_output.pxi`.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy, memset

from crdtstore.crdt.field import MISSING as field_missing

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    FIELD_FEW = 256                # bytes of an encoded path that need no allocation

cdef struct FieldPath:
    unsigned char *data            # the leading keys, encoded; `few`, or allocated
    size_t size
    unsigned char[FIELD_FEW] few

cdef struct FieldRelated:
    uint32_t exact                 # cells at the path
    uint32_t below                 # cells below it
    uint32_t above                 # registers and counters above it
    uint32_t row                   # of one of the cells at the path or above
    size_t size                    # length of that cell's path


def visible_document(bytes document not None, paths, replicas):
    """Show a document as a reader sees it, as Python objects; None for one that does not exist."""
    cdef DocumentView view
    cdef FieldPath root
    if not document:
        return None
    visible_view(document, &view)
    root.size = 0
    return field_general(&view, (), &root, paths.texts, replicas.texts) if view.n else None


def read_field(bytes document not None, tuple path not None, paths, replicas):
    """Read the visible value at a path, also inside arrays and objects; MISSING where none is."""
    cdef DocumentView view
    cdef FieldPath asked
    if not document:
        return field_missing
    visible_view(document, &view)
    if view.n == 0:
        return field_missing
    asked.data = asked.few
    try:
        field_encode(path, &asked)
        return field_at(&view, path, &asked, paths.texts, replicas)
    except UnicodeEncodeError:  # a lone surrogate, which no key of a document has
        return field_missing
    finally:
        field_free(&asked)


cdef int field_encode(tuple path, FieldPath *asked) except -1:
    """Encode the leading keys of a path, up to the first index."""
    cdef Py_ssize_t size = 0
    cdef const char *key
    cdef size_t needed
    asked.size, asked.data = 0, asked.few
    for step in path:
        if not isinstance(step, str):
            return 0
        key = PyUnicode_AsUTF8AndSize(step, &size)
        needed = asked.size + 2 * <size_t>size + 1
        if needed > FIELD_FEW:
            field_grow(asked, needed)
        asked.size = field_encode_key(asked.data + asked.size, <value_place>key, <size_t>size) - asked.data
    return 0


cdef int field_grow(FieldPath *asked, size_t needed) except -1:
    """Make room for so many bytes of a path."""
    cdef unsigned char *data = <unsigned char *>malloc(needed)
    if data == NULL:
        raise MemoryError
    memcpy(data, asked.data, asked.size)
    field_free(asked)
    asked.data = data
    return 0


cdef inline void field_free(FieldPath *asked) noexcept nogil:
    if asked.data != asked.few:
        free(asked.data)


cdef inline unsigned char *field_encode_key(unsigned char *out, value_place key, size_t size) noexcept nogil:
    """Write a key as a path has it: bytes 0 and 1 as two, and a 0 behind."""
    cdef size_t index
    for index in range(size):
        if key[index] <= 1:
            out[0] = 1
            out[1] = key[index] + 1
            out += 2
        else:
            out[0] = key[index]
            out += 1
    out[0] = 0
    return out + 1


cdef object field_at(const DocumentView *view, tuple path, FieldPath *asked, list texts, replicas):
    """Find the cell that alone decides, or resolve in general."""
    cdef FieldRelated related
    if path:
        if asked.size == 0:
            return field_missing
        field_relate(view, texts, asked, &related)
        if related.exact + related.below + related.above == 0:
            return field_missing
        if related.exact + related.above == 1 and related.below == 0:
            if related.exact or field_count(view, texts, asked.data, related.size) == 1:
                return field_inside(view, related.row, path, field_keys(asked, related.size), replicas)
    return field_general(view, path, asked, texts, replicas.texts)


cdef int field_relate(
    const DocumentView *view, list texts, const FieldPath *asked, FieldRelated *related
) except -1:
    """Count the cells at the path, below and above it."""
    cdef uint32_t row
    cdef value_place cell = NULL
    cdef size_t size = 0
    cdef int code
    memset(related, 0, sizeof(FieldRelated))
    for row in range(view.n):
        visible_path(view, row, texts, &cell, &size)
        if size == 0 or cell[0] != asked.data[0]:
            continue
        code = visible_code(view, row)
        if code == CODE_TOTAL or memcmp(cell, asked.data, min(size, asked.size)):
            continue
        if size > asked.size:
            related.below += 1
        elif size == asked.size:
            related.exact += 1
            related.row, related.size = row, size
        elif code != CODE_MAP:
            related.above += 1
            related.row, related.size = row, size
    return 0


cdef uint32_t field_count(const DocumentView *view, list texts, value_place path, size_t length) except? 0:
    """How many cells lie at a path and below."""
    cdef uint32_t row, count = 0
    cdef value_place cell = NULL
    cdef size_t size = 0
    for row in range(view.n):
        visible_path(view, row, texts, &cell, &size)
        if view.types[row] & 15 != CODE_TOTAL and size >= length and memcmp(cell, path, length) == 0:
            count += 1
    return count


cdef inline Py_ssize_t field_keys(const FieldPath *asked, size_t size) noexcept nogil:
    """How many keys the first `size` bytes of a path hold."""
    cdef Py_ssize_t keys = 0
    cdef size_t index
    for index in range(size):
        keys += asked.data[index] == 0
    return keys


cdef object field_inside(const DocumentView *view, uint32_t row, tuple path, Py_ssize_t taken, replicas):
    """The value at the steps behind the first `taken` in the only cell that decides."""
    cdef int code = visible_code(view, row)
    cdef VisibleCell cell = [0, NULL, 0, row]
    cdef ValueItem number
    if code == CODE_REGISTER:
        return field_register(view, row, path, taken)
    if taken < len(path):
        return field_missing
    if code == CODE_MAP:
        return {}
    visible_counter(view, &cell, 1, replicas.texts, &number)
    return value_scalar(&number)


cdef object field_register(const DocumentView *view, uint32_t row, tuple path, Py_ssize_t taken):
    """The value at the steps behind the first `taken` in a register."""
    cdef ValueItem item
    cdef value_place at, end
    if visible_item(view, row, &item) == 0:
        return value_scalar(&item) if taken == len(path) else field_missing
    at, end = item.text, item.text + item.size
    while taken < len(path):
        at = value_next(at, end, &item)
        if at != NULL and item.kind == KIND_OBJECT:
            at = field_step_key(at, end, item.size, path[taken])
        elif at != NULL and item.kind == KIND_ARRAY:
            at = field_step_index(at, end, item.size, path[taken])
        elif at != NULL:
            return field_missing
        if at == NULL:
            return field_missing
        taken += 1
    return value_object(&at, end, VALUE_DEPTH_MAX)


cdef value_place field_step_key(value_place at, value_place end, size_t pairs, step) except? NULL:
    """The place of a key's value among the pairs of an object; NULL where it is not."""
    cdef ValueItem key
    cdef Py_ssize_t size = 0
    cdef const char *text
    if not isinstance(step, str):
        return NULL
    text = PyUnicode_AsUTF8AndSize(step, &size)
    while pairs and at != NULL:
        at = value_next(at, end, &key)
        if at == NULL or key.kind != KIND_STRING:
            raise damaged("a key is not a string")
        if key.size == <size_t>size and memcmp(key.text, text, key.size) == 0:
            return at
        at = value_skip(at, end)
        pairs -= 1
    return NULL


cdef value_place field_step_index(value_place at, value_place end, size_t items, step) except? NULL:
    """The place of an item of an array; NULL where it is not. An index counts from the front only."""
    cdef int overflow = 0
    cdef long long index
    if not isinstance(step, int):
        return NULL
    index = PyLong_AsLongLongAndOverflow(step, &overflow)
    if overflow or index < 0 or <size_t>index >= items:
        return NULL
    while index and at != NULL:
        at = value_skip(at, end)
        index -= 1
    return at


cdef object field_general(
    const DocumentView *view, tuple path, const FieldPath *asked, list texts, list replicas
):
    """The visible value at a path, from all cells."""
    cdef VisibleCells found
    cdef list held = []
    visible_open(view, texts, held, &found)
    try:
        return field_descend(view, &found, path, asked, replicas)
    finally:
        visible_close(&found)


cdef object field_descend(
    const DocumentView *view, const VisibleCells *found, tuple path, const FieldPath *asked, list replicas
):
    """Follow a path down from the root, through the maps that are visible."""
    cdef const VisibleCell *cell = found.cells
    cdef uint32_t count = found.count, run, own, shown = 0
    cdef size_t prefix = 0, end = 0
    cdef Py_ssize_t taken = 0
    cdef ValueItem number
    cdef int kind
    while count and cell.size == 0:
        cell += 1
        count -= 1
    while taken < len(path):
        if prefix == asked.size:
            return field_missing
        end = field_key_end(asked, prefix)
        while count and (cell.size < end or memcmp(cell.path, asked.data, end)):
            cell += 1
            count -= 1
        if count == 0:
            return field_missing
        run = visible_run(cell, count, prefix, &end, &own)
        taken += 1
        kind = visible_type(view, cell, own, run, replicas, &shown)
        if kind == CODE_REGISTER:
            return field_register(view, shown, path, taken)
        if kind != CODE_MAP:
            if taken < len(path):
                return field_missing
            visible_counter(view, cell, own, replicas, &number)
            return value_scalar(&number)
        cell += own
        count, prefix = run - own, end
    return field_map(view, cell, count, prefix, VISIBLE_DEPTH_MAX, replicas)


cdef inline size_t field_key_end(const FieldPath *asked, size_t prefix) noexcept nogil:
    """The length of the path that ends with the key behind a prefix; each key of `asked` is terminated."""
    return <value_place>memchr(asked.data + prefix, 0, asked.size - prefix) - asked.data + 1


cdef dict field_map(
    const DocumentView *view, const VisibleCell *cell, uint32_t count, size_t prefix, int depth, list replicas
):
    """The map of the cells below a prefix of the path; `depth` more levels are allowed."""
    cdef dict shown = {}
    cdef uint32_t run, own
    cdef size_t key_end = 0
    if depth < 0:
        raise damaged("a path has too many keys")
    while count:
        run = visible_run(cell, count, prefix, &key_end, &own)
        key = field_key(cell.path + prefix, key_end - 1 - prefix)
        shown[key] = field_node(view, cell, own, run, key_end, depth - 1, replicas)
        cell += run
        count -= run
    return shown


cdef object field_node(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t own,
    uint32_t count,
    size_t prefix,
    int depth,
    list replicas,
):
    """What is visible of the cells at a path, `own` of them, and below it."""
    cdef uint32_t shown = 0
    cdef ValueItem number
    cdef int kind = visible_type(view, cell, own, count, replicas, &shown)
    if kind == CODE_MAP:
        return field_map(view, cell + own, count - own, prefix, depth, replicas)
    if kind == CODE_REGISTER:
        return field_register(view, shown, (), 0)
    visible_counter(view, cell, own, replicas, &number)
    return value_scalar(&number)


cdef str field_key(value_place key, size_t size):
    """A key of a path as text."""
    if size and memchr(key, 1, size) != NULL:
        raw = PyBytes_FromStringAndSize(<const char *>key, <Py_ssize_t>size)
        raw = raw.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")
        return stored_text(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))
    return stored_text(<const char *>key, <Py_ssize_t>size)
