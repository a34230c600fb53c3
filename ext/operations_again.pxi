# Twin of flatten in crdtstore/crdt/flatten.py, for an object with the very keys of the one before it.
#
# Rules: the keys of the last object are held, in the order in which they were walked, and with each field how its
# operation begins: up to the value it is the same again. Keys are compared as objects, so a key that is another object
# of the same text is a difference; at the first one the object is walked as `operations.pxi` does. Objects that are
# empty, or have one that is, are not remembered. Include after `operations.pxi`.

from cpython.ref cimport Py_XDECREF, Py_XINCREF

cdef enum:
    AGAIN_KEYS = 64                    # of an object that is remembered
    AGAIN_MISSES = 8                   # objects in a row that were others, beyond which few are remembered
    AGAIN_ID = 0                       # the document's id, which is no field
    AGAIN_OBJECT = 1
    AGAIN_FIELD = 2

cdef struct AgainKey:
    PyObject *key                      # held
    int kind
    int depth
    uint32_t at                        # of a field's operation, in the block
    uint32_t head                      # its bytes before the path
    uint32_t path_length
    uint64_t prefix

cdef struct Again:
    AgainKey keys[AGAIN_KEYS]
    uint32_t count                     # 0: nothing is remembered
    uint32_t misses
    bint is_order                      # whether `operations.order` is that of this object
    unsigned char *block
    size_t block_size
    size_t length

cdef Again again
memset(&again, 0, sizeof(Again))


cdef int again_of(dict fields) except -1:
    """operations_of, sorted too; -2 where the object is not like the one before."""
    cdef uint32_t at = 0
    cdef int done = again_map(fields, 1, &at)
    if done == 1 and at == again.count:
        again.misses = 0
        if not again.is_order:
            operations_sort()
            again.is_order = True
        return operations.length <= OPERATIONS_BYTES_MAX
    again.misses += 1
    return 0 if done == 0 else -2


cdef int again_map(dict fields, int depth, uint32_t *at) except -1:
    """operations_map, as far as the keys are the same; else -2."""
    cdef const AgainKey *known
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t place = 0
    cdef int done
    while PyDict_Next(fields, &place, &key, &value):
        if at[0] == again.count or again.keys[at[0]].key != key or again.keys[at[0]].depth != depth:
            return -2
        known = again.keys + at[0]
        at[0] += 1
        if known.kind == AGAIN_ID:
            continue
        if (known.kind == AGAIN_OBJECT) != PyDict_CheckExact(<object>value):
            return -2
        if known.kind == AGAIN_OBJECT:
            done = again_map(<dict>value, depth + 1, at)
            if done != 1:
                return done
            continue
        again_begin(known)
        if not operations_leaf(<object>value, FLATTEN_DEPTH_MAX - depth):
            return 0
        operations_end()
    return 1


cdef inline int again_begin(const AgainKey *known) except -1:
    """operations_begin, with bytes that are known."""
    cdef Operation *made
    cdef size_t size = known.head + known.path_length
    memcpy(operations_room(size), again.block + known.at, size)
    grow(<void **>&operations.made, &operations.made_size, (operations.count + 1) * sizeof(Operation))
    made = operations.made + operations.count
    made.prefix = known.prefix
    made.at = <uint32_t>operations.length
    made.path = <uint32_t>(operations.length + known.head)
    made.path_length = known.path_length
    operations.length += size
    return 0


# --- remembering ---


cdef int again_remember(dict fields) except -1:
    """Remember the object whose operations were just made."""
    cdef uint32_t field = 0
    again.is_order = False
    if again.misses > AGAIN_MISSES and again.misses % AGAIN_MISSES:
        return 0
    again_forget()
    if again_enter(fields, 1, &field) and field == operations.count:
        again.is_order = True
        return 0
    again_forget()
    return 0


cdef void again_forget() noexcept:
    """Let go of all keys."""
    cdef uint32_t at, count = again.count
    again.count, again.length = 0, 0
    for at in range(count):
        Py_XDECREF(again.keys[at].key)
        again.keys[at].key = NULL


cdef int again_enter(dict fields, int depth, uint32_t *field) except -1:
    """Enter the keys of an object; 0 where it is not remembered."""
    cdef AgainKey *known
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t place = 0
    if PyDict_Size(fields) == 0:
        return 0
    while PyDict_Next(fields, &place, &key, &value):
        if again.count == AGAIN_KEYS:
            return 0
        known = again.keys + again.count
        known.key, known.depth, known.kind = key, depth, AGAIN_FIELD
        Py_XINCREF(key)
        again.count += 1
        if depth == 1 and (<str>key) == "_id":
            known.kind = AGAIN_ID
        elif PyDict_CheckExact(<object>value):
            known.kind = AGAIN_OBJECT
            if not again_enter(<dict>value, depth + 1, field):
                return 0
        elif field[0] == operations.count:
            return 0
        else:
            again_enter_field(known, operations.made + field[0])
            field[0] += 1
    return 1


cdef int again_enter_field(AgainKey *known, const Operation *made) except -1:
    """Enter how a field's operation begins."""
    cdef size_t size = made.path + made.path_length - made.at
    grow(<void **>&again.block, &again.block_size, again.length + size)
    memcpy(again.block + again.length, operations.block + made.at, size)
    known.at, known.head = <uint32_t>again.length, made.path - made.at
    known.path_length, known.prefix = made.path_length, made.prefix
    again.length += size
    return 0
