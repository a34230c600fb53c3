# Twin of fields_plainly in crdtstore/query/search.py: the matching documents of a piece of a source, as rows.
#
# Rules: as any other search, up to `rows_max` documents; the rows are made between two sections, from where the
# documents lie. What was read last is told, and whether that was the end: what is left is for the plain twin to say.
# Include after `search.pxi`.


def search_fields(
    Snapshot snapshot not None,
    int documents,
    collection,
    replicas,
    source,
    filter_,
    look,
    tuple names,
    uint64_t limit,
    uint64_t rows_max,
    double deadline,
):
    """Give rows, and count as `search_count` does; then, but at the end, where it is.

    Returns: rows, documents looked at, entries read; the number of the range that is read, and the last row of it as it
    is stored, a document's without its value: None at the end; what came, of a source that repeats.
    """
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source, deadline)
    cdef Search self = search_open(read)
    cdef SearchMatch matches[SEARCH_MATCHES]
    search_prepare(self, collection, replicas, filter_, look)
    self.purpose, self.matches, self.limit, self.rows_max = SEARCH_SHOWN, matches, limit, rows_max
    self.fields = row_fields(names, collection.paths, replicas)
    search_run(self)
    last = self.last if search_is_full(self) or read.rows >= rows_max else None
    return self.found, read.rows, read.entries, <Py_ssize_t>read.next_range - 1, last, read.came


cdef tuple search_last(SearchSource self):
    """The row that was read last, as it is stored; of a document only the key."""
    if self.last.key.data == NULL:
        return None
    return search_bytes(&self.last.key), search_bytes(&self.last.value) if self.indexed else b""
