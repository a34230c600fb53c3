# Twin of crdtstore/crdt/field.py, `read_field`, without the GIL: the visible value at a path, where it lies.
#
# The path column is compared with the path that is asked for. A path at which one cell lies, with no value above and
# nothing below, is answered at once, as is one inside the only value above, and a map with no value at its path or
# above; in every other case the cells are sorted and the path is followed down from the root. Nothing is decoded: an
# array or object is told as the place of its msgpack, a map of cells as itself. What cannot be read returns a
# VISIBLE_… reason.
# Not here: Python objects of what is found (field.pxi), many paths at once (evaluation.pxi). Include after
# `item_path.pxi`.

from libc.string cimport memcmp

cdef enum:
    ITEM_MISSING = 10              # kinds beside KIND_…
    ITEM_MAP = 11                  # of cells

cdef enum:                         # what the cells that have to do with a path tell of it
    ITEM_GENERAL = 1               # nothing: only all cells together do
    ITEM_NONE = 2                  # nothing is there
    ITEM_WHOLE = 3                 # a map is there
    ITEM_ROW = 4                   # a row decides

cdef struct Item:
    ValueItem value                # with the kinds ITEM_MISSING and ITEM_MAP too
    value_place at                 # of an array or object: its msgpack; NULL inside of an id, where there is none
    value_place inside             # the first item or key in it
    value_place end                # no byte of it is here or behind
    const VisibleCell *cells       # of a map that was found among sorted cells: those below it
    uint32_t count
    size_t prefix                  # bytes of the map's own path


# --- what is found ---


cdef inline int item_nothing(Item *item) noexcept nogil:
    item.value.kind = ITEM_MISSING
    return 0


cdef int item_at(
    const DocumentView *view, const NameList *paths, const NameList *replicas, const ItemPath *asked, Item *item
) noexcept nogil:
    """Find the visible value at a path of a document. A map has no cells here: only its kind is told."""
    cdef ItemRelated related
    cdef VisibleCells found
    cdef int result
    if view.n == 0 or document_is_grave(view):
        return item_nothing(item)
    if asked.size:
        result = item_relate_all(view, paths, asked, &related)
        if result == 0:
            result = item_decide(view, replicas, asked, &related, item)
    else:
        result = item_root(asked, item)
    if result != ITEM_GENERAL:
        return result
    result = visible_open(view, paths, &found)
    if result == 0:
        result = item_descend(view, &found, replicas, asked, item)
        item.cells = NULL
        visible_close(&found)
    return result


cdef inline int item_root(const ItemPath *asked, Item *item) noexcept nogil:
    """What a path without leading keys finds: the whole document, in which an index leads nowhere."""
    item.value.kind, item.cells = ITEM_MISSING if asked.count else ITEM_MAP, NULL
    return 0


cdef int item_decide(
    const DocumentView *view, const NameList *replicas, const ItemPath *asked, const ItemRelated *related, Item *item
) noexcept nogil:
    """Find the value at a path by the cells that have to do with it; ITEM_GENERAL where these do not tell."""
    cdef uint32_t taken = 0
    cdef int told
    if related.own == 1 and related.above + related.below + related.markers == 0 and item_is_keys(asked):
        # As most fields: one value at the path.
        if visible_code(view, related.row) == CODE_REGISTER and view.types[related.row] >> 4 < KIND_ARRAY:
            return visible_item(view, related.row, &item.value)
    told = item_tell(asked, related, &taken)
    if told == ITEM_ROW:
        return item_row(view, related.row, replicas, asked, taken, item)
    if told == ITEM_NONE:
        return item_nothing(item)
    return item_map(item) if told == ITEM_WHOLE else told


cdef int item_tell(const ItemPath *asked, const ItemRelated *related, uint32_t *taken) noexcept nogil:
    """What the cells that have to do with a path tell; of a row, `taken` steps lead to it."""
    cdef uint32_t step
    if related.own + related.above == 0:
        return ITEM_WHOLE if related.below + related.markers and item_is_keys(asked) else ITEM_NONE
    if related.own + related.above > 1 or related.below or related.markers:
        return ITEM_GENERAL
    if related.above and related.beside >= related.size:
        return ITEM_GENERAL
    for step in range(asked.count):
        if asked.steps[step].path_size == related.size:
            taken[0] = step + 1
            return ITEM_ROW
    return VISIBLE_OPEN_PATH


cdef int item_row(
    const DocumentView *view,
    uint32_t row,
    const NameList *replicas,
    const ItemPath *asked,
    uint32_t taken,
    Item *item,
) noexcept nogil:
    """Find what the steps behind the first `taken` lead to in the one cell that is at these."""
    cdef VisibleCell cell
    if visible_code(view, row) == CODE_REGISTER:
        return item_register(view, row, asked.steps + taken, asked.count - taken, item)
    if taken < asked.count:
        return item_nothing(item)
    cell.row, cell.path, cell.size = row, NULL, 0
    return visible_counter(view, &cell, 1, replicas, &item.value)


cdef inline bint item_is_keys(const ItemPath *asked) noexcept nogil:
    """Whether no index is in a path."""
    return asked.count == 0 or asked.steps[asked.count - 1].path_size != 0


cdef inline int item_map(Item *item) noexcept nogil:
    item.value.kind, item.cells = ITEM_MAP, NULL
    return 0


cdef int item_register(
    const DocumentView *view, uint32_t row, const ItemStep *steps, uint32_t count, Item *item
) noexcept nogil:
    """Find what the steps lead to in a register."""
    cdef int kind = visible_item(view, row, &item.value)
    if kind < 0:
        return kind
    if kind == 0:
        return item_nothing(item) if count else 0
    item.at, item.end = item.value.text, item.value.text + item.value.size
    item.inside = value_next(item.at, item.end, &item.value)
    return item_inside(steps, count, item)


cdef int item_inside(const ItemStep *steps, uint32_t count, Item *item) noexcept nogil:
    """Follow steps from an item of msgpack, whose head has been read, to what they lead to."""
    cdef uint32_t taken
    cdef int failure
    for taken in range(count):
        if item.inside == NULL:
            return VISIBLE_VALUE
        failure = item_enter(&steps[taken], item)
        if failure or item.value.kind == ITEM_MISSING:
            return failure
    return 0 if item.inside != NULL else VISIBLE_VALUE


cdef int item_enter(const ItemStep *step, Item *item) noexcept nogil:
    """Take one step from an item of msgpack to one inside of it, and read that one's head."""
    cdef value_place at = NULL
    if item.value.kind == KIND_OBJECT and step.key != NULL:
        at = item_key(step, item)
        if at == NULL:
            return VISIBLE_KEY
    elif item.value.kind == KIND_ARRAY and step.key == NULL:
        at = item_index(step.index, item)
        if at == NULL:
            return VISIBLE_VALUE
    else:
        return item_nothing(item)
    if item.value.kind == ITEM_MISSING:
        return 0
    item.at = at
    item.inside = value_next(at, item.end, &item.value)
    return 0 if item.inside != NULL else VISIBLE_VALUE


cdef value_place item_key(const ItemStep *step, Item *item) noexcept nogil:
    """The place of a key's value among an object's pairs; NULL: damaged. What is not there makes the item missing."""
    cdef ValueItem key
    cdef value_place at = item.inside
    cdef size_t pairs = item.value.size
    while pairs:
        at = value_next(at, item.end, &key)
        if at == NULL or key.kind != KIND_STRING:
            return NULL
        if key.size == step.size and memcmp(key.text, step.key, key.size) == 0:
            return at
        at = value_skip(at, item.end)
        if at == NULL:
            return NULL
        pairs -= 1
    item.value.kind = ITEM_MISSING
    return at


cdef value_place item_index(int64_t index, Item *item) noexcept nogil:
    """The place of an array's item; NULL: damaged. What is not there makes the item missing."""
    cdef value_place at = item.inside
    if index < 0 or <size_t>index >= item.value.size:
        item.value.kind = ITEM_MISSING
        return at
    while index and at != NULL:
        at = value_skip(at, item.end)
        index -= 1
    return at


# --- from all cells ---


cdef int item_descend(
    const DocumentView *view, const VisibleCells *found, const NameList *replicas, const ItemPath *asked, Item *item
) noexcept nogil:
    """Follow a path down from the root of sorted cells, through the maps that are visible."""
    cdef const VisibleCell *cell = found.cells
    cdef uint32_t count = found.count
    while count and cell.size == 0:
        cell += 1
        count -= 1
    item.cells, item.count, item.prefix = cell, count, 0
    return item_below(view, replicas, asked, item)


cdef int item_below(
    const DocumentView *view, const NameList *replicas, const ItemPath *asked, Item *item
) noexcept nogil:
    """Follow a path from the map of sorted cells that an item is."""
    cdef uint32_t taken = 0, row = 0
    cdef int code = item_follow(view, replicas, asked, item, &taken, &row)
    if code == CODE_REGISTER:
        return item_register(view, row, asked.steps + taken, asked.count - taken, item)
    if code == CODE_IMPLICIT and taken < asked.count:
        return item_nothing(item)
    return min(code, 0)


cdef int item_follow(
    const DocumentView *view,
    const NameList *replicas,
    const ItemPath *asked,
    Item *item,
    uint32_t *taken,
    uint32_t *row,
) noexcept nogil:
    """Follow a path from the map of sorted cells that an item is, up to the first value or the path's end.

    Returns: CODE_MAP, at the path's end; CODE_REGISTER, of which only `row` is told; CODE_IMPLICIT for a counter, which
    the item then is; 0 where nothing is. `taken` is how many steps lead there.
    """
    cdef size_t end, start = 0
    cdef uint32_t run
    cdef int code = CODE_MAP
    item.value.kind = ITEM_MAP
    while code == CODE_MAP and taken[0] < asked.count:
        end = asked.steps[taken[0]].path_size
        while end and item.count and not item_is_at(item, asked.data + start, end - start):
            item.cells += 1
            item.count -= 1
        if end == 0 or item.count == 0:
            return item_nothing(item)
        taken[0] += 1
        start = end
        code = item_node(view, replicas, item, &run, row)
    return code


cdef inline bint item_is_at(const Item *item, const unsigned char *key, size_t size) noexcept nogil:
    """Whether a map's first cell is at or below an encoded key."""
    return item.cells.size >= item.prefix + size and memcmp(item.cells.path + item.prefix, key, size) == 0


cdef int item_node(
    const DocumentView *view, const NameList *replicas, Item *item, uint32_t *run, uint32_t *row
) noexcept nogil:
    """Make the map that an item is, with a cell at least, what is visible under its first key.

    Returns: CODE_MAP, CODE_IMPLICIT for a counter, or CODE_REGISTER, of which only `row` is told. `run` takes how
    many cells lie at the key and below.
    """
    cdef uint32_t own = 0
    cdef size_t end = 0
    cdef int code
    run[0] = visible_run(item.cells, item.count, item.prefix, &end, &own)
    if run[0] == 0:
        return VISIBLE_OPEN_PATH
    code = visible_type(view, item.cells, own, run[0], replicas, row)
    if code == CODE_MAP:
        item.value.kind = ITEM_MAP
        item.cells, item.count, item.prefix = item.cells + own, run[0] - own, end
    elif code == CODE_IMPLICIT:
        code = min(visible_counter(view, item.cells, own, replicas, &item.value), 0) or code
    return code
