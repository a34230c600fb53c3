# Twin of read_row in crdtstore/query/search.py: a document as a row, its fields as Python objects by name.
#
# Rules: a field is looked up by its name, so that the others cost next to nothing; where all are asked for, the cells
# are sorted once. Most documents are of a shape that was seen before (`json_shape.pxi` says what a shape is): from the
# second one on it is known where their fields stand, and which there are. The names are objects that rows share.
# Needs the GIL, and the document to stay where it lies.
# Include after `json_shape.pxi`, `field.pxi`, `item_id.pxi` and `search_source.pxi`.

cimport cython
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from crdtstore.crdt.identifier import read_id as row_read_id

cdef str row_id_name = "_id"

cdef enum:
    ROW_SHAPES = 64                    # that are known at a time, a power of two
    ROW_CELLS_MAX = 256                # of a document whose shape is kept

cdef enum:                             # where a field stands, beside rows of a document
    ROW_ABSENT = -1
    ROW_ASK = -2                       # more than one cell has to do with it

cdef struct RowShape:
    uint64_t wanted                    # the hash of the shape that came last and is not known
    uint64_t hash
    int32_t *places                    # of each name; the shape's key stands behind them; NULL: no shape is known
    value_place key
    uint32_t n
    int path_width


@cython.final
@cython.no_gc
cdef class RowFields:
    """What rows have."""

    cdef tuple names                   # as they stand in a row; None: all there are
    cdef bint has_id
    cdef ItemPath *asked               # the path of each name, which is empty for the id
    cdef size_t count
    cdef object path_names             # the collection's
    cdef object replica_names          # the store's
    cdef NameTable paths
    cdef NameTable replicas
    cdef RowShape *shapes
    cdef list inside                   # where all are asked for: the names of each shape, as a RowFields

    def __dealloc__(self):
        cdef size_t index
        cdef int shape
        for index in range(self.count):
            item_path_free(&self.asked[index])
        free(self.asked)
        for shape in range(ROW_SHAPES if self.shapes != NULL else 0):
            free(self.shapes[shape].places)
        free(self.shapes)


cdef RowFields row_fields(tuple names, paths, replicas):
    """Prepare the names of rows."""
    cdef RowFields self = RowFields.__new__(RowFields)
    self.names, self.path_names, self.replica_names = names, paths, replicas
    self.paths, self.replicas = name_table(paths), name_table(replicas)
    self.has_id = names is None or row_id_name in names
    self.shapes = <RowShape *>calloc(ROW_SHAPES, sizeof(RowShape))
    if self.shapes == NULL:
        raise MemoryError
    if names is None:
        self.inside = [None] * ROW_SHAPES
        return self
    self.asked = <ItemPath *>calloc(len(names) + 1, sizeof(ItemPath))
    if self.asked == NULL:
        raise MemoryError
    for name in names:
        item_path_make(() if name == row_id_name else (name,), &self.asked[self.count])
        self.count += 1
    return self


cdef dict row_show(RowFields self, const lmdb_value *id_, const DocumentView *view):
    """A living document as a row."""
    cdef dict shown = {}
    if self.has_id:
        shown[row_id_name] = row_id(<value_place>id_.data, id_.size)
    if view.n == 0:
        return shown
    if self.names is not None:
        row_fill(self, view, shown)
    else:
        row_fill_all(self, view, shown)
    return shown


cdef int row_fill(RowFields self, const DocumentView *view, dict shown) except -1:
    """Put the fields that were asked for into a row, where the document has them."""
    cdef const RowShape *shape = row_shape(self, view)
    cdef int32_t place = ROW_ASK
    cdef size_t index
    cdef Item item
    for index in range(self.count):
        if self.asked[index].count == 0:
            continue
        if shape != NULL:
            place = shape.places[index]
        if place == ROW_ABSENT:
            continue
        if place >= 0:
            visible_check(item_register(view, <uint32_t>place, NULL, 0, &item))
        else:
            visible_check(item_at(view, &self.paths.names, &self.replicas.names, &self.asked[index], &item))
        if item.value.kind == ITEM_MAP:
            shown[self.names[index]] = field_general(view, &self.asked[index], self.paths, self.replicas)
        elif item.value.kind != ITEM_MISSING:
            shown[self.names[index]] = field_object(&item)
    return 0


cdef int row_fill_all(RowFields self, const DocumentView *view, dict shown) except -1:
    """Put all fields into a row; one that is called as the id is does not show."""
    cdef const RowShape *shape = row_shape(self, view)
    cdef VisibleCells found
    cdef uint32_t root
    cdef object id_ = shown[row_id_name]
    if shape != NULL:
        return row_fill(<RowFields>self.inside[shape - self.shapes], view, shown)
    visible_check(visible_open(view, &self.paths.names, &found))
    try:
        root = row_root(&found)
        field_fill(view, found.cells + root, found.count - root, 0, VISIBLE_DEPTH_MAX, &self.replicas.names, shown)
    finally:
        visible_close(&found)
    shown[row_id_name] = id_
    return 0


cdef inline uint32_t row_root(const VisibleCells *found) noexcept nogil:
    """How many cells stand at the root itself."""
    cdef uint32_t root = 0
    while root < found.count and found.cells[root].size == 0:
        root += 1
    return root


cdef object row_id(value_place id_, size_t size):
    """An id as an object; all but strings and scalars are decoded by the plain twin."""
    cdef Item item
    if size and id_[0] == ID_STRING:
        try:
            return PyUnicode_DecodeUTF8(<const char *>id_ + 1, <Py_ssize_t>size - 1, NULL)
        except UnicodeDecodeError:
            pass
    elif size == 1 or (size == 1 + ID_NUMBER_BYTES and id_[0] == ID_NUMBER):
        if item_id(id_, size, NULL, 0, &item) == 0:
            return value_scalar(&item.value)
    return row_read_id(PyBytes_FromStringAndSize(<const char *>id_, <Py_ssize_t>size))


# --- shapes ---


cdef const RowShape *row_shape(RowFields self, const DocumentView *view) except? NULL:
    """What is known of a document's shape: where it came before; else NULL without an error."""
    cdef size_t size = <size_t>view.n << view.path_width
    cdef uint64_t hash_
    cdef RowShape *shape
    if view.local != NULL or view.n > ROW_CELLS_MAX:
        return NULL
    hash_ = json_key_hash(view.paths, size, view.types, view.n)
    shape = &self.shapes[hash_ & (ROW_SHAPES - 1)]
    if shape.places != NULL and shape.hash == hash_ and shape.n == view.n and shape.path_width == view.path_width:
        if json_key_equal(view.paths, size, view.types, view.n, shape.key):
            return shape
    if shape.wanted != hash_ | 1:
        shape.wanted = hash_ | 1
        return NULL
    row_shape_make(self, view, shape)
    shape.hash = hash_
    return shape


cdef int row_shape_make(RowFields self, const DocumentView *view, RowShape *shape) except -1:
    """Learn a document's shape, in place of the one that was known."""
    cdef size_t size = <size_t>view.n << view.path_width
    cdef int32_t *places
    free(shape.places)
    shape.places = NULL
    if self.names is None:
        self.inside[shape - self.shapes] = row_fields(row_names(self, view), self.path_names, self.replica_names)
    places = <int32_t *>malloc(self.count * sizeof(int32_t) + size + view.n + 16)
    if places == NULL:
        raise MemoryError
    shape.places, shape.n, shape.path_width = places, view.n, view.path_width
    shape.key = <value_place>(places + self.count)
    json_key_copy(<unsigned char *>(places + self.count), view.paths, size, view.types, view.n)
    row_find(self, view, places)
    return 0


cdef int row_find(RowFields self, const DocumentView *view, int32_t *places) except -1:
    """Find where the fields stand that were asked for, as `item_decide` does for one."""
    cdef ItemRelated related
    cdef size_t index
    for index in range(self.count):
        places[index] = ROW_ABSENT
        if self.asked[index].count == 0:
            continue
        visible_check(item_relate_all(view, &self.paths.names, &self.asked[index], &related))
        if related.own == 1 and related.below + related.markers == 0:
            is_register = visible_code(view, related.row) == CODE_REGISTER
            places[index] = <int32_t>related.row if is_register else ROW_ASK
        elif related.own + related.below + related.markers:
            places[index] = ROW_ASK
    return 0


cdef tuple row_names(RowFields self, const DocumentView *view):
    """The names of all fields of a document, as they stand in a row."""
    cdef VisibleCells found
    cdef uint32_t at, run, own
    cdef size_t end = 0
    cdef list names = []
    visible_check(visible_open(view, &self.paths.names, &found))
    try:
        at = row_root(&found)
        while at < found.count:
            run = visible_run(found.cells + at, found.count - at, 0, &end, &own)
            if run == 0:
                visible_raise(VISIBLE_OPEN_PATH)
            names.append(field_key(found.cells[at].path, end - 1))
            at += run
    finally:
        visible_close(&found)
    return tuple(names)
