# Twin of crdtstore/crdt/json_scan.py: the strict JSON scanner over a buffer, without objects or the GIL.
#
# It stands on `json_token.pxi` and, as there, places go in and out. The errors are made by the plain twin.
# Keys of a small object are compared one by one; from the seventeenth on they go through a table keyed by
# SipHash (`siphash.pxi`) under a key of this process, so that nobody can send keys that collide.

from cpython.buffer cimport Py_buffer, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

# Declared before they are imported, so that they are no names of the module.
cdef object json_scan_loads, json_scan_random
cdef object json_scan_flaws, json_scan_check_size, json_scan_error, json_scan_bytes

from json import loads as json_scan_loads
from os import urandom as json_scan_random

from crdtstore.crdt.json_scan import FLAWS as json_scan_flaws
from crdtstore.crdt.json_scan import check_size as json_scan_check_size
from crdtstore.crdt.json_scan import malformed_json as json_scan_error
from crdtstore.limits import JSON_BYTES_MAX as json_scan_bytes

cdef enum:
    # An object with more keys gets a table: up to here comparing them one by one is faster.
    JSON_SCAN_LISTED_KEYS_MAX = 16
    # Longer texts are scanned without the GIL: below, handing it over costs more than the scan.
    JSON_SCAN_HELD_BYTES_MAX = 65_536

cdef uint8_t[16] json_scan_secret
cdef size_t json_scan_bytes_max = json_scan_bytes
cdef tuple json_scan_reasons = tuple(json_scan_flaws)


cdef json_scan_make_ready():
    cdef bytes secret = json_scan_random(16)
    memcpy(json_scan_secret, <const char*>secret, 16)
    if len(json_scan_reasons) != JSON_SCAN_FLAWS:
        raise ImportError("The compiled core and crdtstore/crdt/json_scan.py are of different versions.")


json_scan_make_ready()

# --- keys ---

cdef bint json_scan_make_room(void **items, size_t *size, size_t count, size_t item_bytes) noexcept nogil:
    # Room for one more item; False without memory.
    cdef void *larger
    if count < size[0]:
        return True
    larger = realloc(items[0], (size[0] * 2 + 16) * item_bytes)
    if larger == NULL:
        return False
    items[0] = larger
    size[0] = size[0] * 2 + 16
    return True


cdef inline unsigned char *json_scan_put_utf8(unsigned char *out, uint32_t point) noexcept nogil:
    if point < 0x80:
        out[0] = point
        return out + 1
    if point < 0x800:
        out[0] = 0xC0 | point >> 6
        out[1] = 0x80 | point & 0x3F
        return out + 2
    if point < 0x10000:
        out[0] = 0xE0 | point >> 12
        out[1] = 0x80 | point >> 6 & 0x3F
        out[2] = 0x80 | point & 0x3F
        return out + 3
    out[0] = 0xF0 | point >> 18
    out[1] = 0x80 | point >> 12 & 0x3F
    out[2] = 0x80 | point >> 6 & 0x3F
    out[3] = 0x80 | point & 0x3F
    return out + 4


cdef inline uint32_t json_scan_read_unit(json_scan_place at) noexcept nogil:
    return (json_scan_hex(at[0]) << 12 | json_scan_hex(at[1]) << 8 | json_scan_hex(at[2]) << 4
            | json_scan_hex(at[3]))


cdef bint json_scan_unescape(json_scan_state *state, json_scan_key *key) noexcept nogil:
    # The key's text was scanned: each escape is whole. False without memory.
    cdef json_scan_place at = key.text, end = key.text + key.length
    cdef unsigned char *out
    cdef uint32_t point
    if state.unescaped == NULL:
        state.unescaped = <unsigned char*>malloc(state.end - state.start)
        if state.unescaped == NULL:
            return False
    out = state.unescaped + state.unescaped_count
    key.text = out
    while at < end:
        if at[0] != c'\\':
            out[0] = at[0]
            out += 1
            at += 1
        elif at[1] == c'u':
            point = json_scan_read_unit(at + 2)
            at += 6
            if 0xD800 <= point and point < 0xDC00:
                point = 0x10000 + ((point - 0xD800) << 10) + (json_scan_read_unit(at + 2) - 0xDC00)
                at += 6
            out = json_scan_put_utf8(out, point)
        else:
            out[0] = json_scan_unescape_letter(at[1])
            out += 1
            at += 2
    key.length = <uint32_t>(out - key.text)
    state.unescaped_count = out - state.unescaped
    return True


cdef inline unsigned char json_scan_unescape_letter(unsigned char letter) noexcept nogil:
    if letter == c'b':
        return 0x08
    if letter == c'f':
        return 0x0C
    if letter == c'n':
        return 0x0A
    if letter == c'r':
        return 0x0D
    if letter == c't':
        return 0x09
    return letter


cdef inline bint json_scan_same(const json_scan_key *one, const json_scan_key *other) noexcept nogil:
    return one.length == other.length and memcmp(one.text, other.text, one.length) == 0


cdef inline uint64_t json_scan_shape(const json_scan_key *key) noexcept nogil:
    if key.length == 0:
        return 1
    return <uint64_t>1 << ((key.length + key.text[0] * 5 + key.text[key.length - 1] * 11) & 63)


cdef inline void json_scan_hash(json_scan_key *key) noexcept nogil:
    cdef uint64_t words[2]
    siphash128_c(json_scan_secret, key.text, key.length, words)
    key.hash = <uint32_t>words[0]


cdef inline uint32_t json_scan_slot(json_scan_frame *frame, const json_scan_key *keys,
                                    const json_scan_key *key) noexcept nogil:
    # Where in the table the key stands, or the free slot where it belongs.
    cdef uint32_t slot = key.hash & (frame.table_size - 1)
    while frame.table[slot] and not (keys[frame.table[slot] - 1].hash == key.hash
                                     and json_scan_same(&keys[frame.table[slot] - 1], key)):
        slot = (slot + 1) & (frame.table_size - 1)
    return slot


cdef bint json_scan_make_table(json_scan_frame *frame, json_scan_key *keys, uint32_t count) noexcept nogil:
    # A table of four slots to each of the keys, which are known to differ. False without memory.
    cdef uint32_t number, slot
    cdef uint32_t size = frame.table_size * 2 if frame.table_size else 4 * JSON_SCAN_LISTED_KEYS_MAX
    cdef uint32_t *table = <uint32_t*>calloc(size, sizeof(uint32_t))
    if table == NULL:
        return False
    for number in range(count):
        if frame.table == NULL:
            json_scan_hash(&keys[number])
        slot = keys[number].hash & (size - 1)
        while table[slot]:
            slot = (slot + 1) & (size - 1)
        table[slot] = number + 1
    free(frame.table)
    frame.table = table
    frame.table_size = size
    return True


cdef int json_scan_remember(json_scan_state *state, json_scan_frame *frame,
                            json_scan_key *key) noexcept nogil:
    # 0 for a new key of the frame's object, else the flaw: a duplicate, or no memory.
    cdef json_scan_key *keys
    cdef uint32_t count = <uint32_t>(state.keys_count - frame.keys_start), number, slot
    cdef uint64_t shape
    if not json_scan_make_room(<void**>&state.keys, &state.keys_size, state.keys_count,
                               sizeof(json_scan_key)):
        return JSON_SCAN_MEMORY
    keys = state.keys + frame.keys_start
    if count < JSON_SCAN_LISTED_KEYS_MAX:
        shape = json_scan_shape(key)
        if frame.seen & shape:
            for number in range(count):
                if json_scan_same(&keys[number], key):
                    return JSON_SCAN_DUPLICATE
        frame.seen |= shape
    else:
        # At least half of the slots are free, so a search meets a free one soon.
        if count * <uint64_t>2 >= frame.table_size and not json_scan_make_table(frame, keys, count):
            return JSON_SCAN_MEMORY
        json_scan_hash(key)
        slot = json_scan_slot(frame, keys, key)
        if frame.table[slot]:
            return JSON_SCAN_DUPLICATE
        frame.table[slot] = count + 1
    keys[count] = key[0]
    state.keys_count += 1
    return 0


cdef json_scan_place json_scan_member(json_scan_state *state, json_scan_place at,
                                      json_scan_frame *frame) noexcept nogil:
    # A key and its colon; the place behind is the value's.
    cdef bint escaped = False
    cdef json_scan_key key
    cdef json_scan_place end
    cdef int flaw
    frame.key = NULL
    if at == state.end or at[0] != c'"':
        return json_scan_refuse(state, at, JSON_SCAN_KEY)
    end = json_scan_string(state, at, &escaped)
    if end == NULL:
        return NULL
    frame.key = at
    frame.key_length = <uint32_t>(end - at)
    key.text = at + 1
    key.length = frame.key_length - 2
    if escaped and not json_scan_unescape(state, &key):
        return json_scan_fail(state, JSON_SCAN_MEMORY, at)
    flaw = json_scan_remember(state, frame, &key)
    if flaw:
        return json_scan_fail(state, flaw, at)
    end = json_scan_blank(state, end)
    if end == state.end or end[0] != c':':
        return json_scan_refuse(state, end, JSON_SCAN_COLON)
    return json_scan_blank(state, end + 1)


# --- arrays and objects ---

cdef json_scan_place json_scan_open(json_scan_state *state, json_scan_place at,
                                    size_t depth_max) noexcept nogil:
    cdef json_scan_frame *frame
    if state.depth >= depth_max:
        return json_scan_fail(state, JSON_SCAN_DEPTH, at)
    if not json_scan_make_room(<void**>&state.frames, &state.frames_size, state.depth,
                               sizeof(json_scan_frame)):
        return json_scan_fail(state, JSON_SCAN_MEMORY, at)
    frame = &state.frames[state.depth]
    memset(frame, 0, sizeof(json_scan_frame))
    frame.closer = at[0] + 2
    frame.keys_start = <uint32_t>state.keys_count
    state.depth += 1
    return at + 1


cdef inline json_scan_place json_scan_value(json_scan_state *state, json_scan_place at,
                                            size_t depth_max) noexcept nogil:
    cdef bint escaped = False
    if at < state.end:
        if at[0] == c'"':
            return json_scan_string(state, at, &escaped)
        if at[0] == c'{' or at[0] == c'[':
            return json_scan_open(state, at, depth_max)
    return json_scan_token(state, at)


cdef inline json_scan_place json_scan_comma(json_scan_state *state, json_scan_place at,
                                            unsigned char closer) noexcept nogil:
    cdef json_scan_place after
    if at == state.end or at[0] != c',':
        return json_scan_refuse(state, at, JSON_SCAN_COMMA)
    after = json_scan_blank(state, at + 1)
    if after < state.end and after[0] == closer:
        return json_scan_fail(state, JSON_SCAN_TRAILING_COMMA, at)
    return after


cdef inline json_scan_place json_scan_element(json_scan_state *state, json_scan_place at,
                                              size_t depth_max) noexcept nogil:
    # The next element of the innermost array or object, or its end.
    cdef json_scan_frame *frame = &state.frames[state.depth - 1]
    at = json_scan_blank(state, at)
    if at < state.end and at[0] == frame.closer:
        free(frame.table)
        state.keys_count = frame.keys_start
        state.depth -= 1
        return at + 1
    if frame.elements:
        at = json_scan_comma(state, at, frame.closer)
        if at == NULL:
            return NULL
    frame.elements += 1
    if frame.closer == c'}':
        at = json_scan_member(state, at, frame)
        if at == NULL:
            return NULL
    return json_scan_value(state, at, depth_max)


cdef bint json_scan_starts_well(json_scan_state *state) noexcept nogil:
    cdef json_scan_place at = state.start
    cdef size_t length = state.end - at
    if length >= 3 and memcmp(at, b"\xef\xbb\xbf", 3) == 0:
        json_scan_fail(state, JSON_SCAN_MARK, at)
    elif length >= 2 and (memcmp(at, b"\xff\xfe", 2) == 0 or memcmp(at, b"\xfe\xff", 2) == 0):
        json_scan_fail(state, JSON_SCAN_UTF16, at)
    elif length >= 1 and at[0] == 0 or length >= 2 and at[1] == 0:
        json_scan_fail(state, JSON_SCAN_UTF16, at)
    elif json_scan_blank(state, at) == state.end:
        json_scan_fail(state, JSON_SCAN_EMPTY, state.end)
    else:
        return True
    return False


cdef void json_scan_text(json_scan_state *state, size_t depth_max) noexcept nogil:
    cdef json_scan_place at
    if not json_scan_starts_well(state):
        return
    at = json_scan_value(state, json_scan_blank(state, state.start), depth_max)
    while at != NULL and state.depth:
        at = json_scan_element(state, at, depth_max)
    if at == NULL:
        return
    at = json_scan_blank(state, at)
    if at < state.end:
        json_scan_refuse(state, at, JSON_SCAN_TRAILING)


cdef void json_scan_free(json_scan_state *state) noexcept nogil:
    cdef size_t number
    for number in range(state.depth):
        free(state.frames[number].table)
    free(state.frames)
    free(state.keys)
    free(state.unescaped)


cdef list json_scan_path(json_scan_state *state):
    # The place of the flaw: an index or a key of each open array or object.
    cdef json_scan_frame *frame
    cdef size_t number
    cdef list place = []
    for number in range(state.depth):
        frame = &state.frames[number]
        if frame.closer == c']':
            place.append(<int64_t>frame.elements - 1)
        elif frame.key == NULL:
            place.append(None)
        else:
            place.append(json_scan_loads(<bytes>frame.key[:frame.key_length]))
    return place


def scan_json(data, Py_ssize_t depth_max):
    """Refuse a text that is not strict JSON: MalformedJson names the first flaw and its place."""
    cdef json_scan_state state
    cdef Py_buffer view
    cdef size_t depth = depth_max if depth_max > 0 else 0
    memset(&state, 0, sizeof(json_scan_state))
    state.flaw = JSON_SCAN_FLAWS
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if <size_t>view.len > json_scan_bytes_max:
            json_scan_check_size(view.len)
        state.start = <json_scan_place>view.buf
        state.end = state.start + view.len
        # Another thread may change a buffer that is not `bytes`: then no other may run.
        if view.len > JSON_SCAN_HELD_BYTES_MAX and PyBytes_CheckExact(data):
            with nogil:
                json_scan_text(&state, depth)
        else:
            json_scan_text(&state, depth)
        if state.flaw == JSON_SCAN_MEMORY:
            raise MemoryError
        if state.flaw != JSON_SCAN_FLAWS:
            raise json_scan_error(bytes(data), state.flaw_place - state.start, json_scan_reasons[state.flaw],
                                  json_scan_path(&state), depth_max)
    finally:
        json_scan_free(&state)
        PyBuffer_Release(&view)
