# Twin of crdtstore/crdt/document.py, `visible`: which cells a reader sees.
#
# Cells are sorted by their path's text, so the cells at a path come first among those at it and below, and a
# map is a run of cells: [first, own) lie at its path, [own, end) below. Stamps are compared by (timestamp,
# actor, origin), never by replica number, which differs between stores. Nothing here touches a Python object: who
# calls keeps the NameTables alive whose texts the cells point to. What fails returns a VISIBLE_… reason, all of them
# below -1, which `visible_raise` makes an error. Include after `value.pxi` and `names.pxi`.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memchr, memcmp, memcpy

from crdtstore.limits import DEPTH_MAX as visible_depth_max

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

cdef enum:                         # why a document cannot be read
    VISIBLE_MEMORY = -2
    VISIBLE_STRAY_TOTAL = -3
    VISIBLE_PATH = -4
    VISIBLE_LOCAL_PATH = -5
    VISIBLE_OPEN_PATH = -6
    VISIBLE_STAMP = -7
    VISIBLE_REPLICA = -8
    VISIBLE_HEAP = -9
    VISIBLE_NUMBER = -10
    VISIBLE_VALUE = -11
    VISIBLE_KEY = -12
    VISIBLE_ID = -13
    VISIBLE_CODE = -100            # less the code
    VISIBLE_KIND = -200            # less the kind

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


cdef int visible_raise(int64_t failure) except -1:
    """Raise the error of a reason."""
    if failure == VISIBLE_MEMORY:
        raise MemoryError
    if failure <= VISIBLE_KIND:
        raise damaged(f"a value has the unknown kind {VISIBLE_KIND - failure}")
    if failure <= VISIBLE_CODE:
        raise damaged(f"a cell has the unknown code {VISIBLE_CODE - failure}")
    raise damaged({
        VISIBLE_STRAY_TOTAL: "a total belongs to no counter",
        VISIBLE_PATH: "a path number is unknown",
        VISIBLE_LOCAL_PATH: "a local path lies outside its heap",
        VISIBLE_OPEN_PATH: "a path is not terminated",
        VISIBLE_STAMP: "a stamp is unknown",
        VISIBLE_REPLICA: "a replica number is unknown",
        VISIBLE_HEAP: "a value lies outside its heap",
        VISIBLE_NUMBER: "a counter holds no number",
        VISIBLE_VALUE: "a value cannot be read",
        VISIBLE_KEY: "a key is not a string",
        VISIBLE_ID: "its key ends in no id",
    }[failure])


cdef inline int visible_check(int failure) except -1:
    """Raise what a function has returned, if that is a reason."""
    return visible_raise(failure) if failure < -1 else failure


cdef int visible_open(const DocumentView *view, const NameList *paths, VisibleCells *found) noexcept nogil:
    """Sort the cells of a document with at least one row by path; `visible_close` frees them, unless this fails."""
    cdef int failure
    found.cells = found.few
    if view.n > VISIBLE_FEW:
        found.cells = <VisibleCell *>malloc(view.n * sizeof(VisibleCell))
        if found.cells == NULL:
            return VISIBLE_MEMORY
    failure = visible_fill(view, paths, found)
    if failure:
        visible_close(found)
        return failure
    visible_sort(found)
    return 0


cdef inline void visible_close(VisibleCells *found) noexcept nogil:
    if found.cells != found.few:
        free(found.cells)


cdef inline int visible_path(
    const DocumentView *view, uint32_t row, const NameList *paths, value_place *start, size_t *size
) noexcept nogil:
    """The path of an entry: of the collection's dictionary, or of the document's own heap."""
    cdef uint32_t number = load_number(view.paths, row, view.path_width)
    cdef const NameText *name
    if number < paths.count:
        name = name_text(paths, number)
        start[0], size[0] = name.text, name.size
        return 0
    if number < DOCUMENT_LOCAL_PATH:
        return VISIBLE_PATH
    number ^= DOCUMENT_LOCAL_PATH
    if number >= view.local_count or heap_read(view, view.local + 8 * <size_t>number, start, size):
        return VISIBLE_LOCAL_PATH
    return 0


cdef inline uint64_t visible_start(value_place path, size_t size) noexcept nogil:
    """The first 8 bytes of a path as a number whose order is theirs."""
    if size >= 8:
        return be64(path)
    return value_load(path, <int>size) << (64 - 8 * <int>size) if size else 0


cdef int visible_fill(const DocumentView *view, const NameList *paths, VisibleCells *found) noexcept nogil:
    """Collect a document's cells in the order of its rows; a total belongs to the cell before it."""
    cdef VisibleCell *cell
    cdef uint32_t row
    cdef int code, failure, before = 0
    found.count = 0
    for row in range(view.n):
        code = visible_code(view, row)
        if code == CODE_TOTAL:
            if before not in (CODE_IMPLICIT, CODE_EXPLICIT, CODE_TOTAL):
                return VISIBLE_STRAY_TOTAL
        elif code == 0:
            return VISIBLE_CODE - (view.types[row] & 15)
        else:
            cell = found.cells + found.count
            failure = visible_path(view, row, paths, &cell.path, &cell.size)
            if failure:
                return failure
            cell.start = visible_start(cell.path, cell.size)
            cell.row = row
            found.count += 1
        before = code
    return 0


cdef inline uint32_t visible_behind(const DocumentView *view, uint32_t row) noexcept nogil:
    """The row behind a cell's own and its totals."""
    row += 1
    while row < view.n and view.types[row] & 15 == CODE_TOTAL:
        row += 1
    return row


cdef inline int visible_replica(
    const DocumentView *view, uint32_t row, const NameList *replicas, value_place *replica, uint64_t *at
) noexcept nogil:
    """The actor and origin of a row's stamp, and its timestamp."""
    cdef uint32_t stamp = load_number(view.stamps, row, view.stamp_width)
    cdef uint32_t number
    cdef const NameText *name
    if stamp >= view.m:
        return VISIBLE_STAMP
    number = load_number(view.replicas, stamp, view.replica_width)
    if number >= replicas.count:
        return VISIBLE_REPLICA
    name = name_text(replicas, number)
    if name.size != VISIBLE_REPLICA_BYTES:
        return VISIBLE_REPLICA
    at[0], replica[0] = load_u64(view.timestamps + 8 * <size_t>stamp), name.text
    return 0


cdef int visible_later(
    const DocumentView *view, uint32_t row, int64_t other, const NameList *replicas
) noexcept nogil:
    """Whether a row comes behind another: an initial one never, else by stamp; -1 stands for no other row."""
    cdef uint64_t at, other_at
    cdef value_place replica, other_replica
    cdef int failure
    if other < 0:
        return 1
    if (view.types[row] ^ view.types[other]) & CODE_INITIAL:
        return not view.types[row] & CODE_INITIAL
    failure = visible_replica(view, row, replicas, &replica, &at)
    if failure == 0:
        failure = visible_replica(view, <uint32_t>other, replicas, &other_replica, &other_at)
    if failure:
        return failure
    if at != other_at:
        return at > other_at
    return replica != other_replica and memcmp(replica, other_replica, VISIBLE_REPLICA_BYTES) > 0


cdef int64_t visible_newest(
    const DocumentView *view, uint32_t row, int64_t newest, const NameList *replicas
) noexcept nogil:
    """The row with the greatest stamp among `newest`, a cell's own and its totals'."""
    cdef uint32_t behind = visible_behind(view, row)
    cdef int later
    while row < behind:
        later = visible_later(view, row, newest, replicas)
        if later < 0:
            return later
        if later:
            newest = row
        row += 1
    return newest


cdef int64_t visible_value(
    const DocumentView *view, uint32_t row, int64_t newest, const NameList *replicas
) noexcept nogil:
    """The later of two registers or attachments; equal: the attachment, whose rows come behind."""
    cdef int later
    if newest >= 0 and view.types[row] & 7 == CODE_ATTACHMENT:
        later = visible_later(view, <uint32_t>newest, row, replicas)
        return later if later < 0 else newest if later else row
    later = visible_later(view, row, newest, replicas)
    return later if later < 0 else row if later else newest


cdef int visible_type(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t own,
    uint32_t count,
    const NameList *replicas,
    uint32_t *shown,
) noexcept nogil:
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
    cdef int code, later
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
        if min(register_row, map_row, counter_row) < -1:
            return <int>min(register_row, map_row, counter_row)
    if register_row < 0 and counter_row < 0:
        return CODE_MAP
    for index in range(own, count):
        map_row = visible_newest(view, cell[index].row, map_row, replicas)
        if map_row < -1:
            return <int>map_row
    # Equal stamps: counter before map before attachment before register.
    if register_row >= 0:
        shown[0] = <uint32_t>register_row
        later = visible_later(view, shown[0], map_row, replicas)
        if later > 0:
            later = visible_later(view, shown[0], counter_row, replicas)
        if later:
            return CODE_REGISTER if later > 0 else later
    if map_row < 0:
        return CODE_IMPLICIT
    later = visible_later(view, <uint32_t>map_row, counter_row, replicas)
    return later if later < 0 else CODE_MAP if later else CODE_IMPLICIT


cdef uint32_t visible_run(
    const VisibleCell *cell, uint32_t count, size_t prefix, size_t *key_end, uint32_t *own
) noexcept nogil:
    """How many cells lie at or below the first one's key behind a prefix; 0: the key is not terminated.

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
        return 0
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


cdef int visible_item(const DocumentView *view, uint32_t row, ValueItem *item) noexcept nogil:
    """Read a row's value; 1 for an array or object, whose msgpack is then the item's text."""
    cdef value_place slot = view.slots + 8 * <size_t>row
    item.kind, item.text, item.size = view.types[row] >> 4, NULL, 0
    if item.kind >= KIND_STRING:
        if item.kind > KIND_OBJECT:
            return VISIBLE_KIND - item.kind
        if heap_read(view, slot, &item.text, &item.size):
            return VISIBLE_HEAP
        return item.kind >= KIND_ARRAY
    if item.kind == KIND_SHORT:
        item.kind, item.text, item.size = KIND_STRING, slot + 1, min(slot[0], 7)
    else:
        memcpy(&item.integer, slot, 8)
        memcpy(&item.number, slot, 8)
    return 0
