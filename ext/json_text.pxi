# Twin of crdtstore/crdt/json_output.py: strings, numbers and binary as the bytes that `json.dumps` writes.
#
# Each function writes at a place that has room for the longest form and returns the place behind it; up to 8
# bytes of room behind that may be overwritten. Eight bytes, or 16 where every x86 has the instructions, are
# looked at at a time, and none outside the text.

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <math.h>
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif

    #define JSON_EVERY(byte) (0x0101010101010101u * (uint64_t)(byte))

    static const char json_digits[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";

    static const uint64_t json_powers[20] = {
        1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u, 10000000000u,
        100000000000u, 1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u,
        10000000000000000u, 100000000000000000u, 1000000000000000000u, 10000000000000000000u};

    static inline uint64_t json_load(const unsigned char *at) {
        uint64_t word;
        memcpy(&word, at, 8);
        return word;
    }

    /* Not 0 exactly when one of 8 bytes is a control character, a quote or a backslash: in each of the three
       a borrow marks a wrong byte only beside a right one, and bytes of longer characters have their high
       bit set. */
    static inline uint64_t json_special(uint64_t word) {
        uint64_t control = word - JSON_EVERY(0x20);
        uint64_t quote = (word ^ JSON_EVERY('"')) - JSON_EVERY(1);
        uint64_t backslash = (word ^ JSON_EVERY('\\\\')) - JSON_EVERY(1);
        return (control | quote | backslash) & ~word & JSON_EVERY(0x80);
    }

    static unsigned char *json_escape(unsigned char *out, const unsigned char *text, size_t length) {
        static const char letters[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu", hex[] = "0123456789abcdef";
        for (; length > 0; text++, length--) {
            if (*text >= 0x20 && *text != '"' && *text != '\\\\') {
                *out++ = *text;
                continue;
            }
            *out++ = '\\\\';
            *out++ = *text < 0x20 ? letters[*text] : *text;
            if (*text < 0x20 && letters[*text] == 'u') {
                memcpy(out, "00", 2);
                out[2] = hex[*text >> 4];
                out[3] = hex[*text & 15];
                out += 4;
            }
        }
        return out;
    }

    /* 1 to 7 bytes as a word, the others spaces. */
    static inline uint64_t json_load_part(const unsigned char *text, size_t length) {
        uint64_t word;
        if (length >= 4) {
            uint32_t first, last;
            memcpy(&first, text, 4);
            memcpy(&last, text + length - 4, 4);
            word = first | (uint64_t)last << (8 * (length - 4));
        } else {
            word = text[0] | (uint64_t)text[length >> 1] << (8 * (length >> 1))
                | (uint64_t)text[length - 1] << (8 * (length - 1));
        }
        return word | JSON_EVERY(0x20) << (8 * length);
    }

    /* Copy a word of 8 bytes, or of 16, unless one of them is to be escaped. */
    static inline int json_copied(unsigned char *out, const unsigned char *text) {
        uint64_t word = json_load(text);
        if (json_special(word))
            return 0;
        memcpy(out, &word, 8);
        return 1;
    }

    #ifdef __SSE2__
    static inline int json_copied_wide(unsigned char *out, const unsigned char *text) {
        __m128i word = _mm_loadu_si128((const __m128i *)text);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(word, _mm_set1_epi8(0x1F)), word);
        __m128i quote = _mm_cmpeq_epi8(word, _mm_set1_epi8('"'));
        __m128i backslash = _mm_cmpeq_epi8(word, _mm_set1_epi8('\\\\'));
        if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(control, quote), backslash)))
            return 0;
        _mm_storeu_si128((__m128i *)out, word);
        return 1;
    }
    #endif

    /* Whole words, then the last one, which may reach back over bytes that were written: without a character
       to be escaped in it they were written as they are. */
    #define JSON_WORDS(copied, size) \\
        do { \\
            out = copied(out, text) ? out + size : json_escape(out, text, size); \\
            text += size; \\
            length -= size; \\
        } while (length >= size); \\
        if (length == 0 || copied(out + length - size, text + length - size)) \\
            return out + length; \\
        return json_escape(out, text, length);

    /* Needs room for 6 bytes each. */
    static inline unsigned char *json_characters(unsigned char *out, const unsigned char *text, size_t length)
    {
    #ifdef __SSE2__
        if (length >= 16) {
            JSON_WORDS(json_copied_wide, 16)
        }
    #endif
        if (length >= 8) {
            JSON_WORDS(json_copied, 8)
        }
        if (length == 0)
            return out;
        uint64_t word = json_load_part(text, length);
        if (json_special(word))
            return json_escape(out, text, length);
        memcpy(out, &word, 8);
        return out + length;
    }

    static inline unsigned char *json_string(unsigned char *out, const unsigned char *text, size_t length) {
        *out = '"';
        out = json_characters(out + 1, text, length);
        *out = '"';
        return out + 1;
    }

    /* A string that stands in its slot: its length, then at most 7 bytes. */
    static inline unsigned char *json_short(unsigned char *out, uint64_t slot) {
        size_t length = slot & 7;
        uint64_t word = (slot & ~(uint64_t)0xFF) | '"';
        if (json_special(word >> 8 | JSON_EVERY(0x20) << (8 * length))) {
            unsigned char text[8];
            memcpy(text, &word, 8);
            return json_string(out, text + 1, length);
        }
        memcpy(out, &word, 8);
        out[length + 1] = '"';
        return out + length + 2;
    }

    /* 8 digits at once: halves, quarters and single digits of the number side by side in one word. */
    static inline unsigned char *json_few(unsigned char *out, uint32_t number) {
        uint64_t word = number / 10000 | (uint64_t)(number % 10000) << 32;
        uint64_t high = (word * 10486 >> 20) & 0x7F0000007Fu;
        word = high | (word - 100 * high) << 16;
        high = (word * 103 >> 10) & 0xF000F000F000Fu;
        word = high | (word - 10 * high) << 8;
        unsigned zeros = (unsigned)__builtin_ctzll(word | (uint64_t)1 << 56) / 8;
        word = (word | JSON_EVERY('0')) >> 8 * zeros;
        memcpy(out, &word, 8);
        return out + 8 - zeros;
    }

    static unsigned char *json_unsigned(unsigned char *out, uint64_t number) {
        size_t digits = 1;
        if (number < 100000000)
            return json_few(out, (uint32_t)number);
        while (digits < 20 && number >= json_powers[digits])
            digits++;
        unsigned char *at = out + digits;
        for (; number >= 100; number /= 100)
            memcpy(at -= 2, json_digits + 2 * (number % 100), 2);
        if (number >= 10)
            memcpy(at - 2, json_digits + 2 * number, 2);
        else
            at[-1] = (unsigned char)('0' + number);
        return out + digits;
    }

    static inline unsigned char *json_integer(unsigned char *out, int64_t number) {
        if (number >= 0)
            return json_unsigned(out, (uint64_t)number);
        *out = '-';
        return json_unsigned(out + 1, 0 - (uint64_t)number);
    }

    static const double json_scales[16] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

    /* The digits behind the point, zeros in front kept. */
    static inline unsigned char *json_fraction(unsigned char *out, uint64_t digits, int places) {
        for (; places > 1 && digits < json_powers[places - 1]; places--)
            *out++ = '0';
        return json_unsigned(out, digits);
    }

    /* A double that is a decimal fraction of at most 15 digits, from 0.0001 up to 10^15; NULL for another.
       Two such decimals are never the same double, so this one is the shortest that reads back, which is what
       repr writes. The quotient of a whole number below 2^53 by a power of ten up to 10^22 is correctly
       rounded; scaling errs by two roundings, so a number further from a whole one needs no division. */
    static unsigned char *json_decimal(unsigned char *out, double number) {
        double size = number < 0 ? -number : number;
        if (number == 0) {
            memcpy(out, signbit(number) ? "-0.0" : "0.0", 4);
            return out + (signbit(number) ? 4 : 3);
        }
        if (!(size >= 1e-4 && size < 1e15))
            return NULL;
        for (int places = 0; places <= 15; places++) {
            double scaled = size * json_scales[places];
            if (scaled >= 1e15 - 1)
                return NULL;
            uint64_t digits = (uint64_t)(scaled + 0.5);
            double off = scaled - (double)digits, near = scaled * 0x1p-51;
            if (off > near || off < -near || (double)digits / json_scales[places] != size)
                continue;
            if (number < 0)
                *out++ = '-';
            out = json_unsigned(out, digits / json_powers[places]);
            *out++ = '.';
            return json_fraction(out, digits % json_powers[places], places);
        }
        return NULL;
    }

    /* Base64 takes 4 bytes for every 3 that were begun. */
    static unsigned char *json_base64(unsigned char *out, const unsigned char *data, size_t length) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (; length > 0; out += 4) {
            size_t taken = length < 3 ? length : 3;
            uint32_t group = (uint32_t)data[0] << 16;
            group |= taken > 1 ? (uint32_t)data[1] << 8 : 0;
            group |= taken > 2 ? data[2] : 0;
            out[0] = letters[group >> 18];
            out[1] = letters[group >> 12 & 63];
            out[2] = taken > 1 ? letters[group >> 6 & 63] : '=';
            out[3] = taken > 2 ? letters[group & 63] : '=';
            data += taken;
            length -= taken;
        }
        return out;
    }

    static inline unsigned char *json_binary(unsigned char *out, const unsigned char *data, size_t length) {
        *out = '"';
        out = json_base64(out + 1, data, length);
        *out = '"';
        return out + 1;
    }

    /* A text that a program of a shape holds, padded so that 16 bytes may always be read. */
    static inline unsigned char *json_literal(unsigned char *out, const unsigned char *text, size_t length) {
        memcpy(out, text, 16);
        for (size_t at = 16; at < length; at += 16)
            memcpy(out + at, text + at, 16);
        return out + length;
    }
    """
    unsigned char *json_string(unsigned char *out, const unsigned char *text, size_t length) noexcept nogil
    unsigned char *json_characters(
        unsigned char *out, const unsigned char *text, size_t length
    ) noexcept nogil
    unsigned char *json_short(unsigned char *out, uint64_t slot) noexcept nogil
    unsigned char *json_integer(unsigned char *out, int64_t number) noexcept nogil
    unsigned char *json_decimal(unsigned char *out, double number) noexcept nogil
    unsigned char *json_binary(unsigned char *out, const unsigned char *data, size_t length) noexcept nogil
    unsigned char *json_literal(unsigned char *out, const unsigned char *text, size_t length) noexcept nogil

cdef struct JsonBuffer:
    unsigned char *data
    size_t length
    size_t capacity


cdef inline int json_reserve(JsonBuffer *out, size_t more) except -1:
    """Make room for so many bytes, and 16 to write over."""
    if out.capacity - out.length < more + 16:
        json_grow(out, more)
    return 0


cdef int json_grow(JsonBuffer *out, size_t more) except -1:
    """Make a buffer at least twice as large."""
    cdef size_t capacity = max(2 * out.capacity, out.length + more + 16, <size_t>1_024)
    cdef void *data = realloc(out.data, capacity)
    if data == NULL:
        raise MemoryError
    out.data, out.capacity = <unsigned char *>data, capacity
    return 0


cdef inline int json_append(JsonBuffer *out, const char *text, size_t size) except -1:
    """Append bytes as they are."""
    json_reserve(out, size)
    memcpy(out.data + out.length, text, size)
    out.length += size
    return 0


cdef inline void json_free(JsonBuffer *out) noexcept nogil:
    free(out.data)
    out.data, out.length, out.capacity = NULL, 0, 0
