# Twin of read_ranges, read_documents and read_indexed in crdtstore/query/source.py: the documents of a source.
#
# Rules: rows, entries and documents are read where they lie in the map, and stay there as long as the snapshot: what
# ends in `_c` needs the GIL, or to stand between snapshot_enter and snapshot_leave. Entries of descending columns are
# turned round where one fetch holds a whole column; a longer one is read ahead, from its first entry.
# Include after `search_came.pxi`.

cimport cython
from libc.stdint cimport UINT64_MAX, uint64_t
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from time import monotonic as search_monotonic

from crdtstore import errors, limits

cdef enum:
    SEARCH_HEAD_BYTES = 5              # of an entry's key: the index's number, and the part
    SEARCH_HASH_BYTES = 16
    SEARCH_PREFIX_BYTES = 4            # a collection's number
    SEARCH_KEY_BYTES = 512
    SEARCH_CLOCK_ROWS = 256            # between two looks at the clock, a power of two

cdef enum:                             # what a step of a search has come to
    SEARCH_END = 0
    SEARCH_FOUND = 1                   # a document, or one that matches
    SEARCH_PAUSE = 2                   # so many rows were read that others have their turn
    SEARCH_ASK = 3                     # only the plain twin tells whether the document matches
    SEARCH_ASK_KEY = 4                 # only the plain twin makes the document's sort key

cdef size_t search_id_key_bytes_max = limits.KEY_PREFIX_BYTES - SEARCH_PREFIX_BYTES + SEARCH_HASH_BYTES

cdef struct SearchRange:
    lmdb_value start
    lmdb_value end

cdef struct SearchRow:
    # A living document: where its id key, its id and its bytes lie.
    lmdb_value key
    lmdb_value id_
    lmdb_value document
    DocumentView view


@cython.final
@cython.no_gc
cdef class SearchSource:
    """The documents of a source, read one by one."""

    cdef Snapshot snapshot
    cdef Scan scan                     # of the range that is read
    cdef tuple held                    # the ranges, and the one ahead
    cdef SearchRange *ranges
    cdef size_t count
    cdef size_t next_range
    cdef int documents                 # the table of documents
    cdef lmdb_path near                # to the document that was looked up last: the next one often stands beside it
    cdef bint indexed
    cdef bint repeats
    cdef bint descending
    cdef SearchCame came
    cdef size_t came_max
    cdef unsigned char key[SEARCH_KEY_BYTES]       # of the document that an entry leads to
    cdef uint64_t rows                 # documents that were looked at
    cdef uint64_t entries              # index entries that were read
    cdef uint64_t left                 # rows that may be read before the next pause
    cdef lmdb_row last                 # that was read
    cdef double deadline               # of `search_clock`; INFINITY: there is none
    # Of descending entries: those of one column that are still to be given, either `column_at` down to `column_start`
    # among the fetched ones, or those of a scan ahead.
    cdef int column_start
    cdef int column_at
    cdef Scan ahead
    cdef bint is_ahead
    cdef unsigned char column[SEARCH_KEY_BYTES]    # where the long column begins
    cdef unsigned char behind[SEARCH_KEY_BYTES]    # the key behind its last entry

    def __dealloc__(self):
        free(self.ranges)


cdef SearchSource search_source(Snapshot snapshot, int documents, bytes prefix, source, double deadline):
    """Open a source; see `Source` of the plain twin. All has to be read by a deadline of Python's monotonic clock."""
    cdef SearchSource self = SearchSource.__new__(SearchSource)
    cdef int table
    table, ranges, self.repeats, self.descending, ahead, came = source
    self.scan = snapshot_scan_c(snapshot, table, b"", b"")
    search_begin(self, snapshot, documents, prefix, table)
    if self.repeats:
        self.came, self.came_max = SearchCame() if came is None else came, limits.SEARCH_REPEATS_MAX
    if self.descending and self.indexed:
        self.ahead = snapshot_scan_c(snapshot, table, b"", b"")
    search_set_ranges(self, tuple(ranges), ahead)
    self.deadline = INFINITY if deadline == INFINITY else search_clock() + (deadline - <double>search_monotonic())
    return self


cdef int search_begin(SearchSource self, Snapshot snapshot, int documents, bytes prefix, int table) except -1:
    """Begin with the first range, whatever was read before."""
    if PyBytes_GET_SIZE(prefix) != SEARCH_PREFIX_BYTES:
        raise ValueError("A collection's prefix has 4 bytes.")
    memcpy(self.key, PyBytes_AS_STRING(prefix), SEARCH_PREFIX_BYTES)
    self.snapshot, self.documents, self.indexed = snapshot, documents, table != documents
    self.near.depth = -1
    self.scan.snapshot, self.scan.table, self.scan.writes = snapshot, table, snapshot.writes
    self.scan.range.exhausted = True
    self.scan.range.count = self.scan.range.damage = self.scan.given = 0
    self.next_range = self.rows = self.entries = 0
    return 0


cdef int search_set_ranges(SearchSource self, tuple ranges, ahead) except -1:
    """Take the keys of the ranges, and of the rest of a column ahead of them."""
    cdef bytes start, end
    cdef SearchRange *range_
    cdef lmdb_value first, behind
    self.held = (ranges, ahead)
    self.ranges = <SearchRange *>malloc(len(ranges) * sizeof(SearchRange) + 1)
    if self.ranges == NULL:
        raise MemoryError
    for start, end in ranges:
        range_ = &self.ranges[self.count]
        range_.start.data, range_.start.size = PyBytes_AS_STRING(start), PyBytes_GET_SIZE(start)
        range_.end.data, range_.end.size = PyBytes_AS_STRING(end), PyBytes_GET_SIZE(end)
        self.count += 1
    if ahead is not None:
        if self.ahead is None:
            raise ValueError("Only descending entries have a column ahead.")
        start, end = ahead
        first.data, first.size = PyBytes_AS_STRING(start), PyBytes_GET_SIZE(start)
        behind.data, behind.size = PyBytes_AS_STRING(end), PyBytes_GET_SIZE(end)
        scan_restart_c(self.ahead, &first, &behind, False)
        self.is_ahead = True
    return 0


# --- the deadline ---


cdef inline double search_clock() noexcept nogil:
    """Seconds that passed since whenever."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef inline int search_check_deadline(SearchSource self) except -1 nogil:
    """Stop a search that takes too long."""
    if self.deadline < INFINITY and search_clock() > self.deadline:
        search_raise_late()
    return 0


cdef int search_raise_late() except -1 with gil:
    raise errors.StatementTimeout(
        "The search was stopped at its deadline; an index, a narrower condition or more time would help."
    )


# --- rows ---


cdef lmdb_row *search_stored_c(SearchSource self) except? NULL nogil:
    """The next row of the ranges; NULL: there is none."""
    cdef lmdb_row *row
    if self.scan.writes != self.snapshot.writes:
        # The rows of a column that was fetched may have moved.
        scan_raise_written()
    while True:
        if self.descending and self.indexed:
            row = search_back_c(self)
        else:
            row = scan_next_c(self.scan)
        if row is not NULL or self.next_range == self.count:
            return row
        scan_restart_c(
            self.scan, &self.ranges[self.next_range].start, &self.ranges[self.next_range].end, self.descending
        )
        self.next_range += 1


cdef lmdb_row *search_back_c(SearchSource self) except? NULL nogil:
    """The next entry of a range that is read column by column from its end."""
    cdef lmdb_row *row
    while True:
        if self.is_ahead:
            row = scan_next_c(self.ahead)
            if row is not NULL:
                return row
            self.is_ahead = False
        if self.column_at > self.column_start:
            self.column_at -= 1
            return &self.scan.range.rows[self.column_at]
        row = scan_next_c(self.scan)
        if row is NULL:
            return NULL
        search_column(self, row)


cdef int search_column(SearchSource self, const lmdb_row *last) except -1 nogil:
    """Set out to read the column of an entry that stands last in it."""
    cdef size_t size = last.key.size - search_entry(self, last)
    cdef int first = self.scan.given - 1
    cdef int end = self.scan.given
    while end < self.scan.range.count and search_is_column(self, &self.scan.range.rows[end], last, size):
        end += 1
    self.scan.given = self.column_at = end
    self.column_start = first
    if end == self.scan.range.count and (self.scan.range.damage or not self.scan.range.exhausted):
        search_ahead(self, last, size)
    return 0


cdef bint search_is_column(
    SearchSource self, const lmdb_row *row, const lmdb_row *other, size_t size
) except -1 nogil:
    """Whether an entry stands in the column that takes so many bytes of another one's key."""
    if row.key.size - search_entry(self, row) != size:
        return False
    return memcmp(row.key.data, other.key.data, size) == 0


cdef int search_ahead(SearchSource self, const lmdb_row *last, size_t size) except -1 nogil:
    """Read a column from its first entry to its last, and go on before it."""
    cdef SearchRange *range_ = &self.ranges[self.next_range - 1]
    cdef lmdb_value start, end
    memcpy(self.column, last.key.data, size)
    memcpy(self.behind, last.key.data, last.key.size)
    self.behind[last.key.size] = 0
    start.data, start.size = self.column, size
    end.data, end.size = self.behind, last.key.size + 1
    scan_restart_c(self.scan, &range_.start, &start, True)
    if start.size < range_.start.size and memcmp(range_.start.data, start.data, start.size) == 0:
        start = range_.start
    scan_restart_c(self.ahead, &start, &end, False)
    self.column_at = self.column_start = 0
    self.is_ahead = True
    return 0


# --- entries ---


cdef size_t search_entry(SearchSource self, const lmdb_row *row) except 0 nogil:
    """How many bytes of an entry's key are its id, or the hash of one that is long: such an id ends its value."""
    cdef const unsigned char *value = <const unsigned char *>row.value.data
    cdef size_t length = value[0] if row.value.size else 0
    cdef size_t hashed = row.value.size - 1
    if row.value.size and length == 0 and 0 < hashed <= search_id_key_bytes_max:
        length, hashed = SEARCH_HASH_BYTES, 0
    if length == 0 or hashed or SEARCH_HEAD_BYTES + length > row.key.size:
        search_raise_entry(self, row)
    return length


cdef int search_raise_entry(SearchSource self, const lmdb_row *row) except -1 with gil:
    name = self.snapshot.environment.names[self.scan.table]
    key = PyBytes_FromStringAndSize(<const char *>row.key.data, <Py_ssize_t>row.key.size)
    raise errors.Corrupted(name, key, "it is no index entry")


cdef int search_came(SearchSource self, const lmdb_value *key) except -1 nogil:
    """Whether a document came already; remembers that it has."""
    cdef int new = came_add(&self.came.came, <const unsigned char *>key.data, key.size)
    if new < 0:
        search_raise_memory()
    if self.came.came.count > self.came_max:
        search_raise_repeats(self.came_max)
    return not new


cdef int search_raise_repeats(size_t maximum) except -1 with gil:
    raise errors.LimitExceeded(
        f"The index leads to more than {maximum} documents, each of them maybe more than once: "
        "ask for fewer, or without this index.",
        limit="SEARCH_REPEATS_MAX", value=maximum + 1, maximum=maximum,
    )


cdef int search_raise_memory() except -1 with gil:
    raise MemoryError


# --- documents ---


cdef int search_next_c(SearchSource self, SearchRow *found) except -2 nogil:
    """Find the next living document: SEARCH_FOUND, SEARCH_PAUSE or SEARCH_END."""
    cdef lmdb_row *row
    while self.left:
        self.left -= 1
        if self.left & (SEARCH_CLOCK_ROWS - 1) == 0:
            search_check_deadline(self)
        row = search_stored_c(self)
        if row is NULL:
            return SEARCH_END
        self.last = row[0]
        if self.indexed:
            if not search_look_up(self, row, found):
                continue
        else:
            if row.key.size <= SEARCH_PREFIX_BYTES:
                search_raise_cut()
            found.key.data = <unsigned char *>row.key.data + SEARCH_PREFIX_BYTES
            found.key.size = row.key.size - SEARCH_PREFIX_BYTES
            search_split(self, row.key.size, &row.value, found)
        if document_is_grave(&found.view):
            if self.indexed:
                search_raise_absent(self, found.key.size)
            continue
        self.rows += 1
        return SEARCH_FOUND
    return SEARCH_PAUSE


cdef int search_look_up(SearchSource self, const lmdb_row *row, SearchRow *found) except -1 nogil:
    """Read the document that an entry leads to; 0: it came already."""
    cdef size_t length = search_entry(self, row)
    self.entries += 1
    found.key.data, found.key.size = <unsigned char *>row.key.data + row.key.size - length, length
    if row.value.size > 1:
        found.key.data, found.key.size = <unsigned char *>row.value.data + 1, row.value.size - 1
    if self.repeats and search_came(self, &found.key):
        return 0
    search_get(self, found)
    return 1


cdef int search_get(SearchSource self, SearchRow *found) except -1 nogil:
    """Read the document of an id key."""
    cdef size_t length = SEARCH_PREFIX_BYTES + found.key.size
    cdef lmdb_value value
    memcpy(self.key + SEARCH_PREFIX_BYTES, found.key.data, found.key.size)
    if not snapshot_find_c(self.snapshot, self.documents, self.key, length, &self.near, &value):
        search_raise_absent(self, found.key.size)
    return search_split(self, length, &value, found)


cdef int search_raise_absent(SearchSource self, size_t key_length) except -1 with gil:
    key = PyBytes_FromStringAndSize(<const char *>self.key, <Py_ssize_t>(SEARCH_PREFIX_BYTES + key_length))
    raise errors.Corrupted("documents", key, "an index leads to it, and it does not exist")


cdef int search_split(SearchSource self, size_t key_length, const lmdb_value *value, SearchRow *found) except -1 nogil:
    """split_row: the id and document of a stored row; opens the document."""
    cdef const unsigned char *text = <const unsigned char *>value.data
    cdef size_t length
    found.id_, found.document = found.key, value[0]
    if key_length > APPLY_KEY_MAX:
        length = text[0] | <size_t>text[1] << 8 if value.size >= 2 else value.size
        if length + 2 > value.size:
            search_raise_cut()
        found.id_.data, found.id_.size = <void *>(text + 2), length
        found.document.data, found.document.size = <void *>(text + 2 + length), value.size - 2 - length
    if document_open(<const unsigned char *>found.document.data, found.document.size, &found.view):
        search_raise_cut()
    return 0


cdef int search_raise_cut() except -1 with gil:
    raise damaged("its bytes are cut short")
