"""Which values no cache can hold. Pure."""

from __future__ import annotations

import inspect
import io
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator
from types import AsyncGeneratorType, ModuleType
from typing import Any

from cachewright.errors import Unstorable

_REFUSED: tuple[type, ...] = (
    Generator,
    AsyncGeneratorType,
    Iterator,
    AsyncIterator,
    Awaitable,
    io.IOBase,
    ModuleType,
)
_PLAIN = frozenset({dict, list, str, int, float, bool, bytes, tuple, set, frozenset, type(None)})


def refuse_unstorable(value: Any) -> None:
    """Raise `Unstorable` for what can be used once only or belongs to this process alone."""
    if type(value) not in _PLAIN and isinstance(value, _REFUSED):
        raise Unstorable(
            f"a {type(value).__name__} cannot be cached: it can be used once only. "
            "Return what it yields, for example as a list"
        )


def refuse_generator_function(function: Any) -> None:
    """Raise `Unstorable` for a function whose every result could be used once only."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Unstorable(
            f"{function.__qualname__} is a generator function: what it returns can be used once only. "
            "Cache a function that returns a list"
        )
