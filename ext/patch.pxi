# Twin of register.write and counter.increment in crdtstore/crdt/register.py and counter.py, for their commonest cases.
#
# A transaction that writes one register, over at most one that it observed, or adds to one counter, takes at most one
# entry out of a document and puts one in. Then the columns are copied with that splice, and no row is made. It holds
# only when the new stamp comes last and no column changes its width; in every other case merge_patch says no, has
# changed nothing, and the general merge does the same work (`tests/core/test_merge_twins.py` compares both).

cdef struct Splice:
    uint32_t removed                   # an entry, or n for none
    uint32_t place                     # of the new entry: before this one of the old, behind the removed one
    uint32_t stamp                     # of the removed entry, when no other uses it, or m
    Row before
    Row after


cdef int merge_patch(Merge *merge, const DocumentView *view, const unsigned char *document, size_t document_length,
                     Cursor *start, dict numbers, list texts, dict replica_numbers, list replica_texts) except -1:
    """Splice a write or increment into scratch.out; 1 when that was done, 0 when the general merge must."""
    cdef Cursor cursor = start[0]
    cdef Splice splice
    cdef uint32_t fields, path, first, last
    cdef uint64_t code
    cdef const unsigned char *text
    cdef size_t length
    cdef bint found
    if read_array(&cursor, &fields) or read_unsigned(&cursor, &code) or read_binary(&cursor, &text, &length):
        return 0
    if view.local_count or view.stamp_width or view.n == 0 or view.m == 0 or document_is_grave(view):
        return 0
    path = find_path(numbers, texts, text, length)
    if path == UNRESOLVED or width_for(path) > view.path_width:
        return 0
    patch_group(view, path, &first, &last)
    splice.after.slot = splice.after.heap_length = splice.after.dead = 0
    splice.after.path = path
    splice.after.timestamp = splice.after.cell_timestamp = merge.timestamp
    splice.after.replica = splice.after.cell_replica = merge.replica
    if code == 1 and fields == 3:
        found = patch_write(merge, view, &cursor, first, last, &splice)
    elif code == 5 and fields == 6:
        found = patch_increment(merge, view, &cursor, first, last, replica_numbers, replica_texts, &splice)
    else:
        return 0
    if not found or not patch_fits(view, &splice):
        return 0
    grow(<void **>&scratch.out, &scratch.out_size, document_length + splice.after.heap_length + 64)
    if patch_copy(view, &splice):
        return 0
    if splice.removed < view.n:
        digest_row(merge, &splice.before, texts, replica_texts, False)
    digest_row(merge, &splice.after, texts, replica_texts, True)
    start[0] = cursor
    return 1


cdef void patch_group(const DocumentView *view, uint32_t path, uint32_t *first, uint32_t *last) noexcept nogil:
    """The entries of a path: [first, last), empty at the place where they would stand."""
    cdef const unsigned char *found
    cdef uint32_t low = 0, high = view.n, middle
    if view.path_width == 0:
        found = <const unsigned char *>memchr(view.paths, <int>path, view.n)
        if found != NULL:
            low = high = <uint32_t>(found - view.paths)
    while low < high:
        middle = (low + high) >> 1
        if load_number(view.paths, middle, view.path_width) < path:
            low = middle + 1
        else:
            high = middle
    first[0] = low
    while low < view.n and load_number(view.paths, low, view.path_width) == path:
        low += 1
    last[0] = low


cdef bint patch_write(Merge *merge, const DocumentView *view, Cursor *cursor, uint32_t first, uint32_t last,
                      Splice *splice) except -1:
    """register.write: behind the siblings, in place of the one that was observed; no when there are more."""
    cdef uint32_t at = first
    cdef Row sibling
    splice.removed = view.n
    while at < last and view.types[at] & 7 == CODE_REGISTER:
        load_row(view, at, merge.replica_count, &sibling)
        if is_observed(merge, sibling.timestamp, sibling.replica):
            if splice.removed < view.n:
                return False
            splice.removed = at
            splice.before = sibling
        at += 1
    splice.place = at
    splice.after.code = CODE_REGISTER
    return read_row_value(cursor, &splice.after) == 0


cdef bint patch_increment(Merge *merge, const DocumentView *view, Cursor *cursor, uint32_t first, uint32_t last,
                          dict replica_numbers, list replica_texts, Splice *splice) except -1:
    """counter.increment: behind the instance's totals, in place of the author's own; no without the instance."""
    cdef uint64_t timestamp, slot = 0
    cdef uint32_t replica, at
    cdef const unsigned char *actor
    cdef const unsigned char *origin
    cdef unsigned char name[32]
    cdef int kind = 0
    cdef Row row
    cdef bint inside = False
    if read_unsigned(cursor, &timestamp) or read_name(cursor, &actor) or read_name(cursor, &origin) \
            or read_number(cursor, &kind, &slot):
        return False
    memcpy(name, actor, 16)
    memcpy(name + 16, origin, 16)
    replica = find_path(replica_numbers, replica_texts, name, 32)
    splice.removed = splice.place = view.n
    splice.after.code = CODE_TOTAL
    splice.after.kind = KIND_INT
    for at in range(first, last):
        load_row(view, at, merge.replica_count, &row)
        if row.code != CODE_TOTAL:
            if inside:
                break
            inside = type_of(row.code) == 3 and row.timestamp == timestamp and row.replica == replica
        if not inside:
            continue
        splice.place = at + 1
        if row.code == CODE_TOTAL and row.replica == merge.replica:
            splice.removed = at
            splice.before = row
            splice.after.kind = row.kind
            splice.after.slot = row.slot
    if splice.place == view.n and not inside:
        return False
    splice.before.path = splice.after.path
    splice.before.cell_timestamp = splice.after.cell_timestamp = timestamp
    splice.before.cell_replica = splice.after.cell_replica = replica
    add_amounts(&splice.after, kind, slot)
    return True


cdef bint patch_fits(const DocumentView *view, Splice *splice) noexcept nogil:
    """Whether the new stamp comes last and no column changes its width."""
    cdef uint32_t at, replica, highest = splice.after.replica
    cdef uint64_t newest = load_u64(view.timestamps + 8 * <size_t>(view.m - 1))
    splice.stamp = view.m
    if splice.after.timestamp <= newest:
        return False
    if splice.removed < view.n:
        at = splice.removed
        if memchr(view.stamps, view.stamps[at], at) == NULL \
                and memchr(view.stamps + at + 1, view.stamps[at], view.n - at - 1) == NULL:
            splice.stamp = view.stamps[at]
    if view.m + (splice.stamp == view.m) > PATCH_STAMPS_MAX:
        return False
    if view.replica_width == 0:
        return highest < 256
    for at in range(view.m):
        replica = load_number(view.replicas, at, view.replica_width)
        if replica > highest and at != splice.stamp:
            highest = replica
    return width_for(highest) == view.replica_width


cdef inline unsigned char *patch_column(unsigned char *out, const unsigned char *column, uint32_t count, size_t width,
                                        uint32_t removed, uint32_t place) noexcept nogil:
    """Copy a column without the removed item, with room before `place`; returns the room."""
    cdef size_t first = place
    if place == removed + 1:
        memcpy(out, column, count * width)
        return out + removed * width
    if removed < count:
        memcpy(out, column, removed * width)
        memcpy(out + removed * width, column + (removed + 1) * width, (place - removed - 1) * width)
        first -= 1
    else:
        memcpy(out, column, place * width)
    memcpy(out + (first + 1) * width, column + place * width, (count - place) * width)
    return out + first * width


cdef int patch_copy(const DocumentView *view, const Splice *splice) noexcept nogil:
    """The document's bytes with the splice made, in scratch.out; -1 when their heap is not in order."""
    cdef uint32_t n = view.n + (splice.removed == view.n)
    cdef uint32_t m = view.m + (splice.stamp == view.m)
    cdef unsigned char *out = scratch.out
    cdef unsigned char *room
    cdef unsigned char *stamps
    cdef unsigned char *slots
    cdef uint32_t at
    memcpy(out, view.paths - DOCUMENT_HEADER_BYTES, 4)
    memcpy(out + 4, &n, 4)
    memcpy(out + 8, &m, 4)
    out += DOCUMENT_HEADER_BYTES
    room = patch_column(out, view.paths, view.n, <size_t>1 << view.path_width, splice.removed, splice.place)
    store_number(room, 0, view.path_width, splice.after.path)
    out += <size_t>n << view.path_width
    room = patch_column(out, view.types, view.n, 1, splice.removed, splice.place)
    room[0] = splice.after.code | splice.after.kind << 4
    out += n
    stamps = out
    room = patch_column(out, view.stamps, view.n, 1, splice.removed, splice.place)
    if splice.stamp < view.m:
        for at in range(n):
            stamps[at] -= stamps[at] > splice.stamp
    room[0] = <unsigned char>(m - 1)
    out += n
    slots = out
    room = patch_column(out, view.slots, view.n, 8, splice.removed, splice.place)
    memcpy(room, &splice.after.slot, 8)
    out += 8 * <size_t>n
    room = patch_column(out, view.replicas, view.m, <size_t>1 << view.replica_width, splice.stamp, view.m)
    store_number(room, 0, view.replica_width, splice.after.replica)
    out += <size_t>m << view.replica_width
    room = patch_column(out, view.timestamps, view.m, 8, splice.stamp, view.m)
    memcpy(room, &splice.after.timestamp, 8)
    out += 8 * <size_t>m
    if patch_heap(view, splice, slots, out):
        return -1
    scratch.out_length = (out - scratch.out) + view.heap_length + splice.after.heap_length
    if splice.removed < view.n:
        scratch.out_length -= splice.before.heap_length
    return 0


cdef int patch_heap(const DocumentView *view, const Splice *splice, unsigned char *slots,
                    unsigned char *heap) noexcept nogil:
    """Copy the heap with the removed value cut out and the new one put in, and move the slots that point behind.

    -1 for values that do not lie in the order of their entries: no pack has written those.
    """
    cdef size_t cut = view.heap_length, cut_length = 0, place = view.heap_length
    cdef size_t length = splice.after.heap_length
    cdef uint32_t at, row
    cdef uint64_t slot
    cdef bint removed = splice.removed < view.n
    for at in range(splice.place, view.n):
        if view.types[at] >> 4 >= KIND_STRING:
            place = load_u32(view.slots + 8 * <size_t>at)
            break
    if removed and splice.before.heap_length:
        cut = splice.before.heap - view.heap
        cut_length = splice.before.heap_length
    if place > view.heap_length or (cut_length and cut + cut_length > place):
        return -1
    if cut_length or length:
        for at in range(splice.removed + 1 if removed else splice.place, view.n):
            if view.types[at] >> 4 >= KIND_STRING:
                row = at + 1 - removed if at >= splice.place else at - removed
                slot = load_u64(slots + 8 * <size_t>row) - cut_length + (length if at >= splice.place else 0)
                memcpy(slots + 8 * <size_t>row, &slot, 8)
    elif splice.after.kind < KIND_STRING:
        memcpy(heap, view.heap, view.heap_length)
        return 0
    if splice.after.kind >= KIND_STRING:
        slot = <uint64_t>(place - cut_length) | <uint64_t>length << 32
        memcpy(slots + 8 * <size_t>(splice.place - removed), &slot, 8)
    if cut_length == 0:
        cut = place
    memcpy(heap, view.heap, cut)
    memcpy(heap + cut, view.heap + cut + cut_length, place - cut - cut_length)
    memcpy(heap + place - cut_length, splice.after.heap, length)
    memcpy(heap + place - cut_length + length, view.heap + place, view.heap_length - place)
    return 0
