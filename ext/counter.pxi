# Twin of crdtstore/crdt/counter.py, `visible`: what a reader sees of a counter's instances at one path.
#
# Include after `visible.pxi`.


cdef int visible_number(const DocumentView *view, uint32_t row, ValueItem *number) noexcept nogil:
    """Read a row's slot as a number."""
    number.kind = view.types[row] >> 4
    memcpy(&number.integer, view.slots + 8 * <size_t>row, 8)
    memcpy(&number.number, view.slots + 8 * <size_t>row, 8)
    if number.kind != KIND_INT and number.kind != KIND_DOUBLE:
        return VISIBLE_NUMBER
    return 0


cdef int visible_counter(
    const DocumentView *view, const VisibleCell *cell, uint32_t own, const NameList *replicas, ValueItem *number
) noexcept nogil:
    """The counter that a reader sees among the cells at a path, of which at least one is a counter's."""
    cdef int64_t highest = -1
    cdef uint32_t index, row
    cdef size_t doubles = 0, totals = 0
    cdef visible_sum total = [0, 0]
    cdef int first
    for index in range(own):
        row = cell[index].row
        if visible_code(view, row) == CODE_EXPLICIT:
            first = visible_counts_before(view, row, highest, replicas)
            if first < 0:
                return first
            if first:
                highest = row
    if highest >= 0 and visible_untouched(view, <uint32_t>highest):
        for index in range(own):
            if visible_code(view, cell[index].row) == CODE_IMPLICIT:
                highest = -1
                break
    if highest >= 0:
        if visible_number(view, <uint32_t>highest, number):
            return VISIBLE_NUMBER
        if number.kind == KIND_INT:
            visible_add(&total, number.integer)
        else:
            doubles = 1
    for index in range(own):
        if visible_counted(view, cell[index].row, highest):
            for row in range(cell[index].row + 1, visible_behind(view, cell[index].row)):
                if visible_number(view, row, number):
                    return VISIBLE_NUMBER
                totals += 1
                if number.kind == KIND_INT:
                    visible_add(&total, number.integer)
                else:
                    doubles += 1
    if doubles:
        return visible_sum_doubles(view, cell, own, highest, totals, replicas, number)
    number.kind, number.integer = KIND_INT, <int64_t>total.low
    if not visible_fits(&total):
        number.kind, number.number = KIND_DOUBLE, visible_double(&total)
    return 0


cdef inline bint visible_counted(const DocumentView *view, uint32_t row, int64_t highest) noexcept nogil:
    """Whether a cell is a counter instance whose totals a reader sees."""
    return visible_code(view, row) == CODE_IMPLICIT or row == highest


cdef inline bint visible_untouched(const DocumentView *view, uint32_t row) noexcept nogil:
    """Whether nobody has added to an initial instance."""
    return view.types[row] & CODE_INITIAL and visible_behind(view, row) == row + 1


cdef int visible_counts_before(
    const DocumentView *view, uint32_t row, int64_t other, const NameList *replicas
) noexcept nogil:
    """counter.precedence: whether an explicit instance comes before another, -1 for none."""
    if other >= 0 and visible_untouched(view, row) != visible_untouched(view, <uint32_t>other):
        return not visible_untouched(view, row)
    return visible_later(view, row, other, replicas)


cdef int visible_by_replica(const void *left, const void *right) noexcept nogil:
    """The order in which totals are added: by actor and origin, then by the instance's stamp."""
    cdef const VisibleTotal *a = <const VisibleTotal *>left
    cdef const VisibleTotal *b = <const VisibleTotal *>right
    cdef int order = memcmp(a.replica, b.replica, VISIBLE_REPLICA_BYTES)
    if order:
        return order
    if a.created != b.created:
        return -1 if a.created < b.created else 1
    return memcmp(a.author, b.author, VISIBLE_REPLICA_BYTES)


cdef int visible_sum_doubles(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t own,
    int64_t highest,
    size_t count,
    const NameList *replicas,
    ValueItem *number,
) noexcept nogil:
    """Add totals, some of them doubles, in (actor, origin) order: integers exactly until a double comes."""
    cdef VisibleTotal *totals = <VisibleTotal *>malloc((count + 1) * sizeof(VisibleTotal))
    cdef VisibleTotal *next_total = totals
    cdef uint64_t unused
    cdef uint32_t index, row
    cdef int failure = VISIBLE_MEMORY if totals == NULL else 0
    for index in range(own if totals != NULL else 0):
        if visible_counted(view, cell[index].row, highest):
            for row in range(cell[index].row + 1, visible_behind(view, cell[index].row)):
                next_total.row = row
                failure = min(failure, visible_replica(view, row, replicas, &next_total.replica, &unused))
                failure = min(failure, visible_replica(
                    view, cell[index].row, replicas, &next_total.author, &next_total.created
                ))
                next_total += 1
    if failure == 0:
        qsort(totals, count, sizeof(VisibleTotal), &visible_by_replica)
        failure = visible_add_totals(view, totals, count, highest, number)
    free(totals)
    return failure


cdef int visible_add_totals(
    const DocumentView *view, const VisibleTotal *totals, size_t count, int64_t highest, ValueItem *number
) noexcept nogil:
    """Add totals in their order to the start of the highest explicit instance."""
    cdef visible_sum whole = [0, 0]
    cdef bint is_double = False
    cdef double value = 0.0
    cdef size_t index
    for index in range(count + 1):
        if index == 0 and highest < 0:
            continue
        if visible_number(view, <uint32_t>highest if index == 0 else totals[index - 1].row, number):
            return VISIBLE_NUMBER
        if number.kind == KIND_INT and not is_double:
            visible_add(&whole, number.integer)
        elif is_double:
            value += number.number if number.kind == KIND_DOUBLE else <double>number.integer
        else:
            # The start is not added to zero: -0.0 stays itself.
            value = number.number if index == 0 else visible_double(&whole) + number.number
            is_double = True
    number.kind, number.number = KIND_DOUBLE, visible_clamp(value)
    return 0
