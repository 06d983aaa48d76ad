from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphnas.errors import CorruptFile, UnsafeFile
from graphnas.pickles import PlainReader

NUMBERS = np.arange(24).reshape(2, 3, 4)
ARRAYS = {
    "bytes": NUMBERS.astype(np.uint8),
    "large": np.arange(5000, dtype=np.int32),
    "floats": NUMBERS / 7,
    "halves": NUMBERS.astype(np.float16),
    "booleans": NUMBERS % 3 == 0,
    "by columns": np.asfortranarray(NUMBERS.astype(np.int16)[0]),
    "big endian": NUMBERS.astype(">i4"),
    "strided": NUMBERS[:, ::2, 1:],
    "transposed": NUMBERS.transpose(2, 0, 1),
    "no axes": np.array(2.5),
    "nothing": np.empty((3, 0), dtype=np.float32),
}
# What cPickle of Python 2 writes for {"data": array([[1, 200], [3, 4]], dtype=uint8), "labels": [1, 1000]}.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85q\x05"
    b"U\x01bq\x06\x87q\x07Rq\x08(K\x01K\x02K\x02\x86q\tcnumpy\ndtype\nq\nU\x02u1q\x0bK\x00K\x01\x87q\x0cRq\r(K\x03"
    b"U\x01|q\x0eNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0fb\x89U\x04\x01\xc8\x03\x04q\x10tq\x11b"
    b"U\x06labelsq\x12]q\x13(K\x01M\xe8\x03eu."
)


def read(data: bytes) -> Any:
    return PlainReader(io.BytesIO(data), "a.pickle").read()


def same(got: Any, wanted: np.ndarray) -> bool:
    return (
        type(got) is np.ndarray
        and (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        and np.array_equal(got, wanted)
        and got.flags.f_contiguous == wanted.flags.f_contiguous
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_numbers(name: str, protocol: int) -> None:
    data = pickle.dumps({"a": ARRAYS[name], "b": 1}, protocol=protocol)
    got = read(data)
    assert same(got["a"], pickle.loads(data)["a"]) and np.array_equal(got["a"], ARRAYS[name]) and got["b"] == 1


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_module_paths_of_numpy_before_2(protocol: int) -> None:
    data = pickle.dumps([ARRAYS["bytes"], ARRAYS["floats"]], protocol=protocol)
    for new, old in (
        (b"numpy._core.multiarray", b"numpy.core.multiarray"),
        (b"numpy._core.numeric", b"numpy.core.numeric"),
    ):
        length = (bytes([len(new)]), bytes([len(old)]))  # protocol 4 writes it before the name
        data = data.replace(length[0] + new, length[1] + old).replace(new, old)
    assert b"_core" not in data
    assert all(same(got, wanted) for got, wanted in zip(read(data), (ARRAYS["bytes"], ARRAYS["floats"]), strict=True))


def test_python_2() -> None:
    got = read(PYTHON_2)
    wanted = pickle.loads(PYTHON_2, encoding="latin1")
    assert list(got) == ["data", "labels"] and got["labels"] == wanted["labels"] == [1, 1000]
    assert same(got["data"], wanted["data"]) and got["data"].tolist() == [[1, 200], [3, 4]]


def test_long_strings_of_python_2() -> None:
    assert read(b"\x80\x02T\x00\x01\x00\x00" + bytes(range(256)) + b".") == bytes(range(256)).decode("latin-1")


def test_bytearrays() -> None:
    got = read(pickle.dumps(bytearray(b"abc"), protocol=5))
    assert type(got) is bytearray and got == b"abc"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_array_met_twice_is_one_array(protocol: int) -> None:
    array = ARRAYS["large"]
    got = read(pickle.dumps([array, {"again": array}, ARRAYS["floats"]], protocol=protocol))
    assert got[0] is got[1]["again"] and same(got[0], array) and same(got[2], ARRAYS["floats"])


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_bytes_of_an_array_are_held_once(protocol: int) -> None:
    arrays = [np.full(5000, number, dtype=np.uint8) for number in range(30)]
    reader = PlainReader(io.BytesIO(pickle.dumps(arrays, protocol=protocol)), "a")
    got = reader.read()
    assert all(same(array, wanted) for array, wanted in zip(got, arrays, strict=True))
    assert not any(isinstance(entry, bytes | str) and len(entry) >= 5000 for entry in reader.memo)
    assert all(isinstance(array.base, bytes) for array in got)


class Attack:
    """Removes a file when an ordinary unpickler meets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.remove, (str(self.path),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_objects_in_arrays_are_refused(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    for values in ([Attack(victim)], [1, "a"]):
        with pytest.raises(UnsafeFile, match=r"a\.pickle: (the pickle holds values of type 'O8'|.* asks for posix)"):
            read(pickle.dumps(np.array(values, dtype=object), protocol=protocol))
    assert victim.exists()


@pytest.mark.parametrize("dtype", ["S3", "U2", "M8[s]", "c16", "V4", [("a", "i4"), ("b", "O")]])
def test_other_types_are_refused(dtype: Any) -> None:
    with pytest.raises(UnsafeFile, match=r"a\.pickle: the pickle holds values of type '\w+', where only numbers are"):
        read(pickle.dumps(np.zeros(2, dtype=dtype), protocol=4))


@pytest.mark.parametrize(
    "change",
    [
        (b"K\x02K\x02\x86", b"K\x02K\x03\x86"),  # more numbers than bytes
        (b"K\x02K\x02\x86", b"K\x01K\x02\x86"),  # fewer
        (b"K\x02K\x02\x86", b"J\xfe\xff\xff\xffJ\xfe\xff\xff\xff\x86"),  # a negative size
        (b"K\x02K\x02\x86", b"NK\x02\x86"),
        (b"U\x02u1", b"U\x02i2"),
        (b"\x89U\x04\x01\xc8\x03\x04q\x10", b"\x89K\x00"),  # no bytes
        (b"\x89U\x04\x01\xc8\x03\x04q\x10", b"\x89]K\x01a"),  # a list, as arrays of objects have
        (b"cnumpy\nndarray\nq\x04", b"K\x05q\x04"),  # an array of another class
        (b"tq\x11b", b"tq\x11bK\x01b"),  # a number as state
        (b"tq\x11b", b"tq\x11bh\x11b"),  # its state once more
    ],
)
def test_states_that_make_no_sense(change: tuple[bytes, bytes]) -> None:
    data = PYTHON_2.replace(*change)
    assert data != PYTHON_2
    with pytest.raises(CorruptFile, match=r"a\.pickle: a damaged pickle"):
        read(data)


def test_the_class_of_arrays_cannot_be_called() -> None:
    with pytest.raises(CorruptFile, match="a call of numpy.ndarray"):
        read(b"\x80\x02cnumpy\nndarray\nJ\x00\x00\x00\x7f\x85\x85R.")
    with pytest.raises(UnsafeFile, match=r"asks for numpy\.matrix"):
        read(PYTHON_2.replace(b"cnumpy\nndarray", b"cnumpy\nmatrix"))


@pytest.mark.parametrize("arguments", ["[bytearray(8), dtype, (2,), 'A']", "[None, dtype, (2,), 'C']"])
def test_buffers_that_make_no_sense(arguments: str) -> None:
    order = b"\x8c\x01A" if "'A'" in arguments else b"\x8c\x01C"
    raw = b"N" if "None" in arguments else b"\x96" + (8).to_bytes(8, "little") + bytes(8)
    dtype = b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02i4\x89\x88\x87R"
    data = b"\x80\x05\x8c\x12numpy.core.numeric\x8c\x0b_frombuffer\x93(" + raw + dtype + b"K\x02\x85" + order + b"tR."
    with pytest.raises(CorruptFile, match="bytes and an order were expected"):
        read(data)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_truncation_and_many_flips_end_in_our_errors(protocol: int) -> None:
    data = pickle.dumps([ARRAYS["bytes"], ARRAYS["floats"][0], ARRAYS["big endian"][0, 0]], protocol=protocol)
    for end in range(len(data)):
        with pytest.raises(CorruptFile):
            read(data[:end])
    generator = np.random.default_rng(protocol)
    refused = 0
    for _ in range(500):
        broken = bytearray(data)
        broken[generator.integers(len(data))] = generator.integers(256)
        try:
            read(bytes(broken))
        except CorruptFile:
            refused += 1
    assert refused > 50
