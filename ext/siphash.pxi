# Twin of crdtstore/crdt/siphash.py: SipHash with 128 bits of output, over a message in one piece; SipHash-1-3 for use.

from cpython.buffer cimport Py_buffer, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint64_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    static inline uint64_t sip_load(const uint8_t *bytes) {
        uint64_t word;
        memcpy(&word, bytes, 8);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        return word;
    }
    /* The last bytes, fewer than eight: of a message that has more they are the end of its last eight. */
    static inline uint64_t sip_load_rest(const uint8_t *bytes, size_t length, int has_more) {
        uint64_t word = 0;
        if (has_more)
            return length ? sip_load(bytes + length - 8) >> (64 - 8 * length) : 0;
        while (length--)
            word = word << 8 | bytes[length];
        return word;
    }

    static inline void sip_store(uint8_t *bytes, uint64_t word) {
        for (int at = 0; at < 8; at++)
            bytes[at] = (uint8_t)(word >> (8 * at));
    }

    #define SIP_ROTATE(word, bits) ((word) << (bits) | (word) >> (64 - (bits)))
    #define SIP_ROUND SIP_ROUND_OF(a, b, c, d)
    #define SIP_ROUND_OF(a, b, c, d)                                                          \
        a += b; c += d; b = SIP_ROTATE(b, 13) ^ a; d = SIP_ROTATE(d, 16) ^ c; a = SIP_ROTATE(a, 32); \
        c += b; a += d; b = SIP_ROTATE(b, 17) ^ c; d = SIP_ROTATE(d, 21) ^ a; c = SIP_ROTATE(c, 32);

    /* The counts of rounds are constants where it is called, so the loops over them are laid out. */
    static inline __attribute__((always_inline)) void sip_hash(
            const uint8_t key[16], const uint8_t *data, size_t length, int rounds, int last_rounds, uint64_t out[2]) {
        uint64_t low = sip_load(key), high = sip_load(key + 8), word, last = (uint64_t)length << 56;
        uint64_t a = low ^ 0x736F6D6570736575u, b = high ^ 0x646F72616E646F6Du ^ 0xEE;
        uint64_t c = low ^ 0x6C7967656E657261u, d = high ^ 0x7465646279746573u;
        int round, has_more = length >= 8;
        for (; length >= 8; data += 8, length -= 8) {
            word = sip_load(data);
            d ^= word;
            for (round = 0; round < rounds; round++) { SIP_ROUND }
            a ^= word;
        }
        last |= sip_load_rest(data, length, has_more);
        d ^= last;
        for (round = 0; round < rounds; round++) { SIP_ROUND }
        a ^= last;
        c ^= 0xEE;
        for (round = 0; round < last_rounds; round++) { SIP_ROUND }
        out[0] = a ^ b ^ c ^ d;
        b ^= 0xDD;
        for (round = 0; round < last_rounds; round++) { SIP_ROUND }
        out[1] = a ^ b ^ c ^ d;
    }

    static void siphash128_c(const uint8_t key[16], const uint8_t *data, size_t length, uint64_t out[2]) {
        sip_hash(key, data, length, 1, 3, out);
    }
    /* Two messages under one key: their rounds wait for nothing of each other, so the CPU does both at once. */
    static void siphash128_pair(const uint8_t key[16], const uint8_t *one, size_t one_length, const uint8_t *two,
                                size_t two_length, uint64_t out[4]) {
        uint64_t low = sip_load(key), high = sip_load(key + 8), word, other;
        uint64_t a = low ^ 0x736F6D6570736575u, b = high ^ 0x646F72616E646F6Du ^ 0xEE;
        uint64_t c = low ^ 0x6C7967656E657261u, d = high ^ 0x7465646279746573u;
        uint64_t e = a, f = b, g = c, h = d;
        uint64_t one_last = (uint64_t)one_length << 56, two_last = (uint64_t)two_length << 56;
        int round, one_more = one_length >= 8, two_more = two_length >= 8;
        for (; one_length >= 8 && two_length >= 8; one += 8, two += 8, one_length -= 8, two_length -= 8) {
            word = sip_load(one), other = sip_load(two);
            d ^= word, h ^= other;
            SIP_ROUND_OF(a, b, c, d)
            SIP_ROUND_OF(e, f, g, h)
            a ^= word, e ^= other;
        }
        for (; one_length >= 8; one += 8, one_length -= 8) {
            word = sip_load(one);
            d ^= word;
            SIP_ROUND_OF(a, b, c, d)
            a ^= word;
        }
        for (; two_length >= 8; two += 8, two_length -= 8) {
            other = sip_load(two);
            h ^= other;
            SIP_ROUND_OF(e, f, g, h)
            e ^= other;
        }
        one_last |= sip_load_rest(one, one_length, one_more), two_last |= sip_load_rest(two, two_length, two_more);
        d ^= one_last, h ^= two_last;
        SIP_ROUND_OF(a, b, c, d)
        SIP_ROUND_OF(e, f, g, h)
        a ^= one_last, e ^= two_last;
        c ^= 0xEE, g ^= 0xEE;
        for (round = 0; round < 3; round++) { SIP_ROUND_OF(a, b, c, d) SIP_ROUND_OF(e, f, g, h) }
        out[0] = a ^ b ^ c ^ d, out[2] = e ^ f ^ g ^ h;
        b ^= 0xDD, f ^= 0xDD;
        for (round = 0; round < 3; round++) { SIP_ROUND_OF(a, b, c, d) SIP_ROUND_OF(e, f, g, h) }
        out[1] = a ^ b ^ c ^ d, out[3] = e ^ f ^ g ^ h;
    }

    /* How a message of siphash128_sum ends: its last word, padded, with its length. Returns the bytes of all words. */
    enum { SIP_LANES = 8, SIP_END_BYTES = 16 };
    static inline size_t sip_end(uint8_t *message, size_t length) {
        size_t whole = length & ~(size_t)7;
        memset(message + length, 0, 8);
        message[whole + 7] = (uint8_t)length;
        return whole + 8;
    }

    #if defined(__x86_64__) && defined(__GNUC__)
    /* A lane a message: a lane that has ended keeps its state. The first `used` lanes are summed up. */
    #define SIP_WORD(lane) sip_load(messages[lane] + 8 * step)
    __attribute__((target("avx512f")))
    static void sip_lanes(const uint8_t key[16], const uint8_t *const *messages, const size_t *lengths, size_t used,
                          uint64_t sum[2]) {
        typedef uint64_t many __attribute__((vector_size(64)));
        uint64_t low = sip_load(key), high = sip_load(key + 8);
        many zero = {0}, a = zero + (low ^ 0x736F6D6570736575u), b = zero + (high ^ 0x646F72616E646F6Du ^ 0xEE);
        many c = zero + (low ^ 0x6C7967656E657261u), d = zero + (high ^ 0x7465646279746573u);
        many words, word, first, second;
        size_t least = SIZE_MAX, most = 0, step, lane;
        for (lane = 0; lane < SIP_LANES; lane++) {
            size_t count = lengths[lane] / 8 + 1;
            words[lane] = count;
            least = count < least ? count : least;
            most = count > most ? count : most;
        }
        for (step = 0; step < least; step++) {
            word = (many){SIP_WORD(0), SIP_WORD(1), SIP_WORD(2), SIP_WORD(3), SIP_WORD(4), SIP_WORD(5), SIP_WORD(6),
                          SIP_WORD(7)};
            d ^= word;
            SIP_ROUND
            a ^= word;
        }
        for (; step < most; step++) {
            many e = a, f = b, g = c, h = d, on = (many)(words > step);
            for (lane = 0; lane < SIP_LANES; lane++)
                word[lane] = step < words[lane] ? SIP_WORD(lane) : 0;
            d ^= word;
            SIP_ROUND
            a ^= word;
            a = (a & on) | (e & ~on), b = (b & on) | (f & ~on), c = (c & on) | (g & ~on), d = (d & on) | (h & ~on);
        }
        c ^= 0xEE;
        SIP_ROUND SIP_ROUND SIP_ROUND
        first = a ^ b ^ c ^ d;
        b ^= 0xDD;
        SIP_ROUND SIP_ROUND SIP_ROUND
        second = a ^ b ^ c ^ d;
        for (lane = 0; lane < used; lane++) {
            sum[0] += first[lane];
            sum[1] += second[lane] + (sum[0] < first[lane]);
        }
    }
    #define sip_has_lanes() __builtin_cpu_supports("avx512f")
    #else
    #define sip_lanes(key, messages, lengths, used, sum)
    #define sip_has_lanes() 0
    #endif

    /* The sum of the hashes of up to SIP_LANES messages, which sip_end has ended; `wide`: by the CPU's widest words. */
    static void siphash128_sum(const uint8_t key[16], const uint8_t **messages, size_t *lengths, size_t count, int wide,
                               uint64_t sum[2]) {
        uint64_t hashes[4];
        sum[0] = sum[1] = 0;
        if (wide && count > 2 && sip_has_lanes()) {
            for (size_t at = count; at < SIP_LANES; at++)
                messages[at] = messages[0], lengths[at] = lengths[0];
            sip_lanes(key, messages, lengths, count, sum);
            return;
        }
        for (size_t at = 0; at < count; at += 2) {
            if (at + 1 < count)
                siphash128_pair(key, messages[at], lengths[at], messages[at + 1], lengths[at + 1], hashes);
            else
                siphash128_c(key, messages[at], lengths[at], hashes);
            for (size_t hash = at; hash < count && hash < at + 2; hash++) {
                sum[0] += hashes[2 * (hash - at)];
                sum[1] += hashes[2 * (hash - at) + 1] + (sum[0] < hashes[2 * (hash - at)]);
            }
        }
    }
    static void siphash128_published(const uint8_t key[16], const uint8_t *data, size_t length, uint64_t out[2]) {
        sip_hash(key, data, length, 2, 4, out);
    }
    """
    uint64_t sip_load(const uint8_t *bytes) noexcept nogil
    # Writes a hash's word into its published byte order (little-endian, out[0] first).
    void sip_store(uint8_t *bytes, uint64_t word) noexcept nogil
    void siphash128_c(const uint8_t *key, const uint8_t *data, size_t length, uint64_t *out) noexcept nogil
    enum:
        SIP_LANES
        SIP_END_BYTES
    size_t sip_end(uint8_t *message, size_t length) noexcept nogil
    void siphash128_sum(const uint8_t *key, const uint8_t **messages, size_t *lengths, size_t count, bint wide,
                        uint64_t *sum) noexcept nogil
    void siphash128_published(const uint8_t *key, const uint8_t *data, size_t length, uint64_t *out) noexcept nogil


def siphash128(bytes key not None, data, bint published=False):
    """Hash bytes under a key of 16 bytes, to 16 bytes; `published`: with the 2-4 rounds of the published vectors."""
    cdef Py_buffer view
    cdef uint64_t words[2]
    cdef uint8_t out[16]
    if len(key) != 16:
        raise ValueError(f"A SipHash key has 16 bytes; this one has {len(key)}.")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if published:
        siphash128_published(<const uint8_t*><const char*>key, <const uint8_t*>view.buf, <size_t>view.len, words)
    else:
        siphash128_c(<const uint8_t*><const char*>key, <const uint8_t*>view.buf, <size_t>view.len, words)
    PyBuffer_Release(&view)
    sip_store(out, words[0])
    sip_store(out + 8, words[1])
    return (<char*>out)[:16]


def siphash128_sum_of(bytes key not None, list messages not None, bint wide):
    """Add up the hashes of messages as the digest of a new document does; `wide`: many at once where the CPU can."""
    cdef const uint8_t *starts[SIP_LANES]
    cdef size_t lengths[SIP_LANES]
    cdef uint64_t words[2]
    cdef uint8_t out[16]
    cdef size_t at, count = len(messages)
    cdef list held = [bytearray(message + bytes(SIP_END_BYTES)) for message in messages]
    if len(key) != 16 or not 0 < count <= SIP_LANES:
        raise ValueError(f"A sum takes a key of 16 bytes and 1 to {SIP_LANES} messages.")
    for at in range(count):
        starts[at], lengths[at] = <const uint8_t*><char*>held[at], <size_t>len(messages[at])
        sip_end(<uint8_t*>starts[at], lengths[at])
    siphash128_sum(<const uint8_t*><const char*>key, starts, lengths, count, wide, words)
    sip_store(out, words[0])
    sip_store(out + 8, words[1])
    return (<char*>out)[:16]
