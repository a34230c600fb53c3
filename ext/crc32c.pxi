# Twin of crdtstore/crdt/crc32c.py: CRC-32C by the CPU's instruction where there is one, else by a table.
#
# What the CPU can do is asked at run time on x86 (the wheel is built for any x86-64) and at compile time on
# ARM, where the instruction is part of the platform that the compiler was told of.

from cpython.buffer cimport Py_buffer, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    static uint32_t crc32c_remainders[256];

    static void crc32c_prepare_table(void) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t remainder = byte;
            for (int bit = 0; bit < 8; bit++)
                remainder = (remainder >> 1) ^ (0x82F63B78u & (0u - (remainder & 1u)));
            crc32c_remainders[byte] = remainder;
        }
    }

    static uint32_t crc32c_by_table(uint32_t state, const unsigned char *data, size_t length) {
        for (size_t at = 0; at < length; at++)
            state = (state >> 8) ^ crc32c_remainders[(state ^ data[at]) & 0xFF];
        return state;
    }

    #if defined(__x86_64__) && defined(__GNUC__)
    #include <nmmintrin.h>
    #include <wmmintrin.h>

    __attribute__((target("sse4.2")))
    static uint32_t crc32c_by_cpu(uint32_t state, const unsigned char *data, size_t length) {
        uint64_t wide = state, word;
        for (; length >= 8; data += 8, length -= 8) {
            memcpy(&word, data, 8);
            wide = __builtin_ia32_crc32di(wide, word);
        }
        state = (uint32_t)wide;
        if (length & 4) {
            uint32_t part;
            memcpy(&part, data, 4);
            state = __builtin_ia32_crc32si(state, part);
            data += 4;
        }
        if (length & 2) {
            uint16_t part;
            memcpy(&part, data, 2);
            state = __builtin_ia32_crc32hi(state, part);
            data += 2;
        }
        return length & 1 ? __builtin_ia32_crc32qi(state, *data) : state;
    }
    /* One instruction waits for the one before it, so long data goes through three at once, a third each. A state is
       carried over the thirds behind it by multiplying: by x^(64 words - 33), as the instruction that takes the rest of
       the product multiplies it by x^33 itself. */
    enum { CRC32C_LANE_WORDS = 64, CRC32C_LANES_BYTES = 96 };
    static uint32_t crc32c_powers[2 * CRC32C_LANE_WORDS + 1];

    static void crc32c_prepare_lanes(void) {
        static const unsigned char word[8];
        crc32c_powers[1] = 1;
        for (size_t words = 2; words <= 2 * CRC32C_LANE_WORDS; words++)
            crc32c_powers[words] = crc32c_by_table(crc32c_powers[words - 1], word, 8);
    }

    __attribute__((target("sse4.2,pclmul")))
    static inline __m128i crc32c_carry(uint64_t state, uint32_t power) {
        return _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)state), _mm_cvtsi32_si128((int)power), 0);
    }
    __attribute__((target("sse4.2,pclmul")))
    static uint32_t crc32c_by_lanes(uint32_t state, const unsigned char *data, size_t length) {
        for (size_t words; length >= CRC32C_LANES_BYTES; data += 24 * words, length -= 24 * words) {
            uint64_t one = state, two = 0, three = 0, word[3];
            __m128i carried;
            words = length / 24 < CRC32C_LANE_WORDS ? length / 24 : CRC32C_LANE_WORDS;
            for (size_t at = 0; at < words; at++) {
                memcpy(word, data + 8 * at, 8);
                memcpy(word + 1, data + 8 * (words + at), 8);
                memcpy(word + 2, data + 8 * (2 * words + at), 8);
                one = __builtin_ia32_crc32di(one, word[0]);
                two = __builtin_ia32_crc32di(two, word[1]);
                three = __builtin_ia32_crc32di(three, word[2]);
            }
            carried = _mm_xor_si128(crc32c_carry(one, crc32c_powers[2 * words]),
                                    crc32c_carry(two, crc32c_powers[words]));
            state = (uint32_t)(three ^ __builtin_ia32_crc32di(0, (uint64_t)_mm_cvtsi128_si64(carried)));
        }
        return crc32c_by_cpu(state, data, length);
    }
    #define crc32c_has_cpu() __builtin_cpu_supports("sse4.2")
    #define crc32c_has_lanes() (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
    #elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32) && !defined(__AARCH64EB__)
    #include <arm_acle.h>
    static uint32_t crc32c_by_cpu(uint32_t state, const unsigned char *data, size_t length) {
        uint64_t word;
        for (; length >= 8; data += 8, length -= 8) {
            memcpy(&word, data, 8);
            state = __crc32cd(state, word);
        }
        for (; length > 0; data++, length--)
            state = __crc32cb(state, *data);
        return state;
    }
    #define crc32c_has_cpu() 1
    #else
    #define crc32c_by_cpu crc32c_by_table
    #define crc32c_has_cpu() 0
    #endif

    #ifndef crc32c_has_lanes
    #define CRC32C_LANES_BYTES SIZE_MAX
    #define crc32c_by_lanes crc32c_by_cpu
    #define crc32c_has_lanes() 0
    #define crc32c_prepare_lanes() ((void)0)
    #endif

    static inline uint32_t crc32c_update(uint32_t crc, const unsigned char *data, size_t length) {
        if (length >= CRC32C_LANES_BYTES && crc32c_has_lanes())
            return ~crc32c_by_lanes(~crc, data, length);
        return ~(crc32c_has_cpu() ? crc32c_by_cpu(~crc, data, length) : crc32c_by_table(~crc, data, length));
    }
    """
    void crc32c_prepare_table() noexcept nogil
    void crc32c_prepare_lanes() noexcept nogil
    uint32_t crc32c_by_table(uint32_t state, const unsigned char *data, size_t length) noexcept nogil
    # The checksum `crc` of what stands before, carried on over `data`; 0 at the start, as in Python.
    uint32_t crc32c_update(uint32_t crc, const unsigned char *data, size_t length) noexcept nogil

crc32c_prepare_table()
crc32c_prepare_lanes()


cdef inline uint32_t crc32c_checked(int64_t value) except? 0xC0FFEE:
    if value < 0 or value > 0xFFFFFFFF:
        raise OverflowError(f"A checksum is 32 bits, which {value} is not.")
    return <uint32_t>value


def crc32c(data, int64_t value=0):
    """Compute the CRC-32C of bytes, carried on from the checksum `value` of what stands before."""
    cdef uint32_t crc = crc32c_checked(value)
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    crc = crc32c_update(crc, <const unsigned char*>view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return crc


def crc32c_portable(data, int64_t value=0):
    """Compute `crc32c` without the CPU's instruction, so that the fallback is tested everywhere."""
    cdef uint32_t crc = ~crc32c_checked(value)
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    crc = ~crc32c_by_table(crc, <const unsigned char*>view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return crc
