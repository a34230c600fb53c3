# Twin of crdtstore/query/search_lines.py: matching documents as lines, a piece at a time, and ids in an order.
#
# Rules: as any other search, until the lines have so many bytes; they are printed between two sections, from where the
# documents lie, one behind the other, with no Python object for any of them. What is left is for the plain twin to say,
# as `search_fields` does.
# Include after `search_fields.pxi`.


def search_lines(
    Snapshot snapshot not None,
    int documents,
    collection,
    replicas,
    source,
    filter_,
    look,
    uint64_t skip,
    uint64_t limit,
    size_t bytes_max,
    double deadline,
):
    """Give lines, how many documents matched, and count as `search_count` does; then, but at the end, where it is.

    Returns: the lines; how many matched, skipped ones too; documents looked at, entries read; the number of the range
    that is read, and the last row of it, as `search_fields` gives them; what came, of a source that repeats.
    """
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source, deadline)
    cdef Search self = search_open(read)
    cdef SearchMatch matches[SEARCH_MATCHES]
    search_prepare(self, collection, replicas, filter_, look)
    self.purpose, self.matches, self.skip, self.limit = SEARCH_LINED, matches, skip, limit
    self.lines_max = bytes_max
    search_run(self)
    last = self.last if search_is_full(self) else None
    lines = json_take(&self.lines)
    return lines, self.matched, read.rows, read.entries, <Py_ssize_t>read.next_range - 1, last, read.came


cdef int line_print(Search self, const SearchMatch *match, JsonShapes shapes) except -1:
    """Append a document as a line."""
    cdef JsonBuffer *out = &self.lines
    cdef Item item
    cdef bytes other = json_other_id(<value_place>match.id_.data, match.id_.size, &item)
    json_append(out, b'{"id":', 6)
    json_id(&item, other, out)
    json_append(out, b',"fields":', 10)
    json_emit(&match.view, shapes, self.paths, self.replicas, out)
    return json_append(out, b"}\n", 2)


def search_keys(
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
    double deadline,
):
    """Give the id keys of what comes first in an order, the last one's sort key, and count as `search_count` does."""
    cdef SearchSource read = search_source(snapshot, documents, collection.prefix, source, deadline)
    cdef Search self = search_open(read)
    cdef const TopKey *key
    cdef size_t index
    search_prepare(self, collection, replicas, filter_, look)
    search_keep(self, look, order, sort, keep, after)
    last = None
    for index in range(self.top.count):
        key = &self.top.keys[index]
        self.found.append(PyBytes_FromStringAndSize(
            <const char *>key.data + key.size - key.id_size, <Py_ssize_t>key.id_size))
        if index + 1 == self.top.count:
            last = PyBytes_FromStringAndSize(<const char *>key.data, <Py_ssize_t>key.size)
    return self.found, last, self.matched, read.rows, read.entries
