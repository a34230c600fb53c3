# Twin of crdtstore/query/relation.py: what one of the six operators says of two values, by the rules of a language.
#
# Rules: values are Items and are compared where they lie. Verdicts are numbers, true 1, false 0, unknown 2; and 3,
# where only the plain twin can tell: of objects that are maps of cells, of parts of ids that are not told in full, and
# of numbers that are none. Failures are VISIBLE_… reasons.
# Include after `item_id.pxi` and `instant.pxi`.

from libc.math cimport isnan, trunc
from libc.stdint cimport int64_t
from libc.string cimport memcmp

cdef enum:                         # verdicts
    IS_FALSE = 0
    IS_TRUE = 1
    IS_UNKNOWN = 2
    IS_ASKED = 3

cdef enum:                         # how two values of one type lie; -1, 0 and 1: less, equal and greater
    ORDER_NONE = 2                 # neither equal nor less
    ORDER_ASKED = 3

cdef enum:                         # types, in the order of `tree.TypeName`
    TYPE_MISSING = 0
    TYPE_NULL = 1
    TYPE_BOOLEAN = 2
    TYPE_NUMBER = 3
    TYPE_STRING = 4
    TYPE_BINARY = 5
    TYPE_ARRAY = 6
    TYPE_OBJECT = 7
    TYPES_COUNT = 8

cdef enum:                         # a Comparison as bits
    RULE_MISSING_FALSE = 1
    RULE_MISSING_UNKNOWN = 2
    RULE_NULL_UNKNOWN = 4
    RULE_MIXED_FALSE = 8
    RULE_MIXED_UNKNOWN = 16
    RULE_DATES = 32
    RULES = 64

cdef enum:                         # operators, in the order of `tree.Operator`
    OPERATOR_EQUAL = 0
    OPERATOR_UNEQUAL = 1
    OPERATOR_LESS = 2
    OPERATOR_LESS_OR_EQUAL = 3
    OPERATOR_GREATER = 4
    OPERATOR_GREATER_OR_EQUAL = 5
    OPERATORS = 6

cdef extern from *:
    """
    static const unsigned char RELATION_TYPES[12] = {1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 0, 7};   /* by kind */
    """
    const unsigned char *RELATION_TYPES

cdef struct Constant:
    Item item
    Instant instant                # of a string


cdef inline int relation_type(const Item *item) noexcept nogil:
    """The type of a value."""
    return RELATION_TYPES[item.value.kind]


cdef int relation_verdict(
    int operation, int rules, const Item *left, const Item *right, const Instant *instant
) noexcept nogil:
    """The verdict of an operator; `instant` is the right operand's if it is known already, else NULL."""
    cdef int type = relation_type(left)
    cdef int other = relation_type(right)
    cdef int order
    if type == TYPE_MISSING or other == TYPE_MISSING:
        if rules & (RULE_MISSING_FALSE | RULE_MISSING_UNKNOWN):
            return IS_UNKNOWN if rules & RULE_MISSING_UNKNOWN else IS_FALSE
        type, other = max(type, TYPE_NULL), max(other, TYPE_NULL)
    if rules & RULE_NULL_UNKNOWN and (type == TYPE_NULL or other == TYPE_NULL):
        return IS_UNKNOWN
    if type != other:
        if rules & RULE_MIXED_UNKNOWN:
            return IS_UNKNOWN
        return operation == OPERATOR_UNEQUAL and not rules & RULE_MIXED_FALSE
    if type == TYPE_OBJECT and (operation == OPERATOR_LESS or operation == OPERATOR_GREATER):
        return IS_FALSE
    order = 0 if type == TYPE_NULL else relation_order(left, right, instant, rules & RULE_DATES, VALUE_DEPTH_MAX)
    if order < -1 or order == ORDER_ASKED:
        return order
    return relation_holds(operation, order)


cdef inline bint relation_holds(int operation, int order) noexcept nogil:
    """Whether an operator holds of two values that lie so."""
    if operation == OPERATOR_EQUAL:
        return order == 0
    if operation == OPERATOR_UNEQUAL:
        return order != 0
    if operation == OPERATOR_LESS:
        return order == -1
    if operation == OPERATOR_LESS_OR_EQUAL:
        return order == -1 or order == 0
    if operation == OPERATOR_GREATER:
        return order == 1
    return order == 1 or order == 0


cdef int relation_order(
    const Item *left, const Item *right, const Instant *instant, bint dates, int depth
) noexcept nogil:
    """How two values of one type lie; `depth` more levels are allowed."""
    cdef int type = relation_type(left)
    if type == TYPE_NUMBER:
        return relation_numbers(&left.value, &right.value)
    if type == TYPE_STRING or type == TYPE_BINARY:
        if left.value.text == NULL or right.value.text == NULL:
            return ORDER_ASKED
        if dates and type == TYPE_STRING:
            return relation_dates(&left.value, &right.value, instant)
        return relation_texts(&left.value, &right.value)
    if type == TYPE_BOOLEAN:
        return left.value.kind - right.value.kind
    if type == TYPE_NULL:
        return 0
    if left.value.kind == ITEM_MAP or right.value.kind == ITEM_MAP or left.at == NULL or right.at == NULL:
        return ORDER_ASKED
    if depth == 0:
        return ORDER_ASKED
    if type == TYPE_ARRAY:
        return relation_arrays(left, right, dates, depth - 1)
    return relation_objects(left, right, dates, depth - 1)


cdef inline int relation_texts(const ValueItem *left, const ValueItem *right) noexcept nogil:
    """The order of two texts by byte, which for strings is that by code point."""
    cdef int order = memcmp(left.text, right.text, min(left.size, right.size))
    if order == 0:
        return (left.size > right.size) - (left.size < right.size)
    return -1 if order < 0 else 1


cdef int relation_dates(const ValueItem *left, const ValueItem *right, const Instant *instant) noexcept nogil:
    """The order of two strings, as instants if both are."""
    cdef Instant one, other
    if instant == NULL:
        instant_parse(right.text, right.size, &other)
        instant = &other
    if instant.known:
        instant_parse(left.text, left.size, &one)
        if one.known:
            return instant_order(&one, instant)
    return relation_texts(left, right)


cdef int relation_numbers(const ValueItem *left, const ValueItem *right) noexcept nogil:
    """The order of two numbers by exact value."""
    cdef int order
    if left.kind == KIND_INT and right.kind == KIND_INT:
        return (left.integer > right.integer) - (left.integer < right.integer)
    if left.kind == KIND_INT:
        return relation_mixed(left.integer, right.number)
    if right.kind == KIND_INT:
        order = relation_mixed(right.integer, left.number)
        return order if order == ORDER_ASKED else -order
    if isnan(left.number) or isnan(right.number):
        return ORDER_ASKED
    return (left.number > right.number) - (left.number < right.number)


cdef int relation_mixed(int64_t integer, double number) noexcept nogil:
    """The order of an integer and a double."""
    cdef int64_t whole
    if isnan(number):
        return ORDER_ASKED
    if number >= 9223372036854775808.0:
        return -1
    if number < -9223372036854775808.0:
        return 1
    whole = <int64_t>number
    if integer != whole:
        return -1 if integer < whole else 1
    # The double's fraction was cut towards zero.
    return (trunc(number) > number) - (trunc(number) < number)


cdef inline value_place relation_head(value_place at, value_place end, Item *item) noexcept nogil:
    """Read an item of msgpack; the place behind all of it, NULL where it cannot be read."""
    item.at, item.end = at, end
    item.inside = value_next(at, end, &item.value)
    if item.inside == NULL:
        return NULL
    if item.value.kind == KIND_ARRAY or item.value.kind == KIND_OBJECT:
        return value_skip(at, end)
    return item.inside


cdef int relation_arrays(const Item *left, const Item *right, bint dates, int depth) noexcept nogil:
    """The first items that differ decide; where there are none, the length does."""
    cdef value_place at = left.inside
    cdef value_place other_at = right.inside
    cdef Item one, other
    cdef size_t index
    cdef int order
    for index in range(min(left.value.size, right.value.size)):
        at = relation_head(at, left.end, &one)
        other_at = relation_head(other_at, right.end, &other)
        if at == NULL or other_at == NULL:
            return VISIBLE_VALUE
        if relation_type(&one) != relation_type(&other):
            return ORDER_NONE
        order = relation_order(&one, &other, NULL, dates, depth)
        if order:
            return order
    return (left.value.size > right.value.size) - (left.value.size < right.value.size)


cdef int relation_objects(const Item *left, const Item *right, bint dates, int depth) noexcept nogil:
    """Whether two objects hold the same pairs; they have no other order."""
    cdef value_place at = left.inside
    cdef Item key, one, other
    cdef ItemStep step
    cdef size_t index
    cdef int order
    if left.value.size != right.value.size:
        return ORDER_NONE
    step.index = -1
    for index in range(left.value.size):
        at = relation_head(at, left.end, &key)
        if at == NULL or key.value.kind != KIND_STRING:
            return VISIBLE_KEY
        at = relation_head(at, left.end, &one)
        if at == NULL:
            return VISIBLE_VALUE
        step.key, step.size = key.value.text, key.value.size
        other = right[0]
        order = item_enter(&step, &other)
        if order:
            return order
        if relation_type(&one) != relation_type(&other):
            return ORDER_NONE
        order = relation_order(&one, &other, NULL, dates, depth)
        if order:
            return ORDER_NONE if -1 <= order <= 1 else order
    return 0
