# Twin of crdtstore/crdt/path.py: a path that is asked for, prepared for C, and how the cells of a document lie to it.
#
# Rules: the leading keys of a path are encoded as a cell's path is; an index, and what stands behind one, leads inside
# of values only. Include after `counter.pxi`.

from cpython.long cimport PyLong_AsLongLongAndOverflow
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:                         # how a cell's path lies to one that is asked for
    ITEM_APART = 0
    ITEM_BESIDE = 1                # they share their first keys
    ITEM_BELOW = 2
    ITEM_EXACT = 3
    ITEM_ABOVE = 4

cdef enum:
    ITEM_DIGITS_MAX = 9            # no array has more items than so many digits count

cdef struct ItemStep:
    value_place key                # UTF-8; NULL: an index
    size_t size
    int64_t index                  # of an index, -1 for one that no array has; of a key of digits: what these say
    size_t path_size               # bytes of the encoded path that end here; 0 behind an index

cdef struct ItemPath:
    ItemStep *steps
    uint32_t count
    unsigned char *data            # the leading keys, encoded as a cell's path is
    size_t size

cdef struct ItemRelated:
    uint32_t own                   # registers and counters at the path
    uint32_t counters              # of those at the path
    uint32_t markers               # markers at the path
    uint32_t below                 # cells below it
    uint32_t above                 # registers and counters above it
    uint32_t row                   # of the last of those at the path and above
    size_t size                    # length of that cell's path
    size_t beside                  # the longest path that cells share with it which are neither at it nor below


# --- paths ---


cdef int item_path_make(tuple path, ItemPath *asked) except -1:
    """Prepare a path, which has to stay alive; `item_path_free` frees what is allocated here."""
    cdef size_t room = 0
    cdef uint32_t index = 0
    cdef bint leading = True
    asked.count, asked.size, asked.steps = <uint32_t>len(path), 0, NULL
    for step in path:
        room += sizeof(ItemStep) + (8 * <size_t>len(step) + 1 if isinstance(step, str) else 0)
    asked.steps = <ItemStep *>malloc(room + 1)
    if asked.steps == NULL:
        raise MemoryError
    asked.data = <unsigned char *>(asked.steps + asked.count)
    for step in path:
        leading = leading and isinstance(step, str)
        item_step_make(step, &asked.steps[index])
        if leading:
            asked.size = item_key_encode(asked.data + asked.size, &asked.steps[index]) - asked.data
        asked.steps[index].path_size = asked.size if leading else 0
        index += 1
    return 0


cdef inline void item_path_free(ItemPath *asked) noexcept nogil:
    free(asked.steps)


cdef int item_step_make(step, ItemStep *made) except -1:
    """Prepare one step. A lone surrogate, which no text of a document has, makes a key that none is equal to."""
    cdef int overflow = 0
    cdef Py_ssize_t size = 0
    made.key, made.size, made.index, made.path_size = NULL, 0, -1, 0
    if not isinstance(step, str):
        made.index = PyLong_AsLongLongAndOverflow(step, &overflow)
        if overflow or made.index < 0:
            made.index = -1
        return 0
    try:
        made.key = <value_place>PyUnicode_AsUTF8AndSize(step, &size)
    except UnicodeEncodeError:
        made.key, size = <value_place>b"\xff", 1
    made.size = <size_t>size
    made.index = item_digits(made.key, made.size)
    return 0


cdef int64_t item_digits(value_place key, size_t size) noexcept nogil:
    """The index that a key of digits stands for where arrays are spread; -1: for none."""
    cdef int64_t number = 0
    cdef size_t index
    if not 1 <= size <= ITEM_DIGITS_MAX or (key[0] == 48 and size > 1):
        return -1
    for index in range(size):
        if not 48 <= key[index] <= 57:
            return -1
        number = 10 * number + key[index] - 48
    return number


cdef inline unsigned char *item_key_encode(unsigned char *out, const ItemStep *step) noexcept nogil:
    """Write a key as a path has it: bytes 0 and 1 as two, and a 0 behind."""
    cdef size_t index
    for index in range(step.size):
        if step.key[index] <= 1:
            out[0] = 1
            out[1] = step.key[index] + 1
            out += 2
        else:
            out[0] = step.key[index]
            out += 1
    out[0] = 0
    return out + 1


# --- how cells lie to a path ---


cdef int item_relation(const ItemPath *asked, value_place cell, size_t size, size_t *common) noexcept nogil:
    """How a cell's path lies to the one that is asked for; `common` takes the bytes of the keys that they share."""
    cdef size_t index = 0
    common[0] = 0
    while index < size and index < asked.size and cell[index] == asked.data[index]:
        index += 1
        if cell[index - 1] == 0:
            common[0] = index
    if index < size and index < asked.size:
        return ITEM_BESIDE if common[0] else ITEM_APART
    if size == 0:
        return ITEM_APART
    return ITEM_BELOW if size > asked.size else ITEM_EXACT if size == asked.size else ITEM_ABOVE


cdef inline void item_relate(
    ItemRelated *related, int relation, size_t common, int code, uint32_t row, size_t size
) noexcept nogil:
    """Account for one cell, which is no total."""
    if relation == ITEM_BELOW:
        related.below += 1
    elif relation == ITEM_EXACT and code == CODE_MAP:
        related.markers += 1
    elif relation == ITEM_EXACT:
        related.own += 1
        related.counters += code != CODE_REGISTER
        related.row, related.size = row, size
    elif relation == ITEM_ABOVE and code != CODE_MAP:
        related.above += 1
        related.row, related.size = row, size
    else:
        related.beside = max(related.beside, common)


cdef int item_relate_all(
    const DocumentView *view, const NameList *paths, const ItemPath *asked, ItemRelated *related
) noexcept nogil:
    """Account for all cells of a document that have to do with a path."""
    cdef uint32_t row
    cdef value_place cell = NULL
    cdef size_t size = 0, common = 0
    cdef int code, failure, relation
    memset(related, 0, sizeof(ItemRelated))
    for row in range(view.n):
        failure = visible_path(view, row, paths, &cell, &size)
        if failure:
            return failure
        if size == 0 or cell[0] != asked.data[0]:
            continue
        code = visible_code(view, row)
        relation = item_relation(asked, cell, size, &common)
        if relation != ITEM_APART and code != CODE_TOTAL:
            if code == 0:
                return VISIBLE_CODE - (view.types[row] & 15)
            item_relate(related, relation, common, code, row, size)
    return 0
