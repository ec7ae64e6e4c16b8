"""Waiting for something to become true, bounded: the only place where tests sleep.

What must not be here: waiting for time to pass; a test that needs that takes a FakeClock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")
EVERY = 0.01


def eventually(predicate: Callable[[], T], *, within: float = 5.0) -> T:
    """The first true value of `predicate()`. Raises `AssertionError` after `within` seconds."""
    deadline = time.monotonic() + within
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(_complaint(value, within))
        time.sleep(EVERY)
    return value


@overload
async def eventually_async(
    predicate: Callable[[], Coroutine[Any, Any, T]], *, within: float = 5.0
) -> T: ...
@overload
async def eventually_async(predicate: Callable[[], T], *, within: float = 5.0) -> T: ...
async def eventually_async(predicate: Callable[[], Any], *, within: float = 5.0) -> Any:
    """The same without blocking the loop; `predicate` may be an async function."""
    deadline = time.monotonic() + within
    while True:
        outcome = predicate()
        value = await outcome if asyncio.iscoroutine(outcome) else outcome
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(_complaint(value, within))
        await asyncio.sleep(EVERY)


def _complaint(value: object, within: float) -> str:
    return f"still {value!r} after {within} s"
