# Twin of upsert in crdtstore/command/upsert.py and of Draft in crdtstore/storage/draft.py: a transaction of plain
# upserts, each of another document, made ready in one pass.
#
# Rules: nothing is written before `put`. What is not plain (declared types, initial writes, a document named twice or
# buried, a large document, a rare id) leaves no trace here: names of paths are taken back, None is returned, and the
# plain twins run all commands, so every error is theirs. The order of the steps is theirs, too: names get the same
# numbers. Include after `apply.pxi` and `read.pxi`.

from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM

cdef extern from "Python.h":
    object PyType_GenericAlloc(PyTypeObject *kind, Py_ssize_t items)

cdef enum:
    STAGE_COLLECTIONS_MAX = 8
    STAGE_HEAD_BYTES = 264
    STAGE_SPARE_BYTES_MAX = 4 * 1024 * 1024
    STAGE_LAST_COMMANDS = 8            # so many are worth a look at the last key

cdef struct StageDocument:
    size_t part                        # in `parts`: the document as a record lists it
    size_t id_
    size_t operations
    size_t end
    size_t after                       # in `afters`: its bytes as they will be
    size_t after_length
    uint32_t place
    bint existed

cdef struct StagePlace:
    # One collection of the transaction.
    unsigned char prefix[4]
    unsigned char head[STAGE_HEAD_BYTES]    # with what a document begins in a record: array of 3, name
    size_t head_length
    size_t name_length
    int64_t documents
    uint64_t digest_low
    uint64_t digest_high

cdef struct StageBlocks:
    unsigned char *parts
    size_t parts_size
    size_t parts_length
    unsigned char *afters
    size_t afters_size
    size_t afters_length
    StageDocument *documents
    size_t documents_size
    uint32_t *order                    # of the documents: by collection and id
    size_t order_size
    uint32_t count

cdef StageBlocks stage_spare           # of the last transaction, for the next one
cdef object stage_kind = None          # of commands; and where its slots are
cdef Py_ssize_t stage_collection
cdef Py_ssize_t stage_value
cdef Py_ssize_t stage_given
cdef Py_ssize_t stage_types
cdef Py_ssize_t stage_initial
cdef const StageBlocks *stage_sorted   # whose documents are being sorted
cdef const StagePlace *stage_sorted_places
memset(&stage_spare, 0, sizeof(StageBlocks))


@cython.final
cdef class Staged:
    """The documents of one transaction, ready to be accepted."""

    cdef Batch batch
    cdef object catalog
    cdef int table
    cdef list collections              # in the order in which they came
    cdef StagePlace places[STAGE_COLLECTIONS_MAX]
    cdef StageBlocks blocks
    cdef bint last_known               # whether `last` is the greatest key that there is; empty: there is none
    cdef size_t last_length
    cdef unsigned char last[READ_KEY_BYTES]
    cdef uint32_t place                # of the command before
    cdef object name
    cdef dict numbers
    cdef list texts
    cdef Py_ssize_t maximum
    cdef dict replica_numbers
    cdef list replica_texts
    cdef tuple commands
    cdef bint known_only               # a collection that is new is left to the plain twins
    cdef readonly tuple results

    def __dealloc__(self):
        global stage_spare
        if stage_spare.parts == NULL and self.blocks.parts_size + self.blocks.afters_size <= STAGE_SPARE_BYTES_MAX:
            stage_spare = self.blocks
            return
        free(self.blocks.parts)
        free(self.blocks.afters)
        free(self.blocks.documents)
        free(self.blocks.order)

    @property
    def names(self):
        """The names of the collections, in the order in which the commands name them."""
        return tuple([collection.name for collection in self.collections])

    def encoded(self):
        """The documents as a record lists them; see encode_changes in crdt/record.py."""
        return stage_encoded(self)

    def put(self):
        """Accept the transaction's documents; see put in storage/draft.py."""
        stage_put(self)

    def documents(self):
        """(collection, encoded id, the upsert's value) of each document, in the order of the commands."""
        cdef const StageDocument *one
        cdef uint32_t at
        cdef list found = []
        for at in range(self.blocks.count):
            one = self.blocks.documents + at
            id_ = PyBytes_FromStringAndSize(<const char *>self.blocks.parts + one.id_, one.operations - one.id_)
            found.append((self.collections[one.place], id_, self.commands[at].value))
        return found

    def take_back(self):
        """Take back the names of paths that are new."""
        for collection in self.collections:
            collection.paths.truncate(self.catalog.touched[collection])


# --- staging ---


cdef int stage_enter(Staged staged, object name) except -1:
    """Go on with a collection's documents; 0 where there are too many collections."""
    cdef uint32_t at = 0
    cdef list collections = staged.collections
    if type(name) is not str:
        return 0
    while at < <uint32_t>PyList_GET_SIZE(collections) and collections[at].name != name:
        at += 1
    if at == STAGE_COLLECTIONS_MAX:
        return 0
    if at == <uint32_t>PyList_GET_SIZE(collections):
        collection = stage_collection_of(staged, name)
        if collection is None:
            return 0
        stage_add(staged, collection)
    names = collections[at].paths
    staged.numbers, staged.texts, staged.maximum = names.numbers, names.texts, names.maximum
    staged.place, staged.name = at, name
    return 1


cdef object stage_collection_of(Staged staged, str name):
    """Catalog.intern, without a call for a collection that is known; None for another where only these may be used."""
    cdef dict touched
    cdef object catalog = staged.catalog
    found = (<dict>catalog.by_name).get(name)
    if found is None:
        return None if staged.known_only else catalog.intern(name)
    touched = catalog.touched
    if found not in touched:
        touched[found] = len(found.paths.texts)
    catalog.dirty.add(found)
    return found


cdef int stage_add(Staged staged, object collection) except -1:
    """A collection of the transaction that was not met yet."""
    cdef StagePlace *place = staged.places + PyList_GET_SIZE(staged.collections)
    cdef bytes name = collection.name.encode()
    cdef bytes prefix = collection.prefix
    cdef size_t head
    memset(place, 0, sizeof(StagePlace))
    if PyBytes_GET_SIZE(name) > 255:
        raise ValueError("A collection's name is beyond its bound.")
    memcpy(place.prefix, PyBytes_AS_STRING(prefix), 4)
    place.head[0] = 0x93
    head = 1 + write_bytes_head(place.head + 1, PyBytes_GET_SIZE(name), True)
    place.name_length = PyBytes_GET_SIZE(name)
    memcpy(place.head + head, PyBytes_AS_STRING(name), place.name_length)
    place.head_length = head + place.name_length
    staged.collections.append(collection)
    return 0


cdef inline const unsigned char *stage_name(const StagePlace *place) noexcept nogil:
    """A collection's name, place.name_length bytes."""
    return place.head + place.head_length - place.name_length


cdef int stage_key(const StagePlace *place, object id_, unsigned char *key, size_t *length) except -1:
    """document_key of a common id: 1, or 0 for an id that the plain twin must encode or refuse."""
    if type(id_) is str and not flatten_surrogates(id_):
        return 0
    return read_key(PyBytes_FromStringAndSize(<const char *>place.prefix, 4), id_, key, length)


cdef int stage_part(Staged staged, const unsigned char *id_, size_t id_length, StageDocument *one) except -1:
    """Write a document as a record lists it: its collection, its id, the operations that were collected."""
    cdef StageBlocks *blocks = &staged.blocks
    cdef const StagePlace *place = staged.places + staged.place
    cdef size_t size = blocks.parts_length + place.head_length + id_length + operations.length + 16
    cdef unsigned char *out
    grow(<void **>&blocks.parts, &blocks.parts_size, size)
    out = blocks.parts + blocks.parts_length
    one.part = blocks.parts_length
    memcpy(out, place.head, place.head_length)
    out += place.head_length
    out += write_bytes_head(out, id_length, False)
    one.id_ = out - blocks.parts
    memcpy(out, id_, id_length)
    one.operations = one.id_ + id_length
    one.end = one.operations + operations_write(out + id_length)
    blocks.parts_length = one.end
    return 0


cdef int stage_merge(Staged staged, Merge *merge, const unsigned char *key, size_t key_length,
                     StageDocument *one) except -1:
    """Merge a document's operations into its bytes; 0 where the plain twin must."""
    cdef StageBlocks *blocks = &staged.blocks
    cdef StagePlace *place = staged.places + staged.place
    cdef unsigned char digest_key[16]
    cdef const unsigned char *before = NULL
    cdef size_t length = 0
    cdef Cursor cursor
    if not stage_is_last(staged, key, key_length):
        one.existed = snapshot_get_c(staged.batch, staged.table, key, key_length, &before, &length)
    else:
        one.existed = False
    if one.existed and apply_is_grave(before, length):
        return 0
    if 2 * (length + operations.length) + 64 * <size_t>operations.count > OPERATIONS_BYTES_MAX:
        return 0
    stage_part(staged, key + 4, key_length - 4, one)
    digest_key_c(stage_name(place), place.name_length, key + 4, key_length - 4, digest_key)
    merge.key = digest_key
    merge.digest_low, merge.digest_high = place.digest_low, place.digest_high
    if one.existed:
        cursor.at, cursor.end = blocks.parts + one.operations, blocks.parts + one.end
        merge_core(
            merge, before, length, &cursor, staged.numbers, staged.texts, staged.maximum, staged.replica_numbers,
            staged.replica_texts,
        )
    else:
        operations_merge(merge, staged.numbers, staged.texts, staged.maximum, staged.replica_texts)
    if scratch.out_length == length and memcmp(scratch.out, before, length) == 0:
        return 0
    place.digest_low, place.digest_high = merge.digest_low, merge.digest_high
    place.documents += not one.existed
    grow(<void **>&blocks.afters, &blocks.afters_size, blocks.afters_length + scratch.out_length)
    one.after, one.after_length = blocks.afters_length, scratch.out_length
    memcpy(blocks.afters + one.after, scratch.out, scratch.out_length)
    blocks.afters_length += scratch.out_length
    return 1


cdef int stage_find_last(Staged staged) except -1:
    """Find the greatest key, behind which no document has to be looked for."""
    cdef lmdb_value key, value
    cdef Environment environment = staged.batch.environment
    cdef int code = lmdb_edge(
        staged.batch.txn, environment.handles[staged.table], environment.seals[staged.table], LMDB_LAST, &key, &value
    )
    if code == LMDB_NOTFOUND:
        staged.last_known, staged.last_length = True, 0
    elif code == 0 and key.size <= READ_KEY_BYTES:
        memcpy(staged.last, key.data, key.size)
        staged.last_known, staged.last_length = True, key.size
    elif code:
        batch_suspect(staged.batch, code)
    return 0


cdef inline bint stage_is_last(Staged staged, const unsigned char *key, size_t length) noexcept:
    """Whether a key stands behind all that there are."""
    return staged.last_known and compare_bytes(key, length, staged.last, staged.last_length) > 0


cdef int stage_slots(object kind) except -1:
    """Find where commands have what they say."""
    global stage_kind, stage_collection, stage_value, stage_given, stage_types, stage_initial
    if kind is stage_kind:
        return 0
    stage_collection, stage_value = slot_place(kind, "collection"), slot_place(kind, "value")
    stage_given, stage_types = slot_place(kind, "id"), slot_place(kind, "value_types")
    stage_initial, stage_kind = slot_place(kind, "initial"), kind
    return 0


cdef inline object stage_said(object command, Py_ssize_t slot):
    """What a command has in a slot."""
    cdef PyObject *held = slot_held(command, slot)
    return None if held == NULL else <object>held


cdef object stage_id(object id_, dict value, object unset, object new_id):
    """The id that choose_id chooses; None where the plain twin must."""
    cdef PyObject *inside = PyDict_GetItemWithError(value, "_id")
    if id_ is not unset:
        return id_ if inside == NULL else None
    return new_id() if inside == NULL else <object>inside


cdef int stage_command(Staged staged, Merge *merge, object name, dict value, object id_) except -1:
    """Make one upsert ready; 0 where the plain twin must run it."""
    cdef unsigned char key[READ_KEY_BYTES]
    cdef size_t key_length = 0
    cdef StageBlocks *blocks = &staged.blocks
    cdef StageDocument *one
    if name is not staged.name and not stage_enter(staged, name):
        return 0
    if not stage_key(staged.places + staged.place, id_, key, &key_length) or not operations_of(value):
        return 0
    grow(<void **>&blocks.documents, &blocks.documents_size, (blocks.count + 1) * sizeof(StageDocument))
    one = blocks.documents + blocks.count
    one.place = staged.place
    if not stage_merge(staged, merge, key, key_length, one):
        return 0
    blocks.count += 1
    return 1


cdef Staged stage_begin(Batch batch, object catalog, int table, Py_ssize_t count):
    """A transaction without documents, for so many commands."""
    cdef Staged staged = Staged.__new__(Staged)
    replicas = catalog.replicas
    staged.blocks = stage_spare
    memset(&stage_spare, 0, sizeof(StageBlocks))
    staged.blocks.parts_length = staged.blocks.afters_length = 0
    staged.blocks.count = 0
    staged.batch, staged.catalog, staged.table = batch, catalog, table
    staged.collections = []
    staged.replica_numbers, staged.replica_texts = replicas.numbers, replicas.texts
    snapshot_check(batch)
    lmdb_check_place(batch.environment, table, 1)
    if count >= STAGE_LAST_COMMANDS:
        stage_find_last(staged)
    return staged


cdef inline object stage_result(object result, object id_):
    """tuple.__new__(result, (id_,))."""
    cdef object made = PyType_GenericAlloc(<PyTypeObject *>result, 1)
    Py_INCREF(id_)
    PyTuple_SET_ITEM(made, 0, id_)
    return made


cdef int stage_commands(Staged staged, Merge *merge, tuple commands, object kind, object result, object new_id,
                        object unset) except -1:
    """Make all commands ready; 0 where the plain twins must run them."""
    cdef list results = []
    if not issubclass(result, tuple):
        raise TypeError("What an upsert answers is a tuple.")
    for command in commands:
        if type(command) is not kind or stage_said(command, stage_initial) is not False:
            return 0
        value = stage_said(command, stage_value)
        if type(value) is not dict or stage_said(command, stage_types):
            return 0
        id_ = stage_id(stage_said(command, stage_given), <dict>value, unset, new_id)
        if id_ is None:
            return 0
        if not stage_command(staged, merge, stage_said(command, stage_collection), <dict>value, id_):
            return 0
        results.append(stage_result(result, id_))
    staged.commands, staged.results = commands, tuple(results)
    return stage_sort(staged)


def stage_upserts(Batch batch not None, catalog, tuple commands not None, kind, result,
                  new_id, unset, uint64_t timestamp, uint32_t replica, array coverage not None, int table):
    """A transaction of plain upserts, made ready; None when the plain twins must run it; see command/staging.py."""
    cdef Merge merge
    cdef array origin_numbers = catalog.replicas.origin_numbers
    cdef Staged staged = stage_begin(batch, catalog, table, len(commands))
    stage_slots(kind)
    merge_begin(&merge, timestamp, replica, coverage, origin_numbers)
    if replica >= merge.replica_count:
        raise ValueError("A merge takes a known replica.")
    if not stage_commands(staged, &merge, commands, kind, result, new_id, unset):
        staged.take_back()
        return None
    return staged


# --- order ---


cdef int stage_compare(const void *left, const void *right) noexcept nogil:
    """The order in which documents are put: by collection and id, as their keys."""
    cdef const StageDocument *a = stage_sorted.documents + (<const uint32_t *>left)[0]
    cdef const StageDocument *b = stage_sorted.documents + (<const uint32_t *>right)[0]
    cdef int order = 0
    if a.place != b.place:
        order = memcmp(stage_sorted_places[a.place].prefix, stage_sorted_places[b.place].prefix, 4)
    return order or compare_bytes(
        stage_sorted.parts + a.id_, a.operations - a.id_, stage_sorted.parts + b.id_, b.operations - b.id_
    )


cdef int stage_compare_names(const void *left, const void *right) noexcept nogil:
    """The order in which a record lists them: by the collection's name and id."""
    cdef const StagePlace *a = stage_sorted_places + stage_sorted.documents[(<const uint32_t *>left)[0]].place
    cdef const StagePlace *b = stage_sorted_places + stage_sorted.documents[(<const uint32_t *>right)[0]].place
    cdef int order = 0
    if a != b:
        order = compare_bytes(stage_name(a), a.name_length, stage_name(b), b.name_length)
    return order or stage_compare(left, right)


cdef int stage_sort(Staged staged) except -1:
    """Sort the documents as they are put; 0 when one is named twice."""
    cdef StageBlocks *blocks = &staged.blocks
    cdef uint32_t at
    global stage_sorted, stage_sorted_places
    grow(<void **>&blocks.order, &blocks.order_size, blocks.count * sizeof(uint32_t) + 1)
    for at in range(blocks.count):
        blocks.order[at] = at
    stage_sorted, stage_sorted_places = blocks, staged.places
    if not stage_is_sorted(blocks):
        qsort(blocks.order, blocks.count, sizeof(uint32_t), stage_compare)
    return stage_is_sorted(blocks)


cdef bint stage_is_sorted(const StageBlocks *blocks) noexcept:
    """Whether the order is strictly ascending."""
    cdef uint32_t at
    for at in range(1, blocks.count):
        if stage_compare(blocks.order + at - 1, blocks.order + at) >= 0:
            return False
    return True
