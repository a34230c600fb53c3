# Twin of crdtstore/crdt/chain.py: BLAKE2b without a key (RFC 7693), over a message in two pieces.

from libc.stdint cimport uint8_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    enum { BLAKE2B_BLOCK = 128 };

    typedef struct {
        uint64_t chained[8];
        uint64_t counted;               /* bytes; 2^64 of them are out of reach, so one word of the counter */
        size_t filled;                  /* bytes of the block that is still open */
        uint8_t block[BLAKE2B_BLOCK];
    } blake2b_state;

    static const uint64_t blake2b_start[8] = {
        0x6A09E667F3BCC908u, 0xBB67AE8584CAA73Bu, 0x3C6EF372FE94F82Bu, 0xA54FF53A5F1D36F1u,
        0x510E527FADE682D1u, 0x9B05688C2B3E6C1Fu, 0x1F83D9ABFB41BD6Bu, 0x5BE0CD19137E2179u};

    static const uint8_t blake2b_order[10][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
        {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
        {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
        {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
        {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
        {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
        {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
        {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
        {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

    static inline uint64_t blake2b_load(const uint8_t *at) {
        return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24
            | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
    }

    static inline uint64_t blake2b_rotate(uint64_t word, int bits) {
        return (word >> bits) | (word << (64 - bits));
    }

    #define BLAKE2B_MIX(a, b, c, d, first, second) \\
        a += b + word[first]; d = blake2b_rotate(d ^ a, 32); c += d; b = blake2b_rotate(b ^ c, 24); \\
        a += b + word[second]; d = blake2b_rotate(d ^ a, 16); c += d; b = blake2b_rotate(b ^ c, 63);

    /* Written out, so that the order of words is known to the compiler and nothing is looked up. */
    #define BLAKE2B_ROUND(number) \\
        BLAKE2B_MIX(v[0], v[4], v[8], v[12], blake2b_order[number][0], blake2b_order[number][1]) \\
        BLAKE2B_MIX(v[1], v[5], v[9], v[13], blake2b_order[number][2], blake2b_order[number][3]) \\
        BLAKE2B_MIX(v[2], v[6], v[10], v[14], blake2b_order[number][4], blake2b_order[number][5]) \\
        BLAKE2B_MIX(v[3], v[7], v[11], v[15], blake2b_order[number][6], blake2b_order[number][7]) \\
        BLAKE2B_MIX(v[0], v[5], v[10], v[15], blake2b_order[number][8], blake2b_order[number][9]) \\
        BLAKE2B_MIX(v[1], v[6], v[11], v[12], blake2b_order[number][10], blake2b_order[number][11]) \\
        BLAKE2B_MIX(v[2], v[7], v[8], v[13], blake2b_order[number][12], blake2b_order[number][13]) \\
        BLAKE2B_MIX(v[3], v[4], v[9], v[14], blake2b_order[number][14], blake2b_order[number][15])

    static void blake2b_compress(blake2b_state *state, const uint8_t *block, uint64_t last) {
        uint64_t word[16], v[16];
        for (int at = 0; at < 16; at++)
            word[at] = blake2b_load(block + 8 * at);
        memcpy(v, state->chained, 64);
        memcpy(v + 8, blake2b_start, 64);
        v[12] ^= state->counted;
        v[14] ^= last;
        BLAKE2B_ROUND(0) BLAKE2B_ROUND(1) BLAKE2B_ROUND(2) BLAKE2B_ROUND(3) BLAKE2B_ROUND(4) BLAKE2B_ROUND(5)
        BLAKE2B_ROUND(6) BLAKE2B_ROUND(7) BLAKE2B_ROUND(8) BLAKE2B_ROUND(9) BLAKE2B_ROUND(0) BLAKE2B_ROUND(1)
        for (int at = 0; at < 8; at++)
            state->chained[at] ^= v[at] ^ v[at + 8];
    }

    /* A full block stays open until more follows: only then is it known not to be the last. */
    static void blake2b_absorb(blake2b_state *state, const uint8_t *data, size_t length) {
        while (length > 0) {
            if (state->filled == BLAKE2B_BLOCK) {
                state->counted += BLAKE2B_BLOCK;
                blake2b_compress(state, state->block, 0);
                state->filled = 0;
            }
            if (state->filled == 0)
                for (; length > BLAKE2B_BLOCK; data += BLAKE2B_BLOCK, length -= BLAKE2B_BLOCK) {
                    state->counted += BLAKE2B_BLOCK;
                    blake2b_compress(state, data, 0);
                }
            size_t room = BLAKE2B_BLOCK - state->filled, taken = length < room ? length : room;
            memcpy(state->block + state->filled, data, taken);
            state->filled += taken, data += taken, length -= taken;
        }
    }

    /* out_length: 1 to 64. */
    static inline void blake2b_c(uint8_t *out, size_t out_length, const uint8_t *part1, size_t length1,
                                 const uint8_t *part2, size_t length2) {
        blake2b_state state = {.counted = 0, .filled = 0};
        memcpy(state.chained, blake2b_start, 64);
        state.chained[0] ^= 0x01010000u ^ out_length;
        blake2b_absorb(&state, part1, length1);
        blake2b_absorb(&state, part2, length2);
        memset(state.block + state.filled, 0, BLAKE2B_BLOCK - state.filled);
        state.counted += state.filled;
        blake2b_compress(&state, state.block, ~(uint64_t)0);
        for (size_t at = 0; at < out_length; at++)
            out[at] = (uint8_t)(state.chained[at / 8] >> (8 * (at % 8)));
    }
    """
    void blake2b_c(uint8_t *out, size_t out_length, const uint8_t *part1, size_t length1,
                   const uint8_t *part2, size_t length2) noexcept nogil


cdef enum:
    # Longer messages are hashed without the GIL: below, handing it over costs more than the hash.
    BLAKE2B_HELD_BYTES_MAX = 65_536


cdef inline bytes blake2b_pair(bytes first, bytes second):
    cdef uint8_t out[16]
    cdef const uint8_t *part1 = <const uint8_t*><const char*>first
    cdef const uint8_t *part2 = <const uint8_t*><const char*>second
    cdef size_t length1 = len(first), length2 = len(second)
    if length1 + length2 <= BLAKE2B_HELD_BYTES_MAX:
        blake2b_c(out, 16, part1, length1, part2, length2)
    else:
        with nogil:
            blake2b_c(out, 16, part1, length1, part2, length2)
    return (<char*>out)[:16]


def blake2b128(bytes first not None, bytes second not None):
    """Compute BLAKE2b of two parts in a row, to 16 bytes."""
    return blake2b_pair(first, second)


def chain_digest(bytes previous not None, bytes record not None):
    """Compute the digest of a history that one more record continues."""
    return blake2b_pair(previous, record)
