# Twin of crdtstore/storage/wal_file.py: the rows of a batch as a frame of the write-ahead log holds them; and of
# `written` in crdtstore/storage/wal.py.
#
# There is one batch at a time, so its environment has the room for them. Whatever changes a row passes here
# (batch_put_c, batch_delete_c, batch_replace_c); what a batch that was dropped left is forgotten by the next one.

from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from crdtstore.limits import WAL_COMMITS_MAX as wal_commits_max

cdef extern from *:
    """
    #include <errno.h>
    #include <unistd.h>

    /* 0; the errno of a write, that of one that is cut short for good being EIO; minus the errno of the flush. */
    static int wal_write_flushed(int file, const char *data, size_t length, off_t at) {
        while (length > 0) {
            ssize_t written = pwrite(file, data, length, at);
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0)
                return written ? errno : EIO;
            data += written, at += written, length -= (size_t)written;
        }
        return fdatasync(file) ? -errno : 0;
    }
    """
    int wal_write_flushed(int file, const char *data, size_t length, int64_t at) nogil

cdef enum:
    WAL_ROW_BYTES = 8  # table u8, kind u8, length of the key u16, length of the value u32
    WAL_PUT = 0
    WAL_DELETE = 1
    WAL_ROOM_FIRST = 4096
    WAL_ROOM_KEPT = 1 << 20  # beyond it a batch is rare, and its room is given back


cdef int wal_raise_memory() except -1 with gil:
    raise MemoryError


# Adds a row to those of the batch.
cdef int wal_note_c(Environment self, int table, int kind, const unsigned char *key, size_t key_length,
                    const unsigned char *value, size_t length) except -1 nogil:
    cdef size_t needed = self.rows_length + WAL_ROW_BYTES + key_length + length
    cdef unsigned char *at
    if needed > self.rows_room:
        needed = max(<size_t>WAL_ROOM_FIRST, 2 * needed)
        at = <unsigned char*>realloc(self.rows, needed)
        if at is NULL:
            wal_raise_memory()
        self.rows, self.rows_room = at, needed
    at = self.rows + self.rows_length
    at[0], at[1] = <unsigned char>table, <unsigned char>kind
    at[2], at[3] = key_length & 0xFF, key_length >> 8 & 0xFF
    at[4], at[5], at[6], at[7] = length & 0xFF, length >> 8 & 0xFF, length >> 16 & 0xFF, length >> 24 & 0xFF
    memcpy(at + WAL_ROW_BYTES, key, key_length)
    if length:
        memcpy(at + WAL_ROW_BYTES + key_length, value, length)
    self.rows_length += WAL_ROW_BYTES + key_length + length
    return 0


# Forgets the rows of the batch before.
cdef void wal_begin_c(Environment self) noexcept:
    self.rows_length = 0
    if self.rows_room > WAL_ROOM_KEPT:
        wal_free_c(self)


cdef void wal_free_c(Environment self) noexcept:
    free(self.rows)
    self.rows, self.rows_room, self.rows_length = NULL, 0, 0


cdef int wal_written(object wal, size_t frame_bytes) except -1:
    """Wal.written, in one step: no Python code runs in which a signal's handler could raise."""
    cdef object sequence = wal.sequence + 1, at = wal.at + frame_bytes, commits = wal.commits + 1
    cdef bint calls = at >= wal.attend_at or commits >= wal_commits_max
    wal.sequence, wal.at, wal.commits = sequence, at, commits
    if (calls and not wal.is_called) or sequence == wal.header.sequence + 1:
        wal.is_called = wal.is_called or calls
        wal.due.rings.put(None)
    return 0
