"""Loads that work in several threads: what is read in them belongs to the load that started them.

A load is found by context variables. Tasks of asyncio and `asyncio.to_thread` take a copy of the context along by
themselves; a bare thread and an executor do not. What must not be here: what a load gathers (`core.loading`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextvars import copy_context
from functools import wraps
from typing import ParamSpec, TypeVar

from cachewright.core.loading import resumed
from cachewright.errors import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["GatheringExecutor", "carry"]


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """`function` as it would run here, in whatever thread it is called: in this load, mode and scope.

    `Thread(target=carry(work))`, `pool.map(carry(work), items)`. It may be called often and by many threads at once:
    each call gets a copy of the context, since one context cannot be entered twice. Called after the load has ended,
    it belongs to none, or to the load around that one.
    """
    context = copy_context()

    @wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        with resumed():  # else a hit in memory would not ask for the mode, once its block has ended
            return context.copy().run(function, *args, **kwargs)

    return carried


class GatheringExecutor(Executor):
    """An executor whose work belongs to the load that submits it: `GatheringExecutor(ThreadPoolExecutor(8))`.

    For `submit`, `map` and `loop.run_in_executor`. It owns the pool: `shutdown`, or the end of `with`, shuts that down.
    Raises `ConfigurationError` for a pool of processes, which share no context: what they read is a dependency only
    by a tag.
    """

    def __init__(self, pool: Executor) -> None:
        if isinstance(pool, ProcessPoolExecutor):
            raise ConfigurationError(
                "other processes hand nothing up: name the tags in the load, with current_load().tag(...)"
            )
        self.pool = pool

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run `fn` in the pool, in the caller's context."""
        return self.pool.submit(carry(fn), *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the pool's own."""
        self.pool.shutdown(wait, cancel_futures=cancel_futures)
