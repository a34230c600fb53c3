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

    static void crc32c_prepare(void) {
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
    #define crc32c_has_cpu() __builtin_cpu_supports("sse4.2")
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

    static inline uint32_t crc32c_update(uint32_t crc, const unsigned char *data, size_t length) {
        return ~(crc32c_has_cpu() ? crc32c_by_cpu(~crc, data, length) : crc32c_by_table(~crc, data, length));
    }
    """
    void crc32c_prepare() noexcept nogil
    uint32_t crc32c_by_table(uint32_t state, const unsigned char *data, size_t length) noexcept nogil
    # The checksum `crc` of what stands before, carried on over `data`; 0 at the start, as in Python.
    uint32_t crc32c_update(uint32_t crc, const unsigned char *data, size_t length) noexcept nogil

crc32c_prepare()


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
