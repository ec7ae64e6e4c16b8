"""Waiting in asyncio. The twin of `threads`: the same names, nothing about caching.

A pipe is one shared connection: what is asked in one turn of the event loop leaves in one write.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from cachewright.errors import (
    ConfigurationError,
    LoadTimeout,
)

DEFINE, WAIT = "async def", "await "
"""How this world spells a function that waits and a wait, for source that is compiled."""

Doing: TypeAlias = Awaitable[None]
"""What an action that waits returns."""

Mutex = threading.RLock
"""Held for moments and never across a wait; reentrant, since a finaliser may call a cache at any moment."""


def here() -> object:
    """The event loop this belongs to."""
    return asyncio.get_running_loop()


async def wall_sleep(seconds: float) -> None:
    """Real time passes."""
    await asyncio.sleep(seconds)


class Event:
    """A flag to wait for. Raised on the loop it is waited for on."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.set = self._event.set
        self.clear = self._event.clear
        self.is_set = self._event.is_set

    async def wait(self, timeout: float | None) -> bool:
        """Whether the flag was raised within `timeout` seconds."""
        if self._event.is_set():
            return True
        waiting = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait([waiting], timeout=timeout)
        finally:
            waiting.cancel()
        return self._event.is_set()


class Outcome:
    """What a piece of work came to; any number of callers may wait for it."""

    __slots__ = ("_done", "error", "value")

    def __init__(self) -> None:
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.value: Any = None
        self.error: BaseException | None = None

    def succeed(self, value: Any) -> None:
        """The work is done."""
        self.value = value
        self._finish()

    def fail(self, error: BaseException) -> None:
        """The work failed."""
        self.error = error
        self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    @property
    def done(self) -> bool:
        """Whether it is known yet."""
        return self._done.done()

    async def wait(self, timeout: float | None) -> bool:
        """Whether it became known within `timeout` seconds."""
        if not self._done.done():
            # `wait`, unlike `wait_for`, leaves the future alone when the caller is cancelled.
            await asyncio.wait([self._done], timeout=timeout)
        return self._done.done()


class Slots:
    """At most `limit` at once; None for no limit."""

    def __init__(self, limit: int | None) -> None:
        self.limited = limit is not None
        self._free = asyncio.Semaphore(limit) if limit else None

    async def take(self, timeout: float) -> bool:
        """Whether a slot came free within `timeout` seconds."""
        if self._free is None:
            return True
        try:
            async with asyncio.timeout(timeout):
                await self._free.acquire()
        except TimeoutError:
            return False
        return True

    def give(self) -> None:
        """Give the slot back."""
        if self._free is not None:
            self._free.release()


_carried: set[asyncio.Task[None]] = set()


async def carry(work: Callable[..., Awaitable[None]], *args: Any) -> None:
    """Run work that must not die with its caller: a cancelled caller leaves, the work goes on."""
    task = asyncio.ensure_future(cast("Any", work(*args)))
    _carried.add(task)
    task.add_done_callback(_carried.discard)
    await asyncio.shield(task)


class Background:
    """Work that goes on while callers go away. A task for each, kept from the garbage collector."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run `work(*args)` aside, in the caller's context."""
        task = asyncio.get_running_loop().create_task(cast("Any", work(*args)), name=self._name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def __len__(self) -> int:
        return len(self._running)

    async def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for what runs, then cancel it."""
        mine = asyncio.current_task()
        running = [task for task in self._running if task is not mine and task.get_loop() is here()]
        if running:
            _, late = await asyncio.wait(running, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=timeout)

    def forget(self) -> None:
        """After a fork or in another loop: what ran belongs elsewhere."""
        self._running = set()


async def call_load(load: Callable[..., Any], args: tuple[Any, ...], timeout: float | None) -> Any:
    """Call a loader, coroutine function or not; cancelled with `LoadTimeout` after `timeout` seconds."""
    result = load(*args)
    if not inspect.isawaitable(result):
        return result
    task = asyncio.ensure_future(result)
    try:
        done, _ = await asyncio.wait([task], timeout=timeout)
    except BaseException:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise LoadTimeout(f"the load did not finish within {timeout} s")
    return task.result()


async def wait_for(outcome: Outcome, timeout: float | None) -> Any:
    """The outcome's value or its error; `LoadTimeout` when it stays unknown."""
    if not await outcome.wait(timeout):
        raise LoadTimeout(f"the load did not finish within {timeout} s")
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def is_foreign(function: Callable[..., Any]) -> bool:
    """Whether a function belongs to the other world."""
    return not inspect.iscoroutinefunction(function)


def bridge(
    function: Callable[..., Any], read: Callable[..., Any], hot: Callable[..., Any]
) -> Callable[..., Any]:
    """Refused: a plain function would silently become one that must be awaited."""
    raise ConfigurationError(
        f"{function.__qualname__} is not a coroutine function: decorate it with a Cache, or make it async"
    )


def membership(contains: Callable[..., Awaitable[bool]]) -> Callable[..., bool]:
    """`in` cannot wait, so it is refused."""

    def refuse(self: object, key: object) -> bool:
        raise TypeError("`in` cannot wait for the server: write `await cache.contains(key)`")

    return refuse
