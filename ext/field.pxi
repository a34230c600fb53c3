# Twin of crdtstore/crdt/field.py: one value of a document, or all of them, as Python objects.
#
# What a path leads to is found in `item.pxi`; objects are made only of what is returned. Making them may run Python
# code, so the tables of the texts that cells point to are held meanwhile. Include after `item.pxi`.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr

from crdtstore.crdt.field import MISSING as field_missing


def visible_document(bytes document not None, paths, replicas):
    """Show a document as a reader sees it, as Python objects; None for one that does not exist."""
    shown = read_field(document, (), paths, replicas)
    return None if shown is field_missing else shown


def read_field(bytes document not None, tuple path not None, paths, replicas):
    """Read the visible value at a path, also inside arrays and objects; MISSING where none is."""
    cdef DocumentView view
    cdef ItemPath asked
    cdef Item item
    cdef NameTable names, authors
    if not document:
        return field_missing
    visible_view(document, &view)
    names, authors = name_table(paths), name_table(replicas)
    item_path_make(path, &asked)
    try:
        visible_check(item_at(&view, &names.names, &authors.names, &asked, &item))
        if item.value.kind == ITEM_MAP:
            return field_general(&view, &asked, names, authors)
        return field_object(&item)
    finally:
        item_path_free(&asked)


cdef object field_object(const Item *item):
    """The Python object of what is no map of cells."""
    cdef value_place at = item.at
    if item.value.kind == ITEM_MISSING:
        return field_missing
    if item.value.kind == KIND_ARRAY or item.value.kind == KIND_OBJECT:
        return value_object(&at, item.end, VALUE_DEPTH_MAX)
    return value_scalar(&item.value)


cdef object field_general(const DocumentView *view, const ItemPath *asked, NameTable paths, NameTable replicas):
    """The map at a path, from all cells."""
    cdef VisibleCells found
    cdef Item item
    visible_check(visible_open(view, &paths.names, &found))
    try:
        visible_check(item_descend(view, &found, &replicas.names, asked, &item))
        return field_map(view, item.cells, item.count, item.prefix, VISIBLE_DEPTH_MAX, &replicas.names)
    finally:
        visible_close(&found)


cdef dict field_map(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t count,
    size_t prefix,
    int depth,
    const NameList *replicas,
):
    """The map of the cells below a prefix of the path; `depth` more levels are allowed."""
    cdef dict shown = {}
    field_fill(view, cell, count, prefix, depth, replicas, shown)
    return shown


cdef int field_fill(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t count,
    size_t prefix,
    int depth,
    const NameList *replicas,
    dict shown,
) except -1:
    """Put into a map what the cells below a prefix of the path show; `depth` more levels are allowed."""
    cdef uint32_t run, own
    cdef size_t key_end = 0
    if depth < 0:
        raise damaged("a path has too many keys")
    while count:
        run = visible_run(cell, count, prefix, &key_end, &own)
        if run == 0:
            visible_raise(VISIBLE_OPEN_PATH)
        key = field_key(cell.path + prefix, key_end - 1 - prefix)
        shown[key] = field_node(view, cell, own, run, key_end, depth - 1, replicas)
        cell += run
        count -= run
    return 0


cdef object field_node(
    const DocumentView *view,
    const VisibleCell *cell,
    uint32_t own,
    uint32_t count,
    size_t prefix,
    int depth,
    const NameList *replicas,
):
    """What is visible of the cells at a path, `own` of them, and below it."""
    cdef uint32_t shown = 0
    cdef Item item
    cdef int kind = visible_check(visible_type(view, cell, own, count, replicas, &shown))
    if kind == CODE_MAP:
        return field_map(view, cell + own, count - own, prefix, depth, replicas)
    if kind == CODE_REGISTER:
        visible_check(item_register(view, shown, NULL, 0, &item))
    else:
        visible_check(visible_counter(view, cell, own, replicas, &item.value))
    return field_object(&item)


cdef str field_key(value_place key, size_t size):
    """A key of a path as text."""
    if size and memchr(key, 1, size) != NULL:
        raw = PyBytes_FromStringAndSize(<const char *>key, <Py_ssize_t>size)
        raw = raw.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")
        return stored_text(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))
    return stored_text(<const char *>key, <Py_ssize_t>size)
