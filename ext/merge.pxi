# Twin of crdtstore/crdt/merge.py, register.py, map.py, counter.py and grave.py, and of merge_document in
# document_bytes.py.
#
# The laws stand there. Here operations mark rows dead or add some, and what lives is laid out again (pack.pxi); the
# digest changes by the rows that died and came. The commonest change, one register over the one it observed, is
# patched into a copy of the bytes instead (patch.pxi), with the same result.

cdef object malformed(str reason):
    """The error for operations that are not in canonical form."""
    from crdtstore.errors import MalformedRecord

    return MalformedRecord(f"A record's operations are malformed: {reason}.")


cdef inline int type_of(int code) noexcept nogil:
    """The CellType of a code, initial or not; a total's is its counter's."""
    code &= 7
    return 3 if CODE_IMPLICIT <= code <= CODE_TOTAL else code


cdef int kill_row(Merge *merge, Row *row, list texts, list replica_texts) except -1:
    row.dead = 1
    return digest_row(merge, row, texts, replica_texts, False)


cdef int apply_remove(Merge *merge, const unsigned char *text, size_t length, uint64_t types,
                      list texts, list replica_texts) except -1:
    """map.remove: what was observed at a path and below; a counter's totals go with it."""
    cdef size_t at
    cdef Row *row
    cdef const unsigned char *path
    cdef size_t path_length
    cdef bint with_totals = False
    for at in range(scratch.count):
        row = scratch.rows + at
        if row.code != CODE_TOTAL:
            with_totals = False
            if row.dead or not types >> type_of(row.code) & 1:
                continue
            row_text(row, texts, &path, &path_length)
            if path_length < length or memcmp(path, text, length):
                continue
            if not is_observed(merge, row.timestamp, row.replica):
                continue
            with_totals = True
        elif not with_totals:
            continue
        kill_row(merge, row, texts, replica_texts)
    return 0


cdef int apply_cell(Merge *merge, int code, const unsigned char *text, size_t length, Cursor *cursor,
                    dict numbers, list texts, list replica_texts) except -1:
    """register.write, map.mark, counter.restart, counter.start: one cell comes, the observed ones of its type go."""
    cdef uint32_t path = find_path(numbers, texts, text, length)
    cdef size_t at, count = scratch.count
    cdef bint with_totals = False
    cdef Row *row
    cdef int kind
    if code != CODE_IMPLICIT:
        for at in range(count):
            row = scratch.rows + at
            if row.code != CODE_TOTAL:
                with_totals = (  # the path first: it is another one at most rows
                    same_path(row, path, text, length) and not row.dead and type_of(row.code) == type_of(code)
                    and is_observed(merge, row.timestamp, row.replica)
                )
            if with_totals:
                kill_row(merge, row, texts, replica_texts)
    row = add_row()
    row.path = path
    row.text = text
    row.text_length = <uint32_t>length
    row.code = <uint8_t>code
    row.timestamp = row.cell_timestamp = merge.timestamp
    row.replica = row.cell_replica = merge.replica
    code &= 7
    if code == CODE_REGISTER or code == CODE_ATTACHMENT:
        if read_row_value(cursor, row):
            raise malformed("a register has no value")
    elif code == CODE_EXPLICIT:
        if read_number(cursor, &kind, &row.slot):
            raise malformed("a counter has no start")
        row.kind = <uint8_t>kind
    elif code == CODE_IMPLICIT:
        row.kind = KIND_INT
    digest_row(merge, row, texts, replica_texts, True)
    if code == CODE_IMPLICIT:
        return add_first_total(merge, cursor, texts, replica_texts)
    return 0


cdef int add_first_total(Merge *merge, Cursor *cursor, list texts, list replica_texts) except -1:
    """The total with which counter.start begins."""
    cdef Row *total = add_row()
    cdef int kind
    memcpy(total, scratch.rows + scratch.count - 2, sizeof(Row))
    total.code = CODE_TOTAL
    if read_number(cursor, &kind, &total.slot):
        raise malformed("a counter has no amount")
    total.kind = <uint8_t>kind
    return digest_row(merge, total, texts, replica_texts, True)


cdef inline void add_amounts(Row *total, int kind, uint64_t slot) noexcept nogil:
    """counter.clamp(before + delta): exact while int64 holds it, else the nearest double."""
    cdef int64_t sum
    cdef double left, right
    if total.kind == KIND_INT and kind == KIND_INT:
        if not add_overflows(<int64_t>total.slot, <int64_t>slot, &sum):
            total.slot = <uint64_t>sum
            return
        left = wide_sum(<int64_t>total.slot, <int64_t>slot)
    else:
        left = amount_as_double(total.kind, total.slot)
        right = amount_as_double(kind, slot)
        left = finite_amount(left + right)
    total.kind = KIND_DOUBLE
    memcpy(&total.slot, &left, 8)


cdef inline double amount_as_double(int kind, uint64_t slot) noexcept nogil:
    cdef double value
    if kind == KIND_INT:
        return <double><int64_t>slot
    memcpy(&value, &slot, 8)
    return value


cdef int apply_increment(Merge *merge, const unsigned char *text, size_t length, Cursor *cursor, dict numbers,
                         list texts, dict replica_numbers, list replica_texts) except -1:
    """counter.increment: to the author's total in the named instance; without that instance nothing happens."""
    cdef uint64_t instance_timestamp, slot = 0
    cdef const unsigned char *actor
    cdef const unsigned char *origin
    cdef size_t actor_length, origin_length
    cdef unsigned char replica_text[32]
    cdef uint32_t path, replica
    cdef int kind = 0
    cdef Row *row
    cdef Row *instance = NULL
    cdef Row *total = NULL
    cdef size_t at
    if (
        read_unsigned(cursor, &instance_timestamp) or read_binary(cursor, &actor, &actor_length)
        or read_binary(cursor, &origin, &origin_length) or actor_length != 16 or origin_length != 16
        or read_number(cursor, &kind, &slot)
    ):
        raise malformed("an increment names no instance and amount")
    memcpy(replica_text, actor, 16)
    memcpy(replica_text + 16, origin, 16)
    replica = find_path(replica_numbers, replica_texts, replica_text, 32)
    path = find_path(numbers, texts, text, length)
    for at in range(scratch.count):
        row = scratch.rows + at
        if row.dead:
            continue
        if row.cell_timestamp != instance_timestamp or row.cell_replica != replica:
            continue
        if type_of(row.code) != 3 or not same_path(row, path, text, length):
            continue
        if row.code != CODE_TOTAL:
            instance = row
        elif row.replica == merge.replica:
            total = row
    if instance == NULL:
        return 0
    if total != NULL:
        kill_row(merge, total, texts, replica_texts)
        total.dead = 0
    else:
        at = instance - scratch.rows
        total = add_row()
        memcpy(total, scratch.rows + at, sizeof(Row))
        total.code = CODE_TOTAL
        total.kind = KIND_INT
        total.slot = 0
        total.replica = merge.replica
    total.stamp = STAMP_NEW
    add_amounts(total, kind, slot)
    total.timestamp = merge.timestamp
    return digest_row(merge, total, texts, replica_texts, True)


cdef int apply_bury(Merge *merge, bint buried, dict numbers, list texts, list replica_texts) except -1:
    """grave.bury: everything goes, and of two graves the greater stamp stays."""
    cdef size_t at, count = scratch.count
    cdef Row *row = scratch.rows
    if buried and not stamp_is_greater(merge, row, replica_texts):
        return 0
    for at in range(count):
        if not scratch.rows[at].dead:
            kill_row(merge, scratch.rows + at, texts, replica_texts)
    row = add_row()
    row.path = find_path(numbers, texts, <const unsigned char *>b"", 0)
    row.text = <const unsigned char *>b""
    row.code = CODE_GRAVE
    row.timestamp = row.cell_timestamp = merge.timestamp
    row.replica = row.cell_replica = merge.replica
    return digest_row(merge, row, texts, replica_texts, True)


cdef inline bint stamp_is_greater(const Merge *merge, const Row *row, list replica_texts) noexcept:
    """Whether the transaction's stamp is greater than a row's: by timestamp, then actor and origin."""
    if merge.timestamp != row.timestamp:
        return merge.timestamp > row.timestamp
    return memcmp(
        PyBytes_AS_STRING(<object>PyList_GET_ITEM(replica_texts, merge.replica)),
        PyBytes_AS_STRING(<object>PyList_GET_ITEM(replica_texts, row.replica)), 32,
    ) > 0


cdef int apply_operation(Merge *merge, Cursor *cursor, bint buried, dict numbers, list texts,
                         dict replica_numbers, list replica_texts) except -1:
    """One operation: its code, its path, its fields; a grave lets only another one through."""
    cdef uint32_t fields
    cdef uint64_t code, types
    cdef const unsigned char *text
    cdef size_t length
    if read_array(cursor, &fields) or read_unsigned(cursor, &code) or read_binary(cursor, &text, &length):
        raise malformed("an operation has no code and path")
    if buried and code != 7:
        return skip_fields(cursor, fields)
    if code == 0 and fields == 3:
        if read_unsigned(cursor, &types):
            raise malformed("a removal has no types")
        return apply_remove(merge, text, length, types, texts, replica_texts)
    if code == 1 and fields == 3:
        return apply_cell(merge, CODE_REGISTER, text, length, cursor, numbers, texts, replica_texts)
    if code == 2 and fields == 2:
        return apply_cell(merge, CODE_MAP, text, length, cursor, numbers, texts, replica_texts)
    if code == 3 and fields == 3:
        return apply_cell(merge, CODE_IMPLICIT, text, length, cursor, numbers, texts, replica_texts)
    if code == 4 and fields == 3:
        return apply_cell(merge, CODE_EXPLICIT, text, length, cursor, numbers, texts, replica_texts)
    if code == 5 and fields == 6:
        return apply_increment(merge, text, length, cursor, numbers, texts, replica_numbers, replica_texts)
    if code == 7 and fields == 2 and length == 0:
        return apply_bury(merge, buried, numbers, texts, replica_texts)
    if fields == 3 and (code == 6 or code == 9 or code == 12 or code == 14):
        return apply_cell(merge, <int>code, text, length, cursor, numbers, texts, replica_texts)
    if fields == 2 and code == 10:
        return apply_cell(merge, <int>code, text, length, cursor, numbers, texts, replica_texts)
    raise malformed("an operation is of no known kind")


cdef int skip_fields(Cursor *cursor, uint32_t fields) except -1:
    """Pass over what follows an operation's code and path."""
    cdef uint32_t field
    for field in range(2, fields):
        if skip_value(cursor, 0):
            raise malformed("an operation has too few fields")
    return 0


# --- one document ---


cdef int merge_core(Merge *merge, const unsigned char *document, size_t document_length, Cursor *cursor,
                    dict numbers, list texts, Py_ssize_t maximum,
                    dict replica_numbers, list replica_texts) except -1:
    """Apply one transaction's operations to one document's bytes, into scratch.out; empty when no cell is left.

    The cursor stands at the operations and is moved behind them.
    """
    cdef DocumentView view
    cdef uint32_t count, at
    cdef bint buried = False
    cdef list local
    if read_array(cursor, &count):
        raise malformed("they are no array")
    scratch.count = 0
    if document_length:
        if document_open(document, document_length, &view):
            raise damaged("its bytes are cut short")
        if count == 1 and merge_patch(
            merge, &view, document, document_length, cursor, numbers, texts, replica_numbers, replica_texts
        ):
            return 0
        load_rows(&view, merge, texts)
        buried = document_is_grave(&view)
    for at in range(count):
        apply_operation(merge, cursor, buried, numbers, texts, replica_numbers, replica_texts)
    scratch.out_length = 0
    if drop_dead() == 0:
        return 0
    local = resolve_paths(numbers, texts, maximum)
    sort_rows()
    return pack_rows(merge, &view if document_length else NULL, local)


def merge_document(bytes document not None, bytes operations not None, uint64_t timestamp, uint32_t replica,
                   array coverage not None, paths, replicas, bytes key not None, bytearray digest_sum not None):
    """Apply one transaction's operations to one document's bytes; see crdt/document_bytes.py."""
    cdef Merge merge
    cdef Cursor cursor
    cdef array origin_numbers = replicas.origin_numbers
    merge_begin(&merge, timestamp, replica, coverage, origin_numbers)
    if replica >= merge.replica_count or len(key) != 16 or len(digest_sum) != 16:
        raise ValueError("A merge takes a known replica, a key and a digest of 16 bytes.")
    merge.key = <const unsigned char *>PyBytes_AS_STRING(key)
    merge.digest_low = load_u64(<const unsigned char *>PyByteArray_AS_STRING(digest_sum))
    merge.digest_high = load_u64(<const unsigned char *>PyByteArray_AS_STRING(digest_sum) + 8)
    cursor.at = <const unsigned char *>PyBytes_AS_STRING(operations)
    cursor.end = cursor.at + PyBytes_GET_SIZE(operations)
    merge_core(
        &merge, <const unsigned char *>PyBytes_AS_STRING(document), PyBytes_GET_SIZE(document), &cursor,
        paths.numbers, paths.texts, paths.maximum, replicas.numbers, replicas.texts,
    )
    if cursor.at != cursor.end:
        raise malformed("bytes follow the last one")
    memcpy(PyByteArray_AS_STRING(digest_sum), &merge.digest_low, 8)
    memcpy(PyByteArray_AS_STRING(digest_sum) + 8, &merge.digest_high, 8)
    return PyBytes_FromStringAndSize(<const char *>scratch.out, scratch.out_length)


cdef inline int merge_begin(Merge *merge, uint64_t timestamp, uint32_t replica, array coverage,
                            array origin_numbers) except -1:
    """Enter what is the same for every document of a transaction."""
    if coverage.ob_descr.typecode != b"Q" or origin_numbers.ob_descr.typecode != b"I":
        raise TypeError("coverage is an array of Q, origin_numbers one of I.")
    merge.timestamp = timestamp
    merge.replica = replica
    merge.coverage = <const uint64_t *>coverage.data.as_ulonglongs
    merge.covered = len(coverage)
    merge.origin_numbers = origin_numbers.data.as_uints
    merge.replica_count = <uint32_t>len(origin_numbers)
    merge.digest_low = 0
    merge.digest_high = 0
    return 0
