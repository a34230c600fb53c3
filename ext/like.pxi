# Twin of crdtstore/query/pattern.py, `compile_like`: whether a whole text fits a pattern.
#
# A pattern is an array of msgpack, one binary for each part between stars; byte 255, which no UTF-8 has, stands for
# any one character. Texts are walked by character: a byte of 128 to 191 goes on with the one before.
# Include after `value.pxi`.

cdef enum:
    LIKE_ANY = 255


cdef inline value_place like_next(value_place at, value_place end) noexcept nogil:
    """The place behind a character."""
    at += 1
    while at < end and at[0] & 0xC0 == 0x80:
        at += 1
    return at


cdef value_place like_fit(value_place at, value_place end, const ValueItem *part, bint folded) noexcept nogil:
    """The place behind a part that fits at a place; NULL where it does not."""
    cdef unsigned char byte
    cdef size_t index
    for index in range(part.size):
        if at >= end:
            return NULL
        if part.text[index] == LIKE_ANY:
            at = like_next(at, end)
            continue
        byte = at[0]
        if folded and 65 <= byte <= 90:
            byte += 32
        if byte != part.text[index]:
            return NULL
        at += 1
    return at


cdef value_place like_last(value_place start, value_place end, const ValueItem *part) noexcept nogil:
    """Where a part has to begin to end with the text; NULL where the text is too short."""
    cdef size_t index
    for index in range(part.size):
        if end == start:
            return NULL
        end -= 1
        if part.text[part.size - 1 - index] == LIKE_ANY:
            while end > start and end[0] & 0xC0 == 0x80:
                end -= 1
    return end


cdef int like_fits(const Item *pattern, value_place text, size_t size, bint folded) noexcept nogil:
    """Whether a text fits a pattern; with `folded` both are ASCII, and the pattern is in lower case."""
    cdef value_place at = pattern.inside
    cdef value_place end = text + size
    cdef value_place last, behind
    cdef ValueItem part
    cdef size_t left = pattern.value.size - 1
    at = value_next(at, pattern.end, &part)
    text = like_fit(text, end, &part, folded)
    if text == NULL or left == 0:
        return text == end
    while left > 1:
        at = value_next(at, pattern.end, &part)
        behind = like_fit(text, end, &part, folded)
        while behind == NULL:
            if text == end:
                return False
            text = like_next(text, end)
            behind = like_fit(text, end, &part, folded)
        text = behind
        left -= 1
    value_next(at, pattern.end, &part)
    last = like_last(text, end, &part)
    return last != NULL and like_fit(last, end, &part, folded) == end
