# Twin of crdtstore/storage/adapter_batch.py: the one write transaction of a store over LMDB.

cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from crdtstore import errors


@cython.final
@cython.no_gc_clear
cdef class Batch(Snapshot):
    """The one write transaction: sees its own writes. The thread that opened it must end it."""

    cdef unsigned long thread
    cdef bint suspect                   # an assertion failed in it: it can be ended by nobody
    cdef bint logged                    # its rows are noted for the write-ahead log
    cdef readonly bint committed        # what it wrote counts, whatever is raised
    cdef readonly bint dropped          # nothing of it was written, and somebody else's error ended it

    def put(self, int table, bytes key not None, bytes value not None):
        """Store a value under a key, in place of the one that was there.

        Raises:
            StoreFull: the map is full; the batch can only be aborted.
            LimitExceeded: the key is empty or longer than `KEY_BYTES_MAX`.
        """
        snapshot_check_alone(self)
        batch_put_c(self, table, <const unsigned char*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key),
                    <const unsigned char*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))

    def delete(self, int table, bytes key not None):
        """Remove a key; say whether it was there."""
        snapshot_check_alone(self)
        return bool(batch_delete_c(self, table, <const unsigned char*>PyBytes_AS_STRING(key),
                                   PyBytes_GET_SIZE(key)))

    def commit(self):
        """Make every write of this batch visible, all at once, and durable; the batch is over either way.

        Raises:
            StoreFull: no room; nothing of it is stored, and smaller batches may go on.
            StoreFenced: the outcome is unknown, and the store takes no write any more.
        """
        cdef Environment environment = self.environment
        cdef lmdb_txn *txn
        cdef lmdb_txn *probe = NULL
        cdef int code = 0, after = 0, refused = 0, file = -1
        cdef int64_t place = 0
        cdef bytes frame = b""
        cdef const char *start
        cdef size_t length
        snapshot_check_alone(self)
        snapshot_check(self)
        batch_check_thread(self)
        if self.suspect:
            batch_leak(self)
            raise errors.StoreFenced("LMDB found the file damaged: nothing of this batch is stored.")
        if self.logged and environment.rows_length:
            file, frame, place = batch_turn(self)
        start, length = PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame)
        environment_enter(environment)
        txn = snapshot_detach(self)
        try:
            # Once for the log and the pages: a thread that lets others run waits for them to let it go on.
            with nogil:
                if length:
                    refused = wal_write_flushed(file, start, length, place)
                if not refused:
                    code = lmdb_commit(txn)
                if code and code != LMDB_ASSERTED:
                    # LMDB refuses everything once the last step of a commit, the meta page, has failed;
                    # before that step nothing of a commit counts.
                    after = lmdb_begin(environment.env, 0, &probe)
                    if after == 0:
                        after = lmdb_abort(probe)
            if refused:
                batch_refuse(self, txn, refused)
            environment.batching = False
            environment.writer = NULL
            if length:
                batch_logged(environment, length)
            self.committed = not code
            if code:
                batch_fail(environment, code, after, length > 0)
        finally:
            if length:
                environment.wal.writing.release()
            environment_leave(environment)

    def abort(self):
        """Forget every write of this batch; does nothing once it is over."""
        self.close()

    def close(self):
        """Abort, unless the batch is over."""
        snapshot_check_alone(self)
        if self.txn is not NULL:
            batch_check_thread(self)
            snapshot_end(self)


cdef object batch_turn(Batch self):
    """Place the frame that makes the rows count, and take the log's `writing`; where that fails the batch is aborted.

    As `Wal.turn`, but what is taken or given back is so in one step, whatever a signal's handler raises.
    """
    cdef Environment environment = self.environment
    cdef object wal = environment.wal
    cdef object rows = PyMemoryView_FromMemory(<char*>environment.rows, environment.rows_length, PyBUF_READ)
    try:
        while True:
            wal.writing.acquire()
            try:
                placed = wal.place(rows)
            except BaseException:
                wal.writing.release()
                raise
            if placed is not None:
                return placed
            wal.writing.release()
            wal.wait_for_room()
    except BaseException as error:
        environment.fenced = environment.fenced or isinstance(error, errors.StoreFenced)
        self.dropped = True
        snapshot_end(self)
        raise


cdef int batch_refuse(Batch self, lmdb_txn *txn, int refused) except -1:
    """Raise what it means that the frame was not written and flushed; the batch is aborted."""
    cdef Environment environment = self.environment
    cdef bint fenced
    batch_drop(self, txn)
    fenced, environment.fenced = environment.fenced, True
    error = environment.wal.error_of(refused)
    environment.fenced = fenced or not isinstance(error, errors.StoreFull)
    raise error


cdef int batch_logged(Environment environment, size_t frame_bytes) except -1:
    """Have the log go on behind a frame; were that not done, the next frame would stand in its place."""
    try:
        return wal_written(environment.wal, frame_bytes)
    except BaseException:
        environment.fenced = True
        raise


cdef int batch_fail(Environment environment, int code, int after, bint logged) except -1:
    """Raise what it means that LMDB did not commit; where the outcome is unknown, the log says that it did."""
    error = batch_commit_error(environment, code, after)
    if logged and not environment.fenced:
        environment.wal.cancel()
    raise error


cdef object batch_commit_error(Environment environment, int code, int after):
    """What a failed commit means: `after` says whether LMDB goes on."""
    if code == EIO and not after and environment_is_full(environment):
        code = ENOSPC
    if code == LMDB_ASSERTED or after == LMDB_ASSERTED:
        environment.leaked = True
    if after or code == LMDB_ASSERTED or code == EIO:
        environment.fenced = True
        text = lmdb_text(code).decode("utf-8", "replace")
        return errors.StoreFenced(f"A commit failed and its outcome is unknown: {text}. Reopen the store.")
    return lmdb_error("meta", b"", code)


cdef int batch_check_thread(Batch self) except -1:
    # The writer's mutex belongs to its thread: another one cannot unlock it, and later batches would hang.
    if self.thread != PyThread_get_thread_ident() and self.environment.forks == lmdb_forks:
        raise errors.StoreError("A batch is ended by the thread that opened it.")
    return 0


cdef void batch_suspect(Snapshot self, int code) noexcept nogil:
    """Note that LMDB failed: a batch is not committed after a contradiction, a view's transaction not kept as it is."""
    self.begun = 0
    if code == LMDB_ASSERTED and batch_is(self):
        (<Batch>self).suspect = True


cdef bint batch_is(Snapshot self) noexcept with gil:
    return isinstance(self, Batch)


cdef void batch_drop(Batch self, lmdb_txn *txn) noexcept:
    """Abort a detached transaction, or leak it where that is not safe."""
    cdef Environment environment = self.environment
    environment.writer = NULL
    if self.suspect or self.thread != PyThread_get_thread_ident() or lmdb_abort(txn):
        environment.fenced = environment.leaked = True
    environment.batching = False


cdef void batch_leak(Batch self) noexcept:
    batch_drop(self, snapshot_detach(self))


# Stores a value; it must not stand in a page of this batch, which may move as room is made for it.
cdef int batch_put_c(Batch self, int table, const unsigned char *key, size_t key_length,
                     const unsigned char *value, size_t length) except -1 nogil:
    cdef lmdb_value place, room
    cdef uint32_t seal
    cdef int code
    snapshot_check(self)
    lmdb_check_place(self.environment, table, key_length)
    if self.logged:
        wal_note_c(self.environment, table, WAL_PUT, key, key_length, value, length)
    self.writes += 1
    place.size, place.data = key_length, <void*>key
    room.size, room.data = length + 4, NULL
    code = lmdb_put(self.txn, self.environment.handles[table], &place, &room, LMDB_RESERVE)
    if code:
        batch_suspect(self, code)
        lmdb_raise(self.environment, table, key, key_length, code)
    memcpy(room.data, value, length)
    seal = crc32c_update(self.environment.seals[table], key, key_length)
    lmdb_write_seal(<unsigned char*>room.data + length, crc32c_update(seal, value, length))
    return 0


# Removes a key. 1: it was there, 0: it was absent.
cdef int batch_delete_c(Batch self, int table, const unsigned char *key, size_t key_length) except -1 nogil:
    cdef lmdb_value place
    cdef int code
    snapshot_check(self)
    lmdb_check_place(self.environment, table, key_length)
    if self.logged:
        wal_note_c(self.environment, table, WAL_DELETE, key, key_length, NULL, 0)
    self.writes += 1
    place.size, place.data = key_length, <void*>key
    code = lmdb_delete(self.txn, self.environment.handles[table], &place)
    if code == LMDB_NOTFOUND:
        return 0
    if code:
        batch_suspect(self, code)
        lmdb_raise(self.environment, table, key, key_length, code)
    return 1


# --- rows that are read and put back ---

# A cursor over one table of a batch; it is closed (batch_cursor_close_c) before the batch ends.
cdef lmdb_cursor *batch_cursor_c(Batch self, int table) except NULL:
    cdef lmdb_cursor *cursor = NULL
    cdef int code
    snapshot_check(self)
    lmdb_check_place(self.environment, table, 1)
    code = lmdb_open_cursor(self.txn, self.environment.handles[table], &cursor)
    if code:
        batch_suspect(self, code)
        lmdb_raise(self.environment, table, b"", 0, code)
    return cursor


# As snapshot_get_c, and the cursor stays where the row is.
cdef int batch_seek_c(Batch self, lmdb_cursor *cursor, int table, const unsigned char *key, size_t key_length,
                      const unsigned char **value, size_t *length) except -2 nogil:
    cdef lmdb_value wanted, found
    cdef int code
    snapshot_check(self)
    lmdb_check_place(self.environment, table, key_length)
    wanted.size, wanted.data = key_length, <void*>key
    code = lmdb_seek(cursor, self.environment.seals[table], &wanted, &found)
    if code == LMDB_NOTFOUND:
        return 0
    if code:
        batch_suspect(self, code)
        lmdb_raise(self.environment, table, key, key_length, code)
    value[0], length[0] = <const unsigned char*>found.data, found.size
    return 1


# As batch_put_c, for the row at which batch_seek_c left the cursor.
cdef inline int batch_replace_c(Batch self, lmdb_cursor *cursor, int table, const unsigned char *key, size_t key_length,
                                const unsigned char *value, size_t length) except -1 nogil:
    return batch_put_near_c(self, cursor, table, key, key_length, value, length, LMDB_CURRENT)


# As batch_put_c, for a key that most often stands in the page where the cursor is; LMDB_APPEND: behind all others.
cdef int batch_put_near_c(Batch self, lmdb_cursor *cursor, int table, const unsigned char *key, size_t key_length,
                          const unsigned char *value, size_t length, unsigned int flags) except -1 nogil:
    cdef lmdb_value place, room
    cdef uint32_t seal
    cdef int code
    snapshot_check(self)
    lmdb_check_place(self.environment, table, key_length)
    if self.logged:
        wal_note_c(self.environment, table, WAL_PUT, key, key_length, value, length)
    self.writes += 1
    place.size, place.data = key_length, <void*>key
    room.size, room.data = length + 4, NULL
    code = lmdb_put_near(cursor, &place, &room, flags)
    if code:
        batch_suspect(self, code)
        lmdb_raise(self.environment, table, key, key_length, code)
    memcpy(room.data, value, length)
    seal = crc32c_update(self.environment.seals[table], key, key_length)
    lmdb_write_seal(<unsigned char*>room.data + length, crc32c_update(seal, value, length))
    return 0
