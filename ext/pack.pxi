# Twin of pack_document in crdtstore/crdt/document_bytes.py: live rows laid out as document bytes.

cdef enum:
    SORT_MOVES_MAX = 32                # rows out of place beyond which sorting all is quicker

cdef int compare_rows(const void *left, const void *right) noexcept nogil:
    """The order of entries: path, type, the cell's stamp, a total behind its cell, its own stamp."""
    cdef const Row *a = <const Row *>left
    cdef const Row *b = <const Row *>right
    if a.path != b.path:
        return -1 if a.path < b.path else 1
    if type_of(a.code) != type_of(b.code):
        return -1 if type_of(a.code) < type_of(b.code) else 1
    if a.cell_timestamp != b.cell_timestamp:
        return -1 if a.cell_timestamp < b.cell_timestamp else 1
    if a.cell_replica != b.cell_replica:
        return -1 if a.cell_replica < b.cell_replica else 1
    if (a.code == CODE_TOTAL) != (b.code == CODE_TOTAL):
        return 1 if a.code == CODE_TOTAL else -1
    if a.timestamp != b.timestamp:
        return -1 if a.timestamp < b.timestamp else 1
    return -1 if a.replica < b.replica else a.replica > b.replica


cdef void sort_rows() noexcept nogil:
    """Rows come sorted but for the last few, which were added: those are moved to their places."""
    cdef size_t at = 1, low
    cdef Row row
    while at < scratch.count and compare_rows(scratch.rows + at - 1, scratch.rows + at) < 0:
        at += 1
    if scratch.count - at > SORT_MOVES_MAX:
        qsort(scratch.rows, scratch.count, sizeof(Row), compare_rows)
        return
    for at in range(at, scratch.count):
        row = scratch.rows[at]
        low = at
        while low and compare_rows(scratch.rows + low - 1, &row) > 0:
            low -= 1
        memmove(scratch.rows + low + 1, scratch.rows + low, (at - low) * sizeof(Row))
        scratch.rows[low] = row


cdef size_t drop_dead() noexcept nogil:
    """Move the live rows together; returns how many there are."""
    cdef size_t at, kept = 0
    for at in range(scratch.count):
        if not scratch.rows[at].dead:
            if kept != at:
                scratch.rows[kept] = scratch.rows[at]
            kept += 1
    scratch.count = kept
    return kept


cdef list resolve_paths(dict numbers, list texts, Py_ssize_t maximum):
    """Give every row its path number, new ones in the order of the rows; returns the sorted local paths."""
    cdef size_t at
    cdef Row *row
    cdef bytes text
    cdef list local = None
    for at in range(scratch.count):
        row = scratch.rows + at
        if row.path != UNRESOLVED or row.code == CODE_TOTAL:
            continue
        row.path = find_path(numbers, texts, row.text, row.text_length)
        if row.path == UNRESOLVED:
            text = PyBytes_FromStringAndSize(<const char *>row.text, row.text_length)
            if PyList_GET_SIZE(texts) < maximum:
                row.path = <uint32_t>PyList_GET_SIZE(texts)
                numbers[text] = row.path
                texts.append(text)
            else:
                local = local or []
                local.append(text)
    if local:
        local = sorted(set(local))
    number_others(numbers, texts, local)
    return local


cdef int number_others(dict numbers, list texts, list local) except -1:
    """Number the rows that are left: totals, and the paths that the dictionary has no room for."""
    cdef size_t at
    cdef Row *row
    cdef bytes text
    for at in range(scratch.count):
        row = scratch.rows + at
        if row.path != UNRESOLVED:
            continue
        row.path = find_path(numbers, texts, row.text, row.text_length)
        if row.path == UNRESOLVED:
            text = PyBytes_FromStringAndSize(<const char *>row.text, row.text_length)
            row.path = <uint32_t>(DOCUMENT_LOCAL_PATH | <uint32_t>local.index(text))
    return 0


cdef size_t place_stamps(const Merge *merge, const DocumentView *view, uint32_t *replica_max) except? 0:
    """Number the stamps that live rows use, the transaction's among them; returns how many there are.

    The document's stamps are sorted, and only one can be new: places[i] is where the i-th goes, places[m] the new one.
    """
    cdef uint32_t m = view.m if view != NULL else 0
    cdef uint32_t at, number = 0
    cdef uint32_t *places
    cdef bint fresh                    # the transaction's stamp is used and has no place yet
    grow(<void **>&scratch.places, &scratch.places_size, (m + 1) * sizeof(uint32_t))
    places = scratch.places
    memset(places, 0, (m + 1) * sizeof(uint32_t))
    for at in range(<uint32_t>scratch.count):
        if scratch.rows[at].stamp == STAMP_NEW:
            scratch.rows[at].stamp = m
        places[scratch.rows[at].stamp] = 1
        replica_max[0] = max(replica_max[0], scratch.rows[at].replica)
    fresh = places[m]
    for at in range(m):
        if fresh and stamp_is_later(merge, view, at):
            places[m] = number
            number += 1
            fresh = False
        if places[at]:
            places[at] = number
            number += 1
    if fresh:
        places[m] = number
        number += 1
    return number


cdef inline bint stamp_is_later(const Merge *merge, const DocumentView *view, uint32_t at) noexcept nogil:
    """Whether a stamp of the document comes behind the transaction's."""
    cdef uint64_t timestamp = load_u64(view.timestamps + 8 * <size_t>at)
    if timestamp != merge.timestamp:
        return timestamp > merge.timestamp
    return load_number(view.replicas, at, view.replica_width) > merge.replica


cdef int pack_rows(const Merge *merge, const DocumentView *view, list local) except -1:
    """pack_entries: the sorted, numbered rows as document bytes, into scratch.out."""
    cdef size_t n = scratch.count
    cdef size_t at, heap_length = 0, size, heap_at = 0
    cdef uint32_t replica_max = 0
    cdef size_t m = place_stamps(merge, view, &replica_max)
    cdef uint32_t local_count = <uint32_t>len(local) if local else 0
    cdef int path_width = width_for(scratch.rows[n - 1].path)
    cdef int stamp_width = width_for(<uint32_t>(m - 1))
    cdef int replica_width = width_for(replica_max)
    cdef unsigned char *out
    cdef unsigned char *heap
    cdef bytes text
    for at in range(n):
        heap_length += scratch.rows[at].heap_length
    if local:
        for text in local:
            heap_length += len(text)
    size = DOCUMENT_HEADER_BYTES + (n << path_width) + n + (n << stamp_width) + 8 * n + (m << replica_width) + 8 * m
    size += 4 + 8 * <size_t>local_count if local_count else 0
    grow(<void **>&scratch.out, &scratch.out_size, size + heap_length)
    scratch.out_length = size + heap_length
    out = scratch.out
    heap = out + size
    out[0] = DOCUMENT_FORMAT
    out[1] = <unsigned char>(
        path_width | stamp_width << 2 | replica_width << 4 | (DOCUMENT_LOCAL_FLAG if local_count else 0)
    )
    out[2] = out[3] = 0
    store_number(out + 4, 0, 2, <uint32_t>n)
    store_number(out + 8, 0, 2, <uint32_t>m)
    if local_count:
        pack_local(heap - 8 * <size_t>local_count - 4, heap, local, &heap_at)
    pack_columns(out + DOCUMENT_HEADER_BYTES, heap, heap_at, n, m, path_width, stamp_width, replica_width)
    return 0


cdef int pack_local(unsigned char *directory, unsigned char *heap, list local, size_t *heap_at) except -1:
    """The local paths: how many, where each lies, and their texts at the heap's start."""
    cdef bytes text
    cdef uint32_t at = 0
    store_number(directory, 0, 2, <uint32_t>len(local))
    for text in local:
        store_number(directory + 4, 2 * at, 2, <uint32_t>heap_at[0])
        store_number(directory + 4, 2 * at + 1, 2, <uint32_t>len(text))
        memcpy(heap + heap_at[0], PyBytes_AS_STRING(text), len(text))
        heap_at[0] += len(text)
        at += 1
    return 0


cdef void pack_columns(unsigned char *out, unsigned char *heap, size_t heap_at, size_t n, size_t m,
                       int path_width, int stamp_width, int replica_width) noexcept nogil:
    """The columns, one behind the other, and the values' heap; a stamp is written by each row that uses it."""
    cdef unsigned char *types = out + (n << path_width)
    cdef unsigned char *stamps = types + n
    cdef unsigned char *slots = stamps + (n << stamp_width)
    cdef unsigned char *replicas = slots + 8 * n
    cdef unsigned char *timestamps = replicas + (m << replica_width)
    cdef uint32_t at, stamp
    cdef const Row *row
    cdef uint64_t slot
    for at in range(<uint32_t>n):
        row = scratch.rows + at
        stamp = scratch.places[row.stamp]
        store_number(out, at, path_width, row.path)
        types[at] = row.code | row.kind << 4
        store_number(stamps, at, stamp_width, stamp)
        store_number(replicas, stamp, replica_width, row.replica)
        memcpy(timestamps + 8 * <size_t>stamp, &row.timestamp, 8)
        slot = row.slot
        if row.kind >= KIND_STRING:
            slot = <uint64_t>heap_at | <uint64_t>row.heap_length << 32
            memcpy(heap + heap_at, row.heap, row.heap_length)
            heap_at += row.heap_length
        memcpy(slots + 8 * <size_t>at, &slot, 8)
