"""CRC-32C (Castagnoli): the checksum that seals every stored value.

Rules: the reflected polynomial 0x82F63B78 over bytes, the register inverted before and after, as iSCSI has it
(RFC 3720, appendix B.4). The checksum of a whole is the checksum of its last part carried on from the parts
before. It finds damage, not malice: what an adversary could forge goes through `siphash.py` or `chain.py`.
What is sealed, and with which key in front, is not here. The compiled twin is `ext/crc32c.pxi`.
"""

from __future__ import annotations

from typing import Final

POLYNOMIAL: Final = 0x82F63B78


def remainder(byte: int) -> int:
    """Divide one byte by the polynomial, lowest bit first."""
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


REMAINDERS: Final = tuple(remainder(byte) for byte in range(256))


def crc32c(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """Compute the CRC-32C of bytes.

    Args:
        data: Any contiguous buffer; read as bytes, whatever its items are.
        value: The checksum of what stands before `data`, 0 at the start.

    Returns:
        32 bits: `crc32c(b, crc32c(a)) == crc32c(a + b)`.

    Raises:
        OverflowError: `value` is not a u32.
    """
    if not 0 <= value <= 0xFFFFFFFF:
        message = f"A checksum is 32 bits, which {value} is not."
        raise OverflowError(message)
    register = value ^ 0xFFFFFFFF
    for byte in memoryview(data).cast("B"):
        register = register >> 8 ^ REMAINDERS[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF
