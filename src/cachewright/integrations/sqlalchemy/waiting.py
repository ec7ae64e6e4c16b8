"""Where the two worlds differ for a listener, which is plain code in both: with asyncio it runs in a greenlet.

A load runs on the connection of its caller. With asyncio the cache loads in a task that outlives a cancelled caller; here
it must not, so it is ended before the caller goes on. What must not be here: what is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cachewright.integrations.sqlalchemy.transactions import done


def loaded(what: Any, load: Callable[[], Any] | None = None) -> Any:
    """What the cache brings; `what` may be a function of a loader, made from `load` for the world that this is."""
    if load is None:
        return done(what)
    import inspect

    runner = _Runner(load)
    found = what(runner)
    return done(runner.guarded(found)) if inspect.isawaitable(found) else found


class _Runner:
    """Runs a plain function: at once, or in a greenlet of the task that asks for it."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._task: Any = None

    def __call__(self) -> Any:
        """The result, or what has to be awaited for it."""
        return self._in_greenlet() if self._is_waited_for else self._load()

    _is_waited_for = False

    async def _in_greenlet(self) -> Any:
        import asyncio

        from sqlalchemy.util.concurrency import greenlet_spawn

        self._task = asyncio.current_task()
        return await greenlet_spawn(self._load)

    async def guarded(self, found: Any) -> Any:
        """Await it; when the caller is cancelled, the load ends first."""
        import asyncio

        self._is_waited_for = True
        try:
            return await found
        except asyncio.CancelledError:
            task = self._task
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
            raise
