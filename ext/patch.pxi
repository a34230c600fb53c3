# Twin of register.write in crdtstore/crdt/register.py, for its commonest case: one register over the one it observed.
#
# The bytes are copied and patched, no row is made. It holds only when everything else keeps its place: one live
# register of that path and nothing to widen. In every other case merge_patch says no, has changed nothing, and the
# general merge does the same work (`tests/core/test_merge_twins.py` compares both with the plain core).


cdef int merge_patch(Merge *merge, const DocumentView *view, const unsigned char *document, size_t document_length,
                     Cursor *start, dict numbers, list texts, list replica_texts) except -1:
    """Patch a single write into scratch.out; returns 1 when it was done, 0 when the general merge must."""
    cdef Cursor cursor = start[0]
    cdef uint32_t fields, path, number
    cdef uint64_t code
    cdef const unsigned char *text
    cdef size_t length
    cdef Row before
    cdef Row after
    if read_array(&cursor, &fields) or fields != 3 or read_unsigned(&cursor, &code) or code != 1:
        return 0
    if read_binary(&cursor, &text, &length) or read_row_value(&cursor, &after):
        return 0
    path = find_path(numbers, texts, text, length)
    number = patch_place(view, path)
    if number == UNRESOLVED or view.local_count:
        return 0
    load_row(view, number, merge.replica_count, &before)
    if before.code != CODE_REGISTER or not is_observed(merge, before.timestamp, before.replica):
        return 0
    after.path = path
    after.code = CODE_REGISTER
    after.timestamp = merge.timestamp
    after.replica = merge.replica
    grow(<void **>&scratch.out, &scratch.out_size, document_length + after.heap_length + 16)
    if not patch_register(view, document, document_length, number, &before, &after):
        return 0
    digest_row(merge, &before, texts, replica_texts, False)
    digest_row(merge, &after, texts, replica_texts, True)
    start[0] = cursor
    return 1


cdef inline uint32_t patch_place(const DocumentView *view, uint32_t path) noexcept nogil:
    """The one entry of a path, or UNRESOLVED when there is none or are several."""
    cdef const unsigned char *found
    cdef uint32_t low = 0, high = view.n, middle
    if path == UNRESOLVED:
        return UNRESOLVED
    if view.path_width == 0:
        if path > 255:
            return UNRESOLVED
        found = <const unsigned char *>memchr(view.paths, <int>path, view.n)
        if found == NULL:
            return UNRESOLVED
        low = <uint32_t>(found - view.paths)
    else:
        while low < high:
            middle = (low + high) >> 1
            if load_number(view.paths, middle, view.path_width) < path:
                low = middle + 1
            else:
                high = middle
        if low == view.n or load_number(view.paths, low, view.path_width) != path:
            return UNRESOLVED
    if low + 1 < view.n and load_number(view.paths, low + 1, view.path_width) == path:
        return UNRESOLVED
    return low


cdef inline bint patch_fits(const DocumentView *view, uint32_t stamp, bint shared, const Row *after) noexcept nogil:
    """Whether the new stamp comes last and no column changes its width."""
    cdef uint32_t at, replica, highest = after.replica
    cdef uint64_t newest = load_u64(view.timestamps + 8 * <size_t>(view.m - 1))
    if after.timestamp <= newest or view.m + shared > PATCH_STAMPS_MAX or view.stamp_width:
        return False
    if view.replica_width == 0:
        return after.replica < 256
    for at in range(view.m):
        replica = load_number(view.replicas, at, view.replica_width)
        if replica > highest and (shared or at != stamp):
            highest = replica
    return width_for(highest) == view.replica_width


cdef bint patch_register(const DocumentView *view, const unsigned char *document, size_t document_length,
                         uint32_t number, const Row *before, const Row *after) noexcept nogil:
    """Copy document bytes with one register's value and stamp replaced; 0 when something would have to widen."""
    cdef uint32_t stamp = view.stamps[number]
    cdef bint shared = (
        memchr(view.stamps, stamp, number) != NULL
        or memchr(view.stamps + number + 1, stamp, view.n - number - 1) != NULL
    )
    cdef size_t columns = view.replicas - document
    cdef size_t width = <size_t>1 << view.replica_width
    cdef uint32_t m = view.m + shared
    cdef unsigned char *out = scratch.out
    cdef unsigned char *stamps = out + (view.stamps - document)
    cdef uint32_t at
    if not patch_fits(view, stamp, shared, after):
        return False
    memcpy(out, document, columns)
    memcpy(out + 8, &m, 4)
    out[(view.types - document) + number] = CODE_REGISTER | after.kind << 4
    if not shared:
        for at in range(view.n):
            stamps[at] -= stamps[at] > stamp
    stamps[number] = <unsigned char>(m - 1)
    out += columns
    if shared:
        memcpy(out, view.replicas, view.m * width)
        store_number(out, m - 1, view.replica_width, after.replica)
        out += m * width
        memcpy(out, view.timestamps, 8 * <size_t>view.m)
    else:
        memcpy(out, view.replicas, stamp * width)
        memcpy(out + stamp * width, view.replicas + (stamp + 1) * width, (m - 1 - stamp) * width)
        store_number(out, m - 1, view.replica_width, after.replica)
        out += m * width
        memcpy(out, view.timestamps, 8 * <size_t>stamp)
        memcpy(out + 8 * <size_t>stamp, view.timestamps + 8 * <size_t>(stamp + 1), 8 * <size_t>(m - 1 - stamp))
    memcpy(out + 8 * <size_t>(m - 1), &after.timestamp, 8)
    out += 8 * <size_t>m
    patch_value(view, scratch.out + (view.slots - document), out, number, before, after)
    scratch.out_length = (out - scratch.out) + view.heap_length - before.heap_length + after.heap_length
    return True


cdef inline void patch_value(const DocumentView *view, unsigned char *slots, unsigned char *heap, uint32_t number,
                             const Row *before, const Row *after) noexcept nogil:
    """Put the value into its slot or its place in the heap, and move what lies behind it."""
    cdef size_t place = view.heap_length
    cdef uint32_t at, first = number
    cdef uint64_t slot = after.slot
    cdef uint64_t moved
    cdef int64_t shift = <int64_t>after.heap_length - <int64_t>before.heap_length
    if before.kind < KIND_STRING and after.kind < KIND_STRING:
        memcpy(slots + 8 * <size_t>number, &slot, 8)
        memcpy(heap, view.heap, view.heap_length)
        return
    if before.kind >= KIND_STRING:
        place = before.heap - view.heap
    else:
        for at in range(number + 1, view.n):
            if view.types[at] >> 4 >= KIND_STRING:
                place = load_u32(view.slots + 8 * <size_t>at)
                break
    if after.kind >= KIND_STRING:
        slot = <uint64_t>place | <uint64_t>after.heap_length << 32
    memcpy(slots + 8 * <size_t>number, &slot, 8)
    for at in range(first + 1, view.n):
        if view.types[at] >> 4 >= KIND_STRING:
            moved = load_u64(slots + 8 * <size_t>at)
            moved = moved & <uint64_t>0xFFFFFFFF00000000 | <uint32_t>(<uint32_t>moved + shift)
            memcpy(slots + 8 * <size_t>at, &moved, 8)
    memcpy(heap, view.heap, place)
    memcpy(heap + place, after.heap, after.heap_length)
    memcpy(
        heap + place + after.heap_length, view.heap + place + before.heap_length,
        view.heap_length - place - before.heap_length,
    )
