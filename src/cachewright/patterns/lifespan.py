"""Doors that are drained when the application ends: an ASGI lifespan, signals, the end of the interpreter.

What is queued is safe in any case: these only bring it to the source sooner, by the worker that is still here. What must not
be here: draining (`_async.draining`).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import inspect
import signal
import sys
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from types import FrameType
from typing import Any, ClassVar, NoReturn, Protocol

from cachewright.errors import ConfigurationError


class Door(Protocol):
    """What can be opened and closed: a write-behind of either world."""

    def open(self) -> Any:
        """Look at the server, start the worker."""


def lifespan(*doors: Door) -> Callable[..., contextlib.AbstractAsyncContextManager[None]]:
    """The `lifespan=` of an ASGI application: opens the doors at startup, drains and closes them at shutdown.

    `FastAPI(lifespan=lifespan(users, orders))`, or `async with lifespan(users)():` anywhere. A blocking door is opened and
    closed in a thread. Raises at startup what `open` raises, such as `ConfigurationError`.
    """

    @contextlib.asynccontextmanager
    async def around(_app: object = None) -> AsyncIterator[None]:
        opened: list[Door] = []
        try:
            for door in doors:
                opened.append(door)
                await _call(door.open)
            yield
        finally:
            for door in reversed(opened):
                await _call(_closing(door))

    return around


async def _call(function: Callable[[], Any]) -> None:
    if inspect.iscoroutinefunction(function):
        await function()
    else:
        await asyncio.to_thread(function)


def _closing(door: Any) -> Callable[[], Any]:
    closing: Callable[[], Any] = getattr(door, "aclose", None) or door.close
    return closing


def drain_at_exit(door: Any) -> Callable[[], None]:
    """Close a door when the interpreter ends, and one for asyncio when its loop does; returns what takes that back.

    When the interpreter ends no loop runs any more. So call this on the door's loop, in `main()`: `asyncio.run`, and whoever
    else calls `loop.shutdown_asyncgens()`, waits for it after all tasks were cancelled. Raises `ConfigurationError` for such
    a door where no loop runs.
    """
    if hasattr(door, "aclose"):
        return _drain_with_the_loop(door)
    me = weakref.ref(door)

    def close() -> None:
        living = me()
        if living is not None:
            living.close()

    atexit.register(close)
    return lambda: atexit.unregister(close)


def _drain_with_the_loop(door: Any) -> Callable[[], None]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "drain_at_exit(door) for asyncio belongs on the loop of the door: call it in main()"
        ) from None
    return _Ending(door).take_back


class _Ending:
    """Closes a door for asyncio when its loop ends: as the end of a generator, which a loop waits for (PEP 525)."""

    living: ClassVar[set[_Ending]] = set()
    # A loop holds its generators weakly.

    def __init__(self, door: Any) -> None:
        self._door = weakref.ref(door)
        self._wanted = True
        self._generator = self._until_the_end()
        with contextlib.suppress(StopIteration):
            self._generator.__anext__().send(None)  # from here on the loop knows of it
        self.living.add(self)

    async def _until_the_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self.living.discard(self)
            door = self._door()
            if self._wanted and door is not None:
                await door.aclose()

    def take_back(self) -> None:
        """The door is closed by somebody else."""
        self._wanted = False
        self.living.discard(self)


def exit_on(signals: Iterable[int] = (signal.SIGTERM,)) -> None:
    """Turn signals into an ordinary end of the program, so that `finally`, `with` and `atexit` run. Main thread only."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the shape of a handler
        sys.exit(128 + number)

    for number in signals:
        signal.signal(number, leave)
