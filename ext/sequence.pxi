# Twin of sequence in crdtstore/version/transaction.py, for a run of transactions of plain upserts.
#
# Rules: a transaction is taken here when its author and its collections are known, nothing was observed since the one
# before, and it can be staged; the first that is not ends the run before anything of it was written, and the plain twin
# decides. The clock is read once a run. Head is told when the run ends. Where a row cannot be written the error goes to
# the caller, who drops the whole batch. Include after `deliver.pxi` and `stage.pxi`.

from crdtstore.crdt.record import RECORD_VERSION as sequence_record_version
from crdtstore.limits import RECORD_BYTES_MAX as sequence_record_limit

cdef enum:
    SEQUENCE_HEAD_BYTES = 64           # of a record before its documents: 1 + 1 + 18 + 9 + 18 + 9 + 1

cdef size_t SEQUENCE_RECORD_BYTES_MAX = sequence_record_limit
cdef unsigned char SEQUENCE_RECORD_VERSION = sequence_record_version


cdef class Upserting:
    """What the transactions of one run share."""

    cdef Run run
    cdef OriginRun state               # of the store's own origin
    cdef object kind                   # of commands
    cdef object result
    cdef object written
    cdef object new_id
    cdef object unset
    cdef int documents_table
    cdef uint64_t timestamp_least      # by the clock


cdef Staged sequence_stage(Upserting self, tuple commands, uint64_t timestamp):
    """Make a transaction's documents ready; None when the plain twins must run it."""
    cdef Merge merge
    cdef Run run = self.run
    cdef object catalog = run.applier.catalog
    cdef array origin_numbers = catalog.replicas.origin_numbers
    cdef Staged staged = stage_begin(run.applier.compiled, catalog, self.documents_table, len(commands))
    catalog.touched.clear()
    staged.known_only = True
    try:
        merge_begin(&merge, timestamp, self.state.replica, self.state.coverage, origin_numbers)
        if stage_commands(staged, &merge, commands, self.kind, self.result, self.new_id, self.unset):
            return staged
    except Exception:
        # The plain twins meet it as well, and know whose error it is.
        pass
    staged.take_back()
    return None


cdef size_t sequence_record(Upserting self, uint64_t timestamp, bytes documents) except 0:
    """The record as `join_record` makes it, behind the room for its digest in `scratch.message`; its bytes."""
    cdef unsigned char *start
    cdef unsigned char *out
    cdef size_t length = PyBytes_GET_SIZE(documents)
    grow(<void **>&scratch.message, &scratch.message_size, 16 + SEQUENCE_HEAD_BYTES + length)
    start = out = scratch.message + 16
    out[0], out[1] = 0x97, SEQUENCE_RECORD_VERSION
    out += 2
    out += write_bytes_head(out, 16, False)
    memcpy(out, PyBytes_AS_STRING(self.state.origin), 16)
    out += 16
    out += write_int(out, <int64_t>(self.state.position + 1))
    out += write_bytes_head(out, 16, False)
    memcpy(out, self.state.actor, 16)
    out += 16
    out += write_int(out, <int64_t>timestamp)
    out[0] = 0x90
    out += 1
    memcpy(out, PyBytes_AS_STRING(documents), length)
    return out - start + length


cdef object sequence_one(Upserting self, object commands, object actor):
    """Run one transaction; what it answers, or None when the plain twin must."""
    cdef Run run = self.run
    cdef OriginRun state = self.state
    cdef uint64_t timestamp = max(self.timestamp_least, run.greatest + 1)
    cdef Staged staged
    cdef size_t length
    if type(commands) is not tuple or not commands or type(actor) is not bytes or PyBytes_GET_SIZE(actor) != 16:
        return None
    if timestamp > run.timestamp_max:
        return None
    if not run_replica(run, state, <const unsigned char *>PyBytes_AS_STRING(actor)):
        return None
    state.coverage.data.as_ulonglongs[state.number] = state.timestamp
    staged = sequence_stage(self, commands, timestamp)
    if staged is None:
        return None
    length = sequence_record(self, timestamp, stage_encoded(staged))
    if length > SEQUENCE_RECORD_BYTES_MAX:
        staged.take_back()
        return None
    state.position += 1
    state.timestamp = run.greatest = timestamp
    state.moved = True
    run_append(run, state, length)
    stage_put(staged)
    return tuple.__new__(self.written, (run.txn, staged.results, (), ()))


cdef Upserting sequence_begin(Batch batch, object catalog, object head, tuple tables, object kinds):
    """What a run of an own origin begins with; None where it has no position yet."""
    cdef Upserting self = Upserting.__new__(Upserting)
    cdef Run run = Run.__new__(Run)
    self.run = run
    self.documents_table, run.log_table, run.positions_table = tables
    self.kind, self.result, self.written, self.new_id, self.unset = kinds
    stage_slots(self.kind)
    run.head, run.own, run.origins = head, head.origin, {}
    run.applier = applier_for(batch, catalog, self.documents_table)
    run.txn, run.greatest = head.txn, head.greatest
    self.state = run_origin(run, <const unsigned char *>PyBytes_AS_STRING(run.own))
    self.state.number = head.origins.intern(run.own)
    if self.state.position == 0 or self.state.number >= <size_t>len(self.state.coverage):
        return None
    return self


def sequence_upserts(Batch batch not None, catalog, head, list writes not None, Py_ssize_t start,
                     uint64_t timestamp_least, uint64_t timestamp_max, tuple tables not None, kinds):
    """Run the transactions from `start` on while they are plain upserts; what they answered; see version/plain.py."""
    cdef Upserting self = sequence_begin(batch, catalog, head, tables, kinds)
    cdef list done = []
    cdef Py_ssize_t at
    if self is None:
        return done
    self.timestamp_least, self.run.timestamp_max = timestamp_least, timestamp_max
    try:
        for at in range(start, len(writes)):
            write = writes[at]
            if write is None:
                break
            answer = sequence_one(self, write.commands, write.actor)
            if answer is None:
                break
            done.append(answer)
    finally:
        applier_end(self.run.applier)
        run_end(self.run)
    return done
