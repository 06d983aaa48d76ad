"""What can be told about a function without running it: stored results are found again by this."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from types import CodeType
from typing import Any


def describe(function: Callable[..., Any] | None) -> str:
    """Text that is the same in every process and changes with the code of a function or the settings of an object.

    It covers name, bytecode, constants, defaults and captured values of a function, and class, printed form and
    attributes of any other callable; not what they call in turn.
    """
    if function is None:
        return ""
    code = getattr(function, "__code__", None)
    if code is None:
        parts = [type(function).__module__, type(function).__qualname__, function, getattr(function, "__dict__", {})]
    else:
        captured = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
        parts = [function.__module__, function.__qualname__, *_code(code), function.__defaults__, captured]
    text = "|".join(re.sub(r" at 0x[0-9a-f]+", "", str(part)) for part in parts)
    return sha256(text.encode()).hexdigest()


def _code(code: CodeType) -> list[Any]:
    inner = [_code(constant) if isinstance(constant, CodeType) else constant for constant in code.co_consts]
    return [code.co_code.hex(), code.co_names, inner]
