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
from collections.abc import AsyncIterator, Callable, Iterable
from types import FrameType
from typing import Any, NoReturn, Protocol


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
    """Close a blocking door when the interpreter ends; returns what takes that back.

    Not for asyncio: at that moment no loop runs, so close such a door in the program's own `finally`, or with `lifespan`.
    """
    me = weakref.ref(door)

    def close() -> None:
        living = me()
        if living is not None:
            living.close()

    atexit.register(close)
    return lambda: atexit.unregister(close)


def exit_on(signals: Iterable[int] = (signal.SIGTERM,)) -> None:
    """Turn signals into an ordinary end of the program, so that `finally`, `with` and `atexit` run. Main thread only."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the shape of a handler
        sys.exit(128 + number)

    for number in signals:
        signal.signal(number, leave)
