# Twin of crdtstore/query/program.py: a compiled tree, checked once, so that running it checks nothing.
#
# Rules: the code is u32 words in prefix order, the constants msgpack in a row; what they mean stands at the twin. A
# Program never changes, so any thread may run it: what changes is in an EvaluateState (`evaluate.pxi`).
# Include after `relation.pxi` and `like.pxi`.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, qsort

from crdtstore.limits import QUERY_DEPTH_MAX as program_depth_max, QUERY_NODES_MAX as program_fields_max

cdef enum:
    PROGRAM_FALSE = 0
    PROGRAM_TRUE = 1
    PROGRAM_ASK = 2
    PROGRAM_AND = 3
    PROGRAM_OR = 4
    PROGRAM_NOT = 5
    PROGRAM_TRUTH = 6
    PROGRAM_IS_TYPE = 7
    PROGRAM_COMPARE = 8
    PROGRAM_CONTAINS = 9
    PROGRAM_STARTS_WITH = 10
    PROGRAM_ENDS_WITH = 11
    PROGRAM_LIKE = 12
    PROGRAM_ILIKE = 13
    PROGRAM_REGEX = 14
    PROGRAM_SOME = 15
    PROGRAM_CONFLICTED = 16
    PROGRAM_CODES = 17

cdef enum:                         # what a field's path starts from
    FIELD_INNER = 0
    FIELD_DOCUMENT = 1
    FIELD_ID = 2
    FIELD_KINDS = 3

cdef enum:                         # the low bits of an operand; the others are a number
    OPERAND_CONSTANT = 0
    OPERAND_FIELD = 1
    OPERAND_SPREAD = 2
    OPERAND_BITS = 2

# Conditions stand at most twice as deep as a query is nested: a value there has its Truth around it.
cdef int PROGRAM_DEPTH_MAX = 2 * program_depth_max
cdef int PROGRAM_FIELDS_MAX = program_fields_max

cdef uint32_t PROGRAM_NONE = 0xFFFFFFFF

cdef extern from *:
    """
    /* Words behind each code: how many operands are among the first, and how many words there are. */
    static const unsigned char PROGRAM_OPERANDS[17] = {0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0, 0};
    static const unsigned char PROGRAM_WORDS[17] =    {0, 0, 0, 1, 1, 0, 1, 2, 4, 3, 3, 3, 3, 4, 4, 1, 1};
    """
    const unsigned char *PROGRAM_OPERANDS
    const unsigned char *PROGRAM_WORDS

cdef struct ProgramTable:
    Constant *items                # the scalars, sorted and each once; then the arrays and objects
    uint32_t scalars
    uint32_t count
    uint32_t types                 # a bit for each type among them

cdef struct ProgramNode:
    int code
    uint32_t end                   # the node behind it and all below it
    uint32_t left                  # operands
    uint32_t right
    uint32_t number                # an operator, types as bits, a field; or what a call is without strings
    uint32_t rules
    uint32_t test                  # of a call
    ProgramTable *table            # of a constant array

cdef struct ProgramField:
    ItemPath path
    int kind

cdef struct ProgramCode:
    ProgramNode *nodes
    ProgramField *fields
    Constant *constants
    uint32_t node_count
    uint32_t field_count
    uint32_t constant_count
    uint32_t test_count
    bint reads_document            # a field of the document's own is named


cdef object program_refused(str reason):
    return ValueError(f"This is no program: {reason}.")


@cython.final
cdef class Program:
    """A tree as the core runs it."""

    cdef ProgramCode code
    cdef readonly tuple tests
    cdef tuple paths
    cdef bytes packed
    cdef object spare              # an Evaluation that nobody uses now

    def __init__(self, bytes code not None, tuple fields not None, bytes constants not None, tuple tests not None):
        if self.code.fields != NULL:
            raise program_refused("it was made before")
        self.tests, self.packed = tests, constants
        self.paths = tuple([path for _, path in fields])
        self.code.test_count = <uint32_t>len(tests)
        program_fields(self, fields)
        program_constants(self, constants)
        program_nodes(self, code)

    def __dealloc__(self):
        cdef uint32_t index
        for index in range(self.code.field_count):
            item_path_free(&self.code.fields[index].path)
        for index in range(self.code.node_count):
            program_table_free(self.code.nodes[index].table)
        free(self.code.fields)
        free(self.code.constants)
        free(self.code.nodes)


cdef int program_fields(Program program, tuple fields) except -1:
    """Prepare the paths."""
    cdef ProgramField *field
    if len(fields) > PROGRAM_FIELDS_MAX:
        raise program_refused("it has too many fields")
    program.code.fields = <ProgramField *>calloc(len(fields) + 1, sizeof(ProgramField))
    if program.code.fields == NULL:
        raise MemoryError
    for kind, path in fields:
        field = program.code.fields + program.code.field_count
        if not 0 <= kind < FIELD_KINDS or (kind == FIELD_ID and len(path) == 0):
            raise program_refused("a field starts nowhere")
        item_path_make(path, &field.path)
        field.kind = kind
        program.code.field_count += 1
        program.code.reads_document = program.code.reads_document or field.kind == FIELD_DOCUMENT
    return 0


cdef int program_constants(Program program, bytes constants) except -1:
    """Find the constants, and read what they begin with."""
    cdef value_place start = <value_place>PyBytes_AS_STRING(constants)
    cdef value_place end = start + PyBytes_GET_SIZE(constants)
    cdef value_place at = start
    cdef size_t count = 0
    cdef Constant *constant
    while at != end:
        at = value_skip(at, end)
        if at == NULL:
            raise program_refused("a constant cannot be read")
        count += 1
    program.code.constants = <Constant *>calloc(count + 1, sizeof(Constant))
    if program.code.constants == NULL:
        raise MemoryError
    at = start
    while program.code.constant_count < count:
        constant = program.code.constants + program.code.constant_count
        at = program_constant(at, end, constant)
        program.code.constant_count += 1
    return 0


cdef value_place program_constant(value_place at, value_place end, Constant *constant) noexcept nogil:
    """Read a constant's head; a string's instant too."""
    at = relation_head(at, end, &constant.item)
    if constant.item.value.kind == KIND_STRING:
        instant_parse(constant.item.value.text, constant.item.value.size, &constant.instant)
    return at


# --- nodes ---


cdef int program_nodes(Program program, bytes code) except -1:
    """Take the words apart, and check each."""
    cdef size_t count = PyBytes_GET_SIZE(code) // 4
    cdef size_t at = 0
    program.code.nodes = <ProgramNode *>calloc(count + 1, sizeof(ProgramNode))
    if program.code.nodes == NULL:
        raise MemoryError
    program_node(program, <value_place>PyBytes_AS_STRING(code), count, &at, PROGRAM_DEPTH_MAX)
    if at != count or PyBytes_GET_SIZE(code) % 4:
        raise program_refused("there is more behind its end")
    return 0


cdef int program_node(Program program, value_place words, size_t count, size_t *at, int depth) except -1:
    """Take one node and all below it; they become the next nodes."""
    cdef ProgramNode *node = program.code.nodes + program.code.node_count
    cdef uint32_t operand
    if depth == 0 or at[0] >= count:
        raise program_refused("it is nested too deep, or cut short")
    operand = load_u32(words + 4 * at[0])
    at[0] += 1
    if operand >= PROGRAM_CODES or count - at[0] < PROGRAM_WORDS[operand]:
        raise program_refused("a code is unknown, or cut short")
    node.code = <int>operand
    program.code.node_count += 1
    program_words(program, node, words + 4 * at[0])
    at[0] += PROGRAM_WORDS[node.code]
    operand = node.number if node.code in (PROGRAM_AND, PROGRAM_OR) else node.code in (PROGRAM_NOT, PROGRAM_SOME)
    while operand:
        program_node(program, words, count, at, depth - 1)
        operand -= 1
    node.end = program.code.node_count
    return 0


cdef int program_words(Program program, ProgramNode *node, value_place words) except -1:
    """Take the words of one node."""
    cdef int operands = PROGRAM_OPERANDS[node.code]
    cdef int left = PROGRAM_WORDS[node.code] - operands
    if operands:
        node.left = program_operand(program, load_u32(words))
    if operands == 2:
        node.right = program_operand(program, load_u32(words + 4))
    words += 4 * operands
    if left:
        node.number = load_u32(words)
    node.rules = load_u32(words + 4) if node.code == PROGRAM_COMPARE else node.number
    node.test = load_u32(words + 4) if node.code in (PROGRAM_ILIKE, PROGRAM_REGEX) else 0
    if node.code in (PROGRAM_COMPARE, PROGRAM_CONTAINS):
        if node.rules >= RULES or (node.code == PROGRAM_COMPARE and node.number >= OPERATORS):
            raise program_refused("a comparison is unknown")
    if PROGRAM_STARTS_WITH <= node.code <= PROGRAM_REGEX and node.number not in (IS_FALSE, IS_UNKNOWN):
        raise program_refused("a call has no verdict")
    if node.code in (PROGRAM_ILIKE, PROGRAM_REGEX) and node.test >= program.code.test_count:
        raise program_refused("a test is unknown")
    if node.code in (PROGRAM_LIKE, PROGRAM_ILIKE):
        program_check_pattern(program, node)
    if node.code == PROGRAM_SOME or (node.code == PROGRAM_CONFLICTED and node.number != PROGRAM_NONE):
        if node.number >= program.code.field_count:
            raise program_refused("a field is unknown")
    if node.code == PROGRAM_CONTAINS and node.right & 3 == OPERAND_CONSTANT:
        node.table = program_table(&program.code.constants[node.right >> OPERAND_BITS].item, node.rules)
    return 0


cdef uint32_t program_operand(Program program, uint32_t operand) except? 0:
    """Check that an operand names something."""
    cdef uint32_t kind = operand & 3
    cdef uint32_t count = program.code.constant_count if kind == OPERAND_CONSTANT else program.code.field_count
    if kind > OPERAND_SPREAD or operand >> OPERAND_BITS >= count:
        raise program_refused("an operand is unknown")
    return operand


cdef int program_check_pattern(Program program, const ProgramNode *node) except -1:
    """Check that a pattern is an array of binaries; that of `ilike` may be null, for which there is only the test."""
    cdef const Item *item
    cdef ValueItem part
    cdef value_place at
    cdef size_t index
    if node.right & 3 != OPERAND_CONSTANT:
        raise program_refused("a pattern is no constant")
    item = &program.code.constants[node.right >> OPERAND_BITS].item
    if node.code == PROGRAM_ILIKE and item.value.kind == KIND_NULL:
        return 0
    if item.value.kind != KIND_ARRAY or item.value.size == 0:
        raise program_refused("a pattern has no parts")
    at = item.inside
    for index in range(item.value.size):
        at = value_next(at, item.end, &part)
        if part.kind != KIND_BINARY:
            raise program_refused("a part of a pattern is no binary")
    return 0


# --- constant arrays ---


cdef ProgramTable *program_table(const Item *array, uint32_t rules) except? NULL:
    """Sort the items of a constant array; NULL without an error for what is none."""
    cdef ProgramTable *table
    cdef value_place at = array.inside
    cdef Constant constant
    cdef size_t index, back = 0
    if array.value.kind != KIND_ARRAY:
        return NULL
    table = <ProgramTable *>calloc(1, sizeof(ProgramTable))
    if table == NULL:
        raise MemoryError
    table.items = <Constant *>calloc(array.value.size + 1, sizeof(Constant))
    if table.items == NULL:
        free(table)
        raise MemoryError
    table.count = <uint32_t>array.value.size
    for index in range(array.value.size):
        at = program_constant(at, array.end, &constant)
        constant.instant.known = constant.instant.known and rules & RULE_DATES
        table.types |= <uint32_t>1 << relation_type(&constant.item)
        if relation_type(&constant.item) >= TYPE_ARRAY:
            back += 1
            table.items[table.count - back] = constant
        else:
            table.items[table.scalars] = constant
            table.scalars += 1
    qsort(table.items, table.scalars, sizeof(Constant), &program_order)
    return table


cdef void program_table_free(ProgramTable *table) noexcept nogil:
    if table != NULL:
        free(table.items)
        free(table)


cdef int program_order(const void *left, const void *right) noexcept nogil:
    """The order of two scalars, which are equal in it exactly if they are equal."""
    cdef const Constant *one = <const Constant *>left
    cdef const Constant *other = <const Constant *>right
    cdef int type = relation_type(&one.item)
    if type != relation_type(&other.item):
        return type - relation_type(&other.item)
    if type == TYPE_STRING and one.instant.known != other.instant.known:
        return one.instant.known - other.instant.known
    if type == TYPE_STRING and one.instant.known:
        return instant_order(&one.instant, &other.instant)
    return relation_order(&one.item, &other.item, NULL, False, 0)


cdef bint program_table_has(const ProgramTable *table, const Constant *wanted) noexcept nogil:
    """Whether a scalar is equal to one of a table's."""
    cdef uint32_t low = 0, high = table.scalars, middle
    cdef int order
    while low < high:
        middle = low + (high - low) // 2
        order = program_order(wanted, &table.items[middle])
        if order == 0:
            return True
        if order < 0:
            high = middle
        else:
            low = middle + 1
    return False
