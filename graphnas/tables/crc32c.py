"""CRC-32C (Castagnoli) and its masked form, for one string or for thousands of records at once.

Reflected polynomial 0x82F63B78, initial and final value 0xFFFFFFFF; the mask of the TFRecord format rotates the
checksum right by 15 bits and adds 0xA282EAD8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
ALL_ONES = 0xFFFFFFFF
MASK_DELTA = 0xA282EAD8


@cache
def _tables() -> NDArray[np.uint32]:
    """uint32 [4, 256]: row k advances the checksum of a byte by k further zero bytes (slicing by four)."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, (first >> 1) ^ np.uint32(POLYNOMIAL), first >> 1)
    rows = [first]
    for _ in range(3):
        rows.append(first[rows[-1] & 0xFF] ^ (rows[-1] >> 8))
    return np.stack(rows)


@cache
def _byte_table() -> tuple[int, ...]:
    return tuple(int(entry) for entry in _tables()[0])


def crc32c(data: bytes) -> int:
    """Checksum of one byte string; a Python loop, meant for a few bytes."""
    table, crc = _byte_table(), ALL_ONES
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ ALL_ONES


def mask(crc: int) -> int:
    """The form in which a TFRecord stores a checksum."""
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & ALL_ONES


def crc32c_many(strings: Sequence[bytes]) -> NDArray[np.uint32]:
    """Checksums of many byte strings: uint32 [B], four bytes of all strings per step."""
    lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    order = np.argsort(-lengths, kind="stable")
    width = -(-int(lengths.max(initial=0)) // 4) * 4
    padded = b"".join([strings[row].ljust(width, b"\0") for row in order.tolist()])
    words = np.frombuffer(padded, dtype="<u4").reshape(len(strings), width // 4).T.copy()  # [steps, B]
    descending = -lengths[order]
    crc = np.full(len(strings), ALL_ONES, dtype=np.uint32)
    zero, one, two, three = _tables()
    for step, word in enumerate(words):
        whole = int(np.searchsorted(descending, -(4 * step + 4), side="right"))  # strings that own all four bytes
        mixed = crc[:whole] ^ word[:whole]
        crc[:whole] = three[mixed & 0xFF] ^ two[(mixed >> 8) & 0xFF] ^ one[(mixed >> 16) & 0xFF] ^ zero[mixed >> 24]
        for byte in range(3):
            owners = slice(whole, int(np.searchsorted(descending, -(4 * step + byte + 1), side="right")))
            index = (crc[owners] ^ (word[owners] >> (8 * byte))) & 0xFF
            crc[owners] = zero[index] ^ (crc[owners] >> 8)
    result = np.empty_like(crc)
    result[order] = crc ^ np.uint32(ALL_ONES)
    return result


def mask_many(crc: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Masked form of many checksums."""
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(MASK_DELTA)
