from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from graphnas.tables.wire import BadMessage, decode, decode_one, read_varint

EVALUATION = b"".join(struct.pack("<Bd", key, key / 2) for key in b"\x09\x11\x19\x21\x29")
VALUES = [4.5, 8.5, 12.5, 16.5, 20.5]
USUAL = 3 * (b"\x0a\x2d" + EVALUATION) + b"\x10\xca\x97\x8a\x04" + b"\x19" + struct.pack("<d", 413.5)


def test_usual_layout() -> None:
    metrics = decode([USUAL, USUAL])
    assert metrics.evaluations.shape == (2, 3, 5)
    assert np.array_equal(metrics.evaluations, np.tile(VALUES, (2, 3, 1)))
    assert metrics.parameters.tolist() == [8555466, 8555466]
    assert metrics.total_time.tolist() == [413.5, 413.5]


def test_checkpoint_path_and_other_orders_of_fields_are_read_too() -> None:
    with_path = EVALUATION + b"\x32\x05model"
    unusual = b"\x10\x07\x19" + struct.pack("<d", 1.25) + 3 * (b"\x0a" + bytes([len(with_path)]) + with_path)
    metrics = decode([USUAL, unusual, USUAL])
    assert metrics.parameters.tolist() == [8555466, 7, 8555466]
    assert metrics.evaluations[1].tolist() == [VALUES] * 3
    assert metrics.total_time[1] == 1.25


@pytest.mark.parametrize(
    ("number", "data"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (2**63, b"\x80" * 9 + b"\x01")],
)
def test_varints(number: int, data: bytes) -> None:
    assert read_varint(data + b"rest", 0) == (number, len(data))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (USUAL[:-1], "cut"),
        (USUAL[:100], "cut"),
        (USUAL[47:], "3 evaluations of 5 numbers"),
        (USUAL[:47] + USUAL, "3 evaluations of 5 numbers"),
        (USUAL[:-9], "trainable_parameters and total_time"),
        (USUAL[:141] + USUAL[146:], "trainable_parameters and total_time"),
        (b"\x0d\x00\x00\x00\x00" + USUAL, "wire type 5"),
        (USUAL[:142] + b"\xff" * 11 + USUAL[146:], "longer than 64 bits"),
        (b"", "3 evaluations"),
        (3 * (b"\x0a\x24" + EVALUATION[:36]) + USUAL[141:], "3 evaluations of 5 numbers"),
    ],
)
def test_bad_messages_say_which_and_why(message: bytes, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason) as caught:
        decode([USUAL, message])
    assert caught.value.index == 1


def test_both_ways_of_decoding_agree(official_record: dict[str, Any]) -> None:
    evaluations, parameters, total_time = decode_one(USUAL)
    metrics = decode([USUAL])
    assert metrics.evaluations[0].tolist() == evaluations
    assert (metrics.parameters[0], metrics.total_time[0]) == (parameters, total_time)
