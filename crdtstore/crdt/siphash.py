"""SipHash with 128 bits of output: the keyed hash of cells, and of hash tables that callers can fill.

Rules: as published by Aumasson and Bernstein; words are little-endian. Callers assemble a message in a
buffer: there is no incremental form. One round a word and three at the end (SipHash-1-3) are used, as in the
hash tables of several languages: cells are hashed on every write. The published test vectors are of SipHash-2-4,
which is the same code with other counts. Without the key nobody can choose messages that collide; under a key
that everybody knows it is a good checksum and no more. Which messages are hashed under which key is not here.
The compiled twin is `ext/siphash.pxi`.
"""

from __future__ import annotations

from struct import unpack
from typing import Final

KEY_BYTES: Final = 16
WORD: Final = 2**64 - 1
ROUNDS: Final = (1, 3)
ROUNDS_PUBLISHED: Final = (2, 4)

State = tuple[int, int, int, int]


def rotate(word: int, bits: int) -> int:
    """Rotate 64 bits to the left."""
    return (word << bits | word >> 64 - bits) & WORD


def mix(state: State, rounds: int) -> State:
    """Apply the permutation: additions, rotations and exclusive ors over four words."""
    a, b, c, d = state
    for _ in range(rounds):
        a = a + b & WORD
        c = c + d & WORD
        b = rotate(b, 13) ^ a
        d = rotate(d, 16) ^ c
        a = rotate(a, 32)
        c = c + b & WORD
        a = a + d & WORD
        b = rotate(b, 17) ^ c
        d = rotate(d, 21) ^ a
        c = rotate(c, 32)
    return a, b, c, d


def start(key: bytes) -> State:
    """Make the state before the first word; 0xEE marks the 128-bit form."""
    low, high = unpack("<2Q", key)
    return (
        low ^ 0x736F6D6570736575,
        high ^ 0x646F72616E646F6D ^ 0xEE,
        low ^ 0x6C7967656E657261,
        high ^ 0x7465646279746573,
    )


def padded_words(message: bytes) -> tuple[int, ...]:
    """Cut a message into words; the last one ends in the message's length modulo 256."""
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    return unpack(f"<{len(padded) // 8}Q", padded)


def siphash128(key: bytes, data: bytes | bytearray | memoryview, published: bool = False) -> bytes:  # noqa: FBT001, FBT002  as the compiled twin
    """Hash bytes under a key.

    Args:
        key: 16 bytes.
        data: Any contiguous buffer; read as bytes, whatever its items are.
        published: With the rounds of the published vectors.

    Returns:
        16 bytes.

    Raises:
        ValueError: The key is not 16 bytes.
    """
    if len(key) != KEY_BYTES:
        message = f"A SipHash key has {KEY_BYTES} bytes; this one has {len(key)}."
        raise ValueError(message)
    per_word, at_end = ROUNDS_PUBLISHED if published else ROUNDS
    a, b, c, d = start(key)
    for word in padded_words(memoryview(data).tobytes()):
        a, b, c, d = mix((a, b, c, d ^ word), per_word)
        a ^= word
    a, b, c, d = mix((a, b, c ^ 0xEE, d), at_end)
    low = a ^ b ^ c ^ d
    a, b, c, d = mix((a, b ^ 0xDD, c, d), at_end)
    return low.to_bytes(8, "little") + (a ^ b ^ c ^ d).to_bytes(8, "little")
