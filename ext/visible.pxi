# Twin of crdtstore/crdt/document.py, `visible`: which cells a reader sees.
#
# Cells are sorted by their path's text, so the cells at a path come first among those at it and below, and a
# map is a run of cells: [first, own) lie at its path, [own, end) below. Stamps are compared by (timestamp,
# actor, origin), never by replica number, which differs between stores. Nothing here runs Python code except
# to raise, so the texts that cells point to stay alive; who makes objects meanwhile holds them
# (`visible_open`). Include after `value.pxi`.

from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memchr, memcmp, memcpy

from crdtstore.limits import DEPTH_MAX as visible_depth_max

cdef extern from "Python.h":
    # Without a reference: the list keeps its texts.
    PyObject *visible_text "PyList_GET_ITEM" (object texts, Py_ssize_t number) noexcept
    char *visible_bytes "PyBytes_AS_STRING" (PyObject *text) noexcept
    Py_ssize_t visible_size "PyBytes_GET_SIZE" (PyObject *text) noexcept

cdef extern from *:
    """
    #include <float.h>
    #include <math.h>
    #include <stdint.h>

    /* An exact sum of any number of int64 that fits in memory, in two's complement. */
    typedef struct { uint64_t low; int64_t high; } visible_sum;

    static inline void visible_add(visible_sum *sum, int64_t number) {
        sum->low += (uint64_t)number;
        sum->high += (number < 0 ? -1 : 0) + (sum->low < (uint64_t)number);
    }

    static inline int visible_fits(const visible_sum *sum) {
        return sum->high == (sum->low >> 63 ? -1 : 0);
    }

    /* The nearest double, ties to even: bits that are shifted out leave a one, so that no tie is made. */
    static double visible_double(const visible_sum *sum) {
        uint64_t low = sum->low, high = (uint64_t)sum->high;
        int shift = 0;
        if (visible_fits(sum))
            return (double)(int64_t)low;
        if (sum->high < 0) {
            low = ~low + 1;
            high = ~high + (low == 0);
        }
        while (shift < 63 && high >> shift)
            shift++;
        if (shift) {
            uint64_t lost = low << (64 - shift);
            low = high << (64 - shift) | low >> shift | (lost != 0);
        }
        double whole = ldexp((double)low, shift);
        return sum->high < 0 ? -whole : whole;
    }

    /* A sum of doubles that ran beyond them as the greatest one. */
    static inline double visible_clamp(double number) {
        return isinf(number) ? copysign(DBL_MAX, number) : number;
    }
    """
    ctypedef struct visible_sum:
        uint64_t low
        int64_t high
    void visible_add(visible_sum *sum, int64_t number) noexcept nogil
    bint visible_fits(const visible_sum *sum) noexcept nogil
    double visible_double(const visible_sum *sum) noexcept nogil
    double visible_clamp(double number) noexcept nogil

cdef enum:
    VISIBLE_FEW = 48               # cells that are sorted without allocating
    VISIBLE_REPLICA_BYTES = 32     # actor and origin

cdef int VISIBLE_DEPTH_MAX = visible_depth_max

cdef struct VisibleCell:
    uint64_t start                 # the path's first 8 bytes as a number, zeros behind a shorter one
    value_place path
    size_t size                    # of the path
    uint32_t row

cdef struct VisibleCells:
    uint32_t count
    VisibleCell *cells             # `few`, or allocated
    VisibleCell[VISIBLE_FEW] few

cdef struct VisibleTotal:
    value_place replica            # who added
    value_place author             # who created the instance
    uint64_t created
    uint32_t row


cdef inline int visible_code(const DocumentView *view, uint32_t row) noexcept nogil:
    """The code of a row as a reader needs it: initial or not, and an attachment is a register; 0 for no known one."""
    cdef int code = view.types[row] & 15
    if code <= CODE_TOTAL:
        return code
    if code == CODE_GRAVE or not CODES_KNOWN >> code & 1:
        return 0
    code &= 7
    return CODE_REGISTER if code == CODE_ATTACHMENT else code


cdef int visible_view(bytes document, DocumentView *view) except -1:
    """Open document bytes, which are not empty; a grave shows nothing, as if there were no row."""
    cdef value_place data = <value_place>document
    if document_open(data, <size_t>len(document), view):
        if len(document) >= DOCUMENT_HEADER_BYTES and data[0] != DOCUMENT_FORMAT:
            raise damaged(f"its bytes are of format {data[0]}")
        raise damaged("its bytes are cut short")
    if document_is_grave(view):
        view.n = 0
    return 0


cdef int visible_order(const void *left, const void *right) noexcept nogil:
    """The order of two cells by path and row."""
    cdef const VisibleCell *a = <const VisibleCell *>left
    cdef const VisibleCell *b = <const VisibleCell *>right
    cdef int order
    if a.start != b.start:
        return -1 if a.start < b.start else 1
    order = memcmp(a.path, b.path, min(a.size, b.size))
    if order:
        return order
    if a.size != b.size:
        return -1 if a.size < b.size else 1
    return -1 if a.row < b.row else 1


cdef void visible_sort(VisibleCells *found) noexcept nogil:
    """Sort cells: few by insertion, which also takes little for those that lie in order."""
    cdef VisibleCell cell
    cdef uint32_t index, place
    if found.count > VISIBLE_FEW:
        qsort(found.cells, found.count, sizeof(VisibleCell), &visible_order)
        return
    for index in range(1, found.count):
        cell = found.cells[index]
        place = index
        while place and visible_order(&cell, &found.cells[place - 1]) < 0:
            found.cells[place] = found.cells[place - 1]
            place -= 1
        found.cells[place] = cell


cdef int visible_open(const DocumentView *view, list texts, list held, VisibleCells *found) except -1:
    """Sort a document's cells by path; `visible_close` frees them.

    Args:
        view: With at least one row.
        texts: The collection's paths.
        held: Takes the texts that the cells point to, for a caller who runs Python code meanwhile; else None.
        found: Filled here.
    """
    found.count = 0
    found.cells = found.few
    if view.n > VISIBLE_FEW:
        found.cells = <VisibleCell *>malloc(view.n * sizeof(VisibleCell))
        if found.cells == NULL:
            raise MemoryError
    try:
        visible_fill(view, texts, held, found)
    except BaseException:
        visible_close(found)
        raise
    visible_sort(found)
    return 0


cdef inline void visible_close(VisibleCells *found) noexcept nogil:
    if found.cells != found.few:
        free(found.cells)


cdef inline int visible_path(
    const DocumentView *view, uint32_t row, list texts, value_place *start, size_t *size
) except -1:
    """The path of an entry as `document_path` gives it, sooner if it is one of the collection's."""
    cdef uint32_t number = load_number(view.paths, row, view.path_width)
    cdef PyObject *text
    if number >= <uint32_t>PyList_GET_SIZE(texts):
        return document_path(view, row, texts, start, size)
    text = visible_text(texts, number)
    start[0], size[0] = <value_place>visible_bytes(text), <size_t>visible_size(text)
    return 0


cdef inline uint64_t visible_start(value_place path, size_t size) noexcept nogil:
    """The first 8 bytes of a path as a number whose order is theirs."""
    if size >= 8:
        return be64(path)
    return value_load(path, <int>size) << (64 - 8 * <int>size) if size else 0


cdef int visible_fill(const DocumentView *view, list texts, list held, VisibleCells *found) except -1:
    """Collect a document's cells in the order of its rows; a total belongs to the cell before it."""
    cdef VisibleCell *cell
    cdef uint32_t row, number
    cdef int code, before = 0
    for row in range(view.n):
        code = visible_code(view, row)
        if code == CODE_TOTAL:
            if before not in (CODE_IMPLICIT, CODE_EXPLICIT, CODE_TOTAL):
                raise damaged("a total belongs to no counter")
        elif code == 0:
            raise damaged(f"a cell has the unknown code {view.types[row] & 15}")
        else:
            cell = found.cells + found.count
            visible_path(view, row, texts, &cell.path, &cell.size)
            cell.start = visible_start(cell.path, cell.size)
            cell.row = row
            found.count += 1
            number = load_number(view.paths, row, view.path_width)
            if held is not None and number < DOCUMENT_LOCAL_PATH:
                held.append(texts[number])
        before = code
    return 0


cdef inline uint32_t visible_behind(const DocumentView *view, uint32_t row) noexcept nogil:
    """The row behind a cell's own and its totals."""
    row += 1
    while row < view.n and view.types[row] & 15 == CODE_TOTAL:
        row += 1
    return row


cdef inline value_place visible_replica(
    const DocumentView *view, uint32_t row, list replicas, uint64_t *at
) except NULL:
    """The actor and origin of a row's stamp; its timestamp goes to `at`."""
    cdef uint32_t stamp = load_number(view.stamps, row, view.stamp_width)
    cdef uint32_t replica
    cdef bytes text
    if stamp >= view.m:
        raise damaged("a stamp is unknown")
    replica = load_number(view.replicas, stamp, view.replica_width)
    if replica >= <uint32_t>len(replicas):
        raise damaged("a replica number is unknown")
    text = <bytes>replicas[replica]
    assert len(text) == VISIBLE_REPLICA_BYTES
    at[0] = load_u64(view.timestamps + 8 * <size_t>stamp)
    return <value_place>text


cdef int visible_later(const DocumentView *view, uint32_t row, int64_t other, list replicas) except -1:
    """Whether a row comes behind another: an initial one never, else by stamp; -1 stands for no other row."""
    cdef uint64_t at, other_at
    cdef value_place replica, other_replica
    if other < 0:
        return 1
    if (view.types[row] ^ view.types[other]) & CODE_INITIAL:
        return not view.types[row] & CODE_INITIAL
    replica = visible_replica(view, row, replicas, &at)
    other_replica = visible_replica(view, <uint32_t>other, replicas, &other_at)
    if at != other_at:
        return at > other_at
    return replica != other_replica and memcmp(replica, other_replica, VISIBLE_REPLICA_BYTES) > 0


cdef int64_t visible_newest(const DocumentView *view, uint32_t row, int64_t newest, list replicas) except -2:
    """The row with the greatest stamp among `newest`, a cell's own and its totals'."""
    cdef uint32_t behind = visible_behind(view, row)
    while row < behind:
        if visible_later(view, row, newest, replicas):
            newest = row
        row += 1
    return newest


cdef int64_t visible_value(const DocumentView *view, uint32_t row, int64_t newest, list replicas) except -2:
    """The later of two registers or attachments; equal: the attachment, whose rows come behind."""
    if newest >= 0 and view.types[row] & 7 == CODE_ATTACHMENT:
        return newest if visible_later(view, <uint32_t>newest, row, replicas) else row
    return row if visible_later(view, row, newest, replicas) else newest


cdef int visible_type(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t own,
    uint32_t count,
    list replicas,
    uint32_t *shown,
) except -1:
    """The type that a reader sees at a path: CODE_REGISTER, for an attachment too, CODE_MAP, or CODE_IMPLICIT.

    Args:
        view: The document.
        cell: The first of the cells at the path and below.
        own: How many of them lie at the path.
        count: How many there are.
        replicas: The store's.
        shown: Takes the row of the visible register.
    """
    cdef int64_t register_row = -1, map_row = -1, counter_row = -1
    cdef uint32_t index
    cdef int code
    if count == 1 and own:
        shown[0] = cell.row
        return min(visible_code(view, cell.row), CODE_IMPLICIT)
    for index in range(own):
        code = visible_code(view, cell[index].row)
        if code == CODE_REGISTER:
            register_row = visible_value(view, cell[index].row, register_row, replicas)
        elif code == CODE_MAP:
            map_row = visible_newest(view, cell[index].row, map_row, replicas)
        else:
            counter_row = visible_newest(view, cell[index].row, counter_row, replicas)
    if register_row < 0 and counter_row < 0:
        return CODE_MAP
    for index in range(own, count):
        map_row = visible_newest(view, cell[index].row, map_row, replicas)
    # Equal stamps: counter before map before attachment before register.
    if register_row >= 0:
        shown[0] = <uint32_t>register_row
        if visible_later(view, shown[0], map_row, replicas):
            if visible_later(view, shown[0], counter_row, replicas):
                return CODE_REGISTER
    if map_row >= 0 and visible_later(view, <uint32_t>map_row, counter_row, replicas):
        return CODE_MAP
    return CODE_IMPLICIT


cdef uint32_t visible_run(
    const VisibleCell *cell, uint32_t count, size_t prefix, size_t *key_end, uint32_t *own
) except 0:
    """How many cells lie at or below the first one's key behind a prefix; the map there ends at `key_end`.

    Args:
        cell: The first of the cells below the prefix.
        count: How many there are, at least one.
        prefix: Bytes of the path that all of them share.
        key_end: Takes the length of the path that ends with the key.
        own: Takes how many lie at that path itself.
    """
    cdef value_place behind = <value_place>memchr(cell.path + prefix, 0, cell.size - prefix)
    cdef uint32_t run = 1
    cdef size_t end
    if behind == NULL:
        raise damaged("a path is not terminated")
    end = behind - cell.path + 1
    while run < count and cell[run].size >= end:
        if memcmp(cell[run].path + prefix, cell.path + prefix, end - prefix):
            break
        run += 1
    own[0] = 0
    while own[0] < run and cell[own[0]].size == end:
        own[0] += 1
    key_end[0] = end
    return run


cdef int visible_item(const DocumentView *view, uint32_t row, ValueItem *item) except -1:
    """Read a row's value; 1 for an array or object, whose msgpack is then the item's text."""
    cdef value_place slot = view.slots + 8 * <size_t>row
    item.kind = view.types[row] >> 4
    if item.kind >= KIND_STRING:
        if item.kind > KIND_OBJECT:
            raise damaged(f"a value has the unknown kind {item.kind}")
        if heap_read(view, slot, &item.text, &item.size):
            raise damaged("a value lies outside its heap")
        return item.kind >= KIND_ARRAY
    if item.kind == KIND_SHORT:
        item.kind, item.text, item.size = KIND_STRING, slot + 1, min(slot[0], 7)
    else:
        memcpy(&item.integer, slot, 8)
        memcpy(&item.number, slot, 8)
    return 0
