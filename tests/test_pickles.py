from __future__ import annotations

import io
import os
import pickle
import pickletools
from collections import OrderedDict, deque
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from graphnas.errors import CorruptFile, UnsafeFile
from graphnas.pickles import PlainReader

PLAIN = {
    "numbers": [0, 1, 255, 256, 65536, -1, 2**31, -(2**40), 10**30, True, False, None, 0.1, float("inf")],
    "text": ["", "a", "é" * 300, "\ud800"],
    "bytes": [b"", b"\x00\xff", b"x" * 300],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "sets": {1, 2, 3},
    "many": {number: -number / 3 for number in range(2500)},
    "long": list(range(2500)),
    "ordered": OrderedDict([("b", 1), ("a", 2)]),
    ("cifar10", 777): {"nested": [{}, []]},
}
SCALARS = [np.float64(0.1), np.float32(0.1), np.int64(-5), np.int32(7), np.bool_(True), np.float16(2), np.uint8(200)]


def read(data: bytes) -> Any:
    return PlainReader(io.BytesIO(data), "a.pickle").read()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data(protocol: int) -> None:
    data = pickle.dumps(PLAIN, protocol=protocol)
    assert read(data) == PLAIN
    assert read(pickletools.optimize(data)) == PLAIN


@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_scalars_become_numbers(protocol: int) -> None:
    values = read(pickle.dumps(SCALARS, protocol=protocol))
    assert values == [scalar.item() for scalar in SCALARS]
    assert {type(value) for value in values} <= {float, int, bool}


def test_module_path_of_numpy_before_2() -> None:
    data = pickle.dumps(SCALARS, protocol=2)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != data
    assert read(old) == read(data)


def test_big_endian_scalars() -> None:
    assert read(pickle.dumps(np.dtype(">f8").type(1.5).astype(">f8"), protocol=4)) == 1.5
    swapped = np.array([1.5], dtype=">f8")[0]
    assert read(pickle.dumps(swapped, protocol=4)) == 1.5


def test_shared_and_repeated_objects() -> None:
    shared = np.float64(2.5)
    text = "x-valid@199"
    data = [shared, shared, {text: shared}, {text: 1}]
    assert read(pickle.dumps(data, protocol=4)) == [2.5, 2.5, {text: 2.5}, {text: 1}]


def test_callback_may_empty_what_it_has_used() -> None:
    seen: list[int] = []

    def finished(entry: dict[Any, Any]) -> None:
        if "values" in entry:
            seen.append(sum(entry["values"].values()))
            entry.clear()

    data = pickle.dumps({key: {"values": {0: key, 1: 2 * key}} for key in range(5)}, protocol=4)
    assert PlainReader(io.BytesIO(data), "a", finished).read() == {key: {} for key in range(5)}
    assert seen == [0, 3, 6, 9, 12]


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_numbers_were_made_from_is_freed_but_not_what_others_share(protocol: int) -> None:
    data = [np.bool_(True), np.bool_(True), np.int8(97), np.int8(97), "a", b"a", b"\x01", np.int16(5), np.int16(5)]
    data += [np.float64(number) for number in range(50)]
    reader = PlainReader(io.BytesIO(pickle.dumps(data, protocol=protocol)), "a")
    assert reader.read() == data
    kept = [entry for entry in reader.memo if isinstance(entry, bytes | str | tuple) and len(entry) > 1]
    assert len(kept) <= 16  # names and descriptions of types, nothing of the 50 numbers


def test_several_pickles_in_one_stream() -> None:
    stream = io.BytesIO(pickle.dumps(1, protocol=2) + pickle.dumps("two", protocol=2) + b"rest")
    assert [PlainReader(stream, "a").read() for _ in range(2)] == [1, "two"]
    assert stream.read() == b"rest"


def test_tensors_are_left_out() -> None:
    buffer = io.BytesIO()
    torch.save({"weights": torch.ones(3), "accuracy": 90.5}, buffer, _use_new_zipfile_serialization=False)
    buffer.seek(0)
    objects = [PlainReader(buffer, "a").read() for _ in range(4)]
    assert objects[-1] == {"weights": None, "accuracy": 90.5}


class Attack:
    """Removes a file when an ordinary unpickler meets it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.remove, (self.path,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nothing_is_executed(tmp_path: Any, protocol: int) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    module = os.remove.__module__
    with pytest.raises(UnsafeFile, match=rf"a.pickle: the pickle asks for {module}\.(remove|unlink)"):
        read(pickle.dumps({"arch": Attack(str(victim))}, protocol=protocol))
    assert victim.exists()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (deque([1]), "collections.deque"),
        (np.random.RandomState(0), r"numpy\.random\._pickle\.\w+"),
        (np.ma.ones(3), r"numpy\.ma\.core\.\w+"),
        (partial(int), "functools.partial"),
        (len, r"builtins\.len"),
        (Exception("x"), r"builtins\.Exception"),
        (io.BytesIO(), "_io.BytesIO"),
    ],
)
def test_other_names_are_refused_by_name(value: object, name: str) -> None:
    with pytest.raises(UnsafeFile, match=f"asks for {name}"):
        read(pickle.dumps([value], protocol=4))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x80\x02(S'id'\niposix\nsystem\n.", "STRING"),
        (b"\x80\x02(iposix\nsystem\n.", "INST"),
        (b"\x80\x04)\x81.", "NEWOBJ"),
        (b"\x80\x02(o.", "OBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02Pabc\n.", "PERSID"),
        (b"\xff", r"b'\\xff'"),
    ],
)
def test_other_instructions_are_refused(data: bytes, name: str) -> None:
    with pytest.raises(UnsafeFile, match=name):
        read(data)


def test_state_is_set_for_nothing() -> None:
    with pytest.raises(UnsafeFile, match="state of a list"):
        read(b"\x80\x02]}q\x00X\x01\x00\x00\x00ak\x01sb.".replace(b"k\x01", b"K\x01"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02G\x00.",
        b"\x80\x02X\xff\xff\xff\xff",
        b"\x80\x02X\x05\x00\x00\x00abc",
        b"\x80\x02h\x07.",
        b"\x80\x02K\x01K\x02s.",
        b"\x80\x02(u.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02}(]K\x01u.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02]r\xff\xff\xff\x7f.",
        b"\x80\x02u.",
    ],
)
def test_damaged_streams(data: bytes) -> None:
    with pytest.raises(CorruptFile, match="a.pickle: a damaged pickle"):
        read(data)


def test_every_truncation_and_many_flips_end_in_our_errors() -> None:
    data = pickle.dumps([PLAIN["text"], SCALARS, PLAIN["ordered"], {("a", 1): [0.5]}], protocol=4)
    generator = np.random.default_rng(0)
    for end in range(len(data)):
        with pytest.raises(CorruptFile):
            read(data[:end])
    refused = 0
    for _ in range(500):
        broken = bytearray(data)
        broken[generator.integers(len(data))] = generator.integers(256)
        try:
            read(bytes(broken))
        except CorruptFile:
            refused += 1
    assert refused > 100
