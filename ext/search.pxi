# Twin of crdtstore/query/search.py: the documents of a source that match, counted, printed or the best of them kept.
#
# Rules: a search runs in sections. The first few rows are read with the GIL, so that a search for one document never
# waits for it; then a section runs without it, ends after SEARCH_SECTION_ROWS rows at the latest, and lets other
# threads close the store and signals be heard. What matches is printed between two sections, from where it lies.
# A document that only the plain twin can judge is copied first: its test may run any Python code.
# Of those that are kept for an order only the sort keys are; they are looked up again at the end.
# Include after `search_source.pxi`, `sort_key.pxi`, `search_top.pxi` and `search_row.pxi`.

from cpython.exc cimport PyErr_CheckSignals

cdef enum:
    SEARCH_HELD_ROWS = 32              # that are read before the GIL is given away
    SEARCH_SECTION_ROWS = 4_096
    SEARCH_MATCHES = 128               # that wait to be printed

cdef enum:                             # what becomes of a match
    SEARCH_COUNTED = 0
    SEARCH_KEPT = 1
    SEARCH_PRINTED = 2
    SEARCH_SHOWN = 3                   # as a row
    SEARCH_LINED = 4                   # as a line


@cython.final
@cython.no_gc
cdef class Search:
    """One search under way."""

    cdef SearchSource source
    cdef int purpose
    cdef object paths                  # the collection's
    cdef object replicas               # the store's
    cdef object test                   # None: every document matches
    cdef object look                   # makes of id and document what the test takes
    cdef Program program               # the test for the core; None: the plain twin is asked about every document
    cdef Evaluation evaluation
    cdef uint64_t matched
    cdef uint64_t skip
    cdef uint64_t limit                # matches behind the skipped ones
    cdef uint64_t rows_max             # documents that are looked at
    cdef SearchRow row                 # that was found last
    cdef NameTable path_table
    cdef NameTable replica_table
    cdef int waiting
    cdef SearchMatch *matches          # that wait to be printed
    cdef list found                    # what is returned
    cdef bint without_ids              # only texts are
    cdef RowFields fields              # of rows
    cdef JsonBuffer lines              # that were printed
    cdef size_t lines_max              # bytes of them with which the search ends
    cdef size_t waiting_bytes          # of documents that wait to be lines
    cdef tuple last                    # the stored row that was read last
    cdef SortOrder order
    cdef object sort                   # the plain twin of an order: the key of what `look` makes, and an id key
    cdef Top top
    cdef unsigned char *key            # room for the longest sort key
    cdef bytes after                   # only greater sort keys are kept
    cdef lmdb_value after_key

    def __dealloc__(self):
        top_free(&self.top)
        free(self.key)
        json_free(&self.lines)


cdef struct SearchMatch:
    lmdb_value id_
    DocumentView view


cdef inline Search search_open(SearchSource source):
    """Make a search."""
    cdef Search self = Search.__new__(Search)
    self.source = source
    self.rows_max = UINT64_MAX
    return self


cdef int search_prepare(Search self, collection, replicas, filter_, look) except -1:
    """Say what is searched, and by which filter."""
    self.paths, self.replicas, self.found = collection.paths, replicas, []
    self.matched = self.waiting = 0
    if filter_ is not None:
        self.test, self.look, self.program = filter_.test, look, filter_.program
    if self.program is not None:
        # Nobody else gets it meanwhile.
        self.evaluation, self.program.spare = self.program.spare, None
        if self.evaluation is None:
            self.evaluation = evaluation(self.program, self.paths, self.replicas)
        else:
            evaluation_names(self.evaluation, self.paths, self.replicas)
    return 0


def search_count(
    Snapshot snapshot not None, int documents, collection, replicas, source, filter_, look, double deadline
):
    """Count what matches, documents looked at and entries read; see `search_count` of the plain twin."""
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source, deadline)
    cdef Search self = search_open(read)
    search_prepare(self, collection, replicas, filter_, look)
    search_run(self)
    return self.matched, read.rows, read.entries


def search_json(
    Snapshot snapshot not None,
    int documents,
    collection,
    replicas,
    source,
    filter_,
    look,
    uint64_t skip,
    uint64_t limit,
    double deadline,
):
    """Give ids and JSON of what matches, and count as `search_count` does; see `search_json` of the plain twin."""
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source, deadline)
    cdef Search self = search_open(read)
    cdef SearchMatch matches[SEARCH_MATCHES]
    search_prepare(self, collection, replicas, filter_, look)
    self.purpose, self.matches, self.skip, self.limit = SEARCH_PRINTED, matches, skip, limit
    search_run(self)
    return self.found, read.rows, read.entries


def search_top(
    Snapshot snapshot not None,
    int documents,
    collection,
    replicas,
    source,
    filter_,
    look,
    order,
    sort,
    uint64_t keep,
    bytes after,
    size_t skip,
    double deadline,
):
    """Give sort key, id and JSON of what comes first, and count; see `search_top` of the plain twin."""
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source, deadline)
    cdef Search self = search_open(read)
    search_prepare(self, collection, replicas, filter_, look)
    search_keep(self, look, order, sort, keep, after)
    search_print_kept(self, skip)
    return self.found, self.matched, read.rows, read.entries


cdef int search_keep(Search self, look, order, sort, uint64_t keep, bytes after) except -1:
    """Search for what comes first in an order, and put the keys of that in order."""
    self.purpose, self.order, self.sort, self.after = SEARCH_KEPT, sort_order(order), sort, after
    self.look, self.top.keep = look, keep
    self.path_table, self.replica_table = name_table(self.paths), name_table(self.replicas)
    if after is not None:
        self.after_key = search_place(after)
    self.key = <unsigned char *>malloc(sort_room(self.order) + SEARCH_KEY_BYTES)
    if self.key == NULL:
        raise MemoryError
    search_run(self)
    top_sort(&self.top)
    return 0


# --- sections ---


cdef int search_run(Search self) except -1:
    """Search to the end."""
    cdef Snapshot snapshot = self.source.snapshot
    cdef int state = SEARCH_END if search_is_full(self) else SEARCH_PAUSE
    cdef bint asks_all = self.test is not None and self.program is None
    cdef bint held = True
    cdef tuple asked = None
    while state != SEARCH_END:
        snapshot_enter(snapshot)
        try:
            state = search_section(self, held)
            search_print_waiting(self)
            if self.purpose >= SEARCH_SHOWN:
                self.last = search_last(self.source)
            if state == SEARCH_ASK or state == SEARCH_ASK_KEY:
                asked = search_copy(self)
        finally:
            snapshot_leave(snapshot)
        if state == SEARCH_ASK or state == SEARCH_ASK_KEY:
            # Where one document is asked about, more may be: not for each of them the GIL is given away.
            held = True
            search_ask(self, state, asked)
        else:
            held = asks_all
            PyErr_CheckSignals()
        if search_is_full(self):
            state = SEARCH_END
    if self.program is not None:
        self.program.spare = self.evaluation
    return 0


cdef inline bint search_is_full(Search self) noexcept:
    """Whether all that was asked for was found."""
    if self.purpose == SEARCH_LINED and self.lines.length >= self.lines_max:
        return True
    return self.purpose >= SEARCH_PRINTED and self.matched >= self.skip and self.matched - self.skip >= self.limit


cdef int search_section(Search self, bint held) except -2:
    """Read on until there is something to do with the GIL."""
    cdef int state
    search_check_deadline(self.source)
    self.source.left = SEARCH_HELD_ROWS if held else SEARCH_SECTION_ROWS
    if held:
        return search_matches_c(self)
    with nogil:
        state = search_matches_c(self)
    return state


cdef int search_matches_c(Search self) except -2 nogil:
    """Take matches until the rows are read, a document is to be asked for, or no more can wait."""
    cdef int state
    while True:
        state = search_match_c(self)
        if state == SEARCH_FOUND:
            state = search_take_c(self)
        if state != SEARCH_FOUND:
            return state


cdef int search_match_c(Search self) except -2 nogil:
    """Find the next document that matches, or that the plain twin has to judge: SEARCH_ASK."""
    cdef int state, verdict
    while True:
        if self.source.rows >= self.rows_max:
            return SEARCH_END
        state = search_next_c(self.source, &self.row)
        if state != SEARCH_FOUND or self.test is None:
            return state
        if self.evaluation is None:
            return SEARCH_ASK
        verdict = evaluate_c(
            &self.evaluation.state, &self.row.view, <value_place>self.row.id_.data, self.row.id_.size
        )
        if verdict < 0:
            search_raise_reason(self.evaluation.state.failure)
        if verdict == IS_ASKED:
            return SEARCH_ASK
        if verdict == IS_TRUE:
            return SEARCH_FOUND


cdef inline int search_take_c(Search self) except -2 nogil:
    """Take a document that matches; other than SEARCH_FOUND: the section ends with it."""
    cdef SearchMatch *match
    self.matched += 1
    if self.purpose == SEARCH_KEPT:
        return search_keep_c(self)
    if self.purpose == SEARCH_COUNTED or self.matched <= self.skip:
        return SEARCH_FOUND
    match = &self.matches[self.waiting]
    match.id_, match.view = self.row.id_, self.row.view
    self.waiting += 1
    self.waiting_bytes += self.row.document.size
    if self.purpose == SEARCH_LINED and self.lines.length + self.waiting_bytes >= self.lines_max:
        return SEARCH_PAUSE
    if self.waiting == SEARCH_MATCHES or self.matched - self.skip == self.limit:
        return SEARCH_PAUSE
    return SEARCH_FOUND


cdef int search_keep_c(Search self) except -2 nogil:
    """Keep the document that was found last, if it is among the first; SEARCH_ASK_KEY: the plain twin makes its key."""
    cdef int size = sort_key_c(
        self.order, &self.row.view, &self.row.id_, &self.path_table.names, &self.replica_table.names, self.key
    )
    if size < 0:
        search_raise_reason(size)
    if size == SORT_ASK and self.order.count:
        return SEARCH_ASK_KEY
    memcpy(self.key + size, self.row.key.data, self.row.key.size)
    search_offer(self, self.key, size + self.row.key.size)
    return SEARCH_FOUND


cdef int search_offer(Search self, const unsigned char *key, size_t size) except -1 nogil:
    """Keep the sort key of the document that was found last, if it is behind `after` and among the lowest."""
    if self.after is not None:
        if top_compare(key, size, <const unsigned char *>self.after_key.data, self.after_key.size) <= 0:
            return 0
    if top_offer(&self.top, key, size, self.row.key.size):
        search_raise_memory()
    return 0


cdef int search_raise_reason(int failure) except -1 with gil:
    visible_raise(failure)


# --- with the GIL ---


cdef int search_print_waiting(Search self) except -1:
    """Print the matches that wait."""
    cdef const SearchMatch *match
    cdef JsonShapes shapes = json_shapes(self.paths)
    cdef int index
    for index in range(self.waiting):
        match = &self.matches[index]
        if self.purpose == SEARCH_SHOWN:
            self.found.append(row_show(self.fields, &match.id_, &match.view))
            continue
        if self.purpose == SEARCH_LINED:
            line_print(self, match, shapes)
            continue
        text = search_text(self, &match.view, shapes)
        self.found.append(text if self.without_ids else (search_bytes(&match.id_), text))
    self.waiting = 0
    self.waiting_bytes = 0
    return 0


cdef bytes search_text(Search self, const DocumentView *view, JsonShapes shapes):
    """A document as JSON."""
    json_document.length = 0
    json_emit(view, shapes, self.paths, self.replicas, &json_document)
    return json_take(&json_document)


cdef inline bytes search_bytes(const lmdb_value *value):
    """What lies in the map, as an object."""
    return PyBytes_FromStringAndSize(<const char *>value.data, <Py_ssize_t>value.size)


cdef inline lmdb_value search_place(bytes value) noexcept:
    """Where an object's bytes lie."""
    cdef lmdb_value place
    place.data, place.size = PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
    return place


cdef int search_print_kept(Search self, size_t index) except -1:
    """Print the documents whose sort keys were kept, from one of them on."""
    cdef Snapshot snapshot = self.source.snapshot
    while index < self.top.count:
        snapshot_enter(snapshot)
        try:
            search_check_deadline(self.source)
            search_print_some(self, &index)
        finally:
            snapshot_leave(snapshot)
        PyErr_CheckSignals()
    return 0


cdef int search_print_some(Search self, size_t *index) except -1:
    """Print as many kept documents as may wait to be printed."""
    cdef size_t end = min(index[0] + SEARCH_MATCHES, self.top.count)
    cdef JsonShapes shapes = json_shapes(self.paths)
    cdef const TopKey *key
    while index[0] < end:
        key = &self.top.keys[index[0]]
        self.row.key.data, self.row.key.size = key.data + key.size - key.id_size, key.id_size
        search_get(self.source, &self.row)
        sort_key = PyBytes_FromStringAndSize(<const char *>key.data, <Py_ssize_t>key.size)
        self.found.append((sort_key, search_bytes(&self.row.id_), search_text(self, &self.row.view, shapes)))
        index[0] += 1
    return 0


cdef int search_ask(Search self, int state, tuple asked) except -1:
    """Let the plain twin judge a document, or make its sort key."""
    cdef bytes id_ = asked[0], document = asked[1], id_key = asked[2], key
    looked = self.look(id_, document)
    if state == SEARCH_ASK:
        if self.test(looked) is not True:
            return 0
        self.row.id_, self.row.key, self.row.document = search_place(id_), search_place(id_key), search_place(document)
        if document_open(<const unsigned char *>self.row.document.data, self.row.document.size, &self.row.view):
            search_raise_cut()
        state = search_take_c(self)
        search_print_waiting(self)
    if state == SEARCH_ASK_KEY:
        key = self.sort(looked, id_key)
        search_offer(self, <const unsigned char *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
    return 0


cdef tuple search_copy(Search self):
    """The id, the document and the id key that were found last, as objects."""
    return search_bytes(&self.row.id_), search_bytes(&self.row.document), search_bytes(&self.row.key)
