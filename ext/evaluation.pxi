# Twin of crdtstore/query/lookup.py: what a program needs to run over documents, and the cells that it reads of each.
#
# Rules: an Evaluation belongs to one search and one thread. Of each document, one pass over the path column finds the
# cells that have to do with a field that the program names: a table tells for each path number which fields it touches,
# so other rows cost one load. Only where values compete, and to go through a map, all cells are sorted. No memory is
# taken for a document of up to VISIBLE_FEW cells.
# Not here: what the program says of them (evaluate.pxi). Include after `program.pxi`.

cimport cython
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

cdef struct EvaluateTouch:
    uint16_t field
    unsigned char relation         # ITEM_…
    bint last                      # of its path
    size_t common

cdef struct EvaluateState:
    ProgramCode *program
    void *owner                    # the Program, for its tests
    NameList paths
    NameList replicas
    uint32_t *touched              # for each path: where its touches are; 0: it has none
    EvaluateTouch *touches         # the first one is no path's
    size_t touch_count
    ItemRelated *related           # by field
    const DocumentView *view       # the document
    value_place id_
    size_t id_size
    bint sorted                    # its cells stand in `cells`
    VisibleCells cells
    uint32_t room                  # for cells, beyond the few
    int failure                    # why the last document is damaged


@cython.final
cdef class Evaluation:
    """A program with what it needs to run over documents of one collection."""

    cdef EvaluateState state
    cdef Program program
    cdef NameTable paths
    cdef NameTable replicas

    def __init__(self):
        raise TypeError("Evaluations are made by a search.")

    def __dealloc__(self):
        if self.state.room:
            free(self.state.cells.cells)
        free(self.state.touched)
        free(self.state.touches)
        free(self.state.related)


cdef Evaluation evaluation(Program program, paths, replicas):
    """Prepare a program for documents of a snapshot that was taken before (see `names.pxi`)."""
    cdef Evaluation made = Evaluation.__new__(Evaluation)
    made.program = program
    made.state.program, made.state.owner = &program.code, <void *>program
    made.state.cells.cells = made.state.cells.few
    made.state.related = <ItemRelated *>calloc(program.code.field_count + 1, sizeof(ItemRelated))
    if made.state.related == NULL:
        raise MemoryError
    evaluation_names(made, paths, replicas)
    return made


cdef int evaluation_names(Evaluation self, paths, replicas) except -1:
    """Take the names as they are now."""
    cdef NameTable known = self.paths
    self.paths, self.replicas = name_table(paths), name_table(replicas)
    if known is not self.paths or self.state.paths.count != self.paths.names.count:
        self.state.paths.count = 0
        evaluation_touches(self, &self.paths.names)
    self.state.paths, self.state.replicas = self.paths.names, self.replicas.names
    return 0


cdef int evaluation_touches(Evaluation self, const NameList *paths) except -1:
    """Find out for each path which fields of the program it touches."""
    cdef EvaluateTouch *touches = NULL
    cdef EvaluateTouch touch
    cdef const NameText *name
    cdef size_t room = 0
    cdef uint32_t number, field, first
    free(self.state.touched)
    self.state.touched = <uint32_t *>calloc(paths.count + 1, sizeof(uint32_t))
    if self.state.touched == NULL:
        raise MemoryError
    self.state.touch_count = 1
    for number in range(paths.count):
        name = name_text(paths, number)
        first = <uint32_t>self.state.touch_count
        for field in range(self.state.program.field_count):
            if not evaluate_touch(&self.state.program.fields[field], name.text, name.size, &touch):
                continue
            if self.state.touch_count >= room:
                room = 2 * self.state.touch_count + 16
                touches = <EvaluateTouch *>realloc(self.state.touches, room * sizeof(EvaluateTouch))
                if touches == NULL:
                    raise MemoryError
                self.state.touches = touches
            touch.field = <uint16_t>field
            touches[self.state.touch_count] = touch
            self.state.touch_count += 1
        if self.state.touch_count > first:
            self.state.touched[number] = first
            self.state.touches[self.state.touch_count - 1].last = True
    return 0


cdef bint evaluate_touch(
    const ProgramField *field, value_place path, size_t size, EvaluateTouch *touch
) noexcept nogil:
    """Whether a cell's path has to do with a field of the document."""
    if field.kind != FIELD_DOCUMENT or field.path.size == 0:
        return False
    touch.relation = <unsigned char>item_relation(&field.path, path, size, &touch.common)
    touch.last = False
    return touch.relation != ITEM_APART


# --- cells ---


cdef int evaluate_gather(EvaluateState *state) noexcept nogil:
    """Find the cells that have to do with the program's fields."""
    cdef const DocumentView *view = state.view
    cdef uint32_t row, number
    cdef int failure
    memset(state.related, 0, state.program.field_count * sizeof(ItemRelated))
    if document_is_grave(view):
        return 0
    for row in range(view.n):
        number = load_number(view.paths, row, view.path_width)
        if number >= state.paths.count:
            failure = evaluate_local(state, row)
            if failure:
                return failure
        elif state.touched[number]:
            failure = evaluate_touched(
                state, row, &state.touches[state.touched[number]], name_text(&state.paths, number).size
            )
            if failure:
                return failure
    return 0


cdef inline int evaluate_touched(
    EvaluateState *state, uint32_t row, const EvaluateTouch *touch, size_t size
) noexcept nogil:
    """Account for one cell with each field that its path touches."""
    cdef int code = visible_code(state.view, row)
    if code == CODE_TOTAL:
        return 0
    if code == 0:
        return VISIBLE_CODE - (state.view.types[row] & 15)
    item_relate(&state.related[touch.field], touch.relation, touch.common, code, row, size)
    while not touch.last:
        touch += 1
        item_relate(&state.related[touch.field], touch.relation, touch.common, code, row, size)
    return 0


cdef int evaluate_local(EvaluateState *state, uint32_t row) noexcept nogil:
    """Account for one cell whose path stands in the document."""
    cdef EvaluateTouch touch
    cdef value_place path = NULL
    cdef size_t size = 0
    cdef uint32_t field
    cdef int failure = visible_path(state.view, row, &state.paths, &path, &size)
    for field in range(state.program.field_count):
        if failure == 0 and evaluate_touch(&state.program.fields[field], path, size, &touch):
            touch.field, touch.last = <uint16_t>field, True
            failure = evaluate_touched(state, row, &touch, size)
    return failure


cdef int evaluate_sort(EvaluateState *state) noexcept nogil:
    """Sort the document's cells, once."""
    cdef VisibleCell *cells
    cdef int failure
    if state.sorted:
        return 0
    if state.view.n > max(state.room, <uint32_t>VISIBLE_FEW):
        cells = <VisibleCell *>realloc(
            state.cells.cells if state.room else NULL, state.view.n * sizeof(VisibleCell)
        )
        if cells == NULL:
            return VISIBLE_MEMORY
        state.cells.cells, state.room = cells, state.view.n
    failure = visible_fill(state.view, &state.paths, &state.cells)
    if failure == 0:
        visible_sort(&state.cells)
        state.sorted = True
    return failure
