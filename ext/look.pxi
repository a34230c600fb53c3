# Twin of Look and ShortWay in crdtstore/prepared.py: one look into an index, from arguments to JSON.
#
# Rules: the columns of the arguments are written behind each other into a buffer, and the entries between are searched
# as `search.pxi` does. What a look needs each time, a search and a snapshot with their memory, it keeps; two threads at
# once have one each. No Python code runs in between. Include after `search.pxi`.

from cpython.dict cimport PyDict_Size
from cpython.object cimport PyObject
from libc.math cimport isfinite

from crdtstore import limits

cdef extern from *:
    """
    #define look_is_slot(object) Py_IS_TYPE(object, &PyMemberDescr_Type)
    """
    bint look_is_slot(object slot)

cdef extern from "Python.h":
    ctypedef struct look_place "PyMemberDef":
        Py_ssize_t offset
    ctypedef struct look_descriptor "PyMemberDescrObject":
        look_place *d_member
    PyObject *look_argument "PyDict_GetItemWithError"(object args, object name) except? NULL
    long long look_integer "PyLong_AsLongLongAndOverflow"(object number, int *overflow) except? -1

cdef enum:
    LOOK_KEY_BYTES = 512

cdef enum:                             # the comparisons of bounds
    LOOK_ABOVE = 0
    LOOK_FROM = 1
    LOOK_BELOW = 2
    LOOK_UP_TO = 3

cdef size_t look_column_bytes_max = limits.INDEX_COLUMN_BYTES_MAX
cdef dict look_comparisons = {">": LOOK_ABOVE, ">=": LOOK_FROM, "<": LOOK_BELOW, "<=": LOOK_UP_TO}

cdef struct LookKey:
    size_t size
    unsigned char bytes_[LOOK_KEY_BYTES]

cdef struct LookRange:
    LookKey start
    LookKey end


@cython.final
cdef class Look:
    """A look that answers a query of a store: see `ShortWay` of the plain twin."""

    cdef Environment environment
    cdef int documents
    cdef int table
    cdef object sequencer              # of which the catalog has to stay
    cdef object catalog
    cdef object collection
    cdef object replicas
    cdef object index
    cdef Py_ssize_t built              # where an index keeps that
    cdef Py_ssize_t inexact
    cdef bytes prefix
    cdef bytes head
    cdef tuple equal                   # of each column its key, or the name of its argument
    cdef list between                  # of each bound its comparison, and a key or a name
    cdef Py_ssize_t names
    cdef uint64_t limit
    cdef Search spare                  # that ended, for the next one

    def __cinit__(
        self,
        Environment environment not None,
        int documents,
        int table,
        sequencer,
        catalog,
        collection,
        index,
        look,
        uint64_t limit,
    ):
        """Prepare a look of the plain twin; a table of documents, one of entries, and what has to stay as it is."""
        self.environment, self.documents, self.table, self.limit = environment, documents, table, limit
        self.sequencer, self.catalog, self.collection, self.index = sequencer, catalog, collection, index
        self.replicas, self.prefix = catalog.replicas, collection.prefix
        self.built, self.inexact = look_slot(index, "built"), look_slot(index, "inexact")
        self.head, self.equal, between, self.names = look
        self.between = [(look_comparisons[operator], constant) for operator, constant in between]

    def find_json(self, dict args not None):
        """Give the JSON of what the index holds for arguments; None for those that take the long way."""
        cdef LookRange range_
        cdef list found
        if PyDict_Size(args) != self.names or not look_is_valid(self) or not look_range(self, args, &range_):
            return None
        found = look_search(self, &range_)
        return found if look_is_valid(self) else None


# --- what has to stay ---


cdef Py_ssize_t look_slot(object owner, str name) except -1:
    """Where an object has one of its slots."""
    slot = getattr(type(owner), name)
    if not look_is_slot(slot):
        raise TypeError(f"{name} is no slot.")
    return (<look_descriptor *><PyObject *>slot).d_member.offset


cdef inline bint look_is_valid(Look self) except -1:
    """ShortWay.is_valid: whether catalog and index still are what they were."""
    cdef PyObject *built = (<PyObject **>(<char *><PyObject *>self.index + self.built))[0]
    cdef PyObject *inexact = (<PyObject **>(<char *><PyObject *>self.index + self.inexact))[0]
    if built != <PyObject *>None or inexact == NULL or <object>inexact:
        return False
    return self.sequencer.catalog is self.catalog


# --- the range ---


cdef int look_range(Look self, dict args, LookRange *range_) except -1:
    """Look.range: the entries for arguments; 0 when this look cannot tell them."""
    cdef LookKey *start = &range_.start
    start.size = 0
    if not look_append(start, self.head):
        return 0
    for constant in self.equal:
        if type(constant) is bytes:
            if not look_append(start, <bytes>constant):
                return 0
        elif not look_column(args, constant, start):
            return 0
    memcpy(&range_.end.bytes_, &start.bytes_, start.size)
    range_.end.size = start.size
    if self.between:
        return look_between(self, args, range_)
    return look_byte(&range_.end, 0xFF)


cdef int look_between(Look self, dict args, LookRange *range_) except -1:
    """Look.between_bounds: the same where the next column lies between bounds, which are of one type."""
    cdef LookKey key, low, high
    cdef int comparison
    cdef tuple bound
    cdef unsigned char tag = 0
    low.size = high.size = 0
    for bound in self.between:
        comparison, constant = <int>bound[0], bound[1]
        key.size = 0
        if not (look_append(&key, <bytes>constant) if type(constant) is bytes else look_column(args, constant, &key)):
            return 0
        if key.size == 0 or key.bytes_[0] < VALUE_KEY_NUMBER or (tag and key.bytes_[0] != tag):
            return 0
        tag = key.bytes_[0]
        if comparison == LOOK_ABOVE or comparison == LOOK_UP_TO:
            look_step_behind(&key)
        if comparison <= LOOK_FROM:
            if low.size == 0 or look_order(&low, &key) < 0:
                low = key
        elif high.size == 0 or look_order(&key, &high) < 0:
            high = key
    if low.size == 0:
        look_byte(&low, tag)
    if high.size == 0:
        look_byte(&high, tag + 1)
    return look_join(&range_.start, &low) and look_join(&range_.end, &high)


cdef inline bint look_put(LookKey *key, const unsigned char *more, size_t size) noexcept:
    """Append bytes; 0: there is no room."""
    if size > LOOK_KEY_BYTES - key.size:
        return False
    memcpy(key.bytes_ + key.size, more, size)
    key.size += size
    return True


cdef inline bint look_append(LookKey *key, bytes more) noexcept:
    return look_put(key, <const unsigned char *>PyBytes_AS_STRING(more), PyBytes_GET_SIZE(more))


cdef inline bint look_join(LookKey *key, const LookKey *more) noexcept:
    return look_put(key, more.bytes_, more.size)


cdef inline bint look_byte(LookKey *key, unsigned char byte) noexcept:
    return look_put(key, &byte, 1)


cdef inline int look_order(const LookKey *one, const LookKey *other) noexcept:
    return top_compare(one.bytes_, one.size, other.bytes_, other.size)


cdef inline void look_step_behind(LookKey *key) noexcept:
    """bounds.behind: the lowest key behind all that begin with this one, whose tag is not the last byte there is."""
    while key.size > 1 and key.bytes_[key.size - 1] == 0xFF:
        key.size -= 1
    key.bytes_[key.size - 1] += 1


# --- columns ---


cdef int look_column(dict args, object name, LookKey *key) except -1:
    """column_of: append the whole column of an argument; 0 where there is none, or it compares in another way."""
    cdef PyObject *found = look_argument(args, name)
    cdef ValueItem item
    cdef ValueKey column
    cdef size_t room = min(<size_t>LOOK_KEY_BYTES - key.size, look_column_bytes_max)
    if found == NULL or not look_item(<object>found, &item):
        return 0
    value_key_begin(&column, key.bytes_ + key.size, room)
    value_key_scalar(&column, &item)
    key.size += column.size
    return not column.cut


cdef int look_item(object value, ValueItem *item) except -1:
    """An argument as an item of document bytes; its text is the argument's own."""
    cdef Instant instant
    cdef int overflow = 0
    item.text, item.size = NULL, 0
    if type(value) is str:
        if not look_text(value, item):
            return 0
        instant_parse(item.text, item.size, &instant)
        return not instant.known
    if type(value) is int:
        item.kind, item.integer = KIND_INT, look_integer(value, &overflow)
        return overflow == 0
    if type(value) is float:
        item.kind, item.number = KIND_DOUBLE, <double>value
        return isfinite(item.number)
    item.kind = KIND_TRUE if value is True else KIND_FALSE
    return type(value) is bool


cdef int look_text(str value, ValueItem *item) except -1:
    """The UTF-8 of a text; 0: it has none."""
    cdef Py_ssize_t size
    try:
        item.kind, item.text = KIND_STRING, <value_place>PyUnicode_AsUTF8AndSize(value, &size)
    except UnicodeEncodeError:
        return 0
    item.size = <size_t>size
    return 1


# --- the search ---


cdef list look_search(Look self, LookRange *range_):
    """Search a range in a snapshot of its own."""
    cdef Search search = self.spare
    cdef Snapshot snapshot
    cdef SearchMatch matches[SEARCH_MATCHES]
    cdef list found
    self.spare = None
    if search is None:
        search = look_open(self)
    snapshot = search.source.snapshot
    snapshot_begin(snapshot, self.environment)
    try:
        search_begin(search.source, snapshot, self.documents, self.prefix, self.table)
        search.source.ranges.start.data, search.source.ranges.start.size = range_.start.bytes_, range_.start.size
        search.source.ranges.end.data, search.source.ranges.end.size = range_.end.bytes_, range_.end.size
        search_prepare(search, self.collection, self.replicas, None, None)
        search.matches = matches
        search_run(search)
    finally:
        snapshot_end(snapshot)
    found, search.found, self.spare = search.found, None, search
    return found


cdef Search look_open(Look self):
    """Make a search of one range, and the snapshot that it begins anew each time."""
    cdef Snapshot snapshot = environment_snapshot_c(self.environment)
    cdef Search search
    try:
        source = (self.table, ((b"", b""),), False, False, None, None)
        search = search_open(search_source(snapshot, self.documents, self.prefix, source, INFINITY))
    finally:
        snapshot_end(snapshot)
    search.purpose, search.limit, search.without_ids = SEARCH_PRINTED, self.limit, True
    return search
