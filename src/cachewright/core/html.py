"""Text that says of itself that it is safe HTML, and how a cache holds it. Pure; imports no template engine.

Only what came with `__html__` (Markup, SafeString) goes out with it: a plain text never becomes safe by being cached
(tests/core/test_html.py). What must not be here: escaping, rendering.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import Any

from cachewright.errors import Unstorable

Kept = str | list[str]
"""A fragment as it is stored, in any codec: a plain text as itself, safe HTML as a list that holds it."""


class Html(str):
    """Safe HTML where markupsafe is not installed."""

    __slots__ = ()

    def __html__(self) -> str:
        """Itself, as plain text."""
        return str.__str__(self)


def kept(text: object, *, by: str) -> Kept:
    """What is stored for the text that the function `by` returned. Raises `Unstorable` for what is no text."""
    if type(text) is str:
        return text
    if isinstance(text, str):
        plain = str.__str__(text)
        return [plain] if hasattr(text, "__html__") else plain
    raise Unstorable(f"{by} returned a {type(text).__name__}: a fragment is text or Markup")


def given(stored: Any) -> Any:
    """The text for a caller, safe where it was safe."""
    return stored if type(stored) is str else _safe(stored[0])


def _safe(text: str) -> Any:
    return _safe_type()(text)


def _safe_type() -> type[str]:
    module = sys.modules.get("markupsafe")
    if module is None and find_spec("markupsafe") is not None:
        import markupsafe as module
    return Html if module is None else module.Markup


def keeping(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns what is stored for what `function` returns, a coroutine function for a coroutine function."""
    return _then(function, lambda text: kept(text, by=function.__qualname__))


def giving(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns the text for what `function` returns, which is stored so."""
    return _then(function, given)


def _then(function: Callable[..., Any], turn: Callable[[Any], Any]) -> Callable[..., Any]:
    if iscoroutinefunction(function):

        async def waits(*args: Any, **kwargs: Any) -> Any:
            return turn(await function(*args, **kwargs))

        return wraps(function)(waits)

    def returns(*args: Any, **kwargs: Any) -> Any:
        return turn(function(*args, **kwargs))

    return wraps(function)(returns)
