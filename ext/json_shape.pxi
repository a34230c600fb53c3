# Twin of crdtstore/crdt/json_output.py for documents of a shape that was seen before: the shape's program.
#
# A shape is a document's path column and codes. It is simple when no value competes for a path: each path has
# one register, one marker or one counter instance, and no register or counter stands above another cell. Then
# stamps decide nothing, and a program tells all: alternately a literal, with the keys and braces of maps, and
# a row whose value follows. Path numbers keep their meaning until names are taken back, which drops all
# shapes of the collection (`Names.truncate`); local paths have no shape.
# A program is made when its shape comes a second time before another one wants its place, so documents of
# which no two are alike cost no programs. All programs together are bounded. Include after `json_text.pxi`.

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memset

from crdtstore.crdt.names import Names as JsonNames
from crdtstore.limits import SHAPE_BYTES_MAX as json_shape_bytes, SHAPES_BYTES_MAX as json_shapes_bytes

cdef size_t JSON_SHAPE_BYTES_MAX = json_shape_bytes
cdef size_t JSON_SHAPES_BYTES_MAX = json_shapes_bytes

cdef enum:
    JSON_SHAPES = 256              # places of one collection, a power of two
    JSON_ROOM = 64                 # what a number or constant takes, with room to write over

cdef extern from *:
    """
    /* A shape's key is its path column and codes, each filled up with zeros to whole words. Reading a word
       beyond either column stays inside the document: the slots follow, 8 bytes a row. */
    #define JSON_CODES 0x0F0F0F0F0F0F0F0Fu

    static inline uint64_t json_key_word(const unsigned char *column, size_t size, size_t at) {
        uint64_t word = json_load(column + at);
        return size - at >= 8 ? word : word & (((uint64_t)1 << (8 * (size - at))) - 1);
    }

    static inline int json_key_equal(
        const unsigned char *paths, size_t size, const unsigned char *types, size_t n,
        const unsigned char *key)
    {
        for (size_t at = 0; at < size; at += 8, key += 8)
            if (json_key_word(paths, size, at) != json_load(key))
                return 0;
        for (size_t at = 0; at < n; at += 8, key += 8)
            if ((json_key_word(types, n, at) & JSON_CODES) != json_load(key))
                return 0;
        return 1;
    }

    static inline uint64_t json_key_mix(uint64_t hash, uint64_t word) {
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        return hash ^ hash >> 32;
    }

    static uint64_t json_key_hash(
        const unsigned char *paths, size_t size, const unsigned char *types, size_t n)
    {
        uint64_t hash = json_key_mix(n, size);
        for (size_t at = 0; at < size; at += 8)
            hash = json_key_mix(hash, json_key_word(paths, size, at));
        for (size_t at = 0; at < n; at += 8)
            hash = json_key_mix(hash, json_key_word(types, n, at) & JSON_CODES);
        return hash;
    }

    static size_t json_key_copy(
        unsigned char *key, const unsigned char *paths, size_t size, const unsigned char *types, size_t n)
    {
        unsigned char *start = key;
        uint64_t word;
        for (size_t at = 0; at < size; at += 8, key += 8) {
            word = json_key_word(paths, size, at);
            memcpy(key, &word, 8);
        }
        for (size_t at = 0; at < n; at += 8, key += 8) {
            word = json_key_word(types, n, at) & JSON_CODES;
            memcpy(key, &word, 8);
        }
        return (size_t)(key - start);
    }
    """
    bint json_key_equal(
        value_place paths, size_t size, value_place types, size_t n, value_place key
    ) noexcept nogil
    uint64_t json_key_hash(value_place paths, size_t size, value_place types, size_t n) noexcept nogil
    size_t json_key_copy(
        unsigned char *key, value_place paths, size_t size, value_place types, size_t n
    ) noexcept nogil

cdef struct JsonStep:
    uint32_t literal               # its length
    uint32_t row

cdef struct JsonProgram:
    uint64_t hash
    size_t bytes                   # of all that was allocated
    uint32_t n                     # rows of the shape
    int path_width
    bint is_simple                 # if not, the rest is empty
    uint32_t steps
    uint32_t tail                  # length of the literal behind the last step
    const JsonStep *step
    value_place literals           # all in a row
    value_place key

cdef struct JsonDraft:
    JsonBuffer literals
    JsonStep *steps
    uint32_t count
    size_t start                   # where the literal of the next step starts
    value_place open               # a path whose first `open_size` bytes are the innermost open map
    size_t open_size
    bint is_first                  # nothing stands in the open map so far

cdef struct JsonPlace:
    JsonProgram *program
    uint64_t wanted                # the hash of the shape that came last and has no program

cdef Py_ssize_t json_shapes_place = slot_place(JsonNames, "shapes")
cdef size_t json_shapes_held = 0   # bytes of all programs


@cython.final
cdef class JsonShapes:
    """The programs of one collection's shapes, as `Names.shapes` keeps them."""

    cdef JsonPlace *places
    cdef JsonProgram *last         # the one used last: most documents are like the one before

    def __cinit__(self):
        self.places = <JsonPlace *>calloc(JSON_SHAPES, sizeof(JsonPlace))
        if self.places == NULL:
            raise MemoryError

    def __dealloc__(self):
        json_shapes_drop(self)
        free(self.places)


cdef void json_shapes_drop(JsonShapes shapes) noexcept:
    """Forget all programs of a collection."""
    global json_shapes_held
    cdef int index
    shapes.last = NULL
    for index in range(JSON_SHAPES if shapes.places != NULL else 0):
        json_place_set(&shapes.places[index], NULL)


cdef void json_place_set(JsonPlace *place, JsonProgram *program) noexcept:
    """Put another program, or none, in place of a program."""
    global json_shapes_held
    if place.program != NULL:
        json_shapes_held -= place.program.bytes
        free(place.program)
    if program != NULL:
        json_shapes_held += program.bytes
    place.program, place.wanted = program, 0


cdef inline bint json_fits(const JsonProgram *program, const DocumentView *view) noexcept nogil:
    """Whether a program is that of a document's shape."""
    return (
        program != NULL
        and program.n == view.n
        and program.path_width == view.path_width
        and json_key_equal(view.paths, <size_t>view.n << view.path_width, view.types, view.n, program.key)
    )


cdef JsonShapes json_shapes(paths):
    """The programs of a collection. Who prints many documents of one snapshot asks once."""
    cdef PyObject *held = slot_held(paths, json_shapes_place) if type(paths) is JsonNames else NULL
    if held != NULL and type(<object>held) is JsonShapes:
        return <JsonShapes>held
    found = paths.shapes
    if type(found) is not JsonShapes:
        found = paths.shapes = JsonShapes()
    return <JsonShapes>found


cdef const JsonProgram *json_program(const DocumentView *view, JsonShapes shapes, paths) except? NULL:
    """The program of a document's shape; NULL without an error where the general way is to be taken."""
    if view.local != NULL or view.n > JSON_SHAPE_BYTES_MAX // sizeof(JsonStep):
        return NULL
    if not json_fits(shapes.last, view):
        shapes.last = json_find(shapes, view, paths)
    return shapes.last if shapes.last != NULL and shapes.last.is_simple else NULL


cdef JsonProgram *json_find(JsonShapes shapes, const DocumentView *view, paths) except? NULL:
    """Look a shape up in its two places; make its program when it is wanted for the second time."""
    cdef uint64_t hash = json_key_hash(view.paths, <size_t>view.n << view.path_width, view.types, view.n)
    cdef JsonPlace *place = &shapes.places[hash & (JSON_SHAPES - 1)]
    cdef JsonPlace *other = &shapes.places[(hash ^ 1) & (JSON_SHAPES - 1)]
    cdef JsonProgram *program
    if json_fits(other.program, view):
        place = other
    if json_fits(place.program, view):
        # A shape in use is not driven out by one that comes as often.
        place.wanted = 0
        return place.program
    if other.program == NULL and place.program != NULL:
        place = other
    if place.wanted != hash | 1:
        place.wanted = hash | 1
        return NULL
    program = json_make(view, name_table(paths))
    program.hash = hash
    if json_shapes_held + program.bytes > JSON_SHAPES_BYTES_MAX:
        json_shapes_drop(shapes)
    if json_shapes_held + program.bytes > JSON_SHAPES_BYTES_MAX:
        free(program)
        return NULL
    json_place_set(place, program)
    return program


cdef JsonProgram *json_make(const DocumentView *view, NameTable paths) except NULL:
    """Make the program of a document's shape, an empty one if the shape is not simple or too large."""
    cdef JsonDraft draft
    cdef VisibleCells found
    cdef bint is_simple
    memset(&draft, 0, sizeof(draft))
    visible_check(visible_open(view, &paths.names, &found))
    try:
        draft.steps = <JsonStep *>malloc(view.n * sizeof(JsonStep))
        if draft.steps == NULL:
            raise MemoryError
        is_simple = json_draft(view, &found, &draft)
        return json_seal(view, &draft, is_simple)
    finally:
        visible_close(&found)
        free(draft.steps)
        json_free(&draft.literals)


cdef JsonProgram *json_seal(const DocumentView *view, const JsonDraft *draft, bint is_simple) except NULL:
    """Lay out a program in one piece: itself, its steps, its key, its literals and room to read over."""
    cdef size_t steps, key, literals = draft.literals.length
    cdef JsonProgram *program
    cdef unsigned char *behind
    key = (((<size_t>view.n << view.path_width) + 7) & ~<size_t>7) + ((<size_t>view.n + 7) & ~<size_t>7)
    steps = draft.count * sizeof(JsonStep)
    if not is_simple or steps + key + literals > JSON_SHAPE_BYTES_MAX:
        is_simple = False
        steps = literals = 0
    program = <JsonProgram *>malloc(sizeof(JsonProgram) + steps + key + literals + 16)
    if program == NULL:
        raise MemoryError
    memset(program, 0, sizeof(JsonProgram))
    behind = <unsigned char *>program + sizeof(JsonProgram)
    program.bytes = sizeof(JsonProgram) + steps + key + literals + 16
    program.n, program.path_width, program.is_simple = view.n, view.path_width, is_simple
    program.step, program.key, program.literals = <JsonStep *>behind, behind + steps, behind + steps + key
    json_key_copy(behind + steps, view.paths, <size_t>view.n << view.path_width, view.types, view.n)
    if is_simple:
        memcpy(behind, draft.steps, steps)
        memcpy(behind + steps + key, draft.literals.data, literals)
        program.steps, program.tail = draft.count, <uint32_t>(literals - draft.start)
    return program


cdef int json_draft(const DocumentView *view, const VisibleCells *found, JsonDraft *draft) except -1:
    """Write a shape's literals and steps; False if it is not simple."""
    cdef const VisibleCell *cell = found.cells
    cdef const VisibleCell *end = cell + found.count
    cdef bint is_map, has_below
    json_append(&draft.literals, b"{", 1)
    draft.is_first = True
    while cell != end:
        is_map = visible_code(view, cell.row) == CODE_MAP
        has_below = cell + 1 != end and cell[1].size >= cell.size
        has_below = has_below and memcmp(cell.path, cell[1].path, cell.size) == 0
        if has_below and (not is_map or cell[1].size == cell.size):
            return False
        if draft.literals.length > JSON_SHAPE_BYTES_MAX:
            return False
        if cell.size and not has_below:
            json_draft_open(draft, cell)
            if is_map:
                json_append(&draft.literals, b"{}", 2)
            else:
                json_draft_step(draft, cell.row)
        elif cell.size == 0 and not is_map:
            return False
        cell += 1
    while draft.open_size:
        json_draft_close(draft)
    json_append(&draft.literals, b"}", 1)
    return True


cdef int json_draft_open(JsonDraft *draft, const VisibleCell *cell) except -1:
    """Close and open maps until the one that holds a cell is open, and write the cell's key."""
    cdef value_place end
    cdef size_t start
    while draft.open_size and (draft.open_size > cell.size or memcmp(draft.open, cell.path, draft.open_size)):
        json_draft_close(draft)
    while True:
        start = draft.open_size
        end = <value_place>memchr(cell.path + start, 0, cell.size - start)
        if end == NULL:
            raise damaged("a path is not terminated")
        if not draft.is_first:
            json_append(&draft.literals, b",", 1)
        json_key(cell.path + start, end - cell.path - start, &draft.literals)
        draft.is_first = False
        if <size_t>(end - cell.path) + 1 == cell.size:
            return 0
        json_append(&draft.literals, b"{", 1)
        draft.open, draft.open_size, draft.is_first = cell.path, end - cell.path + 1, True


cdef int json_draft_close(JsonDraft *draft) except -1:
    """Close the innermost map."""
    draft.open_size -= 1
    while draft.open_size and draft.open[draft.open_size - 1]:
        draft.open_size -= 1
    draft.is_first = False
    return json_append(&draft.literals, b"}", 1)


cdef int json_draft_step(JsonDraft *draft, uint32_t row) except -1:
    """End the literal; a row's value follows."""
    draft.steps[draft.count].literal = <uint32_t>(draft.literals.length - draft.start)
    draft.steps[draft.count].row = row
    draft.start = draft.literals.length
    draft.count += 1
    return 0


cdef int json_run(const JsonProgram *program, const DocumentView *view, replicas, JsonBuffer *out) except -1:
    """Append a document by its shape's program."""
    cdef value_place literal = program.literals
    cdef value_place slots = view.slots
    cdef value_place types = view.types
    cdef const JsonStep *step = program.step
    cdef const JsonStep *last = step + program.steps
    cdef unsigned char *behind
    cdef unsigned char *at = out.data + out.length
    cdef unsigned char *limit = out.data + out.capacity
    while step != last:
        if <size_t>(limit - at) < <size_t>step.literal + JSON_ROOM:
            out.length = at - out.data
            json_grow(out, <size_t>step.literal + JSON_ROOM)
            at, limit = out.data + out.length, out.data + out.capacity
        at = json_literal(at, literal, step.literal)
        literal += step.literal
        behind = json_quick(view, types[step.row], slots + 8 * <size_t>step.row, at, limit)
        if behind != NULL:
            at = behind
        else:
            out.length = at - out.data
            json_step(view, step.row, replicas, out)
            at, limit = out.data + out.length, out.data + out.capacity
        step += 1
    out.length = at - out.data
    return json_append(out, <const char *>literal, program.tail)


cdef inline unsigned char *json_quick(
    const DocumentView *view, unsigned char type_and_kind, value_place slot, unsigned char *at,
    const unsigned char *limit
) noexcept nogil:
    """Write a register's value where that needs neither more than JSON_ROOM nor an error; else NULL."""
    cdef value_place text
    cdef size_t size
    cdef double number
    if type_and_kind == (KIND_SHORT << 4 | CODE_REGISTER):
        # A length beyond the slot is damage, which is not for here.
        return NULL if slot[0] > 7 else json_short(at, load_u64(slot))
    if type_and_kind == (KIND_STRING << 4 | CODE_REGISTER):
        text, size = view.heap + load_u32(slot), load_u32(slot + 4)
        if not json_is_inside(view, slot) or <size_t>(limit - at) < 6 * size + JSON_ROOM:
            return NULL
        return json_string(at, text, size)
    if type_and_kind == (KIND_INT << 4 | CODE_REGISTER):
        return json_integer(at, <int64_t>load_u64(slot))
    if type_and_kind == (KIND_DOUBLE << 4 | CODE_REGISTER):
        memcpy(&number, slot, 8)
        return json_decimal(at, number)
    if type_and_kind & 15 != CODE_REGISTER:
        return NULL
    if type_and_kind >> 4 <= KIND_TRUE:
        return json_constant(at, type_and_kind >> 4)
    if type_and_kind >> 4 != KIND_ARRAY or not json_is_inside(view, slot):
        return NULL
    text, size = view.heap + load_u32(slot), load_u32(slot + 4)
    if <size_t>(limit - at) < 6 * size + JSON_ROOM:
        return NULL
    return json_packed(&text, text + size, VALUE_DEPTH_MAX, at)


cdef inline bint json_is_inside(const DocumentView *view, value_place slot) noexcept nogil:
    """Whether the bytes that a slot names lie in the heap; see `heap_read`."""
    return <size_t>load_u32(slot) + load_u32(slot + 4) <= view.heap_length


cdef int json_step(const DocumentView *view, uint32_t row, replicas, JsonBuffer *out) except -1:
    """Append a register of any kind, or a counter of one instance."""
    cdef VisibleCell cell = [0, NULL, 0, row]
    cdef ValueItem number
    if visible_code(view, row) == CODE_REGISTER:
        return json_row(view, row, out)
    visible_check(visible_counter(view, &cell, 1, &name_table(replicas).names, &number))
    return json_scalar(&number, out)
