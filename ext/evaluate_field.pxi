# Twin of crdtstore/query/match.py, `spread` and `compile_some`: what the fields of a program stand for in a document.
#
# Rules: a field leads from the document, from its id, or from an item of `Some`, which is an item of msgpack or what is
# visible at a key of a map of cells. Where a field is spread, its values are taken one by one, until one decides.
# Include after `evaluate.pxi`.

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
