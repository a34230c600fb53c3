# Twin of crdtstore/crdt/json_scan.py, its lower half: strings, numbers and words of the strict JSON scanner.
#
# Every function takes the place where it starts and returns the place behind what it scanned, or NULL once a
# flaw is noted in the state. Nothing here touches a Python object. Arrays, objects and the door are in
# `json_scan.pxi`.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, strlen

cdef extern from *:
    """
    /* 2^1024 - 2^970, half-way between the greatest double and 2^1024: it rounds to infinity. */
    static const char json_scan_overflow[] =
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207"
        "096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764"
        "475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177"
        "904174497792";

    #include <stdint.h>
    #include <string.h>

    enum { JSON_SCAN_IS_PLAIN = 1, JSON_SCAN_IN_TOKEN = 2 };

    static unsigned char json_scan_kinds[256];

    static void json_scan_prepare(void) {
        for (int byte = 0x20; byte < 0x80; byte++)
            if (byte != '"' && byte != '\\\\')
                json_scan_kinds[byte] |= JSON_SCAN_IS_PLAIN;
        for (const char *in = "-+._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"; *in; in++)
            json_scan_kinds[(unsigned char)*in] |= JSON_SCAN_IN_TOKEN;
    }

    /* Skips characters that stand for themselves: eight at once while none is a quote, a backslash, below
       U+0020 or beyond ASCII. A borrow marks only bytes above one that is rightly marked: the lowest is. */
    static inline const unsigned char *json_scan_plain(const unsigned char *at, const unsigned char *end) {
        const uint64_t ones = 0x0101010101010101u, highs = ones * 0x80;
        for (; end - at >= 8; at += 8) {
            uint64_t word, quotes, slashes, controls, marks;
            memcpy(&word, at, 8);
            quotes = word ^ ones * '"';
            slashes = word ^ ones * '\\\\';
            controls = (word - ones * 0x20) & ~word;
            marks = (((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes) | controls | word) & highs;
            if (marks) {
    #if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
                return at + __builtin_ctzll(marks) / 8;
    #else
                break;
    #endif
            }
        }
        while (at < end && json_scan_kinds[*at] & JSON_SCAN_IS_PLAIN)
            at++;
        return at;
    }
    """
    const char json_scan_overflow[310]
    const unsigned char json_scan_kinds[256]
    enum:
        # The bit of the characters of numbers and words.
        JSON_SCAN_IN_TOKEN
    void json_scan_prepare() noexcept nogil
    const unsigned char *json_scan_plain(const unsigned char *at, const unsigned char *end) noexcept nogil

cdef enum:
    # The flaws, numbered as in FLAWS of the plain twin.
    JSON_SCAN_EMPTY
    JSON_SCAN_MARK
    JSON_SCAN_UTF16
    JSON_SCAN_UTF8
    JSON_SCAN_CONTROL
    JSON_SCAN_ESCAPE
    JSON_SCAN_SURROGATE
    JSON_SCAN_NOT_A_NUMBER
    JSON_SCAN_NUMBER
    JSON_SCAN_INTEGER_RANGE
    JSON_SCAN_NUMBER_RANGE
    JSON_SCAN_DUPLICATE
    JSON_SCAN_DEPTH
    JSON_SCAN_TRAILING
    JSON_SCAN_TRAILING_COMMA
    JSON_SCAN_COMMENT
    JSON_SCAN_END
    JSON_SCAN_WORD
    JSON_SCAN_VALUE
    JSON_SCAN_KEY
    JSON_SCAN_COLON
    JSON_SCAN_COMMA
    JSON_SCAN_FLAWS
    # Not a flaw of the text: no memory was left to judge it.
    JSON_SCAN_MEMORY

ctypedef const unsigned char *json_scan_place

cdef struct json_scan_key:
    json_scan_place text
    uint32_t length
    uint32_t hash

cdef struct json_scan_frame:
    json_scan_place key         # the current key with its quotes, NULL before the first
    uint32_t key_length
    uint32_t elements
    uint32_t *table             # numbers of keys from 1, 0 where free; NULL while the keys are few
    uint32_t table_size         # a power of two
    uint64_t seen               # a bit for each key's shape: no key of a shape whose bit is free was seen
    uint32_t keys_start         # in the state's keys: those of the open objects stand there in a row
    unsigned char closer

cdef struct json_scan_state:
    json_scan_place start
    json_scan_place end
    json_scan_frame *frames
    size_t depth
    size_t frames_size
    json_scan_key *keys
    size_t keys_count
    size_t keys_size
    unsigned char *unescaped    # room for every key that has an escape: unescaped, none is longer
    size_t unescaped_count
    int flaw
    json_scan_place flaw_place

json_scan_prepare()


cdef inline json_scan_place json_scan_fail(json_scan_state *state, int flaw,
                                           json_scan_place at) noexcept nogil:
    state.flaw = flaw
    state.flaw_place = at
    return NULL


cdef json_scan_place json_scan_refuse(json_scan_state *state, json_scan_place at, int flaw) noexcept nogil:
    if at == state.end:
        return json_scan_fail(state, JSON_SCAN_END, at)
    return json_scan_fail(state, JSON_SCAN_COMMENT if at[0] == c'/' else flaw, at)


cdef inline json_scan_place json_scan_blank(json_scan_state *state, json_scan_place at) noexcept nogil:
    while (at < state.end and at[0] <= c' '
           and (at[0] == c' ' or at[0] == c'\n' or at[0] == c'\r' or at[0] == c'\t')):
        at += 1
    return at


# --- strings ---

cdef inline json_scan_place json_scan_utf8(json_scan_state *state, json_scan_place at) noexcept nogil:
    # The second byte's bounds keep out overlong forms, surrogates and what is beyond U+10FFFF.
    cdef unsigned char lead = at[0], lowest = 0x80, highest = 0xBF
    cdef int more, number
    if lead < 0xC2 or lead > 0xF4:
        return json_scan_fail(state, JSON_SCAN_UTF8, at)
    more = 1 + (lead >= 0xE0) + (lead >= 0xF0)
    if lead == 0xE0:
        lowest = 0xA0
    elif lead == 0xED:
        highest = 0x9F
    elif lead == 0xF0:
        lowest = 0x90
    elif lead == 0xF4:
        highest = 0x8F
    for number in range(1, more + 1):
        if at + number == state.end:
            return json_scan_fail(state, JSON_SCAN_END, state.end)
        if at[number] < lowest or at[number] > highest:
            return json_scan_fail(state, JSON_SCAN_UTF8, at)
        lowest, highest = 0x80, 0xBF
    return at + more + 1


cdef inline int json_scan_hex(unsigned char letter) noexcept nogil:
    if c'0' <= letter and letter <= c'9':
        return letter - c'0'
    letter |= 0x20
    if c'a' <= letter and letter <= c'f':
        return letter - c'a' + 10
    return -1


cdef int json_scan_unit(json_scan_state *state, json_scan_place at, json_scan_place escape,
                        bint low) noexcept nogil:
    # The UTF-16 unit of four hexadecimal digits, or -1 with the flaw noted at the escape. Where a low one of
    # a pair is awaited, which is DC00 to DFFF, no other digit may even start it.
    cdef int unit = 0, digit, number
    for number in range(4):
        if at + number >= state.end:
            json_scan_fail(state, JSON_SCAN_END, state.end)
            return -1
        digit = json_scan_hex(at[number])
        if digit < 0 or low and (number == 0 and digit != 0xD or number == 1 and digit < 0xC):
            json_scan_fail(state, JSON_SCAN_SURROGATE if low else JSON_SCAN_ESCAPE, escape)
            return -1
        unit = unit << 4 | digit
    return unit


cdef json_scan_place json_scan_escape(json_scan_state *state, json_scan_place at) noexcept nogil:
    cdef int unit, number
    if at + 1 == state.end:
        return json_scan_fail(state, JSON_SCAN_END, state.end)
    if at[1] != c'u':
        if at[1] in b'"\\/bfnrt':
            return at + 2
        return json_scan_fail(state, JSON_SCAN_ESCAPE, at)
    unit = json_scan_unit(state, at + 2, at, False)
    if unit < 0:
        return NULL
    if unit < 0xD800 or unit > 0xDFFF:
        return at + 6
    if unit >= 0xDC00:
        return json_scan_fail(state, JSON_SCAN_SURROGATE, at)
    for number in range(6, 8):
        if at + number == state.end:
            return json_scan_fail(state, JSON_SCAN_END, state.end)
        if at[number] != (c'\\' if number == 6 else c'u'):
            return json_scan_fail(state, JSON_SCAN_SURROGATE, at)
    if json_scan_unit(state, at + 8, at, True) < 0:
        return NULL
    return at + 12


cdef inline json_scan_place json_scan_string(json_scan_state *state, json_scan_place at,
                                             bint *escaped) noexcept nogil:
    at += 1
    while True:
        at = json_scan_plain(at, state.end)
        if at == state.end:
            return json_scan_fail(state, JSON_SCAN_END, at)
        if at[0] == c'"':
            return at + 1
        if at[0] >= 0x80:
            while at != NULL and at < state.end and at[0] >= 0x80:
                at = json_scan_utf8(state, at)
        elif at[0] == c'\\':
            escaped[0] = True
            at = json_scan_escape(state, at)
        else:
            return json_scan_fail(state, JSON_SCAN_CONTROL, at)
        if at == NULL:
            return NULL


# --- numbers and words ---

cdef inline bint json_scan_is_digit(unsigned char letter) noexcept nogil:
    return c'0' <= letter and letter <= c'9'


cdef inline json_scan_place json_scan_digits(json_scan_place at, json_scan_place stop) noexcept nogil:
    while at < stop and json_scan_is_digit(at[0]):
        at += 1
    return at


cdef json_scan_place json_scan_no_digit(json_scan_state *state, json_scan_place token,
                                        json_scan_place at) noexcept nogil:
    # A number needs a digit at a place: the text may just have ended there.
    if at == state.end:
        return json_scan_fail(state, JSON_SCAN_END, at)
    return json_scan_fail(state, JSON_SCAN_NUMBER, token)


cdef inline bint json_scan_is_int64(json_scan_place digits, json_scan_place stop,
                                    bint negative) noexcept nogil:
    if stop - digits != 19:
        return stop - digits < 19
    if negative:
        return memcmp(digits, b"9223372036854775808", 19) <= 0
    return memcmp(digits, b"9223372036854775807", 19) <= 0


cdef bint json_scan_overflows(json_scan_place digits, json_scan_place stop, int64_t exponent) noexcept nogil:
    # The digits up to `stop` may have a point among them; `exponent` is the power of ten of the first one.
    cdef unsigned char bound, digit
    cdef int number
    while digits < stop and (digits[0] == c'0' or digits[0] == c'.'):
        exponent -= digits[0] == c'0'
        digits += 1
    if digits == stop or exponent != 308:
        return digits < stop and exponent > 308
    for number in range(309):
        if digits < stop and digits[0] == c'.':
            digits += 1
        bound = json_scan_overflow[number]
        digit = digits[0] if digits < stop else c'0'
        if digit != bound:
            return digit > bound
        digits += digits < stop
    return True


cdef inline json_scan_place json_scan_exponent(json_scan_place at, json_scan_place stop,
                                               int64_t *exponent) noexcept nogil:
    cdef bint shrinks = at < stop and at[0] == c'-'
    at += at < stop and (at[0] == c'-' or at[0] == c'+')
    while at < stop and json_scan_is_digit(at[0]):
        # It is not counted beyond: no text has so many digits that they could make up for it.
        if exponent[0] < 1_000_000_000_000_000LL:
            exponent[0] = exponent[0] * 10 + at[0] - c'0'
        at += 1
    if shrinks:
        exponent[0] = -exponent[0]
    return at


cdef json_scan_place json_scan_number(json_scan_state *state, json_scan_place token) noexcept nogil:
    cdef json_scan_place stop = state.end
    cdef json_scan_place digits = token + (token[0] == c'-')
    cdef json_scan_place point = json_scan_digits(digits, stop)
    cdef json_scan_place at = point, fraction_stop
    cdef int64_t exponent = 0
    if point == digits:
        return json_scan_no_digit(state, token, at)
    if digits[0] == c'0' and point - digits > 1:
        return json_scan_fail(state, JSON_SCAN_NUMBER, token)
    if at < stop and at[0] == c'.':
        at = json_scan_digits(at + 1, stop)
        if at == point + 1:
            return json_scan_no_digit(state, token, at)
    fraction_stop = at
    if at < stop and at[0] | 0x20 == c'e':
        at = json_scan_exponent(at + 1, stop, &exponent)
        if not json_scan_is_digit((at - 1)[0]):
            return json_scan_no_digit(state, token, at)
    if at < stop and json_scan_kinds[at[0]] & JSON_SCAN_IN_TOKEN:
        return json_scan_fail(state, JSON_SCAN_NUMBER, token)
    if at == point:
        if not json_scan_is_int64(digits, point, digits > token):
            return json_scan_fail(state, JSON_SCAN_INTEGER_RANGE, token)
    elif json_scan_overflows(digits, fraction_stop, (point - digits - 1) + exponent):
        return json_scan_fail(state, JSON_SCAN_NUMBER_RANGE, token)
    return at


cdef inline bint json_scan_is(json_scan_place at, size_t length, const char *word) noexcept nogil:
    return length == strlen(word) and memcmp(at, word, length) == 0


cdef inline bint json_scan_starts(json_scan_place at, size_t length, const char *word) noexcept nogil:
    return length < strlen(word) and memcmp(at, word, length) == 0


cdef json_scan_place json_scan_token(json_scan_state *state, json_scan_place at) noexcept nogil:
    cdef json_scan_place stop = at, word = at
    cdef size_t length
    if at < state.end and json_scan_is_digit(at[0]):
        return json_scan_number(state, at)
    while stop < state.end and json_scan_kinds[stop[0]] & JSON_SCAN_IN_TOKEN:
        stop += 1
    length = stop - at
    if length == 0:
        return json_scan_refuse(state, at, JSON_SCAN_VALUE)
    if (json_scan_is(at, length, b"true") or json_scan_is(at, length, b"false")
            or json_scan_is(at, length, b"null")):
        return stop
    if at[0] == c'-' or at[0] == c'+':
        word += 1
        length -= 1
    if json_scan_is(word, length, b"NaN") or json_scan_is(word, length, b"Infinity"):
        return json_scan_fail(state, JSON_SCAN_NOT_A_NUMBER, at)
    if word > at or at[0] == c'.':
        return json_scan_number(state, at)
    if stop == state.end and (json_scan_starts(at, length, b"true") or json_scan_starts(at, length, b"false")
                              or json_scan_starts(at, length, b"null")):
        return json_scan_fail(state, JSON_SCAN_END, stop)
    return json_scan_fail(state, JSON_SCAN_WORD, at)
