# What goes on beside a test: the same words for tasks and for threads.
"""Work beside a test, a source to load from, and waiting until something is true.

What must not be here: assertions about the cache, and sleeping to see time pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cachewright._waits import aio

PATIENCE = 10.0
"""Seconds after which whatever a test waits for is not going to happen."""


class AsyncStep:
    """`work(*args)`, begun at once beside the test."""

    def __init__(self, work: Callable[..., Any], *args: Any) -> None:
        self._outcome = aio.Outcome()
        self._background = aio.Background("step")
        self._background.start(self._run, work, args)

    async def _run(self, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            value = await work(*args)
        except BaseException as error:  # noqa: BLE001 - whatever it is, `result` raises it
            self._outcome.fail(error)
        else:
            self._outcome.succeed(value)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._outcome.done

    async def result(self, within: float = PATIENCE) -> Any:
        """What it returned. Raises what it raised, and `AssertionError` while it still runs."""
        assert await self._outcome.wait(within), f"still running after {within} s"
        if self._outcome.error is not None:
            raise self._outcome.error
        return self._outcome.value


async def until(true: Callable[[], Any], within: float = PATIENCE) -> None:
    """Return when `true()` is. Raises `AssertionError` after `within` seconds."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not true after {within} s"
        await aio.wall_sleep(0.005)


async def until_read(read: Callable[[], Any], value: Any, within: float = PATIENCE) -> None:
    """Return when `read()`, which waits, returns `value`. Raises `AssertionError` after `within` s."""
    deadline = time.monotonic() + within
    while (got := await read()) != value:
        assert time.monotonic() < deadline, f"still {got!r} after {within} s"
        await aio.wall_sleep(0.005)


class AsyncSource:
    """The truth. A load reads it at once, and returns what it read when the gate is open."""

    def __init__(self, value: Any = "old") -> None:
        self.value = value
        self.error: Exception | None = None
        self.loads = 0
        self.began = aio.Event()
        self.gate = aio.Event()
        self.gate.set()

    async def load(self) -> Any:
        """The loader to give to a cache."""
        self.loads += 1
        value, error = self.value, self.error
        self.began.set()
        assert await self.gate.wait(3 * PATIENCE), "nobody opened the gate"
        if error is not None:
            raise error
        return value
