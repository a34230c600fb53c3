# Twin of crdtstore/query/match.py: whether a document matches, by the program of a tree, without the GIL.
#
# Rules: values are read where they lie. Verdicts are those of `relation.pxi`; 3 where the plain twin is to be asked
# (crdtstore/query/program.py says when).
# Not here: where fields lead (evaluate_field.pxi), what is made before (evaluation.pxi). Include after the latter.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memset

cdef struct EvaluatePair:
    EvaluateState *state
    const ProgramNode *node
    const Item *scope
    const Item *left               # NULL while values of the left operand are looked for
    bint asked
    bint unknown


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
        # What a program keeps must not keep the program.
        evaluated.program = None
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
    return evaluate_python(state, node, text)


cdef bint evaluate_is_ascii(const ValueItem *text) noexcept nogil:
    """Whether a text has no character beyond ASCII."""
    cdef unsigned char bits = 0
    cdef size_t index
    for index in range(text.size):
        bits |= text.text[index]
    return bits < 128


cdef int evaluate_python(EvaluateState *state, const ProgramNode *node, const ValueItem *text) noexcept with gil:
    """The verdict of a test in Python; where it raises, the plain twin will as well."""
    cdef const char *start = <const char *>text.text
    cdef Py_ssize_t size = <Py_ssize_t>text.size
    try:
        if node.code == PROGRAM_REGEX:
            # RE2 reads UTF-8, and need not count characters.
            given = PyBytes_FromStringAndSize(start, size)
        else:
            given = PyUnicode_DecodeUTF8(start, size, NULL)
        return 1 if (<Program>state.owner).tests[node.test](given) else 0
    except Exception:
        return IS_ASKED


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
