"""The metrics message of NAS-Bench-101, decoded from its protobuf bytes without protobuf.

    ModelMetrics    1 repeated EvaluationData | 2 int32 trainable_parameters | 3 double total_time
    EvaluationData  1 double current_epoch | 2 double training_time | 3 double train_accuracy | 4 double
    validation_accuracy
                    5 double test_accuracy | 6 string checkpoint_path

Nearly all messages have one layout: three evaluations of five doubles, then the other two fields. Those are decoded
together as one structured array; the rest goes field by field.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FIELDS = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
EVALUATIONS = 3
DOUBLE = struct.Struct("<d")
_EVALUATION = np.dtype(
    [
        ("tag", "u1"),
        ("size", "u1"),
        *((f"{kind}{k}", code) for k in range(5) for kind, code in (("key", "u1"), ("value", "<f8"))),
    ]
)
_HEAD = np.dtype([("evaluations", _EVALUATION, EVALUATIONS), ("parameters_key", "u1")])
_TAIL = np.dtype([("time_key", "u1"), ("time", "<f8")])
_KEYS = {"tag": 0x0A, "size": 45, "key0": 0x09, "key1": 0x11, "key2": 0x19, "key3": 0x21, "key4": 0x29}


class Metrics(NamedTuple):
    """B decoded messages.

    Attributes:
        evaluations: float64 [B, 3, 5], in the order of `FIELDS`: before training, half-way, after the last epoch.
        parameters: int64 [B].
        total_time: float64 [B], seconds with evaluation.
    """

    evaluations: NDArray[np.float64]
    parameters: NDArray[np.int64]
    total_time: NDArray[np.float64]


class BadMessage(ValueError):
    """A message that cannot be decoded; `index` is its place in the batch."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def decode(messages: Sequence[bytes]) -> Metrics:
    """All messages at once.

    Raises:
        BadMessage: the first message that is cut, has another wire type, or not three complete evaluations.
    """
    shortest = _HEAD.itemsize + 1 + _TAIL.itemsize
    long_enough = [message if len(message) >= shortest else bytes(shortest) for message in messages]
    heads = np.frombuffer(b"".join([message[: _HEAD.itemsize] for message in long_enough]), dtype=_HEAD)
    tails = np.frombuffer(b"".join([message[-_TAIL.itemsize :] for message in long_enough]), dtype=_TAIL)
    parameters = [_lone_varint(message[_HEAD.itemsize : -_TAIL.itemsize]) for message in long_enough]
    evaluations = heads["evaluations"]
    usual = (heads["parameters_key"] == 0x10) & (tails["time_key"] == 0x19) & (np.array(parameters) >= 0)
    for name, key in _KEYS.items():
        usual &= (evaluations[name] == key).all(1)
    result = Metrics(
        np.stack([evaluations[f"value{k}"] for k in range(5)], axis=2),
        np.array(parameters, dtype=np.int64),
        tails["time"].astype(np.float64),
    )
    for index in np.flatnonzero(~usual).tolist():
        try:
            result.evaluations[index], result.parameters[index], result.total_time[index] = decode_one(messages[index])
        except ValueError as error:
            raise BadMessage(index, str(error)) from None
    return result


def decode_one(message: bytes) -> tuple[list[list[float]], int, float]:
    """Evaluations, parameters and total time of a message with any order of fields.

    Raises:
        ValueError: saying what is wrong with it.
    """
    evaluations: list[list[float]] = []
    parameters, total_time = -1, float("nan")
    for number, value in fields(message):
        if number == 1 and isinstance(value, bytes):
            found = {inner: entry for inner, entry in fields(value) if isinstance(entry, float)}
            evaluations.append([found.get(inner, float("nan")) for inner in range(1, 6)])
        elif number == 2 and isinstance(value, int):
            parameters = value
        elif number == 3 and isinstance(value, float):
            total_time = value
    if len(evaluations) != EVALUATIONS or any(value != value for row in evaluations for value in row):
        raise ValueError(f"a message has 3 evaluations of 5 numbers (got {evaluations})")
    if parameters < 0 or total_time != total_time:
        raise ValueError("a message has trainable_parameters and total_time (got neither or only one of them)")
    return evaluations, parameters, total_time


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """(number, value) of every field: varints as int, 64-bit fields as float, length-delimited ones as bytes.

    Raises:
        ValueError: a field that is cut or of another wire type.
    """
    position = 0
    while position < len(message):
        key, position = read_varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = read_varint(message, position)
            yield number, value
            continue
        if wire not in (1, 2):
            raise ValueError(f"field {number} has the wire type {wire}, expected 0, 1 or 2")
        size, position = (8, position) if wire == 1 else read_varint(message, position)
        raw = message[position : position + size]
        if len(raw) < size:
            raise ValueError(f"field {number} is cut: {len(raw)} of its {size} bytes are there")
        position += size
        yield number, DOUBLE.unpack(raw)[0] if wire == 1 else raw


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A base-128 integer and the position after it.

    Raises:
        ValueError: an integer that is cut or longer than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("an integer is cut")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("an integer is longer than 64 bits")


@lru_cache(maxsize=65536)
def _lone_varint(data: bytes) -> int:
    """The integer that fills `data` exactly, or -1."""
    try:
        value, end = read_varint(data, 0)
    except ValueError:
        return -1
    return value if end == len(data) and value < 2**31 else -1
