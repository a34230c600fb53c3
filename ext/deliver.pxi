# Twin of deliver in crdtstore/version/delivery.py, for a run of records that are simply next.
#
# Rules: a record is taken here when it is canonical, the next of its origin, later than what came before it, observed
# nothing new, and uses no name that is unknown; the first that is not ends the run before anything of it was written,
# and the plain twin decides. Head and catalog are told when the run ends, also by an error.

from crdtstore.crdt.vector import NOWHERE as deliver_nowhere

cdef class OriginRun:
    """How far one origin's log was applied, while a run goes on."""

    cdef bytes origin
    cdef uint64_t position
    cdef uint64_t timestamp
    cdef unsigned char digest[16]
    cdef array coverage
    cdef unsigned char actor[16]       # whose replica number is known
    cdef uint32_t replica
    cdef uint32_t number               # of the origin
    cdef bint moved


cdef class Run:
    """What the records of one run share."""

    cdef object head
    cdef dict origins
    cdef bytes own                     # the store's origin, whose records come from nowhere else
    cdef OriginRun last
    cdef Applier applier
    cdef uint64_t txn
    cdef uint64_t timestamp_max
    cdef uint64_t greatest
    cdef int log_table
    cdef int positions_table
    cdef lmdb_cursor *log_cursor       # from the first record on
    cdef lmdb_cursor *positions_cursor


cdef OriginRun run_origin(Run run, const unsigned char *origin):
    """The state of a record's origin; read from the head when it is met first."""
    cdef bytes name
    cdef OriginRun state = run.last
    cdef bytes digest
    if state is not None and memcmp(PyBytes_AS_STRING(state.origin), origin, 16) == 0:
        return state
    name = PyBytes_FromStringAndSize(<const char *>origin, 16)
    state = <OriginRun>run.origins.get(name)
    if state is None:
        position, timestamp, digest = run.head.vector.get(name, deliver_nowhere)
        state = OriginRun.__new__(OriginRun)
        state.origin = name
        state.position = position
        state.timestamp = timestamp
        memcpy(state.digest, PyBytes_AS_STRING(digest), 16)
        state.coverage = run.head.coverage(name, {})
        state.replica = UNRESOLVED
        state.number = 0
        run.origins[name] = state
    run.last = state
    return state


cdef bint run_replica(Run run, OriginRun state, const unsigned char *actor) except -1:
    """Find a record's replica; False when it is not known yet."""
    cdef unsigned char text[32]
    cdef uint32_t number
    if state.replica != UNRESOLVED and memcmp(state.actor, actor, 16) == 0:
        return True
    memcpy(text, actor, 16)
    memcpy(text + 16, PyBytes_AS_STRING(state.origin), 16)
    number = find_path(run.applier.replica_numbers, run.applier.replica_texts, text, 32)
    if number == UNRESOLVED:
        return False
    memcpy(state.actor, actor, 16)
    state.replica = number
    return True


cdef bint run_is_next(Run run, OriginRun state, const RecordView *record) noexcept:
    """Whether a record is simply next."""
    return (
        record.position == state.position + 1 and record.position > 1 and record.timestamp > state.timestamp
        and record.timestamp <= run.timestamp_max and record.observed_count == 0
    )


cdef bint run_knows(Run run, const RecordView *record, const unsigned char *end) except -1:
    """Whether every collection of a record is known and every id fits its key."""
    cdef Cursor cursor
    cdef uint32_t fields = 0, at
    cdef const unsigned char *name = NULL
    cdef const unsigned char *id_ = NULL
    cdef size_t length = 0, id_length = 0
    cdef Applier applier = run.applier
    cursor.at = record.changes
    cursor.end = end
    if record.id_length_max + 4 > APPLY_KEY_MAX:
        return False
    for at in range(1 if record.one_collection else record.changes_count):
        read_array(&cursor, &fields)
        read_string(&cursor, &name, &length)
        read_binary(&cursor, &id_, &id_length)
        if applier.collection is None or applier.name_length() != length \
                or memcmp(applier.name_start(), name, length):
            if (<bytes>name[:length]).decode() not in applier.catalog.by_name:
                return False
        skip_value(&cursor, 0)
    return True


cdef int run_append(Run run, OriginRun state, size_t length) except -1:
    """log.append, of the record that stands in `scratch.message` behind the room for its digest."""
    cdef unsigned char key[24]
    cdef unsigned char place[24]
    cdef Batch batch = run.applier.compiled
    if run.positions_cursor is NULL:
        run.log_cursor = batch_cursor_c(batch, run.log_table)
        run.positions_cursor = batch_cursor_c(batch, run.positions_table)
    run.txn += 1
    blake2b_c(state.digest, 16, state.digest, 16, scratch.message + 16, length)
    memcpy(scratch.message, state.digest, 16)
    put64(place, run.txn)
    memcpy(place + 8, state.digest, 16)
    batch_put_near_c(batch, run.log_cursor, run.log_table, place, 8, scratch.message, length + 16, LMDB_APPEND)
    memcpy(key, PyBytes_AS_STRING(state.origin), 16)
    put64(key + 16, state.position)
    batch_put_near_c(batch, run.positions_cursor, run.positions_table, key, 24, place, 24, 0)
    return 0


cdef bint run_record(Run run, bytes data) except -1:
    """Apply one record; False when the plain twin must decide."""
    cdef RecordView record
    cdef OriginRun state
    cdef Merge merge
    cdef Cursor cursor
    cdef uint32_t at
    cdef array origin_numbers
    cdef const unsigned char *start = <const unsigned char *>PyBytes_AS_STRING(data)
    if record_open(start, PyBytes_GET_SIZE(data), &record):
        return False
    state = run_origin(run, record.origin)
    cursor.end = start + PyBytes_GET_SIZE(data)
    if state.origin == run.own or not run_is_next(run, state, &record) or not run_replica(run, state, record.actor):
        return False
    if not run_knows(run, &record, cursor.end):
        return False
    origin_numbers = run.applier.catalog.replicas.origin_numbers
    merge_begin(&merge, record.timestamp, state.replica, state.coverage, origin_numbers)
    state.number = origin_numbers.data.as_uints[state.replica]
    if state.number >= <size_t>len(state.coverage):
        return False
    state.coverage.data.as_ulonglongs[state.number] = state.timestamp
    cursor.at = record.changes
    for at in range(record.changes_count):
        apply_change(run.applier, &merge, &cursor)
    state.position += 1
    state.timestamp = record.timestamp
    state.moved = True
    run.greatest = max(run.greatest, record.timestamp)
    grow(<void **>&scratch.message, &scratch.message_size, 16 + PyBytes_GET_SIZE(data))
    memcpy(scratch.message + 16, start, PyBytes_GET_SIZE(data))
    run_append(run, state, PyBytes_GET_SIZE(data))
    return True


cdef int run_end(Run run) except -1:
    """Let go of the batch, and tell head and catalog how far the run came."""
    cdef OriginRun state
    if run.log_cursor is not NULL:
        lmdb_close_cursor(run.log_cursor)
    if run.positions_cursor is not NULL:
        lmdb_close_cursor(run.positions_cursor)
    run.log_cursor = run.positions_cursor = NULL
    if run.applier.collection is not None:
        apply_count(run.applier)
    for state in run.origins.values():
        if state.moved:
            run.head.vector[state.origin] = Reached(state.position, state.timestamp, <bytes>state.digest[:16])
            run.head.changed.add(state.origin)
    run.head.greatest = run.greatest
    run.head.txn = run.txn
    return 0


def deliver_run(Batch batch not None, catalog, head, records, Py_ssize_t start, uint64_t timestamp_max,
                int documents_table, int log_table, int positions_table):
    """Apply records from `start` on while they are simply next; how many were applied; see version/delivery.py."""
    cdef Run run = Run.__new__(Run)
    cdef Py_ssize_t at = start, end = len(records)
    run.head = head
    run.own = head.origin
    run.origins = {}
    run.applier = applier_for(batch, catalog, documents_table)
    run.txn = head.txn
    run.greatest = head.greatest
    run.timestamp_max = timestamp_max
    run.log_table = log_table
    run.positions_table = positions_table
    try:
        while at < end and run_record(run, records[at]):
            at += 1
    finally:
        applier_end(run.applier)
        run_end(run)
    return at - start
