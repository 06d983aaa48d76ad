"""NumPy numbers and arrays as a pickle describes them, built by constructors written here.

A pickle names functions of NumPy and the arguments to call them with. These stand in for those functions: they accept
numbers of a fixed size (floats, signed and unsigned integers, booleans) and nothing that could hold an object. Every
array is of exactly the bytes that are in the file, so that none is larger than the file.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class NotNumbers(ValueError):
    """Values of a type that is not a plain number, such as objects."""


class DType:
    """A NumPy dtype while it is being described: its code first, its byte order after."""

    def __init__(self, code: str, *flags: object) -> None:
        if not isinstance(code, str) or code[:1] not in tuple("fiub") or not code[1:].isdigit():
            raise NotNumbers(f"the pickle holds values of type {code!r}, where only numbers are read")
        self.dtype = np.dtype(code)

    def build(self, state: tuple[Any, ...]) -> None:
        """Sets the byte order, the second entry of the state."""
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


def scalar(dtype: DType, raw: bytes) -> float | int | bool:
    """A number from its bytes."""
    if len(raw) != dtype.dtype.itemsize:
        raise ValueError(f"a {dtype.dtype} has {dtype.dtype.itemsize} bytes (got {len(raw)})")
    value: float | int | bool = np.frombuffer(raw, dtype=dtype.dtype)[0].item()
    return value


def encode_latin1(text: str, encoding: str = "latin-1") -> bytes:
    """Bytes that were written as text, as Python 2 and protocol 2 do."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes are written as latin1 (got {encoding!r})")
    return text.encode("latin-1")


def array_class(*_: object) -> None:
    """Stands for `numpy.ndarray`, which a pickle may name but not call."""
    raise ValueError("a call of numpy.ndarray")


def empty_array(kind: object, *_: object) -> Array:
    """The array `set_array` fills; answers for `_reconstruct`."""
    if kind is not array_class:
        raise ValueError(f"an array was expected (got {kind!r})")
    return np.empty(0, dtype=np.uint8)


def set_array(array: Array, state: tuple[Any, ...]) -> None:
    """Gives an empty array its shape and numbers, in place, since others may refer to it already.

    The numbers stay where they are: the array keeps the bytes of the state, which the caller should let go.

    Raises:
        ValueError: a state that does not fit itself, or an array that is not empty.
    """
    _, shape, dtype, by_columns, raw = state
    raw = encode_latin1(raw) if isinstance(raw, str) else raw
    if array.size or not isinstance(raw, bytes):
        raise ValueError(f"numbers for an empty array were expected (got {type(raw).__name__} for {array.size})")
    _check_size(dtype, shape, raw)
    checked: Any = (1, shape, dtype.dtype, bool(by_columns), raw)
    array.__setstate__(checked)


def array_of_buffer(
    raw: bytes | bytearray, dtype: DType, shape: tuple[int, ...], order: str, axes: tuple[int, ...] | None = None
) -> Array:
    """An array over the bytes in the file, protocol 5; answers for `_frombuffer`."""
    if not isinstance(raw, bytes | bytearray) or order not in ("C", "F", "K"):
        raise ValueError(f"bytes and an order were expected (got {type(raw).__name__} and {order!r})")
    _check_size(dtype, shape, raw)
    flat: Array = np.frombuffer(raw, dtype.dtype) if raw else np.empty(0, dtype.dtype)
    if order == "K":
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _check_size(dtype: DType, shape: tuple[int, ...], raw: bytes | bytearray) -> None:
    if not isinstance(dtype, DType):
        raise ValueError(f"a number type was expected (got {type(dtype).__name__})")
    if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"a shape was expected (got {shape!r})")
    if prod(shape) * dtype.dtype.itemsize != len(raw):
        raise ValueError(f"{dtype.dtype} numbers of shape {shape} do not fill {len(raw)} bytes")


_MODULES = ("numpy.core", "numpy._core")  # before and since NumPy 2
CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": encode_latin1,
    "numpy.dtype": DType,
    "numpy.ndarray": array_class,
    **{f"{module}.multiarray.scalar": scalar for module in _MODULES},
    **{f"{module}.multiarray._reconstruct": empty_array for module in _MODULES},
    **{f"{module}.numeric._frombuffer": array_of_buffer for module in _MODULES},
}
