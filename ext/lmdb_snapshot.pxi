# Twin of crdtstore/storage/adapter_snapshot.py: read views of a store over LMDB, and scans of them.
#
# A scan fetches some rows at a time, checks their seals and their order, and gives them one by one from where
# they stand in the map. No cursor outlives a fetch, so that none dangles when the view is closed.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from crdtstore import errors


@cython.freelist(8)
@cython.no_gc_clear
cdef class Snapshot:
    """A read view that never changes: any thread may use it, one at a time."""

    cdef lmdb_txn *txn                  # NULL once ended
    cdef Environment environment
    cdef void *newer
    cdef void *older
    cdef bint busy                      # a section without the GIL uses it now
    cdef lmdb_trees trees               # of its commit; of a batch none
    cdef size_t writes                  # of a batch: a scan goes on only while it stays the same
    cdef unsigned int begun             # batches until then, and one; 0: it may be of a commit that is not the newest

    def __init__(self):
        raise TypeError("Snapshots and batches are opened by an environment.")

    def __dealloc__(self):
        snapshot_end(self)

    def get(self, int table, bytes key not None):
        """Return the value of a key, or None.

        Raises:
            Corrupted: the value fails its seal.
            LimitExceeded: the key is empty or longer than `KEY_BYTES_MAX`.
        """
        cdef const unsigned char *value
        cdef size_t length
        snapshot_check_alone(self)
        if snapshot_get_c(self, table, <const unsigned char*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key),
                          &value, &length):
            return PyBytes_FromStringAndSize(<const char*>value, length)
        return None

    def scan(self, int table, bytes start not None=b"", bytes end=None):
        """Iterate over the rows from `start` to before `end`, in key order.

        A batch must not be written to between two rows: the next row would raise `StoreError`.

        Raises:
            Corrupted: a row fails its seal or stands out of order; the rows before it were given.
            LimitExceeded: `start` is longer than `KEY_BYTES_MAX`.
        """
        return snapshot_scan_c(self, table, start, end)

    def scan_back(self, int table, bytes start not None=b"", bytes end=None):
        """Iterate as `scan` does the other way round: from the last row before `end` down to `start`."""
        cdef Scan scan = snapshot_scan_c(self, table, start, end)
        scan.range.back = True
        return scan

    def first(self, int table):
        """Return the row with the lowest key, or None."""
        return snapshot_edge(self, table, LMDB_FIRST)

    def last(self, int table):
        """Return the row with the highest key, or None."""
        return snapshot_edge(self, table, LMDB_LAST)

    def last_key(self, int table):
        """Return the highest key, or None; its row is checked, and not copied."""
        cdef lmdb_row row
        if not snapshot_edge_c(self, table, LMDB_LAST, &row):
            return None
        return PyBytes_FromStringAndSize(<const char*>row.key.data, row.key.size)

    def count(self, int table):
        """Return the number of rows of a table."""
        cdef lmdb_statistics statistics
        cdef int code
        snapshot_check_alone(self)
        snapshot_check(self)
        lmdb_check_place(self.environment, table, 1)
        code = lmdb_stat(self.txn, self.environment.handles[table], &statistics)
        if code:
            batch_suspect(self, code)
            lmdb_raise(self.environment, table, b"", 0, code)
        return statistics.entries

    def close(self):
        """End the view; again does nothing."""
        snapshot_check_alone(self)
        snapshot_end(self)

    def __enter__(self):
        return self

    def __exit__(self, *_failure):
        self.close()


cdef void snapshot_attach(Snapshot self, Environment environment, lmdb_txn *txn) noexcept:
    self.environment, self.txn = environment, txn
    self.older, self.newer = environment.newest, NULL
    if environment.newest is not NULL:
        (<Snapshot>environment.newest).newer = <void*>self
    environment.newest = <void*>self


cdef lmdb_txn *snapshot_detach(Snapshot self) noexcept:
    """Take the transaction away, so that nobody can use it any more; the caller ends it."""
    cdef lmdb_txn *txn = self.txn
    if self.newer is not NULL:
        (<Snapshot>self.newer).older = self.older
    else:
        self.environment.newest = self.older
    if self.older is not NULL:
        (<Snapshot>self.older).newer = self.newer
    self.txn = self.newer = self.older = NULL
    return txn


cdef void snapshot_end(Snapshot self) noexcept:
    """End the transaction without a commit, by whomever and whenever; again does nothing."""
    cdef Environment environment = self.environment
    cdef lmdb_txn *txn
    if self.txn is NULL:
        return
    txn = snapshot_detach(self)
    if environment.forks != lmdb_forks:
        return
    if isinstance(self, Batch):
        batch_drop(<Batch>self, txn)
        return
    if self.trees.commit >= environment.trees.commit:
        environment.trees = self.trees
    if self.begun == environment.batches + 1 and environment.parked is NULL and not environment.closing:
        environment.parked = txn
    else:
        environment_keep(environment, txn)


cdef inline int snapshot_check(Snapshot self) except -1 nogil:
    """Refuse a snapshot that has ended, is about to end, or was inherited by fork()."""
    if self.txn is NULL or self.environment.closing or self.environment.forks != lmdb_forks:
        lmdb_raise_unusable(self)
    return 0


cdef inline int snapshot_check_alone(Snapshot self) except -1:
    """Refuse a snapshot that another thread uses without the GIL."""
    if self.busy:
        raise errors.StoreError("Another thread uses this snapshot or batch now: take one for each thread.")
    return 0


cdef int snapshot_enter(Snapshot self) except -1:
    """Announce a section without the GIL: until `snapshot_leave` the transaction and its pages stay."""
    snapshot_check_alone(self)
    snapshot_check(self)
    self.busy = True
    environment_enter(self.environment)
    return 0


cdef int snapshot_leave(Snapshot self) except -1:
    """End the section that `snapshot_enter` announced."""
    self.busy = False
    environment_leave(self.environment)
    return 0


# Puts the value's place in the map into `value` and `length`: it stands there until the transaction ends, in
# a batch until its next write. 1: found, 0: absent. Needs the GIL, or to stand between snapshot_enter and
# snapshot_leave.
cdef int snapshot_get_c(Snapshot self, int table, const unsigned char *key, size_t key_length,
                        const unsigned char **value, size_t *length) except -2 nogil:
    cdef lmdb_value found
    cdef lmdb_path path
    path.depth = -1
    if not snapshot_find_c(self, table, key, key_length, &path, &found):
        return 0
    value[0], length[0] = <const unsigned char*>found.data, found.size
    return 1


# The same for who looks up one key after the other: each from near where the path of the last one leads to. A path
# belongs to one table of one snapshot.
cdef int snapshot_find_c(Snapshot self, int table, const unsigned char *key, size_t key_length,
                         lmdb_path *path, lmdb_value *found) except -2 nogil:
    cdef lmdb_value wanted
    cdef int code
    snapshot_check(self)
    lmdb_check_place(self.environment, table, key_length)
    wanted.size, wanted.data = key_length, <void*>key
    code = lmdb_read_guarded(self.txn, table, self.environment.handles[table], self.environment.texts[table],
                             self.environment.seals[table], &self.trees, path, &wanted, found)
    if code == LMDB_NOTFOUND:
        return 0
    if code:
        batch_suspect(self, code)
        lmdb_raise(self.environment, table, key, key_length, code)
    return 1


cdef object snapshot_edge(Snapshot self, int table, int operation):
    cdef lmdb_row row
    return scan_object(&row) if snapshot_edge_c(self, table, operation, &row) else None


cdef bint snapshot_edge_c(Snapshot self, int table, int operation, lmdb_row *row) except -1:
    cdef int code
    row.key.data, row.key.size = NULL, 0
    snapshot_check_alone(self)
    snapshot_check(self)
    lmdb_check_place(self.environment, table, 1)
    code = lmdb_edge(self.txn, self.environment.handles[table], self.environment.seals[table], operation,
                     &row.key, &row.value)
    if code == LMDB_NOTFOUND:
        return False
    if code:
        batch_suspect(self, code)
        lmdb_raise(self.environment, table, <const unsigned char*>row.key.data, row.key.size, code)
    return True


# --- scans ---


@cython.final
@cython.no_gc_clear
cdef class Scan:
    """The rows of a range, in key order: fetched and checked some at a time, made into objects one by one."""

    cdef Snapshot snapshot
    cdef int table
    cdef bytes start
    cdef bytes end
    cdef lmdb_range range
    cdef int given                      # rows of the fetched ones that were given
    cdef size_t writes
    cdef unsigned char last_key[512]    # a batch's pages move: the place to go on from is copied

    def __init__(self):
        raise TypeError("Scans are opened by a snapshot or a batch.")

    def __dealloc__(self):
        free(self.range.rows)

    def __iter__(self):
        return self

    def __next__(self):
        if self.snapshot is None:
            raise StopIteration
        if self.given < self.range.count:
            snapshot_check_alone(self.snapshot)
            return scan_object(scan_next_c(self))
        return scan_first_object(self)


cdef inline object scan_object(lmdb_row *row):
    if row is NULL:
        raise StopIteration
    return (PyBytes_FromStringAndSize(<const char*>row.key.data, row.key.size),
            PyBytes_FromStringAndSize(<const char*>row.value.data, row.value.size))


cdef object scan_first_object(Scan self):
    """Fetch without the GIL; the row is copied before another thread may close the store."""
    cdef lmdb_row *row
    snapshot_enter(self.snapshot)
    try:
        with nogil:
            row = scan_next_c(self)
        return scan_object(row)
    finally:
        snapshot_leave(self.snapshot)


# Opens a scan; see Snapshot.scan.
cdef Scan snapshot_scan_c(Snapshot self, int table, bytes start, bytes end):
    cdef Scan scan = Scan.__new__(Scan)
    snapshot_check_alone(self)
    snapshot_check(self)
    lmdb_check_place(self.environment, table, PyBytes_GET_SIZE(start) or 1)
    scan.snapshot, scan.table, scan.start, scan.end, scan.writes = self, table, start, end, self.writes
    scan.range.rows = <lmdb_row*>malloc((LMDB_ROWS + 1) * sizeof(lmdb_row))
    if scan.range.rows is NULL:
        raise MemoryError
    scan.range.start.data, scan.range.start.size = PyBytes_AS_STRING(start), PyBytes_GET_SIZE(start)
    if end is not None:
        scan.range.bounded = True
        scan.range.end.data, scan.range.end.size = PyBytes_AS_STRING(end), PyBytes_GET_SIZE(end)
    scan.range.wanted = LMDB_ROWS_FIRST
    return scan


# Makes a scan read another range of its table; the keys stay where they are until it is read.
cdef int scan_restart_c(Scan self, const lmdb_value *start, const lmdb_value *end, bint back) except -1 nogil:
    lmdb_check_place(self.snapshot.environment, self.table, start.size or 1)
    self.range.start, self.range.end = start[0], end[0]
    self.range.bounded, self.range.back, self.range.passed, self.range.exhausted = True, back, False, False
    self.range.count = self.range.damage = self.given = 0
    self.range.wanted = LMDB_ROWS_FIRST
    return 0


# The next row, its value without the seal, or NULL at the end: it stands in the map until the transaction
# ends. Needs the GIL, or to stand between snapshot_enter and snapshot_leave.
cdef lmdb_row *scan_next_c(Scan self) except? NULL nogil:
    snapshot_check(self.snapshot)
    if self.writes != self.snapshot.writes:
        scan_raise_written()
    if self.given == self.range.count:
        if not self.range.exhausted and not self.range.damage:
            scan_fetch(self)
        if self.given == self.range.count:
            if self.range.damage:
                scan_raise_damaged(self)
            return NULL
    self.given += 1
    return &self.range.rows[self.given - 1]


cdef int scan_raise_written() except -1 with gil:
    raise errors.StoreError("The batch was written to while one of its scans was under way.")


cdef int scan_raise_damaged(Scan self) except -1 with gil:
    cdef lmdb_row *row = &self.range.rows[self.range.count]
    cdef int damage = self.range.damage
    self.range.exhausted = True
    self.range.damage = 0
    lmdb_raise(self.snapshot.environment, self.table, <const unsigned char*>row.key.data, row.key.size,
               damage)


cdef int scan_fetch(Scan self) except -1 nogil:
    """Fetch the next rows, up to the first that is damaged."""
    cdef lmdb_row *row
    cdef int code
    if self.range.count:
        row = &self.range.rows[self.range.count - 1]
        memcpy(self.last_key, row.key.data, row.key.size)
        if self.range.back:
            self.range.end.data, self.range.end.size, self.range.bounded = self.last_key, row.key.size, True
        else:
            self.range.start.data, self.range.start.size, self.range.passed = self.last_key, row.key.size, True
        self.range.wanted = min(self.range.wanted * 4, LMDB_ROWS)
    self.given = 0
    code = lmdb_fetch(self.snapshot.txn, self.table, self.snapshot.environment.handles[self.table],
                      self.snapshot.environment.texts[self.table], self.snapshot.environment.seals[self.table],
                      &self.snapshot.trees, &self.range)
    if code:
        self.range.count = 0
        self.range.exhausted = True
        batch_suspect(self.snapshot, code)
        lmdb_raise(self.snapshot.environment, self.table, <const unsigned char*>self.range.start.data,
                   self.range.start.size, code)
    return 0
