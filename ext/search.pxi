# Twin of crdtstore/query/search.py: the documents of a source that match, counted or printed.
#
# Rules: a search runs in sections. The first few rows are read with the GIL, so that a search for one document never
# waits for it; then a section runs without it, ends after SEARCH_SECTION_ROWS rows at the latest, and lets other
# threads close the store and signals be heard. What matches is printed between two sections, from where it lies.
# A document that only the plain twin can judge is copied first: its test may run any Python code.
# Include after `search_source.pxi`.

from cpython.exc cimport PyErr_CheckSignals

cdef enum:
    SEARCH_HELD_ROWS = 32              # that are read before the GIL is given away
    SEARCH_SECTION_ROWS = 4_096
    SEARCH_MATCHES = 128               # that wait to be printed

cdef enum:                             # what becomes of a match
    SEARCH_COUNTED = 0
    SEARCH_PRINTED = 1


@cython.final
cdef class Search:
    """One search under way."""

    cdef SearchSource source
    cdef int purpose
    cdef object paths                  # the collection's
    cdef object replicas               # the store's
    cdef object test                   # None: every document matches
    cdef object look                   # makes of id and document what the test takes
    cdef uint64_t matched
    cdef uint64_t skip
    cdef uint64_t limit                # matches behind the skipped ones
    cdef SearchRow row                 # that was found last
    cdef int waiting
    cdef SearchMatch *matches          # that wait to be printed
    cdef list found                    # what is returned


cdef struct SearchMatch:
    lmdb_value id_
    lmdb_value document


cdef Search search_open(SearchSource source, collection, replicas, filter_, look):
    """Set out to search."""
    cdef Search self = Search.__new__(Search)
    self.source, self.paths, self.replicas = source, collection.paths, replicas
    if filter_ is not None:
        self.test, self.look = filter_.test, look
    self.found = []
    return self


def search_count(Snapshot snapshot not None, int documents, collection, replicas, source, filter_, look):
    """Count what matches, documents looked at and entries read; see `search_count` of the plain twin."""
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source)
    cdef Search self = search_open(read, collection, replicas, filter_, look)
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
):
    """Give ids and JSON of what matches, and count as `search_count` does; see `search_json` of the plain twin."""
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source)
    cdef Search self = search_open(read, collection, replicas, filter_, look)
    cdef SearchMatch matches[SEARCH_MATCHES]
    self.purpose, self.matches, self.skip, self.limit = SEARCH_PRINTED, matches, skip, limit
    search_run(self)
    return self.found, read.rows, read.entries


# --- sections ---


cdef int search_run(Search self) except -1:
    """Search to the end."""
    cdef Snapshot snapshot = self.source.snapshot
    cdef int state = SEARCH_END if self.purpose == SEARCH_PRINTED and self.limit == 0 else SEARCH_PAUSE
    cdef bint held = True
    cdef tuple asked = None
    while state != SEARCH_END:
        snapshot_enter(snapshot)
        try:
            state = search_section(self, held or self.test is not None)
            search_print_waiting(self)
            if state == SEARCH_ASK:
                asked = search_copy(self)
        finally:
            snapshot_leave(snapshot)
        if state == SEARCH_ASK:
            if self.test(self.look(asked[0], asked[1])) is True:
                search_take_copy(self, asked)
        else:
            held = False
            PyErr_CheckSignals()
        if self.purpose == SEARCH_PRINTED and self.matched >= self.skip and self.matched - self.skip >= self.limit:
            state = SEARCH_END
    return 0


cdef int search_section(Search self, bint held) except -2:
    """Read on until there is something to do with the GIL."""
    cdef int state
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
        if state != SEARCH_FOUND:
            return state
        if search_take_c(self):
            return SEARCH_PAUSE


cdef int search_match_c(Search self) except -2 nogil:
    """Find the next document that matches, or that the plain twin has to judge: SEARCH_ASK."""
    cdef int state = search_next_c(self.source, &self.row)
    if state == SEARCH_FOUND and self.test is not None:
        return SEARCH_ASK
    return state


cdef inline bint search_take_c(Search self) noexcept nogil:
    """Take a document that matches; whether the section ends with it."""
    cdef SearchMatch *match
    self.matched += 1
    if self.purpose == SEARCH_COUNTED or self.matched <= self.skip:
        return False
    match = &self.matches[self.waiting]
    match.id_, match.document = self.row.id_, self.row.document
    self.waiting += 1
    return self.waiting == SEARCH_MATCHES or self.matched - self.skip == self.limit


# --- with the GIL ---


cdef int search_print_waiting(Search self) except -1:
    """Print the matches that wait."""
    cdef int index
    for index in range(self.waiting):
        search_print(self, &self.matches[index])
    self.waiting = 0
    return 0


cdef int search_print(Search self, const SearchMatch *match) except -1:
    """Add a match to what is returned."""
    cdef DocumentView view
    if document_open(<const unsigned char *>match.document.data, match.document.size, &view):
        search_raise_cut()
    json_document.length = 0
    json_emit(&view, self.paths, self.replicas, &json_document)
    id_ = PyBytes_FromStringAndSize(<const char *>match.id_.data, <Py_ssize_t>match.id_.size)
    self.found.append((id_, json_take(&json_document)))
    return 0


cdef tuple search_copy(Search self):
    """The id and document that were found last, as objects."""
    return (
        PyBytes_FromStringAndSize(<const char *>self.row.id_.data, <Py_ssize_t>self.row.id_.size),
        PyBytes_FromStringAndSize(<const char *>self.row.document.data, <Py_ssize_t>self.row.document.size),
    )


cdef int search_take_copy(Search self, tuple asked) except -1:
    """Take a document that the plain twin found to match."""
    cdef bytes id_ = asked[0], document = asked[1]
    self.row.id_.data, self.row.id_.size = PyBytes_AS_STRING(id_), PyBytes_GET_SIZE(id_)
    self.row.document.data, self.row.document.size = PyBytes_AS_STRING(document), PyBytes_GET_SIZE(document)
    search_take_c(self)
    return search_print_waiting(self)
