from __future__ import annotations

import random

import pytest

from graphnas.tables.crc32c import crc32c, crc32c_many, mask, mask_many


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        (b"123456789", 0xC78AB0E5),
        ((10).to_bytes(8, "little"), 0x3ABFA3AE),
        (b"0123456789", 0xAFBF3AF0),
        ((401).to_bytes(8, "little"), 0x9BED2598),
    ],
)
def test_published_vectors(data: bytes, masked: int) -> None:
    assert mask(crc32c(data)) == masked
    assert mask_many(crc32c_many([data])).tolist() == [masked]


def test_unmasked_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_many_strings_of_all_lengths_agree_with_one_by_one() -> None:
    random.seed(0)
    strings = [random.randbytes(random.randint(0, 70)) for _ in range(500)]
    assert crc32c_many(strings).tolist() == [crc32c(string) for string in strings]


def test_no_strings() -> None:
    assert crc32c_many([]).tolist() == []
    assert crc32c_many([b"", b""]).tolist() == [0, 0]
