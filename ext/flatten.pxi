# Twin of flatten in crdtstore/crdt/flatten.py and of encode_operations in crdtstore/crdt/record.py.
#
# Rules: strings, int64, doubles, booleans and null are encoded here; every other value, and every key or path that
# is not plain, is given to the plain twin for that one field, which encodes or refuses it.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport isfinite

from crdtstore.crdt.flatten import flatten_value as flatten_plain
from crdtstore.crdt.operation import Mark as FlattenMark, Write as FlattenWrite
from crdtstore.crdt.record import encode_operation as encode_operation_plain
from crdtstore.limits import DEPTH_MAX as flatten_depth_limit

cdef int FLATTEN_DEPTH_MAX = flatten_depth_limit
cdef dict FLATTEN_NO_TYPES = {}

cdef enum:
    FLATTEN_PATH_BYTES = 512           # longer paths take the plain way
    FLATTEN_TEXT_BYTES = 4096          # so do longer strings: packing them is no loop of ours

cdef struct FlattenPath:
    unsigned char bytes[FLATTEN_PATH_BYTES]
    size_t length


cdef inline bint flatten_key(FlattenPath *path, str key) except -1:
    """Append a key's encoding; False when it needs an escape or has no room."""
    cdef Py_ssize_t size
    cdef const char *text = PyUnicode_AsUTF8AndSize(key, &size)
    if path.length + size + 1 > FLATTEN_PATH_BYTES:
        return False
    if memchr(text, 0, size) != NULL or memchr(text, 1, size) != NULL:
        return False
    memcpy(path.bytes + path.length, text, size)
    path.length += size
    path.bytes[path.length] = 0
    path.length += 1
    return True


cdef bytes flatten_scalar(object value):
    """A scalar as msgpack; None for what the plain twin must encode or refuse."""
    cdef unsigned char packed[FLATTEN_TEXT_BYTES + 8]
    cdef const char *text
    cdef Py_ssize_t size
    cdef int overflow = 0
    cdef int64_t whole
    cdef double number
    cdef uint64_t bits
    cdef size_t length
    kind = type(value)
    if kind is str:
        text = PyUnicode_AsUTF8AndSize(value, &size)
        if size > FLATTEN_TEXT_BYTES:
            return None
        length = write_bytes_head(packed, size, True)
        memcpy(packed + length, text, size)
        length += size
    elif kind is int:
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            return None
        length = write_int(packed, whole)
    elif kind is float:
        number = PyFloat_AS_DOUBLE(value)
        if not isfinite(number):
            return None
        memcpy(&bits, &number, 8)
        length = write_double(packed, bits)
    elif value is None or kind is bool:
        packed[0] = 0xC0 if value is None else 0xC3 if value else 0xC2
        length = 1
    else:
        return None
    return PyBytes_FromStringAndSize(<const char *>packed, length)


cdef int flatten_map_c(dict fields, FlattenPath *path, int depth, list out) except -1:
    """The writes of an object's fields."""
    cdef size_t length = path.length
    cdef bytes packed, place
    if not fields:
        out.append(FlattenMark(PyBytes_FromStringAndSize(<const char *>path.bytes, path.length)))
        return 0
    for key, value in fields.items():
        packed = None
        path.length = length
        if type(key) is not str or not flatten_surrogates(key) or not flatten_key(path, key):
            path.length = length
            flatten_rest(fields, key, value, path, depth, out)
            continue
        if type(value) is dict and depth <= FLATTEN_DEPTH_MAX:
            flatten_map_c(value, path, depth + 1, out)
            continue
        if depth <= FLATTEN_DEPTH_MAX and (type(value) is not str or flatten_surrogates(value)):
            packed = flatten_scalar(value)
        place = PyBytes_FromStringAndSize(<const char *>path.bytes, path.length)
        if packed is not None:
            out.append(FlattenWrite(place, packed))
        else:
            out.extend(flatten_plain(value, place, FLATTEN_NO_TYPES, depth))
    path.length = length
    return 0


cdef inline bint flatten_surrogates(str text) except -1:
    """Whether a string can be UTF-8; a lone surrogate is for the plain twin to refuse."""
    cdef Py_ssize_t size
    try:
        return PyUnicode_AsUTF8AndSize(text, &size) != NULL
    except UnicodeEncodeError:
        return False


cdef int flatten_rest(dict fields, key, value, FlattenPath *path, int depth, list out) except -1:
    """One field whose key is not plain."""
    from crdtstore.crdt.path import check_path_size, encode_key
    from crdtstore.crdt.value import check_key

    check_key(key)
    place = PyBytes_FromStringAndSize(<const char *>path.bytes, path.length) + encode_key(key)
    out.extend(flatten_plain(value, check_path_size(place), FLATTEN_NO_TYPES, depth))
    return 0


def flatten(fields, bytes path not None, int depth=1):
    """The writes of an object's fields; see crdt/flatten.py."""
    cdef FlattenPath place
    cdef list out = []
    if type(fields) is not dict or len(path) > FLATTEN_PATH_BYTES or depth > FLATTEN_DEPTH_MAX:
        from crdtstore.crdt.flatten import flatten as plain

        return plain(fields, path, depth)
    memcpy(place.bytes, PyBytes_AS_STRING(path), len(path))
    place.length = len(path)
    flatten_map_c(fields, &place, depth, out)
    return out


def encode_operations(operations):
    """The operations of one document as a record holds them; see crdt/record.py."""
    cdef unsigned char head[8]
    cdef list parts = [b""]
    cdef bytes path
    cdef size_t count = 0, length
    for operation in operations:
        count += 1
        if type(operation) is FlattenWrite:
            path = operation[0]
            head[0] = 0x93
            head[1] = 1
            length = 2 + write_bytes_head(head + 2, PyBytes_GET_SIZE(path), False)
            parts.append(PyBytes_FromStringAndSize(<const char *>head, length))
            parts.append(path)
            parts.append(operation[1])
        else:
            parts.append(encode_operation_plain(operation))
    length = write_items_head(head, count, False)
    parts[0] = PyBytes_FromStringAndSize(<const char *>head, length)
    return b"".join(parts)
