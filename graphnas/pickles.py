"""Plain data out of a pickle without executing it.

A pickle is a program for a stack machine. This reader runs the part of that program that builds numbers, text,
containers, NumPy scalars and NumPy arrays of numbers. It imports nothing and calls nothing the file names: every name
stands in a table below and is answered by a constructor written here; any other name, and every instruction that would
make an object, ends the reading.

Strings of Python 2, which held text as well as bytes, become text, read as Latin-1.

It reads as a stream. A callback sees each finished dictionary and may empty it, so that a file whose objects would fill
tens of gigabytes is read in what the callback keeps. Tensors are left out: their place holds None.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from graphnas.errors import CorruptFile, GraphnasError, UnsafeFile
from graphnas.pickle_arrays import CONSTRUCTORS as NUMBERS
from graphnas.pickle_arrays import DType, NotNumbers, encode_latin1, scalar, set_array

_NAMES = {code.code.encode("latin-1"): code.name for code in pickletools.opcodes}
_U8, _U16, _U32, _I32, _U64, _F64 = (struct.Struct(code) for code in ("B", "<H", "<I", "<i", "<Q", ">d"))
LONGEST = 1 << 28  # bytes of one string; more is a damaged length
LARGEST_GAP = 1 << 20
_DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, EOFError, OSError, struct.error)
Hook = Callable[[dict[Any, Any]], None]
_STORAGES = ("Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte", "Bool")
_CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    **NUMBERS,
    "collections.OrderedDict": dict,
    "builtins.set": set,
    "__builtin__.set": set,
    "__builtin__.bytes": lambda: b"",  # empty bytes in protocol 2
    "torch._utils._rebuild_tensor": lambda *description: None,
    "torch._utils._rebuild_tensor_v2": lambda *description: None,
    **{f"torch.{kind}Storage": lambda *description: None for kind in _STORAGES},
}
_KNOWN = frozenset(_CONSTRUCTORS.values())


class PlainReader:
    """One pickle of protocol 2 to 5.

    Args:
        stream: buffered binary stream at the start of a pickle; it is left right behind its end.
        source: name of the file, for messages.
        finished: called with every dictionary when entries were added to it.
    """

    def __init__(self, stream: BinaryIO, source: str, finished: Hook | None = None) -> None:
        self.stream, self.source, self.finished = stream, source, finished
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: list[Any] = []

    def read(self) -> Any:
        """The object in the pickle.

        Raises:
            UnsafeFile: naming the first global or instruction that is more than plain data.
            CorruptFile: a stream that ends early or makes no sense.
        """
        try:
            return self._run()
        except NotNumbers as error:
            raise UnsafeFile(f"{self.source}: {error}; nothing of it was executed") from error
        except _DAMAGE as error:
            if isinstance(error, GraphnasError):
                raise
            raise CorruptFile(f"{self.source}: a damaged pickle ({type(error).__name__}: {error})") from error

    def _run(self) -> Any:
        read, run, unpack_float, unpack_place = self.stream.read, _INSTRUCTIONS, _F64.unpack, _U32.unpack
        while True:
            code = read(1)
            if code == b"G":  # nearly all of a benchmark file is floats under small keys
                self.stack.append(unpack_float(read(8))[0])
            elif code == b"K":
                self.stack.append(read(1)[0])
            elif code == b"h":
                self.stack.append(self.memo[read(1)[0]])
            elif code == b"j":
                self.stack.append(self.memo[unpack_place(read(4))[0]])
            elif code == b".":
                return self.stack.pop()
            elif code in run:
                run[code](self)
            elif not code:
                raise EOFError("the stream ends inside a pickle")
            else:
                raise UnsafeFile(
                    f"{self.source}: the pickle uses {_NAMES.get(code, repr(code))}, which plain data does not need; "
                    "nothing of it was executed"
                )

    # -- helpers of the instructions ----------------------------------------------------------------------------
    def take(self, size: int) -> bytes:
        if size > LONGEST:
            raise ValueError(f"a string of {size} bytes")
        data = self.stream.read(size)
        if len(data) < size:
            raise EOFError("the stream ends inside a pickle")
        return data

    def number(self, form: struct.Struct) -> int:
        value: int = form.unpack(self.stream.read(form.size))[0]
        return value

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def items(self) -> list[Any]:
        """Everything above the last mark, taken off the stack."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def put(self, place: int) -> None:
        if place < len(self.memo):
            self.memo[place] = self.stack[-1]
        elif place - len(self.memo) < LARGEST_GAP:  # optimised pickles leave numbers out
            self.memo.extend([None] * (place - len(self.memo)) + [self.stack[-1]])
        else:
            raise ValueError(f"entry {place} of the memo comes after {len(self.memo)}")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise ValueError("entries for something that is not a dictionary")
        target.update(zip(items[::2], items[1::2], strict=True))
        if self.finished is not None:
            self.finished(target)

    def find(self, module: str, name: str) -> None:
        """Puts the constructor that answers for a global on the stack."""
        if f"{module}.{name}" not in _CONSTRUCTORS:
            raise UnsafeFile(
                f"{self.source}: the pickle asks for {module}.{name}, which plain data does not need; "
                "nothing of it was executed"
            )
        self.push(_CONSTRUCTORS[f"{module}.{name}"])

    def reduce(self) -> None:
        arguments = self.stack.pop()
        constructor = self.stack.pop()
        if type(arguments) is not tuple or constructor not in _KNOWN:
            raise ValueError("a call of something that is not a constructor")
        self.push(constructor(*arguments))
        if constructor is scalar:
            self.forget(arguments, arguments[1])
        elif constructor is encode_latin1:
            self.forget(arguments, arguments[0])

    def forget(self, arguments: tuple[Any, ...], raw: str | bytes) -> None:
        """Frees what numbers were made from: fresh for each or each array, and so never referred to again.

        Python keeps only one object for a text or bytes of one character, which may well be met again.
        """
        if self.memo and self.memo[-1] is arguments:
            self.memo[-1] = None
        if len(raw) > 1 and len(self.memo) > 1 and self.memo[-2] is raw:
            self.memo[-2] = None

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, DType):
            target.build(state)
        elif type(target) is np.ndarray:
            set_array(target, state)
            self.forget(state, state[-1])
        elif not (type(target) is dict and not state):
            raise UnsafeFile(
                f"{self.source}: the pickle sets the state of a {type(target).__name__}; it was not executed"
            )

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("elements for something that is not a list")
        target.extend(items)

    def add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise ValueError("members for something that is not a set")
        target.update(items)

    def line(self) -> str:
        return self.stream.readline(1024).rstrip(b"\n").decode("utf-8")

    def top(self, count: int) -> list[Any]:
        """The last `count` values, taken off the stack."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values


_INSTRUCTIONS: dict[bytes, Callable[[PlainReader], Any]] = {
    b"\x80": lambda m: m.number(_U8),  # protocol
    b"\x95": lambda m: m.number(_U64),  # frame
    b"(": PlainReader.mark,
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.items(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number(_I32)),
    b"M": lambda m: m.push(m.number(_U16)),
    b"\x8a": lambda m: m.push(int.from_bytes(m.take(m.number(_U8)), "little", signed=True)),
    b"X": lambda m: m.push(m.take(m.number(_U32)).decode("utf-8", "surrogatepass")),
    b"\x8c": lambda m: m.push(m.take(m.number(_U8)).decode("utf-8", "surrogatepass")),
    b"\x8d": lambda m: m.push(m.take(m.number(_U64)).decode("utf-8", "surrogatepass")),
    b"U": lambda m: m.push(m.take(m.number(_U8)).decode("latin-1")),  # a string of Python 2
    b"T": lambda m: m.push(m.take(m.number(_U32)).decode("latin-1")),
    b"C": lambda m: m.push(m.take(m.number(_U8))),
    b"B": lambda m: m.push(m.take(m.number(_U32))),
    b"\x8e": lambda m: m.push(m.take(m.number(_U64))),
    b"\x96": lambda m: m.push(bytearray(m.take(m.number(_U64)))),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.append(m.top(1)),
    b"e": lambda m: m.append(m.items()),
    b")": lambda m: m.push(()),
    b"t": lambda m: (lambda items: m.push(tuple(items)))(m.items()),
    b"\x85": lambda m: m.push(tuple(m.top(1))),
    b"\x86": lambda m: m.push(tuple(m.top(2))),
    b"\x87": lambda m: m.push(tuple(m.top(3))),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.set_items(m.top(2)),
    b"u": lambda m: m.set_items(m.items()),
    b"\x8f": lambda m: m.push(set()),
    b"\x90": lambda m: m.add(m.items()),
    b"q": lambda m: m.put(m.number(_U8)),
    b"r": lambda m: m.put(m.number(_U32)),
    b"\x94": lambda m: m.memo.append(m.stack[-1]),
    b"c": lambda m: m.find(m.line(), m.line()),
    b"\x93": lambda m: m.find(*m.top(2)),
    b"R": PlainReader.reduce,
    b"b": PlainReader.build,
    b"Q": lambda m: m.push(m.top(1) and None),  # a storage kept elsewhere in the file
}
