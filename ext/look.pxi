# Twin of Look and ShortWay in crdtstore/prepared.py: one look into an index, from arguments to JSON.
#
# Rules: the columns of the arguments are written behind each other into a buffer, and the entries between are searched
# as `search.pxi` does. What a look needs each time, a search and a snapshot with their memory, it keeps; two threads at
# once have one each. No Python code runs in between. Include after `search.pxi`.

from cpython.dict cimport PyDict_Size
from libc.math cimport isfinite

from sys import intern as look_intern

from crdtstore import limits

cdef extern from "Python.h":
    ctypedef PyObject *(*look_function "PyCFunction")(PyObject *, PyObject *) except NULL
    ctypedef struct look_method "PyMethodDef":
        const char *ml_name
        look_function ml_meth
        int ml_flags
        const char *ml_doc
    int METH_FASTCALL
    int METH_KEYWORDS
    object look_callable "PyCFunction_New"(look_method *method, object self)
    Py_ssize_t look_names "PyTuple_GET_SIZE"(PyObject *names)
    PyObject *look_name "PyTuple_GET_ITEM"(PyObject *names, Py_ssize_t at)
    int look_compare_texts "PyUnicode_Compare"(object one, object other) except? -1
    PyObject *look_argument "PyDict_GetItemWithError"(object args, object name) except? NULL
    long long look_integer "PyLong_AsLongLongAndOverflow"(object number, int *overflow) except? -1

cdef enum:
    LOOK_KEY_BYTES = 512
    LOOK_ROWS = 128                    # that are read and printed before the GIL is given away
    LOOK_BYTES = 262_144               # of texts with which that ends

cdef enum:                             # the comparisons of bounds
    LOOK_ABOVE = 0
    LOOK_FROM = 1
    LOOK_BELOW = 2
    LOOK_UP_TO = 3

cdef size_t look_column_bytes_max = limits.INDEX_COLUMN_BYTES_MAX
cdef object look_none = 0              # the object that stands for it mostly
cdef dict look_comparisons = {">": LOOK_ABOVE, ">=": LOOK_FROM, "<": LOOK_BELOW, "<=": LOOK_UP_TO}

cdef struct LookArguments:
    # Either a dict, or values and the names of the last `count` of them.
    PyObject *given
    PyObject *const *values
    PyObject *names
    Py_ssize_t count

cdef struct LookKey:
    size_t size
    unsigned char bytes_[LOOK_KEY_BYTES]

cdef struct LookRange:
    LookKey start
    LookKey end

cdef struct LookReader:
    # Where documents are looked up, the key that is looked for, and the document that was found last.
    size_t root
    lmdb_path path
    lmdb_descent way
    lmdb_value wanted
    unsigned char key[SEARCH_KEY_BYTES]
    DocumentView view


cdef struct LookWork:
    # What a walk is called with.
    PyObject *look
    PyObject *snapshot
    PyObject *found
    LookRange *range_


@cython.final
cdef class Look:
    """A look that answers a query of a store: see `ShortWay` of the plain twin."""

    cdef Environment environment
    cdef int documents
    cdef int table
    cdef object sequencer              # of which the catalog has to stay
    cdef object catalog
    cdef object collection
    cdef object paths
    cdef object replicas
    cdef object index
    cdef Py_ssize_t held               # where a sequencer keeps its catalog; 0: it has to be asked
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
        self.paths, self.replicas, self.prefix = collection.paths, catalog.replicas, collection.prefix
        self.held = slot_place(type(sequencer), "catalog", 0)
        self.built, self.inexact = slot_place(type(index), "built"), slot_place(type(index), "inexact")
        self.head, equal, between, self.names = look
        self.equal = tuple([look_constant(constant) for constant in equal])
        self.between = [(look_comparisons[operator], look_constant(constant)) for operator, constant in between]

    def find_json(self, dict args not None):
        """Give the JSON of what the index holds for arguments; None for those that take the long way."""
        cdef LookArguments arguments = [<PyObject *>args, NULL, NULL, PyDict_Size(args)]
        return look_find(self, &arguments)


@cython.final
cdef class Finder:
    """What `Prepared.find_json` calls: the look of a query while there is one, else the rest of `Prepared`."""

    cdef public Look look
    cdef object otherwise

    def __cinit__(self, otherwise):
        self.otherwise = otherwise

    @property
    def find_json(self):
        """A function of arguments by their names: by a look; where that gives no answer, otherwise."""
        return look_callable(&finder_method, self)


cdef object finder_find(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names):
    """Take arguments as Python's calls hand them over, without a dict of them."""
    cdef Finder finder = <Finder>self
    cdef LookArguments arguments
    cdef list found = None
    if count:
        raise TypeError("find_json() takes its arguments by their names.")
    if finder.look is not None:
        arguments = [NULL, values, names, 0 if names == NULL else look_names(names)]
        found = look_find(finder.look, &arguments)
    if found is not None:
        return found
    args = {}
    if names != NULL:
        for at, name in enumerate(<tuple>names):
            args[name] = <object>values[<Py_ssize_t>at]
    return finder.otherwise(args)


cdef look_method finder_method
finder_method.ml_name, finder_method.ml_doc = b"find_json", NULL
finder_method.ml_meth, finder_method.ml_flags = <look_function><void *>finder_find, METH_FASTCALL | METH_KEYWORDS


cdef list look_find(Look self, const LookArguments *args):
    """See `Look.find_json`."""
    cdef LookRange range_
    cdef list found
    if args.count != self.names or not look_is_valid(self) or not look_range(self, args, &range_):
        return None
    found = look_search(self, &range_)
    return found if look_is_valid(self) else None


# --- what has to stay ---


cdef object look_constant(object constant):
    """A key as it is; a name as calls have it."""
    return look_intern(constant) if type(constant) is str else constant


cdef inline bint look_is_valid(Look self) except -1:
    """ShortWay.is_valid: whether catalog and index still are what they were."""
    cdef PyObject *inexact = slot_held(self.index, self.inexact)
    if slot_held(self.index, self.built) != <PyObject *>None or inexact == NULL:
        return False
    if inexact != <PyObject *>look_none and <object>inexact:
        return False
    if self.held:
        return slot_held(self.sequencer, self.held) == <PyObject *>self.catalog
    return self.sequencer.catalog is self.catalog


# --- the range ---


cdef int look_range(Look self, const LookArguments *args, LookRange *range_) except -1:
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


cdef int look_between(Look self, const LookArguments *args, LookRange *range_) except -1:
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


cdef PyObject *look_named(const LookArguments *args, object name) except? NULL:
    """The argument of a name; NULL: there is none."""
    cdef Py_ssize_t at
    if args.names == NULL:
        return NULL if args.given == NULL else look_argument(<object>args.given, name)
    for at in range(args.count):
        if look_name(args.names, at) == <PyObject *>name:
            return args.values[at]
    for at in range(args.count):
        if look_compare_texts(<object>look_name(args.names, at), name) == 0:
            return args.values[at]
    return NULL


cdef int look_column(const LookArguments *args, object name, LookKey *key) except -1:
    """column_of: append the whole column of an argument; 0 where there is none, or it compares in another way."""
    cdef PyObject *found = look_named(args, name)
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
    cdef list found = []
    self.spare = None
    if search is None:
        search = look_open(self)
    snapshot = search.source.snapshot
    snapshot_begin(snapshot, self.environment)
    try:
        if not look_first(self, snapshot, range_, found):
            look_rest(self, search, range_, found)
    finally:
        snapshot_end(snapshot)
    self.spare = search
    return found


cdef int look_rest(Look self, Search search, LookRange *range_, list found) except -1:
    """Search a range behind what was found in it."""
    cdef SearchMatch matches[SEARCH_MATCHES]
    search_begin(search.source, search.source.snapshot, self.documents, self.prefix, self.table)
    search.source.ranges.start.data, search.source.ranges.start.size = range_.start.bytes_, range_.start.size
    search.source.ranges.end.data, search.source.ranges.end.size = range_.end.bytes_, range_.end.size
    search_prepare(search, self.collection, self.replicas, None, None)
    search.matches, search.limit, search.found = matches, self.limit - <uint64_t>len(found), found
    try:
        search_run(search)
    finally:
        search.found = None
    return 0


cdef Search look_open(Look self):
    """Make a search of one range, and the snapshot that it begins anew each time."""
    cdef Snapshot snapshot = environment_snapshot_c(self.environment)
    cdef Search search
    try:
        source = (self.table, ((b"", b""),), False, False, None, None)
        search = search_open(search_source(snapshot, self.documents, self.prefix, source, INFINITY))
    finally:
        snapshot_end(snapshot)
    search.purpose, search.without_ids = SEARCH_PRINTED, True
    return search


# --- the first rows ---


cdef bint look_first(Look self, Snapshot snapshot, LookRange *range_, list found) except -1:
    """Find the first documents of a range in the pages of a known commit, up to what is not as it mostly is.

    Whether these are all there are; if not, the range begins behind them.
    """
    cdef LookWork work = [<PyObject *>self, <PyObject *>snapshot, <PyObject *>found, range_]
    cdef int done
    snapshot_enter(snapshot)
    try:
        done = lmdb_guard(look_work, &work)
    finally:
        snapshot_leave(snapshot)
    if done == LMDB_ASSERTED:
        found.clear()
        return False
    return done


cdef int look_work(void *context) except -1:
    """What `look_first` has done under guard. A range is moved when all of it is done."""
    cdef LookWork *work = <LookWork *>context
    return look_walk(<Look>work.look, <Snapshot>work.snapshot, work.range_, <list>work.found)


cdef bint look_walk(Look self, Snapshot snapshot, LookRange *range_, list found) except -1:
    """See `look_first`."""
    cdef const lmdb_trees *trees = &snapshot.trees
    cdef size_t entries = lmdb_known_root(trees, self.table)
    cdef size_t left = min(self.limit, <uint64_t>LOOK_ROWS), bytes_ = 0
    cdef lmdb_path path
    cdef lmdb_value start = [range_.start.size, range_.start.bytes_], end = [range_.end.size, range_.end.bytes_]
    cdef lmdb_value passed = [0, NULL]
    cdef lmdb_row entry, ahead
    cdef LookReader reader
    cdef bint begun
    cdef int code
    reader.root = lmdb_known_root(trees, self.documents)
    if entries == 0 or reader.root == 0:
        return False
    path.depth = reader.path.depth = -1
    memcpy(reader.key, PyBytes_AS_STRING(self.prefix), SEARCH_PREFIX_BYTES)
    shapes = json_shapes(self.paths)
    code = lmdb_next_row(trees, entries, self.environment.seals[self.table], &path, &start, &end, &ahead)
    begun = code == 0 and look_begin(self, trees, &ahead, &reader)
    while begun and left and bytes_ < LOOK_BYTES:
        # The next row is read while memory of this one's document is on its way, and printed while the next one's is.
        entry = ahead
        code = lmdb_next_row(trees, entries, self.environment.seals[self.table], &path, &start, &end, &ahead)
        if not look_end(self, trees, &reader):
            code = 0
            break
        begun = code == 0 and look_begin(self, trees, &ahead, &reader)
        json_document.length = 0
        json_emit(&reader.view, shapes, self.paths, self.replicas, &json_document)
        bytes_ += json_document.length
        found.append(json_take(&json_document))
        passed = entry.key
        left -= 1
    if code == LMDB_NOTFOUND or <uint64_t>len(found) == self.limit:
        return True
    if passed.data != NULL:
        look_pass(range_, &passed)
    return False


cdef inline bint look_begin(Look self, const lmdb_trees *trees, const lmdb_row *entry, LookReader *reader) noexcept:
    """Begin to read the document that an entry leads to; 0: the search has to tell what is not as it mostly is."""
    cdef const unsigned char *size = <const unsigned char *>entry.value.data
    if entry.value.size != 1 or size[0] == 0 or SEARCH_HEAD_BYTES + <size_t>size[0] > entry.key.size:
        return False
    reader.wanted.data, reader.wanted.size = reader.key, SEARCH_PREFIX_BYTES + <size_t>size[0]
    if reader.wanted.size > APPLY_KEY_MAX or entry.key.size >= LOOK_KEY_BYTES:
        return False
    memcpy(reader.key + SEARCH_PREFIX_BYTES, <unsigned char *>entry.key.data + entry.key.size - size[0], size[0])
    lmdb_find_begin(
        trees, reader.root, trees.levels[self.documents], &reader.wanted, &reader.way, &reader.path
    )
    return True


cdef inline bint look_end(Look self, const lmdb_trees *trees, LookReader *reader) noexcept:
    """Read the document; 0: the search has to tell what is not as it mostly is."""
    cdef lmdb_value value
    if lmdb_find_end(
        trees, self.environment.seals[self.documents], &reader.wanted, &reader.way, &reader.path, &value
    ):
        return False
    if document_open(<const unsigned char *>value.data, value.size, &reader.view):
        return False
    return not document_is_grave(&reader.view)


cdef inline void look_pass(LookRange *range_, const lmdb_value *key) noexcept:
    """Let a range begin behind a key."""
    memcpy(range_.start.bytes_, key.data, key.size)
    range_.start.bytes_[key.size] = 0
    range_.start.size = key.size + 1
