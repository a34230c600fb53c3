# Twin of replace_entries in crdtstore/storage/index_entries.py: entries kept back, put in the order of their keys.
#
# Rules: keys that lie near each other are put one after the other, so the cursor most often stands in their page
# already. No two keys are alike: each ends in the id of another document, or is of another index or column. Include
# after `lmdb_batch.pxi`.

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef struct IndexRow:
    uint64_t first                     # of the key, 16 bytes as they sort
    uint64_t second
    uint32_t at                        # in the block: key and value
    uint16_t key_size
    uint16_t value_size

cdef struct IndexRows:
    IndexRow *rows
    size_t rows_size
    IndexRow *merged                   # as many, while they are sorted
    size_t merged_size
    uint32_t count
    unsigned char *block
    size_t block_size
    size_t length


cdef void index_rows_free(IndexRows *rows) noexcept:
    free(rows.rows)
    free(rows.merged)
    free(rows.block)


cdef int index_rows_add(IndexRows *rows, const unsigned char *key, size_t key_size, const unsigned char *value,
                        size_t value_size) except -1:
    """Keep an entry back; neither side is longer than INDEX_KEY_BYTES."""
    cdef unsigned char beginning[16]
    cdef IndexRow *row
    grow(<void **>&rows.rows, &rows.rows_size, (rows.count + 1) * sizeof(IndexRow))
    grow(<void **>&rows.block, &rows.block_size, rows.length + key_size + value_size)
    memset(beginning, 0, 16)
    memcpy(beginning, key, min(key_size, <size_t>16))
    row = rows.rows + rows.count
    row.first, row.second = be64(beginning), be64(beginning + 8)
    row.at, row.key_size, row.value_size = <uint32_t>rows.length, <uint16_t>key_size, <uint16_t>value_size
    memcpy(rows.block + rows.length, key, key_size)
    memcpy(rows.block + rows.length + key_size, value, value_size)
    rows.length += key_size + value_size
    rows.count += 1
    return 0


cdef inline bint index_row_is_behind(
    const unsigned char *block, const IndexRow *one, const IndexRow *other
) noexcept nogil:
    """Whether the first of two entries sorts behind the second."""
    if one.first != other.first:
        return one.first > other.first
    if one.second != other.second:
        return one.second > other.second
    return compare_bytes(block + one.at, one.key_size, block + other.at, other.key_size) > 0


cdef int index_rows_sort(IndexRows *rows) except -1:
    """Sort the entries by their keys: runs of one, of two, of four are merged."""
    cdef size_t width = 1, start, count = rows.count
    grow(<void **>&rows.merged, &rows.merged_size, rows.rows_size)
    while width < count:
        start = 0
        while start < count:
            index_rows_merge(rows, start, min(start + width, count), min(start + 2 * width, count))
            start += 2 * width
        rows.rows, rows.merged = rows.merged, rows.rows
        rows.rows_size, rows.merged_size = rows.merged_size, rows.rows_size
        width *= 2
    return 0


cdef void index_rows_merge(IndexRows *rows, size_t left, size_t right, size_t end) noexcept nogil:
    """Merge two sorted runs, the second from `right` to before `end`; most often all of one stands before the other."""
    cdef size_t at = left, behind = right
    cdef const IndexRow *from_ = rows.rows
    cdef IndexRow *to = rows.merged + left
    if behind == end or not index_row_is_behind(rows.block, from_ + right - 1, from_ + right):
        memcpy(to, from_ + left, (end - left) * sizeof(IndexRow))
        return
    while at < right and behind < end:
        if index_row_is_behind(rows.block, from_ + at, from_ + behind):
            to[0] = from_[behind]
            behind += 1
        else:
            to[0] = from_[at]
            at += 1
        to += 1
    memcpy(to, from_ + at, (right - at) * sizeof(IndexRow))
    memcpy(to + (right - at), from_ + behind, (end - behind) * sizeof(IndexRow))


cdef int index_rows_put(IndexRows *rows, Batch batch, int table) except -1:
    """Put all entries that were kept back."""
    cdef const IndexRow *row
    cdef const unsigned char *key
    cdef lmdb_cursor *cursor
    cdef uint32_t at
    if not rows.count:
        return 0
    index_rows_sort(rows)
    cursor = batch_cursor_c(batch, table)
    try:
        for at in range(rows.count):
            row = rows.rows + at
            key = rows.block + row.at
            batch_put_near_c(batch, cursor, table, key, row.key_size, key + row.key_size, row.value_size, 0)
    finally:
        lmdb_close_cursor(cursor)
    rows.count, rows.length = 0, 0
    return 0
