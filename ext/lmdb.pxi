# Twin of crdtstore/storage/adapter.py: an open store over LMDB, called without Python's API in between.
#
# What may differ from the twin is speed, and two things that only C can do: loops take rows without making a
# Python object (the functions that end in `_c`), and a failed assertion inside LMDB ends the operation
# instead of the process. What holds here and in the other `lmdb_*.pxi`:
#
# - The GIL guards every field. A section that releases it is announced by `busy` first: an environment is
#   closed only once nobody is inside, and nobody enters once `closing` is set.
# - A write transaction in which an assertion failed is leaked with its environment, which takes no write any
#   more and keeps its lock until the process ends. So is one that only another thread could end.
# - A forked child shares the table of readers with its parent: it makes no call at all on what it inherited,
#   not even to close it.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t

import os
import threading

from crdtstore import errors, limits

cdef enum:
    LMDB_TABLES = 32  # of one environment at most: far more than there are
    LMDB_OWN_TABLES = 2  # of LMDB itself
    LMDB_META_PAGES = 2  # at the file's beginning, of no table

cdef size_t lmdb_key_bytes_max = limits.KEY_BYTES_MAX
cdef unsigned int lmdb_reader_check_batches = limits.READER_CHECK_BATCHES
cdef int lmdb_spares_max = min(limits.SNAPSHOTS_KEPT_MAX, LMDB_SPARES)

# Locks of environments that could not be closed: held until the process ends.
cdef list lmdb_leaked_locks = []


# --- errors ---


cdef object lmdb_error(str table, bytes key, int code):
    """The error of this package that LMDB's code stands for, in an operation on a row."""
    cdef str text = lmdb_text(code).decode("utf-8", "replace")
    if code == LMDB_MAP_FULL:
        return errors.StoreFull("The store's map is full: open it with more map bytes.")
    if code == ENOSPC or code == EDQUOT:
        return errors.StoreFull(f"The disk of the store is full: {text}.")
    if code == LMDB_READERS_FULL:
        return errors.Overloaded("All reader slots of the store are taken: close a snapshot first.")
    if code == LMDB_UNSEALED:
        return errors.Corrupted(table, key)
    if code == LMDB_UNORDERED or code == LMDB_KEYEXIST:
        return errors.Corrupted(table, key, "it is out of order")
    if code == LMDB_ASSERTED:
        return errors.Corrupted(table, key, f"LMDB found a contradiction in the file ({text})")
    if code == LMDB_CORRUPTED or code == LMDB_PAGE_NOTFOUND or code == LMDB_INVALID:
        return errors.Corrupted(table, key, f"LMDB cannot follow its pages ({text})")
    if code == LMDB_PANIC:
        return errors.StoreFenced("A commit failed half way and its outcome is unknown: reopen the store.")
    if code == LMDB_BAD_TXN:
        return errors.StoreError("An earlier write of this batch failed: nothing of it is stored.")
    return errors.StoreError(f"The store's engine failed: {text} (code {code}).", lmdb_code=code)


cdef int lmdb_raise(Environment environment, int table, const unsigned char *key, size_t length,
                    int code) except -1 with gil:
    if code == LMDB_ASSERTED:
        environment.fenced = True
    raise lmdb_error(environment.names[table], PyBytes_FromStringAndSize(<const char*>key, length), code)


cdef int lmdb_raise_place(Environment environment, int table, size_t length) except -1 with gil:
    if not 0 <= table < environment.tables:
        raise errors.StoreError(f"There is no table {table}.")
    raise errors.LimitExceeded(
        f"A key holds 1 to {lmdb_key_bytes_max} bytes, and this one {length}.",
        limit="KEY_BYTES_MAX", value=length, maximum=lmdb_key_bytes_max,
    )


cdef int lmdb_raise_unusable(Snapshot snapshot) except -1 with gil:
    if snapshot.txn is not NULL and snapshot.environment.forks != lmdb_forks:
        raise errors.ForkedProcess("This snapshot or batch was opened before fork(): open the store again.")
    raise errors.StoreClosed("This snapshot or batch has ended, or its store was closed.")


cdef inline int lmdb_check_place(Environment environment, int table, size_t length) except -1 nogil:
    if length - 1 >= lmdb_key_bytes_max or not 0 <= table < environment.tables:
        lmdb_raise_place(environment, table, length)
    return 0


# --- the environment ---


@cython.final
@cython.no_gc_clear
cdef class Environment:
    """One open store: hands out read views and the one write transaction.

    The file was checked by the caller: see `storage/environment.py`. The lock is released once all is closed.
    """

    cdef lmdb_env *env
    cdef lmdb_table handles[LMDB_TABLES]
    cdef uint32_t seals[LMDB_TABLES]    # the checksum of each table's number: every seal goes on from it
    cdef const char *texts[LMDB_TABLES]  # the names, as LMDB knows them
    cdef bint is_mapped                 # whether it was looked for where the file is mapped
    cdef lmdb_trees trees               # of the newest commit that a snapshot saw
    cdef int tables
    cdef tuple names
    cdef object lock
    cdef object idle                    # set when a closing environment has nobody inside any more
    cdef int busy                       # sections that run without the GIL now
    cdef bint closing
    cdef bint durable
    cdef bint fenced                    # takes no batch any more
    cdef bint leaked                    # a write transaction can be ended by nobody any more
    cdef unsigned int forks
    cdef lmdb_txn *spares[LMDB_SPARES]
    cdef int spare_count
    cdef lmdb_txn *parked               # a read transaction of the newest commit, kept for the next snapshot
    cdef void *newest                   # the live snapshots and the batch, linked; not owned
    cdef bint batching
    cdef unsigned int batches           # opened so far
    cdef void *writer                   # the live batch; not owned
    cdef unsigned char *rows            # of the batch, for the log; see lmdb_wal.pxi
    cdef size_t rows_length
    cdef size_t rows_room
    cdef public object wal              # what batches are written to before they are committed, if there is one
    cdef readonly str path
    cdef readonly bint read_only

    def __cinit__(self, str path not None, lock, tuple tables not None, *, int added, size_t map_bytes,
                  unsigned int readers_max, bint read_only, bint durable):
        """Open the store in a directory; its tables must exist, but for those that were added to the format later.

        Args:
            path: The directory.
            lock: What is released when the environment is closed.
            tables: The names of the tables; their places are their numbers.
            added: How many of the last ones may be missing: they are made, or read-only count as empty.
            map_bytes: Address space of the map.
            readers_max: Reader slots.
            read_only: Whether batches are refused.
            durable: Whether a commit returns only once it is on disk.

        Raises:
            NotAStore: a table does not exist, or LMDB does not know the file.
            StoreError: it cannot be opened.
        """
        cdef bytes name = os.fsencode(path)
        cdef unsigned int flags = LMDB_RDONLY if read_only else 0 if durable else LMDB_NOSYNC
        cdef int code
        if not lmdb_loaded:
            raise errors.StoreError("LMDB's functions were not loaded: see load_liblmdb.")
        if not 0 < len(tables) <= LMDB_TABLES:
            raise errors.StoreError(f"An environment has 1 to {LMDB_TABLES} tables, and not {len(tables)}.")
        self.path, self.names, self.lock, self.idle = path, tables, lock, threading.Event()
        self.tables, self.read_only, self.durable = len(tables), read_only, durable
        self.forks = lmdb_forks
        code = lmdb_create(&self.env)
        if code:
            self.env = NULL
        else:
            code = lmdb_open(self.env, PyBytes_AS_STRING(name), map_bytes, self.tables, readers_max, flags)
        if code:
            raise environment_open_error(self, code)
        lmdb_reap(self.env)
        if not environment_open_tables(self, added, LMDB_RDONLY):
            environment_open_tables(self, added, 0)

    def __dealloc__(self):
        wal_free_c(self)
        if self.env is NULL or self.forks != lmdb_forks:
            return
        if self.leaked:
            lmdb_leaked_locks.append(self.lock)
            return
        environment_drop_spares(self)
        lmdb_close(self.env)

    def snapshot(self):
        """Open a read view of what is committed now.

        Raises:
            Overloaded: all reader slots are taken.
        """
        return environment_snapshot_c(self)

    def batch(self):
        """Open the one write transaction; the thread that opened it must end it.

        Raises:
            StoreReadOnly: the store was opened read-only.
            StoreFenced: an earlier commit's outcome is unknown, or the file is damaged.
            StoreError: a batch is open already.
        """
        cdef Batch batch = Batch.__new__(Batch)
        cdef lmdb_txn *txn = NULL
        cdef int code
        environment_check(self)
        environment_check_writable(self)
        environment_enter(self)
        self.batching = True
        self.batches += 1
        environment_unpark(self)
        try:
            if self.batches % lmdb_reader_check_batches == 0:
                with nogil:
                    lmdb_reap(self.env)
            # It waits for nobody: who may write is decided, by `batching` and by the lock of the store.
            code = lmdb_begin(self.env, 0, &txn)
            if not code and self.durable:
                with nogil:
                    lmdb_make_room(self.env, lmdb_room_part, lmdb_room_bytes_max)
            if code:
                self.batching = False
                self.fenced = self.fenced or code == LMDB_PANIC or code == LMDB_ASSERTED
                raise lmdb_error("meta", b"", code)
            snapshot_attach(batch, self, txn)
            batch.thread = PyThread_get_thread_ident()
            batch.logged = self.wal is not None
            wal_begin_c(self)
            self.writer = <void*>batch
        finally:
            environment_leave(self)
        return batch

    def reader_check(self):
        """Free the reader slots of dead processes: what they held open keeps pages from being used again."""
        environment_check(self)
        lmdb_reap(self.env)

    def sync(self):
        """Bring to disk what was committed, where commits do not do so themselves."""
        cdef int code
        environment_check(self)
        environment_enter(self)
        try:
            with nogil:
                code = lmdb_sync(self.env)
        finally:
            environment_leave(self)
        if code:
            raise lmdb_error("meta", b"", code)

    def bytes_on_disk(self):
        """Return the size of the data file in bytes."""
        environment_check(self)
        return os.stat(os.path.join(self.path, "data.mdb")).st_size

    def bytes_unused(self):
        """Return how many of these bytes hold nothing of the newest commit: free, or kept for open snapshots."""
        with environment_snapshot_c(self) as snapshot:
            return max(0, self.bytes_on_disk() - environment_used(self, snapshot))

    def close(self):
        """End every snapshot and the batch, close the store and release its lock; again does nothing.

        Raises:
            StoreError: another thread has a batch open; nothing was closed.
        """
        if self.closing:
            return
        if self.forks != lmdb_forks:
            self.closing = True
            return
        if self.batching and (self.writer is NULL
                              or (<Batch>self.writer).thread != PyThread_get_thread_ident()):
            raise errors.StoreError("A batch is open in another thread: end it there before closing.")
        if self.batching and self.wal is not None:
            snapshot_end(<Batch>self.writer)
        try:
            if self.wal is not None:
                self.wal.finish()
        finally:
            environment_end(self)

    def __enter__(self):
        return self

    def __exit__(self, *_failure):
        self.close()


cdef int environment_end(Environment self) except -1:
    """End what is open, and let go of file and lock."""
    self.closing = True
    try:
        if self.busy:
            self.idle.wait()
    except BaseException:
        self.closing = False
        raise
    while self.newest is not NULL:
        snapshot_end(<Snapshot>self.newest)
    return environment_close(self)


cdef object environment_open_error(Environment self, int code):
    cdef str text = lmdb_text(code).decode("utf-8", "replace")
    if code == LMDB_ASSERTED:
        self.env = NULL   # Left as it is: an environment that is half open cannot be closed.
    if code == LMDB_INVALID or code == LMDB_VERSION_MISMATCH:
        return errors.NotAStore(f"The directory {self.path} holds no store of this format: {text}.")
    if code < 0 or code == ENOSPC or code == EDQUOT:
        return lmdb_error("meta", b"", code)
    return errors.StoreError(f"The store {self.path} cannot be opened: {text} (code {code}).", lmdb_code=code)


cdef bint environment_open_tables(Environment self, int added, unsigned int flags) except -1:
    """Open the tables in a transaction that reads or one that writes; False if some have to be made by the latter."""
    cdef lmdb_txn *txn = NULL
    cdef unsigned char number
    cdef unsigned int made
    cdef int table, code = lmdb_begin(self.env, flags, &txn)
    if code:
        raise environment_open_error(self, code)
    for table in range(self.tables):
        self.texts[table] = PyUnicode_AsUTF8AndSize(self.names[table], NULL)
        made = LMDB_CREATE if not flags and table >= self.tables - added else 0
        code = lmdb_open_table(txn, self.texts[table], made, &self.handles[table])
        if code == LMDB_NOTFOUND and table >= self.tables - added:
            if not self.read_only:
                lmdb_abort(txn)
                return False
            self.handles[table] = LMDB_ABSENT
        elif code:
            lmdb_abort(txn)
            if code == LMDB_NOTFOUND:
                raise errors.NotAStore(f"The directory {self.path} holds no store: it lacks a table.")
            raise lmdb_error(self.names[table], b"", code)
        number = <unsigned char>table
        self.seals[table] = crc32c_update(0, &number, 1)
    # Committing a read transaction keeps the handles that it opened.
    code = lmdb_commit(txn)
    if code:
        raise environment_open_error(self, code)
    return True


cdef object environment_used(Environment self, Snapshot snapshot):
    """The bytes of all pages that the snapshot's commit reaches."""
    cdef lmdb_statistics statistics
    cdef size_t pages = LMDB_META_PAGES
    cdef lmdb_table handle
    cdef int table, code
    for table in range(-LMDB_OWN_TABLES, self.tables):
        # LMDB's own tables, of free pages and of names, have the first numbers.
        handle = self.handles[table] if table >= 0 else <lmdb_table>(table + LMDB_OWN_TABLES)
        code = lmdb_stat(snapshot.txn, handle, &statistics)
        if code:
            raise lmdb_error("meta", b"", code)
        pages += statistics.branch_pages + statistics.leaf_pages + statistics.overflow_pages
    return pages * statistics.page_bytes


cdef int environment_check(Environment self) except -1:
    if self.forks != lmdb_forks:
        raise errors.ForkedProcess("This store was opened before fork(): open it again in the child.")
    if self.closing:
        raise errors.StoreClosed("This store was closed.")
    return 0


cdef int environment_check_writable(Environment self) except -1:
    if self.read_only:
        raise errors.StoreReadOnly("This store was opened read-only.")
    if self.fenced:
        raise errors.StoreFenced("A commit failed half way, or the file is damaged: reopen the store.")
    if self.batching:
        raise errors.StoreError("A batch is open already: there is one at a time.")
    return 0


cdef bint environment_is_full(Environment self) except -1:
    """Whether the disk has no room: a write that is cut short for that reason looks like one that failed."""
    try:
        return os.statvfs(self.path).f_bavail == 0
    except OSError:
        return False


cdef void environment_enter(Environment self) noexcept:
    self.busy += 1


cdef int environment_leave(Environment self) except -1:
    self.busy -= 1
    if self.closing and self.busy == 0:
        self.idle.set()
    return 0


# Opens a read view; see Environment.snapshot. `snapshot_end` ends it.
cdef Snapshot environment_snapshot_c(Environment self):
    cdef Snapshot snapshot = Snapshot.__new__(Snapshot)
    snapshot_begin(snapshot, self)
    return snapshot


# Begins a read view, or begins one that has ended anew.
cdef int snapshot_begin(Snapshot snapshot, Environment self) except -1:
    environment_check(self)
    environment_enter(self)
    try:
        snapshot.begun = 0 if self.batching or self.read_only else self.batches + 1
        snapshot_attach(snapshot, self, environment_begin_read(self))
        if self.trees.map is NULL and not self.is_mapped:
            self.is_mapped = True
            lmdb_map_of(snapshot.txn, self.texts[0], &self.trees)
        lmdb_take_trees(snapshot.txn, &self.trees, &snapshot.trees)
    finally:
        environment_leave(self)
    return 0


cdef lmdb_txn *environment_begin_read(Environment self) except NULL:
    cdef lmdb_txn *txn = self.parked
    cdef int code
    if txn is not NULL:
        self.parked = NULL
        return txn
    if self.spare_count:
        self.spare_count -= 1
        txn = self.spares[self.spare_count]
        code = lmdb_renew(txn)
        if code:
            lmdb_abort(txn)
            raise lmdb_error("meta", b"", code)
        return txn
    # The table of readers is locked across processes, so another one can hold this up.
    with nogil:
        code = lmdb_begin(self.env, LMDB_RDONLY, &txn)
        if code == LMDB_READERS_FULL:
            # Slots of processes that died are taken until somebody looks.
            lmdb_reap(self.env)
            code = lmdb_begin(self.env, LMDB_RDONLY, &txn)
    if code:
        raise lmdb_error("meta", b"", code)
    return txn


cdef void environment_keep(Environment self, lmdb_txn *txn) noexcept:
    """Keep a read transaction that has ended for the next one, if few are kept."""
    if self.spare_count < lmdb_spares_max and not self.closing:
        lmdb_reset(txn)
        self.spares[self.spare_count] = txn
        self.spare_count += 1
    else:
        lmdb_abort(txn)


cdef void environment_unpark(Environment self) noexcept:
    """Let go of the newest commit, before there may be a newer one: nothing keeps its pages then."""
    cdef lmdb_txn *txn = self.parked
    self.parked = NULL
    if txn is not NULL:
        environment_keep(self, txn)


cdef void environment_drop_spares(Environment self) noexcept:
    environment_unpark(self)
    while self.spare_count:
        self.spare_count -= 1
        lmdb_abort(self.spares[self.spare_count])


cdef int environment_close(Environment self) except -1:
    cdef lmdb_env *env = self.env
    cdef int code = 0
    if self.leaked:
        # The writer's mutex lies in the map and stays locked: neither may go away before the process does.
        lmdb_leaked_locks.append(self.lock)
        return 0
    environment_drop_spares(self)
    self.env = NULL
    with nogil:
        code = 0 if self.durable or self.read_only else lmdb_sync(env)
        lmdb_close(env)
    self.lock.release()
    if code:
        raise lmdb_error("meta", b"", code)
    return 0
