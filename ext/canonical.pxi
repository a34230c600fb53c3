# Twin of is_canonical in crdtstore/crdt/document_bytes.py: whether document bytes are the one form of their cells.
#
# Rules: bytes of usual cells are judged where they lie, row by row; where anything is not as it is packed, or is rare
# (local paths, attachments, graves, deep values), the plain twin decides, and says what is damaged.


cdef bint canonical_value(const DocumentView *view, uint32_t row, int kind, size_t *heap_at) noexcept nogil:
    """Whether a value stands as it is packed; `heap_at` goes on behind what it has in the heap."""
    cdef const unsigned char *slot = view.slots + 8 * <size_t>row
    cdef const unsigned char *start
    cdef size_t length
    cdef uint64_t bits = load_u64(slot)
    cdef Cursor cursor
    if kind <= KIND_TRUE:
        return bits == 0
    if kind == KIND_INT:
        return True
    if kind == KIND_DOUBLE:
        return is_finite(bits)
    if kind == KIND_SHORT:
        length = slot[0]
        return length <= 7 and (length == 7 or bits >> 8 * (length + 1) == 0) and is_utf8(slot + 1, length)
    if kind > KIND_OBJECT or heap_read(view, slot, &start, &length) or start != view.heap + heap_at[0]:
        return False
    heap_at[0] += length
    if kind == KIND_STRING:
        return length > 7 and is_utf8(start, length)
    if kind == KIND_BINARY:
        return True
    cursor.at, cursor.end = start, start + length
    if length == 0 or (kind == KIND_ARRAY) != (start[0] & 0xF0 == 0x90 or start[0] == 0xDC or start[0] == 0xDD):
        return False
    if kind == KIND_OBJECT and not (start[0] & 0xF0 == 0x80 or start[0] == 0xDE or start[0] == 0xDF):
        return False
    return check_packed(&cursor, RECORD_DEPTH_MAX) == 0 and cursor.at == cursor.end


cdef bint canonical_stamps(const DocumentView *view, uint32_t replica_count) noexcept nogil:
    """Whether the stamps are sorted, of replicas that are known, and as narrow as they can be."""
    cdef uint32_t at, replica, before = 0, greatest = 0
    cdef uint64_t timestamp, last = 0
    for at in range(view.m):
        replica = load_number(view.replicas, at, view.replica_width)
        timestamp = load_u64(view.timestamps + 8 * <size_t>at)
        if replica >= replica_count or (at and (timestamp < last or (timestamp == last and replica <= before))):
            return False
        before, last, greatest = replica, timestamp, max(greatest, replica)
    return view.replica_width == width_for(greatest) and view.stamp_width == width_for(view.m - 1)


cdef bint canonical_row(const DocumentView *view, uint32_t at, Row *row) noexcept nogil:
    """Take a row behind the one that `row` holds; whether it follows that, and may stand there at all."""
    cdef Row before = row[0]
    cdef uint32_t stamp = load_number(view.stamps, at, view.stamp_width)
    if stamp >= view.m:
        return False
    row.path = load_number(view.paths, at, view.path_width)
    row.code, row.kind = view.types[at] & 15, view.types[at] >> 4
    row.stamp = stamp
    row.timestamp = load_u64(view.timestamps + 8 * <size_t>stamp)
    row.replica = load_number(view.replicas, stamp, view.replica_width)
    if row.code == CODE_TOTAL:
        if at == 0 or type_of(before.code) != CODE_IMPLICIT or before.path != row.path:
            return False
    else:
        row.cell_timestamp, row.cell_replica = row.timestamp, row.replica
    if not CODES_KNOWN >> row.code & 1 or (at and compare_rows(&before, row) >= 0):
        return False
    if type_of(row.code) == CODE_IMPLICIT:
        return row.kind == KIND_INT or row.kind == KIND_DOUBLE
    if row.code & ~CODE_INITIAL == CODE_MAP:
        return row.kind == KIND_NULL
    return row.code & ~CODE_INITIAL == CODE_REGISTER


cdef bint canonical_rows(const DocumentView *view, uint32_t path_count, uint32_t *used) noexcept nogil:
    """Whether rows are sorted, paths known, values packed, each stamp used and the heap without gaps."""
    cdef uint32_t at
    cdef size_t heap_at = 0
    cdef Row row
    memset(&row, 0, sizeof(Row))
    memset(used, 0, view.m * sizeof(uint32_t))
    for at in range(view.n):
        if not canonical_row(view, at, &row) or row.path >= path_count:
            return False
        if not canonical_value(view, at, row.kind, &heap_at):
            return False
        used[row.stamp] = 1
    for at in range(view.m):
        if not used[at]:
            return False
    return heap_at == view.heap_length and view.path_width == width_for(row.path)


def is_canonical(bytes document not None, paths, replicas):
    """Whether document bytes are those that packing their cells gives; see crdt/document_bytes.py."""
    cdef DocumentView view
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(document)
    cdef size_t length = PyBytes_GET_SIZE(document)
    cdef bint usual = (
        document_open(data, length, &view) == 0 and data[1] <= 0x3F and data[2] == 0 and data[3] == 0
        and 0 < view.n and 0 < view.m <= view.n
    )
    if usual:
        grow(<void **>&scratch.places, &scratch.places_size, view.m * sizeof(uint32_t))
        if canonical_stamps(&view, <uint32_t>PyList_GET_SIZE(replicas.texts)) \
                and canonical_rows(&view, <uint32_t>PyList_GET_SIZE(paths.texts), scratch.places):
            return True
    from crdtstore.crdt import document_bytes

    return document_bytes.is_canonical(document, paths, replicas)
