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
    /* The last bytes, fewer than eight. */
    static inline uint64_t sip_load_rest(const uint8_t *bytes, size_t length) {
        uint64_t word = 0;
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
        int round;
        for (; length >= 8; data += 8, length -= 8) {
            word = sip_load(data);
            d ^= word;
            for (round = 0; round < rounds; round++) { SIP_ROUND }
            a ^= word;
        }
        last |= sip_load_rest(data, length);
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
        int round;
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
        one_last |= sip_load_rest(one, one_length), two_last |= sip_load_rest(two, two_length);
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
    static void siphash128_published(const uint8_t key[16], const uint8_t *data, size_t length, uint64_t out[2]) {
        sip_hash(key, data, length, 2, 4, out);
    }
    """
    uint64_t sip_load(const uint8_t *bytes) noexcept nogil
    # Writes a hash's word into its published byte order (little-endian, out[0] first).
    void sip_store(uint8_t *bytes, uint64_t word) noexcept nogil
    void siphash128_c(const uint8_t *key, const uint8_t *data, size_t length, uint64_t *out) noexcept nogil
    void siphash128_pair(const uint8_t *key, const uint8_t *one, size_t one_length, const uint8_t *two,
                         size_t two_length, uint64_t *out) noexcept nogil
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
