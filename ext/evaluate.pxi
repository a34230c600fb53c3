# Twin of crdtstore/query/match.py: whether a document matches, by the program of a tree, without the GIL.
#
# Rules: an Evaluation belongs to one search and one thread. Of each document, one pass over the path column finds the
# cells that have to do with a field that the program names: a table tells for each path number which fields it touches,
# so other rows cost one load. Fields are then read where they lie; only where values compete, and to go through a map,
# the cells are sorted. Verdicts are those of `relation.pxi`; 3 where the plain twin is to be asked
# (crdtstore/query/program.py says when). No memory is taken for a document of up to VISIBLE_FEW cells.
# Include after `program.pxi`.

cimport cython
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memset

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

cdef struct EvaluatePair:
    EvaluateState *state
    const ProgramNode *node
    const Item *scope
    const Item *left               # NULL while values of the left operand are looked for
    bint asked
    bint unknown


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


def evaluate(Program program not None, bytes document not None, bytes encoded_id not None, paths, replicas):
    """Run a program on one document: True, False, None for unknown, or NotImplemented: the plain twin is to tell."""
    cdef DocumentView view
    cdef Evaluation evaluated
    cdef int verdict
    memset(&view, 0, sizeof(view))
    if document:
        visible_view(document, &view)
    # Nobody else gets it meanwhile, since tests run Python code.
    evaluated, program.spare = program.spare, None
    if evaluated is None:
        evaluated = evaluation(program, paths, replicas)
    else:
        evaluation_names(evaluated, paths, replicas)
    verdict = evaluate_c(
        &evaluated.state, &view, <value_place>PyBytes_AS_STRING(encoded_id), PyBytes_GET_SIZE(encoded_id)
    )
    program.spare = evaluated
    if verdict < 0:
        visible_raise(evaluated.state.failure)
    return None if verdict == IS_UNKNOWN else NotImplemented if verdict == IS_ASKED else verdict == IS_TRUE


# Whether a document matches: 0 false, 1 true, 2 unknown, 3 ask the plain twin, -1 damaged (`visible_raise` tells by
# `failure`). The document has to stay where it is only during the call.
cdef int evaluate_c(EvaluateState *state, const DocumentView *view, value_place id_, size_t id_size) noexcept nogil:
    cdef int verdict
    state.view, state.id_, state.id_size, state.sorted = view, id_, id_size, False
    verdict = evaluate_gather(state) if state.program.reads_document else 0
    if verdict == 0:
        verdict = evaluate_node(state, state.program.nodes, NULL)
    if verdict < 0:
        state.failure = verdict
        return -1
    return verdict


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


# --- conditions ---


cdef int evaluate_node(EvaluateState *state, const ProgramNode *node, const Item *scope) noexcept nogil:
    """The verdict of a node; without a scope its fields are those of the document, else of an item of `Some`."""
    cdef int verdict
    if node.code >= PROGRAM_TRUTH and node.code <= PROGRAM_REGEX:
        return evaluate_test(state, node, scope)
    if node.code == PROGRAM_AND or node.code == PROGRAM_OR:
        return evaluate_all(state, node, scope)
    if node.code == PROGRAM_NOT:
        verdict = evaluate_node(state, node + 1, scope)
        return 1 - verdict if verdict == IS_FALSE or verdict == IS_TRUE else verdict
    if node.code == PROGRAM_SOME:
        return evaluate_some(state, node, scope)
    if node.code == PROGRAM_CONFLICTED:
        return IS_FALSE if scope != NULL else evaluate_conflicted(state, node)
    return IS_ASKED if node.code == PROGRAM_ASK else node.code == PROGRAM_TRUE


cdef int evaluate_all(EvaluateState *state, const ProgramNode *node, const Item *scope) noexcept nogil:
    """And, which false decides; or Or, which true does. What has to be asked is less sure than unknown."""
    cdef int deciding = IS_FALSE if node.code == PROGRAM_AND else IS_TRUE
    cdef int result = 1 - deciding
    cdef int verdict
    cdef const ProgramNode *end = state.program.nodes + node.end
    node += 1
    while node != end:
        verdict = evaluate_node(state, node, scope)
        if verdict == deciding or verdict < 0:
            return verdict
        if verdict > IS_TRUE:
            result = max(result, verdict)
        node = state.program.nodes + node.end
    return result


cdef int evaluate_test(EvaluateState *state, const ProgramNode *node, const Item *scope) noexcept nogil:
    """The verdict of a node over values: Or over those of operands that are spread."""
    cdef EvaluatePair pair
    cdef Item item
    cdef int verdict
    if node.left & 3 == OPERAND_FIELD and node.right & 3 == OPERAND_CONSTANT:
        # As in most queries; what a node has no right operand for is not looked at.
        verdict = evaluate_field(state, node.left >> OPERAND_BITS, scope, &item)
        if verdict:
            return verdict
        return evaluate_values(state, node, &item, &state.program.constants[node.right >> OPERAND_BITS].item)
    pair.state, pair.node, pair.scope, pair.left, pair.asked, pair.unknown = state, node, scope, NULL, False, False
    verdict = evaluate_operand(&pair, node.left)
    if verdict:
        return verdict
    return IS_ASKED if pair.asked else IS_UNKNOWN if pair.unknown else IS_FALSE


cdef int evaluate_operand(EvaluatePair *pair, uint32_t operand) noexcept nogil:
    """Take each value of an operand, at least one; true and failures end it."""
    cdef Item item
    cdef bint found = False
    cdef int verdict
    if operand & 3 == OPERAND_CONSTANT:
        return evaluate_take(pair, &pair.state.program.constants[operand >> OPERAND_BITS].item)
    if operand & 3 == OPERAND_FIELD:
        verdict = evaluate_field(pair.state, operand >> OPERAND_BITS, pair.scope, &item)
        if verdict == IS_ASKED:
            pair.asked = True
            return IS_FALSE
        return verdict or evaluate_take(pair, &item)
    verdict = evaluate_spread(pair, operand >> OPERAND_BITS, &found)
    if verdict or found:
        return verdict
    item_nothing(&item)
    return evaluate_take(pair, &item)


cdef int evaluate_take(EvaluatePair *pair, const Item *item) noexcept nogil:
    """Take one value: of the left operand, for which all of the right one follow, or of the right one."""
    cdef int verdict
    if pair.left == NULL and PROGRAM_OPERANDS[pair.node.code] == 2:
        pair.left = item
        verdict = evaluate_operand(pair, pair.node.right)
        pair.left = NULL
        return verdict
    if pair.left == NULL:
        verdict = evaluate_values(pair.state, pair.node, item, NULL)
    else:
        verdict = evaluate_values(pair.state, pair.node, pair.left, item)
    if verdict > IS_TRUE:
        pair.unknown = pair.unknown or verdict == IS_UNKNOWN
        pair.asked = pair.asked or verdict == IS_ASKED
        return IS_FALSE
    return verdict


cdef int evaluate_values(
    EvaluateState *state, const ProgramNode *node, const Item *left, const Item *right
) noexcept nogil:
    """The verdict of a node for one value, or one of each operand."""
    cdef const Instant *instant = NULL
    if node.code == PROGRAM_COMPARE:
        if node.right & 3 == OPERAND_CONSTANT:
            instant = &state.program.constants[node.right >> OPERAND_BITS].instant
        return relation_verdict(<int>node.number, <int>node.rules, left, right, instant)
    if node.code == PROGRAM_TRUTH:
        return evaluate_truth(left)
    if node.code == PROGRAM_IS_TYPE:
        return node.number >> relation_type(left) & 1
    if node.code == PROGRAM_CONTAINS:
        return evaluate_contains(node, left, right)
    return evaluate_call(state, node, left, right)


cdef bint evaluate_truth(const Item *item) noexcept nogil:
    """A value as a condition."""
    if item.value.kind == KIND_INT:
        return item.value.integer != 0
    if item.value.kind == KIND_DOUBLE:
        return item.value.number != 0.0
    if item.value.kind == KIND_STRING:
        return item.value.size != 0
    return item.value.kind not in (ITEM_MISSING, KIND_NULL, KIND_FALSE)


cdef int evaluate_call(
    EvaluateState *state, const ProgramNode *node, const Item *left, const Item *right
) noexcept nogil:
    """A function of two strings; patterns are constants."""
    cdef const ValueItem *text = &left.value
    cdef const ValueItem *part = &right.value
    if text.kind != KIND_STRING or (node.code <= PROGRAM_ENDS_WITH and part.kind != KIND_STRING):
        return <int>node.number
    if text.text == NULL or part.text == NULL and node.code <= PROGRAM_ENDS_WITH:
        return IS_ASKED
    if node.code == PROGRAM_STARTS_WITH:
        return text.size >= part.size and memcmp(text.text, part.text, part.size) == 0
    if node.code == PROGRAM_ENDS_WITH:
        return text.size >= part.size and memcmp(text.text + text.size - part.size, part.text, part.size) == 0
    if node.code == PROGRAM_LIKE:
        return like_fits(right, text.text, text.size, False)
    if node.code == PROGRAM_ILIKE and right.value.kind == KIND_ARRAY and evaluate_is_ascii(text):
        return like_fits(right, text.text, text.size, True)
    return evaluate_python(state, node.test, text)


cdef bint evaluate_is_ascii(const ValueItem *text) noexcept nogil:
    """Whether a text has no character beyond ASCII."""
    cdef unsigned char bits = 0
    cdef size_t index
    for index in range(text.size):
        bits |= text.text[index]
    return bits < 128


cdef int evaluate_python(EvaluateState *state, uint32_t test, const ValueItem *text) noexcept with gil:
    """The verdict of a test in Python; where it raises, the plain twin will as well."""
    try:
        return 1 if (<Program>state.owner).tests[test](
            PyUnicode_DecodeUTF8(<const char *>text.text, <Py_ssize_t>text.size, NULL)
        ) else 0
    except Exception:
        return IS_ASKED


# --- arrays ---


cdef int evaluate_contains(const ProgramNode *node, const Item *item, const Item *array) noexcept nogil:
    """Whether an item is equal to one of an array."""
    cdef int rules = <int>node.rules
    cdef bint asked = False, unknown = False
    cdef value_place at
    cdef size_t index
    cdef Item each
    cdef int verdict
    if array.value.kind != KIND_ARRAY:
        return IS_UNKNOWN if rules & RULE_MIXED_UNKNOWN else IS_FALSE
    if node.table != NULL:
        return evaluate_table(node.table, rules, item)
    if array.at == NULL:
        return IS_ASKED
    at = array.inside
    for index in range(array.value.size):
        at = relation_head(at, array.end, &each)
        if at == NULL:
            return VISIBLE_VALUE
        verdict = relation_verdict(OPERATOR_EQUAL, rules, item, &each, NULL)
        if verdict == IS_TRUE or verdict < 0:
            return verdict
        unknown = unknown or verdict == IS_UNKNOWN
        asked = asked or verdict == IS_ASKED
    return IS_ASKED if asked else IS_UNKNOWN if unknown else IS_FALSE


cdef int evaluate_table(const ProgramTable *table, int rules, const Item *item) noexcept nogil:
    """Whether an item is equal to one of a constant array."""
    cdef Constant wanted
    cdef uint32_t index
    cdef int verdict, type = relation_type(item)
    cdef bint asked = False
    if table.count == 0 or (type == TYPE_MISSING and rules & RULE_MISSING_FALSE):
        return IS_FALSE
    if type == TYPE_MISSING and rules & RULE_MISSING_UNKNOWN:
        return IS_UNKNOWN
    if type <= TYPE_NULL:
        if rules & RULE_NULL_UNKNOWN:
            return IS_UNKNOWN
        if table.types & 1 << TYPE_NULL:
            return IS_TRUE
        type = TYPE_NULL
    elif type >= TYPE_ARRAY:
        for index in range(table.scalars, table.count):
            if relation_type(&table.items[index].item) == type:
                verdict = relation_verdict(OPERATOR_EQUAL, rules, item, &table.items[index].item, NULL)
                if verdict == IS_TRUE or verdict < 0:
                    return verdict
                asked = asked or verdict == IS_ASKED
    else:
        wanted.item, wanted.instant.known = item[0], False
        if (type == TYPE_STRING or type == TYPE_BINARY) and item.value.text == NULL:
            asked = True
        else:
            if type == TYPE_STRING and rules & RULE_DATES:
                instant_parse(item.value.text, item.value.size, &wanted.instant)
            if program_table_has(table, &wanted):
                return IS_TRUE
    if asked:
        return IS_ASKED
    if rules & RULE_NULL_UNKNOWN and table.types & 1 << TYPE_NULL:
        return IS_UNKNOWN
    return IS_UNKNOWN if rules & RULE_MIXED_UNKNOWN and table.types & ~(1 << type) else IS_FALSE


# --- fields ---


cdef int evaluate_field(EvaluateState *state, uint32_t number, const Item *scope, Item *item) noexcept nogil:
    """Find what a field that is not spread stands for. A map of the document has no cells yet."""
    cdef const ProgramField *field = &state.program.fields[number]
    cdef int result
    if field.kind == FIELD_DOCUMENT:
        if state.view.n == 0 or document_is_grave(state.view):
            return item_nothing(item)
        if field.path.size == 0:
            return item_root(&field.path, item)
        result = item_decide(state.view, &state.replicas, &field.path, &state.related[number], item)
        return evaluate_descend(state, &field.path, item) if result == ITEM_GENERAL else result
    if field.kind == FIELD_ID:
        return item_id(state.id_, state.id_size, field.path.steps + 1, field.path.count - 1, item)
    if scope == NULL:
        return IS_ASKED
    item[0] = scope[0]
    if scope.value.kind == ITEM_MAP:
        return item_below(state.view, &state.replicas, &field.path, item)
    if field.path.count == 0:
        return 0
    if scope.value.kind != KIND_ARRAY and scope.value.kind != KIND_OBJECT:
        return item_nothing(item)
    return item_inside(field.path.steps, field.path.count, item)


cdef int evaluate_descend(EvaluateState *state, const ItemPath *asked, Item *item) noexcept nogil:
    """Find what a path of the document leads to from all its cells."""
    cdef int failure = evaluate_sort(state)
    return failure or item_descend(state.view, &state.cells, &state.replicas, asked, item)


# --- fields that are spread ---


cdef int evaluate_spread(EvaluatePair *pair, uint32_t number, bint *found) noexcept nogil:
    """Take each value that a field finds when arrays are searched item by item."""
    cdef EvaluateState *state = pair.state
    cdef const ProgramField *field = &state.program.fields[number]
    cdef uint32_t taken = 0, row = 0
    cdef Item item
    cdef int told
    if field.kind == FIELD_ID:
        return evaluate_spread_id(pair, field, found)
    if field.kind == FIELD_INNER:
        return evaluate_spread_item(pair, &field.path, found)
    if state.view.n == 0 or document_is_grave(state.view):
        return 0
    if field.path.size == 0:
        item_root(&field.path, &item)
        return evaluate_ends(pair, &item, found)
    told = item_tell(&field.path, &state.related[number], &taken)
    if told == ITEM_GENERAL:
        told = evaluate_sort(state)
        if told == 0:
            evaluate_root(state, &item)
            return evaluate_spread_map(pair, &field.path, &item, found)
    if told == ITEM_ROW:
        return evaluate_spread_row(pair, &field.path, state.related[number].row, taken, found)
    if told == ITEM_WHOLE:
        item_map(&item)
        return evaluate_ends(pair, &item, found)
    return min(told, 0)


cdef void evaluate_root(EvaluateState *state, Item *item) noexcept nogil:
    """The map of a document's sorted cells."""
    item.value.kind, item.prefix = ITEM_MAP, 0
    item.cells, item.count = state.cells.cells, state.cells.count
    while item.count and item.cells.size == 0:
        item.cells += 1
        item.count -= 1


cdef int evaluate_spread_row(
    EvaluatePair *pair, const ItemPath *asked, uint32_t row, uint32_t taken, bint *found
) noexcept nogil:
    """Take the values inside the one cell that decides."""
    cdef Item item
    cdef int failure
    if visible_code(pair.state.view, row) != CODE_REGISTER:
        failure = item_row(pair.state.view, row, &pair.state.replicas, asked, taken, &item)
        return failure or evaluate_ends(pair, &item, found)
    failure = item_register(pair.state.view, row, NULL, 0, &item)
    return failure or evaluate_inside(pair, &item, asked.steps + taken, asked.count - taken, found)


cdef int evaluate_spread_map(EvaluatePair *pair, const ItemPath *asked, Item *item, bint *found) noexcept nogil:
    """Take the values below a map of sorted cells."""
    cdef uint32_t taken = 0, row = 0
    cdef int code = item_follow(pair.state.view, &pair.state.replicas, asked, item, &taken, &row)
    if code == CODE_REGISTER:
        return evaluate_spread_row(pair, asked, row, taken, found)
    if code <= 0:
        return code
    return evaluate_ends(pair, item, found) if taken == asked.count else 0


cdef int evaluate_spread_item(EvaluatePair *pair, const ItemPath *asked, bint *found) noexcept nogil:
    """Take the values below an item of `Some`; its own items are not entered by a key."""
    cdef Item item
    cdef int failure
    if pair.scope == NULL:
        pair.asked = found[0] = True
        return 0
    item = pair.scope[0]
    if item.value.kind == ITEM_MAP:
        return evaluate_spread_map(pair, asked, &item, found)
    if asked.count == 0:
        return evaluate_ends(pair, &item, found)
    if item.value.kind != KIND_ARRAY and item.value.kind != KIND_OBJECT:
        return 0
    failure = item_enter(asked.steps, &item)
    if failure or item.value.kind == ITEM_MISSING:
        return failure
    return evaluate_inside(pair, &item, asked.steps + 1, asked.count - 1, found)


cdef int evaluate_spread_id(EvaluatePair *pair, const ProgramField *field, bint *found) noexcept nogil:
    """Take the value of an id; the arrays in one are left to the plain twin."""
    cdef Item item
    cdef int failure = item_id(pair.state.id_, pair.state.id_size, field.path.steps + 1, field.path.count - 1, &item)
    if failure:
        return failure
    if item.value.kind == KIND_ARRAY or (item.value.kind == ITEM_MISSING and pair.state.id_[0] == ID_OBJECT):
        pair.asked = found[0] = True
        return 0
    return evaluate_ends(pair, &item, found)


cdef int evaluate_inside(
    EvaluatePair *pair, const Item *item, const ItemStep *steps, uint32_t left, bint *found
) noexcept nogil:
    """Take the values that steps find in an item of msgpack."""
    cdef ItemStep index
    cdef int verdict
    if left == 0:
        return evaluate_ends(pair, item, found)
    if item.value.kind == KIND_OBJECT or (item.value.kind == KIND_ARRAY and steps.key == NULL):
        return evaluate_enter(pair, item, steps, steps, left, found)
    if item.value.kind != KIND_ARRAY:
        return 0
    if steps.index >= 0:
        index.key, index.index = NULL, steps.index
        verdict = evaluate_enter(pair, item, &index, steps, left, found)
        if verdict:
            return verdict
    return evaluate_each(pair, item, steps, left, found)


cdef int evaluate_enter(
    EvaluatePair *pair, const Item *item, const ItemStep *step, const ItemStep *steps, uint32_t left, bint *found
) noexcept nogil:
    """Take one step, and then the values that the others find."""
    cdef Item inner = item[0]
    cdef int failure = item_enter(step, &inner)
    if failure or inner.value.kind == ITEM_MISSING:
        return failure
    return evaluate_inside(pair, &inner, steps + 1, left - 1, found)


cdef int evaluate_each(
    EvaluatePair *pair, const Item *array, const ItemStep *steps, uint32_t left, bint *found
) noexcept nogil:
    """Take the values that steps find in those items of an array that are objects; without steps, its items."""
    cdef value_place at = array.inside
    cdef size_t index
    cdef Item each
    cdef int verdict = 0
    for index in range(array.value.size):
        at = relation_head(at, array.end, &each)
        if at == NULL:
            return VISIBLE_VALUE
        if left == 0:
            verdict = evaluate_take(pair, &each)
        elif each.value.kind == KIND_OBJECT:
            verdict = evaluate_enter(pair, &each, steps, steps, left, found)
        if verdict:
            return verdict
    return 0


cdef int evaluate_ends(EvaluatePair *pair, const Item *item, bint *found) noexcept nogil:
    """Take what a path ends at, and its items if it is an array."""
    cdef int verdict
    if item.value.kind == ITEM_MISSING:
        return 0
    found[0] = True
    verdict = evaluate_take(pair, item)
    if verdict or item.value.kind != KIND_ARRAY:
        return verdict
    return evaluate_each(pair, item, NULL, 0, found)


# --- some ---


cdef int evaluate_some(EvaluateState *state, const ProgramNode *node, const Item *scope) noexcept nogil:
    """Or over the items of an array, the values of an object, or those of a map of cells."""
    cdef const ProgramField *field = &state.program.fields[node.number]
    cdef Item item
    cdef int failure = evaluate_field(state, node.number, scope, &item)
    if failure:
        return failure
    if item.value.kind == ITEM_MAP:
        if field.kind == FIELD_DOCUMENT and item.cells == NULL:
            failure = evaluate_descend(state, &field.path, &item)
        return failure or evaluate_some_cells(state, node, &item)
    if item.value.kind != KIND_ARRAY and item.value.kind != KIND_OBJECT:
        return IS_FALSE
    return IS_ASKED if item.at == NULL else evaluate_some_items(state, node, &item)


cdef int evaluate_some_cells(EvaluateState *state, const ProgramNode *node, Item *map) noexcept nogil:
    """Or over the values of a map of cells."""
    cdef int verdict, result = IS_FALSE
    cdef uint32_t run, row = 0
    cdef Item item
    while map.count:
        item = map[0]
        verdict = item_node(state.view, &state.replicas, &item, &run, &row)
        if verdict == CODE_REGISTER:
            verdict = min(item_register(state.view, row, NULL, 0, &item), 0)
        if verdict >= 0:
            verdict = evaluate_node(state, node + 1, &item)
        if verdict == IS_TRUE or verdict < 0:
            return verdict
        result = max(result, verdict)
        map.cells += run
        map.count -= run
    return result


cdef int evaluate_some_items(EvaluateState *state, const ProgramNode *node, const Item *all) noexcept nogil:
    """Or over the items of an array or the values of an object."""
    cdef value_place at = all.inside
    cdef int verdict, result = IS_FALSE
    cdef size_t index
    cdef Item item
    for index in range(all.value.size):
        if all.value.kind == KIND_OBJECT:
            at = value_skip(at, all.end)
        at = relation_head(at, all.end, &item) if at != NULL else NULL
        if at == NULL:
            return VISIBLE_VALUE
        verdict = evaluate_node(state, node + 1, &item)
        if verdict == IS_TRUE or verdict < 0:
            return verdict
        result = max(result, verdict)
    return result


# --- conflicts ---


cdef int evaluate_conflicted(EvaluateState *state, const ProgramNode *node) noexcept nogil:
    """Whether more than one value lives at a path; without one, anywhere."""
    cdef const ItemRelated *related
    if state.view.n == 0 or document_is_grave(state.view):
        return IS_FALSE
    if node.number == PROGRAM_NONE:
        return evaluate_any_conflict(state)
    related = &state.related[node.number]
    return evaluate_rivals(related.own, related.counters, related.below + related.markers)


cdef inline bint evaluate_rivals(uint32_t own, uint32_t counters, uint32_t maps) noexcept nogil:
    """Whether there are several: each register is one, all counters together are, and the map is."""
    return own - counters + (counters > 0) + (maps > 0) > 1


cdef int evaluate_any_conflict(EvaluateState *state) noexcept nogil:
    """Whether several values live at some path."""
    cdef const VisibleCell *cell
    cdef uint32_t index, own = 0, counters = 0, maps = 0
    cdef int code, failure = evaluate_sort(state)
    if failure:
        return failure
    for index in range(state.cells.count):
        cell = &state.cells.cells[index]
        code = visible_code(state.view, cell.row)
        own += code != CODE_MAP
        counters += code == CODE_IMPLICIT or code == CODE_EXPLICIT
        maps += code == CODE_MAP
        if index + 1 < state.cells.count and cell[1].size >= cell.size:
            if memcmp(cell.path, cell[1].path, cell.size) == 0:
                if cell.size == cell[1].size:
                    continue
                maps += 1
        if evaluate_rivals(own, counters, maps):
            return IS_TRUE
        own = counters = maps = 0
    return IS_FALSE
