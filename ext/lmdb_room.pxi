# Twin of crdtstore/storage/adapter.py, which does without: room for pages, made in the data file ahead of commits.
#
# A page written behind the end of a file changes the file's length and the blocks that it has, and a flush then
# waits for the file system's journal too, at every commit. Zeros are written ahead instead, many pages at a time,
# and flushed with the batch that finds too little room; the batches after it overwrite them.
#
# - Only what lies behind the file's end is written, and only where a batch begins: nobody else writes there then.
# - The room is a part of the file, so that a small store stays small; it never goes behind the end of the map.
# - What fails here is left to LMDB, which needs fewer bytes and says what it meets.
# - Who opens the file does not mind: its meta pages say how many pages there are.

from crdtstore import limits

cdef extern from *:
    """
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <unistd.h>

    #define LMDB_ZEROS 65536

    /* As many whole blocks of zeros as fit, on their way to disk before they are waited for. Where one is refused
       or cut short, the file is as long as it became. */
    static void lmdb_lengthen(int file, size_t end, size_t room) {
        static const char zeros[LMDB_ZEROS];
        size_t written = 0;
        while (written + LMDB_ZEROS <= room) {
            if (pwrite(file, zeros, LMDB_ZEROS, (off_t)(end + written)) != LMDB_ZEROS)
                return;
            written += LMDB_ZEROS;
        }
    #ifdef SYNC_FILE_RANGE_WRITE
        sync_file_range(file, (off_t)end, (off_t)written, SYNC_FILE_RANGE_WRITE);
    #endif
    }

    /* The room is one `part`th of the file, and `most` bytes at most; it is made anew when half of it is left. */
    static void lmdb_make_room(lmdb_env *env, size_t part, size_t most) {
        lmdb_information information;
        lmdb_statistics statistics;
        struct stat status;
        size_t end, used, room;
        int file;
        if (lmdb.env_info(env, &information) || lmdb.env_stat(env, &statistics) || lmdb.env_get_fd(env, &file)
                || fstat(file, &status))
            return;
        end = (size_t)status.st_size;
        used = (information.last_page + 1) * statistics.page_bytes;
        room = end / part < most ? end / part : most;
        if (end < used + room / 2 && end + room <= information.map_bytes)
            lmdb_lengthen(file, end, room);
    }
    """
    void lmdb_make_room(lmdb_env *env, size_t part, size_t most) nogil

cdef size_t lmdb_room_part = limits.FILE_ROOM_PART
cdef size_t lmdb_room_bytes_max = limits.FILE_ROOM_BYTES_MAX
